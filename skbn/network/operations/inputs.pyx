"""The inputs: rows of a table, or the steps of sequences, gathered and normalized.

y (n, d) = (x - mean) invstd for the rows of a batch. If the table asks for it, y goes through the
smooth clip. Rows of a sparse table become dense rows. Sequences are packed: step s has one row for
each sequence that has a step s.
"""

from cython cimport floating
from libc.stdint cimport int32_t, int64_t

from skbn.kernels.gather cimport gather_rows, input_floating
from skbn.kernels.sparse_gather cimport gather_sparse_rows
from skbn.kernels.sparse_linear cimport index_t
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


cdef void _sparse_rows(
    floating* y, const input_floating* X, const index_t* indices, const Batch* batch,
) noexcept nogil:
    cdef const Source* source = batch.source
    cdef const index_t* indptr = <const index_t*> source.indptr
    if batch.rows == NULL:
        indptr += batch.first
    gather_sparse_rows(y, X, indices, indptr, batch.rows, source.mean, source.invstd, batch.n,
                       source.n_features)


cdef void _sparse_rows_from(floating* y, const Batch* batch) noexcept nogil:
    cdef const void* X = batch.source.X
    cdef const int32_t* short_indices = <const int32_t*> batch.source.indices
    cdef const int64_t* long_indices = <const int64_t*> batch.source.indices
    if batch.source.is_double and batch.source.is_long:
        _sparse_rows(y, <const double*> X, long_indices, batch)
    elif batch.source.is_double:
        _sparse_rows(y, <const double*> X, short_indices, batch)
    elif batch.source.is_long:
        _sparse_rows(y, <const float*> X, long_indices, batch)
    else:
        _sparse_rows(y, <const float*> X, short_indices, batch)


cdef void forward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    cdef Py_ssize_t offset = operation.y * memory.capacity
    cdef const void* X = batch.source.X
    if batch.source.indices != NULL and memory.is_double:
        _sparse_rows_from(<double*> memory.work + offset, batch)
    elif batch.source.indices != NULL:
        _sparse_rows_from(<float*> memory.work + offset, batch)
    elif memory.is_double and batch.source.is_double:
        _rows(<double*> memory.work + offset, <const double*> X, operation, batch)
    elif memory.is_double:
        _rows(<double*> memory.work + offset, <const float*> X, operation, batch)
    elif batch.source.is_double:
        _rows(<float*> memory.work + offset, <const double*> X, operation, batch)
    else:
        _rows(<float*> memory.work + offset, <const float*> X, operation, batch)


def fold(maps, row, arrays):
    """Inputs add nothing to the linear maps."""
