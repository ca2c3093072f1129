"""A hidden layer as one operation: a linear map, batch norm (if the layer has it), an activation.

``skbn.network.fusion`` replaces LINEAR, BATCH_NORM and ACTIVATION (identity, relu or silu) by this
operation if a network computes in float32 and the processor has the loops. The results are the same
up to rounding; ``skbn.kernels.layer`` describes the loops.

If the operation above is a layer too, or is the linear map of the outputs, this operation writes
padded rows. In the backward pass the operation above then multiplies its data gradient by the
derivative of this activation, and takes the sums for this batch norm (``layer_data_gradient``).
"""

from skbn.kernels.batchnorm cimport inverse_std
from skbn.kernels.layer cimport (
    COLUMN_ARRAYS, GRADIENT, MOMENTS, STORED, Epilogue, LayerColumns, LayerLoops,
    layer_clear_sums, layer_columns, layer_gradient_sums, layer_loops, layer_moments,
    layer_set_bias, layer_set_gradient, layer_set_norm,
)
from skbn.kernels.moments cimport moments_of_weighted
from skbn.network.operation cimport INPUTS, LAYER, LINEAR
from skbn.network.operations.weights cimport (
    effective_weights, forward_weights, weights_gradient_begin, weights_gradient_end,
)
from skbn.network.operations.normalization cimport (
    MOMENTS as MOMENTS_PLACE, SUM_DY, SUM_DY_XHAT, WEIGHT, norm_add_parameter_gradients,
    norm_add_up_gradient_sums, norm_add_up_statistics, norm_invstd, norm_mean, norm_no_statistics,
    norm_statistics, norm_update_running, norm_var, norm_without_statistics,
)

from skbn.network.operations.normalization import scratch_of as norm_scratch_of


cdef inline Py_ssize_t _padded(Py_ssize_t d) noexcept nogil:
    cdef Py_ssize_t lanes = layer_loops().lanes
    return (d + lanes - 1) // lanes * lanes


cdef inline LayerColumns _columns(const Operation* operation, const Memory* memory) noexcept nogil:
    return layer_columns(memory.scratch + operation.columns, _padded(operation.n_out))


cdef inline double* _norm_scratch(const Operation* operation, const Memory* memory) noexcept nogil:
    return memory.scratch + operation.columns + COLUMN_ARRAYS * _padded(operation.n_out)


cdef inline float* _work(const Memory* memory, Py_ssize_t column) noexcept nogil:
    return <float*> memory.work + column * memory.capacity


cdef inline bint _is_fused_with_above(const Operation* operation) noexcept nogil:
    # The last operation of a plan is never a layer.
    return operation[1].kind == LAYER or operation[1].kind == LINEAR


cdef Epilogue _gradient_epilogue(
    const Operation* operation, const Memory* memory, const LayerColumns* columns,
) noexcept nogil:
    cdef Epilogue e
    e.kind, e.activation = GRADIENT, <int> operation.activation
    e.c_row = e.n = _padded(operation.n_out)
    e.first, e.second, e.shift = columns.first, columns.second, columns.hi
    e.z = _work(memory, operation.z)
    if operation.side < 0:
        e.side, e.side_row = _work(memory, operation.y), operation.y_stride
    else:
        e.side, e.side_row = _work(memory, operation.side), e.c_row
    return e


cdef void _statistics(
    double* scratch, const Operation* operation, const Memory* memory, const Batch* batch,
    const LayerColumns* columns, const float* z, bint has_sums, bint frozen,
) noexcept nogil:
    cdef Py_ssize_t d = operation.n_out
    cdef double* mean = norm_mean(scratch, operation, 0)
    cdef double* var = norm_var(scratch, operation, 0)
    if frozen:
        norm_statistics(scratch, operation, z, memory.statistics, NULL, batch.n_rows, 0, True,
                        False)
        return
    if batch.n_rows == 0:
        # This process has no row of the batch.
        norm_no_statistics(scratch, operation)
    elif has_sums:
        layer_moments(mean, var, scratch + MOMENTS_PLACE * d, columns, z, batch.n_rows, d,
                      _padded(d))
    else:
        moments_of_weighted(mean, var, scratch + WEIGHT * d, scratch + MOMENTS_PLACE * d, z,
                            batch.statistics_weights, batch.n_rows, d, _padded(d), 1)
    inverse_std(norm_invstd(scratch, operation, 0), var, d, operation.epsilon)
    if batch.sums != NULL:
        norm_add_up_statistics(scratch, operation, memory.statistics, batch)


cdef void _forward(
    const Operation* operation, const Memory* memory, const Batch* batch, bint frozen,
) noexcept nogil:
    cdef const float* parameters = <const float*> memory.parameters
    cdef const LayerLoops* loops = layer_loops()
    cdef Py_ssize_t d = operation.n_out, ld = _padded(operation.n_out)
    cdef double* scratch = _norm_scratch(operation, memory)
    cdef LayerColumns columns = _columns(operation, memory)
    cdef float* z = _work(memory, operation.z)
    # Only silu keeps derivatives, and a plan for inference keeps none.
    cdef float* side = NULL if operation.side < 0 else _work(memory, operation.side)
    cdef Epilogue e
    cdef bint has_sums = (operation.gamma >= 0 and not frozen and batch.statistics_weights == NULL)
    e.kind = MOMENTS if has_sums else STORED
    e.c_row = e.n = ld
    e.first, e.second, e.shift = columns.first, columns.second, columns.hi
    layer_clear_sums(&columns, ld)
    loops.product(z, _work(memory, operation.x), operation.x_stride,
                  effective_weights(parameters, operation, memory), d, False,
                  <float*> (memory.scratch + operation.packed), batch.n_rows, d, operation.n_in,
                  &e)
    if operation.gamma >= 0:
        _statistics(scratch, operation, memory, batch, &columns, z, has_sums, frozen)
        layer_set_norm(&columns, norm_mean(scratch, operation, 0),
                       norm_invstd(scratch, operation, 0), parameters + operation.gamma,
                       parameters + operation.beta, d, ld)
    else:
        layer_set_bias(&columns, parameters + operation.bias, d, ld)
    loops.activated(<int> operation.activation, _work(memory, operation.y), operation.y_stride,
                    side, z, columns.hi, columns.scale, columns.shift,
                    batch.n_rows, d)


