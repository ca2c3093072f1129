"""The affine map of the columns of a matrix, from any memory layout to any memory layout.

    y = (x - mean) * scale + shift

The transformer normalizes tables with this map. A table may be larger than every cache and may
have any strides, so the loops here are about reading and writing memory.

A mean m is used as the pair hi, lo: hi is m rounded to the dtype of x, and lo = m - hi. With

    (x - m) scale + shift = (x - hi) scale + (shift - lo scale)

float32 rows lose no digits if their mean is far from 0.

Shapes: ``x``, ``y`` (n, d) with any strides; everything else (d,), float64.
"""

from cython cimport floating
from libc.math cimport fabs

import numpy as np

from skbn.kernels._operands import as_floating, as_real


# GCC compiles these loops for several instruction sets, and the processor chooses one of the sets
# at run time (simd.h).
cdef extern from *:
    """
    #include "simd.h"
    #define PANEL_OF(T) \
        (T*, const T*, const double*, const double*, const double*, \
         Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    #define COLUMN_OF(T) \
        (T*, const T*, double, double, double, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    #define STREAM_OF(T) \
        (T*, const T*, const double*, const double*, const double*, \
         Py_ssize_t, Py_ssize_t, Py_ssize_t)
    SKBN_CLONE_BOTH(int, skbn_affine_panel, PANEL_OF)
    SKBN_CLONE_BOTH(int, skbn_affine_stream, STREAM_OF)
    SKBN_CLONE_BOTH(int, skbn_affine_column, COLUMN_OF)

    #if defined(__SSE2__) || defined(_M_X64)
    #include <emmintrin.h>
    #define SKBN_STREAM_ALIGNMENT 16
    /* Writes past the cache. A plain write would first read each cache line of the target. */
    static void skbn_stream(void* target, const void* source, Py_ssize_t bytes) {
        __m128i* to = (__m128i*) target;
        const __m128i* from = (const __m128i*) source;
        Py_ssize_t i, n = bytes / 16;
        for (i = 0; i < n; i++) _mm_stream_si128(to + i, _mm_loadu_si128(from + i));
        memcpy(to + n, from + n, (size_t) (bytes % 16));
    }
    static void skbn_stream_end(void) { _mm_sfence(); }
    #else
    #define SKBN_STREAM_ALIGNMENT 1
    static void skbn_stream(void* target, const void* source, Py_ssize_t bytes) {
        memcpy(target, source, (size_t) bytes);
    }
    static void skbn_stream_end(void) {}
    #endif
    """
    void prefetch "SKBN_PREFETCH"(const void* address) noexcept nogil
    int STREAM_ALIGNMENT "SKBN_STREAM_ALIGNMENT"
    void stream "skbn_stream"(void* target, const void* source, Py_ssize_t bytes) noexcept nogil
    void stream_end "skbn_stream_end"() noexcept nogil


# PREFETCH_BYTES: the distance from a read to the cache line that is asked for.
# PANEL: the largest number of columns whose coefficients are on the stack at a time.
# COEFFICIENTS_ROOM, BUFFER_ROOM: numbers that hold the beginning of a page of PAGE bytes, and three
# panels of coefficients behind it; or a gap of three panels, and the buffer behind it.
# HUGE_PAGE: the bytes of a huge page of Linux, less one.
# STREAM_BYTES: no cache holds a larger result until the result is used. Such a result is written
# past the cache, by way of a buffer of STREAM_SIZE numbers.
# TILE: short rows are seen together as one row of at most TILE numbers.
cdef enum:
    PREFETCH_BYTES = 2048
    CACHE_LINE = 64
    PANEL = 128
    STREAM_SIZE = 512
    STREAM_BYTES = 16777216
    PAGE = 4096
    COEFFICIENTS_ROOM = 1408
    BUFFER_ROOM = 1920
    HUGE_PAGE = 2097151
    TILE = 128

cdef union SingleBits:
    float value
    unsigned int bits

cdef union DoubleBits:
    double value
    unsigned long long bits


