from cython cimport floating

ctypedef fused input_floating:
    float
    double

cdef void gather_rows "skbn_gather_rows"(
    floating* y,
    const input_floating* x, const Py_ssize_t* rows,
    const double* mean, const double* invstd, bint clipped,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil
