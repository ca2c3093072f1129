"""What a plan's operations do: forward, backward, inference, running statistics.

A plan is an array of operations (``skbn.network.plan``). Here each kind is carried out on
flat memory:

``parameters``, ``gradient``
    One vector of one layout; weights, then intercepts, then gammas and betas.
``statistics`` (float64)
    Running means and variances.
``work``
    Columns of n rows: the buffer at column c of width d holds (n, d) row-major from element
    ``c * capacity``, where ``capacity >= n`` is the largest number of rows of a batch.
``scratch`` (float64)
    In front, a row of the first operation's outputs for a sparse product. Then statistics of
    the current batch, kept from the forward pass to the update of the running ones.
"""

from cython cimport floating
from libc.string cimport memcpy

from skbn.kernels.activations cimport RELU, activation_backward, activation_forward
from skbn.kernels.batchnorm cimport (
    batchnorm_backward, batchnorm_forward, batchnorm_gradient_sums, inverse_std,
)
from skbn.kernels.dropout cimport dropout_apply, dropout_key
from skbn.kernels.linear cimport linear_backward, linear_forward
from skbn.kernels.moments cimport (
    moments_of_batch, moments_of_weighted, moments_update_running,
)

# The codes of a plan, and the scratch of a normalized unit, for ``skbn.network.plan``.
KINDS = {
    "linear": LINEAR, "batch_norm": BATCH_NORM, "activation": ACTIVATION, "dropout": DROPOUT,
}
SCRATCH_PER_UNIT = BATCH_NORM_SCRATCH


# Where the scratch of a normalized layer of d units holds what, in multiples of d.
cdef enum:
    MEAN = 0
    VAR = 1
    INVSTD = 2
    WEIGHT = 3
    SUM_DY = 4
    SUM_DY_XHAT = 5
    MOMENTS = 6
    AFFINE = 9


cdef void _batch_norm_forward(
    floating* y, double* scratch,
    const Operation* operation, const floating* x, const floating* parameters,
    const double* statistics, const double* sample_weight,
    Py_ssize_t n,
    bint frozen, bint relu,
) noexcept nogil:
    # `frozen`: a batch without a variance is normalized by the running statistics.
    cdef Py_ssize_t d = operation.n_out, j
    cdef const double* running = statistics + operation.statistics
    cdef double* mean = scratch + MEAN * d
    cdef double* var = scratch + VAR * d
    if frozen:
        for j in range(d):
            mean[j] = running[j]
            var[j] = running[operation.n_steps * d + j]
    elif sample_weight == NULL:
        moments_of_batch(mean, var, scratch + MOMENTS * d, x, n, d, d, 1)
    else:
        moments_of_weighted(mean, var, scratch + WEIGHT * d, scratch + MOMENTS * d,
                            x, sample_weight, n, d, d, 1)
    inverse_std(scratch + INVSTD * d, var, d, operation.epsilon)
    batchnorm_forward(y, <floating*> (scratch + AFFINE * d), x, mean, scratch + INVSTD * d,
                      parameters + operation.gamma, parameters + operation.beta, n, d, relu)


cdef void _batch_norm_backward(
    floating* dy, floating* gradient, double* scratch,
    const Operation* operation, const floating* x, const floating* y,
    const floating* parameters, const double* sample_weight,
    Py_ssize_t n,
    double total_weight, bint frozen,
) noexcept nogil:
    # `y` is the output of a relu behind, or NULL.
    # In place: dy becomes dx. Frozen statistics do not depend on x, so their two sums are
    # gone from dx, though they still are the gradients of beta and gamma.
    cdef Py_ssize_t d = operation.n_out, j
    cdef floating* affine = <floating*> (scratch + AFFINE * d)
    cdef double* sum_dy = scratch + SUM_DY * d
    cdef double* sum_dy_xhat = scratch + SUM_DY_XHAT * d
    batchnorm_gradient_sums(sum_dy, sum_dy_xhat, affine, dy, y, x, scratch + MEAN * d,
                            scratch + INVSTD * d, n, d)
    for j in range(d):
        gradient[operation.beta + j] += <floating> sum_dy[j]
        gradient[operation.gamma + j] += <floating> sum_dy_xhat[j]
    if frozen:
        for j in range(d):
            sum_dy[j] = 0.0
            sum_dy_xhat[j] = 0.0
    batchnorm_backward(dy, affine, dy, x, scratch + MEAN * d, scratch + INVSTD * d,
                       parameters + operation.gamma, sum_dy, sum_dy_xhat,
                       sample_weight, n, d, total_weight)


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
    floating* work, double* scratch,
    const Operation* plan, const floating* parameters, const double* statistics,
    const double* sample_weight,
    Py_ssize_t first, Py_ssize_t n_operations, Py_ssize_t n, Py_ssize_t capacity,
    const Pass* mode,
) noexcept nogil:
    """The forward pass of operations `first` to `n_operations` - 1 in training mode.

    `mode` of NULL is inference: every row by the running statistics alone, no dropout.
    """
    cdef Py_ssize_t o
    cdef const Operation* operation
    cdef const floating* bias
    cdef floating* x
    cdef floating* y
    cdef bint frozen = mode == NULL or mode.frozen
    for o in range(first, n_operations):
        operation = plan + o
        x = work + operation.x * capacity
        y = work + operation.y * capacity
        if operation.kind == LINEAR:
            bias = NULL
            if operation.bias >= 0:
                bias = parameters + operation.bias
            linear_forward(y, x, parameters + operation.weights, bias,
                           n, operation.n_in, operation.n_out)
        elif operation.kind == BATCH_NORM:
            _batch_norm_forward(y, scratch + operation.scratch, operation, x, parameters,
                                statistics, sample_weight, n, frozen,
                                _has_relu_behind(plan, o, first, n_operations))
        elif operation.kind == ACTIVATION and _has_relu_behind(plan, o - 1, first, n_operations):
            pass
        elif operation.kind == ACTIVATION:
            activation_forward(y, x, n * operation.n_out, operation.activation)
        elif mode == NULL:
            memcpy(y, x, n * operation.n_out * sizeof(floating))
        else:
            dropout_apply(y, x, n * operation.n_out, operation.rate,
                          dropout_key(mode.seed, mode.step, o))


