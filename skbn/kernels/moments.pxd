from cython cimport floating

# The moments of d columns need scratch memory of MOMENT_SCRATCH d doubles.
cdef enum:
    MOMENT_SCRATCH = 3

cdef void moments_of_batch(
    double* batch_mean, double* batch_var, double* scratch,
    const floating* x,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil

cdef void moments_about(
    double* batch_mean, double* batch_var, double* scratch,
    const floating* x,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil

cdef void moments_of_table(
    double* batch_mean, double* batch_var, double* scratch,
    const floating* x,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil

cdef void moments_of_weighted(
    double* batch_mean, double* batch_var, double* batch_weight, double* scratch,
    const floating* x, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t d, Py_ssize_t row_stride, Py_ssize_t column_stride,
) noexcept nogil

cdef void moments_without_rounding(
    double* var, const double* mean, Py_ssize_t d, double precision,
) noexcept nogil
