"""An activation of the outputs of a layer, element by element."""

from cython cimport floating

from skbn.kernels.activations cimport activation_backward, activation_forward


cdef void _forward(
    floating* work, const Operation* operation, const Memory* memory, const Batch* batch,
) noexcept nogil:
    activation_forward(work + operation.y * memory.capacity, work + operation.x * memory.capacity,
                       batch.n_rows * operation.n_out, operation.activation)


cdef void _backward(
    floating* dy, const Operation* operation, const Memory* memory, const Batch* batch,
) noexcept nogil:
    cdef const floating* work = <const floating*> memory.work
    activation_backward(dy, dy, work + operation.x * memory.capacity,
                        work + operation.y * memory.capacity, batch.n_rows * operation.n_out,
                        operation.activation)


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
        _backward(<double*> batch.dy, operation, memory, batch)
    else:
        _backward(<float*> batch.dy, operation, memory, batch)


def fold(maps, row, arrays):
    """An affine map cannot be merged through an activation."""
    maps.close()
