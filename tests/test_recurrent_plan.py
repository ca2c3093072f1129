"""Plans of recurrent networks: their memory does not overlap, and views show all of it."""

import pickle
import tracemalloc

import numpy as np
import pytest
from sequences import CELLS, NORMS, random_recurrent, random_sequences
from skbn.kernels.cells import GATES
from skbn.kernels.pooling import POOLINGS
from skbn.network.operations.normalization import scratch_of
from skbn.network.operations.recurrent import state_columns

from skbn.network import views
from skbn.network.plan import (
    BATCH_NORM,
    DROPOUT,
    INPUTS,
    LINEAR,
    NO_PART,
    POOLING,
    RECURRENT,
    Layout,
)
from skbn.network.recurrent_plan import is_recurrent, lengthened, recurrent, steps_of
from skbn.network.table import Table

N_STEPS = 6

each_plan = pytest.mark.parametrize(
    "plan",
    [
        pytest.param(
            recurrent(
                units,
                cell,
                norm,
                N_STEPS,
                bidirectional=both,
                shared=shared,
                dropout=dropout,
                pooling=pooling,
            ),
            id=f"{units}-{cell}-{norm}-{both}-{shared}-{dropout}-{pooling}",
        )
        for units in ([5, 4, 3, 2], [1, 1, 1])
        for cell in CELLS
        for norm in NORMS
        for both in (False, True)
        for shared in ((False, True) if norm else (False,))
        for dropout, pooling in [(0.0, "last"), (0.5, "last"), (0.5, "mean_max")]
    ],
)


@each_plan
def test_every_parameter_belongs_to_one_part(plan):
    sizes = Layout.of(plan)
    counts = np.zeros(sizes.n_parameters)
    for view in (views.weights, views.biases, views.gammas, views.betas):
        for array in view(plan, counts):
            if array.flags.writeable:
                array += 1
    np.testing.assert_array_equal(counts, 1)


@each_plan
def test_every_statistic_belongs_to_one_part(plan):
    statistics = np.zeros(Layout.of(plan).n_statistics)
    norms = plan[plan["kind"] == BATCH_NORM]
    for view in (views.running_means, views.running_vars):
        for array, row in zip(view(plan, statistics), norms, strict=True):
            assert array.shape == (row["n_steps"], row["n_out"])
            array += 1
    np.testing.assert_array_equal(statistics, 1)


@each_plan
def test_every_scratch_belongs_to_one_part(plan):
    counts = np.zeros(Layout.of(plan).dense.plain.scratch)
    for row in plan[plan["kind"] == BATCH_NORM]:
        counts[row["scratch"] :][: scratch_of(row["n_steps"]) * row["n_out"]] += 1
    np.testing.assert_array_equal(counts, 1)


@each_plan
def test_state_columns_do_not_overlap(plan):
    counts = np.zeros(Layout.of(plan).state_columns)
    columns = state_columns(plan)
    for row, n in zip(plan, columns, strict=True):
        assert (n > 0) == (row["kind"] == RECURRENT)
        assert row["state"] + n <= len(counts)
        counts[row["state"] :][:n] += 1
    np.testing.assert_array_equal(counts, 1)


@each_plan
def test_work_columns_belong_to_one_operation_or_two_directions(plan):
    # One chain, but for two directions, which read one x and share the columns of one y.
    columns = np.zeros(Layout.of(plan).dense.plain.work_columns)
    source = 0
    for row in plan[plan["part"] == NO_PART]:
        assert row["x"] == source
        if row["direction"] + 1 < row["n_directions"] and row["kind"] == RECURRENT:
            continue
        columns[row["y"] :][: row["n_out"]] += 1
        source = row["y"]
    np.testing.assert_array_equal(columns, 1)


