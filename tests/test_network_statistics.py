"""Running statistics of networks: exponential ones, and exact ones at the end."""

import numpy as np
import pytest
from networks import as_sparse, random_network, random_table

from skbn.network import optimizer as optimizers
from skbn.network import statistics, views
from skbn.network.plan import BATCH_NORM

UNITS = [4, 7, 6, 3]
LOSS = "softmax_log_loss"


def moments_of_layers(network, table, rows):
    """Weighted moments of what each normalized layer gets, layers below in inference mode."""
    weights = None if table.sample_weight is None else table.sample_weight[rows]
    for position in np.flatnonzero(network.plan["kind"] == BATCH_NORM):
        x = network.infer(table, rows, position).astype(np.float64)
        mean = np.average(x, axis=0, weights=weights)
        yield mean, np.average((x - mean) ** 2, axis=0, weights=weights)


@pytest.mark.parametrize("batch_norm", ["before", "after"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("block_rows", [7, 8192])
def test_exact_statistics(batch_norm, weighted, block_rows, monkeypatch):
    monkeypatch.setattr(statistics, "BLOCK_ROWS", block_rows)
    network = random_network(UNITS, "tanh", batch_norm, LOSS)
    table = random_table(100, UNITS, LOSS, weighted=weighted)
    rows = np.arange(10, 90)
    statistics.set_exact_statistics(network, table, rows)
    running = zip(
        views.running_means(network.plan, network.statistics),
        views.running_vars(network.plan, network.statistics),
        moments_of_layers(network, table, rows),
        strict=True,
    )
    for mean, var, (desired_mean, desired_var) in running:
        np.testing.assert_allclose(mean[0], desired_mean, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(var[0], desired_var, rtol=1e-10)


@pytest.mark.parametrize("batch_norm", ["before", "after"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("block_rows", [7, 8192])
def test_exact_statistics_of_a_sparse_table_are_those_of_the_dense_one(
    batch_norm, weighted, block_rows, monkeypatch
):
    monkeypatch.setattr(statistics, "BLOCK_ROWS", block_rows)
    network = random_network(UNITS, "silu", batch_norm, LOSS, dropout=0.5)
    table = random_table(100, UNITS, LOSS, weighted=weighted, sparse=True)
    rows = np.arange(90, 10, -1)
    statistics.set_exact_statistics(network, table, rows)
    expected = network.statistics.copy()
    network.statistics[:] = 1.0
    statistics.set_exact_statistics(network, as_sparse(table), rows)
    np.testing.assert_allclose(network.statistics, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_exact_statistics_know_no_dropout(batch_norm):
    # A batch norm's input is what inference gives it: nothing dropped, nothing scaled.
    plain, dropping = (
        random_network(UNITS, "gelu", batch_norm, LOSS, dropout=rate) for rate in (0.0, 0.5)
    )
    np.testing.assert_array_equal(plain.parameters, dropping.parameters)
    table = random_table(100, UNITS, LOSS)
    for network in (plain, dropping):
        statistics.set_exact_statistics(network, table)
    np.testing.assert_array_equal(plain.statistics, dropping.statistics)


def test_inference_by_exact_statistics_is_training_on_the_whole_table():
    # With all rows in one batch, batch and population statistics are the same.
    network = random_network(UNITS, "tanh", "before", "squared_error")
    table = random_table(60, UNITS, "squared_error")
    loss = network.loss_and_gradient(table)[0][0, 0]
    statistics.set_exact_statistics(network, table)
    outputs = network.infer(table)
    assert 0.5 * ((outputs - table.y) ** 2).sum() / 60 == pytest.approx(loss, rel=1e-12)


def test_interrupted_exact_statistics_change_nothing(monkeypatch):
    network = random_network(UNITS, "tanh", "before", LOSS)
    before = network.statistics
    values = before.copy()

    def interrupted(*arguments):
        raise KeyboardInterrupt

    # Between the first batch norm and the second.
    monkeypatch.setattr(statistics.inference, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        statistics.set_exact_statistics(network, random_table(20, UNITS, LOSS))
    assert network.statistics is before
    np.testing.assert_array_equal(before, values)


def test_exponential_statistics():
    units = [4, 5, 3]
    network = random_network(units, "tanh", "before", LOSS)
    network.statistics[:] = 123.0  # the first batch sets them
    table = random_table(30, units, LOSS)
    weights = views.weights(network.plan, network.parameters)[0].copy()
    x = (table.X - table.input_mean) * table.input_invstd @ weights
    bounds = np.array([0, 10, 20, 30])
    # A learning rate of 0: the weights stay, so what each batch looked like is known.
    network.train(
        table, optimizers.sgd(), network.new_moments(), np.arange(30), bounds, np.zeros(3)
    )
    mean, var = x[:10].mean(axis=0), x[:10].var(axis=0)
    for start in (10, 20):
        mean = 0.9 * mean + 0.1 * x[start : start + 10].mean(axis=0)
        var = 0.9 * var + 0.1 * x[start : start + 10].var(axis=0)
    np.testing.assert_allclose(
        views.running_means(network.plan, network.statistics)[0][0], mean, rtol=1e-10, atol=1e-12
    )
    np.testing.assert_allclose(
        views.running_vars(network.plan, network.statistics)[0][0], var, rtol=1e-10
    )
    assert network.n_batches_tracked == 3


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_exponential_statistics_of_a_sparse_table_are_those_of_the_dense_one(batch_norm):
    table = random_table(30, UNITS, LOSS, sparse=True)
    results = []
    for X in (table, as_sparse(table)):
        network = random_network(UNITS, "tanh", batch_norm, LOSS)
        bounds = np.array([0, 10, 20, 30])
        rates = np.full(3, 0.1)
        network.train(X, optimizers.sgd(), network.new_moments(), np.arange(30), bounds, rates)
        results.append(network.statistics)
    np.testing.assert_allclose(*results, rtol=1e-10, atol=1e-12)


def test_a_batch_of_one_row_leaves_the_statistics_alone():
    network = random_network(UNITS, "tanh", "before", LOSS)
    values = network.statistics.copy()
    table = random_table(1, UNITS, LOSS, normalized=False)
    losses = network.train(
        table,
        optimizers.sgd(),
        network.new_moments(),
        np.array([0]),
        np.array([0, 1]),
        np.array([0.1]),
    )
    assert np.isfinite(losses).all()
    np.testing.assert_array_equal(network.statistics, values)
    assert network.n_batches_tracked == 0


def test_inference_does_not_depend_on_blocks_or_the_rows_beside_it():
    network = random_network(UNITS, "tanh", "after", LOSS)
    table = random_table(10_000, UNITS, LOSS)
    everything = network.infer(table)
    some = np.array([9_999, 0, 4_096, 17])
    np.testing.assert_allclose(network.infer(table, some), everything[some], rtol=1e-12)


@pytest.mark.parametrize("batch_norm", ["before", "after"])
@pytest.mark.parametrize("kept_rows", [0, 10, 20, 45, 1000])
@pytest.mark.parametrize("sparse", [False, True])
def test_rows_that_are_kept_change_no_statistic(batch_norm, kept_rows, sparse, monkeypatch):
    # Layers that widen and narrow, so that a block has more or fewer values than the one before.
    units = [4, 5, 9, 3, 7, 2]
    table = random_table(55, units, "squared_error", weighted=True, sparse=sparse)
    table = as_sparse(table) if sparse else table
    rows = np.arange(54, -1, -1)
    results, advanced = [], []
    original = statistics.inference.advance
    monkeypatch.setattr(
        statistics.inference,
        "advance",
        lambda *arguments: advanced.append(len(arguments[0])) or original(*arguments),
    )
    monkeypatch.setattr(statistics, "BLOCK_ROWS", 10)
    for size in (0, 8 * 9 * kept_rows):
        monkeypatch.setattr(statistics, "KEPT_BYTES", size)
        network = random_network(units, "relu", batch_norm, "squared_error")
        statistics.set_exact_statistics(network, table, rows)
        results.append(network.statistics)
        if size == 0:
            assert not advanced
    np.testing.assert_array_equal(*results)
    # Whole blocks, or all rows; in three of four layers.
    assert sum(advanced) == 3 * min(kept_rows - kept_rows % 10, 55)
