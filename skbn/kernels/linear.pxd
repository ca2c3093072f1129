from cython cimport floating

cdef void linear_forward(
    floating* y,
    const floating* x, const floating* weights, const floating* bias,
    Py_ssize_t n, Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t x_stride,
) noexcept nogil

cdef void linear_parameter_gradients(
    floating* dweights, floating* dbias,
    const floating* dy, const floating* x,
    Py_ssize_t n, Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t x_stride, bint adds,
) noexcept nogil

cdef void linear_data_gradient(
    floating* dx,
    const floating* dy, const floating* weights,
    Py_ssize_t n, Py_ssize_t n_in, Py_ssize_t n_out,
) noexcept nogil
