from cython cimport floating

# Codes of the activations that other files ask for. The registry in activations.pyx has all codes.
cdef enum:
    TANH = 2
    RELU = 3

cdef void activation_forward(
    floating* y, const floating* x, Py_ssize_t size, int activation,
) noexcept nogil

cdef void activation_backward(
    floating* dx, const floating* dy, const floating* x, const floating* y,
    Py_ssize_t size, int activation,
) noexcept nogil
