from cython cimport floating

# A sum over d columns needs scratch memory of SUM_SCRATCH d values of the dtype of x.
cdef enum:
    SUM_SCRATCH = 3

cdef void batchnorm_combine "skbn_batchnorm_combine"(
    floating* y, floating* scratch,
    const floating* x,
    const double* mean, const double* invstd, const floating* gamma, const floating* beta,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t y_row_stride, Py_ssize_t x_row_stride,
    bint add,
) noexcept nogil
