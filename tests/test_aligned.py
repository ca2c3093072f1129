"""Flat arrays begin at a cache line: after a fit, a copy, a round trip through a file."""

import copy
import gc
import pickle
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skbn import (
    MLPEnsembleWithBatchNormClassifier,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
)
from skbn.network import aligned, optimizer
from tests.networks import random_network, random_table

LINE = 64

ESTIMATORS = [
    MLPWithBatchNormClassifier((13, 7), max_iter=2, random_state=0),
    MLPWithBatchNormRegressor(
        hidden_layer_sizes=(13, 7), max_iter=2, dtype="float64", random_state=0
    ),
    RNNWithBatchNormClassifier((5,), max_iter=2, random_state=0),
    MLPEnsembleWithBatchNormClassifier(
        MLPWithBatchNormClassifier((13, 7), max_iter=2), random_state=0
    ),
]


def begins_at_a_line(array):
    return array.size == 0 or array.ctypes.data % LINE == 0


def networks_of(estimator):
    return getattr(estimator, "estimators_", [estimator])


def assert_aligned(estimator, *, is_trained=True):
    # A later training copies moments that were loaded, and nobody reads them before.
    for network in networks_of(estimator):
        assert begins_at_a_line(network._parameters)
        if is_trained:
            assert begins_at_a_line(network._moments)


def rows(estimator):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 5))
    if isinstance(estimator, RNNWithBatchNormClassifier):
        X = rng.standard_normal((90, 3, 5))
    return X, rng.integers(0, 3, 90)


def fitted(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clone(estimator).fit(*rows(estimator))


def by_pickle(estimator):
    return pickle.loads(pickle.dumps(estimator))


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 20_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays(n, dtype):
    # Repeated: one array may begin at a line by chance.
    kept = [aligned.empty(n, dtype) for _ in range(5)]
    kept += [aligned.zeros((2, n), dtype) for _ in range(5)]
    behind = np.arange(n + 1, dtype=dtype)[1:]
    kept += [aligned.copy(behind) for _ in range(5)]
    assert all(map(begins_at_a_line, kept))
    assert {array.dtype for array in kept} == {np.dtype(dtype)}
    assert [array.shape for array in kept[::5]] == [(n,), (2, n), (n,)]
    assert not kept[5].any()
    np.testing.assert_array_equal(kept[10], behind)
    moved = aligned.moved(kept[10])
    assert moved is kept[10]
    np.testing.assert_array_equal(aligned.moved(behind), behind)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [7, 32, 50])
def test_memory_of_a_network(dtype, n):
    units = (5, 13, 7, 2)
    network = random_network(units, "silu", "before", "squared_error", dtype=dtype)
    table = random_table(n, units, "squared_error", dtype=dtype)
    moments = network.new_moments()
    network.train(
        table, optimizer.adam(), moments, np.arange(n), np.array([0, n]), np.array([1e-3])
    )
    _, memory = network._training_memory
    # The arrays that the memory holds are seen by the garbage collector alone.
    (arrays,) = gc.get_referents(memory)
    _, parameters, _, work, _, scratch, _, gradient, data_gradients, targets, _ = arrays
    flat = [parameters, moments, work, scratch, gradient, data_gradients, targets]
    assert all(map(begins_at_a_line, flat))
    assert memory.capacity * dtype().itemsize % LINE == 0
    assert n <= memory.capacity < n + 16
    assert memory.most_rows == n
    assert begins_at_a_line(network.copy().parameters)
    assert begins_at_a_line(network.snapshot()[0])


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
def test_estimators(estimator):
    X, y = rows(estimator)
    first = fitted(estimator)
    expected = first.predict(X)
    assert_aligned(first)
    for through in (copy.copy, copy.deepcopy, by_pickle):
        other = through(first)
        assert_aligned(other, is_trained=False)
        np.testing.assert_array_equal(other.predict(X), expected)
        other.partial_fit(X, y)
        assert_aligned(other)
        np.testing.assert_array_equal(first.predict(X), expected)


@pytest.mark.parametrize("mode", ["r", "c"])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
def test_files_that_are_mapped_into_memory(estimator, mode, tmp_path):
    X, y = rows(estimator)
    first = fitted(estimator)
    joblib.dump(first, tmp_path / "fitted.joblib")
    loaded = joblib.load(tmp_path / "fitted.joblib", mmap_mode=mode)
    for network in networks_of(loaded):
        assert isinstance(network._parameters, np.memmap)
    np.testing.assert_array_equal(loaded.predict(X), first.predict(X))
    loaded.partial_fit(X, y)
    first.partial_fit(X, y)
    np.testing.assert_array_equal(loaded.predict(X), first.predict(X))
    assert_aligned(loaded)
