"""Plans: their memory does not overlap, and views show all of it."""

import pickle

import numpy as np
import pytest
from skbn.network.operations.normalization import scratch_of

from skbn.kernels.activations import ACTIVATIONS
from skbn.network import views
from skbn.network.network import Network
from skbn.network.plan import (
    ACTIVATION,
    BATCH_NORM,
    DROPOUT,
    INPUTS,
    LINEAR,
    SPARSE_LINEAR,
    Layout,
    feed_forward,
)

UNITS = [5, 7, 6, 3]


@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("units", [UNITS, [5, 3], [2, 1, 1]])
def test_every_parameter_belongs_to_one_layer(units, batch_norm):
    plan = feed_forward(units, "relu", batch_norm)
    sizes = Layout.of(plan)
    counts = np.zeros(sizes.n_parameters)
    for view in (views.weights, views.biases, views.gammas, views.betas):
        for array in view(plan, counts):
            if array.flags.writeable:
                array += 1
    np.testing.assert_array_equal(counts, 1)
    statistics = np.zeros(sizes.n_statistics)
    for view in (views.running_means, views.running_vars):
        for array in view(plan, statistics):
            assert array.shape[0] == 1
            array += 1
    np.testing.assert_array_equal(statistics, 1)


@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("units", [UNITS, [5, 3], [2, 1, 1]])
def test_every_scratch_belongs_to_one_operation(units, batch_norm):
    plan = feed_forward(units, "relu", batch_norm)
    layout = Layout.of(plan)
    counts = np.zeros(layout.sparse.plain.scratch)
    operations = layout.sparse.plain.operations
    for row in operations[operations["kind"] == BATCH_NORM]:
        counts[row["scratch"] :][: scratch_of(row["n_steps"]) * row["n_out"]] += 1
    counts[operations["scratch"][0] :][: units[1]] += 1
    np.testing.assert_array_equal(counts, 1)


def test_weights_come_first():
    plan = feed_forward(UNITS, "relu", "before")
    marks = np.zeros(Layout.of(plan).n_parameters)
    for weight in views.weights(plan, marks):
        weight += 1
    n_weights = Layout.of(plan).n_weights
    np.testing.assert_array_equal(marks[:n_weights], 1)
    np.testing.assert_array_equal(marks[n_weights:], 0)


@pytest.mark.parametrize(
    ("batch_norm", "hidden"),
    [
        ("before", [LINEAR, BATCH_NORM, ACTIVATION]),
        ("after", [LINEAR, ACTIVATION, BATCH_NORM]),
        (None, [LINEAR, ACTIVATION]),
    ],
)
def test_order_of_operations(batch_norm, hidden):
    plan = feed_forward(UNITS, "relu", batch_norm)
    assert plan["kind"].tolist() == [INPUTS, *hidden, *hidden, LINEAR]
    # Below a batch norm there is no bias; the output layer always has one.
    assert (plan[plan["kind"] == LINEAR]["bias"] >= 0).tolist() == [
        batch_norm != "before",
        batch_norm != "before",
        True,
    ]


