"""The inputs of a sparse table and the first linear map as one operation. Rows stay sparse.

This operation replaces INPUTS and LINEAR in the plan of a sparse table. If the inputs have trained
factors, the scratch memory begins with the scaled weights. Then it holds one row of outputs.
"""

from cython cimport floating
from libc.stdint cimport int32_t, int64_t

from skbn.kernels.gather cimport input_floating
from skbn.kernels.sparse_linear cimport (
    ColumnMoments, index_t, sparse_linear_backward, sparse_linear_forward,
)
from skbn.network.operations.weights cimport (
    effective_weights, weights_gradient_begin, weights_gradient_end,
)


cdef double* _sums(const Operation* operation, const Memory* memory) noexcept nogil:
    cdef double* scratch = memory.scratch + operation.scratch
    return scratch if operation.scale < 0 else scratch + operation.n_in * operation.n_out


cdef void _forward(
    floating* work, const input_floating* X, const index_t* indices,
    const Operation* operation, const Memory* memory, const Batch* batch,
) noexcept nogil:
    cdef const floating* parameters = <const floating*> memory.parameters
    cdef const floating* bias = NULL
    cdef const index_t* indptr = <const index_t*> batch.source.indptr
    cdef ColumnMoments columns
    columns.mean, columns.invstd = batch.source.mean, batch.source.invstd
    columns.n_in = operation.n_in
    if operation.bias >= 0:
        bias = parameters + operation.bias
    if batch.rows == NULL:
        indptr += batch.first
    sparse_linear_forward(
        work + operation.y * memory.capacity, _sums(operation, memory), X, indices, indptr,
        batch.rows, effective_weights(parameters, operation, memory), bias, &columns, batch.n,
        operation.n_out,
    )


cdef void _backward(
    floating* gradient, const input_floating* X, const index_t* indices,
    const Operation* operation, const Memory* memory, const Batch* batch,
) noexcept nogil:
    cdef floating* dbias = NULL
    cdef ColumnMoments columns
    columns.mean, columns.invstd = batch.source.mean, batch.source.invstd
    columns.n_in = operation.n_in
    if operation.bias >= 0:
        dbias = gradient + operation.bias
    sparse_linear_backward(
        weights_gradient_begin(gradient, operation, memory, True), dbias, _sums(operation, memory),
        <const floating*> batch.dy, X, indices, <const index_t*> batch.source.indptr, batch.rows,
        &columns, batch.n, operation.n_out,
    )
    weights_gradient_end(gradient, operation, memory, True)


cdef void _forward_from(
    floating* work, const Operation* operation, const Memory* memory, const Batch* batch,
) noexcept nogil:
    cdef const void* X = batch.source.X
    cdef const int32_t* short_indices = <const int32_t*> batch.source.indices
    cdef const int64_t* long_indices = <const int64_t*> batch.source.indices
    if batch.source.is_double and batch.source.is_long:
        _forward(work, <const double*> X, long_indices, operation, memory, batch)
    elif batch.source.is_double:
        _forward(work, <const double*> X, short_indices, operation, memory, batch)
    elif batch.source.is_long:
        _forward(work, <const float*> X, long_indices, operation, memory, batch)
    else:
        _forward(work, <const float*> X, short_indices, operation, memory, batch)


cdef void _backward_from(
    floating* gradient, const Operation* operation, const Memory* memory, const Batch* batch,
) noexcept nogil:
    cdef const void* X = batch.source.X
    cdef const int32_t* short_indices = <const int32_t*> batch.source.indices
    cdef const int64_t* long_indices = <const int64_t*> batch.source.indices
    if batch.source.is_double and batch.source.is_long:
        _backward(gradient, <const double*> X, long_indices, operation, memory, batch)
    elif batch.source.is_double:
        _backward(gradient, <const double*> X, short_indices, operation, memory, batch)
    elif batch.source.is_long:
        _backward(gradient, <const float*> X, long_indices, operation, memory, batch)
    else:
        _backward(gradient, <const float*> X, short_indices, operation, memory, batch)


cdef void forward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    if memory.is_double:
        _forward_from(<double*> memory.work, operation, memory, batch)
    else:
        _forward_from(<float*> memory.work, operation, memory, batch)


cdef void backward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    if memory.is_double:
        _backward_from(<double*> memory.gradient, operation, memory, batch)
    else:
        _backward_from(<float*> memory.gradient, operation, memory, batch)


def sizes(row):
    """Doubles of scratch; the parameters are the parameters of LINEAR."""
    n_scaled = row["n_in"] * row["n_out"] if row["scale"] >= 0 else 0
    return {"scratch": n_scaled + row["n_out"]}
