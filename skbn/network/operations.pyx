"""What a plan's operations do: forward, backward, inference, running statistics.

A plan is an array of operations (``skbn.network.plan``). Here each kind is carried out on
flat memory:

``parameters``, ``gradient``
    One vector of one layout; weights, then intercepts, then gammas and betas.
``statistics`` (float64)
    Running means and variances.
``work``
    Columns of n rows: the buffer at column c of width d holds (n, d) row-major from element
    ``c * capacity``, where ``capacity >= n`` is the largest number of rows of a batch. The rows
    of sequences are their steps, packed, and ``capacity`` is the largest number of those.
``state``
    Of recurrent operations, in columns too: ``skbn.network.recurrent``.
``scratch`` (float64)
    In front, a row of the first operation's outputs for a sparse product. Then statistics of
    the current batch, kept from the forward pass to the update of the running ones.
"""

from cython cimport floating
from libc.string cimport memcpy

from skbn.kernels.activations cimport RELU, activation_backward, activation_forward
from skbn.kernels.batchnorm cimport batchnorm_forward
from skbn.kernels.dropout cimport dropout_apply, dropout_key
from skbn.kernels.linear cimport linear_backward, linear_forward
from skbn.kernels.sequences cimport sequences_last, sequences_last_backward
from skbn.network.normalization cimport (
    AFFINE, norm_data_gradient, norm_gradient_sums, norm_invstd, norm_mean, norm_statistics,
    norm_update_running, norm_without_statistics,
)
from skbn.network.operation cimport (
    ACTIVATION, BATCH_NORM, CELL_NORM, DROPOUT, INPUT_MAP, INPUT_NORM, LAST, LINEAR, NO_PART,
    RECURRENT, RECURRENT_MAP, RECURRENT_NORM,
)
from skbn.network.recurrent cimport recurrent_backward, recurrent_forward, recurrent_parts

# The codes of a plan, for ``skbn.network.plan``.
KINDS = {
    "linear": LINEAR, "batch_norm": BATCH_NORM, "activation": ACTIVATION, "dropout": DROPOUT,
    "recurrent": RECURRENT, "last": LAST,
}
PARTS = {
    "none": NO_PART, "input_map": INPUT_MAP, "input_norm": INPUT_NORM,
    "recurrent_map": RECURRENT_MAP, "recurrent_norm": RECURRENT_NORM, "cell_norm": CELL_NORM,
}


cdef void _batch_norm_forward(
    floating* y, double* scratch,
    const Operation* operation, const floating* x, const floating* parameters,
    const double* statistics, const double* sample_weight,
    Py_ssize_t n,
    bint frozen, bint relu,
) noexcept nogil:
    # `frozen`: a batch without a variance is normalized by the running statistics.
    norm_statistics(scratch, operation, x, statistics, sample_weight, n, 0, frozen, False)
    batchnorm_forward(y, <floating*> (scratch + AFFINE * operation.n_out), x,
                      norm_mean(scratch, operation, 0), norm_invstd(scratch, operation, 0),
                      parameters + operation.gamma, parameters + operation.beta,
                      n, operation.n_out, relu)


cdef void _batch_norm_backward(
    floating* dy, floating* gradient, double* scratch,
    const Operation* operation, const floating* x, const floating* y,
    const floating* parameters, const double* sample_weight,
    Py_ssize_t n,
    double total_weight, bint frozen,
) noexcept nogil:
    # In place: dy becomes dx. `y` is the output of a relu behind, or NULL.
    norm_gradient_sums(scratch, gradient, dy, operation, x, y, n, 0)
    if frozen:
        norm_without_statistics(scratch, operation)
    norm_data_gradient(dy, scratch, operation, dy, x, parameters, sample_weight, n, 0,
                       total_weight)


cdef inline bint _has_relu_behind(
    const Operation* plan, Py_ssize_t o, Py_ssize_t first, Py_ssize_t n_operations,
) noexcept nogil:
    # Whether a relu in place follows a batch norm, both from `first` on: one kernel does both.
    return (
        o >= first and plan[o].kind == BATCH_NORM and o + 1 < n_operations
        and plan[o + 1].kind == ACTIVATION and plan[o + 1].activation == RELU
        and plan[o + 1].x == plan[o].y and plan[o + 1].y == plan[o].y
    )


