"""The gradient of recurrent networks, against central differences in float64."""

from dataclasses import replace

import numpy as np
import pytest
from networks import LOSSES
from sequences import CELLS, NORMS, lengths_of, random_recurrent, random_sequences
from skbn.kernels.pooling import POOLINGS
from skbn.kernels.sequences import pack
from skbn.network.operations.normalization import own_steps
from test_network_gradients import assert_gradient

from skbn.network import views

ONE_LAYER, TWO_LAYERS = [3, 4, 2], [3, 4, 3, 2]
N_STEPS = 4

each_cell = pytest.mark.parametrize("cell", CELLS)
each_norm = pytest.mark.parametrize("batch_norm", NORMS)
each_kind_of_norm = pytest.mark.parametrize("batch_norm", [n for n in NORMS if n is not None])
each_direction = pytest.mark.parametrize("bidirectional", [False, True])
# The other tests are of "last".
each_other_pooling = pytest.mark.parametrize("pooling", [p for p in POOLINGS if p != "last"])


def sequences(units, loss="squared_error", n=12, n_steps=N_STEPS, **options):
    return random_sequences(n, n_steps, units[0], loss, units[-1], **options)


@each_cell
@each_norm
@each_direction
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient(cell, batch_norm, bidirectional, ragged, weighted):
    units = ONE_LAYER
    network = random_recurrent(
        units, cell, batch_norm, N_STEPS, "squared_error", bidirectional=bidirectional
    )
    assert_gradient(network, sequences(units, ragged=ragged, weighted=weighted), alpha=0.3)


@each_cell
@each_norm
@each_direction
@each_other_pooling
@pytest.mark.parametrize(("ragged", "weighted"), [(False, False), (True, False), (True, True)])
def test_gradient_of_a_pooling(cell, batch_norm, bidirectional, pooling, ragged, weighted):
    units = ONE_LAYER
    network = random_recurrent(
        units, cell, batch_norm, N_STEPS, "squared_error", bidirectional=bidirectional,
        pooling=pooling,
    )  # fmt: skip
    assert_gradient(network, sequences(units, ragged=ragged, weighted=weighted), alpha=0.3)


@each_cell
@pytest.mark.parametrize(
    ("batch_norm", "shared"),
    [(None, False), ("input", False), ("input", True), ("full", False), ("full", True)],
)
@each_direction
@each_other_pooling
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_gradient_of_a_pooling_of_two_layers(
    cell, batch_norm, shared, bidirectional, pooling, dropout
):
    units, loss = TWO_LAYERS, "softmax_log_loss"
    # With the seed 0 a difference quotient reaches across the point where two steps are equal.
    seed = 1 if (cell, pooling) == ("gru", "max") else 0
    network = random_recurrent(
        units, cell, batch_norm, N_STEPS, loss, bidirectional=bidirectional, shared=shared,
        pooling=pooling, dropout=dropout, seed=seed,
    )  # fmt: skip
    assert_gradient(network, sequences(units, loss, ragged=True, weighted=True), alpha=0.3, seed=5)


@each_cell
@each_kind_of_norm
@each_direction
@pytest.mark.parametrize(("ragged", "weighted"), [(False, False), (True, False), (True, True)])
def test_gradient_of_statistics_shared_over_time(cell, batch_norm, bidirectional, ragged, weighted):
    units = ONE_LAYER
    network = random_recurrent(
        units, cell, batch_norm, N_STEPS, "squared_error", bidirectional=bidirectional, shared=True
    )
    assert_gradient(network, sequences(units, ragged=ragged, weighted=weighted))


@each_cell
@pytest.mark.parametrize(
    ("batch_norm", "shared"),
    [(None, False), ("input", False), ("input", True), ("full", False), ("full", True)],
)
@each_direction
def test_gradient_of_two_layers(cell, batch_norm, shared, bidirectional):
    units, loss = TWO_LAYERS, "softmax_log_loss"
    network = random_recurrent(
        units, cell, batch_norm, N_STEPS, loss, bidirectional=bidirectional, shared=shared
    )
    assert_gradient(network, sequences(units, loss, ragged=True, weighted=True), alpha=0.3)


@pytest.mark.parametrize("loss", LOSSES)
@each_cell
def test_gradient_of_every_loss(loss, cell):
    units = ONE_LAYER
    network = random_recurrent(units, cell, "full", N_STEPS, loss)
    assert_gradient(network, sequences(units, loss, ragged=True, weighted=True))


@each_cell
@each_norm
@each_direction
def test_gradient_with_dropout(cell, batch_norm, bidirectional):
    units = TWO_LAYERS
    network = random_recurrent(
        units, cell, batch_norm, N_STEPS, "squared_error", bidirectional=bidirectional, dropout=0.4
    )
    table = sequences(units, ragged=True, weighted=True)
    assert_gradient(network, table, alpha=0.3, seed=5, step=7)
    # Not the gradient of another mask.
    gradients = {
        network.loss_and_gradient(table, seed=seed, step=step)[1].tobytes()
        for seed, step in [(0, 0), (5, 0), (0, 7), (5, 7), (7, 5)]
    }
    assert len(gradients) == 5


