"""Plans: the operations of a network, and the places of their memory.

A plan is a NumPy structured array of `OPERATION` records, which the C struct ``Operation`` of
``operation.pxd`` mirrors. A plan can be printed and pickled, and serves float32 and float64 alike.
`Layout.of` derives the sizes of a network's memory (parameters, statistics, columns of work memory)
from the plan, once.
"""

import hashlib
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from skbn.kernels.activations import ACTIVATIONS, IN_PLACE
from skbn.kernels.periodic import EMBEDDED
from skbn.network import fusion
from skbn.network.fusion import Runs
from skbn.network.operations.recurrent import state_columns
from skbn.network.operations.registry import KINDS, MODULES, PARTS

INPUTS, LINEAR, BATCH_NORM = KINDS["inputs"], KINDS["linear"], KINDS["batch_norm"]
ACTIVATION, DROPOUT = KINDS["activation"], KINDS["dropout"]
RECURRENT, POOLING = KINDS["recurrent"], KINDS["pooling"]
SPARSE_LINEAR, PERIODIC = KINDS["sparse_linear"], KINDS["periodic"]
NO_PART, EMBEDDED_COLUMNS = PARTS["none"], PARTS["embedded_columns"]

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
        ("x_stride", np.intp),
        ("y_stride", np.intp),
        ("z", np.intp),
        ("side", np.intp),
        ("state", np.intp),
        ("weights", np.intp),
        ("bias", np.intp),
        ("first_biased", np.intp),
        ("gamma", np.intp),
        ("beta", np.intp),
        ("embedding", np.intp),
        ("scale", np.intp),
        ("n_steps", np.intp),
        ("shared", np.intp),
        ("pooling", np.intp),
        ("statistics", np.intp),
        ("scratch", np.intp),
        ("columns", np.intp),
        ("packed", np.intp),
        ("key", np.intp),
        ("epsilon", np.float64),
        ("momentum", np.float64),
        ("rate", np.float64),
    ],
    align=True,
)


# A segment: parameters that lie side by side and share a factor on the learning rate and a factor
# on the L2 penalty and the weight decay.
SEGMENT = np.dtype(
    [("start", np.intp), ("stop", np.intp), ("rate", np.float64), ("decay", np.float64)],
    align=True,
)

# Fields that hold a place in the parameters, in the order of the parameters. The places of one
# entry follow each other, operation by operation. The factors are the fields of a `SEGMENT`.
PARAMETERS = (
    (("weights",), 1.0, 1.0),
    (("bias",), 1.0, 0.0),
    (("gamma", "beta"), 1.0, 0.0),
    (("embedding",), 1.0, 0.0),
    # Holzmüller, Grinsztajn and Steinwart (2024), "Better by default", section 3: a larger rate.
    (("scale",), 6.0, 0.0),
)


class Layout(NamedTuple):
    """Sizes in elements, and the plans to run, derived from a plan."""

    n_parameters: int
    n_weights: int
    n_statistics: int
    state_columns: int  # of recurrent operations; each of as many rows
    n_inputs: int
    n_outputs: int
    segments: np.ndarray  # the parameters in their order, of dtype `SEGMENT`
    dense: Runs  # for dense tables and sequences
    sparse: Runs | None  # for sparse tables; None: `dense` serves
    is_recurrent: bool
    is_normalized: bool
    digest: str  # of the plan and of the layout of a record

    @classmethod
    def of(cls, plan):
        """Layout of a plan, which is checked.

        Raises
        ------
        ValueError
            If the array is not a plan (``skbn.network.plan_check``), or if there are more weights
            than BLAS can count.
        """
        if not isinstance(plan, np.ndarray) or plan.dtype != OPERATION or plan.ndim != 1:
            raise ValueError("the plan of the network is damaged: it is no vector of operations")
        return _layout_of(plan.tobytes())

    @classmethod
    def read(cls, plan):
        """Layout of a plan that is not checked. `of` is faster for a plan that was seen before."""
        sizes = [_sizes(row) for row in plan]
        segments = _segments(plan, sizes)
        n_weights = sum(size.get("weights", 0) for size in sizes)
        if n_weights > np.iinfo(np.intc).max:
            raise ValueError(f"{n_weights} weights are more than BLAS can count")
        is_recurrent = bool((plan["kind"] == RECURRENT).any())
        scratch = sum(size.get("scratch", 0) for size in sizes)
        # An embedding of the columns needs dense rows. INPUTS makes dense rows from sparse rows.
        sparse = None
        if not is_recurrent and not (plan["kind"] == PERIODIC).any():
            for_sparse = sparse_plan(plan)
            scratch = max(scratch, for_sparse["scratch"][0] + _sizes(for_sparse[0])["scratch"])
            scratch = int(scratch)
            sparse = fusion.runs(for_sparse, scratch)
        return cls(
            n_parameters=int(segments["stop"][-1]),
            n_weights=int(n_weights),
            n_statistics=int(sum(size.get("statistics", 0) for size in sizes)),
            state_columns=sum(state_columns(plan)),
            n_inputs=int(plan["n_out"][0]),
            n_outputs=int(plan["n_out"][-1]),
            segments=segments,
            dense=fusion.runs(plan, scratch),
            sparse=sparse,
            is_recurrent=is_recurrent,
            is_normalized=bool((plan["kind"] == BATCH_NORM).any()),
            digest=hashlib.blake2b(
                repr(OPERATION.descr).encode() + plan.tobytes(), digest_size=16
            ).hexdigest(),
        )


