"""Plans that can be run: some operations of a plan are merged, and all get the memory they need.

A plan says which operations a network has. There are several ways to run a plan (`Runs`), which
give the same outputs and gradients up to rounding.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from skbn.kernels import layer as layer_kernels
from skbn.kernels.activations import ACTIVATIONS
from skbn.network.operations.layer import scratch_of
from skbn.network.operations.normalization import columns_of
from skbn.network.operations.registry import KINDS, PARTS

LINEAR, BATCH_NORM, ACTIVATION = KINDS["linear"], KINDS["batch_norm"], KINDS["activation"]
INPUTS, LAYER, RECURRENT = KINDS["inputs"], KINDS["layer"], KINDS["recurrent"]
NO_PART = PARTS["none"]

# Codes of activations in a plan -> their codes in a layer.
FUSED = {ACTIVATIONS[name]: code for name, code in layer_kernels.FUSED.items()}
IDENTITY, RELU = ACTIVATIONS["identity"], ACTIVATIONS["relu"]

# Doubles of a cache line. Arrays of the scratch memory begin at one.
LINE = 8


class RunPlan(NamedTuple):
    """Operations that are run, and the sizes of the memory that they need."""

    operations: np.ndarray
    work_columns: int  # each of as many rows as a batch has
    widest: int  # columns of the widest data gradient
    scratch: int  # doubles


class Runs(NamedTuple):
    """The ways to run a plan.

    Attributes
    ----------
    plain : RunPlan
        A batch norm and the relu behind it are one operation. This way serves every dtype.
    layered : RunPlan or None
        A linear map, its batch norm and its activation are one operation, LAYER, on padded rows, in
        float32 (``skbn.kernels.layer``). Recurrent layers have places for packed weights, and the
        same loops compute their products, cells and batch norms. ``None``: the network has no such
        layer, or the processor has no loops for it.
    inferring : RunPlan or None
        `layered` for inference only. Networks with batch norm do not have it.
    """

    plain: RunPlan
    layered: RunPlan | None
    inferring: RunPlan | None


def runs(plan, scratch):
    """The ways to run a plan.

    Parameters
    ----------
    plan : ndarray of dtype `OPERATION`
        For dense tables, for sparse ones, or for sequences.
    scratch : int
        Doubles of scratch memory that its operations need.

    Returns
    -------
    runs : Runs
    """
    inferring = None
    if (plan["kind"] == RECURRENT).any():
        layers = packed(plan, scratch)
    else:
        layers = layered(plan, scratch)
        if not (plan["kind"] == BATCH_NORM).any():
            inferring = layered(plan, scratch, trains=False)
    return Runs(plain(plan, scratch), layers, inferring)


def plain(plan, scratch):
    """The plan with each batch norm and the relu in place behind it as one operation.

    Parameters
    ----------
    plan : ndarray of dtype `OPERATION`
    scratch : int
        Doubles of scratch memory that its operations need.

    Returns
    -------
    run : RunPlan
    """
    plan = _with_relus(plan)
    chain = plan[plan["part"] == NO_PART]
    # The gradient of the inputs is not needed.
    widest = int(chain["n_out"][chain["kind"] != INPUTS].max(initial=1))
    return RunPlan(plan, int((chain["y"] + chain["n_out"]).max()), widest, scratch)


def layered(plan, scratch, *, trains=True):
    """The plan with each hidden layer as one operation, LAYER.

    Parameters
    ----------
    plan : ndarray of dtype `OPERATION`
        Of a feed-forward network, for dense tables or for sparse ones.
    scratch : int
        Doubles of scratch memory that its operations need.
    trains : bool, default=True
        Whether layers keep what their backward pass needs.

    Returns
    -------
    run : RunPlan or None
        ``None``: the plan has no hidden layer that can be fused, or the processor has no loops.
    """
    if not layer_kernels.lanes():
        return None
    rows = _with_layers([dict(zip(plan.dtype.names, row.item(), strict=True)) for row in plan])
    if not any(row["kind"] == LAYER for row in rows):
        return None
    columns, widest = _place_work(rows, trains)
    scratch = _place_scratch(rows, scratch)
    operations = np.array([tuple(row.values()) for row in rows], plan.dtype)
    # The batch norm behind the first map of a sparse table is no part of a layer.
    return RunPlan(_with_relus(operations), columns, widest, scratch)


def _with_relus(operations):
    # Operations with each batch norm and the relu in place behind it as one.
    chosen = np.ones(len(operations), bool)
    operations = operations.copy()
    for o, (row, behind) in enumerate(pairwise(operations)):
        if (
            row["kind"] == BATCH_NORM
            and behind["kind"] == ACTIVATION
            and behind["activation"] == RELU
            and behind["x"] == behind["y"] == row["y"]
        ):
            operations["activation"][o] = RELU
            chosen[o + 1] = False
    return operations[chosen]


def packed(plan, scratch):
    """The plan of a recurrent network, with the memory that its layers need for our own loops.

    Parameters
    ----------
    plan : ndarray of dtype `OPERATION`
    scratch : int
        Doubles of scratch memory that its operations need.

    Returns
    -------
    run : RunPlan or None
        ``None``: the processor has no loops.
    """
    if not layer_kernels.lanes():
        return None
    run = plain(plan, scratch)
    scratch = _in_lines(scratch)
    for o in np.flatnonzero((plan["kind"] == BATCH_NORM) & (plan["part"] != NO_PART)):
        # The numbers of the columns take the place of the moments and affine forms of the other
        # loops.
        run.operations["columns"][o] = columns_of(plan[o])
    for o in np.flatnonzero((plan["kind"] == LINEAR) & (plan["part"] != NO_PART)):
        # When exact statistics are collected, all layers go through a time step together. So each
        # map has its own memory: for the weights, then for their transpose.
        n_in, n_out = int(plan["n_in"][o]), int(plan["n_out"][o])
        run.operations["packed"][o] = scratch
        scratch += _in_lines((n_in * _padded(n_out) + n_out * _padded(n_in)) / 2)
    return run._replace(scratch=scratch)


def _with_layers(rows):
    # Rows of a plan with layers, whose places are not set yet; the rows are changed.
    result = []
    position = 0
    while position < len(rows):
        row = rows[position]
        following = rows[position + 1 : position + 3]
        kinds = [behind["kind"] for behind in following]
        position += 1
        # The map of the outputs, the last operation, stays as it is.
        if row["kind"] == LINEAR and kinds[:1] == [BATCH_NORM]:
            norm = following.pop(0)
            names = ("gamma", "beta", "statistics", "epsilon", "momentum", "n_steps", "shared")
            row |= {name: norm[name] for name in names}
            position += 1
        elif (
            row["kind"] != LINEAR
            or kinds[:1] != [ACTIVATION]
            or following[0]["activation"] not in FUSED
        ):
            result.append(row)
            continue
        row |= {"kind": LAYER, "activation": FUSED[IDENTITY]}
        result.append(row)
        if following and following[0]["kind"] == ACTIVATION:
            activation = following[0]["activation"]
            if activation in FUSED:
                row["activation"] = FUSED[activation]
                position += 1
    return result


def _place_work(rows, trains):
    # Set the places of all outputs, one behind the other. Returns the number of columns and the
    # width of the widest data gradient.
    first = rows[0]
    y, stride, columns = first["y"], first["n_out"], first["n_out"]
    # The gradient of the inputs is not needed.
    widest = 1 if first["kind"] == INPUTS else _padded(first["n_out"])
    for row, behind in zip(rows[1:], [*rows[2:], None], strict=True):
        if row["part"] != NO_PART:
            continue
        row["x"], in_place = y, row["x"] == row["y"]
        padded, x_stride, stride = _padded(row["n_out"]), stride, row["n_out"]
        if row["kind"] in (LAYER, LINEAR):
            row["x_stride"] = x_stride
        if row["kind"] == LAYER:
            # Other operations than these two know no padding.
            if behind["kind"] in (LAYER, LINEAR):
                stride = padded
            row["y_stride"] = stride
            if trains:
                row["z"] = columns
                columns += padded
                # The derivative of the relu reads the output. The derivative of the identity reads
                # nothing.
                if row["activation"] == FUSED[ACTIVATIONS["silu"]]:
                    row["side"] = columns
                    columns += padded
            else:
                # If y is padded too, y overwrites z.
                row["z"] = columns
                columns += 0 if stride == padded else padded
        y = row["y"] = y if in_place else columns
        columns += 0 if in_place else stride
        widest = max(widest, padded)
    return columns, widest


def _place_scratch(rows, scratch):
    # Behind the scratch memory of the other operations stands memory for packed weights, which all
    # layers share, and then the memory of each layer. Each memory begins at a cache line.
    mapped = [row for row in rows if row["kind"] in (LAYER, LINEAR)]
    longest = max(max(row["n_in"], row["n_out"]) for row in mapped)
    packed = _in_lines(scratch)
    scratch = packed + _in_lines(longest * layer_kernels.panel_width() / 2)
    for row in mapped:
        row["packed"] = packed
        if row["kind"] == LAYER:
            row["columns"] = scratch
            scratch += _in_lines(scratch_of(row, _padded(row["n_out"])))
    return scratch


def _padded(d):
    lanes = layer_kernels.lanes()
    return -(-d // lanes) * lanes


def _in_lines(doubles):
    return math.ceil(doubles / LINE) * LINE
