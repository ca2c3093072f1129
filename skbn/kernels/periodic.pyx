"""The periodic embedding of numeric columns: each number becomes four.

A column has 16 frequencies w with phases b, a matrix W2 of shape (16, 3) and a bias b2 of shape
(3,). A number x of the column becomes three numbers e, and x itself behind them:

    z = w x + b,    e = cos(z) W2 + b2,    y = [e, x]

With de the gradient of e, the gradients of the parameters are sums over the rows:

    dW2 = cos(z)' de,    db2 = de,    db = -sin(z) (W2 de),    dw = -sin(z) (W2 de) x

The parameters of a column lie side by side: w, b, W2 row after row, b2. There is no gradient of x:
the columns are data, so no operation needs it.

The cosine
----------
The cosine is computed here, without a branch and without a call, so that compilers vectorize the
loops. Angles are counted in turns: t = z / (2 pi). With d = |t - round(t)|, the distance from t
to the nearest whole number, and S(h) = sin(2 pi h),

    cos(2 pi t) = S(1/4 - d),    |sin(2 pi t)| = S(1/4 - |1/4 - d|)

and sin(2 pi t) has the sign of t - round(t). Both arguments of S are in [-1/4, 1/4], where S is
replaced by an odd polynomial: of degree 9 in float32, of degree 15 in float64. The algorithm of
Remez gives the polynomial with the smallest maximum of the absolute error. Its lowest coefficient
is rounded to the dtype, the algorithm gives the higher coefficients anew, the next coefficient is
rounded, and so on. So the higher coefficients make up for the rounding of the lower ones. The
absolute error of the polynomial with rounded coefficients is below 8e-9 in float32 and below 1e-16
in float64.

Adding and subtracting 3 * 2^22 (3 * 2^51) rounds t to a whole number. A compiler may drop
the two operations only under -ffast-math, which simd.h refuses. A t beyond 2^22 (2^51) is not
rounded to the nearest whole number. So d is bounded by 1/2, and the cosine of a huge number is in
[-1, 1] up to rounding, without a correct digit. The cosine of infinity and of NaN is NaN.

The absolute error of the cosine of z is at most 2 eps (1 + |z|) for |z| <= 1e4: 1.4 eps (1 + |z|)
were measured in float32, 1.6 eps (1 + |z|) in float64. Almost all of it is the rounding of t.

Shapes: ``x`` (n, m) and ``y`` (n, 4 m) with contiguous rows of any stride; ``parameters`` (m, 83).

References
----------
Gorishniy, Rubachev and Babenko (2022), "On embeddings for numerical features in tabular deep
learning" (periodic embeddings).
Holzmüller, Grinsztajn and Steinwart (2024), "Better by default: strong pre-tuned MLPs and boosted
trees on tabular data" (the embedding PBLD, which has phases and passes on x itself).
"""

from cython cimport floating
from libc.math cimport copysign, copysignf, fabs, fabsf

import numpy as np

from skbn.kernels._operands import as_floating, as_real


# GCC compiles these loops for several instruction sets, and the processor chooses one of the sets
# at run time (simd.h).
cdef extern from *:
    """
    #include "simd.h"
    #define COSINES(T) (T*, const T*, Py_ssize_t)
    #define FORWARD(T) \
        (T*, const T*, const T*, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    #define BACKWARD(T) \
        (T*, const T*, const T*, const T*, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    SKBN_CLONE_BOTH(void, skbn_periodic_cosines, COSINES)
    SKBN_CLONE_BOTH(void, skbn_periodic_forward, FORWARD)
    SKBN_CLONE_BOTH(void, skbn_periodic_backward, BACKWARD)
    """


# BLOCK: the rows whose numbers of one column are on the stack at a time.
# LANES: rows are computed in groups of LANES, the last group filled up with zeros. Loops over a
# fixed number of rows leave no remainder, so a result does not depend on the place of its row.
# They also vectorize sums over rows, whose order a compiler may not change: each lane has a sum.
# PHASES, MATRIX, BIAS: where b, W2 and b2 begin among the parameters of a column. They are plain
# numbers, because Cython cannot compute one constant from another in a debug build.
cdef enum:
    BLOCK = 128
    LANES = 16
    PHASES = 16
    MATRIX = 32
    BIAS = 80