@pytest.mark.parametrize("batch_norm", ["before", "after", None])
def test_dropout_comes_last_in_every_hidden_layer(batch_norm):
    plain = feed_forward(UNITS, "relu", batch_norm)["kind"].tolist()
    plan = feed_forward(UNITS, "relu", batch_norm, dropout=0.25)
    hidden = plain[1 : len(plain) // 2]
    assert plan["kind"].tolist() == [INPUTS, *hidden, DROPOUT, *hidden, DROPOUT, LINEAR]
    assert len(set(plan["key"][plan["kind"] == DROPOUT])) == 2
    np.testing.assert_array_equal(plan["rate"][plan["kind"] == DROPOUT], 0.25)


each_plan = pytest.mark.parametrize(
    "plan",
    [
        pytest.param(
            feed_forward(UNITS, activation, batch_norm, dropout=dropout),
            id=f"{activation}-{batch_norm}-{dropout}",
        )
        for activation in ("relu", "silu")
        for batch_norm in ("before", "after", None)
        for dropout in (0.0, 0.5)
    ],
)


@each_plan
def test_what_the_backward_pass_looks_at_is_not_overwritten(plan):
    # Who wrote to a column last, as the forward pass leaves it.
    writer = np.full(Layout.of(plan).dense.plain.work_columns, -1)
    for position, row in enumerate(plan):
        assert row["x"] == (0 if position == 0 else plan["y"][position - 1])
        writer[row["y"] : row["y"] + row["n_out"]] = position
    for position, row in enumerate(plan):
        looks_at_input = row["kind"] in (LINEAR, BATCH_NORM) or row["x"] != row["y"]
        if looks_at_input and position > 0:
            # An activation in place is all the operation after it sees.
            np.testing.assert_array_equal(writer[row["x"] :][: row["n_in"]], position - 1)
    assert (writer[UNITS[0] :] >= 0).all()


@each_plan
def test_of_a_sparse_table_the_first_map_reads_the_inputs(plan):
    before = plan.copy()
    layout = Layout.read(plan)
    assert plan.tobytes() == before.tobytes()
    moved = layout.sparse.plain.operations
    assert (moved["kind"][0], moved["x"][0], moved["y"][0]) == (SPARSE_LINEAR, 0, 0)
    # Everything moves up by the inputs, which have no place.
    dense = layout.dense.plain.operations[1:]
    np.testing.assert_array_equal(moved["x"][1:], dense["x"][1:] - UNITS[0])
    np.testing.assert_array_equal(moved["y"], dense["y"] - UNITS[0])
    rest = [name for name in plan.dtype.names if name not in ("kind", "x", "y", "scratch")]
    assert (moved[rest] == dense[rest]).all()


@each_plan
def test_a_relu_behind_a_batch_norm_becomes_one_operation_with_it(plan):
    run = Layout.read(plan).dense.plain.operations
    fused = (run["kind"] == BATCH_NORM) & (run["activation"] >= 0)
    relu = plan[(plan["kind"] == ACTIVATION) & (plan["activation"] == ACTIVATIONS["relu"])]
    behind = plan["kind"][np.flatnonzero(plan["kind"] == ACTIVATION) - 1] == BATCH_NORM
    assert fused.sum() == (len(relu) > 0) * behind.sum()
    assert len(run) == len(plan) - fused.sum()
    assert (run["activation"][fused] == ACTIVATIONS["relu"]).all()


def test_segments_are_all_parameters_in_their_order():
    layout = Layout.of(feed_forward(UNITS, "relu", "before"))
    segments = layout.segments
    assert segments["start"][0] == 0
    assert segments["stop"][-1] == layout.n_parameters
    np.testing.assert_array_equal(segments["start"][1:], segments["stop"][:-1])
    assert segments["decay"].tolist() == [1.0, 0.0]
    assert segments["rate"].tolist() == [1.0, 1.0]
    assert segments["stop"][0] == layout.n_weights


def test_a_layer_without_bias_shows_zeros_that_cannot_be_written():
    plan = feed_forward(UNITS, "relu", "before")
    hidden, _, output = views.biases(plan, np.ones(Layout.of(plan).n_parameters))
    np.testing.assert_array_equal(hidden, 0)
    with pytest.raises(ValueError, match="read-only"):
        hidden[0] = 1
    assert output.flags.writeable


def test_a_plan_prints_and_pickles():
    plan = feed_forward(UNITS, "tanh", "after", epsilon=1e-3)
    assert pickle.loads(pickle.dumps(plan)).tobytes() == plan.tobytes()
    assert "0.001" in str(plan)


def test_snapshot_and_restore():
    network = Network.initial(feed_forward(UNITS, "relu", "before"), "squared_error", np.float32)
    parameters = network.parameters
    snapshot = network.snapshot()
    network.parameters += 1
    network.statistics += 1
    network._n_batches_tracked[0] = 5
    network.restore(snapshot)
    assert network.parameters is parameters
    np.testing.assert_array_equal(parameters, snapshot[0])
    np.testing.assert_array_equal(network.statistics, snapshot[1])
    assert network.n_batches_tracked == 0


def test_more_weights_than_blas_counts_are_refused():
    with pytest.raises(ValueError, match="2500000000 weights are more than BLAS can count"):
        Layout.of(feed_forward([50_000, 50_000], "relu", None))