@each_cell
@each_kind_of_norm
@pytest.mark.parametrize("shared", [False, True])
def test_gradient_of_one_sequence_takes_the_running_statistics_as_constants(
    cell, batch_norm, shared
):
    units = TWO_LAYERS
    network = random_recurrent(
        units, cell, batch_norm, N_STEPS, "squared_error", bidirectional=True, shared=shared
    )
    table = sequences(units, n=5, ragged=True, weighted=True)
    table.sample_weight[:] = 2.0
    for row in range(5):
        rows = np.array([row])
        assert_gradient(network, table, rows, alpha=0.1)
        # The statistics of a batch are not looked at, so training is inference.
        outputs = network.infer(table, rows)
        loss = 0.5 * ((outputs - table.y[rows]) ** 2).sum()
        losses, _ = network.loss_and_gradient(table, rows)
        np.testing.assert_allclose(losses[0], [loss, 0.0], rtol=1e-12)


@each_cell
@each_kind_of_norm
@each_direction
@pytest.mark.parametrize("lengths", [[4, 4], [2, 4], [1, 4], [1, 1]])
def test_gradient_of_two_sequences(cell, batch_norm, bidirectional, lengths):
    # Two numbers are normalized to -1 and 1 but where they meet, within some sqrt(epsilon):
    # wide enough for differences to see what happens there.
    units = ONE_LAYER
    network = random_recurrent(
        units, cell, batch_norm, N_STEPS, "squared_error", bidirectional=bidirectional, epsilon=0.1
    )
    assert_gradient(network, sequences(units, n=2, lengths=lengths))


# How many sequences reach each step, and how many steps have statistics of their own.
BORROWED = {
    "later steps": ([12, 10, 8, 5, 3, 1], 3),
    "second step for want of a first": ([9, 5, 2, 1], 2),
    "two reach the second step": ([11, 2, 2], 2),
    "none": ([9, 1, 1], 1),
}


@pytest.mark.parametrize(("counts", "n_own"), BORROWED.values(), ids=BORROWED.keys())
@each_cell
@each_kind_of_norm
@each_direction
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_of_steps_that_few_sequences_reach(
    counts, n_own, cell, batch_norm, bidirectional, weighted
):
    units, lengths = ONE_LAYER, lengths_of(counts)
    assert own_steps(pack(lengths)[1]) == n_own
    network = random_recurrent(
        units, cell, batch_norm, len(counts), "squared_error", bidirectional=bidirectional,
        epsilon=0.1,
    )  # fmt: skip
    table = sequences(units, n=counts[0], n_steps=len(counts), lengths=lengths, weighted=weighted)
    if weighted:
        table.sample_weight += 0.5
    assert_gradient(network, table)


@each_cell
@each_direction
@pytest.mark.parametrize("shared", [False, True])
def test_gradient_of_sequences_longer_than_there_are_statistics(cell, bidirectional, shared):
    units = TWO_LAYERS
    network = random_recurrent(
        units, cell, "full", 2, "squared_error", bidirectional=bidirectional, shared=shared
    )
    assert_gradient(network, sequences(units, n=12, n_steps=5, ragged=True, weighted=True))


@each_cell
@each_norm
@each_direction
def test_gradient_of_sequences_of_one_step(cell, batch_norm, bidirectional):
    units = TWO_LAYERS
    network = random_recurrent(
        units, cell, batch_norm, N_STEPS, "squared_error", bidirectional=bidirectional
    )
    table = sequences(units, lengths=np.ones(12), weighted=True)
    assert_gradient(network, table)
    # There is no state before: what multiplies it has no part in anything.
    _, result = network.loss_and_gradient(table)
    recurrent_maps = views.weights(network.plan, result)[1:-1:2]
    for weight in recurrent_maps:
        np.testing.assert_array_equal(weight, 0.0)