cdef double TURN = 0.15915494309189533577   # 1 / (2 pi)


cdef inline floating _from_whole(floating t) noexcept nogil:
    # t - round(t).
    cdef floating shift = 12582912.0 if floating is float else 6755399441055744.0
    cdef floating shifted = t + shift
    return t - (shifted - shift)


cdef inline floating _distance(floating rest) noexcept nogil:
    # |rest|, at most 1/2. The comparison is false for NaN, so NaN stays.
    cdef floating half = <floating> 0.5
    cdef floating distance
    if floating is float:
        distance = fabsf(rest)
    else:
        distance = fabs(rest)
    return half if distance > half else distance


cdef inline floating _wave(floating h) noexcept nogil:
    # S(h) = sin(2 pi h) for |h| <= 1/4.
    cdef floating s = h * h
    cdef floating p
    if floating is float:
        p = <float> 39.13410949707031
        p = p * s + <float> -76.49604797363281
        p = p * s + <float> 81.59864807128906
        p = p * s + <float> -41.341617584228516
        p = p * s + <float> 6.283185005187988
    else:
        p = -0.6907396528873013
        p = p * s + 3.8169540797794346
        p = p * s + -15.094467808609762
        p = p * s + 42.05868813615967
        p = p * s + -76.7058596434726
        p = p * s + 81.60524927497826
        p = p * s + -41.34170224039483
        p = p * s + 6.28318530717958
    return p * h


cdef inline floating _cosine(floating t) noexcept nogil:
    # cos(2 pi t).
    return _wave(<floating> 0.25 - _distance(_from_whole(t)))


cdef inline floating _cosine_and_sine(floating t, floating* sine) noexcept nogil:
    # cos(2 pi t); sin(2 pi t) is stored.
    cdef floating quarter = <floating> 0.25
    cdef floating rest = _from_whole(t)
    cdef floating h = quarter - _distance(rest)
    if floating is float:
        sine[0] = copysignf(_wave(quarter - fabsf(h)), rest)
    else:
        sine[0] = copysign(_wave(quarter - fabs(h)), rest)
    return _wave(h)


cdef inline Py_ssize_t _take(
    floating* values, const floating* x, Py_ssize_t rows, Py_ssize_t stride,
) noexcept nogil:
    # One column of a block into a buffer, filled up with zeros. Returns the number of groups.
    cdef Py_ssize_t i, groups = (rows + LANES - 1) // LANES
    for i in range(rows):
        values[i] = x[i * stride]
    for i in range(rows, groups * LANES):
        values[i] = 0
    return groups


cdef void _cosines "skbn_periodic_cosines"(
    floating* y, const floating* x, Py_ssize_t size,
) noexcept nogil:
    cdef floating[LANES] values
    cdef floating turn = <floating> TURN
    cdef Py_ssize_t i, start = 0, rows
    while start < size:
        rows = min(<Py_ssize_t> LANES, size - start)
        _take(&values[0], x + start, rows, 1)
        for i in range(LANES):
            values[i] = _cosine(values[i] * turn)
        for i in range(rows):
            y[start + i] = values[i]
        start += rows


cdef void periodic_forward "skbn_periodic_forward"(
    floating* y, const floating* x, const floating* parameters,
    Py_ssize_t n, Py_ssize_t m, Py_ssize_t y_stride, Py_ssize_t x_stride,
) noexcept nogil:
    """y = [cos(w x + b) W2 + b2, x] for each column of x. y must not overlap x."""
    cdef floating[BLOCK] values
    cdef floating[BLOCK] first
    cdef floating[BLOCK] second
    cdef floating[BLOCK] third
    cdef floating frequency, phase, to_first, to_second, to_third, cosine
    cdef const floating* column
    cdef floating* to_row
    cdef Py_ssize_t start = 0, rows, groups, j, k, group, lane, i
    while start < n:
        rows = min(<Py_ssize_t> BLOCK, n - start)
        for j in range(m):
            column = parameters + j * COLUMN_PARAMETERS
            groups = _take(&values[0], x + start * x_stride + j, rows, x_stride)
            for i in range(groups * LANES):
                first[i] = column[BIAS]
                second[i] = column[BIAS + 1]
                third[i] = column[BIAS + 2]
            for k in range(FREQUENCIES):
                frequency = column[k] * <floating> TURN
                phase = column[PHASES + k] * <floating> TURN
                to_first = column[MATRIX + 3 * k]
                to_second = column[MATRIX + 3 * k + 1]
                to_third = column[MATRIX + 3 * k + 2]
                for group in range(groups):
                    for lane in range(LANES):
                        i = group * LANES + lane
                        cosine = _cosine(values[i] * frequency + phase)
                        first[i] += cosine * to_first
                        second[i] += cosine * to_second
                        third[i] += cosine * to_third
            for i in range(rows):
                to_row = y + (start + i) * y_stride + j * EMBEDDED
                to_row[0] = first[i]
                to_row[1] = second[i]
                to_row[2] = third[i]
                to_row[3] = values[i]
        start += rows


