"""Exact running statistics: the statistics of given rows under the weights as they are.

Averages over the mini-batches of training lag behind the weights, and the mean of their variances
is not the variance of all rows. At the end of training both are replaced, layer by layer, the
layers below in inference mode (Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm", section 3,
there called PreciseBN). The steps of a recurrent network depend on each other in the same way: all
sequences go through a step together, whose statistics are taken on the way.
"""

import numpy as np

from skbn.network import inference, views
from skbn.network.memory import RunSource
from skbn.network.operations import batch_norm
from skbn.network.plan import BATCH_NORM, RECURRENT

# Rows of one block: the work between two chances for Ctrl-C, and the memory that it takes.
BLOCK_ROWS = 2048

# Bytes of the values that are kept between two batch norms. Further rows go through the layers
# below again for each batch norm.
KEPT_BYTES = 1 << 26


def set_exact_statistics(network, table, rows=None):
    """Replace a network's running statistics by the exact ones of rows of a table.

    Parameters
    ----------
    network : Network
        Its statistics change in place, all at once at the end.
    table : Table
        The data; the moments are weighted by its `weight_in_statistics`, biased.
    rows : ndarray of shape (n,), intp, default=None
        Row numbers; ``None``: all.
    """
    if not network.is_normalized:
        return
    if rows is None:
        rows = np.arange(table.n_rows)
    # The layers above need the new statistics of the layers below; the network gets all or, should
    # this be interrupted, none of them.
    draft = network.with_statistics(network.statistics.copy())
    n_steps = 1
    if table.lengths is None:
        _collect_rows(draft, table, rows)
    else:
        n_steps = _collect_sequences(draft, table, rows)
    network.statistics[:] = draft.statistics
    network.statistics_are_set(n_steps)


def _collect_rows(network, table, rows):
    # From batch norm to batch norm: the values of its inputs are kept, and go through it and
    # through the operations behind it, up to the next.
    plan = network.run_plan(table)
    positions = np.flatnonzero(plan["kind"] == BATCH_NORM)
    width = int(plan["n_in"][positions].max()) * network.parameters.itemsize
    n_kept = min(len(rows), max(KEPT_BYTES // width // BLOCK_ROWS, 1) * BLOCK_ROWS)
    source = RunSource(table)
    kept = None
    running = zip(
        positions,
        [*positions[1:], None],
        views.running_means(network.plan, network.statistics),
        views.running_vars(network.plan, network.statistics),
        strict=True,
    )
    for position, behind, running_mean, running_var in running:
        if kept is None:
            kept = _inputs_of(network, table, source, rows[:n_kept], position)
        blocks = _blocks(network, table, source, rows, kept, position)
        running_mean[0], running_var[0] = batch_norm.collect(blocks)
        if behind is not None:
            kept = _advanced(network, table, source, kept, position, behind)


def _blocks(network, table, source, rows, kept, position):
    # The input of a batch norm and the weights of its rows, block by block.
    weight = table.weight_in_statistics
    for start in range(0, len(rows), BLOCK_ROWS):
        chosen = rows[start : start + BLOCK_ROWS]
        if start < len(kept):
            x = kept[start : start + BLOCK_ROWS]
        else:
            x = _inputs_of(network, table, source, chosen, position)
        yield x, None if weight is None else weight[chosen]


def _inputs_of(network, table, source, rows, position):
    # The values that come to an operation from the table.
    plan = network.run_plan(table)[:position]
    outputs = np.empty((len(rows), int(plan["n_out"][-1])), network.parameters.dtype)
    for start in range(0, len(rows), BLOCK_ROWS):
        block = slice(start, min(start + BLOCK_ROWS, len(rows)))
        n = block.stop - block.start
        memory = network.inference_memory(plan, n, network.columns(table))
        inference.infer(outputs[block], memory, source, rows[block], n)
    return outputs


def _advanced(network, table, source, kept, position, behind):
    # The values that come to the operation `behind`, from the values that come to another.
    plan = network.run_plan(table)[:behind]
    outputs = np.empty((len(kept), int(plan["n_out"][-1])), network.parameters.dtype)
    for start in range(0, len(kept), BLOCK_ROWS):
        block = slice(start, min(start + BLOCK_ROWS, len(kept)))
        memory = network.inference_memory(plan, block.stop - block.start, network.columns(table))
        inference.advance(outputs[block], kept[block], memory, source, position)
    return outputs


def _collect_sequences(network, table, rows):
    # All sequences as one batch of the training pass, of which one step is kept. Where a layer has
    # to know all steps beforehand, since it reads from their end or has statistics of all of them
    # together, each layer goes through all steps by itself, and the outputs of all steps are kept.
    plan = network.layout.dense
    last = int(np.flatnonzero(plan["kind"] == RECURRENT)[-1])
    while last + 1 < len(plan) and plan["part"][last + 1]:
        last += 1
    plan = plan[: last + 1]
    layers = plan[plan["kind"] == RECURRENT]
    lengths = table.lengths[rows]
    if (plan["n_directions"] == 1).all() and not plan["shared"].any():
        capacity, no_starts = len(rows), np.zeros(lengths.max() + 1, np.intp)
        columns = int(layers["y"][-1] + layers["n_out"][-1])
    else:
        # The highest layer writes no outputs.
        capacity, no_starts, columns = int(lengths.sum()), None, int(layers["y"][-1])
    memory = network.sequence_memory(plan, table, capacity, len(rows), columns)
    source = RunSource(table, weights=True)
    return inference.collect_sequences(memory, source, rows, no_starts)
