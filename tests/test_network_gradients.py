"""The gradient of whole networks, against central differences in float64."""

import numpy as np
import pytest
from differences import gradient
from networks import ACTIVATIONS, LOSSES, as_sparse, random_network, random_table
from scipy.sparse import csr_array, csr_matrix

from skbn.network import views

DEPTHS = {
    "no hidden layer": [4, 3],
    "one": [4, 5, 3],
    "two": [4, 6, 5, 3],
    "four": [4, 5, 4, 5, 4, 3],
}


def assert_gradient(network, table, rows=None, **options):
    _, analytic = network.loss_and_gradient(table, rows, **options)

    def loss(parameters):
        network.parameters[:] = parameters
        return network.loss_and_gradient(table, rows, **options)[0].sum()

    numeric = gradient(loss, network.parameters.copy(), step=1e-4)
    np.testing.assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-8 * np.abs(analytic).max())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient(loss, activation, batch_norm, weighted):
    units = DEPTHS["two"]
    # With the seed 0 a difference quotient reaches across the kink of leaky_relu.
    network = random_network(
        units, activation, batch_norm, loss, seed=4 if activation == "leaky_relu" else 0
    )
    table = random_table(12, units, loss, weighted=weighted)
    assert_gradient(network, table, alpha=0.3)


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_gradient_with_dropout(activation, batch_norm, weighted, sparse):
    units, loss = DEPTHS["two"], "squared_error"
    network = random_network(units, activation, batch_norm, loss, dropout=0.4)
    table = random_table(12, units, loss, weighted=weighted, sparse=sparse)
    table = as_sparse(table) if sparse else table
    assert_gradient(network, table, alpha=0.3, seed=5, step=7)
    # Not the gradient of another mask.
    gradients = {
        network.loss_and_gradient(table, seed=seed, step=step)[1].tobytes()
        for seed, step in [(0, 0), (5, 0), (0, 7), (5, 7), (7, 5)]
    }
    assert len(gradients) == 5


def test_every_layer_has_a_mask_of_its_own():
    units = [3, 2, 2, 1]
    network = random_network(units, "identity", None, "squared_error", dropout=0.5)
    table = random_table(1000, units, "squared_error")
    _, second, _ = views.weights(network.plan, network.parameters)
    second[:] = np.eye(2)
    for bias in views.biases(network.plan, network.parameters):
        bias[:] = 0.0
    # The identity passes on what the first mask left, so a last weight's gradient is 0 in a
    # row where either mask drops: in three quarters of them, in a half were the masks one.
    dropped = []
    for row in range(1000):
        rows = np.full(1, row)
        _, result = network.loss_and_gradient(table, rows, step=row)
        dropped += [w == 0.0 for w in views.weights(network.plan, result)[2].ravel()]
    assert abs(np.mean(dropped) - 0.75) < 5 * np.sqrt(0.75 * 0.25 / 2000)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("normalized", [False, True])
def test_gradient_of_a_sparse_table(loss, batch_norm, weighted, normalized):
    units = DEPTHS["two"]
    network = random_network(units, "tanh", batch_norm, loss)
    options = {"weighted": weighted, "normalized": normalized, "sparse": True}
    assert_gradient(network, as_sparse(random_table(12, units, loss, **options)), alpha=0.3)


@pytest.mark.parametrize("units", DEPTHS.values(), ids=DEPTHS.keys())
@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("kind", [csr_array, csr_matrix])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_a_sparse_table_has_the_gradient_of_the_dense_one(units, batch_norm, kind, index):
    loss = "softmax_log_loss"
    network = random_network(units, "silu", batch_norm, loss, dropout=0.3)
    table = random_table(20, units, loss, weighted=True, sparse=True)
    table.X[3] = 0.0
    sparse = as_sparse(table, kind)
    sparse.X.indices, sparse.X.indptr = (
        array.astype(index) for array in (sparse.X.indices, sparse.X.indptr)
    )
    everything = np.arange(20)
    # One network, one after the other: neither finds the other's memory.
    for rows in (None, everything[::-2].copy(), np.repeat(everything, 2)):
        dense_losses, dense_gradient = network.loss_and_gradient(table, rows, 0.1, seed=3)
        losses, result = network.loss_and_gradient(sparse, rows, 0.1, seed=3)
        np.testing.assert_allclose(losses, dense_losses, rtol=1e-12)
        np.testing.assert_allclose(result, dense_gradient, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("activation", ["tanh", "silu"])
@pytest.mark.parametrize("units", DEPTHS.values(), ids=DEPTHS.keys())
@pytest.mark.parametrize("batch_norm", ["before", "after", None])
def test_gradient_at_every_depth(units, batch_norm, activation):
    network = random_network(units, activation, batch_norm, "softmax_log_loss")
    assert_gradient(network, random_table(9, units, "softmax_log_loss"))


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_gradient_of_one_row_takes_the_running_statistics_as_constants(batch_norm):
    units = DEPTHS["two"]
    network = random_network(units, "tanh", batch_norm, "squared_error")
    table = random_table(5, units, "squared_error", weighted=True)
    table.sample_weight[:] = 2.0
    assert_gradient(network, table, np.array([3]), alpha=0.1)


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
