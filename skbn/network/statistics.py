"""Exact running statistics: the statistics of given rows under the present weights.

Averages over the mini-batches of training lag behind the weights, and the mean of the variances of
mini-batches is not the variance of all rows. At the end of training, exact means and variances
replace both averages, layer by layer, with the layers below in inference mode (Wu and Johnson 2021,
"Rethinking 'Batch' in BatchNorm", section 3, who call the method PreciseBN). The steps of a
recurrent network depend on each other like layers. So all sequences go through a step together, and
the statistics of the step are taken then.
"""

from functools import partial

import numpy as np

from skbn.network import inference, views
from skbn.network.memory import RunSource
from skbn.network.operations import batch_norm
from skbn.network.plan import BATCH_NORM, RECURRENT
from skbn.network.processes import ONE_PROCESS

# Rows of one block: the work between two chances for Ctrl-C, and the memory that it takes.
BLOCK_ROWS = 2048

# Bytes of the values that are kept between two batch norms. They are limited so that a fit needs no
# more memory than a fit of scikit-learn. Rows beyond this limit go through the layers below again
# for each batch norm.
KEPT_BYTES = 1 << 22


def set_exact_statistics(network, table, rows=None, processes=ONE_PROCESS):
    """Replace the running statistics of a network by the exact statistics of rows of a table.

    Frozen statistics stay as they are.

    Parameters
    ----------
    network : Network
        The statistics change in place, all at once at the end.
    table : Table
        The data. The moments are weighted by `weight_in_statistics`; the variances are biased.
    rows : ndarray of shape (n,), intp, default=None
        Row numbers; ``None``: the rows that the table is trained on.
    processes : OneProcess or Processes, default=ONE_PROCESS
        The processes whose rows count together. Sequences are not supported by several processes.
    """
    if network.is_frozen or not network.is_normalized:
        return
    if rows is None:
        rows = table.trained_rows
    # The layers above need the new statistics of the layers below, so a copy of the network
    # receives them one by one. The network itself gets all new statistics, or none if this function
    # is interrupted.
    draft = network.with_statistics(network.statistics.copy())
    n_steps = 1
    if table.lengths is None:
        _collect_rows(draft, table, rows, processes)
    else:
        n_steps = _collect_sequences(draft, table, rows)
    network.statistics[:] = draft.statistics
    network.statistics_are_set(n_steps)


def _collect_rows(network, table, rows, processes):
    # The loop goes from batch norm to batch norm. It keeps the inputs of a batch norm. These values
    # then go through the batch norm and the operations behind it, up to the next batch norm.
    plan = network.plain_plan(table).operations
    positions = np.flatnonzero(plan["kind"] == BATCH_NORM)
    widest = int(plan["n_in"][positions].max())
    n_kept = min(len(rows), KEPT_BYTES // (widest * network.parameters.itemsize))
    n_kept -= n_kept % BLOCK_ROWS if n_kept < len(rows) else 0
    source = RunSource(table)
    # The memory is used block by block, for the d of each batch norm.
    kept = Kept(n_kept, widest, network.parameters.dtype)
    running = zip(
        positions,
        views.running_means(network.plan, network.statistics),
        views.running_vars(network.plan, network.statistics),
        strict=True,
    )
    below = None
    for position, running_mean, running_var in running:
        blocks = _blocks(network, table, source, rows, kept, position, below)
        collected = partial(batch_norm.collect, blocks, running_mean.shape[1])
        running_mean[0], running_var[0], _ = processes.merged(collected)
        below = position


class Kept:
    """Values of the first rows at one operation, block by block, in one array.

    Parameters
    ----------
    n : int
        Rows.
    widest : int
        Values of a row at most.
    dtype : dtype
    """

    def __init__(self, n, widest, dtype):
        self.n = n
        self.widest = widest
        self.memory = np.empty(n * widest, dtype)

    def block(self, start, n, d):
        """The values of n rows from `start` on, shape (n, d): a view."""
        first = start * self.widest
        return self.memory[first : first + n * d].reshape(n, d)


def _blocks(network, table, source, rows, kept, position, below):
    # The input of the batch norm at `position` and the weights of its rows, block by block. The
    # kept values are the inputs of the batch norm before, at `below`, and go on from there.
    weight = table.weight_in_statistics
    run = network.plain_plan(table)
    plan = run.operations
    d = int(plan["n_in"][position])
    for start in range(0, len(rows), BLOCK_ROWS):
        chosen = rows[start : start + BLOCK_ROWS]
        n = len(chosen)
        x = np.empty((n, d), network.parameters.dtype)
        memory = network.inference_memory(run._replace(operations=plan[:position]), n)
        if start < kept.n and below is not None:
            before = kept.block(start, n, int(plan["n_in"][below]))
            inference.advance(x, before, memory, source, below)
        else:
            inference.infer(x, memory, source, chosen, n)
        if start < kept.n:
            kept.block(start, n, d)[:] = x
        yield x, None if weight is None else weight[chosen]


def _collect_sequences(network, table, rows):
    # All sequences are one batch, and the state of only one step is kept. A layer that reads from
    # the end, or has statistics of all steps together, must know all steps beforehand. Then each
    # layer goes through all steps before the next layer, and the outputs of all steps are kept.
    run = network.sequence_plan(table)
    plan = run.operations
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
        # The outputs of the highest layer are not needed.
        capacity, no_starts, columns = int(lengths.sum()), None, int(layers["y"][-1])
    run = run._replace(operations=plan, work_columns=columns)
    memory = network.sequence_memory(run, table, capacity, len(rows))
    source = RunSource(table, weights=True)
    return inference.collect_sequences(memory, source, rows, no_starts)
