from cython cimport floating

from skbn.kernels.sequences cimport Steps
from skbn.network.operation cimport Operation, Pass

cdef void operations_forward(
    floating* work, floating* state, double* scratch,
    const Operation* plan, const floating* parameters, const double* statistics,
    const double* sample_weight, const Steps* steps,
    Py_ssize_t first, Py_ssize_t n_operations, Py_ssize_t n,
    Py_ssize_t capacity, Py_ssize_t state_capacity,
    const Pass* mode,
) noexcept nogil

cdef floating* operations_backward(
    floating* gradient, floating* dy, floating* spare, floating* state, double* scratch,
    const Operation* plan, const floating* parameters, const floating* work,
    const double* sample_weight, const Steps* steps,
    Py_ssize_t first, Py_ssize_t n_operations, Py_ssize_t n, Py_ssize_t capacity,
    const Pass* mode,
) noexcept nogil

cdef void operations_infer(
    floating* work, floating* state, double* scratch,
    const Operation* plan, const floating* parameters, const double* statistics,
    const Steps* steps,
    Py_ssize_t first, Py_ssize_t n_operations, Py_ssize_t n,
    Py_ssize_t capacity, Py_ssize_t state_capacity,
) noexcept nogil

cdef void operations_update_running(
    double* statistics,
    const Operation* plan, double* scratch,
    Py_ssize_t n_operations, Py_ssize_t n_own, Py_ssize_t n_tracked,
) noexcept nogil
