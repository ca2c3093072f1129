"""Poolings: the steps of each sequence become one row.

For a sequence of length l with the rows x_0, ..., x_{l-1}:

    "last"      y = x_{l-1}. Of two directions, the second half of the columns is taken from x_0,
                where the direction that reads backwards has read the whole sequence.
    "mean"      y = (x_0 + ... + x_{l-1}) / l
    "max"       y = the maximum of each column, or NaN where a column has NaN
    "mean_max"  The columns of the mean, then the columns of the maximum: twice as many.

With dy the gradient of y, the gradient of x_s is dy / l for the mean. For the maximum it is dy at
the first step that has the maximum (of NaN: at the first NaN), and 0 at all other steps. PyTorch's
``max(dim)`` has the same gradient. The gradient of "mean_max" is the sum of both.

The loops
---------
Packed sequences are sorted by length (``skbn.kernels.sequences``): the rows of step s belong to the
first counts[s] sequences. Seen as one row of counts[s] d numbers, number k of step s belongs to the
same column of the same sequence as number k of step 0. So a step is one loop over numbers side by
side, which vectorizes for any d. BLOCK numbers at a time go through all steps, and their sums or
maxima stay on the stack.

The sums are float64. A float32 sum of many steps loses digits by the rounding of each addition:
over 10,000 equal steps the relative error of a mean was 1e-4. Here the error is one rounding, 6e-8.

The gradient of the maximum goes through the steps in their order, and a dy that has been given to a
step is replaced by 0. So no array says which step had the maximum.

Shapes: ``x`` (sum of lengths, d), ``lengths`` (n,), sorted; ``y`` (n, d), or (n, 2 d) for
"mean_max".
"""

from cython cimport floating
from libc.string cimport memcpy, memset

import numpy as np

from skbn.kernels.sequences cimport packing_memory, sorted_steps

from skbn.kernels._operands import (
    as_contiguous, as_floating, as_sorted_lengths, check_directions, check_packed,
)

# Name in the estimators' parameters -> code in a plan.
POOLINGS = {"last": LAST_STEP, "mean": MEAN, "max": MAX, "mean_max": MEAN_MAX}

# Numbers that go through all steps together. Their sums and a step of them fit into the first
# cache.
cdef enum:
    BLOCK = 1024


# GCC compiles these loops for several instruction sets, and the processor chooses one of the sets
# at run time (simd.h).
cdef extern from *:
    """
    #include "simd.h"
    #define ADD(T) (double*, const T*, Py_ssize_t)
    #define LARGER(T) (T*, const T*, Py_ssize_t)
    #define GIVE(T) (T*, T*, const T*, const T*, Py_ssize_t, int)
    SKBN_CLONE_BOTH(void, skbn_pooling_add, ADD)
    SKBN_CLONE_BOTH(void, skbn_pooling_larger, LARGER)
    SKBN_CLONE_BOTH(void, skbn_pooling_give, GIVE)
    """


cdef void _add "skbn_pooling_add"(
    double* sums, const floating* x, Py_ssize_t size,
) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(size):
        sums[k] += x[k]


cdef void _larger "skbn_pooling_larger"(
    floating* maxima, const floating* x, Py_ssize_t size,
) noexcept nogil:
    # x > NaN is false, so a maximum that is NaN stays NaN. Bitwise "or" has no branch.
    cdef Py_ssize_t k
    for k in range(size):
        maxima[k] = x[k] if (x[k] > maxima[k]) | (x[k] != x[k]) else maxima[k]


cdef void _give "skbn_pooling_give"(
    floating* dx, floating* dy, const floating* x, const floating* maxima, Py_ssize_t size,
    int adds,
) noexcept nogil:
    # dy goes to dx where x is the maximum, and is 0 from then on. An x of NaN is the maximum.
    # `adds`: dx has the gradient of the mean already.
    cdef Py_ssize_t k
    cdef bint is_first
    cdef floating given
    for k in range(size):
        is_first = (x[k] == maxima[k]) | (x[k] != x[k])
        given = dy[k] if is_first else 0
        dy[k] = 0 if is_first else dy[k]
        dx[k] = dx[k] + given if adds else given


