cdef void moments_merge(
    double* mean, double* var, double* weight,
    const double* batch_mean, const double* batch_var, const double* batch_weight,
    Py_ssize_t d,
) noexcept nogil

cdef void moments_merge_pairs(
    double* mean, double* var, double* weight,
    const double* batch_mean, const double* batch_var, const double* batch_weight,
    Py_ssize_t d,
) noexcept nogil

cdef void moments_update_running(
    double* running_mean, double* running_var,
    const double* batch_mean, const double* batch_var,
    Py_ssize_t d,
    double momentum,
) noexcept nogil