cdef void layer_data_gradient(
    const Operation* operation, const Memory* memory, Batch* batch, const float* dz,
    Py_ssize_t dz_stride, const float* weights,
) noexcept nogil:
    """The gradient of the input of `operation`, into ``batch.spare``: dz W'.

    If the operation below is a layer, the product is also multiplied by the derivative of the
    activation of that layer.
    """
    cdef const Operation* below = operation - 1
    cdef LayerColumns columns
    cdef Epilogue e
    if below.kind == LAYER:
        columns = _columns(below, memory)
        layer_clear_sums(&columns, _padded(below.n_out))
        e = _gradient_epilogue(below, memory, &columns)
    else:
        e.kind, e.c_row, e.n = STORED, operation.x_stride, operation.n_in
    layer_loops().product(<float*> batch.spare, dz, dz_stride, weights, operation.n_out, True,
                          <float*> (memory.scratch + operation.packed), batch.n_rows,
                          operation.n_in, operation.n_out, &e)


cdef inline void _swap(Batch* batch) noexcept nogil:
    batch.dy, batch.spare = batch.spare, batch.dy


cdef void _norm_backward(
    float* g, const Operation* operation, const Memory* memory, Batch* batch,
    const LayerColumns* columns,
) noexcept nogil:
    # dz overwrites g.
    cdef const float* parameters = <const float*> memory.parameters
    cdef Py_ssize_t d = operation.n_out, ld = _padded(operation.n_out), i
    cdef double* scratch = _norm_scratch(operation, memory)
    cdef double* sum_dy = scratch + SUM_DY * d
    cdef double* sum_dy_xhat = scratch + SUM_DY_XHAT * d
    cdef const double* mean = norm_mean(scratch, operation, 0)
    cdef const double* invstd = norm_invstd(scratch, operation, 0)
    cdef double share = 1.0 / batch.statistics_total
    cdef float* shares = NULL
    layer_gradient_sums(sum_dy, sum_dy_xhat, columns, mean, invstd, d)
    norm_add_parameter_gradients(<float*> memory.gradient, scratch, operation)
    if batch.frozen:
        norm_without_statistics(scratch, operation)
    elif batch.sums != NULL:
        norm_add_up_gradient_sums(scratch, operation, batch)
    if batch.statistics_weights != NULL:
        # The spare memory is free until the gradient of x.
        shares = <float*> batch.spare
        for i in range(batch.n_rows):
            shares[i] = <float> (batch.statistics_weights[i] * share)
        share = 1.0
    layer_set_gradient(columns, sum_dy, sum_dy_xhat, mean, invstd, parameters + operation.gamma,
                       share, d, ld)
    layer_loops().data_gradient(g, _work(memory, operation.z), columns.hi, columns.scale,
                                columns.constant, columns.linear, shares, batch.n_rows, ld)


cdef void forward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    _forward(operation, memory, batch, batch.frozen)


cdef void infer(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    _forward(operation, memory, batch, True)


cdef void backward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    cdef const float* parameters = <const float*> memory.parameters
    cdef float* gradient = <float*> memory.gradient
    cdef Py_ssize_t d = operation.n_out, ld = _padded(operation.n_out), j
    cdef LayerColumns columns = _columns(operation, memory)
    cdef Epilogue e
    if not _is_fused_with_above(operation):
        layer_clear_sums(&columns, ld)
        e = _gradient_epilogue(operation, memory, &columns)
        layer_loops().gradient_sums(<float*> batch.spare, <const float*> batch.dy,
                                    operation.y_stride, &e, batch.n_rows, d)
        _swap(batch)
    if operation.gamma >= 0:
        _norm_backward(<float*> batch.dy, operation, memory, batch, &columns)
    else:
        for j in range(d):
            gradient[operation.bias + j] += <float> columns.first[j]
    # The gradient of the inputs is not needed.
    if not (memory.plan.kind == INPUTS and operation.x == memory.plan.y):
        layer_data_gradient(operation, memory, batch, <const float*> batch.dy, ld,
                            forward_weights(parameters, operation, memory))
    layer_loops().weight_gradient(weights_gradient_begin(gradient, operation, memory, batch.adds),
                                  _work(memory, operation.x), operation.x_stride,
                                  <const float*> batch.dy, ld, batch.n_rows, operation.n_in, d,
                                  batch.adds)
    weights_gradient_end(gradient, operation, memory, batch.adds)
    _swap(batch)


cdef void update(
    const Operation* operation, const Memory* memory, Batch* batch, Py_ssize_t n_tracked,
) noexcept nogil:
    if operation.gamma >= 0:
        norm_update_running(memory.statistics, operation, _norm_scratch(operation, memory),
                            batch.packed.n_own, n_tracked)


def scratch_of(row, padded):
    """Doubles of scratch for the columns of a layer of `padded` units, batch norm included."""
    size = COLUMN_ARRAYS * padded
    if row["gamma"] >= 0:
        size += norm_scratch_of(1) * padded
    return size
