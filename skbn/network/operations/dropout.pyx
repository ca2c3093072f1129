"""Dropout of the outputs of a layer: masks that depend on seed, step, operation and element."""

from cython cimport floating
from libc.string cimport memcpy

from skbn.kernels.dropout cimport dropout_apply, dropout_key
from skbn.network.run cimport COLLECTING


cdef void _forward(
    floating* work, const Operation* operation, const Memory* memory, const Batch* batch,
) noexcept nogil:
    dropout_apply(work + operation.y * memory.capacity, work + operation.x * memory.capacity,
                  batch.n_rows * operation.n_out, operation.rate,
                  dropout_key(batch.seed, batch.step, operation.key))


cdef void _backward(
    floating* dy, const Operation* operation, const Batch* batch,
) noexcept nogil:
    dropout_apply(dy, dy, batch.n_rows * operation.n_out, operation.rate,
                  dropout_key(batch.seed, batch.step, operation.key))


cdef void _infer(
    floating* work, const Operation* operation, const Memory* memory, const Batch* batch,
) noexcept nogil:
    memcpy(work + operation.y * memory.capacity, work + operation.x * memory.capacity,
           batch.n_rows * operation.n_out * sizeof(floating))


cdef void forward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    if batch.mode == COLLECTING:
        infer(operation, memory, batch)
    elif memory.is_double:
        _forward(<double*> memory.work, operation, memory, batch)
    else:
        _forward(<float*> memory.work, operation, memory, batch)


cdef void backward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    if memory.is_double:
        _backward(<double*> batch.dy, operation, batch)
    else:
        _backward(<float*> batch.dy, operation, batch)


cdef void infer(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    if memory.is_double:
        _infer(<double*> memory.work, operation, memory, batch)
    else:
        _infer(<float*> memory.work, operation, memory, batch)


def fold(maps, row, arrays):
    """At inference nothing is dropped."""
