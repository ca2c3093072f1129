from cython cimport floating

from skbn.kernels.layer cimport LayerColumns
from skbn.kernels.sequences cimport Steps
from skbn.network.operation cimport Operation
from skbn.network.run cimport Batch

# Places in the scratch memory of a normalized layer, in multiples of its d units: weight, two
# gradient sums, two gradient sums of later steps, three for moments, four for affine forms. The
# last seven hold the numbers of the columns if the loops are our own (``norm_columns``). Behind
# them stand, for each time step, batch mean, variance and reciprocal standard deviation.
cdef enum:
    WEIGHT = 0
    SUM_DY = 1
    SUM_DY_XHAT = 2
    LATER_DY = 3
    LATER_DY_XHAT = 4
    MOMENTS = 5
    AFFINE = 8
    STATISTICS = 12

cdef void norm_set_own_steps(Steps* steps, const double* weights) noexcept nogil

cdef double* norm_mean(double* scratch, const Operation* operation, Py_ssize_t step) noexcept nogil

cdef double* norm_var(double* scratch, const Operation* operation, Py_ssize_t step) noexcept nogil

cdef double* norm_invstd(
    double* scratch, const Operation* operation, Py_ssize_t step,
) noexcept nogil

cdef LayerColumns norm_columns(double* scratch, const Operation* operation) noexcept nogil

cdef void norm_statistics(
    double* scratch,
    const Operation* operation, const floating* x, const double* statistics,
    const double* sample_weight,
    Py_ssize_t n, Py_ssize_t step,
    bint frozen, bint repeated,
) noexcept nogil

cdef void norm_shared_begin(double* scratch, const Operation* operation) noexcept nogil

cdef void norm_shared_add(
    double* scratch,
    const Operation* operation, const floating* x, const double* sample_weight, Py_ssize_t n,
) noexcept nogil

cdef void norm_shared_end(
    double* scratch, const Operation* operation, double rounding,
) noexcept nogil

cdef void norm_gradient_sums(
    double* scratch, floating* dy,
    const Operation* operation, const floating* x, const floating* y,
    Py_ssize_t n, Py_ssize_t step,
) noexcept nogil

cdef void norm_add_parameter_gradients(
    floating* gradient, const double* scratch, const Operation* operation,
) noexcept nogil

cdef void norm_no_statistics(double* scratch, const Operation* operation) noexcept nogil

cdef void norm_add_up_statistics(
    double* scratch, const Operation* operation, const double* statistics, const Batch* batch,
) noexcept nogil

cdef void norm_add_up_gradient_sums(
    double* scratch, const Operation* operation, const Batch* batch,
) noexcept nogil

cdef void norm_data_gradient(
    floating* dx, double* scratch,
    const Operation* operation, const floating* dy, const floating* x,
    const floating* parameters, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t step,
    double total_weight,
) noexcept nogil

cdef void norm_without_statistics(double* scratch, const Operation* operation) noexcept nogil

cdef void norm_backward_step(
    floating* dx, double* scratch, floating* gradient, floating* dy,
    const Operation* operation, const floating* x, const floating* parameters,
    const double* sample_weight,
    Py_ssize_t n, Py_ssize_t step, Py_ssize_t n_own,
    bint frozen,
) noexcept nogil

cdef void norm_shared_backward(
    floating* dy, double* scratch, floating* gradient,
    const Operation* operation, const floating* x, const floating* parameters,
    const double* sample_weight, const Steps* steps,
    bint frozen,
) noexcept nogil

cdef void norm_update_running(
    double* statistics,
    const Operation* operation, double* scratch,
    Py_ssize_t n_own, Py_ssize_t n_tracked,
) noexcept nogil