@each_cell
@each_norm
@each_direction
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_what_stands_behind_a_sequence_is_not_read(
    cell, batch_norm, bidirectional, shared, pooling
):
    units = TWO_LAYERS
    network = random_recurrent(
        units, cell, batch_norm, N_STEPS, "squared_error", bidirectional=bidirectional,
        shared=shared, pooling=pooling,
    )  # fmt: skip
    table = sequences(units, ragged=True, weighted=True)
    losses, result = network.loss_and_gradient(table)
    outputs = network.infer(table)
    assert np.isfinite(losses).all()
    assert np.isfinite(result).all()
    assert np.isfinite(outputs).all()
    behind = np.arange(N_STEPS) >= table.lengths[:, None]
    assert behind.any()
    for filling in (0.0, 1e300, -np.inf):
        X = table.X.copy()
        X[behind] = filling
        other = replace(table, X=X)
        other_losses, other_result = network.loss_and_gradient(other)
        assert other_losses.tobytes() == losses.tobytes()
        assert other_result.tobytes() == result.tobytes()
        assert network.infer(other).tobytes() == outputs.tobytes()
    # Nor does it matter how much room there is for it.
    X = np.concatenate([table.X, np.full_like(table.X, np.nan)], axis=1)
    wider = replace(table, X=X)
    wider_losses, wider_result = network.loss_and_gradient(wider)
    assert wider_losses.tobytes() == losses.tobytes()
    assert wider_result.tobytes() == result.tobytes()
    assert network.infer(wider).tobytes() == outputs.tobytes()


@each_cell
@each_norm
@each_direction
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_weight_of_two_is_the_sequence_twice(cell, batch_norm, bidirectional, shared, pooling):
    # Which steps have statistics of their own depends on how many sequences have a weight,
    # whatever it is: here all steps have, repeated or not.
    units, loss = TWO_LAYERS, "softmax_log_loss"
    network = random_recurrent(
        units, cell, batch_norm, N_STEPS, loss, bidirectional=bidirectional, shared=shared,
        pooling=pooling,
    )  # fmt: skip
    table = sequences(units, loss, n=80, ragged=True, weighted=True)
    repeated = replace(table, sample_weight=None)
    rows = np.repeat(np.arange(80), table.sample_weight.astype(int))
    order, counts, _ = pack(table.lengths)
    assert own_steps(counts, table.sample_weight[order]) == N_STEPS
    assert own_steps(pack(table.lengths[rows])[1]) == N_STEPS
    # The penalty is divided by the total weight: the same in both.
    weighted_losses, weighted_gradient = network.loss_and_gradient(table, alpha=0.3)
    repeated_losses, repeated_gradient = network.loss_and_gradient(repeated, rows, alpha=0.3)
    np.testing.assert_allclose(weighted_losses, repeated_losses, rtol=1e-12)
    np.testing.assert_allclose(weighted_gradient, repeated_gradient, rtol=1e-9, atol=1e-12)


@each_cell
@each_norm
@each_direction
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_order_of_sequences_does_not_matter(cell, batch_norm, bidirectional, shared, pooling):
    units, loss = TWO_LAYERS, "softmax_log_loss"
    network = random_recurrent(
        units, cell, batch_norm, N_STEPS, loss, bidirectional=bidirectional, shared=shared,
        pooling=pooling,
    )  # fmt: skip
    table = sequences(units, loss, n=30, ragged=True, weighted=True)
    losses, result = network.loss_and_gradient(table)
    outputs = network.infer(table)
    for seed in range(3):
        rows = np.random.default_rng(seed).permutation(30)
        other_losses, other_result = network.loss_and_gradient(table, rows)
        np.testing.assert_allclose(other_losses, losses, rtol=1e-12)
        np.testing.assert_allclose(other_result, result, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(network.infer(table, rows), outputs[rows], rtol=1e-12)


@each_cell
@each_kind_of_norm
@each_direction
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("counts", [[12, 10, 9], [12, 2, 2], [30, 9, 8]])
def test_a_sequence_without_weight_is_as_if_it_were_not_there(
    cell, batch_norm, bidirectional, shared, counts
):
    # Longer than the others, too: nothing at a step that no weight reaches is divided by it.
    units, lengths = TWO_LAYERS, lengths_of(counts)
    network = random_recurrent(
        units, cell, batch_norm, 3, "squared_error", bidirectional=bidirectional, shared=shared
    )
    table = sequences(units, n=counts[0], n_steps=3, lengths=lengths)
    table.sample_weight = np.where(lengths > 1, 0.0, 1.0)
    losses, result = network.loss_and_gradient(table, alpha=0.3)
    assert np.isfinite(losses).all()
    assert np.isfinite(result).all()
    there = np.flatnonzero(lengths == 1)
    other_losses, other_result = network.loss_and_gradient(table, there, alpha=0.3)
    np.testing.assert_allclose(losses, other_losses, rtol=1e-12)
    np.testing.assert_allclose(result, other_result, rtol=1e-9, atol=1e-12)


def test_steps_with_statistics_of_their_own_count_sequences_with_a_weight():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        lengths = rng.integers(1, 7, rng.integers(1, 30))
        weights = rng.integers(0, 2, len(lengths)) * 0.5
        weights[rng.integers(len(lengths))] = 2.0
        there = weights > 0.0
        order, counts, _ = pack(lengths)
        expected = own_steps(pack(lengths[there])[1])
        assert own_steps(counts, weights[order]) == expected
        assert own_steps(counts) == own_steps(counts, np.full(len(lengths), 0.1))