cdef void _read_rows(
    floating* block, const floating* y, Py_ssize_t start, Py_ssize_t size, Py_ssize_t d,
    Py_ssize_t row_stride,
) noexcept nogil:
    # The numbers `start` to `start` + `size` - 1 of rows of d columns, which may stand apart.
    cdef Py_ssize_t row = start // d, column = start % d, n
    while size > 0:
        n = min(d - column, size)
        memcpy(block, y + row * row_stride + column, n * sizeof(floating))
        block += n
        size -= n
        row += 1
        column = 0


cdef void _write_rows(
    floating* y, const floating* block, Py_ssize_t start, Py_ssize_t size, Py_ssize_t d,
    Py_ssize_t row_stride,
) noexcept nogil:
    # The opposite of ``_read_rows``.
    cdef Py_ssize_t row = start // d, column = start % d, n
    while size > 0:
        n = min(d - column, size)
        memcpy(y + row * row_stride + column, block, n * sizeof(floating))
        block += n
        size -= n
        row += 1
        column = 0


cdef inline Py_ssize_t _size(
    const Steps* steps, Py_ssize_t step, Py_ssize_t start, Py_ssize_t d,
) noexcept nogil:
    # Numbers of a step in the block from `start` on; below 1 if no sequence of the block has the
    # step.
    return min(<Py_ssize_t> BLOCK, steps.counts[step] * d - start)


