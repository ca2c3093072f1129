"""The one training loop of every network: a block of mini-batches without the GIL.

For each batch: gather (or, from a sparse table, the first product; sequences are sorted by
length and packed step by step), forward, loss, backward, step, running statistics. Nothing in
here knows what kind of network the plan describes; printing, schedules, stopping and Ctrl-C live
in Python between blocks.
"""

from cython cimport floating
from libc.math cimport INFINITY, isfinite
from libc.stdint cimport uint64_t
from libc.string cimport memset

from skbn.kernels.blas cimport dot
from skbn.kernels.gather cimport gather_rows, input_floating
from skbn.kernels.losses cimport loss_forward_backward
from skbn.kernels.optimizers cimport adam_step, clip_norm, decay_step, rmsprop_step, sgd_step
from skbn.kernels.pointers cimport index_pointer, pointer, size_pointer, table_pointer
from skbn.kernels.sequences cimport Steps, sequences_pack
from skbn.kernels.sparse_linear cimport (
    index_t, sparse_linear_backward, sparse_linear_forward,
)
from skbn.network.normalization cimport norm_set_own_steps
from skbn.network.operation cimport BATCH_NORM, Operation, Pass
from skbn.network.operations cimport (
    operations_backward, operations_forward, operations_update_running,
)

# The codes of an optimizer's record, for ``skbn.network.optimizer``.
KINDS = {"sgd": SGD, "adam": ADAM, "rmsprop": RMSPROP}


# Sizes of a network and of the table it is trained on, the same for every batch.
cdef struct Shape:
    Py_ssize_t n_operations
    Py_ssize_t n_parameters
    Py_ssize_t n_weights
    Py_ssize_t n_features
    Py_ssize_t n_targets        # columns of y: 1 for the number of a class
    Py_ssize_t n_outputs
    Py_ssize_t capacity
    Py_ssize_t row_stride       # of a dense X, in elements
    Py_ssize_t column_stride
    Py_ssize_t longest          # time steps of X's rows, where they are sequences
    bint normalized             # whether any operation is a batch norm


cdef Shape _shape(
    const Operation[::1] plan, Py_ssize_t n_parameters, Py_ssize_t n_weights,
    Py_ssize_t n_targets, Py_ssize_t capacity, Py_ssize_t row_stride, Py_ssize_t column_stride,
    Py_ssize_t n_columns,
) noexcept:
    cdef Shape shape
    cdef Py_ssize_t o
    shape.n_operations = plan.shape[0]
    shape.n_parameters = n_parameters
    shape.n_weights = n_weights
    shape.n_features = plan[0].n_in
    shape.n_targets = n_targets
    shape.n_outputs = plan[plan.shape[0] - 1].n_out
    shape.capacity = capacity
    shape.row_stride = row_stride
    shape.column_stride = column_stride
    shape.longest = n_columns // shape.n_features
    shape.normalized = False
    for o in range(plan.shape[0]):
        if plan[o].kind == BATCH_NORM:
            shape.normalized = True
    return shape


