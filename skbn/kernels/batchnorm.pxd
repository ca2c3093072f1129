from cython cimport floating

# The functions on d columns need scratch memory of AFFINE_SCRATCH d values of the dtype of x.
cdef enum:
    AFFINE_SCRATCH = 4

cdef void inverse_std(
    double* batch_invstd, const double* batch_var, Py_ssize_t d, double epsilon,
) noexcept nogil

cdef void batchnorm_forward "skbn_batchnorm_forward"(
    floating* y, floating* scratch,
    const floating* x,
    const double* batch_mean, const double* batch_invstd,
    const floating* gamma, const floating* beta,
    Py_ssize_t n, Py_ssize_t d,
    bint relu,
) noexcept nogil

cdef void batchnorm_gradient_sums "skbn_batchnorm_gradient_sums"(
    double* sum_dy, double* sum_dy_xhat, floating* scratch, floating* dy,
    const floating* y, const floating* x,
    const double* batch_mean, const double* batch_invstd,
    Py_ssize_t n, Py_ssize_t d,
) noexcept nogil

cdef void batchnorm_backward "skbn_batchnorm_backward"(
    floating* dx, floating* scratch,
    const floating* dy, const floating* x,
    const double* batch_mean, const double* batch_invstd,
    const floating* gamma,
    const double* sums, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t d,
    double total_weight,
) noexcept nogil
