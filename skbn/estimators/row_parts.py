"""A large table in parts of rows, side by side on the cores that the process may use.

What reads a table once waits for memory most of its time, and two cores wait for more of it at
once than one.
"""

from skbn.training import side_by_side as training
from skbn.training.side_by_side import available_threads

# A smaller table is through before a thread has started.
LARGE_BYTES = 8 * 1024**2
# Sums of a large table are taken in so many parts, however many threads there are: their bits
# must not depend on those. More threads than these find no more memory bandwidth.
PARTS = 8


def fixed_parts(n_rows, n_bytes):
    """Slices that cover the rows of a table: the same ones whatever the number of threads.

    Parameters
    ----------
    n_rows : int
    n_bytes : int
        Size of the table; below ``LARGE_BYTES`` it is one part.

    Returns
    -------
    slices : list of slice
    """
    return _slices(n_rows, PARTS if n_bytes >= LARGE_BYTES else 1)


def a_part_for_each_thread(n_rows, n_bytes):
    """The same, as many slices as there are threads: for what does not depend on the parts."""
    return _slices(n_rows, min(available_threads(), PARTS) if n_bytes >= LARGE_BYTES else 1)


def _slices(n_rows, parts):
    parts = min(parts, n_rows)
    return [slice(n_rows * i // parts, n_rows * (i + 1) // parts) for i in range(parts)]


def side_by_side(function, slices):
    """``[function(rows) for rows in slices]``, in threads where there are several slices."""
    if len(slices) == 1:
        # Counting the threads takes longer than the moments of a mini-batch.
        return [function(slices[0])]
    return training.side_by_side(function, slices, min(available_threads(), PARTS))
