"""One row for each sequence from the packed outputs of all its steps, by one of the poolings."""

from cython cimport floating

from skbn.kernels.pooling cimport pooling_backward, pooling_forward


cdef void _forward(
    floating* work, const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    pooling_forward(work + operation.y * memory.capacity, work + operation.x * memory.capacity,
                    batch.steps, operation.n_in, operation.n_directions, operation.pooling)
    batch.n_rows = batch.n


cdef void _backward(
    floating* work, const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    cdef floating* dx = <floating*> batch.spare
    pooling_backward(dx, <const floating*> batch.dy, work + operation.x * memory.capacity,
                     work + operation.y * memory.capacity, batch.steps, operation.n_in,
                     operation.n_directions, operation.pooling)
    batch.spare = batch.dy
    batch.dy = dx
    batch.n_rows = batch.steps.n_rows


cdef void forward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    if memory.is_double:
        _forward(<double*> memory.work, operation, memory, batch)
    else:
        _forward(<float*> memory.work, operation, memory, batch)


cdef void backward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    if memory.is_double:
        _backward(<double*> memory.work, operation, memory, batch)
    else:
        _backward(<float*> memory.work, operation, memory, batch)
