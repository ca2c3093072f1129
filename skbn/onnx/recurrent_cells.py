"""One direction of a recurrent layer as a loop over time steps (``skbn.network.operations``).

The operators LSTM and GRU of ONNX cannot normalize inside of a cell. So each cell is a loop of
plain nodes, with batch norm and without.
"""

import numpy as np

from skbn.network import views
from skbn.network.operations.registry import PARTS
from skbn.network.plan import BATCH_NORM, LINEAR
from skbn.onnx.scan import scan


class Norm:
    """A batch norm: an array of shape (t, d) for the center, the scale and the shift of each step.

    y = (x - center) scale + shift, with scale 0 in a column without variance. The center is rounded
    to the dtype of the graph. The shift has the part of the mean that is lost.
    """

    def __init__(self, dtype, epsilon, gamma, beta, mean, var):
        self.center = mean.astype(dtype).astype(np.float64)
        with np.errstate(divide="ignore"):
            self.scale = np.where(var > 0.0, gamma / np.sqrt(var + epsilon), 0.0)
        self.shift = beta + (self.center - mean) * self.scale

    def zero_at_first(self):
        """Make y = 0 at the first step, and leave the statistics of later steps as they are."""
        for name in ("center", "scale", "shift"):
            steps = getattr(self, name)
            steps = np.concatenate([np.zeros_like(steps[:1]), steps[min(1, len(steps) - 1) :]])
            setattr(self, name, steps)


def layers_of(network, dtype):
    """The parts of each operation of kind RECURRENT of a network, in the order of the plan.

    Returns
    -------
    layers : list of dict
        Names of parts (``skbn.network.operations.registry.PARTS``) -> the weights and the bias of a
        map, or a `Norm`.
    """
    plan = network.plan
    maps = zip(
        views.weights(plan, network.parameters),
        views.biases(plan, network.parameters),
        strict=True,
    )
    norms = zip(
        views.gammas(plan, network.parameters),
        views.betas(plan, network.parameters),
        views.running_means(plan, network.statistics),
        views.running_vars(plan, network.statistics),
        strict=True,
    )
    names = {code: name for name, code in PARTS.items()}
    layers = []
    for row in plan:
        name = names[int(row["part"])]
        if name == "input_map":
            layers.append({})
        if row["kind"] == LINEAR:
            part = next(maps)
        elif row["kind"] == BATCH_NORM:
            part = Norm(dtype, float(row["epsilon"]), *next(norms))
        if name != "none":
            layers[-1][name] = part
    for layer in layers:
        if "recurrent_norm" in layer:
            layer["recurrent_norm"].zero_at_first()
    return layers


def states_of(graph, x, cell, layer, numbers, n_rows):
    """The states of a direction after each step, shape (n_steps, n, d).

    Parameters
    ----------
    graph : Graph
    x : str
        The inputs in the order in which the direction reads them, shape (n_steps, n, n_in).
    cell : str
        A name in ``skbn.kernels.cells.CELLS``.
    layer : dict
        The parts of the direction.
    numbers : str
        The numbers of the steps, 0, 1, ..., shape (n_steps,).
    n_rows : str
        The number of sequences, shape (1,).

    Raises
    ------
    NotImplementedError
        If this file does not know the cell.
    """
    if cell not in STEPS:
        raise NotImplementedError(f"skbn.onnx cannot convert the cell {cell!r}.")
    tables = _tables(cell, layer)
    sequences = [x, *(_of_steps(graph, table, numbers) for table in tables.values())]
    d = layer["recurrent_map"][0].shape[0]
    shape = graph.node("Concat", n_rows, np.array([d]), axis=0)
    zeros = graph.node("Expand", np.zeros((1, 1)), shape)
    states = [zeros, zeros] if cell == "lstm" else [zeros]

    def step(inner, before, entries):
        of_step = dict(zip(("x", *tables), entries, strict=True))
        return STEPS[cell](inner, layer, of_step, *before)

    return scan(graph, step, states, sequences)


