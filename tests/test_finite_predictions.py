"""No prediction is NaN or infinite, and no network whose outputs are is the best of a fit."""

import warnings

import numpy as np
import pytest
from parameters import COLUMNS_ALONE
from scipy.sparse import csr_array
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning

from skbn import (
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
from skbn.network.network import Network
from skbn.training.stopping import ValidationPlateau
from skbn.training.validation_record import Evaluation, ValidationRecord

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 3))
SEQUENCES = RNG.standard_normal((60, 4, 3))
SMALL = {"max_iter": 2, "tol": 10.0, "random_state": 0}
LINEAR = {"hidden_layer_sizes": (), "normalize_input": None, **COLUMNS_ALONE, **SMALL}
TOO_LARGE = "too large for a network in float"


def fitted(estimator, *data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(*data)


def classes(k, rows=X):
    return np.minimum(np.argsort(np.argsort(rows.reshape(len(rows), -1)[:, 0])) * k // len(rows), k)


TARGETS = {
    "two classes": (MLPWithBatchNormClassifier, classes(2)),
    "three classes": (MLPWithBatchNormClassifier, classes(3)),
    "labels": (MLPWithBatchNormClassifier, (X > 0).astype(int)),
    "one target": (MLPWithBatchNormRegressor, X[:, 0]),
    "two targets": (MLPWithBatchNormRegressor, X[:, :2]),
}


def methods(estimator):
    names = ("predict", "predict_proba", "predict_log_proba")
    return [getattr(estimator, name) for name in names if hasattr(estimator, name)]


class TestRawOutputs:
    @pytest.mark.parametrize("target", TARGETS)
    @pytest.mark.parametrize(
        ("dtype", "entry"), [("float32", 1e60), ("float32", -1e60), ("float64", 1e308)]
    )
    @pytest.mark.parametrize("n", [1, 300])
    @pytest.mark.parametrize("kind", [np.asarray, csr_array])
    def test_of_tables(self, target, dtype, entry, n, kind):
        cls, y = TARGETS[target]
        estimator = fitted(cls(dtype=dtype, **LINEAR), X, y)
        # So that no output stays finite, whatever the sign of a weight.
        estimator.coefs_ = [np.full_like(weight, 10.0) for weight in estimator.coefs_]
        rows = np.zeros((n, 3))
        for predict in methods(estimator):
            assert np.isfinite(predict(kind(rows))).all()
        # One infinite output is too many.
        rows[-1, 1] = entry
        for predict in methods(estimator):
            with pytest.raises(ValueError, match=TOO_LARGE + dtype[-2:]):
                predict(kind(rows))

    @pytest.mark.parametrize("cls", [RNNWithBatchNormClassifier, RNNWithBatchNormRegressor])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_of_sequences(self, cls, dtype):
        estimator = cls(hidden_layer_sizes=(3,), dtype=dtype, **SMALL)
        fitted(estimator, SEQUENCES, classes(2, SEQUENCES))
        for predict in methods(estimator):
            assert np.isfinite(predict(SEQUENCES)).all()
        # Finite all of them, and their sum is not where the states are above 0.
        largest = np.finfo(dtype).max
        estimator.coefs_[-1][...] = np.sign(estimator.coefs_[-1]) * largest
        estimator.intercepts_[-1][...] = largest
        for predict in methods(estimator):
            with pytest.raises(ValueError, match=TOO_LARGE + dtype[-2:]):
                predict(SEQUENCES)


class TestTargetsInTheirOwnUnit:
    @pytest.mark.parametrize("cls", [MLPWithBatchNormRegressor, RNNWithBatchNormRegressor])
    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_beyond_float64(self, cls, sign):
        rows = X if cls is MLPWithBatchNormRegressor else SEQUENCES
        estimator = cls(dtype="float64", **SMALL)
        fitted(estimator, rows, 1e100 * rows.reshape(len(rows), -1)[:, 0])
        estimator.intercepts_[-1][...] = sign * 1e200
        assert np.isfinite(estimator.predict(rows)).all()
        estimator.intercepts_[-1][...] = sign * 1e250
        with pytest.raises(ValueError, match=TOO_LARGE + "64"):
            estimator.predict(rows)

    @pytest.mark.parametrize("cls", [MLPWithBatchNormRegressor, RNNWithBatchNormRegressor])
    @pytest.mark.parametrize("n", [1, 50])
    def test_beyond_the_exponential(self, cls, n):
        rows = X if cls is MLPWithBatchNormRegressor else SEQUENCES
        y = np.exp(rows.reshape(len(rows), -1)[:, 0])
        estimator = fitted(cls(loss="poisson", **SMALL), rows, y)
        assert (estimator.predict(rows) > 0.0).all()
        estimator.intercepts_[-1][...] = -800.0
        np.testing.assert_array_equal(estimator.predict(rows[:n]), 0.0)
        estimator.intercepts_[-1][...] = 800.0
        with pytest.raises(ValueError, match=TOO_LARGE):
            estimator.predict(rows[:n])

    def test_beyond_float32(self):
        # Such a target has no float32; a row of float64 has its prediction.
        y = 1e45 * (2.0 + X[:, 0])
        regressor = fitted(MLPWithBatchNormRegressor(**SMALL), X, y)
        assert np.isfinite(regressor.predict(X)).all()
        with pytest.raises(ValueError, match=TOO_LARGE + "32"):
            regressor.predict(X.astype(np.float32))


class TestLogProbabilities:
    def raw(self, estimator, outputs):
        """The estimator with these raw outputs, whatever its input."""
        for weight in estimator.coefs_:
            weight[...] = 0.0
        estimator.intercepts_ = [outputs]
        return estimator

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("z", [0.3, 15.0, 40.0, 120.0, 1e4])
    def test_two_classes(self, z, dtype):
        for sign in (1.0, -1.0):
            estimator = fitted(MLPWithBatchNormClassifier(dtype="float64", **LINEAR), X, classes(2))
            values = self.raw(estimator, [sign * z]).predict_log_proba(X[:2].astype(dtype))
            desired = [-np.logaddexp(0.0, sign * z), -np.logaddexp(0.0, -sign * z)]
            np.testing.assert_allclose(values[0], desired, rtol=1e-13)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
    def test_three_classes(self, scale, dtype):
        z = scale * np.array([0.1, -1.0, 0.7])
        estimator = fitted(MLPWithBatchNormClassifier(dtype=dtype, **LINEAR), X, classes(3))
        values = self.raw(estimator, z).predict_log_proba(X[:2].astype(dtype))
        assert values.dtype == dtype
        desired = log_softmax(z.astype(dtype).astype(np.float64))
        rtol, atol = (1e-6, 2.0**-25) if dtype == "float32" else (1e-13, 0.0)
        np.testing.assert_allclose(values[0], desired, rtol=rtol, atol=atol)

    @pytest.mark.parametrize("scale", [1.0, 50.0, 1e4])
    def test_labels(self, scale):
        z = scale * np.array([0.2, -1.0, 3.0])
        estimator = fitted(
            MLPWithBatchNormClassifier(dtype="float64", **LINEAR), X, (X > 0).astype(int)
        )
        values = self.raw(estimator, z).predict_log_proba(X[:2])
        np.testing.assert_allclose(values[1], -np.logaddexp(0.0, -z), rtol=1e-13, atol=2e-16)

    def test_one_class(self):
        estimator = fitted(MLPWithBatchNormClassifier(**LINEAR), X, np.zeros(len(X)))
        np.testing.assert_array_equal(estimator.predict_log_proba(X[:4]), np.zeros((4, 1)))

    @pytest.mark.parametrize("k", [2, 3])
    def test_of_sequences(self, k):
        estimator = fitted(
            RNNWithBatchNormClassifier((3,), **SMALL), SEQUENCES, classes(k, SEQUENCES)
        )
        estimator.coefs_[-1][...] *= 1e4
        values = estimator.predict_log_proba(SEQUENCES)
        assert values.min() < -200.0
        assert np.isfinite(values).all()
        # The smallest numbers of float64 are not precise.
        chances = estimator.predict_proba(SEQUENCES)
        np.testing.assert_allclose(np.exp(values), chances, rtol=1e-6, atol=1e-300)

    @pytest.mark.parametrize("k", [2, 3])
    def test_certain_in_float32_is_certain_in_both(self, k):
        estimator = fitted(MLPWithBatchNormClassifier(dtype="float32", **LINEAR), X, classes(k))
        rows = X[:2].astype(np.float32)
        seen = []
        for z in np.linspace(16.0, 19.0, 61):
            self.raw(estimator, [z] if k == 2 else [z, 0.0, 0.0])
            certain = estimator.predict_proba(rows) == 1.0
            np.testing.assert_array_equal(estimator.predict_log_proba(rows) == 0.0, certain)
            seen.append(certain.any())
        assert set(seen) == {True, False}


def spoil_one_score(monkeypatch, number, bad):
    """Give one of 40 validation rows a bad output, the given time that they are scored."""
    original, scored = Network.infer, []

    def infer(self, table, *arguments, **keywords):
        z = original(self, table, *arguments, **keywords)
        if table.n_rows == 40:
            if len(scored) == number:
                z[7, 0] = bad
            scored.append(z)
        return z

    monkeypatch.setattr(Network, "infer", infer)


class TestBestEpoch:
    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize(
        ("cls", "y"), [TARGETS["two classes"], TARGETS["three classes"], TARGETS["one target"]]
    )
    @pytest.mark.parametrize("epoch", [0, 1])
    def test_is_none_whose_outputs_are_not_finite(self, monkeypatch, cls, y, bad, epoch):
        spoil_one_score(monkeypatch, epoch, bad)
        estimator = cls(
            hidden_layer_sizes=(4,),
            max_iter=4,
            learning_rate="constant",
            learning_rate_init=1e-9,
            early_stopping=True,
            n_iter_no_change=10,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(X, y, X_val=X[:40], y_val=y[:40])
        scores = np.array(estimator.validation_scores_)
        np.testing.assert_array_equal(np.isnan(scores), np.arange(4) == epoch)
        assert estimator.best_validation_score_ == np.nanmax(scores)

    @pytest.mark.parametrize("cls", [MLPWithBatchNormClassifier, RNNWithBatchNormClassifier])
    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_score(self, cls, bad):
        rows = X if cls is MLPWithBatchNormClassifier else SEQUENCES
        estimator = fitted(cls((3,), **SMALL), rows, classes(3, rows))
        z = np.eye(3)
        z[1, 0] = bad

        class Three:
            targets = np.arange(3.0).reshape(-1, 1)
            sample_weight = None

        assert np.isnan(estimator._targets.score(z, Three))
        assert estimator._targets.score(np.eye(3), Three) == 1.0

    def test_goes_on_from_a_warm_start_that_is_not_finite(self, monkeypatch):
        y = classes(2)
        clf = MLPWithBatchNormClassifier(
            (4,), max_iter=2, early_stopping=True, warm_start=True, random_state=0
        )
        fitted(clf, X, y)
        start = clf._parameters.copy()
        clf.validation_scores_ = [2.0]
        spoil_one_score(monkeypatch, 0, np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            clf.fit(X, y, X_val=X[:40], y_val=y[:40])
        assert clf.best_validation_score_ <= 1.0
        assert not np.array_equal(clf._parameters, start)

    def test_a_score_that_is_no_number_is_no_improvement(self):
        scores = iter([0.5, np.nan, np.nan, np.nan])
        record = ValidationRecord(lambda: Evaluation(next(scores), 0.0), lambda: None, False)
        plateau = ValidationPlateau(0.0, 2, record)
        assert [plateau.epoch_ended(epoch, 0.0) for epoch in (1, 2, 3, 4)] == [
            False,
            False,
            False,
            True,
        ]
        assert record.best_score == 0.5
