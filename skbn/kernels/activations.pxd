from cython cimport floating

cdef enum Activation:
    IDENTITY = 0
    LOGISTIC = 1
    TANH = 2
    RELU = 3
    SILU = 4
    GELU = 5

cdef void activation_forward(
    floating* y, const floating* x, Py_ssize_t size, int activation,
) noexcept nogil

cdef void activation_backward(
    floating* dx, const floating* dy, const floating* x, const floating* y,
    Py_ssize_t size, int activation,
) noexcept nogil