def _of_steps(graph, table, numbers):
    # Steps behind the last step that has statistics take the statistics of the last step.
    numbers = graph.node("Min", numbers, np.array(len(table) - 1))
    return graph.node("Gather", table, numbers, axis=0)


def _tables(cell, layer):
    """The arrays of shape (t, d) that differ from step to step."""
    tables = {}
    for part in ("input_norm", "recurrent_norm", "cell_norm"):
        if part in layer:
            norm = layer[part]
            tables[f"{part}_minus_center"] = -norm.center
            tables[f"{part}_scale"] = norm.scale
            tables[f"{part}_shift"] = norm.shift
    if "recurrent_norm" in layer and cell != "gru":
        # The cell adds both contributions, so one shift is enough. An array of one step serves all.
        shift = tables.pop("recurrent_norm_shift")
        tables["input_norm_shift"] = tables["input_norm_shift"] + shift
    return tables


def _contribution(inner, x, kind, layer, of_step, added=None):
    """The product of `x` with the weights of a map, normalized, plus bias or shift.

    `added` is a value of the shape of the contribution, which is added to the contribution.
    """
    weights, bias = layer[f"{kind}_map"]
    if f"{kind}_norm" not in layer:
        return inner.node("Gemm", x, weights, bias if added is None else added)
    u = inner.node("Gemm", x, weights, of_step[f"{kind}_norm_minus_center"])
    u = inner.node("Mul", u, of_step[f"{kind}_norm_scale"])
    shift = of_step.get(f"{kind}_norm_shift")
    for term in (shift, added):
        if term is not None:
            u = inner.node("Add", u, term)
    return u


def _both(inner, layer, of_step, h):
    a = _contribution(inner, of_step["x"], "input", layer, of_step)
    return _contribution(inner, h, "recurrent", layer, of_step, a)


def _split(inner, value, *sizes):
    return inner.nodes("Split", (value, np.array(sizes)), len(sizes), axis=1)


def _lstm(inner, layer, of_step, h, c):
    d = layer["recurrent_map"][0].shape[0]
    i, f, g, o = _split(inner, _both(inner, layer, of_step, h), d, d, d, d)
    kept = inner.node("Mul", inner.node("Sigmoid", f), c)
    new = inner.node("Mul", inner.node("Sigmoid", i), inner.node("Tanh", g))
    c = shown = inner.node("Add", kept, new)
    if "cell_norm" in layer:
        shown = inner.node("Add", shown, of_step["cell_norm_minus_center"])
        shown = inner.node("Mul", shown, of_step["cell_norm_scale"])
        shown = inner.node("Add", shown, of_step["cell_norm_shift"])
    h = inner.node("Mul", inner.node("Sigmoid", o), inner.node("Tanh", shown))
    return [h, c], h


def _gru(inner, layer, of_step, h):
    d = layer["recurrent_map"][0].shape[0]
    a = _contribution(inner, of_step["x"], "input", layer, of_step)
    u = _contribution(inner, h, "recurrent", layer | {"recurrent_map": _no_bias(layer)}, of_step)
    of_gates, a = _split(inner, a, 2 * d, d)
    u_gates, u = _split(inner, u, 2 * d, d)
    gates = inner.node("Sigmoid", inner.node("Add", of_gates, u_gates))
    r, z = _split(inner, gates, d, d)
    u = inner.node("Add", u, layer["recurrent_map"][1])
    n = inner.node("Tanh", inner.node("Add", a, inner.node("Mul", r, u)))
    # (1 - z) n + z h
    h = inner.node("Add", n, inner.node("Mul", z, inner.node("Sub", h, n)))
    return [h], h


def _no_bias(layer):
    # The candidate alone has a bias.
    weights, _ = layer["recurrent_map"]
    return weights, np.zeros(1)


def _tanh(inner, layer, of_step, h):
    h = inner.node("Tanh", _both(inner, layer, of_step, h))
    return [h], h


STEPS = {"lstm": _lstm, "gru": _gru, "tanh": _tanh}