cdef void periodic_backward "skbn_periodic_backward"(
    floating* gradient, const floating* dy, const floating* x, const floating* parameters,
    Py_ssize_t n, Py_ssize_t m, Py_ssize_t dy_stride, Py_ssize_t x_stride,
) noexcept nogil:
    """Add the gradients of the parameters to `gradient`. Sine and cosine are computed anew."""
    cdef floating[BLOCK] values
    cdef floating[BLOCK] first
    cdef floating[BLOCK] second
    cdef floating[BLOCK] third
    cdef floating[COLUMN_PARAMETERS * LANES] sums
    cdef floating frequency, phase, to_first, to_second, to_third, cosine, sine, dz, total
    cdef const floating* column
    cdef const floating* from_row
    cdef floating* of_frequency
    cdef floating* of_phase
    cdef floating* of_matrix
    cdef floating* of_bias = &sums[BIAS * LANES]
    cdef Py_ssize_t start = 0, rows, groups, j, k, group, lane, i
    while start < n:
        rows = min(<Py_ssize_t> BLOCK, n - start)
        for j in range(m):
            column = parameters + j * COLUMN_PARAMETERS
            from_row = dy + start * dy_stride + j * EMBEDDED
            groups = _take(&values[0], x + start * x_stride + j, rows, x_stride)
            _take(&first[0], from_row, rows, dy_stride)
            _take(&second[0], from_row + 1, rows, dy_stride)
            _take(&third[0], from_row + 2, rows, dy_stride)
            for i in range(COLUMN_PARAMETERS * LANES):
                sums[i] = 0
            for k in range(FREQUENCIES):
                frequency = column[k] * <floating> TURN
                phase = column[PHASES + k] * <floating> TURN
                to_first = column[MATRIX + 3 * k]
                to_second = column[MATRIX + 3 * k + 1]
                to_third = column[MATRIX + 3 * k + 2]
                of_frequency = &sums[k * LANES]
                of_phase = &sums[(PHASES + k) * LANES]
                of_matrix = &sums[(MATRIX + 3 * k) * LANES]
                for group in range(groups):
                    for lane in range(LANES):
                        i = group * LANES + lane
                        cosine = _cosine_and_sine(values[i] * frequency + phase, &sine)
                        dz = -sine * (to_first * first[i] + to_second * second[i]
                                      + to_third * third[i])
                        of_frequency[lane] += dz * values[i]
                        of_phase[lane] += dz
                        of_matrix[lane] += cosine * first[i]
                        of_matrix[LANES + lane] += cosine * second[i]
                        of_matrix[2 * LANES + lane] += cosine * third[i]
            for group in range(groups):
                for lane in range(LANES):
                    i = group * LANES + lane
                    of_bias[lane] += first[i]
                    of_bias[LANES + lane] += second[i]
                    of_bias[2 * LANES + lane] += third[i]
            for k in range(COLUMN_PARAMETERS):
                total = 0
                for lane in range(LANES):
                    total += sums[k * LANES + lane]
                gradient[j * COLUMN_PARAMETERS + k] += total
        start += rows


