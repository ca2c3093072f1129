"""Numbers at given places of the sorted columns of a large table, in a few passes over its rows.

A table in a file is read fastest row by row, and its columns may be too large to be sorted in
memory. So all columns are searched together, digit by digit (radix selection). The bits of a number
are read as an integer, and the integers are in the order of the numbers. A pass over the rows adds
up the weights of the rows by the next digit of their numbers, which gives the next digit of each
wanted number. When few numbers agree with the digits found so far, a last pass collects these
numbers and sorts them.
"""

import numpy as np

from skbn.estimators.row_parts import blocks

# Bits of a digit. The sums of a column then fit into the fastest cache.
DIGIT = 11

# Columns that are searched together. Their sums take some tens of megabytes.
COLUMNS = 1024

# Size in bytes of the rows that are copied at a time: many rows, even of so many columns.
BLOCK_BYTES = 1 << 23

# Size in bytes of the numbers that the last pass collects.
COLLECTED_BYTES = 1 << 23


def numbers_at(X, places, sample_weight=None, numbers=None):
    """The numbers at places of the sorted columns, and the smallest and the largest numbers.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        float32 or float64; finite.
    places : list of (float, str)
        A place is the first number of a sorted column at which the sum of the weights reaches the
        float ("left"), or exceeds it ("right"). The float is at least 0.
    sample_weight : ndarray of shape (n,), float64, default=None
        Positive weights; ``None``: each row has the weight 1.
    numbers : ndarray of shape (n,), intp, default=None
        The rows of X that count; ``None``: all. The weights are weights of these rows.

    Returns
    -------
    found : ndarray of shape (len(places), d), dtype of X
    smallest, largest : ndarray of shape (d,), dtype of X
    """
    groups = [slice(start, start + COLUMNS) for start in range(0, X.shape[1], COLUMNS)]
    found = [_of_columns(X, group, places, sample_weight, numbers) for group in groups]
    return tuple(np.concatenate(parts, axis=-1) for parts in zip(*found, strict=True))


def _of_columns(X, group, places, sample_weight, numbers):
    # `numbers_at` of the columns of a slice.
    d = X[:1, group].shape[1]
    n = len(X) if numbers is None else len(numbers)
    bits = f"u{X.itemsize}"
    n_bits = unknown = 8 * X.itemsize
    columns = [_Column(places, n, sample_weight is not None) for _ in range(d)]
    smallest, largest = np.full(d, np.inf, X.dtype), np.full(d, -np.inf, X.dtype)
    while unknown:
        is_first = unknown == n_bits
        n_open = sum(column.n_open for column in columns)
        is_last = not is_first and n_open * (X.itemsize + 8) <= COLLECTED_BYTES
        digit = 0 if is_last else min(DIGIT, unknown)
        for column in columns:
            column.begin(digit)
        for rows in blocks(n, n * d * X.itemsize, BLOCK_BYTES):
            block = X[rows, group] if numbers is None else X[numbers[rows], group]
            block = np.ascontiguousarray(block.T)
            if is_first:
                np.minimum(smallest, block.min(axis=1), out=smallest)
                np.maximum(largest, block.max(axis=1), out=largest)
            weight = None if sample_weight is None else sample_weight[rows]
            for column, keys in zip(columns, _keys(block), strict=True):
                column.add(keys, weight, None if is_first else unknown)
        for column in columns:
            column.end()
        unknown = 0 if is_last else unknown - digit
    found = np.ascontiguousarray(np.array([column.known for column in columns], bits).T)
    return _numbers(found, X.dtype), smallest, largest


class _Column:
    """The wanted places of one column, and the upper bits of their numbers that are known.

    Places with equal upper bits make a group: their numbers are among the same numbers.
    """

    def __init__(self, places, n, weighted):
        self.places, self.weighted = places, weighted
        self.known = [0] * len(places)
        # The weight of the numbers that are below all numbers of the group of a place.
        self.below = [0.0] * len(places)
        self.n_open = n

    def begin(self, digit):
        """Begin a pass for the next `digit` bits; 0: a pass that collects all numbers left."""
        self.digit = digit
        groups = set(self.known)
        if digit:
            size = 1 << digit
            self.sums = {
                group: (np.zeros(size, np.int64), np.zeros(size) if self.weighted else None)
                for group in groups
            }
        else:
            self.parts = {group: [] for group in groups}

    def add(self, keys, weight, unknown):
        """Add rows. `unknown` bits of the wanted keys are not known; None: all bits."""
        upper = None if unknown is None else keys >> unknown
        for group in self.sums if self.digit else self.parts:
            chosen, of_chosen = keys, weight
            if upper is not None:
                mask = upper == group
                chosen = keys[mask]
                of_chosen = None if weight is None else weight[mask]
            if not self.digit:
                self.parts[group].append((chosen, of_chosen))
                continue
            shift = 8 * keys.itemsize - self.digit if unknown is None else unknown - self.digit
            digits = ((chosen >> shift) & ((1 << self.digit) - 1)).astype(np.intp)
            counts, sums = self.sums[group]
            counts += np.bincount(digits, minlength=len(counts))
            if self.weighted:
                sums += np.bincount(digits, of_chosen, minlength=len(sums))

    def end(self):
        """Take the digits that the pass has found."""
        tables = {}
        if self.digit:
            for group, (counts, sums) in self.sums.items():
                present = np.flatnonzero(counts)
                weights = counts if sums is None else sums
                keys = [(group << self.digit) + int(digit) for digit in present]
                tables[group] = keys, np.cumsum(weights[present]), counts[present]
        else:
            for group, parts in self.parts.items():
                chosen = np.concatenate([keys for keys, _ in parts])
                order = np.argsort(chosen, kind="stable")
                weights = np.ones(len(chosen))
                if self.weighted:
                    weights = np.concatenate([weight for _, weight in parts])[order]
                tables[group] = chosen[order], np.cumsum(weights), np.zeros(len(chosen))
        open_groups = {}
        for i, (aim, side) in enumerate(self.places):
            keys, sums, counts = tables[self.known[i]]
            sums = sums + self.below[i]
            # Weights that are added up in another order may miss the aim by rounding.
            at = min(np.searchsorted(sums, aim, side), len(sums) - 1)
            self.known[i] = int(keys[at])
            self.below[i] = sums[at - 1] if at else self.below[i]
            open_groups[self.known[i]] = counts[at]
        self.n_open = sum(open_groups.values())


def _keys(block):
    """The bits of floats as unsigned integers that are in the order of the floats."""
    signed = block.view(f"i{block.itemsize}")
    # A negative float has all its bits inverted, and a positive float its sign only.
    inverted = signed >> (8 * block.itemsize - 1)
    return (signed ^ (inverted | np.iinfo(signed.dtype).min)).view(f"u{block.itemsize}")


def _numbers(keys, dtype):
    """The floats of `_keys`."""
    sign = keys.dtype.type(1 << (8 * keys.itemsize - 1))
    return np.where(keys & sign, keys ^ sign, ~keys).view(dtype)
