"""Training by the running statistics, which stay as they are: gradients and whole steps."""

import numpy as np
import pytest
from networks import as_sparse, random_network, random_table
from sequences import CELLS, random_recurrent, random_sequences
from skbn.kernels.layer import lanes
from test_network_gradients import assert_gradient

from skbn.network import network as network_module
from skbn.network import optimizer as optimizers
from skbn.network.statistics import set_exact_statistics

UNITS, LOSS = [4, 6, 5, 3], "squared_error"

each_norm = pytest.mark.parametrize("batch_norm", ["before", "after"])
each_weights = pytest.mark.parametrize("weighted", [False, True])


def frozen(network):
    network.is_frozen = True
    return network


def dense_case(batch_norm, **options):
    network = random_network(UNITS, "tanh", batch_norm, LOSS)
    return frozen(network), random_table(12, UNITS, LOSS, **options)


def sequence_case(cell, batch_norm, *, shared=False, bidirectional=False, **options):
    network = random_recurrent(
        [3, 4, 3, 2], cell, batch_norm, 4, LOSS, shared=shared, bidirectional=bidirectional
    )
    return frozen(network), random_sequences(9, 4, 3, LOSS, 2, **options)


@each_norm
@each_weights
@pytest.mark.parametrize("sparse", [False, True])
def test_gradient(batch_norm, weighted, sparse):
    network, table = dense_case(batch_norm, weighted=weighted, sparse=sparse)
    assert_gradient(network, as_sparse(table) if sparse else table, alpha=0.3)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("batch_norm", ["full", "input"])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@each_weights
def test_gradient_of_sequences(cell, batch_norm, shared, bidirectional, weighted):
    network, table = sequence_case(
        cell, batch_norm, shared=shared, bidirectional=bidirectional, ragged=True,
        weighted=weighted,
    )  # fmt: skip
    assert_gradient(network, table, alpha=0.3)


def assert_mean_over_rows(network, table):
    losses, gradient = network.loss_and_gradient(table)
    of_rows = [network.loss_and_gradient(table, np.array([row])) for row in range(table.n_rows)]
    np.testing.assert_allclose(losses, np.mean([row for row, _ in of_rows], axis=0), rtol=1e-12)
    np.testing.assert_allclose(
        gradient, np.mean([row for _, row in of_rows], axis=0), rtol=1e-10, atol=1e-13
    )
    # Statistics of the batch would make another loss.
    network.is_frozen = False
    assert network.loss_and_gradient(table)[0][0, 0] != pytest.approx(losses[0, 0], rel=1e-3)


@each_norm
def test_rows_do_not_depend_on_each_other(batch_norm):
    assert_mean_over_rows(*dense_case(batch_norm))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("batch_norm", ["full", "input"])
@pytest.mark.parametrize("shared", [False, True])
def test_sequences_do_not_depend_on_each_other(cell, batch_norm, shared):
    assert_mean_over_rows(*sequence_case(cell, batch_norm, shared=shared, ragged=True))


@pytest.mark.skipif(lanes() == 0, reason="there are no loops of fused layers")
@pytest.mark.parametrize("activation", ["relu", "silu", "gelu"])
@each_norm
@each_weights
def test_layers_in_one_piece(monkeypatch, activation, batch_norm, weighted):
    monkeypatch.setattr(network_module, "LEAST_LAYER_ROWS", 0)
    units = [5, 37, 18, 3]
    table = random_table(40, units, LOSS, dtype=np.float32, weighted=weighted)
    network = frozen(random_network(units, activation, batch_norm, LOSS, dtype=np.float32))
    losses, gradient = network.loss_and_gradient(table)
    network.fuses_layers = False
    expected, plain = network.loss_and_gradient(table)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert np.linalg.norm(gradient - plain) < 1e-5 * np.linalg.norm(plain)


def trained(network, table, n_rows=4):
    before = network.parameters.copy()
    n = table.n_rows
    network.train(
        table,
        optimizers.adam(),
        network.new_moments(),
        np.arange(n),
        np.arange(0, n + 1, n_rows),
        np.full(n // n_rows, 0.01),
    )
    assert (network.parameters != before).all()


@pytest.mark.parametrize(
    "case",
    [
        lambda: dense_case("before"),
        lambda: dense_case("after"),
        lambda: sequence_case("lstm", "full"),
        lambda: sequence_case("gru", "full", shared=True),
        lambda: sequence_case("tanh", "input"),
    ],
    ids=["before", "after", "lstm", "gru", "tanh"],
)
def test_training_leaves_the_statistics(case):
    network, table = case()
    table.X[:] += 10.0
    n_rows = table.n_rows // 3
    before = network.statistics.copy()
    trained(network, table, n_rows)
    set_exact_statistics(network, table)
    np.testing.assert_array_equal(network.statistics, before)
    assert network.n_batches_tracked == network.n_steps_tracked == 0
    # A copy is frozen, too.
    set_exact_statistics(copy := network.copy(), table)
    np.testing.assert_array_equal(copy.statistics, before)
    # The statistics move if they are not frozen.
    network.is_frozen = False
    trained(network, table, n_rows)
    assert (network.statistics != before).any()
    assert network.n_batches_tracked == 3
