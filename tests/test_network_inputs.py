"""What stands between the columns of a table and the first layer: embeddings and factors."""

import numpy as np
import pytest
import reference
from networks import as_sparse, random_network, random_table
from scipy.sparse import csr_array
from test_network_gradients import assert_gradient

from skbn.network import optimizer as optimizers
from skbn.network import views
from skbn.network.folding import folded_network
from skbn.network.network import Network
from skbn.network.plan import (
    Layout,
    embedded_of,
    embedded_units,
    feed_forward,
    is_scaled,
    layer_units_of,
)
from skbn.network.statistics import set_exact_statistics

UNITS, LOSS = [6, 5, 4, 3], "softmax_log_loss"

# First column and number of columns of each run of embedded columns.
RUNS = {
    "none": [],
    "all": [(0, 6)],
    "first": [(0, 2)],
    "last": [(5, 1)],
    "inside": [(1, 1), (3, 2)],
}
each_run = pytest.mark.parametrize("runs", RUNS.values(), ids=RUNS)
each_scale = pytest.mark.parametrize("scaled", [False, True])
each_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def embedded(X, network):
    """The columns behind the embedding, by the twin of the kernel."""
    runs = embedded_of(network.plan)
    parameters = dict(zip(runs, views.embeddings(network.plan, network.parameters), strict=True))
    pieces, column = [], 0
    for (start, n), values in parameters.items():
        pieces += [
            X[:, column:start],
            reference.periodic.forward(X[:, start : start + n], values.astype(float)),
        ]
        column = start + n
    return np.hstack([*pieces, X[:, column:]])


@each_run
@each_scale
@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient(runs, scaled, batch_norm, weighted):
    network = random_network(UNITS, "silu", batch_norm, LOSS, scaled=scaled, embedded=runs)
    assert_gradient(network, random_table(12, UNITS, LOSS, weighted=weighted), alpha=0.3)


@each_run
@each_scale
def test_gradient_of_a_sparse_table(runs, scaled):
    network = random_network(UNITS, "tanh", "before", LOSS, scaled=scaled, embedded=runs)
    table = random_table(12, UNITS, LOSS, sparse=True)
    assert_gradient(network, as_sparse(table), alpha=0.3)
    dense, sparse = (
        network.loss_and_gradient(rows, alpha=0.3)[1] for rows in (table, as_sparse(table))
    )
    np.testing.assert_allclose(sparse, dense, rtol=1e-9, atol=1e-12)


@each_run
@each_scale
@each_dtype
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_outputs(runs, scaled, dtype, index):
    network = random_network(
        [6, 4], "identity", None, "squared_error", dtype=dtype, scaled=scaled, embedded=runs
    )
    table = random_table(300, [6, 4], "squared_error", sparse=True)
    X = (table.X - table.input_mean) * table.input_invstd
    weights, bias, scale = (
        view(network.plan, network.parameters)[0].astype(float)
        for view in (views.weights, views.biases, views.input_scales)
    )
    expected = embedded(X, network) * scale @ weights + bias
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    sparse = as_sparse(table)
    sparse.X = csr_array(
        (sparse.X.data, sparse.X.indices.astype(index), sparse.X.indptr.astype(index)),
        shape=sparse.X.shape,
    )
    for rows in (table, sparse):
        np.testing.assert_allclose(network.infer(rows), expected, rtol=tolerance, atol=tolerance)
        chosen = np.array([7, 3, 3, 250])
        np.testing.assert_allclose(
            network.infer(rows, chosen), expected[chosen], rtol=tolerance, atol=tolerance
        )


@each_scale
@each_dtype
@pytest.mark.parametrize("runs", [RUNS["none"], RUNS["inside"]], ids=["none", "inside"])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_step_of_adam(runs, scaled, dtype, is_sparse):
    """The factors have six times the rate, and no decay; nor have the embeddings."""
    network = random_network(
        UNITS, "silu", "before", LOSS, dtype=dtype, scaled=scaled, embedded=runs
    )
    table = random_table(20, UNITS, LOSS, dtype=dtype, sparse=True)
    table = as_sparse(table) if is_sparse else table
    before = network.parameters.copy()
    _, gradient = network.loss_and_gradient(table)
    rate, decay = 0.01, 0.5
    network.train(
        table,
        optimizers.adam(weight_decay=decay),
        network.new_moments(),
        np.arange(20),
        np.array([0, 20]),
        np.array([rate]),
    )
    rates, decays = np.full((2, len(before)), [[rate], [0.0]])
    for weight in views.weights(network.plan, decays):
        weight[:] = decay
    for scale in views.input_scales(network.plan, rates):
        if scale.flags.writeable:
            scale[:] = 6.0 * rate
    # The first step of Adam is as long as the rate, whatever the gradient is: its epsilon stands
    # beside the deviation of the gradient before the correction of the bias.
    step = gradient / (np.abs(gradient) + 1e-8 / np.sqrt(1.0 - 0.999))
    expected = before * (1.0 - rate * decays) - rates * step
    tolerance = 1e-9 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(network.parameters, expected, rtol=tolerance, atol=tolerance)


