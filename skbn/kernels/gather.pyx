"""Rows of a table gathered into a mini-batch, normalized by fixed statistics and cast.

The functions normalize the inputs row by row, so the table is never copied. They compute in
float64, so float32 columns with a large mean lose no digits.
"""

from cython cimport floating
from libc.math cimport sqrt, sqrtf

import numpy as np

from skbn.kernels._operands import as_floating, as_real, as_whole, check_floating


cdef extern from *:
    """
    #include "simd.h"
    #define GATHER(T, U) \
        (T*, const U*, const Py_ssize_t*, const double*, const double*, int, \
         Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    SKBN_CLONES static void __pyx_fuse_0_0skbn_gather_rows GATHER(float, float);
    SKBN_CLONES static void __pyx_fuse_0_1skbn_gather_rows GATHER(float, double);
    SKBN_CLONES static void __pyx_fuse_1_0skbn_gather_rows GATHER(double, float);
    SKBN_CLONES static void __pyx_fuse_1_1skbn_gather_rows GATHER(double, double);
    #define CLIP(T) (T*, Py_ssize_t)
    SKBN_CLONE_BOTH(void, skbn_smooth_clip, CLIP)
    """
    void prefetch "SKBN_PREFETCH"(const void* address) noexcept nogil

# FARTHEST: numbers beyond it are set to it. The clip of such numbers is at its limit anyway, and
# the squares of huge numbers overflow in float32.
# AHEAD: rows between the row that is read and the row that is asked for.
# ASKED_BYTES: only the beginning of a long row is asked for; the processor then prefetches more.
cdef enum:
    FARTHEST = 1000000
    AHEAD = 8
    ASKED_BYTES = 512
    CACHE_LINE = 64


cdef inline floating root(floating x) noexcept nogil:
    return sqrtf(x) if floating is float else sqrt(x)


cdef void smooth_clip "skbn_smooth_clip"(floating* y, Py_ssize_t size) noexcept nogil:
    """y / sqrt(1 + (y / 3)^2), in place: about y near 0, never beyond -3 and 3."""
    cdef Py_ssize_t j
    cdef floating t
    for j in range(size):
        t = y[j]
        t = FARTHEST if t > FARTHEST else t
        t = -FARTHEST if t < -FARTHEST else t
        y[j] = t / root(1 + t * t / 9)


cdef void gather_rows "skbn_gather_rows"(
    floating* y,
    const input_floating* x, const Py_ssize_t* rows,
    const double* mean, const double* invstd, bint clipped,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil:
    """y_i = (x_rows[i] - mean) * invstd, through ``smooth_clip`` if `clipped`.

    `rows` may be NULL: the first n rows. `mean` may be NULL: no normalization.
    """
    cdef Py_ssize_t i, j
    cdef const input_floating* row
    cdef const char* ahead
    # Reads of rows in a random order wait for the memory, unless the rows are asked for long
    # before. The bytes of a row that are asked for lie side by side; the last byte may be in a
    # further line.
    cdef Py_ssize_t asked = min(d * <Py_ssize_t> sizeof(input_floating), <Py_ssize_t> ASKED_BYTES)
    cdef bint asks = rows != NULL and column_stride == 1
    for i in range(n):
        row = x + (i if rows == NULL else rows[i]) * row_stride
        if asks and i + AHEAD < n:
            ahead = <const char*> (x + rows[i + AHEAD] * row_stride)
            for j in range(asked // CACHE_LINE):
                prefetch(ahead + j * CACHE_LINE)
            prefetch(ahead + asked - 1)
        if mean == NULL and column_stride == 1:
            for j in range(d):
                y[i * d + j] = <floating> row[j]
        elif mean == NULL:
            for j in range(d):
                y[i * d + j] = <floating> row[j * column_stride]
        elif column_stride == 1:
            for j in range(d):
                y[i * d + j] = <floating> ((row[j] - mean[j]) * invstd[j])
        else:
            for j in range(d):
                y[i * d + j] = <floating> ((row[j * column_stride] - mean[j]) * invstd[j])
        # The clip is applied row by row, while the row is in the cache.
        if clipped:
            smooth_clip(y + i * d, d)


def gather(x, rows=None, mean=None, invstd=None, dtype=np.float32, *, bint clipped=False):
    """Gather rows of a table, normalize them by fixed statistics and cast them.

    Parameters
    ----------
    x : ndarray of shape (n_samples, d), any strides
        The table, float32 or float64.
    rows : array-like of shape (n,), default=None
        Numbers of the rows. ``None``: all, in order.
    mean, invstd : array-like of shape (d,), default=None
        Each column has `mean` subtracted, and is then multiplied by `invstd`. ``None`` for both:
        the columns stay as they are.
    dtype : {np.float32, np.float64}, default=np.float32
        The dtype of the result.
    clipped : bool, default=False
        Whether each number t of the result is replaced by t / sqrt(1 + (t / 3)^2), which lies
        between -3 and 3: the smooth clip of Holzmüller, Grinsztajn and Steinwart (2024), "Better by
        default", arXiv:2407.04491, section 3.

    Returns
    -------
    y : ndarray of shape (n, d), C-ordered

    Raises
    ------
    ValueError
        If a row is out of range, or shapes or dtypes do not fit.
    """
    x = as_floating("x", x)
    if x.ndim != 2:
        raise ValueError(f"x must have shape (n, d), got {x.ndim} dimension(s)")
    if (mean is None) != (invstd is None):
        raise ValueError("mean and invstd belong together: give both or none")
    if rows is None:
        rows = np.arange(x.shape[0], dtype=np.intp)
    rows = as_whole("rows", rows)
    if rows.size and not (0 <= rows.min() and rows.max() < x.shape[0]):
        raise ValueError(f"rows must be in 0 to {x.shape[0] - 1}")
    if mean is not None:
        mean = as_real("mean", mean, np.float64)
        invstd = as_real("invstd", invstd, np.float64)
        if mean.shape != x.shape[1:] or invstd.shape != x.shape[1:]:
            raise ValueError(f"mean and invstd must have shape {x.shape[1:]}")
    y = np.empty((rows.size, x.shape[1]), dtype=dtype)
    check_floating("dtype", y.dtype)
    if y.size > 0:
        _gather(y, x, rows, mean, invstd, clipped)
    return y


def _gather(
    floating[:, ::1] y, const input_floating[:, :] x, const Py_ssize_t[::1] rows,
    const double[::1] mean, const double[::1] invstd, bint clipped,
):
    cdef Py_ssize_t row_stride = x.strides[0] // <Py_ssize_t> sizeof(input_floating)
    cdef Py_ssize_t column_stride = x.strides[1] // <Py_ssize_t> sizeof(input_floating)
    cdef const double* mean_pointer = NULL
    cdef const double* invstd_pointer = NULL
    if mean is not None:
        mean_pointer = &mean[0]
        invstd_pointer = &invstd[0]
    with nogil:
        gather_rows(&y[0, 0], &x[0, 0], &rows[0], mean_pointer, invstd_pointer, clipped,
                    y.shape[0], y.shape[1], row_stride, column_stride)
