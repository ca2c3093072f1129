"""Rows that are trained on in their order: mini-batches that are unlike the whole."""

import re
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning

from skbn import (
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
from skbn.network import batch_variance

MESSAGE = "shuffle=False, and the rows of a mini-batch are much alike"


def warnings_of(model, X, y, **keywords):
    """The messages of the warnings about the order of the rows."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, **keywords)
    caught = [w for w in caught if not issubclass(w.category, ConvergenceWarning)]
    assert all(issubclass(w.category, UserWarning) for w in caught)
    assert all(w.filename == __file__ for w in caught)
    return [str(w.message) for w in caught if MESSAGE in str(w.message)]


def in_time(n=600):
    rng = np.random.default_rng(0)
    t = np.arange(n)
    X = np.c_[t, np.sin(t / 50), np.cos(t / 50), rng.standard_normal(n)]
    return X, 0.01 * t + 3 * np.sin(t / 50) + 0.3 * rng.standard_normal(n)


def sequences_in_time(n=300):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 6, 2)) + np.arange(n)[:, np.newaxis, np.newaxis] / 50
    return X, X[:, :, 0].mean(axis=1)


def sorted_by_target(data):
    order = np.argsort(data.target, kind="stable")
    return data.data[order], data.target[order]


ORDERED = {
    "time": (MLPWithBatchNormRegressor, in_time, {}),
    "time, after": (MLPWithBatchNormRegressor, in_time, {"batch_norm": "after"}),
    "time, sgd": (MLPWithBatchNormRegressor, in_time, {"solver": "sgd", "dropout": 0.3}),
    "time, batches of 100": (MLPWithBatchNormRegressor, in_time, {"batch_size": 100}),
    "classes": (MLPWithBatchNormClassifier, lambda: sorted_by_target(load_iris()), {}),
    "more classes": (MLPWithBatchNormClassifier, lambda: sorted_by_target(load_digits()), {}),
    "target": (MLPWithBatchNormRegressor, lambda: sorted_by_target(load_diabetes()), {}),
    "sequences": (RNNWithBatchNormRegressor, sequences_in_time, {"hidden_layer_sizes": (8,)}),
    "sequences, inputs": (
        RNNWithBatchNormRegressor,
        sequences_in_time,
        {"hidden_layer_sizes": (8,), "batch_norm": "input", "cell": "gru"},
    ),
    "classes of sequences": (
        RNNWithBatchNormClassifier,
        lambda: (sequences_in_time()[0], (np.arange(300) // 100)),
        {"hidden_layer_sizes": (8,), "time_statistics": "shared"},
    ),
}


@pytest.mark.parametrize(("cls", "data", "parameters"), ORDERED.values(), ids=ORDERED.keys())
class TestOrdered:
    def test_one_warning_says_so_and_what_to_do(self, cls, data, parameters):
        X, y = data()
        model = cls(shuffle=False, random_state=0, max_iter=8, **parameters)
        (message,) = warnings_of(model, X, y)
        assert re.search(r"[0-7]?\d% or less", message)
        for remedy in ("shuffle=True", "batch_norm=None", "larger mini-batches"):
            assert remedy in message
        # However the best epoch is found.
        model.set_params(early_stopping=True)
        assert len(warnings_of(model, X, y, X_val=X, y_val=y)) == 1

    def test_none_where_the_rows_are_shuffled(self, cls, data, parameters):
        X, y = data()
        for shuffled in (True, False):
            order = np.arange(len(X)) if shuffled else np.random.default_rng(1).permutation(len(X))
            model = cls(shuffle=shuffled, random_state=0, max_iter=8, **parameters)
            assert warnings_of(model, X[order], y[order]) == []

    def test_none_without_batch_norm(self, cls, data, parameters):
        X, y = data()
        model = cls(shuffle=False, random_state=0, max_iter=2, **parameters | {"batch_norm": None})
        assert warnings_of(model, X, y) == []


@pytest.mark.parametrize("batch_size", [2, 3, 4, 8, 32])
@pytest.mark.parametrize("n", [40, 150])
def test_small_mini_batches_of_rows_in_random_order_are_no_reason(batch_size, n):
    X, y = load_iris(return_X_y=True)
    for seed in range(3):
        rows = np.random.default_rng(seed).permutation(150)[:n]
        model = MLPWithBatchNormClassifier(
            (20,), shuffle=False, batch_size=batch_size, max_iter=4, random_state=seed
        )
        assert warnings_of(model, X[rows], y[rows]) == []


@pytest.mark.parametrize("batch_norm", ["before", "after"])
@pytest.mark.parametrize("batch_size", [4, 32, 200])
class TestRandomOrderOfUnevenRows:
    def test_columns_with_heavy_tails(self, batch_size, batch_norm):
        X = np.random.default_rng(1).standard_t(1.5, size=(1000, 10))
        model = MLPWithBatchNormRegressor(
            hidden_layer_sizes=(50,) * 3,
            shuffle=False,
            batch_size=batch_size,
            batch_norm=batch_norm,
            max_iter=4,
            random_state=0,
        )
        assert warnings_of(model, X, X[:, 0] + np.sin(X[:, 1])) == []

    def test_uneven_weights(self, batch_size, batch_norm):
        rng = np.random.default_rng(2)
        X = rng.standard_normal((1000, 10))
        weight = np.exp(1.5 * rng.standard_normal(1000))
        model = MLPWithBatchNormClassifier(
            shuffle=False,
            batch_size=batch_size,
            batch_norm=batch_norm,
            max_iter=4,
            random_state=0,
        )
        assert warnings_of(model, X, X[:, 0] > 0, sample_weight=weight) == []

    def test_units_that_few_rows_activate(self, batch_size, batch_norm):
        rng = np.random.default_rng(3)
        X = (rng.random((1000, 30)) < 0.01) * rng.exponential(size=(1000, 30))
        model = MLPWithBatchNormClassifier(
            (50,) * 3,
            shuffle=False,
            batch_size=batch_size,
            batch_norm=batch_norm,
            max_iter=4,
            random_state=0,
        )
        assert warnings_of(model, X, rng.integers(0, 2, 1000)) == []


def test_share_of_known_variances(monkeypatch):
    # One layer of the inputs themselves: within mini-batches of 10 rows a variance of 1, the
    # means of the mini-batches are -3 or 3.
    monkeypatch.setattr(batch_variance, "QUANTILE", 0.0)
    monkeypatch.setattr(batch_variance, "ERRORS", 0.0)
    from networks import random_network, random_table

    from skbn.network import views
    from skbn.network.statistics import set_exact_statistics

    units, loss = [1, 1, 1], "squared_error"
    network = random_network(units, "identity", "before", loss)
    views.weights(network.plan, network.parameters)[0][:] = 1.0
    table = random_table(1000, units, loss, normalized=False)
    rng = np.random.default_rng(0)
    within = rng.standard_normal((100, 10))
    within -= within.mean(axis=1, keepdims=True)
    within /= within.std(axis=1, ddof=1, keepdims=True)
    signs = np.resize([-3.0, 3.0], (100, 1))
    table.X[:] = (within + signs).reshape(1000, 1)
    set_exact_statistics(network, table)
    before = network.parameters.copy(), network.statistics.copy()
    share = batch_variance.share_within_batches(network, table, np.arange(0, 1001, 10))
    assert share == pytest.approx(1.0 / ((0.9 + 9.0) * 1000 / 999), rel=1e-9)
    # Three standard errors of a quotient of variances with 900 and 999 degrees of freedom.
    monkeypatch.setattr(batch_variance, "ERRORS", 3.0)
    bound = batch_variance.share_within_batches(network, table, np.arange(0, 1001, 10))
    assert bound - share == pytest.approx(3.0 * np.sqrt(2 / 900 - 2 / 999), rel=1e-9)
    # Every second row counts as three: the sums of the weights of a mini-batch are 20.
    table.sample_weight = np.resize([1.0, 3.0], 1000)
    monkeypatch.setattr(batch_variance, "ERRORS", 0.0)
    weighted = batch_variance.share_within_batches(network, table, np.arange(0, 1001, 10))
    weight = table.sample_weight.reshape(100, 10)
    x = table.X.reshape(100, 10)
    mean = np.average(x, axis=1, weights=weight)
    inside = (weight * (x - mean[:, np.newaxis]) ** 2).sum() / (2000 - 100 * 50 / 20)
    whole = (weight * (x - np.average(x, weights=weight)) ** 2).sum() / (2000 - 5000 / 2000)
    assert weighted == pytest.approx(inside / whole, rel=1e-9)
    # Nothing has changed.
    np.testing.assert_array_equal(network.parameters, before[0])
    np.testing.assert_array_equal(network.statistics, before[1])
