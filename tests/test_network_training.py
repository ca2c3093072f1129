"""What `Network` does with optimizers, masks and sparse tables."""

import threading
import tracemalloc

import numpy as np
import pytest
from networks import as_sparse, random_network, random_table
from scipy.sparse import csr_array

from skbn.kernels import blas
from skbn.network import optimizer as optimizers
from skbn.network.table import Table

UNITS = [6, 8, 7, 3]
LOSS = "squared_error"
N_ROWS, BATCH = 40, 10


def steps(network, table, optimizer, learning_rate=0.05, **options):
    """Train on each batch once; the losses."""
    bounds = np.arange(0, N_ROWS + 1, BATCH)
    return network.train(
        table,
        optimizer,
        network.new_moments(),
        np.arange(N_ROWS),
        bounds,
        np.full(len(bounds) - 1, learning_rate),
        **options,
    )


def one_step(network, table, optimizer, learning_rate=1.0, **options):
    """What one step on all rows changes."""
    before = network.parameters.copy()
    network.train(
        table,
        optimizer,
        network.new_moments(),
        np.arange(N_ROWS),
        np.array([0, N_ROWS]),
        np.array([learning_rate]),
        **options,
    )
    return network.parameters - before


@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-3)])
def test_training_on_a_sparse_table_is_training_on_the_dense_one(
    batch_norm, normalized, dtype, tolerance
):
    table = random_table(N_ROWS, UNITS, LOSS, dtype=dtype, normalized=normalized, sparse=True)
    results = []
    for X in (table, as_sparse(table)):
        network = random_network(UNITS, "gelu", batch_norm, LOSS, dtype=dtype, dropout=0.2)
        losses = steps(network, X, optimizers.sgd(), 0.01, alpha=0.1, seed=1)
        results.append((losses, network.parameters, network.statistics, network.infer(X)))
    for dense, sparse in zip(*results, strict=True):
        np.testing.assert_allclose(sparse, dense, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("n", [1, 100, 10_000])
def test_inference_of_a_sparse_table_is_that_of_the_dense_one(batch_norm, n):
    network = random_network(UNITS, "silu", batch_norm, LOSS)
    table = random_table(n, UNITS, LOSS, normalized=False, sparse=True)
    table.input_mean, table.input_invstd = np.arange(6.0), np.linspace(0.5, 1.0, 6)
    sparse = as_sparse(table)
    for rows in (None, np.arange(n)[::-3].copy()):
        for n_operations in (2, 3, None):
            np.testing.assert_allclose(
                network.infer(sparse, rows, n_operations),
                network.infer(table, rows, n_operations),
                rtol=1e-10,
                atol=1e-12,
            )


def test_a_sparse_table_without_entries():
    network = random_network(UNITS, "tanh", "before", LOSS)
    empty = Table(csr_array((N_ROWS, UNITS[0])), np.zeros((N_ROWS, UNITS[-1])))
    dense = Table(empty.X.toarray(), empty.y)
    np.testing.assert_allclose(network.infer(empty), network.infer(dense), rtol=1e-12)
    for result, expected in zip(
        network.loss_and_gradient(empty), network.loss_and_gradient(dense), strict=True
    ):
        np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-13)


def test_a_sparse_table_is_never_gathered():
    n, units = 500, [20_000, 4, 2]
    rng = np.random.default_rng(0)
    places = rng.integers(0, n, 1000), rng.integers(0, units[0], 1000)
    X = csr_array((np.ones(1000), places), shape=(n, units[0]))
    table = Table(X, np.zeros((n, units[-1])))
    network = random_network(units, "relu", "before", LOSS, dropout=0.5)
    moments, rows, bounds = network.new_moments(), np.arange(n), np.array([0, n])
    tracemalloc.start()
    try:
        network.train(table, optimizers.sgd(), moments, rows, bounds, np.array([0.1]))
        network.infer(table)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The gradient, and some columns of the hidden layer: of 80 megabytes nothing.
    assert peak < 2 * network.parameters.nbytes < n * units[0] * 8 / 50
    with pytest.raises(ValueError, match="never gathered"):
        network.infer(table, n_operations=1)


def test_the_memory_of_a_sparse_table_is_not_that_of_a_dense_one():
    network = random_network(UNITS, "tanh", "before", LOSS)
    table = random_table(N_ROWS, UNITS, LOSS, sparse=True)
    expected = network.loss_and_gradient(table)[1]
    for X in (as_sparse(table), table, as_sparse(table)):
        for rows in (None, np.arange(5)):
            network.loss_and_gradient(X, rows)
        np.testing.assert_allclose(network.loss_and_gradient(X)[1], expected, atol=1e-12)


@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("sparse", [False, True])
def test_inference_drops_nothing(batch_norm, sparse):
    table = random_table(N_ROWS, UNITS, LOSS, sparse=sparse)
    table = as_sparse(table) if sparse else table
    plain, dropping = (
        random_network(UNITS, "silu", batch_norm, LOSS, dropout=rate) for rate in (0.0, 0.9)
    )
    np.testing.assert_array_equal(dropping.infer(table), plain.infer(table))


