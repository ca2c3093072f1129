"""Median and quartiles of the columns of a table, for a normalization that outliers do not move.

The quantile q of n sorted numbers is the number behind the position n q. If n q is a whole number,
the quantile is the average of the numbers in front of this position and behind it (the averaged
inverted distribution function; Hyndman and Fan 1996, "Sample quantiles in statistical packages",
definition 2). With this definition a row of weight 2 counts like two equal rows.
"""

import numpy as np
from scipy.sparse import issparse

from skbn.estimators.columns import NON_FINITE
from skbn.estimators.row_parts import blocks
from skbn.estimators.selection import numbers_at
from skbn.network.processes import ONE_PROCESS

QUARTILES = (0.25, 0.5, 0.75)

# Size in bytes of the columns that are sorted together, so that a fit needs little memory beside
# the table. At least one column is sorted.
SORTED_BYTES = 1 << 23

# The columns of a table of this size and more rows are searched together. Sorting some columns at a
# time would read the whole table for each group of columns. The search takes a while for each
# column, so it does not suit few rows.
LARGE_BYTES, LARGE_ROWS = 1 << 28, 100_000

# Number of first rows that are searched for a third value of a column before all rows.
HEAD = 1000


def center_and_spread(X, sample_weight=None, numbers=None):
    """The median and the spread of each column, both of shape (d,), float64.

    The spread is the distance of the quartiles. If the quartiles are equal, the spread is half the
    distance of the largest and the smallest number. It is 0 in a constant column.

    Parameters
    ----------
    X : ndarray of shape (n, d), or CSR matrix or array
        float32 or float64; finite.
    sample_weight : ndarray of shape (n,), float64, default=None
        At least one weight is positive.
    numbers : ndarray of shape (n,), intp, default=None
        The rows of X that count; ``None``: all. The weights are weights of these rows.

    Raises
    ------
    ValueError
        If the spread of a column, or its reciprocal, leaves the range of float64.
    """
    n, d = X.shape
    n = n if numbers is None else len(numbers)
    is_large = n >= LARGE_ROWS and n * d * X.itemsize >= LARGE_BYTES
    if is_large and not issparse(X):
        center, spread = _of_large(X, sample_weight, numbers)
    else:
        # With weights, two more arrays are needed: the order of the rows, and the sums of weights.
        n_copies = 1 if sample_weight is None else 3
        width = max(1, SORTED_BYTES // (8 * n_copies * n))
        parts = [
            _of_block(X, slice(start, min(start + width, d)), sample_weight, numbers)
            for start in range(0, d, width)
        ]
        center, spread = (np.concatenate(values) for values in zip(*parts, strict=True))
    with np.errstate(divide="ignore", over="ignore"):
        tiny = (spread > 0.0) & ~np.isfinite(1.0 / spread)
    extreme = np.flatnonzero(tiny | ~np.isfinite(spread))
    if len(extreme):
        size = "small or too close together" if tiny[extreme[0]] else "large or too far apart"
        raise ValueError(
            f"{NON_FINITE} The loss was not taken: X has numbers in column {extreme[0]} that are "
            f"too {size}: the distance of the quartiles, or its reciprocal, leaves the range of "
            "float64. Try other units."
        )
    return center, spread


def _of_block(X, columns, sample_weight, numbers):
    block = X[:, columns]
    block = block.toarray() if issparse(block) else block
    # Transposed in C order, so that each column is sorted in one piece.
    block = np.array(block.T, order="C") if numbers is None else block.T.take(numbers, axis=1)
    with np.errstate(over="ignore"):
        if sample_weight is None:
            low, center, high, smallest, largest = _sorted_numbers(block)
        else:
            low, center, high, smallest, largest = np.transpose(
                [_weighted_numbers(column, sample_weight) for column in block]
            )
        return center, _spread(low, high, smallest, largest)


def _spread(low, high, smallest, largest):
    return np.where(high > low, high - low, 0.5 * largest - 0.5 * smallest)


def _of_large(X, sample_weight, numbers):
    n = len(X) if numbers is None else len(numbers)
    total, rounding = float(n), 0.0
    if sample_weight is not None:
        present = np.flatnonzero(sample_weight > 0.0)
        if len(present) < n:
            sample_weight = sample_weight[present]
            numbers = present if numbers is None else numbers[present]
        total = sample_weight.sum()
        rounding = _rounding(len(present), total)
    places = [
        (quantile * total + sign * rounding, side)
        for quantile in QUARTILES
        for sign, side in ((-1.0, "left"), (1.0, "right"))
    ]
    found, *bounds = numbers_at(X, places, sample_weight, numbers)
    found = found.astype(np.float64)
    with np.errstate(over="ignore"):
        low, center, high = 0.5 * found[::2] + 0.5 * found[1::2]
        return center.copy(), _spread(low, high, *(bound.astype(np.float64) for bound in bounds))


def _rounding(n, total):
    # A sum of n weights that differs from an aim by rounding alone counts as equal to the aim.
    return n * np.finfo(np.float64).eps * total


def _sorted_numbers(block):
    # Quartiles, smallest and largest number of each row of `block`. Sorts `block` in place.
    n = block.shape[1]
    places = []
    for quantile in QUARTILES:
        behind = int(n * quantile)
        places += [behind - 1 if n * quantile == behind else behind, behind]
    # NumPy sorts numbers faster than it partitions them at this many positions.
    block.sort(axis=1)
    block = block[:, [*places, 0, n - 1]].astype(np.float64)
    # Halves are added: the sum of two numbers may leave the range of float64.
    averages = [0.5 * block[:, place] + 0.5 * block[:, place + 1] for place in (0, 2, 4)]
    return *averages, block[:, -2], block[:, -1]


def _weighted_numbers(column, sample_weight):
    order = np.argsort(column, kind="stable")
    order = order[sample_weight[order] > 0.0]
    column = column[order].astype(np.float64)
    sums = np.cumsum(sample_weight[order])
    rounding = _rounding(len(sums), sums[-1])
    numbers = []
    for quantile in QUARTILES:
        aim = quantile * sums[-1]
        at = np.searchsorted(sums, aim - rounding, "left")
        behind = np.searchsorted(sums, aim + rounding, "right")
        numbers.append(0.5 * column[at] + 0.5 * column[behind])
    return *numbers, column[0], column[-1]


def of_many_values(X, processes=ONE_PROCESS):
    """Which columns of a dense table hold three values or more: a mask of shape (d,).

    Parameters
    ----------
    X : ndarray of shape (n, d)
    processes : OneProcess or Processes, default=ONE_PROCESS
        The processes whose rows count together.
    """
    # Most columns show a third value in their first rows. Only the others are searched as a whole.
    head = X[:HEAD]
    mask = processes.largest(_holds_a_third(head, head.min(axis=0), head.max(axis=0)))
    suspects = np.flatnonzero(~mask)
    low, high = np.full((2, len(suspects)), [[np.inf], [-np.inf]], X.dtype)
    for block in _blocks_of(X, suspects):
        np.minimum(low, block.min(axis=0), out=low)
        np.maximum(high, block.max(axis=0), out=high)
    low, high = -processes.largest(-low), processes.largest(high)
    third = np.zeros(len(suspects), bool)
    for block in _blocks_of(X, suspects):
        third |= _holds_a_third(block, low, high)
    mask[suspects] = processes.largest(third)
    return mask


def _holds_a_third(rows, low, high):
    return ~((rows == low) | (rows == high)).all(axis=0)


def _blocks_of(X, columns):
    # Some columns, block by block: a table in a file is read by whole rows.
    if len(columns):
        for rows in blocks(len(X), X.nbytes):
            yield X[rows][:, columns]
