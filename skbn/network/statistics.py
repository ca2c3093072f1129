"""Exact running statistics: those of given rows under the weights as they are.

Averages over the mini-batches of training lag behind the weights, and the mean of their
variances is not the variance of all rows. At the end of training both are replaced, layer by
layer, the layers below in inference mode (Wu and Johnson 2021, "Rethinking 'Batch' in
BatchNorm", section 3, there called PreciseBN). Those of a recurrent network are taken step by
step too: ``skbn.network.sequence_statistics``.
"""

import numpy as np

from skbn.kernels import moments
from skbn.network import views
from skbn.network.plan import BATCH_NORM
from skbn.network.sequence_statistics import exact_statistics

# Rows of one block: what lies between two chances for Ctrl-C, and what memory it takes.
BLOCK_ROWS = 2048


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
    if table.lengths is not None:
        network.statistics[:], n_steps = exact_statistics(network, table, rows)
        network.statistics_are_set(n_steps)
        return
    previous = network.statistics
    # The layers above need the new statistics of those below, the caller's array either all
    # or none of them, should this be interrupted.
    network.statistics = previous.copy()
    try:
        running = zip(
            np.flatnonzero(network.plan["kind"] == BATCH_NORM),
            views.running_means(network.plan, network.statistics),
            views.running_vars(network.plan, network.statistics),
            strict=True,
        )
        for position, running_mean, running_var in running:
            mean, var = _moments_before(network, table, rows, position)
            running_mean[0], running_var[0] = mean, var
        previous[:] = network.statistics
        network.statistics_are_set()
    finally:
        network.statistics = previous


def _moments_before(network, table, rows, position):
    # Moments of the input of the operation at `position`, over blocks of rows.
    d = int(network.plan["n_in"][position])
    mean, var, weight = np.zeros(d), np.zeros(d), np.zeros(d)
    for start in range(0, len(rows), BLOCK_ROWS):
        chosen = rows[start : start + BLOCK_ROWS]
        x = network.infer(table, chosen, position)
        if table.weight_in_statistics is None:
            batch_mean, batch_var = moments.batch_moments(x)
            batch_weight = np.full(d, float(len(chosen)))
        else:
            batch_mean, batch_var, batch_weight = moments.weighted_moments(
                x, table.weight_in_statistics[chosen]
            )
        moments.merge(mean, var, weight, batch_mean, batch_var, batch_weight)
    return mean, var