cdef void _loss_and_gradient(
    double* losses, floating* gradient, Steps* steps,
    floating* work, floating* state, floating* dy, floating* spare, floating* targets,
    double* weights, double* scratch, Py_ssize_t* packing,
    const Operation* plan, const floating* parameters, const double* statistics,
    const input_floating* X, const index_t* indices, const index_t* indptr,
    const floating* y, const double* sample_weight, const double* statistics_weight,
    const double* input_mean, const double* input_invstd, bint input_clipped,
    const Py_ssize_t* lengths, const Py_ssize_t* rows,
    Py_ssize_t n, const Shape* shape,
    double alpha, int loss, uint64_t seed, uint64_t step,
) noexcept nogil:
    """losses[0] = the weighted mean loss, losses[1] = the penalty; gradient of their sum.

    `indptr` of NULL: X is a dense table, otherwise the data of a sparse one. `lengths`, not
    NULL: its rows are sequences, which are packed into `steps` by way of `packing`. `weights`
    has room for 2 n: the rows' weights in the loss, then those in the statistics.
    """
    cdef Py_ssize_t i, s, first = 0, penalized = 0
    cdef const Steps* packed = NULL
    cdef double penalty = 0.0, total_weight = n
    cdef floating share
    cdef double* in_statistics = NULL
    cdef const floating* bias = NULL
    cdef floating* dbias = NULL
    cdef const floating* outputs = (
        work + (plan + shape.n_operations - 1).y * shape.capacity
    )
    cdef Pass mode
    # A single row has no variance: it is normalized by the running statistics.
    mode.frozen = shape.normalized and n < 2
    mode.total_weight = n
    mode.seed = seed
    mode.step = step
    steps.n_own = 1
    if lengths != NULL:
        # In the order of their lengths from here on; no sum depends on it but by rounding.
        sequences_pack(steps, packing, packing + n, lengths, rows, n, shape.longest)
        rows = packing
        packed = steps
    if sample_weight != NULL:
        in_statistics = weights + n
        total_weight = mode.total_weight = 0.0
        for i in range(n):
            weights[i] = sample_weight[rows[i]]
            in_statistics[i] = statistics_weight[rows[i]]
            total_weight += weights[i]
            mode.total_weight += in_statistics[i]
    else:
        weights = NULL
    if packed != NULL:
        norm_set_own_steps(steps, in_statistics)

    gather_rows(targets, y, rows, NULL, NULL, False, n, shape.n_targets, shape.n_targets, 1)
    if packed != NULL:
        for s in range(steps.n_steps):
            gather_rows(work + steps.starts[s] * shape.n_features, X + s * shape.n_features, rows,
                        input_mean, input_invstd, input_clipped, steps.counts[s],
                        shape.n_features, shape.row_stride, shape.column_stride)
    elif indptr == NULL:
        gather_rows(work, X, rows, input_mean, input_invstd, input_clipped, n,
                    shape.n_features, shape.row_stride, shape.column_stride)
    else:
        first = 1
        if plan.bias >= 0:
            bias = parameters + plan.bias
            dbias = gradient + plan.bias
        sparse_linear_forward(
            work + plan.y * shape.capacity, scratch, X, indices, indptr, rows,
            parameters + plan.weights, bias, input_mean, input_invstd,
            n, plan.n_in, plan.n_out,
        )
    operations_forward(work, state, scratch, plan, parameters, statistics, in_statistics, packed,
                       first, shape.n_operations, n, shape.capacity, shape.capacity, &mode)
    losses[0] = loss_forward_backward(dy, outputs, targets, weights, n, shape.n_outputs,
                                      total_weight, loss)

    # What follows adds to the gradient: it begins with the penalty's, or with zeros.
    if alpha > 0.0:
        penalty = alpha / total_weight
        share = <floating> penalty
        for i in range(shape.n_weights):
            gradient[i] = share * parameters[i]
        penalty *= 0.5 * dot(parameters, parameters, <int> shape.n_weights)
        penalized = shape.n_weights
    memset(gradient + penalized, 0, (shape.n_parameters - penalized) * sizeof(floating))
    losses[1] = penalty
    dy = operations_backward(gradient, dy, spare, state, scratch, plan, parameters, work,
                             in_statistics, packed, first, shape.n_operations, n, shape.capacity,
                             &mode)
    if first == 1:
        sparse_linear_backward(
            gradient + plan.weights, dbias, scratch, dy, X, indices, indptr, rows,
            input_mean, input_invstd, n, plan.n_in, plan.n_out,
        )


cdef void _step(
    floating* parameters, floating* moments, Optimizer* optimizer, floating* gradient,
    const Shape* shape,
    double learning_rate,
) noexcept nogil:
    optimizer.step += 1
    if optimizer.max_grad_norm != INFINITY:
        clip_norm(gradient, shape.n_parameters, optimizer.max_grad_norm)
    if optimizer.weight_decay > 0.0:
        decay_step(parameters, shape.n_weights, learning_rate, optimizer.weight_decay)
    if optimizer.kind == ADAM:
        adam_step(parameters, moments, moments + shape.n_parameters, gradient,
                  shape.n_parameters, learning_rate, optimizer.beta_1, optimizer.beta_2,
                  optimizer.epsilon, optimizer.step)
    elif optimizer.kind == RMSPROP:
        rmsprop_step(parameters, moments, moments + shape.n_parameters, gradient,
                     shape.n_parameters, learning_rate, optimizer.beta_2, optimizer.momentum,
                     optimizer.epsilon)
    else:
        sgd_step(parameters, moments, gradient, shape.n_parameters, learning_rate,
                 optimizer.momentum, optimizer.nesterov)


