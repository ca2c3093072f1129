"""The gradient of whole networks, against central differences in float64."""

import numpy as np
import pytest
from differences import gradient
from networks import LOSSES, random_network, random_table

DEPTHS = {
    "no hidden layer": [4, 3],
    "one": [4, 5, 3],
    "two": [4, 6, 5, 3],
    "four": [4, 5, 4, 5, 4, 3],
}


def assert_gradient(network, table, *, alpha=0.0, rows=None):
    _, analytic = network.loss_and_gradient(table, rows, alpha)

    def loss(parameters):
        network.parameters[:] = parameters
        return network.loss_and_gradient(table, rows, alpha)[0].sum()

    numeric = gradient(loss, network.parameters.copy(), step=1e-4)
    np.testing.assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-8 * np.abs(analytic).max())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient(loss, activation, batch_norm, weighted):
    units = DEPTHS["two"]
    network = random_network(units, activation, batch_norm, loss)
    table = random_table(12, units, loss, weighted=weighted)
    assert_gradient(network, table, alpha=0.3)


@pytest.mark.parametrize("units", DEPTHS.values(), ids=DEPTHS.keys())
@pytest.mark.parametrize("batch_norm", ["before", "after", None])
def test_gradient_at_every_depth(units, batch_norm):
    network = random_network(units, "tanh", batch_norm, "softmax_log_loss")
    assert_gradient(network, random_table(9, units, "softmax_log_loss"))


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_gradient_of_one_row_takes_the_running_statistics_as_constants(batch_norm):
    units = DEPTHS["two"]
    network = random_network(units, "tanh", batch_norm, "squared_error")
    table = random_table(5, units, "squared_error", weighted=True)
    table.sample_weight[:] = 2.0
    assert_gradient(network, table, rows=np.array([3]), alpha=0.1)


def test_gradient_of_two_rows():
    units = DEPTHS["one"]
    network = random_network(units, "tanh", "before", "squared_error")
    assert_gradient(network, random_table(2, units, "squared_error"))


@pytest.mark.parametrize("batch_norm", ["before", "after", None])
def test_a_weight_of_two_is_the_row_twice(batch_norm):
    units = DEPTHS["two"]
    loss = "softmax_log_loss"
    network = random_network(units, "tanh", batch_norm, loss)
    table = random_table(10, units, loss, weighted=True)
    repeated = random_table(10, units, loss)
    rows = np.repeat(np.arange(10), table.sample_weight.astype(int))
    # The penalty is divided by the total weight: the same in both.
    weighted_losses, weighted_gradient = network.loss_and_gradient(table, alpha=0.3)
    repeated_losses, repeated_gradient = network.loss_and_gradient(repeated, rows, alpha=0.3)
    np.testing.assert_allclose(weighted_losses, repeated_losses, rtol=1e-12)
    np.testing.assert_allclose(weighted_gradient, repeated_gradient, rtol=1e-9, atol=1e-13)


def test_a_unit_without_variance_has_a_finite_gradient():
    units = DEPTHS["two"]
    network = random_network(units, "relu", "before", "squared_error")
    table = random_table(6, units, "squared_error", normalized=False)
    table.X[:] = table.X[0]
    _, result = network.loss_and_gradient(table)
    assert np.isfinite(result).all()
    # Nothing reaches the first weights: whatever they are, xhat is 0.
    np.testing.assert_array_equal(result[: units[0] * units[1]], 0.0)
