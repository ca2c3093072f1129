from cython cimport floating

cdef enum Loss:
    SOFTMAX_LOG_LOSS = 0
    LOGISTIC_LOG_LOSS = 1
    SQUARED_ERROR = 2
    ABSOLUTE_ERROR = 3
    POISSON = 4

cdef double loss_forward_backward(
    floating* dz,
    const floating* z, const floating* y, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t k,
    double total_weight, int loss,
) noexcept nogil
