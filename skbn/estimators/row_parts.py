"""Parts of the rows of a large table, which several cores process side by side.

A function that reads a table once waits for memory most of the time. Two cores can read more memory
at a time than one core.
"""

from skbn.training import side_by_side as training
from skbn.training.side_by_side import available_threads

# A smaller table is finished before a thread has started.
LARGE_BYTES = 8 * 1024**2
# The sums of a large table are computed in this number of parts, whatever the number of threads is,
# so that the bits of the sums do not depend on the number of threads. More threads than parts would
# find no more memory bandwidth.
PARTS = 8

# Size in bytes of the rows that are copied at a time.
BLOCK_BYTES = 4 * 1024**2


def fixed_parts(n_rows, n_bytes):
    """Slices that cover the rows of a table, the same slices for any number of threads.

    Parameters
    ----------
    n_rows : int
    n_bytes : int
        Size of the table. A table below ``LARGE_BYTES`` is one part.

    Returns
    -------
    slices : list of slice
    """
    return _slices(n_rows, PARTS if n_bytes >= LARGE_BYTES else 1)


def a_part_for_each_thread(n_rows, n_bytes):
    """One slice for each thread, for results that do not depend on the parts."""
    return _slices(n_rows, min(available_threads(), PARTS) if n_bytes >= LARGE_BYTES else 1)


def blocks(n_rows, n_bytes, most=BLOCK_BYTES):
    """Slices that cover the rows of a table, each of `most` bytes or less, or of one row.

    A copy of such rows takes little memory, however large the table is.
    """
    return _slices(n_rows, -(-n_bytes // most))


def _slices(n_rows, parts):
    parts = min(parts, n_rows)
    return [slice(n_rows * i // parts, n_rows * (i + 1) // parts) for i in range(parts)]


def side_by_side(function, slices):
    """``[function(rows) for rows in slices]``, with threads if there are several slices."""
    if len(slices) == 1:
        # Counting the threads takes longer than the moments of a mini-batch.
        return [function(slices[0])]
    return training.side_by_side(function, slices, min(available_threads(), PARTS))
