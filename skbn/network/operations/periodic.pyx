"""A periodic embedding of columns of the inputs; other columns stay as they are.

y (n, d) holds the columns in the order of the inputs: four numbers for an embedded column, one
number for another column. A *run* is a group of neighbouring embedded columns. The runs are the
parts behind this operation. Each run has its columns in ``x`` and ``n_in``, and its parameters in
``embedding``.
"""

from cython cimport floating
from libc.string cimport memcpy

from skbn.kernels.periodic cimport COLUMN_PARAMETERS, periodic_backward, periodic_forward
from skbn.network.operation cimport NO_PART


cdef void _copy_columns(
    floating* y, const floating* x, Py_ssize_t n, Py_ssize_t d, Py_ssize_t y_stride,
    Py_ssize_t x_stride,
) noexcept nogil:
    # d neighbouring columns that are not embedded.
    cdef Py_ssize_t i
    if d > 0:
        for i in range(n):
            memcpy(y + i * y_stride, x + i * x_stride, d * sizeof(floating))


cdef void _forward(
    floating* work, const Operation* operation, const Memory* memory, const Batch* batch,
) noexcept nogil:
    cdef const floating* x = work + operation.x * memory.capacity
    cdef floating* y = work + operation.y * memory.capacity
    cdef const Operation* run = operation + 1
    cdef const Operation* end = memory.plan + memory.n_operations
    cdef Py_ssize_t column = 0, n = batch.n_rows
    while run < end and run.part != NO_PART:
        _copy_columns(y, x + column, n, run.x - column, operation.n_out, operation.n_in)
        y += run.x - column
        periodic_forward(y, x + run.x, <const floating*> memory.parameters + run.embedding, n,
                         run.n_in, operation.n_out, operation.n_in)
        y += run.n_out
        column = run.x + run.n_in
        run += 1
    _copy_columns(y, x + column, n, operation.n_in - column, operation.n_out, operation.n_in)


cdef void _backward(
    floating* work, const Operation* operation, const Memory* memory, const Batch* batch,
) noexcept nogil:
    # The gradient of the inputs is not needed.
    cdef const floating* x = work + operation.x * memory.capacity
    cdef const floating* dy = <const floating*> batch.dy
    cdef const Operation* run = operation + 1
    cdef const Operation* end = memory.plan + memory.n_operations
    cdef Py_ssize_t column = 0
    while run < end and run.part != NO_PART:
        dy += run.x - column
        periodic_backward(<floating*> memory.gradient + run.embedding, dy, x + run.x,
                          <const floating*> memory.parameters + run.embedding, batch.n_rows,
                          run.n_in, operation.n_out, operation.n_in)
        dy += run.n_out
        column = run.x + run.n_in
        run += 1


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


def sizes(row):
    """Sizes of the parameters of a run of columns. The operation itself has no parameters."""
    return {} if row["part"] == NO_PART else {"embedding": row["n_in"] * COLUMN_PARAMETERS}


def fold(maps, row, arrays):
    """The linear maps begin behind the embedding, which stays as it is."""
