"""Plans of recurrent networks.

A recurrent layer has one operation for each direction, with the parts of the operation behind it
(``skbn.network.operations.recurrent``).
"""

import numpy as np

from skbn.kernels.cells import CELLS, GATES
from skbn.kernels.pooling import POOLINGS
from skbn.network import views
from skbn.network.operations.recurrent import state_columns
from skbn.network.operations.registry import PARTS
from skbn.network.plan import (
    BATCH_NORM,
    DROPOUT,
    LINEAR,
    POOLING,
    RECURRENT,
    Layout,
    inputs,
    operation,
    placed,
)


def recurrent(
    layer_units,
    cell,
    batch_norm,
    n_steps,
    *,
    bidirectional=False,
    pooling="last",
    shared=False,
    epsilon=1e-5,
    momentum=0.1,
    dropout=0.0,
):
    """Plan of a recurrent network whose outputs are a linear map of its pooled states.

    Parameters
    ----------
    layer_units : sequence of int
        Inputs of a time step, units of each recurrent layer (and direction), outputs.
    cell : {"lstm", "gru", "tanh"}
        The cell of the recurrent layers.
    batch_norm : {"full", "input", None}
        "full" normalizes the contribution of the inputs, the contribution of the state before, and
        the cell state of an LSTM. "input" normalizes the contribution of the inputs only. None
        normalizes nothing.
    n_steps : int
        Time steps that have running statistics.
    bidirectional : bool, default=False
        Whether every layer has a second direction, which reads sequences from their end.
    pooling : {"last", "mean", "max", "mean_max"}, default="last"
        How the outputs of the highest layer at all steps become one row of a sequence.
    shared : bool, default=False
        Whether the contributions of the inputs have statistics of all steps together.
    epsilon : float, default=1e-5
        Added to the variances.
    momentum : float, default=0.1
        Weight of the newest batch in the running statistics.
    dropout : float, default=0.0
        Rate at which the outputs of recurrent layers are dropped, behind each layer. The outputs of
        the highest layer are dropped behind the pooling: a maximum over dropped and scaled steps
        would be larger in training than in predictions.

    Returns
    -------
    plan : ndarray of dtype `OPERATION`
    """
    n_inputs, *hidden, n_outputs = (int(units) for units in layer_units)
    n_steps = int(n_steps)
    n_directions = 2 if bidirectional else 1
    input_statistics = {"shared": int(shared), "n_steps": 1 if shared else n_steps}
    rows = [inputs(n_inputs)]
    source, n_in, column = 0, n_inputs, n_inputs

    def part(name, kind, n_in, n_out, **fields):
        row = operation(kind, n_in, n_out, 0, 0, part=PARTS[name], epsilon=epsilon)
        rows.append(row | {"momentum": momentum} | fields)

    def drop(n, source, column):
        row = operation(DROPOUT, n, n, source, column, rate=dropout)
        rows.append(row | {"key": len(rows) - 1})
        return column, column + n

    for layer, units in enumerate(hidden):
        width = GATES[cell] * units
        n_out = n_directions * units
        for direction in range(n_directions):
            row = operation(RECURRENT, n_in, n_out, source, column, cell=CELLS[cell])
            rows.append(row | {"direction": direction, "n_directions": n_directions})
            # The beta of the inputs' normalization replaces the bias.
            part("input_map", LINEAR, n_in, width, bias=-1 if batch_norm else 0)
            if batch_norm:
                part("input_norm", BATCH_NORM, width, width, beta=0, **input_statistics)
            # Only the GRU has a bias here, because the reset gate multiplies it.
            bias = {"bias": 0, "first_biased": width - units} if cell == "gru" else {}
            part("recurrent_map", LINEAR, units, width, **bias)
            if batch_norm == "full":
                part("recurrent_norm", BATCH_NORM, width, width, n_steps=n_steps)
            if batch_norm == "full" and cell == "lstm":
                part("cell_norm", BATCH_NORM, units, units, beta=0, n_steps=n_steps)
        source, n_in, column = column, n_out, column + n_out
        if dropout > 0.0 and layer < len(hidden) - 1:
            source, column = drop(n_out, source, column)
    n_out = n_in * (2 if pooling == "mean_max" else 1)
    row = operation(POOLING, n_in, n_out, source, column, n_directions=n_directions)
    rows.append(row | {"pooling": POOLINGS[pooling]})
    source, column = column, column + n_out
    if dropout > 0.0:
        source, column = drop(n_out, source, column)
    rows.append(operation(LINEAR, n_out, n_outputs, source, column, bias=0))
    plan = placed(rows)
    columns = state_columns(plan)
    plan["state"] = np.cumsum([0, *columns[:-1]])
    return plan


def is_recurrent(plan):
    """Whether a plan takes sequences."""
    return bool((plan["kind"] == RECURRENT).any())


def steps_of(plan):
    """Time steps that have running statistics; 1 if nothing is normalized by time step."""
    return int(plan["n_steps"].max())


def lengthened(statistics, plan, new_plan):
    """Running statistics for a plan with more time steps. Added steps copy the last step.

    Parameters
    ----------
    statistics : ndarray of shape (n_statistics,)
        Statistics of `plan`.
    plan, new_plan : ndarray of dtype `OPERATION`
        The plans differ only in their time steps. `new_plan` has at least as many as `plan`.

    Returns
    -------
    statistics : ndarray
        Statistics of `new_plan`.
    """
    result = np.empty(Layout.of(new_plan).n_statistics)
    for view in (views.running_means, views.running_vars):
        for old, new in zip(view(plan, statistics), view(new_plan, result), strict=True):
            new[: len(old)] = old
            new[len(old) :] = old[-1]
    return result
