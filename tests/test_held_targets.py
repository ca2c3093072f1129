"""Targets are held by an estimator; losses are one table; each hook is there because it is used."""

import inspect
import pickle
import warnings

import numpy as np
import pytest
from parameters import EXPRESSIBLE
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning

from skbn import (
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
from skbn.estimators import losses
from skbn.estimators.base import BaseWithBatchNorm
from skbn.estimators.class_targets import ClassTargets
from skbn.estimators.fitted import FittedNetwork
from skbn.estimators.losses import CLASS_LOSSES, IMPORTED_REGRESSION_LOSSES, REGRESSION_LOSSES
from skbn.estimators.mlp import BaseMLPWithBatchNorm
from skbn.estimators.real_targets import RealTargets
from skbn.estimators.rnn import BaseRNNWithBatchNorm
from skbn.kernels.losses import LOSSES

rng = np.random.default_rng(0)
X = rng.standard_normal((40, 3))
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
CLASSES = {
    "one class": np.zeros(40, int),
    "two classes": np.arange(40) % 2,
    "three classes": np.array(list("abc"))[np.arange(40) % 3],
    "two labels": np.stack([np.arange(40) % 2, np.arange(40) // 2 % 2], axis=1),
    "three labels": csr_matrix(np.eye(3, dtype=int)[np.arange(40) % 3]),
}


def fitted(model, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


class TestTheTableOfLosses:
    def test_is_of_the_losses_that_networks_have(self):
        assert set(REGRESSION_LOSSES) | set(CLASS_LOSSES.values()) == set(LOSSES)

    @pytest.mark.parametrize("cls", [MLPWithBatchNormRegressor, RNNWithBatchNormRegressor])
    def test_is_what_the_parameter_may_be(self, cls):
        (options,) = cls._parameter_constraints["loss"]
        assert options.options == set(REGRESSION_LOSSES)

    @pytest.mark.parametrize("loss", REGRESSION_LOSSES)
    def test_leads_to_predictions_and_to_scikit_learn(self, loss):
        reg = fitted(MLPWithBatchNormRegressor(
            loss, **SMALL, **EXPRESSIBLE, dtype="float64"
        ), abs(X[:, 0]))  # fmt: skip
        assert (reg._loss, reg.out_activation_) == (loss, REGRESSION_LOSSES[loss].link)
        plain = reg.to_sklearn()
        assert plain.loss == REGRESSION_LOSSES[loss].sklearn_loss
        np.testing.assert_allclose(plain.predict(X), reg.predict(X), rtol=1e-9)

    @pytest.mark.parametrize("loss", REGRESSION_LOSSES)
    def test_has_the_range_of_targets(self, loss):
        reg = MLPWithBatchNormRegressor(loss, **SMALL)
        if REGRESSION_LOSSES[loss].needs_nonnegative:
            with pytest.raises(ValueError, match=f"loss='{loss}' needs targets >= 0"):
                reg.fit(X, X[:, 0])
        else:
            fitted(reg, X[:, 0])

    def test_has_one_loss_of_scikit_learn_for_each_link(self):
        links = [loss.link for loss in REGRESSION_LOSSES.values()]
        assert IMPORTED_REGRESSION_LOSSES.keys() == set(links)

    def test_a_loss_without_a_neighbour_is_not_exported(self, monkeypatch):
        reg = fitted(MLPWithBatchNormRegressor(**SMALL, **EXPRESSIBLE), X[:, 0])
        squared = REGRESSION_LOSSES["squared_error"]
        alone = losses.RegressionLoss("identity", squared.pointwise, None)
        monkeypatch.setitem(REGRESSION_LOSSES, "squared_error", alone)
        fitted(reg, X[:, 0])
        with pytest.raises(ValueError, match="nothing like loss='squared_error'"):
            reg.to_sklearn()


class TestAttributes:
    @pytest.mark.parametrize("name", CLASSES)
    def test_of_classes(self, name):
        clf = fitted(MLPWithBatchNormClassifier(**SMALL), CLASSES[name])
        targets = ClassTargets.held_by(clf)
        assert targets.loss == clf._loss
        assert targets.out_activation == clf.out_activation_
        for attribute, value in targets.attributes().items():
            assert vars(clf)[attribute] is value
        assert not any(isinstance(value, ClassTargets) for value in vars(clf).values())

    @pytest.mark.parametrize("normalize_target", [True, False])
    def test_of_real_numbers(self, normalize_target):
        reg = MLPWithBatchNormRegressor(**SMALL, normalize_target=normalize_target)
        targets = RealTargets.held_by(fitted(reg, X[:, :2]))
        assert targets.is_normalized == normalize_target
        assert targets.attributes() == {"_target_moments": reg._target_moments}
        assert not any(isinstance(value, RealTargets) for value in vars(reg).values())

    @pytest.mark.parametrize("name", CLASSES)
    @pytest.mark.parametrize("damage", ["labels or not", "sparse or not"])
    def test_that_are_damaged_are_refused(self, name, damage):
        clf = fitted(MLPWithBatchNormClassifier(**SMALL), CLASSES[name])
        if damage == "labels or not":
            clf._is_multilabel = not clf._is_multilabel
        elif clf._is_multilabel:
            del clf._predicts_sparse
        else:
            return
        with pytest.raises(ValueError, match="damaged"):
            clf.predict(X)
        with pytest.raises(ValueError, match="damaged"):
            pickle.loads(pickle.dumps(clf))


KINDS_OF_NETWORKS = [BaseMLPWithBatchNorm, BaseRNNWithBatchNorm]
ESTIMATORS = [
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
]


def methods_of(cls):
    return {name for name, value in vars(cls).items() if inspect.isfunction(value)}


class TestHooks:
    def test_both_kinds_of_networks_give_what_the_base_names(self):
        named = {
            word.strip("`").split("(")[0]
            for line in BaseWithBatchNorm.__doc__.splitlines()
            if (word := line.strip().removeprefix("- ")).startswith("``_") and "- " in line
        }
        assert len(named) == 10
        for cls in KINDS_OF_NETWORKS:
            assert named <= methods_of(cls)
            assert not named & (methods_of(BaseWithBatchNorm) | methods_of(FittedNetwork))

    def test_little_is_overridden(self):
        of_base = methods_of(BaseWithBatchNorm) | methods_of(FittedNetwork)
        for cls in KINDS_OF_NETWORKS:
            assert methods_of(cls) & of_base <= {"_check_state"}
        for cls in ESTIMATORS:
            mixin = cls.__mro__[1]
            assert not (methods_of(cls) | methods_of(mixin)) & of_base
