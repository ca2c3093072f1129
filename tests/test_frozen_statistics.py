"""Estimators that train with frozen statistics (``bn_frozen=True``)."""

import pickle
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skbn import (
    MLPEnsembleWithBatchNormClassifier,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
from skbn.estimators import training_run

CLASSES = [
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
]
each_class = pytest.mark.parametrize("cls", CLASSES)


def rows(cls, n=120, seed=0):
    rng = np.random.default_rng(seed)
    X = 3.0 + rng.standard_normal((n, 4)) * [1.0, 10.0, 0.1, 1.0]
    y = X[:, 0] + rng.standard_normal(n)
    return X, (y > 3.0).astype(int) if cls.__name__.endswith("Classifier") else y


def other_rows(cls):
    """Rows and targets of other moments."""
    X, y = rows(cls, n=60, seed=1)
    is_classifier = cls.__name__.endswith("Classifier")
    return 5.0 + 2.0 * X, y if is_classifier else 100.0 + 3.0 * y


def quietly(fit, *arguments, **keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit(*arguments, **keywords)


def fitted(cls, **parameters):
    parameters = {"hidden_layer_sizes": (6, 5), "n_epochs": 2, "random_state": 0} | parameters
    return quietly(cls(**parameters).fit, *rows(cls))


def statistics_of(estimator):
    state = vars(estimator)
    names = [
        name
        for name in state
        if name in ("_statistics", "_target_moments", "_n_batches_tracked", "_n_steps_tracked")
        or name.startswith("input_")
    ]
    assert "_statistics" in names
    assert any(name.startswith("input_") for name in names)
    assert ("_target_moments" in names) == type(estimator).__name__.endswith("Regressor")
    return pickle.dumps([(name, state[name]) for name in sorted(names)])


def trained_on(estimator, how, X, y):
    if how == "partial_fit":
        return estimator.partial_fit(X, y)
    parameters = {"early_stopping": "auto"}
    if how == "lbfgs":
        parameters = {"solver": "lbfgs", "weight_decay": 0.0, "max_grad_norm": None}
    given = {"X_val": X, "y_val": y} if how == "checkpoints" else {}
    return quietly(estimator.set_params(warm_start=True, **parameters).fit, X, y, **given)


@each_class
@pytest.mark.parametrize("how", ["partial_fit", "fit", "checkpoints", "lbfgs"])
@pytest.mark.parametrize("normalize_input", ["auto", "standard"])
def test_training_leaves_all_statistics(cls, how, normalize_input):
    estimator = fitted(cls, normalize_input=normalize_input, max_iter=5)
    before, weights = statistics_of(estimator), estimator._parameters.copy()
    gammas = [gamma.copy() for gamma in estimator.gammas_]
    X, y = other_rows(cls)
    trained_on(estimator.set_params(bn_frozen=True), how, X, y)
    assert statistics_of(estimator) == before
    assert (estimator._parameters != weights).any()
    for gamma, gamma_before in zip(estimator.gammas_, gammas, strict=True):
        assert (gamma != gamma_before).any()
    assert np.isfinite(estimator.predict(X)).all()
    # The statistics move on as soon as they are not frozen.
    trained_on(estimator.set_params(bn_frozen=False), how, X, y)
    assert statistics_of(estimator) != before


@each_class
def test_a_stream_that_began_with_partial_fit(cls):
    X, y = rows(cls)
    given = {"classes": [0, 1]} if cls.__name__.endswith("Classifier") else {}
    estimator = cls(hidden_layer_sizes=(6,), random_state=0).partial_fit(X, y, **given)
    before = statistics_of(estimator)
    X, y = other_rows(cls)
    estimator.set_params(bn_frozen=True).partial_fit(X, y, X_val=X, y_val=y)
    assert statistics_of(estimator) == before


def test_sparse_rows():
    X, y = rows(MLPWithBatchNormClassifier)
    X = csr_array(np.where(X < 3.0, 0.0, X))
    estimator = MLPWithBatchNormClassifier((6,), random_state=0).partial_fit(X, y, classes=[0, 1])
    before = statistics_of(estimator)
    estimator.set_params(bn_frozen=True).partial_fit(2.0 * X, y)
    assert statistics_of(estimator) == before


def test_without_batch_norm_the_inputs_are_frozen():
    cls = MLPWithBatchNormRegressor
    estimator = fitted(cls, batch_norm=None, normalize_input="standard")
    before = statistics_of(estimator)
    estimator.set_params(bn_frozen=True).partial_fit(*other_rows(cls))
    assert statistics_of(estimator) == before


@each_class
def test_an_update_does_not_depend_on_the_rows_beside(cls):
    # One step of gradient descent on two rows is the mean of a step on each.
    estimator = fitted(
        cls,
        solver="sgd",
        momentum=0.0,
        max_grad_norm=None,
        alpha=0.0,
        weight_decay=0.0,
        dtype="float64",
    ).set_params(bn_frozen=True)
    before = estimator._parameters.copy()
    X, y = rows(cls)
    X, y = X[:2], y[:2]
    steps = [
        pickle.loads(pickle.dumps(estimator)).partial_fit(*part)._parameters - before
        for part in [(X, y), (X[:1], y[:1]), (X[1:], y[1:])]
    ]
    assert np.abs(steps[0]).max() > 1e-8
    np.testing.assert_allclose(steps[0], (steps[1] + steps[2]) / 2.0, rtol=1e-7, atol=1e-13)


@each_class
def test_one_row_is_enough_for_a_warm_start(cls):
    estimator = fitted(cls).set_params(bn_frozen=True, warm_start=True, early_stopping=False)
    X, y = rows(cls)
    before = statistics_of(estimator)
    if cls.__name__.endswith("Classifier"):
        # All classes must be there, so one row is one row of each class.
        X, y = X[[np.argmin(y), np.argmax(y)]], [0, 1]
        quietly(estimator.fit, X, y)
    else:
        quietly(estimator.fit, X[:1], y[:1])
    assert statistics_of(estimator) == before


@each_class
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_new_network_has_no_statistics(cls, method):
    X, y = rows(cls)
    given = {"classes": [0, 1]} if method == "partial_fit" and "Class" in cls.__name__ else {}
    estimator = cls(hidden_layer_sizes=(4,), bn_frozen=True)
    with pytest.raises(ValueError, match="bn_frozen=True needs the statistics of a fitted network"):
        getattr(estimator, method)(X, y, **given)
    assert not hasattr(estimator, "coefs_")


@each_class
def test_one_row_gives_no_statistics(cls):
    X, y = rows(cls)
    given = {"classes": [0, 1]} if "Class" in cls.__name__ else {}
    estimator = cls(hidden_layer_sizes=(4,)).partial_fit(X[:1], y[:1], **given)
    with pytest.raises(ValueError, match="this network has none yet"):
        estimator.set_params(bn_frozen=True).partial_fit(X, y)
    estimator.set_params(bn_frozen=False).partial_fit(X, y)
    estimator.set_params(bn_frozen=True).partial_fit(X, y)


@each_class
def test_a_fit_without_warm_start_is_refused_and_changes_nothing(cls):
    estimator = fitted(cls).set_params(bn_frozen=True)
    X, y = rows(cls)
    before = estimator.predict(X)
    with pytest.raises(ValueError, match="warm_start=True"):
        estimator.fit(X, y)
    np.testing.assert_array_equal(estimator.predict(X), before)


@each_class
def test_wrong_type(cls):
    with pytest.raises(ValueError, match=f"The 'bn_frozen' parameter of {cls.__name__} must be"):
        cls(bn_frozen="yes").fit(*rows(cls))


def test_members_of_an_ensemble():
    cls = MLPEnsembleWithBatchNormClassifier
    X, y = rows(cls)
    member = MLPWithBatchNormClassifier((5,), n_epochs=2, bn_frozen=True)
    with pytest.raises(ValueError, match="bn_frozen=True needs the statistics of a fitted network"):
        cls(member).fit(X, y)
    ensemble = cls(clone(member).set_params(bn_frozen=False), random_state=0).fit(X, y)
    before = [statistics_of(member) for member in ensemble.estimators_]
    ensemble.set_params(estimator__bn_frozen=True).partial_fit(*other_rows(cls))
    assert [statistics_of(member) for member in ensemble.estimators_] == before
    assert all(member.bn_frozen for member in ensemble.estimators_)
    ensemble.set_params(estimator__bn_frozen=False).partial_fit(*other_rows(cls))
    assert [statistics_of(member) for member in ensemble.estimators_] != before


def test_rows_in_their_own_order_mislead_no_frozen_statistics(monkeypatch):
    # Sorted rows make mini-batches of one class. Batch norm warns of them, if they count.
    cls = MLPWithBatchNormClassifier
    X, y = rows(cls, n=400)
    order = np.argsort(y, kind="stable")
    X, y = X[order] + 10.0 * y[order, np.newaxis], y[order]
    estimator = fitted(cls).set_params(warm_start=True, shuffle=False, batch_size=50)
    with pytest.warns(UserWarning, match="order"):
        estimator.fit(X, y)
    looks = []
    monkeypatch.setattr(training_run, "warn_of_order", lambda *_: looks.append("at the order"))
    estimator.set_params(bn_frozen=True).fit(X, y)
    assert not looks
    estimator.set_params(bn_frozen=False).fit(X, y)
    assert looks == ["at the order"]
