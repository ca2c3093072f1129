"""Weights of rows in batch statistics: the weights of the loss, if these are moderate.

A mini-batch is normalized by its own mean and variance. If one row has most of the weight of the
mini-batch, the weighted statistics are mostly the statistics of this row. The row is then
normalized by itself to about 0, and its differences from the other rows are lost. The loss has no
such problem and always uses the weights.
"""

import numpy as np

from skbn.network.processes import ONE_PROCESS

# Weights are moderate if no weight is larger than this multiple of the mean weight. If all rows
# are one mini-batch, integers from 0 to 4 are always moderate. docs/decisions.rst has the
# measurements.
LARGEST_IN_ONE_BATCH = 4.0
LARGEST = 2.0

# Moderate weights are also no further above the mean weight than this number of standard
# deviations. Two rows of weight 2 among a hundred rows of weight 1 are 7 standard deviations above.
# A mini-batch has one such row or none, and even with the weight 2 this row is normalized by
# itself.
STANDARD_DEVIATIONS = 3.0

# The order of the rows, and the number of processes, change the last digits of sums. Weights at one
# of the bounds above are moderate in every order.
ROUNDING = 1e-9

# Rows lighter than this share of the mean weight count less in the statistics, as they hardly count
# in the loss. So a weight that falls to 0 has the same effect in the end as a row that is left out.
LIGHT = 0.01


def statistics_weight(sample_weight, is_one_batch, processes=ONE_PROCESS):
    """The weights of the rows in batch statistics: `sample_weight`, or equal weights.

    Moderate weights count in the statistics as in the loss: a row of weight 2 counts like two equal
    rows. If weights are not moderate, every row counts alike, except for rows of almost no weight.
    The choice is made once for all rows, so mini-batches, running averages and exact statistics
    have the same weights.

    Parameters
    ----------
    sample_weight : ndarray of shape (n,), float64
        Finite weights >= 0 of all training rows.
    is_one_batch : bool
        Whether these rows are the only mini-batch of the training. Then no heavy row is in some
        mini-batches and not in others.
    processes : OneProcess or Processes, default=ONE_PROCESS
        The processes whose rows count together.

    Returns
    -------
    weight : ndarray of shape (n,), float64
        `sample_weight` itself; or 1 for each row, and less for light rows, in proportion to their
        weight.
    """
    present = sample_weight > 0.0
    if not processes.total(np.count_nonzero(present)):
        return sample_weight
    # Relative to the largest weight: sums of huge weights would overflow.
    relative = sample_weight[present] / processes.largest(sample_weight.max(initial=0.0))
    mean = processes.average(relative)
    deviation = np.sqrt(processes.average((relative - mean) ** 2))
    smallest = -processes.largest(-relative.min(initial=1.0))
    if is_one_batch:
        is_moderate = LARGEST_IN_ONE_BATCH * mean >= 1.0 - ROUNDING
    else:
        is_moderate = (
            LARGEST * mean >= 1.0 - ROUNDING
            and 1.0 - mean <= STANDARD_DEVIATIONS * deviation + ROUNDING
        )
    # Equal weights are moderate, whatever rounding makes of their mean and deviation.
    if is_moderate or smallest == 1.0:
        return sample_weight
    weight = np.zeros_like(sample_weight)
    weight[present] = np.minimum(relative / (LIGHT * mean), 1.0)
    return weight