@each_plan
def test_weights_come_first(plan):
    marks = np.zeros(Layout.of(plan).n_parameters)
    for weight in views.weights(plan, marks):
        weight += 1
    n_weights = Layout.of(plan).n_weights
    np.testing.assert_array_equal(marks[:n_weights], 1)
    np.testing.assert_array_equal(marks[n_weights:], 0)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("batch_norm", NORMS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_parts_stand_behind_each_direction_in_one_order(cell, batch_norm, bidirectional):
    plan = recurrent([5, 4, 3, 2], cell, batch_norm, N_STEPS, bidirectional=bidirectional)
    direction = {
        None: [RECURRENT, LINEAR, LINEAR],
        "input": [RECURRENT, LINEAR, BATCH_NORM, LINEAR],
        "full": [RECURRENT, LINEAR, BATCH_NORM, LINEAR, BATCH_NORM]
        + (cell == "lstm") * [BATCH_NORM],
    }[batch_norm]
    directions = 2 if bidirectional else 1
    assert plan["kind"].tolist() == [INPUTS] + 2 * directions * direction + [POOLING, LINEAR]
    assert plan["direction"][plan["kind"] == RECURRENT].tolist() == 2 * list(range(directions))
    # Of a layer with two directions the one above reads both.
    width = GATES[cell]
    assert [weight.shape for weight in views.weights(plan, np.zeros(Layout.of(plan).n_parameters))][
        ::2
    ] == [(5, 4 * width)] * directions + [(4 * directions, 3 * width)] * directions + [
        (3 * directions, 2)
    ]


def test_dropout_comes_behind_each_recurrent_layer():
    plan = recurrent([5, 4, 3, 2], "gru", None, N_STEPS, bidirectional=True, dropout=0.25)
    layer = 2 * [RECURRENT, LINEAR, LINEAR] + [DROPOUT]
    # Of the highest layer behind the pooling.
    assert plan["kind"].tolist() == [INPUTS] + layer + layer[:-1] + [POOLING, DROPOUT, LINEAR]
    np.testing.assert_array_equal(plan["rate"][plan["kind"] == DROPOUT], 0.25)
    assert len(set(plan["key"][plan["kind"] == DROPOUT])) == 2
    Layout.of(plan)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_pooling_stands_behind_the_highest_layer(pooling, bidirectional, dropout):
    options = {"bidirectional": bidirectional, "dropout": dropout}
    plan = recurrent([5, 4, 3, 2], "lstm", "full", N_STEPS, pooling=pooling, **options)
    (row,) = plan[plan["kind"] == POOLING]
    n_in = 6 if bidirectional else 3
    n_out = 2 * n_in if pooling == "mean_max" else n_in
    assert (row["n_in"], row["n_out"], row["pooling"]) == (n_in, n_out, POOLINGS[pooling])
    assert plan["n_in"][-1] == n_out
    assert (plan["pooling"][plan["kind"] != POOLING] == -1).all()
    assert Layout.of(plan).dense.plain.widest >= n_out
    # No other code, nor the code of another pooling of as many or of other columns, is this plan.
    for code in (-1, 4, *(set(POOLINGS.values()) - {POOLINGS[pooling]})):
        other = plan.copy()
        other["pooling"][plan["kind"] == POOLING] = code
        widths = {code: width for width, codes in {1: [0, 1, 2], 2: [3]}.items() for code in codes}
        if widths.get(code) == widths[POOLINGS[pooling]]:
            # Another plan, which is whole: the digest of the state tells.
            assert Layout.of(other).digest != Layout.of(plan).digest
        else:
            with pytest.raises(ValueError, match="damaged"):
                Layout.of(other)


def assert_read_only_zeros(array, shape):
    assert array.shape == shape
    np.testing.assert_array_equal(array, 0)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_what_would_be_redundant_is_zeros_that_cannot_be_written():
    plan = recurrent([5, 4, 2], "lstm", "full", N_STEPS)
    parameters = np.ones(Layout.of(plan).n_parameters)
    # The shift is the input norm's alone, and the cell norm has its own.
    input_beta, recurrent_beta, cell_beta = views.betas(plan, parameters)
    np.testing.assert_array_equal(input_beta, np.ones(16))
    assert_read_only_zeros(recurrent_beta, (16,))
    np.testing.assert_array_equal(cell_beta, np.ones(4))
    input_bias, recurrent_bias, output_bias = views.biases(plan, parameters)
    assert_read_only_zeros(input_bias, (16,))
    assert_read_only_zeros(recurrent_bias, (16,))
    np.testing.assert_array_equal(output_bias, np.ones(2))


@pytest.mark.parametrize("batch_norm", NORMS)
def test_a_gru_has_an_intercept_that_the_reset_gate_multiplies(batch_norm):
    plan = recurrent([5, 4, 2], "gru", batch_norm, N_STEPS)
    parameters = np.ones(Layout.of(plan).n_parameters)
    input_bias, recurrent_bias, _ = views.biases(plan, parameters)
    np.testing.assert_array_equal(recurrent_bias, np.ones(4))
    if batch_norm is None:
        np.testing.assert_array_equal(input_bias, np.ones(12))
    else:
        assert_read_only_zeros(input_bias, (12,))


@pytest.mark.parametrize("batch_norm", ["full", "input"])
@pytest.mark.parametrize("shared", [False, True])
def test_steps_of_statistics(batch_norm, shared):
    plan = recurrent([5, 4, 2], "lstm", batch_norm, N_STEPS, shared=shared)
    means = views.running_means(plan, np.zeros(Layout.of(plan).n_statistics))
    # Those of the state and of the cell are of each step in any case.
    expected = [1 if shared else N_STEPS] + [N_STEPS, N_STEPS] * (batch_norm == "full")
    assert [len(mean) for mean in means] == expected
    assert steps_of(plan) == max(expected)
    assert is_recurrent(plan)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("batch_norm", NORMS)
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("longer", [N_STEPS, N_STEPS + 1, 3 * N_STEPS])
def test_statistics_are_lengthened_by_the_last_step(cell, batch_norm, shared, longer):
    units, loss = [5, 4, 3, 2], "squared_error"
    options = {"bidirectional": True, "shared": shared}
    network = random_recurrent(units, cell, batch_norm, N_STEPS, loss, **options)
    other = random_recurrent(units, cell, batch_norm, longer, loss, **options)
    before = network.statistics.copy()
    other.statistics[:] = lengthened(network.statistics, network.plan, other.plan)
    np.testing.assert_array_equal(network.statistics, before)
    for view in (views.running_means, views.running_vars):
        for old, new in zip(
            view(network.plan, network.statistics), view(other.plan, other.statistics), strict=True
        ):
            np.testing.assert_array_equal(new[: len(old)], old)
            np.testing.assert_array_equal(
                new[len(old) :], np.broadcast_to(old[-1], new[len(old) :].shape)
            )
    # The parameters do not know of steps, and inference sees no difference.
    np.testing.assert_array_equal(other.parameters, network.parameters)
    table = random_sequences(9, 2 * N_STEPS, units[0], loss, units[-1], ragged=True)
    np.testing.assert_array_equal(other.infer(table), network.infer(table))


def test_a_plan_prints_and_pickles():
    plan = recurrent([5, 4, 2], "lstm", "full", N_STEPS, epsilon=1e-3)
    assert pickle.loads(pickle.dumps(plan)).tobytes() == plan.tobytes()
    assert "0.001" in str(plan)


def test_work_of_a_sequence_is_that_of_its_steps():
    network = random_recurrent([3, 4, 2], "gru", "full", 9, "squared_error")
    table = random_sequences(10, 9, 3, "squared_error", 2, lengths=np.arange(1, 11).clip(max=9))
    of_step, of_outputs = 6 * (3 * 12 + 4 * 12), 6 * 4 * 2
    # 5.4 steps on average, rounded up.
    assert network.flops_per_row(table) == 6 * of_step + of_outputs
    assert network.blas_flops_per_row(table) == of_step + of_outputs


def test_more_steps_than_blas_counts_are_refused(monkeypatch):
    network = random_recurrent([3, 4, 2], "tanh", None, 9, "squared_error")
    table = random_sequences(10, 9, 3, "squared_error", 2)
    table.lengths = np.full(10, 2**29)
    monkeypatch.setattr("skbn.network.table.check_sequences", lambda table: None)
    with pytest.raises(ValueError, match="5368709120 time steps is more than BLAS can count"):
        network.loss_and_gradient(table)


def test_predictions_hold_the_steps_of_some_sequences_at_a_time():
    network = random_recurrent([1, 20, 1], "lstm", "full", 500, "squared_error", dtype=np.float32)
    X = np.zeros((3000, 500, 1), np.float32)
    table = Table(X, lengths=np.full(3000, 500))
    tracemalloc.start()
    try:
        network.infer(table)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # All of them would be the inputs and twenty outputs of each step, 126 megabytes.
    assert peak < 20e6


def test_of_a_recurrent_network_there_are_raw_outputs_alone():
    network = random_recurrent([3, 4, 2], "tanh", None, 9, "squared_error")
    with pytest.raises(ValueError, match="raw outputs alone"):
        network.infer(random_sequences(4, 9, 3, "squared_error", 2), n_operations=1)
