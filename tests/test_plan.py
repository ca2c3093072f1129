"""Plans: their memory does not overlap, and views show all of it."""

import pickle

import numpy as np
import pytest

from skbn.network import views
from skbn.network.network import Network
from skbn.network.plan import ACTIVATION, BATCH_NORM, LINEAR, Sizes, feed_forward

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
    network.n_batches_tracked = 5
    network.restore(snapshot)
    assert network.parameters is parameters
    np.testing.assert_array_equal(parameters, snapshot[0])
    np.testing.assert_array_equal(network.statistics, snapshot[1])
    assert network.n_batches_tracked == 0
