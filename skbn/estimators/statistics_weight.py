"""Weights of rows in batch statistics: the weights of the loss where they are moderate.

A mini-batch is normalized by its own mean and variance. Where one row holds much of its weight,
weighted statistics are mostly the statistics of that row: the row is normalized by itself to about
0, and whatever tells it from the others is lost. The loss has no such limit and keeps its weights.
"""

import numpy as np

# Weights are moderate while none is larger than so many times the mean weight: integers from 0 to
# 4 always are where all rows are one mini-batch. docs/decisions.rst has the measurements.
LARGEST_IN_ONE_BATCH = 4.0
LARGEST = 2.0

# Nor may a weight be further above the mean weight than so many standard deviations: two rows of
# weight 2 among a hundred of weight 1 are 7 above. A mini-batch has one such row or none, which is
# then normalized by itself even at that weight.
STANDARD_DEVIATIONS = 3.0

# Rows lighter than this share of the mean weight are hardly there in the loss, and as little in the
# statistics: a weight that falls to 0 ends where the row is left out.
LIGHT = 0.01


def statistics_weight(sample_weight, is_one_batch):
    """What batch statistics are weighted by: `sample_weight`, or every row alike.

    Moderate weights enter the statistics as they enter the loss: a weight of 2 is the row twice.
    Under uneven weights every row counts alike, but for those of next to no weight. The choice is
    made once for all rows, so mini-batches, running averages and exact statistics are of one
    measure.

    Parameters
    ----------
    sample_weight : ndarray of shape (n,), float64
        Weights >= 0 of all rows that are trained on, finite.
    is_one_batch : bool
        Whether these rows are one mini-batch and no other is trained on: then no heavy row is in
        some mini-batches and not in others.

    Returns
    -------
    weight : ndarray of shape (n,), float64
        `sample_weight` itself; or 1, and less for light rows in proportion to their weight.
    """
    present = sample_weight > 0.0
    if not present.any():
        return sample_weight
    # Relative to the largest, which so is 1: sums of huge weights would overflow.
    relative = sample_weight[present] / sample_weight.max()
    mean = relative.mean()
    if is_one_batch:
        is_moderate = LARGEST_IN_ONE_BATCH * mean >= 1.0
    else:
        is_moderate = LARGEST * mean >= 1.0 and 1.0 - mean <= STANDARD_DEVIATIONS * relative.std()
    # Equal weights have neither a mean below 1 nor a deviation, but for rounding.
    if is_moderate or relative.min() == 1.0:
        return sample_weight
    weight = np.zeros_like(sample_weight)
    weight[present] = np.minimum(relative / (LIGHT * mean), 1.0)
    return weight
