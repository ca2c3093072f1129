from cython cimport floating

from skbn.kernels.sequences cimport Steps
from skbn.network.operation cimport Operation, Pass

cdef Py_ssize_t recurrent_parts(const Operation* operation, Py_ssize_t n_behind) noexcept nogil

cdef void recurrent_forward(
    floating* work, floating* state, double* scratch,
    const Operation* operation, const floating* parameters, const double* statistics,
    const double* sample_weight, const Steps* steps,
    Py_ssize_t n_parts, Py_ssize_t capacity, Py_ssize_t state_capacity,
    const Pass* mode,
) noexcept nogil

cdef void recurrent_backward(
    floating* dx, floating* gradient, floating* dy, floating* state, double* scratch,
    const Operation* operation, const floating* parameters, const floating* work,
    const double* sample_weight, const Steps* steps,
    Py_ssize_t n_parts, Py_ssize_t capacity,
    const Pass* mode,
) noexcept nogil
