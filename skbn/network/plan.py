"""Plans: which operations a network consists of, and where each finds its memory.

A plan is a NumPy structured array of `OPERATION` records, mirrored by the C struct
``Operation`` of ``operations.pxd``. It prints, pickles, and serves float32 and float64 alike.
Everything else about a network's memory (how many parameters, statistics, columns of work
memory it needs) is read off the plan by `Sizes`.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from skbn.kernels.activations import ACTIVATIONS
from skbn.network.operations import KINDS, SCRATCH_PER_UNIT

LINEAR, BATCH_NORM, ACTIVATION = KINDS["linear"], KINDS["batch_norm"], KINDS["activation"]

OPERATION = np.dtype(
    [
        ("kind", np.intc),
        ("activation", np.intc),
        ("n_in", np.intp),
        ("n_out", np.intp),
        ("x", np.intp),
        ("y", np.intp),
        ("weights", np.intp),
        ("bias", np.intp),
        ("gamma", np.intp),
        ("beta", np.intp),
        ("n_steps", np.intp),
        ("statistics", np.intp),
        ("scratch", np.intp),
        ("epsilon", np.float64),
        ("momentum", np.float64),
    ],
    align=True,
)


class Sizes(NamedTuple):
    """What memory a plan needs, in elements."""

    n_parameters: int
    n_weights: int  # the first of the parameters: those that a penalty is on
    n_statistics: int
    work_columns: int  # each of as many rows as a batch has
    widest: int  # columns of the widest operation: of a data gradient
    scratch: int
    n_outputs: int

    @classmethod
    def of(cls, plan):
        linear = plan[plan["kind"] == LINEAR]
        normalized = plan[plan["kind"] == BATCH_NORM]
        biased = linear[linear["bias"] >= 0]
        n_weights = int((linear["n_in"] * linear["n_out"]).sum())
        return cls(
            n_parameters=int(n_weights + biased["n_out"].sum() + 2 * normalized["n_out"].sum()),
            n_weights=n_weights,
            n_statistics=int(2 * (normalized["n_steps"] * normalized["n_out"]).sum()),
            work_columns=int((plan["y"] + plan["n_out"]).max()),
            widest=int(max(plan["n_in"].max(), plan["n_out"].max())),
            scratch=int(SCRATCH_PER_UNIT * normalized["n_out"].sum()),
            n_outputs=int(plan["n_out"][-1]),
        )


def feed_forward(layer_units, activation, batch_norm, *, epsilon=1e-5, momentum=0.1):
    """Plan of a multi-layer perceptron.

    Parameters
    ----------
    layer_units : sequence of int
        Inputs, units of each hidden layer, outputs.
    activation : {"identity", "logistic", "tanh", "relu"}
        Of the hidden layers.
    batch_norm : {"before", "after", None}
        Where hidden layers are normalized: the pre-activation (its linear map then has no
        bias, which the batch mean would remove), the activation's output, or nowhere.
    epsilon : float, default=1e-5
        Added to the variances.
    momentum : float, default=0.1
        Weight of the newest batch in the running statistics.

    Returns
    -------
    plan : ndarray of dtype `OPERATION`
    """
    rows = []
    column = layer_units[0]
    source = 0

    def append(kind, n_in, n_out, x, y, **fields):
        row = dict.fromkeys(OPERATION.names, -1) | {
            "kind": kind, "n_in": n_in, "n_out": n_out, "x": x, "y": y,
            "n_steps": 1, "epsilon": epsilon, "momentum": momentum,
        }  # fmt: skip
        rows.append(row | fields)

    last = len(layer_units) - 2
    for layer, (n_in, n_out) in enumerate(pairwise(layer_units)):
        hidden = layer != last
        has_bias = not (hidden and batch_norm == "before")
        append(LINEAR, n_in, n_out, source, column, bias=0 if has_bias else -1)
        source = column
        column += n_out
        if not hidden:
            break
        # Every activation's derivative is a function of its output, so it works in place;
        # the input of a batch norm is needed again by its backward pass.
        if batch_norm == "before":
            append(BATCH_NORM, n_out, n_out, source, column)
            source = column
            column += n_out
        append(ACTIVATION, n_out, n_out, source, source, activation=ACTIVATIONS[activation])
        if batch_norm == "after":
            append(BATCH_NORM, n_out, n_out, source, column)
            source = column
            column += n_out
    return _place(rows)


def _place(rows):
    # Offsets in one pass a kind: all weights first, so that "the first n_weights" is what
    # penalties and decay apply to; then the intercepts; then gamma and beta of each layer.
    parameter = statistic = scratch = 0
    for row in rows:
        if row["kind"] == LINEAR:
            row["weights"] = parameter
            parameter += row["n_in"] * row["n_out"]
    for row in rows:
        if row["kind"] == LINEAR and row["bias"] >= 0:
            row["bias"] = parameter
            parameter += row["n_out"]
    for row in rows:
        if row["kind"] == BATCH_NORM:
            row["gamma"] = parameter
            row["beta"] = parameter + row["n_out"]
            row["statistics"] = statistic
            row["scratch"] = scratch
            parameter += 2 * row["n_out"]
            statistic += 2 * row["n_steps"] * row["n_out"]
            scratch += SCRATCH_PER_UNIT * row["n_out"]
    return np.array([tuple(row[name] for name in OPERATION.names) for row in rows], OPERATION)