cdef void operations_forward(
    floating* work, floating* state, double* scratch,
    const Operation* plan, const floating* parameters, const double* statistics,
    const double* sample_weight, const Steps* steps,
    Py_ssize_t first, Py_ssize_t n_operations, Py_ssize_t n,
    Py_ssize_t capacity, Py_ssize_t state_capacity,
    const Pass* mode,
) noexcept nogil:
    """The forward pass of operations `first` to `n_operations` - 1 in training mode.

    `steps` of NULL is a table of n rows, otherwise there are n sequences. `mode` of NULL is
    inference: every row by the running statistics alone, no dropout.
    """
    cdef Py_ssize_t o, rows = n if steps == NULL else steps.n_rows
    cdef const Operation* operation
    cdef const floating* bias
    cdef floating* x
    cdef floating* y
    cdef bint frozen = mode == NULL or mode.frozen
    for o in range(first, n_operations):
        operation = plan + o
        if operation.part != NO_PART:
            continue  # the recurrent operation before it has done it
        x = work + operation.x * capacity
        y = work + operation.y * capacity
        if operation.kind == LINEAR:
            bias = NULL
            if operation.bias >= 0:
                bias = parameters + operation.bias
            linear_forward(y, x, parameters + operation.weights, bias,
                           rows, operation.n_in, operation.n_out)
        elif operation.kind == BATCH_NORM:
            _batch_norm_forward(y, scratch + operation.scratch, operation, x, parameters,
                                statistics, sample_weight, rows, frozen,
                                _has_relu_behind(plan, o, first, n_operations))
        elif operation.kind == ACTIVATION and _has_relu_behind(plan, o - 1, first, n_operations):
            pass
        elif operation.kind == ACTIVATION:
            activation_forward(y, x, rows * operation.n_out, operation.activation)
        elif operation.kind == RECURRENT:
            recurrent_forward(work, state, scratch, operation, parameters, statistics,
                              sample_weight, steps,
                              recurrent_parts(operation, n_operations - 1 - o),
                              capacity, state_capacity, mode)
        elif operation.kind == LAST:
            sequences_last(y, x, steps, operation.n_out // operation.n_directions,
                           operation.n_directions)
            rows = n
        elif mode == NULL:
            memcpy(y, x, rows * operation.n_out * sizeof(floating))
        else:
            dropout_apply(y, x, rows * operation.n_out, operation.rate,
                          dropout_key(mode.seed, mode.step, o))


cdef floating* operations_backward(
    floating* gradient, floating* dy, floating* spare, floating* state, double* scratch,
    const Operation* plan, const floating* parameters, const floating* work,
    const double* sample_weight, const Steps* steps,
    Py_ssize_t first, Py_ssize_t n_operations, Py_ssize_t n, Py_ssize_t capacity,
    const Pass* mode,
) noexcept nogil:
    """The forward pass reversed: adds to `gradient` from the outputs' gradient `dy`.

    Only what changes the shape of the data gradient writes to `spare`, and the two change
    places; the others work in place. Returns the gradient of the input of operation `first`;
    NULL for that of the network, which nobody needs.
    """
    cdef Py_ssize_t o, rows = n
    cdef const Operation* operation
    cdef const floating* x
    cdef const floating* y
    cdef floating* dx
    cdef floating* dbias
    for o in range(n_operations - 1, first - 1, -1):
        operation = plan + o
        if operation.part != NO_PART:
            continue
        x = work + operation.x * capacity
        y = work + operation.y * capacity
        if operation.kind == LINEAR:
            dx = NULL if o == 0 else spare
            dbias = NULL if operation.bias < 0 else gradient + operation.bias
            linear_backward(dx, gradient + operation.weights, dbias, dy, x,
                            parameters + operation.weights,
                            rows, operation.n_in, operation.n_out)
            spare = dy
            dy = dx
        elif operation.kind == BATCH_NORM:
            if not _has_relu_behind(plan, o, first, n_operations):
                y = NULL
            _batch_norm_backward(dy, gradient, scratch + operation.scratch, operation, x, y,
                                 parameters, sample_weight, rows, mode.total_weight, mode.frozen)
        elif operation.kind == ACTIVATION and _has_relu_behind(plan, o - 1, first, n_operations):
            pass
        elif operation.kind == ACTIVATION:
            activation_backward(dy, dy, x, y, rows * operation.n_out, operation.activation)
        elif operation.kind == RECURRENT:
            # Both directions of a layer read one x, and the first in the plan comes last here.
            dx = NULL if operation.x == 0 else spare
            recurrent_backward(dx, gradient, dy, state, scratch, operation, parameters, work,
                               sample_weight, steps,
                               recurrent_parts(operation, n_operations - 1 - o), capacity, mode)
            if operation.direction == 0:
                spare = dy
                dy = dx
        elif operation.kind == LAST:
            sequences_last_backward(spare, dy, steps, operation.n_out // operation.n_directions,
                                    operation.n_directions)
            dy, spare = spare, dy
            rows = steps.n_rows
        else:
            dropout_apply(dy, dy, rows * operation.n_out, operation.rate,
                          dropout_key(mode.seed, mode.step, o))
    return dy


cdef void operations_infer(
    floating* work, floating* state, double* scratch,
    const Operation* plan, const floating* parameters, const double* statistics,
    const Steps* steps,
    Py_ssize_t first, Py_ssize_t n_operations, Py_ssize_t n,
    Py_ssize_t capacity, Py_ssize_t state_capacity,
) noexcept nogil:
    """The inference-mode forward pass of operations `first` to `n_operations` - 1."""
    operations_forward(work, state, scratch, plan, parameters, statistics, NULL, steps,
                       first, n_operations, n, capacity, state_capacity, NULL)


cdef void operations_update_running(
    double* statistics,
    const Operation* plan, double* scratch,
    Py_ssize_t n_operations, Py_ssize_t n_own, Py_ssize_t n_tracked,
) noexcept nogil:
    """Exponential update by the last forward pass; the first one sets them.

    `n_own` is the number of leading time steps that had statistics of their own, `n_tracked`
    that of those that ever had before: one at most in a feed-forward network.
    """
    cdef Py_ssize_t o
    for o in range(n_operations):
        if plan[o].kind == BATCH_NORM:
            norm_update_running(statistics, plan + o, scratch + plan[o].scratch, n_own, n_tracked)