def _as_columns(x, parameters):
    # The operands that both array functions have. Rows need not lie one behind the other.
    x = as_floating("x", x)
    if x.ndim != 2:
        raise ValueError(f"x must have shape (n, m), got {x.ndim} dimension(s)")
    parameters = as_real("parameters", parameters, x.dtype)
    if parameters.shape != (x.shape[1], COLUMN_PARAMETERS):
        raise ValueError(f"parameters must have shape {(x.shape[1], COLUMN_PARAMETERS)} for "
                         f"{x.shape[1]} columns, got {parameters.shape}")
    return _with_contiguous_rows(x), parameters


def _with_contiguous_rows(x):
    return x if x.strides[1] == x.itemsize else np.ascontiguousarray(x)


def forward(x, parameters):
    """Embed numeric columns: each number x becomes ``[cos(w * x + b) @ W2 + b2, x]``.

    Parameters
    ----------
    x : ndarray of shape (n, m)
        The columns, float32 or float64; copied if its rows are not contiguous.
    parameters : array-like of shape (m, 83)
        A row for each column, cast to the dtype of `x`: the frequencies w (16), the phases b (16),
        the matrix W2 of shape (16, 3) row after row, the bias b2 (3).

    Returns
    -------
    y : ndarray of shape (n, 4 * m)
        The four numbers of the first column, then of the second one, and so on.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.
    """
    x, parameters = _as_columns(x, parameters)
    y = np.empty((x.shape[0], EMBEDDED * x.shape[1]), x.dtype)
    _forward(y, x, parameters)
    return y


def _forward(floating[:, :] y, const floating[:, :] x, const floating[:, ::1] parameters):
    cdef Py_ssize_t n = x.shape[0], m = x.shape[1], size = <Py_ssize_t> sizeof(floating)
    if n > 0 and m > 0:
        with nogil:
            periodic_forward(&y[0, 0], &x[0, 0], &parameters[0, 0], n, m,
                             y.strides[0] // size, x.strides[0] // size)


def backward(dy, x, parameters):
    """Gradient of the parameters of ``forward``; `x` has none.

    Parameters
    ----------
    dy : array-like of shape (n, 4 * m)
        Gradient of the loss with respect to `y`. The fourth number of a column, where `y` has x
        itself, is not looked at.
    x : ndarray of shape (n, m)
        The columns given to ``forward``.
    parameters : array-like of shape (m, 83)
        The parameters given to ``forward``.

    Returns
    -------
    gradient : ndarray of shape (m, 83)

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.
    """
    x, parameters = _as_columns(x, parameters)
    dy = as_real("dy", dy, x.dtype)
    if dy.shape != (x.shape[0], EMBEDDED * x.shape[1]):
        raise ValueError(f"dy must have shape {(x.shape[0], EMBEDDED * x.shape[1])}, "
                         f"got {dy.shape}")
    gradient = np.zeros_like(parameters)
    _backward(gradient, dy, x, parameters)
    return gradient


def _backward(
    floating[:, ::1] gradient, const floating[:, :] dy, const floating[:, :] x,
    const floating[:, ::1] parameters,
):
    cdef Py_ssize_t n = x.shape[0], m = x.shape[1], size = <Py_ssize_t> sizeof(floating)
    if n > 0 and m > 0:
        with nogil:
            periodic_backward(&gradient[0, 0], &dy[0, 0], &x[0, 0], &parameters[0, 0], n, m,
                              dy.strides[0] // size, x.strides[0] // size)


def cosine(x):
    """The cosine of every element, by the approximation that the embedding uses.

    Parameters
    ----------
    x : ndarray of any shape
        Angles in radians, float32 or float64; copied if it is not C-ordered.

    Returns
    -------
    y : ndarray of the shape and dtype of `x`
        With an absolute error of at most ``2 * eps * (1 + abs(x))`` for ``abs(x) <= 1e4``, where
        eps is the resolution of the dtype. Beyond that, numbers from -1 to 1 up to rounding. NaN
        for NaN and infinity.

    Raises
    ------
    ValueError
        If the dtype is not float32 or float64.
    """
    x = as_floating("x", x, order="C")
    y = np.empty_like(x)
    _cosine_of_array(y.reshape(-1), x.reshape(-1))
    return y


def _cosine_of_array(floating[::1] y, const floating[::1] x):
    if x.shape[0] > 0:
        with nogil:
            _cosines(&y[0], &x[0], x.shape[0])
