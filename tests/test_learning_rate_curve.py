"""``learning_rate_curve_``: a rate for each epoch, beside each loss, in all networks."""

import pickle
import warnings

import numpy as np
import pytest

from skbn import (
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
from skbn.training.epochs import Trainer

NETWORKS = (
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
ENSEMBLES = {
    MLPEnsembleWithBatchNormClassifier: MLPWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor: MLPWithBatchNormRegressor,
}
ALL = (*NETWORKS, *ENSEMBLES)


def data(cls):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 3))
    score = X[:, 0] + X[:, 1]
    y = (score > 0).astype(int) if "Classifier" in cls.__name__ else score
    return (X[:, :, np.newaxis] if "RNN" in cls.__name__ else X), y


def network(cls, **parameters):
    parameters = {
        "hidden_layer_sizes": (4,),
        "learning_rate": "one_cycle",
        "learning_rate_init": 0.02,
        "n_epochs": 5,
        "early_stopping": False,
    } | parameters
    if cls in ENSEMBLES:
        return cls(ENSEMBLES[cls](**parameters), random_state=0)
    return cls(**parameters, random_state=0)


def fitted(estimator, method="fit"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        X, y = data(type(estimator))
        options = {}
        if method == "partial_fit" and "Classifier" in type(estimator).__name__:
            options = {"classes": [0, 1]}
        return getattr(estimator, method)(X, y, **options)


def one_cycle(n_epochs, highest):
    """The rates at the beginnings of the epochs: two halves of a cosine."""
    done = np.arange(n_epochs) / n_epochs
    up = highest * (1 / 25 + (1 - 1 / 25) * (1 - np.cos(np.pi * done / 0.3)) / 2)
    down = highest * (4e-6 + (1 - 4e-6) * (1 + np.cos(np.pi * (done - 0.3) / 0.7)) / 2)
    return np.where(done < 0.3, up, down)


@pytest.mark.parametrize("cls", ALL)
def test_one_cycle_and_a_stream_behind_it(cls):
    estimator = fitted(network(cls))
    np.testing.assert_allclose(estimator.learning_rate_curve_, one_cycle(5, 0.02))
    fitted(estimator, "partial_fit")
    assert estimator.learning_rate_curve_[5:] == [0.02]
    assert len(estimator.loss_curve_) == 6
    assert all(type(rate) is float for rate in estimator.learning_rate_curve_)
    # A new fit begins again.
    assert len(fitted(estimator).learning_rate_curve_) == 5


@pytest.mark.parametrize("cls", NETWORKS)
def test_warm_starts(cls):
    estimator = fitted(fitted(network(cls, warm_start=True)))
    np.testing.assert_allclose(estimator.learning_rate_curve_, 2 * [*one_cycle(5, 0.02)])


@pytest.mark.parametrize("cls", ALL)
def test_as_many_as_losses_after_an_early_stop(cls):
    estimator = fitted(
        network(
            cls,
            early_stopping=True,
            learning_rate="constant",
            tol=10.0,
            n_iter_no_change=2,
            max_iter=20,
        )
    )
    n = len(estimator.loss_curve_)
    assert 0 < n < 20
    assert estimator.learning_rate_curve_ == [0.02] * n


@pytest.mark.parametrize("cls", NETWORKS)
def test_adaptive(cls):
    estimator = fitted(
        network(
            cls, solver="sgd", learning_rate="adaptive", tol=10.0, n_iter_no_change=1, max_iter=8
        )
    )
    rates = np.array(estimator.learning_rate_curve_)
    steps = rates[:-1] / rates[1:]
    assert np.isclose(steps, 1.0).sum() + np.isclose(steps, 5.0).sum() == 7
    assert np.isclose(steps, 5.0).any()
    assert len(rates) == len(estimator.loss_curve_) == 8


@pytest.mark.parametrize("cls", ALL)
def test_ctrl_c(cls, monkeypatch):
    calls, original = [], Trainer.epoch
    n_members = 3 if cls in ENSEMBLES else 1

    def epoch(trainer):
        calls.append(1)
        if len(calls) == 3 * n_members:
            raise KeyboardInterrupt
        return original(trainer)

    monkeypatch.setattr(Trainer, "epoch", epoch)
    estimator = network(cls)
    with pytest.warns(UserWarning, match="interrupted"):
        estimator.fit(*data(cls))
    assert len(estimator.loss_curve_) == 2
    np.testing.assert_allclose(estimator.learning_rate_curve_, one_cycle(5, 0.02)[:2])


@pytest.mark.parametrize("cls", NETWORKS)
def test_none_after_lbfgs(cls):
    estimator = network(cls)
    fitted(estimator)
    fitted(estimator.set_params(solver="lbfgs", weight_decay=0.0, max_grad_norm=None, max_iter=3))
    assert not hasattr(estimator, "learning_rate_curve_")
    assert not hasattr(estimator, "loss_curve_")


@pytest.mark.parametrize("cls", ALL)
def test_a_state_without_it_predicts_and_is_trained(cls):
    estimator = fitted(network(cls))
    for model in (estimator, *getattr(estimator, "estimators_", ())):
        del model.learning_rate_curve_
    loaded = pickle.loads(pickle.dumps(estimator))
    X, _ = data(cls)
    np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))
    assert fitted(loaded, "partial_fit").learning_rate_curve_ == [0.02]
