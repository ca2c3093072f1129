"""Sequences of different length in one packed matrix, step by step.

The sequences of a batch are sorted by length, the longest first. Step s then belongs to the
first ``counts[s]`` of them, and its rows are the block from row ``starts[s]`` on of a matrix
with one row for each step of each sequence. Nothing in it is padding, so what walks over it
(products, statistics, states) meets real steps alone. PyTorch's ``PackedSequence`` has the
same order.

Shapes: ``lengths`` (n,), in a batch of sorted ones; ``x``, ``y`` (sum of lengths, d), row-major.
"""

from cython cimport floating
from libc.string cimport memcpy, memset

import sys

import numpy as np

from skbn.kernels._operands import as_contiguous, as_floating, as_whole, check_target


cdef void sequences_pack(
    Steps* steps, Py_ssize_t* order, Py_ssize_t* memory,
    const Py_ssize_t* lengths, const Py_ssize_t* rows, Py_ssize_t n, Py_ssize_t longest,
) noexcept nogil:
    """Sort `rows`, numbers of sequences, by their lengths and say where their steps stand.

    `order` (n,) gets the sorted row numbers; `rows` may be NULL: 0 to n - 1. `memory` has n +
    3 (longest + 2) numbers and is what `steps` points to. `longest` is at least every length.
    A counting sort, stable: a sequence of length l stands behind the counts[l] longer ones.
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
    # How many have each length, from the longest on added up: how many have a step s.
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
    """Write x (counts[step], d) to the rows of y of a step, or, `reverse`, of its mirror."""
    cdef Py_ssize_t i, source
    for i in range(steps.counts[step]):
        source = steps.lengths[i] - 1 - step if reverse else step
        memcpy(y + (steps.starts[source] + i) * y_row_stride, x + i * d, d * sizeof(floating))


cdef void sequences_last(
    floating* y, const floating* x, const Steps* steps, Py_ssize_t d, Py_ssize_t n_directions,
) noexcept nogil:
    """y (n, n_directions d): where each direction has read the whole sequence.

    The first d columns of x at the last step of a sequence, and, of two directions, the others
    at its first step.
    """
    cdef Py_ssize_t i, width = n_directions * d
    for i in range(steps.n):
        memcpy(y + i * width, x + (steps.starts[steps.lengths[i] - 1] + i) * width,
               d * sizeof(floating))
        if n_directions == 2:
            memcpy(y + i * width + d, x + i * width + d, d * sizeof(floating))


cdef void sequences_last_backward(
    floating* dx, const floating* dy, const Steps* steps, Py_ssize_t d, Py_ssize_t n_directions,
) noexcept nogil:
    """The gradient of x: that of y in the rows it was taken from, 0 elsewhere."""
    cdef Py_ssize_t i, width = n_directions * d
    memset(dx, 0, steps.n_rows * width * sizeof(floating))
    for i in range(steps.n):
        memcpy(dx + (steps.starts[steps.lengths[i] - 1] + i) * width, dy + i * width,
               d * sizeof(floating))
        if n_directions == 2:
            memcpy(dx + i * width + d, dy + i * width + d, d * sizeof(floating))


def _as_lengths(lengths):
    lengths = as_whole("lengths", lengths)
    if lengths.ndim != 1 or lengths.size == 0 or lengths.min() < 1:
        raise ValueError("lengths must be a vector of numbers >= 1, at least one")
    return lengths


def pack(lengths):
    """Where the steps of sequences stand in a packed matrix.

    Parameters
    ----------
    lengths : array-like of shape (n,)
        Steps of each sequence, at least 1.

    Returns
    -------
    order : ndarray of shape (n,), intp
        Numbers of the sequences, the longest first; equally long ones in their order.
    counts : ndarray of shape (n_steps,), intp
        Sequences that have each step.
    starts : ndarray of shape (n_steps,), intp
        First row of each step.

    Raises
    ------
    ValueError
        If a length is below 1, or there is none.
    """
    lengths = _as_lengths(lengths)
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


def _as_sorted(lengths):
    # The lengths of packed sequences, and how many rows all of them have.
    lengths = _as_lengths(lengths)
    if (np.diff(lengths) > 0).any():
        raise ValueError("lengths must be sorted, the longest first")
    if lengths.size * int(lengths[0]) > sys.maxsize:
        # Their sum might overflow, and look like that of short ones.
        raise ValueError(f"{lengths.size} sequences of up to {lengths[0]} steps are too many")
    return lengths, int(lengths.sum())


def _check_packed(name, x, n_rows):
    if x.ndim != 2 or x.shape[1] == 0:
        raise ValueError(f"{name} must have shape (n, d) with d >= 1, got {x.shape}")
    if x.shape[0] != n_rows:
        raise ValueError(f"{name} has {x.shape[0]} rows, the lengths ask for {n_rows}")


cdef Steps _steps(
    Py_ssize_t[::1] order, Py_ssize_t[::1] memory, const Py_ssize_t[::1] lengths,
) noexcept:
    cdef Steps steps
    sequences_pack(&steps, &order[0], &memory[0], &lengths[0], NULL, lengths.shape[0], lengths[0])
    return steps


def _memory(lengths):
    size = lengths.size + 3 * (int(lengths[0]) + 2)
    return np.empty(lengths.size, np.intp), np.empty(size, np.intp)


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
    lengths, n_rows = _as_sorted(lengths)
    x = as_floating("x", x)
    _check_packed("x", x, n_rows)
    if x.strides[1] != x.itemsize:
        x = x.copy(order="C")
    y = np.empty(x.shape, x.dtype)
    order, memory = _memory(lengths)
    _reverse(y, x, order, memory, lengths)
    return y


def _reverse(
    floating[:, ::1] y, const floating[:, :] x, Py_ssize_t[::1] order, Py_ssize_t[::1] memory,
    const Py_ssize_t[::1] lengths,
):
    cdef Steps steps = _steps(order, memory, lengths)
    cdef Py_ssize_t step, d = x.shape[1]
    cdef Py_ssize_t row_stride = x.strides[0] // <Py_ssize_t> sizeof(floating)
    for step in range(steps.n_steps):
        sequences_reverse_step(&y[steps.starts[step], 0], &x[0, 0], &steps, step, d, row_stride)


def write(y, x, lengths, *, bint reverse=False):
    """Write packed steps to those of `y`, step by step.

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
        Whether the steps of each sequence go to `y` in reverse.

    Raises
    ------
    ValueError
        If the lengths are not sorted, or shapes or dtypes do not fit.
    """
    check_target("y", y)
    lengths, n_rows = _as_sorted(lengths)
    _check_packed("y", y, n_rows)
    x = as_contiguous(as_floating("x", x))
    if x.shape != y.shape or x.dtype != y.dtype:
        raise ValueError(f"x has shape {x.shape} and dtype {x.dtype}, y has {y.shape} and "
                         f"{y.dtype}")
    if np.may_share_memory(x, y):
        x = x.copy()
    order, memory = _memory(lengths)
    _write(y, x, order, memory, lengths, reverse)


def _write(
    floating[:, :] y, const floating[:, ::1] x, Py_ssize_t[::1] order, Py_ssize_t[::1] memory,
    const Py_ssize_t[::1] lengths, bint reverse,
):
    cdef Steps steps = _steps(order, memory, lengths)
    cdef Py_ssize_t step, d = x.shape[1]
    cdef Py_ssize_t row_stride = y.strides[0] // <Py_ssize_t> sizeof(floating)
    for step in range(steps.n_steps):
        sequences_write_step(&y[0, 0], &x[steps.starts[step], 0], &steps, step, d, row_stride,
                             reverse)


def last(x, lengths, Py_ssize_t n_directions=1):
    """Rows at which each direction has read the whole sequence.

    Parameters
    ----------
    x : ndarray of shape (sum of lengths, n_directions * d)
        Packed steps, float32 or float64.
    lengths : array-like of shape (n,)
        Steps of each sequence, sorted, the longest first.
    n_directions : {1, 2}, default=1
        Of two directions the first half of the columns is taken at the last step, the second,
        which reads backwards, at the first.

    Returns
    -------
    y : ndarray of shape (n, n_directions * d)

    Raises
    ------
    ValueError
        If the lengths are not sorted, or shapes or dtypes do not fit.
    """
    lengths, n_rows = _as_sorted(lengths)
    x = as_contiguous(as_floating("x", x))
    _check_packed("x", x, n_rows)
    _check_directions(x, n_directions)
    y = np.empty((lengths.size, x.shape[1]), x.dtype)
    order, memory = _memory(lengths)
    _last(y, x, order, memory, lengths, n_directions, False)
    return y


def last_backward(dy, lengths, Py_ssize_t n_directions=1):
    """Gradient of ``last``.

    Parameters
    ----------
    dy : ndarray of shape (n, n_directions * d)
        Gradient of the loss with respect to `y`, float32 or float64.
    lengths : array-like of shape (n,)
        Steps of each sequence, sorted, the longest first.
    n_directions : {1, 2}, default=1
        As given to ``last``.

    Returns
    -------
    dx : ndarray of shape (sum of lengths, n_directions * d)

    Raises
    ------
    ValueError
        If the lengths are not sorted, or shapes or dtypes do not fit.
    """
    lengths, n_rows = _as_sorted(lengths)
    dy = as_contiguous(as_floating("dy", dy))
    _check_packed("dy", dy, lengths.size)
    _check_directions(dy, n_directions)
    dx = np.empty((n_rows, dy.shape[1]), dy.dtype)
    order, memory = _memory(lengths)
    _last(dx, dy, order, memory, lengths, n_directions, True)
    return dx


def _check_directions(x, n_directions):
    if n_directions not in (1, 2) or x.shape[1] % n_directions:
        raise ValueError(f"{x.shape[1]} columns are none of {n_directions} direction(s)")


def _last(
    floating[:, ::1] target, const floating[:, ::1] source, Py_ssize_t[::1] order,
    Py_ssize_t[::1] memory, const Py_ssize_t[::1] lengths, Py_ssize_t n_directions,
    bint backward,
):
    cdef Steps steps = _steps(order, memory, lengths)
    cdef Py_ssize_t d = source.shape[1] // n_directions
    if backward:
        sequences_last_backward(&target[0, 0], &source[0, 0], &steps, d, n_directions)
    else:
        sequences_last(&target[0, 0], &source[0, 0], &steps, d, n_directions)