cdef int _affine_panel "skbn_affine_panel"(
    floating* y,
    const floating* x, const double* mean, const double* scale, const double* shift,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t y_row_stride, Py_ssize_t x_row_stride,
) noexcept nogil:
    # The map of at most PANEL contiguous columns, in the arithmetic of the dtype of x. Returns
    # whether every entry of x is finite. For a finite t, t - t is +0.0, whose bits are all 0.
    # For NaN and infinity t - t is NaN, whose bits are not all 0. The bits are collected by "or",
    # because an "or" of integers vectorizes and a sum of floating-point numbers does not.
    cdef floating[PANEL] hi
    cdef floating[PANEL] factor
    cdef floating[PANEL] offset
    cdef unsigned int single_bits = 0
    cdef unsigned long long double_bits = 0
    cdef SingleBits single_rest
    cdef DoubleBits double_rest
    cdef floating t
    cdef Py_ssize_t i, j, line
    cdef Py_ssize_t row_lines = d * <Py_ssize_t> sizeof(floating) // CACHE_LINE + 1
    cdef const floating* from_row
    cdef floating* to_row
    for j in range(d):
        hi[j] = <floating> mean[j]
        factor[j] = <floating> scale[j]
        offset[j] = <floating> (shift[j] - (mean[j] - hi[j]) * scale[j])
    for i in range(n):
        from_row = x + i * x_row_stride
        to_row = y + i * y_row_stride
        for line in range(row_lines):
            prefetch(<const char*> from_row + line * CACHE_LINE + PREFETCH_BYTES)
        if to_row == from_row:
            # In place. With one pointer the compiler knows that reads and writes do not
            # overlap in another way, and vectorizes the loop.
            for j in range(d):
                t = to_row[j]
                if floating is float:
                    single_rest.value = t - t
                    single_bits |= single_rest.bits
                else:
                    double_rest.value = t - t
                    double_bits |= double_rest.bits
                to_row[j] = (t - hi[j]) * factor[j] + offset[j]
        else:
            for j in range(d):
                t = from_row[j]
                if floating is float:
                    single_rest.value = t - t
                    single_bits |= single_rest.bits
                else:
                    double_rest.value = t - t
                    double_bits |= double_rest.bits
                to_row[j] = (t - hi[j]) * factor[j] + offset[j]
    return single_bits == 0 and double_bits == 0


