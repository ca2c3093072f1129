from cython cimport floating

cdef bint affine_map(
    floating* y,
    const floating* x, const double* mean, const double* scale, const double* shift,
    Py_ssize_t n, Py_ssize_t d,
    Py_ssize_t y_row_stride, Py_ssize_t y_column_stride,
    Py_ssize_t x_row_stride, Py_ssize_t x_column_stride,
) noexcept nogil