@pytest.mark.parametrize("batch_norm", ["before", None])
def test_masks_follow_from_the_seed_and_the_step(batch_norm):
    table = random_table(N_ROWS, UNITS, LOSS)
    losses = {}
    for seed in (0, 0, 1, -1, 2**62):
        network = random_network(UNITS, "relu", batch_norm, LOSS, dropout=0.5)
        optimizer = optimizers.sgd()
        # A learning rate of 0, so that the losses differ by the masks alone.
        result = steps(network, table, optimizer, learning_rate=0.0, seed=seed)
        assert optimizer["step"][0] == N_ROWS // BATCH
        np.testing.assert_array_equal(losses.setdefault(seed, result), result)
        for step in range(len(result)):
            rows = np.arange(step * BATCH, (step + 1) * BATCH)
            alone, _ = network.loss_and_gradient(table, rows, seed=seed, step=step)
            np.testing.assert_array_equal(alone[0], result[step])
    assert len({result.tobytes() for result in losses.values()}) == len(losses) == 4


def test_one_batch_again_has_another_mask():
    network = random_network(UNITS, "relu", None, LOSS, dropout=0.5)
    table = random_table(BATCH, UNITS, LOSS)
    losses = network.train(
        table,
        optimizers.sgd(),
        network.new_moments(),
        np.tile(np.arange(BATCH), 3),
        BATCH * np.arange(4),
        np.zeros(3),
    )
    assert len(set(losses[:, 0])) == 3


def test_without_dropout_the_seed_changes_nothing():
    table = random_table(N_ROWS, UNITS, LOSS)
    results = []
    for seed in (0, 1):
        network = random_network(UNITS, "relu", "before", LOSS)
        steps(network, table, optimizers.adam(), seed=seed)
        results.append(network.parameters)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("alpha", [0.0, 10.0])