cdef inline floating* _in_page(floating* room) noexcept nogil:
    # The first number in `room` that begins a page.
    return <floating*> ((<size_t> room + PAGE - 1) // PAGE * PAGE)


cdef int _affine_stream "skbn_affine_stream"(
    floating* y,
    const floating* x, const double* mean, const double* scale, const double* shift,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t x_row_stride,
) noexcept nogil:
    # The same into a large contiguous y, which does not overlap x, past the cache.
    #
    # The coefficients and the buffer have fixed places in a page of memory. Where the stack places
    # them by chance, some places take twice as long, in every call of a thread.
    cdef floating[COEFFICIENTS_ROOM] coefficients_room
    cdef floating[BUFFER_ROOM] buffer_room
    cdef floating* hi = _in_page(&coefficients_room[0])
    cdef floating* factor = hi + PANEL
    cdef floating* offset = hi + 2 * PANEL
    cdef floating* buffer = _in_page(&buffer_room[0]) + 3 * PANEL
    cdef unsigned int single_bits = 0
    cdef unsigned long long double_bits = 0
    cdef SingleBits single_rest
    cdef DoubleBits double_rest
    cdef floating t
    cdef Py_ssize_t i, j, line, start = 0, rows
    cdef Py_ssize_t size = <Py_ssize_t> sizeof(floating)
    cdef Py_ssize_t row_lines = d * size // CACHE_LINE + 1
    # Streaming stores write words of 16 bytes. A block has a multiple of four rows, so the bytes of
    # a block are a multiple of 16 for any d.
    cdef Py_ssize_t block = STREAM_SIZE // d // 4 * 4
    cdef const floating* from_row
    cdef floating* to_row
    cdef floating* end = y + n * d
    cdef floating* cleared = y
    for j in range(d):
        hi[j] = <floating> mean[j]
        factor[j] = <floating> scale[j]
        offset[j] = <floating> (shift[j] - (mean[j] - hi[j]) * scale[j])
    while start < n:
        rows = min(block, n - start)
        # Linux clears a huge page at the first write to it, and it ends with the 4 KB around that
        # write. From the lower end of fresh memory it clears downwards, which takes twice as long.
        # So the last number of each huge page is written to first; its block writes it again.
        if y + (start + rows) * d > cleared:
            cleared = <floating*> ((<size_t> (y + (start + rows) * d) | HUGE_PAGE) + 1)
            cleared = end if cleared > end else cleared
            (cleared - 1)[0] = 0
        for i in range(rows):
            from_row = x + (start + i) * x_row_stride
            to_row = buffer + i * d
            for line in range(row_lines):
                prefetch(<const char*> from_row + line * CACHE_LINE + PREFETCH_BYTES)
            for j in range(d):
                t = from_row[j]
                if floating is float:
                    single_rest.value = t - t
                    single_bits |= single_rest.bits
                else:
                    double_rest.value = t - t
                    double_bits |= double_rest.bits
                to_row[j] = (t - hi[j]) * factor[j] + offset[j]
        stream(y + start * d, buffer, rows * d * size)
        start += rows
    stream_end()
    return single_bits == 0 and double_bits == 0


cdef int _affine_column "skbn_affine_column"(
    floating* y,
    const floating* x, double mean, double scale, double shift,
    Py_ssize_t n, Py_ssize_t y_stride, Py_ssize_t x_stride,
) noexcept nogil:
    # The map of one column with any strides, in float64. Returns whether every entry of x is
    # finite. The loops with strides of 1 vectorize. In place there is one pointer, as in
    # `_affine_panel`.
    cdef unsigned long long bits = 0
    cdef DoubleBits rest
    cdef double t
    cdef Py_ssize_t i
    if y_stride == 1 and x_stride == 1 and y == x:
        for i in range(n):
            t = y[i]
            rest.value = t - t
            bits |= rest.bits
            y[i] = <floating> ((t - mean) * scale + shift)
    elif y_stride == 1 and x_stride == 1:
        for i in range(n):
            t = x[i]
            rest.value = t - t
            bits |= rest.bits
            y[i] = <floating> ((t - mean) * scale + shift)
    else:
        for i in range(n):
            t = x[i * x_stride]
            rest.value = t - t
            bits |= rest.bits
            y[i * y_stride] = <floating> ((t - mean) * scale + shift)
    return bits == 0


cdef inline bint _fits(const double* scale, Py_ssize_t d, floating zero) noexcept nogil:
    # Whether the dtype of `zero` can hold the scales. Columns of float32 with a range below 1e-38
    # have scales above 1e38, which only float64 can hold.
    cdef Py_ssize_t j
    if floating is float:
        for j in range(d):
            if scale[j] != 0.0 and not (1e-37 < fabs(scale[j]) < 1e38):
                return False
    return True


cdef bint affine_map(
    floating* y,
    const floating* x, const double* mean, const double* scale, const double* shift,
    Py_ssize_t n, Py_ssize_t d,
    Py_ssize_t y_row_stride, Py_ssize_t y_column_stride,
    Py_ssize_t x_row_stride, Py_ssize_t x_column_stride,
) noexcept nogil:
    """y = (x - mean) * scale + shift; y may be x. NaN stays NaN.

    Returns whether every entry of x is finite. This check costs almost nothing beside the reads
    of x.
    """
    cdef bint finite = True
    cdef Py_ssize_t start = 0, rows, j, panel
    # In Fortran order the map takes one whole column after the other. With other strides the
    # map takes blocks of rows that stay in the cache, and column after column of a block.
    cdef Py_ssize_t block = n
    if (1 < d <= PANEL and y_column_stride == 1 and x_column_stride == 1 and y != x
            and y_row_stride == d and n * d * <Py_ssize_t> sizeof(floating) >= STREAM_BYTES
            and <size_t> y % STREAM_ALIGNMENT == 0 and _fits[floating](scale, d, 0)):
        return _affine_stream(y, x, mean, scale, shift, n, d, x_row_stride)
    if d > 1 and y_column_stride == 1 and x_column_stride == 1 and _fits[floating](scale, d, 0):
        for panel in range((d - 1) // PANEL + 1):
            j = panel * PANEL
            finite &= _affine_panel(y + j, x + j, mean + j, scale + j, shift + j, n,
                                    min(<Py_ssize_t> PANEL, d - j), y_row_stride, x_row_stride)
        return finite
    if x_row_stride * x_row_stride > x_column_stride * x_column_stride:
        block = 256
    while start < n:
        rows = min(block, n - start)
        for j in range(d):
            finite &= _affine_column(
                y + start * y_row_stride + j * y_column_stride,
                x + start * x_row_stride + j * x_column_stride,
                mean[j], scale[j], shift[j], rows, y_row_stride, x_row_stride,
            )
        start += rows
    return finite


def affine(x, mean, scale, shift, out=None):
    """Map the columns of a matrix: ``y = (x - mean) * scale + shift``.

    A float32 `x` loses no digits if its mean is far from 0. NaN stays NaN.

    Parameters
    ----------
    x : ndarray of shape (n, d), any strides
        The rows, float32 or float64.
    mean, scale, shift : array-like of shape (d,)
        Coefficients of the columns, cast to float64.
    out : ndarray of shape (n, d), any strides, default=None
        Memory of `y`, in the dtype of `x`; may be `x` itself. ``None``: a new array in the
        memory order of `x`.

    Returns
    -------
    y : ndarray of shape (n, d), dtype of `x`
    finite : bool
        Whether every entry of `x` was finite.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.
    """
    x = as_floating("x", x)
    if x.ndim != 2:
        raise ValueError(f"x must have shape (n, d), got {x.ndim} dimension(s)")
    if out is None:
        out = np.empty_like(x, subok=False)
    elif out.shape != x.shape or out.dtype != x.dtype:
        raise ValueError(f"out has shape {out.shape} and dtype {out.dtype}, x has {x.shape} "
                         f"and {x.dtype}")
    elif not out.flags.aligned:
        raise ValueError("out is not aligned: it cannot be written to in place")
    elif np.may_share_memory(out, x) and (
        out.ctypes.data != x.ctypes.data or out.strides != x.strides
    ):
        x = x.copy()  # without a copy, entries of x would be overwritten before they are read
    columns = [
        as_real(name, column, np.float64)
        for name, column in (("mean", mean), ("scale", scale), ("shift", shift))
    ]
    for column in columns:
        if column.shape != x.shape[1:]:
            raise ValueError(f"expected shape {x.shape[1:]} for {x.shape[1]} columns, "
                             f"got {column.shape}")
    if x.size == 0:
        return out, True
    n, d = x.shape
    # A short row fills only a part of a vector register. So `together` rows are seen as one row.
    together = min(n, TILE // d)
    if together < 4 or not (x.flags.c_contiguous and out.flags.c_contiguous):
        return out, _affine(out, x, *columns)
    head = n - n % together
    finite = _affine(out[:head].reshape(-1, together * d), x[:head].reshape(-1, together * d),
                     *(np.tile(column, together) for column in columns))
    if head < n:
        finite &= _affine(out[head:], x[head:], *columns)
    return out, finite


def _affine(
    floating[:, :] y, const floating[:, :] x,
    const double[::1] mean, const double[::1] scale, const double[::1] shift,
):
    cdef Py_ssize_t size = <Py_ssize_t> sizeof(floating)
    cdef bint finite
    with nogil:
        finite = affine_map(
            &y[0, 0], &x[0, 0], &mean[0], &scale[0], &shift[0], x.shape[0], x.shape[1],
            y.strides[0] // size, y.strides[1] // size,
            x.strides[0] // size, x.strides[1] // size,
        )
    return finite
