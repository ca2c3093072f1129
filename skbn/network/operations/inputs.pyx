"""The inputs: rows of a dense table, or the steps of sequences, gathered and normalized.

y (n, d) = (x - mean) invstd for the rows of a batch, through the smooth clip where the table says
so. Sequences are packed: the rows of step s are the sequences that have a step s.
"""

from cython cimport floating

from skbn.kernels.gather cimport gather_rows, input_floating
from skbn.network.run cimport Source


cdef void _gather(
    floating* y, const input_floating* X, const Source* source, const Py_ssize_t* rows,
    Py_ssize_t n, Py_ssize_t row_stride,
) noexcept nogil:
    gather_rows(y, X, rows, source.mean, source.invstd, source.clipped, n, source.n_features,
                row_stride, source.column_stride)


cdef void _rows(
    floating* y, const input_floating* X, const Operation* operation, const Batch* batch,
) noexcept nogil:
    cdef const Source* source = batch.source
    cdef Py_ssize_t s, d = operation.n_out
    if batch.steps == NULL:
        if batch.rows == NULL:
            X += batch.first * source.row_stride
        _gather(y, X, source, batch.rows, batch.n, source.row_stride)
        return
    for s in range(batch.first_step, batch.last_step):
        _gather(y + batch.steps.starts[s] * d, X + s * d, source, batch.rows,
                batch.steps.counts[s], source.row_stride)


cdef void forward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    cdef Py_ssize_t offset = operation.y * memory.capacity
    cdef const void* X = batch.source.X
    if memory.is_double and batch.source.is_double:
        _rows(<double*> memory.work + offset, <const double*> X, operation, batch)
    elif memory.is_double:
        _rows(<double*> memory.work + offset, <const float*> X, operation, batch)
    elif batch.source.is_double:
        _rows(<float*> memory.work + offset, <const double*> X, operation, batch)
    else:
        _rows(<float*> memory.work + offset, <const float*> X, operation, batch)


def fold(maps, row, arrays):
    """The inputs are as they are."""
