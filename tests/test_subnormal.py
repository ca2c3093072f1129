"""Subnormal numbers are flushed to zero while a block is trained, and at no other time."""

import platform

import numpy as np
import pytest
from networks import random_network, random_table

from skbn.network import optimizer as optimizers

UNITS = [6, 8, 3]
N = 20
FLUSHES = platform.machine().lower() in ("x86_64", "amd64", "aarch64", "arm64")


def subnormal_share(array):
    tiny = np.finfo(array.dtype).tiny
    return np.mean((array != 0) & (np.abs(array) < tiny))


def flushes(dtype):
    """Whether NumPy takes subnormal numbers for zero in this thread."""
    # In memory: the compiler of NumPy or Python must not compute it beforehand.
    smallest = np.array([np.finfo(dtype).tiny], dtype)
    halves = smallest * np.array([0.5], dtype)
    return bool((halves * np.array([1.0], dtype) == 0).all())


def trained(dtype, optimizer, n_steps, loss="squared_error"):
    """Moments at the end of steps without a gradient; they begin just above the subnormals."""
    network = random_network(UNITS, "relu", None, loss, dtype=dtype)
    table = random_table(N, UNITS, loss, dtype=dtype)
    network.parameters[:] = 0
    table.y[:] = 0
    moments = network.new_moments()
    moments[:] = 1.01 * np.finfo(dtype).tiny
    bounds = np.zeros(n_steps + 1, np.intp)
    bounds[1:] = N
    bounds[2:] += N * np.arange(1, n_steps)
    rows = np.tile(np.arange(N), n_steps)
    losses = network.train(table, optimizer, moments, rows, bounds, np.full(n_steps, 1e-3))
    return moments, losses


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "optimizer",
    [optimizers.adam, optimizers.rmsprop, optimizers.sgd],
    ids=lambda one: one.__name__,
)
@pytest.mark.skipif(not FLUSHES, reason="a processor whose subnormal numbers stay")
def test_moments_that_fade_away_become_zero(dtype, optimizer):
    moments, losses = trained(dtype, optimizer(), 100)
    assert len(losses) == 100
    assert subnormal_share(moments) == 0.0
    assert (moments[0] == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_setting_of_the_caller_stays(dtype):
    assert not flushes(dtype)
    trained(dtype, optimizers.adam(), 3)
    assert not flushes(dtype)
    assert np.float32(1e-40) * 1 != 0


def test_the_setting_stays_where_a_loss_is_not_finite():
    network = random_network(UNITS, "relu", None, "squared_error", dtype=np.float32)
    table = random_table(N, UNITS, "squared_error", dtype=np.float32)
    table.y[:] = np.inf
    rows, bounds = np.arange(N), np.array([0, N])
    moments = network.new_moments()
    losses = network.train(table, optimizers.adam(), moments, rows, bounds, np.full(1, 1e-3))
    assert len(losses) == 0
    assert not flushes(np.float32)