@lru_cache(maxsize=128)
def _layout_of(plan):
    # Imported late, because the check makes plans with this file and with recurrent_plan.py, which
    # imports this file.
    from skbn.network.plan_check import check_plan

    plan = np.frombuffer(plan, OPERATION)
    check_plan(plan)
    return Layout.read(plan)


def _sizes(row):
    # Python's integers: offsets are sums and products of sizes, which NumPy's small ones overflow.
    sizes = getattr(MODULES[int(row["kind"])], "sizes", None)
    if sizes is None:
        return {}
    return sizes(dict(zip(OPERATION.names, row.item(), strict=True)))


def _segments(plan, sizes):
    # Neighbours with the same factors are one segment.
    segments = []
    stop = 0
    for names, rate, decay in PARAMETERS:
        start = stop
        stop += sum(size.get(name, 0) for size in sizes for name in names)
        if segments and segments[-1][2:] == (rate, decay):
            segments[-1] = (segments[-1][0], stop, rate, decay)
        elif stop > start:
            segments.append((start, stop, rate, decay))
    return np.array(segments, SEGMENT)


def sparse_plan(plan):
    """The plan for sparse tables: the first linear map reads the table.

    The inputs then have no place in the work memory. If the linear map has no scratch memory of its
    own, the scratch memory of the first operation stands behind the scratch memory of all other
    operations.
    """
    scratch = sum(_sizes(row).get("scratch", 0) for row in plan)
    plan = plan[1:].copy()
    shift = plan["x"][0] + plan["n_in"][0]
    plan["x"] -= shift
    plan["y"] -= shift
    plan["kind"][0], plan["x"][0] = SPARSE_LINEAR, 0
    if plan["scratch"][0] < 0:
        plan["scratch"][0] = scratch
    return plan


def feed_forward(
    layer_units,
    activation,
    batch_norm,
    *,
    epsilon=1e-5,
    momentum=0.1,
    dropout=0.0,
    scaled=False,
    embedded=(),
):
    """Plan of a multi-layer perceptron.

    Parameters
    ----------
    layer_units : sequence of int
        Inputs, units of each hidden layer, outputs.
    activation : str
        Activation of the hidden layers, a name in ``skbn.kernels.activations.ACTIVATIONS``.
    batch_norm : {"before", "after", None}
        Whether batch norm comes before the activation, after it, or nowhere. Before the activation,
        the linear map has no bias, because the batch mean would remove the bias.
    epsilon : float, default=1e-5
        Added to the variances.
    momentum : float, default=0.1
        Weight of the newest batch in the running statistics.
    dropout : float, default=0.0
        Rate at which the outputs of hidden layers are dropped. Dropout is the last operation of a
        layer, because dropout before a batch norm would change the variances that inference sees.
    scaled : bool, default=False
        Whether the inputs of the first linear map have trained factors.
    embedded : sequence of (int, int), default=()
        First column and number of columns of each run of neighbouring columns that have a
        periodic embedding, in their order.

    Returns
    -------
    plan : ndarray of dtype `OPERATION`
    """
    # Python's integers: offsets are sums and products of sizes, which NumPy's small ones overflow.
    layer_units = [int(units) for units in layer_units]
    rows = [inputs(layer_units[0])]
    column = layer_units[0]
    source = 0

    def append(kind, n_in, n_out, x, y, **fields):
        row = operation(kind, n_in, n_out, x, y, epsilon=epsilon, momentum=momentum, rate=dropout)
        rows.append(row | fields)

    if len(embedded):
        n_in, n_out = layer_units[0], embedded_units(layer_units[0], embedded)
        append(PERIODIC, n_in, n_out, 0, n_in)
        for start, n in embedded:
            append(PERIODIC, n, EMBEDDED * n, start, -1, part=EMBEDDED_COLUMNS, embedding=0)
        layer_units[0], source, column = n_out, n_in, n_in + n_out
    last = len(layer_units) - 2
    for layer, (n_in, n_out) in enumerate(pairwise(layer_units)):
        hidden = layer != last
        has_bias = not (hidden and batch_norm == "before")
        append(
            LINEAR,
            n_in,
            n_out,
            source,
            column,
            bias=0 if has_bias else -1,
            scale=0 if scaled and layer == 0 else -1,
        )
        source = column
        column += n_out
        if not hidden:
            break
        # An operation writes to new memory only if the backward pass needs its input again.
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
            append(DROPOUT, n_out, n_out, source, column, key=len(rows) - 1)
            source, column = column, column + n_out
    return placed(rows)


