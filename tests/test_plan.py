"""Plans: their memory does not overlap, and views show all of it."""

import pickle

import numpy as np
import pytest
from skbn.network.normalization import scratch_of

from skbn.network import views
from skbn.network.network import Network
from skbn.network.plan import (
    ACTIVATION,
    BATCH_NORM,
    DROPOUT,
    LINEAR,
    Sizes,
    feed_forward,
    without_inputs,
)

UNITS = [5, 7, 6, 3]


@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("units", [UNITS, [5, 3], [2, 1, 1]])
def test_every_parameter_belongs_to_one_layer(units, batch_norm):
    plan = feed_forward(units, "relu", batch_norm)
    sizes = Sizes.of(plan)
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
def test_every_scratch_belongs_to_one_layer_and_some_to_none(units, batch_norm):
    plan = feed_forward(units, "relu", batch_norm)
    counts = np.zeros(Sizes.of(plan).scratch)
    for row in plan[plan["kind"] == BATCH_NORM]:
        counts[row["scratch"] :][: scratch_of(row["n_steps"]) * row["n_out"]] += 1
    # The first product of a sparse table has the row in front to itself.
    np.testing.assert_array_equal(counts[: units[1]], 0)
    np.testing.assert_array_equal(counts[units[1] :], 1)


def test_weights_come_first():
    plan = feed_forward(UNITS, "relu", "before")
    marks = np.zeros(Sizes.of(plan).n_parameters)
    for weight in views.weights(plan, marks):
        weight += 1
    n_weights = Sizes.of(plan).n_weights
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
    assert plan["kind"].tolist() == [*hidden, *hidden, LINEAR]
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
    hidden = plain[: len(plain) // 2]
    assert plan["kind"].tolist() == [*hidden, DROPOUT, *hidden, DROPOUT, LINEAR]
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
    writer = np.full(Sizes.of(plan).work_columns, -1)
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
def test_without_inputs_everything_moves_up_by_them(plan):
    before = plan.copy()
    moved = without_inputs(plan)
    assert plan.tobytes() == before.tobytes()
    assert moved["y"][0] == 0
    # The inputs have no place; nobody but the first operation looks for them.
    assert (moved["x"][1:] >= 0).all()
    np.testing.assert_array_equal(moved["x"][1:], plan["x"][1:] - UNITS[0])
    np.testing.assert_array_equal(moved["y"], plan["y"] - UNITS[0])
    assert Sizes.of(moved).work_columns == Sizes.of(plan).work_columns - UNITS[0]
    rest = [name for name in plan.dtype.names if name not in ("x", "y")]
    assert (moved[rest] == plan[rest]).all()


def test_a_layer_without_bias_shows_zeros_that_cannot_be_written():
    plan = feed_forward(UNITS, "relu", "before")
    hidden, _, output = views.biases(plan, np.ones(Sizes.of(plan).n_parameters))
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
        Sizes.of(feed_forward([50_000, 50_000], "relu", None))
