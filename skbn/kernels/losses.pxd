from cython cimport floating

cdef double loss_forward_backward(
    floating* dz,
    const floating* z, const floating* y, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t k,
    double total_weight, int loss, double parameter,
) noexcept nogil
