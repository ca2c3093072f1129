"""Sequences of different length in one packed matrix, step by step.

The sequences of a batch are sorted by length, the longest first. A matrix has one row for each step
of each sequence. The first ``counts[s]`` sequences have a step s, and the rows of step s are the
block of this matrix from row ``starts[s]`` on. The matrix has no padding, so products, statistics
and states see real steps only. PyTorch's ``PackedSequence`` has the same order.

Shapes: ``lengths`` (n,), sorted in a batch; ``x``, ``y`` (sum of lengths, d), row-major.
"""

from cython cimport floating
from libc.string cimport memcpy, memset

import numpy as np

from skbn.kernels._operands import (
    as_contiguous, as_floating, as_lengths, as_sorted_lengths, check_packed, check_target,
)


cdef void sequences_pack(
    Steps* steps, Py_ssize_t* order, Py_ssize_t* memory,
    const Py_ssize_t* lengths, const Py_ssize_t* rows, Py_ssize_t n, Py_ssize_t longest,
) noexcept nogil:
    """Sort sequences by their lengths, and compute where their steps stand.

    `rows` holds the numbers of the sequences; it may be NULL, which means 0 to n - 1. `order` (n,)
    receives the sorted numbers. `memory` has n + 3 (longest + 2) numbers, and `steps` will point
    into it. No length is above `longest`. The sort is a stable counting sort: a sequence of length
    l stands behind the counts[l] longer ones.
    """
    cdef Py_ssize_t* sorted_lengths = memory
    cdef Py_ssize_t* counts = memory + n
    cdef Py_ssize_t* starts = counts + longest + 2
    cdef Py_ssize_t* place = starts + longest + 2
    cdef Py_ssize_t i, s, row, length
    memset(counts, 0, (longest + 2) * sizeof(Py_ssize_t))
    for i in range(n):
        row = i if rows == NULL else rows[i]
        if lengths[row] > 0:
            counts[lengths[row] - 1] += 1
    # counts[s] is the number of sequences of length s + 1. The sum of these numbers from the
    # longest sequences down to length s + 1 is the number of sequences that have a step s.
    for s in range(longest - 1, -1, -1):
        counts[s] += counts[s + 1]
    starts[0] = 0
    for s in range(longest + 1):
        starts[s + 1] = starts[s] + counts[s]
        place[s] = counts[s]
    for i in range(n):
        row = i if rows == NULL else rows[i]
        length = lengths[row]
        order[place[length]] = row
        sorted_lengths[place[length]] = length
        place[length] += 1
    steps.n = n
    steps.n_rows = starts[longest]
    steps.n_steps = sorted_lengths[0] if n > 0 else 0
    steps.n_own = steps.n_steps
    steps.counts = counts
    steps.starts = starts
    steps.lengths = sorted_lengths


cdef void sequences_reverse_step(
    floating* y, const floating* x, const Steps* steps, Py_ssize_t step, Py_ssize_t d,
    Py_ssize_t x_row_stride,
) noexcept nogil:
    """y (counts[step], d) = the rows of x that are step `step` of the reversed sequences.

    Row i of step s of a reversed sequence of length l is row i of step l - 1 - s.
    """
    cdef Py_ssize_t i
    for i in range(steps.counts[step]):
        memcpy(
            y + i * d,
            x + (steps.starts[steps.lengths[i] - 1 - step] + i) * x_row_stride,
            d * sizeof(floating),
        )


cdef void sequences_write_step(
    floating* y, const floating* x, const Steps* steps, Py_ssize_t step, Py_ssize_t d,
    Py_ssize_t y_row_stride, bint reverse,
) noexcept nogil:
    """Write x (counts[step], d) to the rows of a step of y; if `reverse`, to the mirrored step."""
    cdef Py_ssize_t i, source
    for i in range(steps.counts[step]):
        source = steps.lengths[i] - 1 - step if reverse else step
        memcpy(y + (steps.starts[source] + i) * y_row_stride, x + i * d, d * sizeof(floating))


