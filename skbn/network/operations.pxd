from cython cimport floating
from libc.stdint cimport uint64_t

cdef enum OperationKind:
    LINEAR = 0
    BATCH_NORM = 1
    ACTIVATION = 2
    DROPOUT = 3

# Mirrors ``skbn.network.plan.OPERATION``: Cython compares the types and places of all fields
# whenever a plan is passed. Offsets of -1 stand for "none".
cdef struct Operation:
    int kind                # an OperationKind
    int activation          # an Activation, of ACTIVATION
    Py_ssize_t n_in         # columns of x
    Py_ssize_t n_out        # columns of y
    Py_ssize_t x            # input, in columns of the work memory
    Py_ssize_t y            # output, in columns of the work memory; x for one in place
    Py_ssize_t weights      # (n_in, n_out), in elements of the parameters
    Py_ssize_t bias         # (n_out,)
    Py_ssize_t gamma        # (n_out,)
    Py_ssize_t beta         # (n_out,)
    Py_ssize_t n_steps      # t, the time steps of the statistics: 1 in a feed-forward network
    Py_ssize_t statistics   # running mean (t, n_out), then running variance (t, n_out)
    Py_ssize_t scratch      # BATCH_NORM_SCRATCH * n_out doubles
    double epsilon
    double momentum
    double rate             # of DROPOUT

# Doubles of scratch for one unit of a normalized layer: batch mean, variance, reciprocal
# standard deviation and weight, two gradient sums, three for moments, three for affine forms.
cdef enum:
    BATCH_NORM_SCRATCH = 13  # AFFINE + AFFINE_SCRATCH

# What distinguishes one training-mode pass from another, beside its rows.
cdef struct Pass:
    bint frozen             # too few rows for a variance: the running statistics serve
    double total_weight     # of the rows
    uint64_t seed           # of the dropout masks, with `step`
    uint64_t step

cdef void operations_forward(
    floating* work, double* scratch,
    const Operation* plan, const floating* parameters, const double* statistics,
    const double* sample_weight,
    Py_ssize_t first, Py_ssize_t n_operations, Py_ssize_t n, Py_ssize_t capacity,
    const Pass* mode,
) noexcept nogil

cdef floating* operations_backward(
    floating* gradient, floating* dy, floating* spare, double* scratch,
    const Operation* plan, const floating* parameters, const floating* work,
    const double* sample_weight,
    Py_ssize_t first, Py_ssize_t n_operations, Py_ssize_t n, Py_ssize_t capacity,
    const Pass* mode,
) noexcept nogil

cdef void operations_infer(
    floating* work, double* scratch,
    const Operation* plan, const floating* parameters, const double* statistics,
    Py_ssize_t first, Py_ssize_t n_operations, Py_ssize_t n, Py_ssize_t capacity,
) noexcept nogil

cdef void operations_update_running(
    double* statistics,
    const Operation* plan, const double* scratch,
    Py_ssize_t n_operations,
    bint first,
) noexcept nogil