def embedded_units(n_columns, embedded):
    """Numbers of a row of `n_columns` columns after the runs `embedded` have been embedded."""
    return n_columns + (EMBEDDED - 1) * sum(int(n) for _, n in embedded)


def embedded_of(plan):
    """The runs of embedded columns as in `feed_forward`."""
    runs = plan[plan["part"] == EMBEDDED_COLUMNS]
    return [(int(start), int(n)) for start, n in zip(runs["x"], runs["n_in"], strict=True)]


def is_scaled(plan):
    """Whether the inputs of the first linear map have trained factors."""
    return bool((plan["scale"] >= 0).any())


def layer_units_of(plan):
    """Inputs, units of each hidden layer, outputs."""
    linear = plan[plan["kind"] == LINEAR]
    return [int(plan["n_out"][0]), *(int(units) for units in linear["n_out"])]


def n_layers_of(plan):
    """The number of layers, inputs and outputs included."""
    return 1 + np.count_nonzero(plan["kind"] == LINEAR)


def hidden_layers_of(plan):
    """How many operations `Network.infer` runs for each hidden layer of a multi-layer perceptron.

    Returns
    -------
    inputs, outputs : list of int
        Numbers of operations up to the inputs of the activation of a layer, and up to the outputs
        of the layer. Dropout is not counted, because it does nothing at inference.
    """
    inputs = [int(position) for position in np.flatnonzero(plan["kind"] == ACTIVATION)]
    # The operation behind the activation is a linear map, dropout, or a batch norm.
    outputs = [position + 1 + int(plan["kind"][position + 1] == BATCH_NORM) for position in inputs]
    return inputs, outputs


def placement_of(plan):
    """The `batch_norm` of a plan: "before", "after" or None, as in `feed_forward`."""
    normalized = np.flatnonzero(plan["kind"] == BATCH_NORM)
    if len(normalized) == 0:
        return None
    return "before" if plan["kind"][normalized[0] - 1] == LINEAR else "after"


def inputs(n_inputs):
    """Operation 0 as a dict: the inputs, in the first columns of the work memory."""
    return operation(INPUTS, n_inputs, n_inputs, 0, 0)


def operation(kind, n_in, n_out, x, y, **fields):
    """One operation as a dict for `placed`. Fields that are not given are -1; `n_steps` is 1."""
    row = dict.fromkeys(OPERATION.names, -1) | {
        "kind": kind, "part": NO_PART, "n_in": n_in, "n_out": n_out, "x": x, "y": y,
        "first_biased": 0, "n_steps": 1, "shared": 0, "direction": 0, "n_directions": 1,
    }  # fmt: skip
    return row | fields


def placed(rows):
    """The plan of operations, each given its place in parameters, statistics and scratch.

    A linear map gets a bias if its field `bias` is not -1. The same holds for `scale`, and for
    `beta` of a batch norm.
    """
    # In the order of PARAMETERS, weights first: penalties and decay apply to the weights alone.
    sizes = [getattr(MODULES[row["kind"]], "sizes", lambda row: {})(row) for row in rows]
    for names in (*(names for names, _, _ in PARAMETERS), ("statistics",), ("scratch",)):
        if names[0] in ("weights", "statistics", "scratch"):
            place = 0
        for row, size in zip(rows, sizes, strict=True):
            for name in names:
                if name in size:
                    row[name] = place
                    place += size[name]
    return np.array([tuple(row[name] for name in OPERATION.names) for row in rows], OPERATION)
