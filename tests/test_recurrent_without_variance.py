"""Recurrent networks where nothing varies over a batch, for hundreds of steps.

The black rows above a digit are the same in all images. A batch norm by 1 / sqrt(epsilon), here
316, at each of 300 steps would multiply what goes back through them by 1e750, and whether equal
rows are equal behind a matrix product is a matter of rounding, which differs with their number.
"""

import numpy as np
import pytest
from sequences import CELLS, random_recurrent, random_sequences
from skbn.network.operations.registry import PARTS
from threadpoolctl import threadpool_limits

from skbn.network import optimizer as optimizers
from skbn.network import views
from skbn.network.plan import BATCH_NORM

N_HEAD, N_TAIL = 320, 8
LOSS = "squared_error"
# Sizes at which OpenBLAS sums some rows of the product with the state in another order.
UNITS = {"lstm": [8, 63, 9, 2], "gru": [8, 33, 9, 2], "tanh": [8, 34, 9, 2]}

each_cell = pytest.mark.parametrize("cell", CELLS)
each_norm = pytest.mark.parametrize("batch_norm", ["full", "input"])
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each_size = pytest.mark.parametrize("n", [5, 17, 64, 100])
# All columns black, or each of a color of its own, whose products are rounded.
each_batch = pytest.mark.parametrize(
    ("n", "color"),
    [(5, None), (17, None), (64, None), (100, None), (17, 0.0)],
    ids=["5", "17", "64", "100", "black"],
)


@pytest.fixture(autouse=True)
def _one_thread():
    # Products of a few rows, thousands of them.
    with threadpool_limits(1):
        yield


def network_of(units, cell, batch_norm, n_steps, dtype, **options):
    # Weights at which h does not grow by itself: with those of an initialization, or so.
    network = random_recurrent(units, cell, batch_norm, n_steps, LOSS, dtype=dtype, **options)
    for weight in views.weights(network.plan, network.parameters):
        weight /= 2 * np.sqrt(len(weight))
    return network


def sequences_of(n, units, n_head, color, dtype):
    """The same varied steps behind `n_head` constant ones."""
    table = random_sequences(n, N_HEAD + N_TAIL, units[0], LOSS, units[-1], dtype=dtype)
    colors = np.random.default_rng(1).standard_normal(units[0]) if color is None else color
    table.X[:, :N_HEAD] = colors
    table.X = np.ascontiguousarray(table.X[:, N_HEAD - n_head :])
    table.lengths[:] = n_head + N_TAIL
    return table


def gradient_norm(units, cell, batch_norm, n, n_head, color, dtype, **options):
    network = network_of(units, cell, batch_norm, n_head + N_TAIL, dtype, **options)
    losses, gradient = network.loss_and_gradient(sequences_of(n, units, n_head, color, dtype))
    assert np.isfinite(losses).all()
    assert np.isfinite(gradient).all()
    return np.linalg.norm(gradient.astype(np.float64))


@each_cell
@each_norm
@each_batch
def test_the_gradient_does_not_grow_with_steps_without_variance(cell, batch_norm, n, color):
    norms = {
        dtype: [
            gradient_norm(UNITS[cell], cell, batch_norm, n, n_head, color, dtype)
            for n_head in (0, 20, N_HEAD)
        ]
        for dtype in (np.float32, np.float64)
    }
    for alone, short, long in norms.values():
        # The states that the varied steps begin with are others: not the same gradient, but one
        # of that size, which three hundred steps more do not change.
        assert 0.2 * alone < long < 5 * alone
        assert 0.95 * short < long < 1.05 * short
    # Rounding has no part in it.
    np.testing.assert_allclose(norms[np.float32], norms[np.float64], rtol=1e-4)


@each_cell
@each_size
def test_nor_with_statistics_of_the_inputs_that_are_shared_over_time(cell, n):
    alone, short, long = (
        gradient_norm(UNITS[cell], cell, "full", n, n_head, 0.0, np.float64, shared=True)
        for n_head in (0, 20, N_HEAD)
    )
    # What varies is smaller beside what all steps have, the more of them do not vary.
    assert 1e-3 * min(alone, short) < long < 10 * max(alone, short)


@each_cell
@each_norm
@each_dtype
@each_batch
def test_running_variances_are_0_at_steps_without_variance(cell, batch_norm, n, color, dtype):
    n_steps = N_HEAD + N_TAIL
    network = network_of(UNITS[cell], cell, batch_norm, n_steps, dtype)
    table = sequences_of(n, UNITS[cell], N_HEAD, color, dtype)
    losses = network.train(
        table, optimizers.sgd(), network.new_moments(), np.arange(n), np.array([0, n]), np.zeros(1)
    )
    norms = network.plan[network.plan["kind"] == BATCH_NORM]
    for row, var in zip(norms, views.running_vars(network.plan, network.statistics), strict=True):
        # What comes from the state before is a step late.
        n_constant = N_HEAD + (row["part"] == PARTS["recurrent_norm"])
        np.testing.assert_array_equal(var[:n_constant], 0.0)
        assert (var[n_constant:] > 0.0).all()
    # The first batch has set the running statistics, so inference is what training was.
    outputs = network.infer(table)
    loss = 0.5 * ((outputs - table.y) ** 2).sum(axis=1).mean()
    np.testing.assert_allclose(losses[0, 0], loss, rtol=1e-4 if dtype == np.float32 else 1e-9)
