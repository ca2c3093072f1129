"""Recurrent networks on our own products, cells and sums, beside those on the BLAS."""

import numpy as np
import pytest
from sequences import CELLS, NORMS, random_recurrent, random_sequences

from skbn.kernels import layer
from skbn.network import statistics
from skbn.network.network import MOST_LAYER_FLOPS, Network

pytestmark = pytest.mark.skipif(layer.lanes() == 0, reason="this processor has no such loops")

# Rows of gates that end in a part of a vector, and rows that end in a whole one.
UNITS = ([3, 5, 2], [9, 33, 4, 3], [20, 64, 3])
N_STEPS = 7

each_cell = pytest.mark.parametrize("cell", CELLS)
each_norm = pytest.mark.parametrize(
    ("batch_norm", "shared"), [("full", False), ("full", True), ("input", False), ("input", True),
                               (None, False)],
)  # fmt: skip
each_direction = pytest.mark.parametrize("bidirectional", [False, True])


def network_of(units, cell, batch_norm, dtype=np.float32, **options):
    scale = 1.4 / np.sqrt(units[1])
    return random_recurrent(
        units, cell, batch_norm, N_STEPS, "squared_error", dtype=dtype, scale=scale, **options
    )


def sequences_of(units, n=23, dtype=np.float32, **options):
    return random_sequences(
        n, N_STEPS, units[0], "squared_error", units[-1], dtype=dtype, **options
    )


def results(network, table):
    """Gradient, predictions and exact statistics."""
    copy = network.copy()
    _, gradient = copy.loss_and_gradient(table, alpha=0.1)
    outputs = copy.infer(table)
    statistics.set_exact_statistics(copy, table)
    return gradient, outputs, copy.statistics


def error(actual, expected):
    return np.linalg.norm(actual - expected) / max(np.linalg.norm(expected), 1e-300)


@each_cell
@each_norm
@each_direction
@pytest.mark.parametrize("units", UNITS, ids=str)
@pytest.mark.parametrize(("ragged", "weighted"), [(False, False), (True, False), (True, True)])
def test_results_are_as_close_to_float64_as_those_of_the_blas(
    monkeypatch, cell, batch_norm, shared, bidirectional, units, ragged, weighted
):
    options = {"bidirectional": bidirectional, "shared": shared, "seed": 3}
    kinds = {"ragged": ragged, "weighted": weighted}
    exact = results(
        network_of(units, cell, batch_norm, np.float64, **options),
        sequences_of(units, dtype=np.float64, **kinds),
    )
    network, table = network_of(units, cell, batch_norm, **options), sequences_of(units, **kinds)
    own = results(network, table)
    monkeypatch.setattr(Network, "fuses_layers", False)
    of_blas = results(network, table)
    for a, b, c in zip(own, of_blas, exact, strict=True):
        assert error(a, c) <= 4 * error(b, c) + 2e-6


@each_cell
@pytest.mark.parametrize("batch_norm", NORMS)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_sequences(monkeypatch, cell, batch_norm, n):
    units = UNITS[1]
    wide = network_of(units, cell, batch_norm, np.float64)
    exact = results(wide, sequences_of(units, n, np.float64, ragged=True))
    network, table = network_of(units, cell, batch_norm), sequences_of(units, n, ragged=True)
    own = results(network, table)
    monkeypatch.setattr(Network, "fuses_layers", False)
    # Two rows lie at -1 and 1 once they are normalized: gradients through them are rough.
    for a, b, c in zip(own, results(network, table), exact, strict=True):
        assert error(a, c) <= 4 * error(b, c) + 1e-3 * (n > 1) + 2e-6


@each_cell
def test_the_same_bits_whatever_ran_before(cell):
    units = UNITS[1]
    network, table = network_of(units, cell, "full"), sequences_of(units, ragged=True)
    _, gradient = network.loss_and_gradient(table)
    outputs = network.infer(table)
    network.loss_and_gradient(table, np.arange(3))
    np.testing.assert_array_equal(network.loss_and_gradient(table)[1], gradient)
    np.testing.assert_array_equal(network.copy().infer(table), outputs)


def test_a_sequence_has_the_same_outputs_in_any_company():
    units = UNITS[2]
    network, table = network_of(units, "lstm", "full"), sequences_of(units, ragged=True)
    together = network.infer(table)
    for row in range(table.n_rows):
        # The map of the outputs is the BLAS's, which rounds otherwise for one row.
        alone = network.infer(table, np.array([row]))
        np.testing.assert_allclose(alone, together[[row]], rtol=1e-6, atol=1e-7)


def test_statistics_are_collected_by_the_products_of_inference():
    # Equal rows far from 0: a product that is rounded otherwise would show.
    units = [4, 20, 2]
    network = network_of(units, "lstm", "input")
    table = sequences_of(units, 64, normalized=False)
    table.X[...] = 1000.0 + 0.01 * table.X
    statistics.set_exact_statistics(network, table)
    assert network.sequence_plan(table) is network.layout.dense.layered
    wide = network_of(units, "lstm", "input", np.float64)
    wide.statistics[:] = network.statistics
    assert np.isfinite(network.infer(table)).all()


def test_which_networks_have_products_of_their_own(monkeypatch):
    units = UNITS[0]
    network, table = network_of(units, "lstm", "full"), sequences_of(units)
    assert network.run_plan(table, 1) is network.layout.dense.layered
    assert network.run_plan(table, MOST_LAYER_FLOPS) is network.layout.dense.plain
    wide = network_of(units, "lstm", "full", np.float64)
    assert wide.run_plan(table, 64) is wide.layout.dense.plain
    monkeypatch.setattr(Network, "fuses_layers", False)
    assert network.run_plan(table, 64) is network.layout.dense.plain
