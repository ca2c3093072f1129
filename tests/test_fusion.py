"""Networks whose hidden layers are run in one piece, against the same networks run part by part."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from networks import as_sparse, random_network, random_table
from processes import environment
from scipy.sparse import csr_array
from skbn.network.operations.normalization import scratch_of

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor
from skbn.kernels import layer as layer_kernels
from skbn.kernels.activations import ACTIVATIONS
from skbn.network import aligned
from skbn.network import optimizer as optimizers
from skbn.network.folding import folded, plain_network
from skbn.network.fusion import LAYER
from skbn.network.network import LEAST_LAYER_ROWS, MOST_LAYER_FLOPS, Network
from skbn.network.plan import (
    ACTIVATION,
    BATCH_NORM,
    DROPOUT,
    INPUTS,
    LINEAR,
    NO_PART,
    PERIODIC,
    SPARSE_LINEAR,
    Layout,
    feed_forward,
)
from skbn.network.table import Table

LANES = layer_kernels.lanes()
pytestmark = pytest.mark.skipif(
    LANES == 0, reason="this processor, or this build, has no loops of fused layers"
)

LOSS = "softmax_log_loss"
UNITS = ((20, 100, 2), (7, 33, 17, 5, 3), (3, 1, 1, 2), (54, 64, 16, 7))
each_units = pytest.mark.parametrize("units", UNITS, ids=lambda units: "-".join(map(str, units)))
each_activation = pytest.mark.parametrize(
    "activation", ["relu", "silu", "tanh", "identity", "gelu"]
)
each_norm = pytest.mark.parametrize("batch_norm", ["before", "after", None])
OPTIONS = {
    "plain": {},
    "dropout": {"dropout": 0.3},
    "scaled": {"scaled": True},
    "embedded": {"embedded": [(0, 2)]},
    "all": {"dropout": 0.2, "scaled": True, "embedded": [(1, 1)]},
}
each_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
FUSED = ("relu", "silu", "identity")


def padded(d):
    return -(-d // LANES) * LANES


def relative_error(actual, expected):
    return np.linalg.norm(actual - expected) / (np.linalg.norm(expected) or 1.0)


def three_ways(units, activation, batch_norm, *, scale=0.4, seed=0, loss=LOSS, **options):
    """A network with fused layers, the same one without, and in float64."""
    networks = [
        random_network(
            units, activation, batch_norm, loss, dtype=dtype, seed=seed, scale=scale, **options
        )
        for dtype in (np.float32, np.float32, np.float64)
    ]
    networks[1].fuses_layers = False
    networks[2].parameters[:] = networks[0].parameters
    return networks


def table_of(n, units, *, loss=LOSS, **options):
    """Rows in float32, and the same rows in float64."""
    table = random_table(n, units, loss, dtype=np.float32, **options)
    return table, replace(table, X=table.X.astype(float), y=table.y.astype(float))


def is_layered(network, table, n):
    return (network.run_plan(table, n).operations["kind"] == LAYER).any()


def steps(network, table, bounds, *, optimizer=None, learning_rate=0.02, moments=None, **options):
    bounds = np.asarray(bounds)
    return network.train(
        table,
        optimizers.sgd() if optimizer is None else optimizer,
        network.new_moments() if moments is None else moments,
        np.arange(table.n_rows),
        bounds,
        np.full(len(bounds) - 1, learning_rate),
        **options,
    )


# ------------------------------------------------------------------------------- loss and gradient


def assert_same_gradient(networks, tables, **options):
    """The error of the fused layers is of the size of the error of the parts."""
    (losses, result), (plain_losses, plain), (expected_losses, expected) = (
        network.loss_and_gradient(table, **options)
        for network, table in zip(networks, tables, strict=True)
    )
    assert np.isfinite(expected).all()
    error, plain_error = relative_error(result, expected), relative_error(plain, expected)
    assert error <= 4.0 * plain_error + 2e-6
    error = np.abs(losses - expected_losses).max()
    assert error <= 4.0 * np.abs(plain_losses - expected_losses).max() + 2e-6 * losses.max()


@each_units
@each_activation
@each_norm
@each_option
def test_gradient(units, activation, batch_norm, options):
    networks = three_ways(units, activation, batch_norm, **options)
    for n in (16, 57, 300):
        for weighted in (False, True):
            table, wide = table_of(n, units, weighted=weighted, seed=n)
            if activation in FUSED or batch_norm == "before":
                assert is_layered(networks[0], table, n)
            assert_same_gradient(networks, (table, table, wide), alpha=0.1, seed=3, step=2)


@each_units
@each_activation
@each_norm
@pytest.mark.parametrize("options", [{}, OPTIONS["dropout"], {"scaled": True}, OPTIONS["all"]])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_of_a_sparse_table(units, activation, batch_norm, options, weighted):
    networks = three_ways(units, activation, batch_norm, **options)
    for n in (16, 100):
        tables = table_of(n, units, weighted=weighted, sparse=True, seed=n)
        table, wide = map(as_sparse, tables)
        assert_same_gradient(networks, (table, table, wide), alpha=0.1, seed=3)


@each_norm
@pytest.mark.parametrize("activation", FUSED)
@pytest.mark.parametrize("n", range(16, 42))
def test_gradient_of_every_number_of_rows(activation, batch_norm, n):
    units = (9, 2 * n - 20, 70 - n, 3)
    networks = three_ways(units, activation, batch_norm)
    table, wide = table_of(n, units, seed=n)
    assert_same_gradient(networks, (table, table, wide))


@each_norm
@pytest.mark.parametrize("activation", FUSED)
def test_gradient_where_the_statistics_have_weights_of_their_own(activation, batch_norm):
    units = UNITS[1]
    networks = three_ways(units, activation, batch_norm)
    table, wide = table_of(64, units, weighted=True)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, 64)
    for one in (table, wide):
        one.statistics_weight = np.where(one.sample_weight > 0.0, weights, 0.0)
    assert (table.statistics_weight == 0.0).any()
    assert_same_gradient(networks, (table, table, wide))
    # They are looked at.
    before = networks[0].loss_and_gradient(table)[1]
    table.statistics_weight = None
    after = networks[0].loss_and_gradient(table)[1]
    assert np.array_equal(before, after) == (batch_norm is None)


@each_activation
@each_norm
def test_rows_without_weight_change_nothing(activation, batch_norm):
    units = UNITS[0]
    network, *_ = three_ways(units, activation, batch_norm)
    table, _ = table_of(80, units, weighted=True)
    table.sample_weight[60:] = 0.0
    losses, expected = network.loss_and_gradient(table, np.arange(60))
    all_losses, result = network.loss_and_gradient(table)
    table.X[60:] *= 100.0
    _, damaged = network.loss_and_gradient(table)
    np.testing.assert_allclose(all_losses, losses, rtol=1e-6)
    assert relative_error(result, expected) < 2e-6
    assert relative_error(damaged, expected) < 2e-6


@each_units
@pytest.mark.parametrize("activation", ["silu", "identity", "gelu"])
@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_gradient_where_means_are_far_from_zero(units, activation, batch_norm):
    # The rounding of the products is then all of the error, and of one size both ways. It moves
    # numbers over the kink of a relu, one way and not the other.
    networks = three_ways(units, activation, batch_norm, scale=0.3)
    for offset in (100.0, 1e4):
        table, _ = table_of(64, units, normalized=False)
        table.X[:] += offset
        wide = replace(table, X=table.X.astype(float), y=table.y.astype(float))
        assert_same_gradient(networks, (table, table, wide))


def test_the_layers_of_a_deep_network_do_not_share_their_numbers():
    units = (8, *(40, 24) * 6, 2)
    networks = three_ways(units, "silu", "before", scale=0.2)
    table, wide = table_of(64, units)
    for network in networks:
        network.parameters[network.layout.n_weights :] += 0.5
    networks[2].parameters[:] = networks[0].parameters
    assert_same_gradient(networks, (table, table, wide))


# ---------------------------------------------------------------------------------------- training


@each_units
@each_activation
@each_norm
@pytest.mark.parametrize("options", [{}, OPTIONS["all"]])
def test_training_both_ways_stays_close(units, activation, batch_norm, options):
    fused, plain, _ = three_ways(units, activation, batch_norm, **options)
    table, _ = table_of(200, units, weighted=bool(options))
    bounds = np.array([0, 32, 64, 96, 128, 160, 180, 200])
    losses, plain_losses = (
        steps(network, table, bounds, alpha=0.1, seed=4) for network in (fused, plain)
    )
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-4, atol=1e-5)
    assert relative_error(fused.parameters, plain.parameters) < 1e-5
    if batch_norm is not None:
        np.testing.assert_allclose(fused.statistics, plain.statistics, rtol=1e-3, atol=1e-4)
        assert relative_error(fused.statistics, plain.statistics) < 1e-5
    assert fused.n_batches_tracked == plain.n_batches_tracked


@each_norm
@pytest.mark.parametrize("activation", ["relu", "silu", "gelu"])
def test_a_block_is_its_batches_one_by_one(activation, batch_norm):
    units = UNITS[1]
    together, one_by_one, _ = three_ways(units, activation, batch_norm)
    one_by_one.fuses_layers = True
    table, _ = table_of(123, units)
    bounds = np.array([0, 30, 60, 101, 123])
    losses = steps(together, table, bounds)
    optimizer, moments = optimizers.sgd(), one_by_one.new_moments()
    for b, (start, stop) in enumerate(pairwise(bounds)):
        alone = steps(one_by_one, table, [start, stop], optimizer=optimizer, moments=moments)
        np.testing.assert_array_equal(alone[0], losses[b])
    np.testing.assert_array_equal(together.parameters, one_by_one.parameters)
    np.testing.assert_array_equal(together.statistics, one_by_one.statistics)


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu"])
@pytest.mark.parametrize("batch_norm", ["before", "after"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_batch_of_one_row_is_normalized_by_the_running_statistics(
    activation, batch_norm, weighted
):
    units = UNITS[1]
    table, _ = table_of(65, units, weighted=weighted)
    if weighted:
        table.sample_weight[32] = 2.0
    results = []
    for network in three_ways(units, activation, batch_norm)[:2]:
        steps(network, table, [0, 32])
        statistics, parameters = network.statistics.copy(), network.parameters.copy()
        # Beside a larger batch of a block the batch of one row is run in layers too.
        losses = steps(network, table, [0, 32, 33], optimizer=optimizers.sgd(momentum=0.0),
                       learning_rate=1e-3)  # fmt: skip
        assert network.n_batches_tracked == 2
        results.append((losses, network.parameters - parameters, network.statistics, statistics))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
    assert relative_error(results[0][1], results[1][1]) < 1e-4
    np.testing.assert_allclose(results[0][2], results[1][2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", FUSED)
def test_the_step_of_one_row_is_that_of_float64(activation):
    units = UNITS[1]
    tables = table_of(17, units)
    changes = []
    for network, table in zip(
        three_ways(units, activation, "before"), (tables[0], *tables), strict=True
    ):
        # The first batch has the learning rate 0.
        before = network.parameters.copy()
        network.train(
            table,
            optimizers.sgd(momentum=0.0),
            network.new_moments(),
            np.arange(17),
            np.array([0, 16, 17]),
            np.array([0.0, 1.0]),
        )
        changes.append(network.parameters - before)
    fused, plain, expected = changes
    assert relative_error(fused, expected) <= 4.0 * relative_error(plain, expected) + 2e-6
    assert np.linalg.norm(expected[: units[0] * units[1]]) > 0.0


@each_norm
@pytest.mark.parametrize("activation", ["relu", "silu", "gelu"])
@pytest.mark.parametrize("where", ["X", "y"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_changes_nothing(activation, batch_norm, where, bad):
    units = UNITS[1]
    network, *_ = three_ways(units, activation, batch_norm, loss="squared_error")
    table, _ = table_of(64, units, loss="squared_error")
    getattr(table, where)[40, 1] = bad
    steps(network, table, [0, 32])
    parameters, statistics = network.parameters.copy(), network.statistics.copy()
    count, moments = network.n_batches_tracked, network.new_moments()
    if expected_kinds(activation, batch_norm, 0.0):
        assert is_layered(network, table, 32)
    assert len(steps(network, table, [32, 64], moments=moments)) == 0
    np.testing.assert_array_equal(network.parameters, parameters)
    np.testing.assert_array_equal(network.statistics, statistics)
    np.testing.assert_array_equal(moments, 0.0)
    assert network.n_batches_tracked == count
    # What it has left in the memory is gone with the next batch.
    other, *_ = three_ways(units, activation, batch_norm, loss="squared_error")
    other.restore((parameters, statistics, count, count and 1))
    for one in (network, other):
        steps(one, table, [0, 32])
    np.testing.assert_array_equal(network.parameters, other.parameters)
    np.testing.assert_array_equal(network.statistics, other.statistics)


def digest_of_a_training(activation, batch_norm):
    units = UNITS[3]
    network, *_ = three_ways(units, activation, batch_norm, dropout=0.2, scaled=True)
    table, _ = table_of(300, units, weighted=True)
    optimizer = optimizers.adam(weight_decay=0.01)
    losses = steps(network, table, np.arange(0, 301, 50), optimizer=optimizer, seed=7)
    arrays = (losses, network.parameters, network.statistics, network.infer(table))
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


@pytest.mark.parametrize("activation", ["relu", "silu"])
@each_norm
def test_a_seed_gives_the_same_bits_twice(activation, batch_norm):
    first, second = (digest_of_a_training(activation, batch_norm) for _ in range(2))
    assert first == second


def test_a_seed_gives_the_same_bits_in_another_process():
    program = (
        f"import sys; sys.path.insert(0, {str(sys.modules[__name__].__file__.rsplit('/', 1)[0])!r})"
        "\nfrom test_fusion import digest_of_a_training\n"
        "print(digest_of_a_training('silu', 'before'))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout.strip() == digest_of_a_training("silu", "before")


# ---------------------------------------------------------------------------------------- the plan


def expected_kinds(activation, batch_norm, dropout):
    """The operations of a hidden layer, or None where nothing of it is fused."""
    fused = activation in FUSED
    if batch_norm == "before":
        kinds = [LAYER] if fused else [LAYER, ACTIVATION]
    elif fused:
        kinds = [LAYER] if batch_norm is None else [LAYER, BATCH_NORM]
    else:
        return None
    return [*kinds, DROPOUT] if dropout else kinds


@pytest.mark.parametrize("activation", ACTIVATIONS)
@each_norm
@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("embedded", [(), [(0, 2)]])
def test_the_operations_of_a_plan_with_layers(activation, batch_norm, dropout, embedded):
    plan = feed_forward((5, 7, 6, 3), activation, batch_norm, dropout=dropout, embedded=embedded)
    before = plan.copy()
    layout = Layout.read(plan)
    assert plan.tobytes() == before.tobytes()
    hidden = expected_kinds(activation, batch_norm, dropout)
    if hidden is None:
        assert layout.dense.layered is None
        assert layout.sparse is None or layout.sparse.layered is None
        return
    first = [INPUTS, PERIODIC] if embedded else [INPUTS]
    operations = layout.dense.layered.operations
    operations = operations[operations["part"] == NO_PART]
    assert operations["kind"].tolist() == [*first, *hidden, *hidden, LINEAR]
    layers = operations[operations["kind"] == LAYER]
    name = activation if activation in FUSED else "identity"
    assert set(layers["activation"]) == {layer_kernels.FUSED[name]}
    assert (layers["gamma"] >= 0).all() == (batch_norm == "before")
    assert (layers["bias"] >= 0).all() == (batch_norm != "before")
    # All else of a layer is as in the parts.
    for fields, kind in (
        (["n_in", "n_out", "weights", "bias", "scale"], LINEAR),
        (["gamma", "beta", "statistics", "epsilon", "momentum", "n_steps", "shared"], BATCH_NORM),
    ):
        if kind == LINEAR or batch_norm == "before":
            np.testing.assert_array_equal(layers[fields], plan[plan["kind"] == kind][:2][fields])


@pytest.mark.parametrize("activation", ["relu", "silu"])
@each_norm
def test_the_first_map_of_a_sparse_table_is_no_layer(activation, batch_norm):
    layout = Layout.read(feed_forward((5, 7, 6, 3), activation, batch_norm))
    hidden = expected_kinds(activation, batch_norm, 0.0)
    first = {"before": [BATCH_NORM, ACTIVATION], "after": [ACTIVATION, BATCH_NORM]}
    first = [SPARSE_LINEAR, *first.get(batch_norm, [ACTIVATION])]
    if (activation, batch_norm) == ("relu", "before"):
        # As in a plan without layers.
        first.pop()
        assert layout.sparse.layered.operations["activation"][1] == ACTIVATIONS["relu"]
    assert layout.sparse.layered.operations["kind"].tolist() == [*first, *hidden, LINEAR]


@pytest.mark.parametrize("units", [(5, 3), (5, 4, 3)])
def test_a_plan_without_a_hidden_layer_to_fuse_has_no_layers(units):
    layout = Layout.read(feed_forward(units, "relu", "before"))
    assert (layout.dense.layered is None) == (len(units) == 2)
    assert layout.sparse is None or layout.sparse.layered is None


each_layered_plan = pytest.mark.parametrize(
    "layout",
    [
        pytest.param(
            Layout.read(feed_forward(units, activation, batch_norm, **options)),
            id=f"{'-'.join(map(str, units))}-{activation}-{batch_norm}-{name}",
        )
        for units in UNITS
        for activation in ("relu", "silu", "gelu")
        for batch_norm in ("before", "after", None)
        for name, options in OPTIONS.items()
        if expected_kinds(activation, batch_norm, 0.0)
    ],
)


def runs_of(layout):
    return [
        runs.layered
        for runs in (layout.dense, layout.sparse)
        if runs is not None and runs.layered is not None
    ]


@each_layered_plan
def test_every_column_of_work_memory_belongs_to_one_operation(layout):
    for run in runs_of(layout):
        counts = np.zeros(run.work_columns, int)
        below, strides = None, {}
        for row in run.operations[run.operations["part"] == NO_PART]:
            width = row["n_out"]
            if row["kind"] == LAYER:
                assert row["y_stride"] in (width, padded(width))
                width = row["y_stride"]
                counts[row["z"] :][: padded(row["n_out"])] += 1
                # Only silu keeps its derivatives.
                assert (row["side"] >= 0) == (row["activation"] == layer_kernels.FUSED["silu"])
                if row["side"] >= 0:
                    counts[row["side"] :][: padded(row["n_out"])] += 1
            if row["x"] != row["y"] or below is None:
                counts[row["y"] :][:width] += 1
            if below is not None:
                assert row["x"] == below["y"]
                assert row["n_in"] == below["n_out"]
                if row["kind"] in (LAYER, LINEAR):
                    assert row["x_stride"] == strides[int(row["x"])]
                else:
                    # Other operations know no padding.
                    assert strides[int(row["x"])] == row["n_in"]
            strides[int(row["y"])] = width
            below = row
        np.testing.assert_array_equal(counts, 1)
        assert run.operations["kind"][-1] == LINEAR
        widths = [padded(row["n_out"]) for row in run.operations if row["kind"] != INPUTS]
        assert run.widest >= max(widths[: -1 if len(widths) > 1 else None])


@each_layered_plan
def test_every_double_of_scratch_belongs_to_one_operation(layout):
    for run in runs_of(layout):
        counts = np.zeros(run.scratch, int)
        operations = run.operations[run.operations["part"] == NO_PART]
        plain_scratch = layout.dense.plain.scratch
        for row in operations:
            n_weights = row["n_in"] * row["n_out"]
            if row["kind"] == BATCH_NORM:
                counts[row["scratch"] :][: scratch_of(1) * row["n_out"]] += 1
            elif row["kind"] == SPARSE_LINEAR and row["scale"] < 0:
                counts[row["scratch"] :][: row["n_out"]] += 1
            elif row["scale"] >= 0:
                counts[row["scratch"] :][: n_weights + row["n_out"]] += 1
        assert counts[plain_scratch:].max(initial=0) == 0
        mapped = operations[np.isin(operations["kind"], [LAYER, LINEAR])]
        (packed,) = set(mapped["packed"].tolist())
        longest = max(mapped["n_in"].max(), mapped["n_out"].max())
        lines = [(packed, longest * layer_kernels.panel_width() / 2)]
        for row in operations[operations["kind"] == LAYER]:
            size = 7 + (scratch_of(1) if row["gamma"] >= 0 else 0)
            lines.append((row["columns"], size * padded(row["n_out"])))
        for start, size in lines:
            counts[start:][: 8 * int(np.ceil(size / 8))] += 1
        assert counts.max() == 1
        first = -(-plain_scratch // 8) * 8
        np.testing.assert_array_equal(counts[first:], 1)


@each_layered_plan
def test_arrays_of_layers_begin_at_a_cache_line(layout):
    for run in runs_of(layout):
        layers = run.operations[run.operations["kind"] == LAYER]
        for name in ("columns", "packed"):
            assert (layers[name] >= 0).all()
            np.testing.assert_array_equal(8 * layers[name] % 64, 0)


def test_the_memory_of_layers_begins_at_a_cache_line(monkeypatch):
    units = (7, 33, 5, 2)
    network = Network.initial(feed_forward(units, "relu", "before"), LOSS, np.float32)
    table, _ = table_of(37, units)
    made, empty = [], aligned.empty
    monkeypatch.setattr(aligned, "empty", lambda *of: made.append(empty(*of)) or made[-1])
    memory = network._memory(table, np.arange(37), np.array([0, 37]))
    run = network.layout.dense.layered
    # Blocks of columns are of whole lines.
    assert 4 * memory.capacity % 64 == 0
    sizes = [array.size for array in made]
    for wanted in (
        memory.capacity * run.work_columns, run.scratch, 2 * memory.capacity * run.widest
    ):  # fmt: skip
        assert wanted in sizes
    assert all(aligned.is_aligned(array) for array in made)


# ------------------------------------------------------------------------------------- what is run


def test_few_rows_are_run_part_by_part():
    network, plain, double = three_ways(UNITS[0], "silu", "before")
    table, wide = table_of(40, UNITS[0])
    assert LEAST_LAYER_ROWS == 16
    for n in (1, 15):
        assert network.run_plan(table, n) is network.layout.dense.plain
    for n in (16, 17, 1000):
        assert network.run_plan(table, n) is network.layout.dense.layered
        assert plain.run_plan(table, n) is plain.layout.dense.plain
        assert double.run_plan(wide, n) is double.layout.dense.plain


def test_sparse_tables_have_a_plan_of_their_own():
    network, *_ = three_ways(UNITS[1], "silu", "before")
    table = as_sparse(table_of(40, UNITS[1])[0])
    assert network.run_plan(table, 15) is network.layout.sparse.plain is network.plain_plan(table)
    assert network.run_plan(table, 16) is network.layout.sparse.layered


def test_large_steps_are_run_part_by_part():
    units = (100, 500, 500, 10)
    network, *_ = three_ways(units, "silu", "before")
    table, _ = table_of(40, units)
    flops = 6 * (100 * 500 + 500 * 500 + 500 * 10)
    most = -(-MOST_LAYER_FLOPS // flops)
    assert MOST_LAYER_FLOPS == 500_000_000
    assert network.run_plan(table, most - 1) is network.layout.dense.layered
    assert network.run_plan(table, most) is network.layout.dense.plain


def operations_of_inference(monkeypatch, network, table):
    """The plan that an inference runs, and its outputs."""
    plans, memory_of = [], Network.inference_memory

    def noted(self, run, n):
        plans.append(run)
        return memory_of(self, run, n)

    with monkeypatch.context() as patched:
        patched.setattr(Network, "inference_memory", noted)
        outputs = network.infer(table)
    (run,) = plans
    return run, outputs


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_a_normalized_network_infers_part_by_part(monkeypatch, batch_norm):
    fused, plain, _ = three_ways(UNITS[1], "silu", batch_norm)
    table, _ = table_of(100, UNITS[1])
    run, outputs = operations_of_inference(monkeypatch, fused, table)
    assert run is fused.layout.dense.plain
    np.testing.assert_array_equal(outputs, plain.infer(table))


@pytest.mark.parametrize("activation", FUSED)
@pytest.mark.parametrize("n", [16, 100, 5000])
def test_a_folded_network_infers_in_layers(monkeypatch, activation, n):
    normalized = random_network(UNITS[1], activation, "before", LOSS)
    coefs, intercepts = folded(normalized.plan, normalized.parameters, normalized.statistics)
    networks = [
        plain_network(coefs, intercepts, activation, LOSS, dtype)
        for dtype in (np.float32, np.float32, np.float64)
    ]
    networks[1].fuses_layers = False
    networks[2].parameters[:] = networks[0].parameters
    table, wide = table_of(n, UNITS[1])
    run, outputs = operations_of_inference(monkeypatch, networks[0], table)
    assert run is networks[0].layout.dense.inferring
    run, plain_outputs = operations_of_inference(monkeypatch, networks[1], table)
    assert run is networks[1].layout.dense.plain
    expected = networks[2].infer(wide)
    error = relative_error(outputs, expected)
    assert error <= 4.0 * relative_error(plain_outputs, expected) + 2e-6
    # A row has the same bits wherever it stands, up to the product of the outputs by the BLAS.
    order = np.random.default_rng(0).permutation(n)
    shuffled = networks[0].infer(table, order)
    np.testing.assert_allclose(shuffled, outputs[order], rtol=1e-5, atol=1e-5)


def test_a_few_rows_of_a_folded_network_are_inferred_part_by_part(monkeypatch):
    network, *_ = three_ways(UNITS[1], "silu", None)
    table, _ = table_of(15, UNITS[1])
    run, _ = operations_of_inference(monkeypatch, network, table)
    assert run is network.layout.dense.plain


def test_another_plan_has_another_memory():
    # Fused, by parts, and again: neither finds the memory of the other.
    network, plain, _ = three_ways(UNITS[1], "silu", "before")
    table, _ = table_of(60, UNITS[1])
    expected = network.loss_and_gradient(table)[1], plain.loss_and_gradient(table)[1]
    for fuses in (True, False, True, False):
        network.fuses_layers = fuses
        result = network.loss_and_gradient(table)[1]
        np.testing.assert_array_equal(result, expected[0 if fuses else 1])
        few = network.loss_and_gradient(table, np.arange(10))[1]
        np.testing.assert_array_equal(few, plain.loss_and_gradient(table, np.arange(10))[1])


# -------------------------------------------------------------------------------------- estimators


def rows(kind, n=600):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 8)) * [1, 10, 100, 1, 1, 1, 1, 1] + [0, 1e2, 0, -5, 0, 0, 0, 0]
    score = X[:, 0] + X[:, 1] / 10 - 10 + np.sin(X[:, 4]) + 0.3 * rng.standard_normal(n)
    if kind is MLPWithBatchNormClassifier:
        return X, np.digitize(score, [-0.5, 1.0])
    return X, 10.0 * score


def both_ways(monkeypatch, fit):
    results = []
    for fuses in (True, False):
        monkeypatch.setattr(Network, "fuses_layers", fuses)
        results.append(fit())
    return results


@pytest.mark.parametrize("kind", [MLPWithBatchNormClassifier, MLPWithBatchNormRegressor])
@pytest.mark.parametrize("activation", ["relu", "silu", "tanh"])
@pytest.mark.parametrize("case", ["fit", "partial_fit", "sparse", "weights", "dropout", "after"])
def test_estimators_are_nearly_the_same_both_ways(monkeypatch, kind, activation, case):
    X, y = rows(kind)
    options = {
        "dropout": {"dropout": 0.2},
        "after": {"batch_norm": "after"},
        "sparse": {"normalize_input": None},
    }.get(case, {})
    if case == "sparse":
        X = csr_array(np.where(np.abs(X) > 1.0, X / 100.0, 0.0))

    def fit():
        estimator = kind(
            hidden_layer_sizes=(40, 24), activation=activation, n_epochs=6, batch_size=50,
            random_state=0, early_stopping=False, **options,
        )  # fmt: skip
        if case == "partial_fit":
            classes = {"classes": np.unique(y)} if kind is MLPWithBatchNormClassifier else {}
            for start in range(0, 600, 200):
                part = slice(start, start + 200)
                estimator.partial_fit(X[part], y[part], **classes)
                classes = {}
            return estimator
        if case == "weights":
            weight = np.random.default_rng(1).integers(0, 3, len(y)).astype(float)
            return estimator.fit(X, y, sample_weight=weight)
        return estimator.fit(X, y)

    fused, plain = both_ways(monkeypatch, fit)
    curves = np.array(fused.loss_curve_), np.array(plain.loss_curve_)
    np.testing.assert_allclose(*curves, rtol=2e-2)
    assert abs(fused.score(X, y) - plain.score(X, y)) < 0.01
    # Not the same bits: both ways are run.
    different = any(
        not np.array_equal(a, b) for a, b in zip(fused.coefs_, plain.coefs_, strict=True)
    )
    assert different or (case == "after" and activation == "tanh")


@pytest.mark.parametrize("activation", ["relu", "silu", "identity", "tanh"])
@pytest.mark.parametrize("kind", [np.asarray, csr_array])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_plan_for_inference_alone(activation, kind, dropout):
    plan = feed_forward((7, 33, 16, 5, 3), activation, None, dropout=dropout)
    network = Network.initial(plan, "squared_error", np.float32)
    rng = np.random.default_rng(0)
    network.parameters[:] = rng.standard_normal(network.parameters.shape)
    X = rng.standard_normal((50, 7)).astype(np.float32)
    table = Table(kind(X), np.zeros((50, 3), np.float32))
    runs = network.layout.dense if kind is np.asarray else network.layout.sparse
    if activation != "tanh":
        assert (runs.inferring.operations["side"] == -1).all()
        assert runs.inferring.work_columns < runs.layered.work_columns
        assert network.infer(table, n_threads=2).shape == (50, 3)
    outputs = network.infer(table)
    network.fuses_layers = False
    expected = network.infer(table)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert activation == "tanh" or kind is csr_array or (outputs != 0).any()


@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("kind", [np.asarray, csr_array])
@pytest.mark.parametrize("options", [{}, {"scaled": True}, {"embedded": [(0, 3)]}])
@pytest.mark.parametrize("fuses", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gradient_does_not_depend_on_the_batch_before(alpha, kind, options, fuses, dtype):
    # 300 rows: the gradient of weights is taken from 256 rows at a time.
    plan = feed_forward((7, 33, 16, 3), "relu", "before", **options)
    network = Network.initial(plan, "squared_error", dtype)
    rng = np.random.default_rng(0)
    network.parameters[:] += rng.standard_normal(network.parameters.shape).astype(dtype)
    network.fuses_layers = fuses
    table = Table(kind(rng.standard_normal((300, 7)).astype(dtype)), np.zeros((300, 3), dtype))
    losses, gradient = network.loss_and_gradient(table, alpha=alpha)
    network._training_memory[1].gradient[:] = np.nan
    again = network.loss_and_gradient(table, alpha=alpha)
    np.testing.assert_array_equal(again[0], losses)
    np.testing.assert_array_equal(again[1], gradient)
    assert np.isfinite(gradient).all()
    double = network.like(plan, network.parameters.astype(np.float64), network.statistics)
    wide = Table(
        kind(np.asarray(table.X.todense() if kind is csr_array else table.X, np.float64)),
        np.zeros((300, 3)),
    )
    expected = double.loss_and_gradient(wide, alpha=alpha)[1]
    assert np.linalg.norm(gradient - expected) <= 1e-4 * np.linalg.norm(expected)


def test_narrow_layers_of_large_batches_are_not_padded():
    plan = feed_forward((5, 2, 2, 2, 1), "relu", None)
    network = Network.initial(plan, "squared_error", np.float32)
    table = Table(np.zeros((10, 5), np.float32), np.zeros((10, 1), np.float32))
    runs = network.layout.dense
    if LANES == 16:
        assert runs.layered.work_columns > 3 * runs.plain.work_columns
        assert network.run_plan(table, 2049) is runs.plain
    assert network.run_plan(table, 2048) is runs.layered
    wide = Network.initial(feed_forward((5, 64, 1), "relu", None), "squared_error", np.float32)
    assert wide.run_plan(table, 20_000) is wide.layout.dense.layered