def pack(lengths):
    """The order of sequences, and the places of their steps in a packed matrix.

    Parameters
    ----------
    lengths : array-like of shape (n,)
        Steps of each sequence, at least 1.

    Returns
    -------
    order : ndarray of shape (n,), intp
        Numbers of the sequences, the longest first. Equally long sequences keep their order.
    counts : ndarray of shape (n_steps,), intp
        Number of sequences that have each step.
    starts : ndarray of shape (n_steps,), intp
        First row of each step.

    Raises
    ------
    ValueError
        If a length is below 1, or there is no length.
    """
    lengths = as_lengths(lengths)
    cdef const Py_ssize_t[::1] given = lengths
    longest = int(lengths.max())
    order = np.empty(lengths.size, np.intp)
    memory = np.empty(lengths.size + 3 * (longest + 2), np.intp)
    cdef Py_ssize_t[::1] order_view = order
    cdef Py_ssize_t[::1] memory_view = memory
    cdef Steps steps
    sequences_pack(&steps, &order_view[0], &memory_view[0], &given[0], NULL, given.shape[0],
                   longest)
    counts = memory[lengths.size:][:longest]
    starts = memory[lengths.size + longest + 2:][:longest]
    return order, counts.copy(), starts.copy()


cdef object packing_memory(lengths):
    """Memory for ``sorted_steps``: the order of the sequences, then the arrays of `Steps`."""
    return np.empty(2 * lengths.size + 3 * (int(lengths[0]) + 2), np.intp)


cdef Steps sorted_steps(Py_ssize_t[::1] memory, const Py_ssize_t[::1] lengths) noexcept:
    """Where the steps of sorted sequences stand."""
    cdef Steps steps
    cdef Py_ssize_t n = lengths.shape[0]
    sequences_pack(&steps, &memory[0], &memory[0] + n, &lengths[0], NULL, n, lengths[0])
    return steps


def reverse(x, lengths):
    """Reverse every sequence in time.

    Parameters
    ----------
    x : ndarray of shape (sum of lengths, d)
        Packed steps, float32 or float64.
    lengths : array-like of shape (n,)
        Steps of each sequence, sorted, the longest first.

    Returns
    -------
    y : ndarray of the shape and dtype of `x`

    Raises
    ------
    ValueError
        If the lengths are not sorted, or shapes or dtypes do not fit.
    """
    lengths, n_rows = as_sorted_lengths(lengths)
    x = as_floating("x", x)
    check_packed("x", x, n_rows)
    if x.strides[1] != x.itemsize:
        x = x.copy(order="C")
    y = np.empty(x.shape, x.dtype)
    _reverse(y, x, packing_memory(lengths), lengths)
    return y


def _reverse(
    floating[:, ::1] y, const floating[:, :] x, Py_ssize_t[::1] memory,
    const Py_ssize_t[::1] lengths,
):
    cdef Steps steps = sorted_steps(memory, lengths)
    cdef Py_ssize_t step, d = x.shape[1]
    cdef Py_ssize_t row_stride = x.strides[0] // <Py_ssize_t> sizeof(floating)
    for step in range(steps.n_steps):
        sequences_reverse_step(&y[steps.starts[step], 0], &x[0, 0], &steps, step, d, row_stride)


def write(y, x, lengths, *, bint reverse=False):
    """Write packed steps to the packed steps of `y`, step by step.

    Parameters
    ----------
    y : ndarray of shape (sum of lengths, d)
        Changed in place; float32 or float64, contiguous rows of any stride, such as some of the
        columns of a C-ordered matrix.
    x : ndarray of shape (sum of lengths, d)
        Packed steps, of the dtype of `y`; copied if they are not C-ordered.
    lengths : array-like of shape (n,)
        Steps of each sequence, sorted, the longest first.
    reverse : bool, default=False
        Whether the steps of each sequence are written in reverse order.

    Raises
    ------
    ValueError
        If the lengths are not sorted, or shapes or dtypes do not fit.
    """
    check_target("y", y)
    lengths, n_rows = as_sorted_lengths(lengths)
    check_packed("y", y, n_rows)
    x = as_contiguous(as_floating("x", x))
    if x.shape != y.shape or x.dtype != y.dtype:
        raise ValueError(f"x has shape {x.shape} and dtype {x.dtype}, y has {y.shape} and "
                         f"{y.dtype}")
    if np.may_share_memory(x, y):
        x = x.copy()
    _write(y, x, packing_memory(lengths), lengths, reverse)


def _write(
    floating[:, :] y, const floating[:, ::1] x, Py_ssize_t[::1] memory,
    const Py_ssize_t[::1] lengths, bint reverse,
):
    cdef Steps steps = sorted_steps(memory, lengths)
    cdef Py_ssize_t step, d = x.shape[1]
    cdef Py_ssize_t row_stride = y.strides[0] // <Py_ssize_t> sizeof(floating)
    for step in range(steps.n_steps):
        sequences_write_step(&y[0, 0], &x[steps.starts[step], 0], &steps, step, d, row_stride,
                             reverse)
