"""Which rows make a mini-batch, and how many mini-batches make a block."""

from dataclasses import dataclass

import numpy as np

# BLOCK_FLOPS: the work of one block, in floating point operations. It takes some hundredths of a
# second, and Ctrl-C waits so long. Nothing else depends on where a block ends. BATCH_FLOPS: the
# cost of a batch beside its matrix products, so that many tiny batches do not make a long block.
BLOCK_FLOPS = 1_000_000_000
BATCH_FLOPS = 200_000


@dataclass
class Batches:
    """Which rows make a mini-batch.

    Attributes
    ----------
    size, smallest : int
        Rows of a mini-batch, and the smallest number of rows of a last mini-batch.
    shuffle : bool
        Whether the rows are in a new order in each epoch.
    random_state : numpy.random.RandomState, or None without `shuffle`
        Each epoch draws one permutation from it, as in scikit-learn.
    """

    size: int
    smallest: int
    shuffle: bool
    random_state: object = None

    def bounds(self, n_rows):
        """Bounds of the mini-batches of an epoch, as from `batch_bounds`."""
        return batch_bounds(n_rows, self.size, self.smallest)

    def reordered(self, rows):
        """Row numbers in the order of the next epoch."""
        return self.random_state.permutation(rows) if self.shuffle else rows


def batch_bounds(n_rows, batch_size, smallest):
    """Where the mini-batches of an epoch begin and end.

    Parameters
    ----------
    n_rows : int
        Number of rows of the epoch, at least `smallest`.
    batch_size : int
        Rows of a batch.
    smallest : int
        A last batch of fewer rows (too few to have a variance) joins the batch before it.

    Returns
    -------
    bounds : ndarray of shape (n_batches + 1,), intp
        Batch b is the rows ``bounds[b]`` to ``bounds[b + 1]``.
    """
    batch_size = int(batch_size)
    bounds = np.arange(0, n_rows + batch_size, batch_size, dtype=np.intp)
    bounds[-1] = n_rows
    if len(bounds) > 2 and bounds[-1] - bounds[-2] < smallest:
        bounds = np.delete(bounds, -2)
    return bounds


def blocks(bounds, flops_per_row):
    """Slices of the batches, each of about `BLOCK_FLOPS` operations and at least one batch."""
    n_batches = len(bounds) - 1
    if n_batches == 1:
        yield slice(0, 1)
        return
    rows_per_batch = int(np.diff(bounds).max())
    per_block = max(1, BLOCK_FLOPS // (flops_per_row * rows_per_batch + BATCH_FLOPS))
    for first in range(0, n_batches, per_block):
        yield slice(first, min(first + per_block, n_batches))
