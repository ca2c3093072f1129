"""Rows through a plan by the running statistics, block by block, without the GIL."""

from cython cimport floating
from libc.string cimport memcpy

from skbn.kernels.gather cimport gather_rows, input_floating
from skbn.kernels.pointers cimport index_pointer, pointer, table_pointer
from skbn.kernels.sequences cimport Steps, sequences_pack
from skbn.kernels.sparse_linear cimport index_t, sparse_linear_forward
from skbn.network.operation cimport Operation
from skbn.network.operations cimport operations_infer


def infer(
    floating[:, ::1] outputs,
    floating[::1] work, double[::1] scratch,
    const Operation[::1] plan, const floating[::1] parameters, const double[::1] statistics,
    const input_floating[:, :] X, const index_t[::1] indices, const index_t[::1] indptr,
    const double[::1] input_mean, const double[::1] input_invstd, bint input_clipped,
    const Py_ssize_t[::1] rows, Py_ssize_t n_operations, Py_ssize_t capacity,
):
    """Outputs of the first `n_operations` operations for all rows; by ``Network.infer``.

    `work` has room for `capacity` rows; `rows` of ``None`` are all rows of X, in order. `X` is
    a dense table and `indptr` empty, or `X` is the data of a CSR table, of shape (1, nnz).
    """
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t> sizeof(input_floating)
    cdef Py_ssize_t column_stride = X.strides[1] // <Py_ssize_t> sizeof(input_floating)
    cdef Py_ssize_t n_rows = outputs.shape[0], d = outputs.shape[1]
    cdef Py_ssize_t start = 0, n, source = 0
    cdef const double* statistics_pointer = pointer(statistics)
    cdef double* scratch_pointer = <double*> pointer(scratch)
    cdef const double* mean_pointer = pointer(input_mean)
    cdef const double* invstd_pointer = pointer(input_invstd)
    cdef const input_floating* X_pointer = table_pointer(X)
    cdef const index_t* indices_pointer = index_pointer(indices)
    cdef const index_t* indptr_pointer = index_pointer(indptr)
    cdef const floating* bias = NULL
    cdef const Py_ssize_t* chosen = NULL
    cdef Py_ssize_t first = 0
    if n_operations > 0:
        source = plan[n_operations - 1].y
    if plan[0].bias >= 0:
        bias = &parameters[plan[0].bias]
    if indptr_pointer != NULL:
        first = 1
    with nogil:
        while start < n_rows:
            n = min(capacity, n_rows - start)
            if rows is not None:
                chosen = &rows[start]
            if first == 0:
                gather_rows(
                    &work[0], X_pointer if chosen != NULL else X_pointer + start * row_stride,
                    chosen, mean_pointer, invstd_pointer, input_clipped, n, plan[0].n_in,
                    row_stride, column_stride,
                )
            else:
                sparse_linear_forward(
                    &work[plan[0].y * capacity], scratch_pointer, X_pointer, indices_pointer,
                    indptr_pointer if chosen != NULL else indptr_pointer + start, chosen,
                    &parameters[plan[0].weights], bias, mean_pointer, invstd_pointer,
                    n, plan[0].n_in, plan[0].n_out,
                )
            operations_infer(&work[0], <floating*> NULL, scratch_pointer, &plan[0],
                             &parameters[0], statistics_pointer, NULL, first, n_operations, n,
                             capacity, 0)
            memcpy(&outputs[start, 0], &work[source * capacity], n * d * sizeof(floating))
            start += n


def infer_sequences(
    floating[:, ::1] outputs,
    floating[::1] work, floating[::1] state, double[::1] scratch, Py_ssize_t[::1] packing,
    const Operation[::1] plan, const floating[::1] parameters, const double[::1] statistics,
    const input_floating[:, ::1] X, const Py_ssize_t[::1] lengths,
    const double[::1] input_mean, const double[::1] input_invstd, bint input_clipped,
    const Py_ssize_t[::1] rows, Py_ssize_t capacity, Py_ssize_t state_capacity,
):
    """Outputs of the whole plan for some sequences; by ``Network.infer``.

    `rows` are sorted by length, the longest first: at most `state_capacity` sequences, of at most
    `capacity` steps together. A row of `X` has the features of its time steps side by side.
    """
    cdef Py_ssize_t n = rows.shape[0], k = outputs.shape[1], n_features = plan[0].n_in, s
    cdef Py_ssize_t source = plan[plan.shape[0] - 1].y
    cdef const double* statistics_pointer = pointer(statistics)
    cdef double* scratch_pointer = <double*> pointer(scratch)
    cdef const double* mean_pointer = pointer(input_mean)
    cdef const double* invstd_pointer = pointer(input_invstd)
    cdef Steps steps
    with nogil:
        sequences_pack(&steps, &packing[0], &packing[n], &lengths[0], &rows[0], n,
                       X.shape[1] // n_features)
        for s in range(steps.n_steps):
            gather_rows(&work[steps.starts[s] * n_features], &X[0, s * n_features], &packing[0],
                        mean_pointer, invstd_pointer, input_clipped, steps.counts[s], n_features,
                        X.shape[1], 1)
        operations_infer(&work[0], &state[0], scratch_pointer, &plan[0], &parameters[0],
                         statistics_pointer, &steps, 0, plan.shape[0], n, capacity,
                         state_capacity)
        memcpy(&outputs[0, 0], &work[source * capacity], n * k * sizeof(floating))