def train(
    double[:, ::1] losses,
    floating[::1] parameters, floating[:, ::1] moments, Optimizer[::1] optimizer,
    double[::1] statistics,
    floating[::1] gradient, floating[::1] work, floating[::1] state,
    floating[:, ::1] data_gradients,
    floating[::1] targets, double[::1] weights, double[::1] scratch, Py_ssize_t[::1] packing,
    const Operation[::1] plan, Py_ssize_t n_weights, Py_ssize_t capacity, int loss,
    const input_floating[:, :] X, const index_t[::1] indices, const index_t[::1] indptr,
    const floating[:, ::1] y, const double[::1] sample_weight,
    const double[::1] statistics_weight,
    const double[::1] input_mean, const double[::1] input_invstd, bint input_clipped,
    const Py_ssize_t[::1] lengths, const Py_ssize_t[::1] rows, const Py_ssize_t[::1] bounds,
    const double[::1] learning_rates,
    long long[::1] n_batches_tracked, long long[::1] n_steps_tracked,
):
    """Train on mini-batches ``rows[bounds[b]:bounds[b + 1]]``; called by ``Network.train``.

    `X` is a dense table and `indptr` empty, or `X` is the data of a CSR table, of shape (1, nnz).
    Where `lengths` is not empty, its rows are sequences of so many steps, features side by side.

    Returns
    -------
    n_batches : int
        How many were trained on: fewer than given if the loss of the next is not finite.
    """
    cdef Shape shape = _shape(
        plan, parameters.shape[0], n_weights, y.shape[1], capacity,
        X.strides[0] // <Py_ssize_t> sizeof(input_floating),
        X.strides[1] // <Py_ssize_t> sizeof(input_floating), X.shape[1],
    )
    cdef Py_ssize_t b = 0, n
    cdef const double* sample_weight_pointer = pointer(sample_weight)
    cdef const double* statistics_weight_pointer = pointer(statistics_weight)
    cdef const double* mean_pointer = pointer(input_mean)
    cdef const double* invstd_pointer = pointer(input_invstd)
    cdef double* statistics_pointer = <double*> pointer(statistics)
    cdef double* scratch_pointer = <double*> pointer(scratch)
    cdef const input_floating* X_pointer = table_pointer(X)
    cdef const index_t* indices_pointer = index_pointer(indices)
    cdef const index_t* indptr_pointer = index_pointer(indptr)
    cdef const Py_ssize_t* lengths_pointer = size_pointer(lengths)
    cdef Py_ssize_t* packing_pointer = <Py_ssize_t*> size_pointer(packing)
    cdef floating* state_pointer = <floating*> pointer(state)
    cdef Steps steps
    with nogil:
        while b < bounds.shape[0] - 1:
            n = bounds[b + 1] - bounds[b]
            _loss_and_gradient(
                &losses[b, 0], &gradient[0], &steps, &work[0], state_pointer,
                &data_gradients[0, 0], &data_gradients[1, 0], &targets[0], &weights[0],
                scratch_pointer, packing_pointer, &plan[0], <const floating*> &parameters[0],
                statistics_pointer,
                X_pointer, indices_pointer, indptr_pointer, &y[0, 0], sample_weight_pointer,
                statistics_weight_pointer, mean_pointer, invstd_pointer, input_clipped,
                lengths_pointer, &rows[bounds[b]], n, &shape,
                optimizer[0].alpha, loss, optimizer[0].seed, optimizer[0].step,
            )
            if not isfinite(losses[b, 0] + losses[b, 1]):
                break
            _step(&parameters[0], &moments[0, 0], &optimizer[0], &gradient[0], &shape,
                  learning_rates[b])
            if shape.normalized and n > 1:
                operations_update_running(statistics_pointer, &plan[0], scratch_pointer,
                                          shape.n_operations, steps.n_own, n_steps_tracked[0])
                n_batches_tracked[0] += 1
                n_steps_tracked[0] = max(n_steps_tracked[0], steps.n_own)
            b += 1
    return b


def loss_and_gradient(
    double[:, ::1] losses,
    const floating[::1] parameters, const double[::1] statistics,
    floating[::1] gradient, floating[::1] work, floating[::1] state,
    floating[:, ::1] data_gradients,
    floating[::1] targets, double[::1] weights, double[::1] scratch, Py_ssize_t[::1] packing,
    const Operation[::1] plan, Py_ssize_t n_weights, Py_ssize_t capacity, int loss,
    const input_floating[:, :] X, const index_t[::1] indices, const index_t[::1] indptr,
    const floating[:, ::1] y, const double[::1] sample_weight,
    const double[::1] statistics_weight,
    const double[::1] input_mean, const double[::1] input_invstd, bint input_clipped,
    const Py_ssize_t[::1] lengths, const Py_ssize_t[::1] rows, double alpha, long long seed,
    long long step,
):
    """Loss and gradient of one batch, nothing changed; called by ``Network.loss_and_gradient``.
    """
    cdef Shape shape = _shape(
        plan, parameters.shape[0], n_weights, y.shape[1], capacity,
        X.strides[0] // <Py_ssize_t> sizeof(input_floating),
        X.strides[1] // <Py_ssize_t> sizeof(input_floating), X.shape[1],
    )
    cdef const double* sample_weight_pointer = pointer(sample_weight)
    cdef const double* statistics_weight_pointer = pointer(statistics_weight)
    cdef const double* mean_pointer = pointer(input_mean)
    cdef const double* invstd_pointer = pointer(input_invstd)
    cdef const double* statistics_pointer = pointer(statistics)
    cdef double* scratch_pointer = <double*> pointer(scratch)
    cdef const input_floating* X_pointer = table_pointer(X)
    cdef const index_t* indices_pointer = index_pointer(indices)
    cdef const index_t* indptr_pointer = index_pointer(indptr)
    cdef const Py_ssize_t* lengths_pointer = size_pointer(lengths)
    cdef Py_ssize_t* packing_pointer = <Py_ssize_t*> size_pointer(packing)
    cdef floating* state_pointer = <floating*> pointer(state)
    cdef Steps steps
    with nogil:
        _loss_and_gradient(
            &losses[0, 0], &gradient[0], &steps, &work[0], state_pointer, &data_gradients[0, 0],
            &data_gradients[1, 0], &targets[0], &weights[0], scratch_pointer, packing_pointer,
            &plan[0], &parameters[0], statistics_pointer, X_pointer, indices_pointer,
            indptr_pointer, &y[0, 0], sample_weight_pointer, statistics_weight_pointer,
            mean_pointer, invstd_pointer, input_clipped, lengths_pointer, &rows[0], rows.shape[0],
            &shape, alpha, loss, seed, step,
        )