cdef floating* operations_backward(
    floating* gradient, floating* dy, floating* spare, double* scratch,
    const Operation* plan, const floating* parameters, const floating* work,
    const double* sample_weight,
    Py_ssize_t first, Py_ssize_t n_operations, Py_ssize_t n, Py_ssize_t capacity,
    const Pass* mode,
) noexcept nogil:
    """The forward pass reversed: adds to `gradient` from the outputs' gradient `dy`.

    Only the linear map changes the width of the data gradient, so it alone writes to
    `spare`, and the two change places; the others work in place. Returns the gradient of
    the input of operation `first`; NULL for that of the network, which nobody needs.
    """
    cdef Py_ssize_t o
    cdef const Operation* operation
    cdef const floating* x
    cdef const floating* y
    cdef floating* dx
    cdef floating* dbias
    for o in range(n_operations - 1, first - 1, -1):
        operation = plan + o
        x = work + operation.x * capacity
        y = work + operation.y * capacity
        if operation.kind == LINEAR:
            dx = NULL if o == 0 else spare
            dbias = NULL if operation.bias < 0 else gradient + operation.bias
            linear_backward(dx, gradient + operation.weights, dbias, dy, x,
                            parameters + operation.weights,
                            n, operation.n_in, operation.n_out)
            spare = dy
            dy = dx
        elif operation.kind == BATCH_NORM:
            if not _has_relu_behind(plan, o, first, n_operations):
                y = NULL
            _batch_norm_backward(dy, gradient, scratch + operation.scratch, operation, x, y,
                                 parameters, sample_weight, n, mode.total_weight, mode.frozen)
        elif operation.kind == ACTIVATION and _has_relu_behind(plan, o - 1, first, n_operations):
            pass
        elif operation.kind == ACTIVATION:
            activation_backward(dy, dy, x, y, n * operation.n_out, operation.activation)
        else:
            dropout_apply(dy, dy, n * operation.n_out, operation.rate,
                          dropout_key(mode.seed, mode.step, o))
    return dy


cdef void operations_infer(
    floating* work, double* scratch,
    const Operation* plan, const floating* parameters, const double* statistics,
    Py_ssize_t first, Py_ssize_t n_operations, Py_ssize_t n, Py_ssize_t capacity,
) noexcept nogil:
    """The inference-mode forward pass of operations `first` to `n_operations` - 1."""
    operations_forward(work, scratch, plan, parameters, statistics, NULL,
                       first, n_operations, n, capacity, NULL)


cdef void operations_update_running(
    double* statistics,
    const Operation* plan, const double* scratch,
    Py_ssize_t n_operations,
    bint first,
) noexcept nogil:
    """Exponential update by the last forward pass; the `first` batch sets them."""
    cdef Py_ssize_t o, d
    cdef const Operation* operation
    cdef double* running
    for o in range(n_operations):
        operation = plan + o
        if operation.kind != BATCH_NORM:
            continue
        d = operation.n_out
        running = statistics + operation.statistics
        moments_update_running(
            running, running + operation.n_steps * d,
            scratch + operation.scratch + MEAN * d, scratch + operation.scratch + VAR * d,
            d, 1.0 if first else operation.momentum,
        )