@each_run
@each_scale
@each_dtype
def test_the_folded_network(runs, scaled, dtype):
    network = random_network(
        UNITS, "silu", "before", LOSS, dtype=dtype, scaled=scaled, embedded=runs
    )
    table = random_table(50, UNITS, LOSS, dtype=dtype)
    folded = folded_network(network)
    assert not folded.is_normalized
    assert embedded_of(folded.plan) == runs
    assert not is_scaled(folded.plan)
    tolerance = 1e-11 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(
        folded.infer(table), network.infer(table), rtol=tolerance, atol=tolerance
    )


@each_run
@each_scale
@pytest.mark.parametrize("is_sparse", [False, True])
def test_exact_statistics(runs, scaled, is_sparse):
    network = random_network(UNITS, "silu", "before", LOSS, scaled=scaled, embedded=runs)
    table = random_table(5000, UNITS, LOSS, sparse=True)
    X = (table.X - table.input_mean) * table.input_invstd
    weights, scale = (
        view(network.plan, network.parameters)[0] for view in (views.weights, views.input_scales)
    )
    z = embedded(X, network) * scale @ weights
    set_exact_statistics(network, as_sparse(table) if is_sparse else table)
    means, variances = (
        view(network.plan, network.statistics)[0][0]
        for view in (views.running_means, views.running_vars)
    )
    np.testing.assert_allclose(means, z.mean(axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(variances, z.var(axis=0), rtol=1e-9)


def test_the_first_factors_are_one():
    plan = feed_forward(UNITS, "silu", "before", scaled=True, embedded=RUNS["inside"])
    network = Network.initial(plan, LOSS, np.float64)
    scales = views.input_scales(plan, network.parameters)
    assert [len(scale) for scale in scales] == [15, 5, 4]
    for scale in scales:
        np.testing.assert_array_equal(scale, 1.0)
    assert [scale.flags.writeable for scale in scales] == [True, False, False]


@each_run
@each_scale
def test_a_plan_says_what_it_was_made_of(runs, scaled):
    plan = feed_forward(UNITS, "silu", "after", scaled=scaled, embedded=runs, dropout=0.1)
    assert embedded_of(plan) == runs
    assert is_scaled(plan) == scaled
    assert layer_units_of(plan) == UNITS
    assert Layout.of(plan).n_inputs == 6
    first = plan[plan["weights"] >= 0][0]
    assert first["n_in"] == embedded_units(6, runs) == 6 + 3 * sum(n for _, n in runs)
    # An embedding needs dense rows.
    assert (Layout.of(plan).sparse is None) == bool(runs)


@pytest.mark.parametrize(
    ("name", "row", "value"),
    [
        ("x", 2, 3),
        ("x", 3, 5),
        ("n_in", 2, 0),
        ("n_in", 3, 4),
        ("embedding", 2, 0),
        ("embedding", 3, 10**6),
        ("n_out", 2, 8),
        ("part", 2, 0),
        ("part", 3, 1),
        ("kind", 1, 1),
        ("scale", 4, 0),
        ("scale", 4, -1),
        ("scratch", 4, 10**6),
    ],
)
def test_a_damaged_plan_is_refused(name, row, value):
    plan = feed_forward(UNITS, "silu", "before", scaled=True, embedded=RUNS["inside"])
    Layout.of(plan)
    plan[name][row] = value
    with pytest.raises(ValueError, match=r"damaged|units"):
        Layout.of(plan)


def test_an_operation_is_not_parted_from_its_parts():
    network = random_network(UNITS, "silu", "before", LOSS, embedded=RUNS["inside"])
    table = random_table(5, UNITS, LOSS)
    for n_operations in (2, 3):
        with pytest.raises(ValueError, match=f"operation {n_operations} is a part"):
            network.infer(table, n_operations=n_operations)
    X = (table.X - table.input_mean) * table.input_invstd
    np.testing.assert_allclose(
        network.infer(table, n_operations=4), embedded(X, network), rtol=1e-12, atol=1e-12
    )