@pytest.mark.parametrize("max_grad_norm", [1e-3, 0.5])
def test_a_gradient_is_clipped_with_its_penalty(alpha, max_grad_norm):
    network = random_network(UNITS, "tanh", "before", LOSS)
    table = random_table(N_ROWS, UNITS, LOSS)
    _, gradient = network.loss_and_gradient(table, alpha=alpha)
    norm = np.linalg.norm(gradient)
    assert norm > max_grad_norm
    optimizer = optimizers.sgd(momentum=0.0, max_grad_norm=max_grad_norm)
    change = one_step(network, table, optimizer, alpha=alpha)
    np.testing.assert_allclose(change, -gradient * max_grad_norm / norm, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("make", [optimizers.sgd, optimizers.adam, optimizers.rmsprop])
def test_a_norm_that_is_not_reached_changes_no_bit(make):
    table = random_table(N_ROWS, UNITS, LOSS)
    results = []
    for max_grad_norm in (np.inf, 1e6):
        network = random_network(UNITS, "tanh", "before", LOSS)
        steps(network, table, make(max_grad_norm=max_grad_norm))
        results.append(network.parameters)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("make", [optimizers.sgd, optimizers.adam, optimizers.rmsprop])
def test_decay_is_not_clipped_and_shrinks_the_weights_alone(make):
    table = random_table(N_ROWS, UNITS, LOSS)
    network = random_network(UNITS, "tanh", "before", LOSS)
    before, n_weights = network.parameters.copy(), network.layout.n_weights
    plain, decayed = (
        one_step(
            random_network(UNITS, "tanh", "before", LOSS),
            table,
            make(max_grad_norm=1e-3, weight_decay=weight_decay),
            learning_rate=0.1,
        )
        for weight_decay in (0.0, 0.5)
    )
    np.testing.assert_allclose(
        (decayed - plain)[:n_weights], -0.05 * before[:n_weights], rtol=1e-9, atol=1e-15
    )
    np.testing.assert_array_equal(decayed[n_weights:], plain[n_weights:])


def test_products_of_sparse_inputs_are_not_those_of_the_blas():
    units = [50, 6, 3]
    network = random_network(units, "relu", "before", "softmax_log_loss")
    table = random_table(20, units, "softmax_log_loss", sparse=True)
    assert network.blas_flops_per_row(table) == network.flops_per_row(table) == 6 * (50 * 6 + 6 * 3)
    assert network.blas_flops_per_row(as_sparse(table)) == 6 * 6 * 3


def test_other_threads_run_while_a_block_is_trained():
    units, n_batches = [4, 6, 3], 20_000
    network = random_network(units, "relu", "before", "softmax_log_loss")
    table = random_table(32, units, "softmax_log_loss")
    optimizer, moments = optimizers.sgd(), network.new_moments()
    block = threading.Thread(
        target=network.train,
        args=(
            table,
            optimizer,
            moments,
            np.tile(np.arange(32), n_batches),
            np.arange(n_batches + 1) * 32,
            np.full(n_batches, 1e-6),
        ),
    )
    before = network.n_batches_tracked
    seen = set()
    block.start()
    while block.is_alive():
        seen.add(network.n_batches_tracked)
    assert network.n_batches_tracked == before + n_batches
    # Somewhere in its middle, which no thread could see if the block held the GIL.
    assert any(before < n < before + n_batches for n in seen)


def test_the_buffer_of_the_blas_is_touched_once_a_thread(monkeypatch):
    touched = []
    monkeypatch.setattr(blas, "matmul", lambda *operands: touched.append(operands))

    def train_twice(dtype):
        for _ in range(2):
            network = random_network([4, 6, 2], "tanh", "before", "squared_error", dtype=dtype)
            table = random_table(20, [4, 6, 2], "squared_error", dtype=dtype)
            network.loss_and_gradient(table)

    for dtype, expected in ((np.float64, 0), (np.float32, 1)):
        before = len(touched)
        thread = threading.Thread(target=train_twice, args=(dtype,))
        thread.start()
        thread.join()
        assert len(touched) - before == expected


@pytest.mark.parametrize("make", [optimizers.sgd, optimizers.adam, optimizers.rmsprop])
def test_each_segment_has_its_own_rate_and_decay(make):
    table = random_table(N_ROWS, UNITS, LOSS)

    def change(segments, **options):
        network = random_network(UNITS, "tanh", "before", LOSS)
        before = network.parameters.copy()
        network.layout = network.layout._replace(segments=segments)
        step = one_step(network, table, make(weight_decay=0.3), learning_rate=0.1, **options)
        return before, step

    layout = random_network(UNITS, "tanh", "before", LOSS).layout
    split = layout.n_weights // 2
    segments = np.array(
        [(0, split, 1.0, 0.0), (split, layout.n_weights, 6.0, 0.5), *layout.segments[1:].tolist()],
        layout.segments.dtype,
    )
    none = layout.segments.copy()
    none["decay"] = 0.0
    _, plain = change(none)
    before, changed = change(segments)
    np.testing.assert_allclose(changed[:split], plain[:split], rtol=1e-12)
    middle = slice(split, layout.n_weights)
    # Decay at six times the rate, and half of the factor, before a step of six times the rate.
    decayed = -0.1 * 6.0 * 0.3 * 0.5 * before[middle]
    np.testing.assert_allclose(changed[middle], 6.0 * plain[middle] + decayed, rtol=1e-9)
    np.testing.assert_array_equal(changed[layout.n_weights :], plain[layout.n_weights :])


def test_each_segment_has_its_share_of_the_penalty():
    network = random_network(UNITS, "tanh", "before", LOSS)
    table = random_table(N_ROWS, UNITS, LOSS)
    _, plain = network.loss_and_gradient(table)
    segments = network.layout.segments.copy()
    segments["decay"] = [0.5, 2.0]
    network.layout = network.layout._replace(segments=segments)
    losses, gradient = network.loss_and_gradient(table, alpha=0.3)
    factors = np.repeat(segments["decay"], segments["stop"] - segments["start"])
    np.testing.assert_allclose(
        gradient - plain, 0.3 / N_ROWS * factors * network.parameters, rtol=1e-9, atol=1e-15
    )
    expected = 0.15 / N_ROWS * np.sum(factors * network.parameters**2)
    np.testing.assert_allclose(losses[0, 1], expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["parameters", "statistics"])
def test_memory_that_cannot_be_written_to_is_not_trained(name):
    network = random_network(UNITS, "tanh", "before", LOSS)
    getattr(network, name).flags.writeable = False
    with pytest.raises(ValueError, match=f"{name} cannot be written to"):
        steps(network, random_table(N_ROWS, UNITS, LOSS), optimizers.sgd())


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("rows", lambda rows: rows.astype(np.int32)),
        ("rows", lambda rows: np.repeat(rows, 2)[::2]),
        ("bounds", lambda bounds: bounds.astype(np.float64)),
        ("learning_rates", lambda rates: rates.astype(np.float32)),
        ("learning_rates", lambda rates: rates[:-1]),
    ],
)
def test_arrays_of_another_kind_do_not_reach_the_loops(name, damage):
    network = random_network(UNITS, "tanh", "before", LOSS)
    table = random_table(N_ROWS, UNITS, LOSS)
    given = {
        "rows": np.arange(N_ROWS),
        "bounds": np.array([0, N_ROWS]),
        "learning_rates": np.array([0.1]),
    }
    given[name] = damage(given[name])
    with pytest.raises((ValueError, TypeError)):
        network.train(table, optimizers.sgd(), network.new_moments(), *given.values())


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", ["X", "y", "input_mean", "sample_weight"])
def test_tables_of_another_kind_do_not_reach_the_loops(name, sparse):
    network = random_network(UNITS, "tanh", "before", LOSS)
    table = random_table(N_ROWS, UNITS, LOSS, weighted=True, sparse=sparse)
    table = as_sparse(table) if sparse else table
    setattr(table, name, getattr(table, name).astype(np.int32 if name == "X" else np.float32))
    with pytest.raises(ValueError, match=r"not fit|network of float64"):
        network.loss_and_gradient(table)
