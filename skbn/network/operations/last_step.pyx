"""From the packed outputs of all steps to one row a sequence: the state at its last step."""

from cython cimport floating

from skbn.kernels.sequences cimport sequences_last, sequences_last_backward


cdef void _forward(
    floating* work, const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    sequences_last(work + operation.y * memory.capacity, work + operation.x * memory.capacity,
                   batch.steps, operation.n_out // operation.n_directions, operation.n_directions)
    batch.n_rows = batch.n


cdef void _backward(
    floating* dx, const Operation* operation, Batch* batch,
) noexcept nogil:
    sequences_last_backward(dx, <const floating*> batch.dy, batch.steps,
                            operation.n_out // operation.n_directions, operation.n_directions)
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
        _backward(<double*> batch.spare, operation, batch)
    else:
        _backward(<float*> batch.spare, operation, batch)
