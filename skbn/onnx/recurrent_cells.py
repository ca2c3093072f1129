"""One direction of a recurrent layer as a loop over time steps.

The operators LSTM and GRU of ONNX cannot normalize inside of a cell. So each cell is a loop of
plain nodes, with batch norm and without. The formulas are in
``skbn/network/operations/recurrent.pyx``.
"""

import numpy as np

from skbn.network import views
from skbn.network.operations.registry import PARTS
from skbn.network.plan import BATCH_NORM, LINEAR
from skbn.onnx.scan import scan


def layers_of(network):
    """The arrays of each operation of kind RECURRENT of a network, in the order of the plan.

    Returns
    -------
    layers : list of dict
        ``"input_map"`` and ``"recurrent_map"``: weights. ``"bias"``: the bias of the inputs, which
        is the beta of their batch norm if there is one. ``"candidate_bias"``: the bias of the
        recurrent map, which only a GRU has. ``"input_norm"``, ``"recurrent_norm"``,
        ``"cell_norm"``, if there are such: negative mean and scale of each step, shape (t, d).
        ``"cell_beta"``: the beta of the last one.
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
        if name != "none" and row["kind"] == LINEAR:
            weights, bias = next(maps)
            added = "bias" if name == "input_map" else "candidate_bias"
            layers[-1] |= {name: weights, added: bias}
        elif name != "none" and row["kind"] == BATCH_NORM:
            gamma, beta, mean, var = next(norms)
            layers[-1][name] = -mean, _scale(gamma, var, float(row["epsilon"]))
            if name == "input_norm":
                layers[-1]["bias"] = beta
            elif name == "cell_norm":
                layers[-1]["cell_beta"] = beta
            else:
                # At the first step the state before is 0 in all sequences, and has no part.
                layers[-1][name][1][0] = 0.0
    return layers


def _scale(gamma, var, epsilon):
    # A column without variance has no part in the outputs.
    with np.errstate(divide="ignore"):
        return np.where(var > 0.0, gamma / np.sqrt(var + epsilon), 0.0)


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
        The arrays of the direction.
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
    norms = [name for name in ("input_norm", "recurrent_norm", "cell_norm") if name in layer]
    tables = [table for name in norms for table in layer[name]]
    sequences = [x, *(_of_steps(graph, table, numbers) for table in tables)]
    shape = graph.node("Concat", n_rows, np.array([len(layer["recurrent_map"])]), axis=0)
    zeros = graph.node("Expand", np.zeros((1, 1)), shape)
    states = [zeros, zeros] if cell == "lstm" else [zeros]

    def step(inner, before, entries):
        x, *of_step = entries
        pairs = zip(of_step[::2], of_step[1::2], strict=True)
        one = Step(inner, layer, dict(zip(norms, pairs, strict=True)))
        return STEPS[cell](one, x, *before)

    return scan(graph, step, states, sequences)


def _of_steps(graph, table, numbers):
    # Steps behind the last step that has statistics take the statistics of the last step.
    numbers = graph.node("Min", numbers, np.array(len(table) - 1))
    return graph.node("Gather", table, numbers, axis=0)


class Step:
    """One time step of a direction: the parts that all cells have.

    Parameters
    ----------
    graph : Graph
        The inner graph of the loop.
    layer : dict
        The arrays of the direction.
    norms : dict
        Names of batch norms -> the names of negative mean and scale of this step, shape (d,).
    """

    def __init__(self, graph, layer, norms):
        self.graph, self.layer, self.norms = graph, layer, norms
        self.d = len(layer["recurrent_map"])

    def inputs(self, x):
        """The contribution of the inputs, with the bias."""
        return self._contribution("input", x, self.layer["bias"])

    def gates(self, x, h):
        """Both contributions, added."""
        return self.state(h, self.inputs(x))

    def state(self, h, added):
        """The contribution of the state before, added to `added`."""
        return self._contribution("recurrent", h, added)

    def _contribution(self, kind, x, added):
        weights, norm = self.layer[f"{kind}_map"], self.norms.get(f"{kind}_norm")
        if norm is None:
            return self.graph.node("Gemm", x, weights, added)
        minus_mean, scale = norm
        product = self.graph.node("Gemm", x, weights, minus_mean)
        return self.graph.node("Add", self.graph.node("Mul", product, scale), added)

    def shown(self, c):
        """The state of the memory of an LSTM, normalized if there is a batch norm."""
        if "cell_norm" not in self.norms:
            return c
        minus_mean, scale = self.norms["cell_norm"]
        c = self.graph.node("Mul", self.graph.node("Add", c, minus_mean), scale)
        return self.graph.node("Add", c, self.layer["cell_beta"])

    def split(self, value, *parts):
        """Columns apart; a part is a number of columns in units of d."""
        sizes = self.d * np.array(parts)
        return self.graph.nodes("Split", (value, sizes), len(parts), axis=1)


def _lstm(step, x, h, c):
    node = step.graph.node
    i, f, g, o = step.split(step.gates(x, h), 1, 1, 1, 1)
    kept = node("Mul", node("Sigmoid", f), c)
    c = node("Add", kept, node("Mul", node("Sigmoid", i), node("Tanh", g)))
    h = node("Mul", node("Sigmoid", o), node("Tanh", step.shown(c)))
    return [h, c], h


def _gru(step, x, h):
    node = step.graph.node
    # The reset gate multiplies the bias of the candidate, too.
    bias = np.concatenate([np.zeros(2 * step.d), step.layer["candidate_bias"]])
    a_gates, a = step.split(step.inputs(x), 2, 1)
    u_gates, u = step.split(step.state(h, bias), 2, 1)
    r, z = step.split(node("Sigmoid", node("Add", a_gates, u_gates)), 1, 1)
    n = node("Tanh", node("Add", a, node("Mul", r, u)))
    # (1 - z) n + z h
    h = node("Add", n, node("Mul", z, node("Sub", h, n)))
    return [h], h


def _tanh(step, x, h):
    h = step.graph.node("Tanh", step.gates(x, h))
    return [h], h


STEPS = {"lstm": _lstm, "gru": _gru, "tanh": _tanh}