cdef void _mean(
    floating* y, const floating* x, const Steps* steps, Py_ssize_t d, Py_ssize_t row_stride,
) noexcept nogil:
    cdef double[BLOCK] sums
    cdef floating[BLOCK] block
    cdef Py_ssize_t start = 0, s, k, size
    while start < steps.n * d:
        memset(&sums[0], 0, BLOCK * sizeof(double))
        for s in range(steps.n_steps):
            size = _size(steps, s, start, d)
            if size <= 0:
                break
            _add(&sums[0], x + steps.starts[s] * d + start, size)
        # All sequences have step 0.
        size = _size(steps, 0, start, d)
        for k in range(size):
            block[k] = <floating> (sums[k] / steps.lengths[(start + k) // d])
        _write_rows(y, &block[0], start, size, d, row_stride)
        start += BLOCK


cdef void _mean_backward(
    floating* dx, const floating* dy, const Steps* steps, Py_ssize_t d, Py_ssize_t row_stride,
) noexcept nogil:
    cdef floating[BLOCK] block
    cdef Py_ssize_t start = 0, s, k, size
    while start < steps.n * d:
        size = _size(steps, 0, start, d)
        _read_rows(&block[0], dy, start, size, d, row_stride)
        for k in range(size):
            block[k] /= steps.lengths[(start + k) // d]
        for s in range(steps.n_steps):
            size = _size(steps, s, start, d)
            if size <= 0:
                break
            memcpy(dx + steps.starts[s] * d + start, &block[0], size * sizeof(floating))
        start += BLOCK


cdef void _max(
    floating* y, const floating* x, const Steps* steps, Py_ssize_t d, Py_ssize_t row_stride,
) noexcept nogil:
    cdef floating[BLOCK] maxima
    cdef Py_ssize_t start = 0, s, size
    while start < steps.n * d:
        # All sequences have step 0.
        memcpy(&maxima[0], x + start, _size(steps, 0, start, d) * sizeof(floating))
        for s in range(1, steps.n_steps):
            size = _size(steps, s, start, d)
            if size <= 0:
                break
            _larger(&maxima[0], x + steps.starts[s] * d + start, size)
        _write_rows(y, &maxima[0], start, _size(steps, 0, start, d), d, row_stride)
        start += BLOCK


cdef void _max_backward(
    floating* dx, const floating* dy, const floating* x, const floating* y, const Steps* steps,
    Py_ssize_t d, Py_ssize_t row_stride, bint adds,
) noexcept nogil:
    cdef floating[BLOCK] rest
    cdef floating[BLOCK] maxima
    cdef Py_ssize_t start = 0, s, place, size
    while start < steps.n * d:
        size = _size(steps, 0, start, d)
        _read_rows(&rest[0], dy, start, size, d, row_stride)
        _read_rows(&maxima[0], y, start, size, d, row_stride)
        for s in range(steps.n_steps):
            size = _size(steps, s, start, d)
            if size <= 0:
                break
            place = steps.starts[s] * d + start
            _give(dx + place, &rest[0], x + place, &maxima[0], size, adds)
        start += BLOCK


cdef void _last(
    floating* y, const floating* x, const Steps* steps, Py_ssize_t n_in, Py_ssize_t n_directions,
) noexcept nogil:
    # Row i of step s is a row of sequence i.
    cdef Py_ssize_t i, d = n_in // n_directions
    for i in range(steps.n):
        memcpy(y + i * n_in, x + (steps.starts[steps.lengths[i] - 1] + i) * n_in,
               d * sizeof(floating))
        if n_directions == 2:
            memcpy(y + i * n_in + d, x + i * n_in + d, d * sizeof(floating))


cdef void _last_backward(
    floating* dx, const floating* dy, const Steps* steps, Py_ssize_t n_in,
    Py_ssize_t n_directions,
) noexcept nogil:
    cdef Py_ssize_t i, d = n_in // n_directions
    memset(dx, 0, steps.n_rows * n_in * sizeof(floating))
    for i in range(steps.n):
        memcpy(dx + (steps.starts[steps.lengths[i] - 1] + i) * n_in, dy + i * n_in,
               d * sizeof(floating))
        if n_directions == 2:
            memcpy(dx + i * n_in + d, dy + i * n_in + d, d * sizeof(floating))


cdef void pooling_forward(
    floating* y, const floating* x, const Steps* steps, Py_ssize_t n_in, Py_ssize_t n_directions,
    Py_ssize_t pooling,
) noexcept nogil:
    """y (n, n_in), or (n, 2 n_in) of MEAN_MAX: the rows of x pooled over each sequence."""
    if pooling == LAST_STEP:
        _last(y, x, steps, n_in, n_directions)
    elif pooling == MEAN:
        _mean(y, x, steps, n_in, n_in)
    elif pooling == MAX:
        _max(y, x, steps, n_in, n_in)
    else:
        _mean(y, x, steps, n_in, 2 * n_in)
        _max(y + n_in, x, steps, n_in, 2 * n_in)


cdef void pooling_backward(
    floating* dx, const floating* dy, const floating* x, const floating* y, const Steps* steps,
    Py_ssize_t n_in, Py_ssize_t n_directions, Py_ssize_t pooling,
) noexcept nogil:
    """The gradient of x, in all rows of it. MAX and MEAN_MAX alone read x and y."""
    if pooling == LAST_STEP:
        _last_backward(dx, dy, steps, n_in, n_directions)
    elif pooling == MEAN:
        _mean_backward(dx, dy, steps, n_in, n_in)
    elif pooling == MAX:
        _max_backward(dx, dy, x, y, steps, n_in, n_in, False)
    else:
        _mean_backward(dx, dy, steps, n_in, 2 * n_in)
        _max_backward(dx, dy + n_in, x, y + n_in, steps, n_in, 2 * n_in, True)


def _code(pooling):
    if not isinstance(pooling, str) or pooling not in POOLINGS:
        raise ValueError(f"pooling must be one of {sorted(POOLINGS)}, got {pooling!r}")
    return POOLINGS[pooling]


def forward(x, lengths, pooling, Py_ssize_t n_directions=1):
    """Pool the steps of each sequence to one row.

    Parameters
    ----------
    x : ndarray of shape (sum of lengths, n_directions * d)
        Packed steps, float32 or float64.
    lengths : array-like of shape (n,)
        Steps of each sequence, sorted, the longest first.
    pooling : {"last", "mean", "max", "mean_max"}
        The last step; the mean of all steps; their maximum; the columns of the mean and then the
        columns of the maximum.
    n_directions : {1, 2}, default=1
        "last" takes the second half of the columns of two directions, which reads backwards, at
        the first step. Other poolings treat all columns alike.

    Returns
    -------
    y : ndarray of shape (n, n_directions * d), or (n, 2 * n_directions * d) for "mean_max"

    Raises
    ------
    ValueError
        If the lengths are not sorted, the pooling is unknown, or shapes or dtypes do not fit.
    """
    code = _code(pooling)
    lengths, n_rows = as_sorted_lengths(lengths)
    x = as_contiguous(as_floating("x", x))
    check_packed("x", x, n_rows)
    check_directions(x, n_directions)
    n_out = x.shape[1] * (2 if pooling == "mean_max" else 1)
    y = np.empty((lengths.size, n_out), x.dtype)
    _forward(y, x, packing_memory(lengths), lengths, n_directions, code)
    return y


def _forward(
    floating[:, ::1] y, const floating[:, ::1] x, Py_ssize_t[::1] memory,
    const Py_ssize_t[::1] lengths, Py_ssize_t n_directions, Py_ssize_t pooling,
):
    cdef Steps steps = sorted_steps(memory, lengths)
    with nogil:
        pooling_forward(&y[0, 0], &x[0, 0], &steps, x.shape[1], n_directions, pooling)


def backward(dy, x, y, lengths, pooling, Py_ssize_t n_directions=1):
    """Gradient of ``forward``.

    Parameters
    ----------
    dy : ndarray of the shape of `y`
        Gradient of the loss with respect to `y`, float32 or float64.
    x : ndarray of shape (sum of lengths, n_directions * d)
        Packed steps, as given to ``forward``, of the dtype of `dy`.
    y : ndarray of shape (n, n_directions * d), or (n, 2 * n_directions * d) for "mean_max"
        As returned by ``forward``. A maximum that no step has gives no gradient.
    lengths, pooling, n_directions
        As given to ``forward``.

    Returns
    -------
    dx : ndarray of the shape of `x`

    Raises
    ------
    ValueError
        If the lengths are not sorted, the pooling is unknown, or shapes or dtypes do not fit.
    """
    code = _code(pooling)
    lengths, n_rows = as_sorted_lengths(lengths)
    dy, x, y = (
        as_contiguous(as_floating(name, values))
        for name, values in (("dy", dy), ("x", x), ("y", y))
    )
    check_packed("x", x, n_rows)
    check_directions(x, n_directions)
    shape = lengths.size, x.shape[1] * (2 if pooling == "mean_max" else 1)
    for name, values in (("dy", dy), ("y", y)):
        if values.shape != shape or values.dtype != x.dtype:
            raise ValueError(f"{name} has shape {values.shape} and dtype {values.dtype}, but the "
                             f"result of this pooling has {shape} and {x.dtype}")
    dx = np.empty(x.shape, x.dtype)
    _backward(dx, dy, x, y, packing_memory(lengths), lengths, n_directions, code)
    return dx


def _backward(
    floating[:, ::1] dx, const floating[:, ::1] dy, const floating[:, ::1] x,
    const floating[:, ::1] y, Py_ssize_t[::1] memory, const Py_ssize_t[::1] lengths,
    Py_ssize_t n_directions, Py_ssize_t pooling,
):
    cdef Steps steps = sorted_steps(memory, lengths)
    with nogil:
        pooling_backward(&dx[0, 0], &dy[0, 0], &x[0, 0], &y[0, 0], &steps, x.shape[1],
                         n_directions, pooling)
