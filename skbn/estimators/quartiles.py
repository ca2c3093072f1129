"""Median and quartiles of the columns of a table, for a normalization that outliers do not move.

The quantiles are averaged inverted distribution functions: of n sorted rows the numbers at n q and
behind it, averaged, where n q is whole, and otherwise the number behind it (Hyndman and Fan 1996,
"Sample quantiles in statistical packages", definition 2). A weight of 2 is then the row twice.
"""

import numpy as np
from scipy.sparse import issparse

from skbn.estimators.columns import NON_FINITE

QUARTILES = (0.25, 0.5, 0.75)

# Bytes of the columns that are sorted together, but at least one column. A fit shall need little
# memory beside the table.
SORTED_BYTES = 1 << 23

# Rows in which a third value of a column is looked for first.
HEAD = 1000


def center_and_spread(X, sample_weight=None, numbers=None):
    """The median of each column, and its spread, both of shape (d,), float64.

    The spread is the distance of the quartiles; where they agree, half of the distance of the
    largest and the smallest number; 0 in a constant column.

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
    # Weighted, the order of the rows and the sums of the sorted weights stand beside the numbers.
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
    # Column by column, C-ordered, so that each is sorted in one piece.
    block = np.array(block.T, order="C") if numbers is None else block.T.take(numbers, axis=1)
    with np.errstate(over="ignore"):
        if sample_weight is None:
            low, center, high, smallest, largest = _sorted_numbers(block)
        else:
            low, center, high, smallest, largest = np.transpose(
                [_weighted_numbers(column, sample_weight) for column in block]
            )
        spread = np.where(high > low, high - low, 0.5 * largest - 0.5 * smallest)
    return center, spread


def _sorted_numbers(block):
    # Quartiles, smallest and largest number of each row of `block`, which changes.
    n = block.shape[1]
    places = []
    for quantile in QUARTILES:
        behind = int(n * quantile)
        places += [behind - 1 if n * quantile == behind else behind, behind]
    # NumPy sorts numbers faster than it finds so many places in them.
    block.sort(axis=1)
    block = block[:, [*places, 0, n - 1]].astype(np.float64)
    # Half of each: the sum of two numbers may leave the range of float64.
    averages = [0.5 * block[:, place] + 0.5 * block[:, place + 1] for place in (0, 2, 4)]
    return *averages, block[:, -2], block[:, -1]


def _weighted_numbers(column, sample_weight):
    order = np.argsort(column, kind="stable")
    order = order[sample_weight[order] > 0.0]
    column = column[order].astype(np.float64)
    sums = np.cumsum(sample_weight[order])
    # A sum that rounding alone keeps from the aim is at it.
    rounding = len(sums) * np.finfo(np.float64).eps * sums[-1]
    numbers = []
    for quantile in QUARTILES:
        aim = quantile * sums[-1]
        at = np.searchsorted(sums, aim - rounding, "left")
        behind = np.searchsorted(sums, aim + rounding, "right")
        numbers.append(0.5 * column[at] + 0.5 * column[behind])
    return *numbers, column[0], column[-1]


def of_many_values(X):
    """Which columns of a dense table hold three values or more: a mask of shape (d,)."""
    # Most columns show it in their first rows. Only others are looked at as a whole.
    mask = _holds_a_third(X[:HEAD])
    for column in np.flatnonzero(~mask):
        mask[column] = _holds_a_third(X[:, column])
    return mask


def _holds_a_third(rows):
    low, high = rows.min(axis=0), rows.max(axis=0)
    return ~((rows == low) | (rows == high)).all(axis=0)
