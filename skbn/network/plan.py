"""Plans: which operations a network consists of, and where each finds its memory.

A plan is a NumPy structured array of `OPERATION` records, mirrored by the C struct
``Operation`` of ``operation.pxd``. It prints, pickles, and serves float32 and float64 alike.
Everything else about a network's memory (how many parameters, statistics, columns of work
memory it needs) is read off the plan by `Sizes`.
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from skbn.kernels.activations import ACTIVATIONS, IN_PLACE
from skbn.network.normalization import scratch_of
from skbn.network.operations import KINDS, PARTS
from skbn.network.recurrent import state_columns

LINEAR, BATCH_NORM = KINDS["linear"], KINDS["batch_norm"]
ACTIVATION, DROPOUT = KINDS["activation"], KINDS["dropout"]
RECURRENT, LAST = KINDS["recurrent"], KINDS["last"]
NO_PART = PARTS["none"]

OPERATION = np.dtype(
    [
        ("kind", np.intc),
        ("part", np.intc),
        ("activation", np.intc),
        ("cell", np.intc),
        ("direction", np.intc),
        ("n_directions", np.intc),
        ("n_in", np.intp),
        ("n_out", np.intp),
        ("x", np.intp),
        ("y", np.intp),
        ("state", np.intp),
        ("weights", np.intp),
        ("bias", np.intp),
        ("first_biased", np.intp),
        ("gamma", np.intp),
        ("beta", np.intp),
        ("n_steps", np.intp),
        ("shared", np.intp),
        ("statistics", np.intp),
        ("scratch", np.intp),
        ("epsilon", np.float64),
        ("momentum", np.float64),
        ("rate", np.float64),
    ],
    align=True,
)


class Sizes(NamedTuple):
    """What memory a plan needs, in elements."""

    n_parameters: int
    n_weights: int  # the first of the parameters: those that a penalty is on
    n_statistics: int
    work_columns: int  # each of as many rows as a batch has
    state_columns: int  # of recurrent operations; each of as many rows
    widest: int  # columns of the widest data gradient; the inputs have none
    scratch: int
    n_outputs: int

    @classmethod
    def of(cls, plan):
        """Sizes of a plan, which is checked.

        Raises
        ------
        ValueError
            If it is no plan (``skbn.network.plan_check``), or if BLAS could not count the weights.
        """
        if not isinstance(plan, np.ndarray) or plan.dtype != OPERATION or plan.ndim != 1:
            raise ValueError("the plan of the network is damaged: it is no vector of operations")
        return _sizes_of(plan.tobytes())

    @classmethod
    def computed(cls, plan):
        """As `of`, which looks them up where it can: a prediction of one row takes less."""
        linear = plan[plan["kind"] == LINEAR]
        normalized = plan[plan["kind"] == BATCH_NORM]
        biased = linear[linear["bias"] >= 0]
        shifted = normalized[normalized["beta"] >= 0]
        chain = plan[plan["part"] == NO_PART]
        n_biases = (biased["n_out"] - biased["first_biased"]).sum()
        n_weights = int((linear["n_in"] * linear["n_out"]).sum())
        if n_weights > np.iinfo(np.intc).max:
            raise ValueError(f"{n_weights} weights are more than BLAS can count")
        return cls(
            n_parameters=int(
                n_weights + n_biases + normalized["n_out"].sum() + shifted["n_out"].sum()
            ),
            n_weights=n_weights,
            n_statistics=int(2 * (normalized["n_steps"] * normalized["n_out"]).sum()),
            work_columns=int((chain["y"] + chain["n_out"]).max()),
            state_columns=sum(state_columns(plan)),
            widest=int(chain["n_out"].max()),
            # In front, a row of the first product's outputs, which that of a sparse table needs.
            scratch=int(
                plan["n_out"][0] + (scratch_of(normalized["n_steps"]) * normalized["n_out"]).sum()
            ),
            n_outputs=int(plan["n_out"][-1]),
        )


@lru_cache(maxsize=128)
def _sizes_of(plan):
    # The check makes plans again, by this file and by that of recurrent ones, which takes from it.
    from skbn.network.plan_check import check_plan

    plan = np.frombuffer(plan, OPERATION)
    check_plan(plan)
    return Sizes.computed(plan)


def feed_forward(layer_units, activation, batch_norm, *, epsilon=1e-5, momentum=0.1, dropout=0.0):
    """Plan of a multi-layer perceptron.

    Parameters
    ----------
    layer_units : sequence of int
        Inputs, units of each hidden layer, outputs.
    activation : {"identity", "logistic", "tanh", "relu", "silu", "gelu"}
        Of the hidden layers.
    batch_norm : {"before", "after", None}
        Where hidden layers are normalized: the pre-activation (its linear map then has no
        bias, which the batch mean would remove), the activation's output, or nowhere.
    epsilon : float, default=1e-5
        Added to the variances.
    momentum : float, default=0.1
        Weight of the newest batch in the running statistics.
    dropout : float, default=0.0
        Rate at which the outputs of hidden layers are dropped, last thing in a layer: before a
        batch norm it would change the variances that inference sees.

    Returns
    -------
    plan : ndarray of dtype `OPERATION`
    """
    # Python's integers: offsets are sums and products of sizes, which NumPy's small ones overflow.
    layer_units = [int(units) for units in layer_units]
    rows = []
    column = layer_units[0]
    source = 0

    def append(kind, n_in, n_out, x, y, **fields):
        row = operation(kind, n_in, n_out, x, y, epsilon=epsilon, momentum=momentum, rate=dropout)
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
        # A step writes to a new buffer only where the backward pass needs its input again.
        if batch_norm == "before":
            append(BATCH_NORM, n_out, n_out, source, column, beta=0)
            source, column = column, column + n_out
        if activation in IN_PLACE:
            append(ACTIVATION, n_out, n_out, source, source, activation=ACTIVATIONS[activation])
        else:
            append(ACTIVATION, n_out, n_out, source, column, activation=ACTIVATIONS[activation])
            source, column = column, column + n_out
        if batch_norm == "after":
            append(BATCH_NORM, n_out, n_out, source, column, beta=0)
            source, column = column, column + n_out
        if dropout > 0.0:
            append(DROPOUT, n_out, n_out, source, column)
            source, column = column, column + n_out
    return placed(rows)


def layer_units_of(plan):
    """Inputs, units of each hidden layer, outputs."""
    linear = plan[plan["kind"] == LINEAR]
    return [int(linear["n_in"][0]), *(int(units) for units in linear["n_out"])]


def placement_of(plan):
    """Where hidden layers are normalized: "before", "after" or None, as in `feed_forward`."""
    normalized = np.flatnonzero(plan["kind"] == BATCH_NORM)
    if len(normalized) == 0:
        return None
    return "before" if plan["kind"][normalized[0] - 1] == LINEAR else "after"


def without_inputs(plan):
    """The plan for sparse tables, whose inputs are never in the work memory."""
    plan = plan.copy()
    plan["x"] -= plan["n_in"][0]
    plan["y"] -= plan["n_in"][0]
    return plan


def operation(kind, n_in, n_out, x, y, **fields):
    """One operation as a dict that `placed` takes; what is not given is none, or 1 step."""
    row = dict.fromkeys(OPERATION.names, -1) | {
        "kind": kind, "part": NO_PART, "n_in": n_in, "n_out": n_out, "x": x, "y": y,
        "first_biased": 0, "n_steps": 1, "shared": 0, "direction": 0, "n_directions": 1,
    }  # fmt: skip
    return row | fields


def placed(rows):
    """The plan of operations, each given its place in parameters, statistics and scratch.

    A linear map whose `bias`, a batch norm whose `beta` is not -1 gets one.
    """
    # Offsets in one pass a kind: all weights first, so that "the first n_weights" is what
    # penalties and decay apply to; then the intercepts; then gamma and beta of each layer.
    parameter = statistic = 0
    # What stands in front is the sparse first product's: statistics of a batch are still looked
    # at after its backward pass.
    scratch = rows[0]["n_out"]
    for row in rows:
        if row["kind"] == LINEAR:
            row["weights"] = parameter
            parameter += row["n_in"] * row["n_out"]
    for row in rows:
        if row["kind"] == LINEAR and row["bias"] >= 0:
            row["bias"] = parameter
            parameter += row["n_out"] - row["first_biased"]
    for row in rows:
        if row["kind"] == BATCH_NORM:
            row["gamma"] = parameter
            parameter += row["n_out"]
            if row["beta"] >= 0:
                row["beta"] = parameter
                parameter += row["n_out"]
            row["statistics"] = statistic
            row["scratch"] = scratch
            statistic += 2 * row["n_steps"] * row["n_out"]
            scratch += scratch_of(row["n_steps"]) * row["n_out"]
    return np.array([tuple(row[name] for name in OPERATION.names) for row in rows], OPERATION)
