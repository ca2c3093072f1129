"""Rows through a plan by the running statistics, block by block, without the GIL."""

from cython cimport floating
from libc.string cimport memcpy

from skbn.kernels.gather cimport gather_rows, input_floating
from skbn.kernels.pointers cimport pointer
from skbn.network.operations cimport Operation, operations_infer


def infer(
    floating[:, ::1] outputs,
    floating[::1] work, double[::1] scratch,
    const Operation[::1] plan, const floating[::1] parameters, const double[::1] statistics,
    const input_floating[:, :] X, const double[::1] input_mean, const double[::1] input_invstd,
    const Py_ssize_t[::1] rows, Py_ssize_t n_operations, Py_ssize_t capacity,
):
    """Outputs of the first `n_operations` operations for all rows; by ``Network.infer``.

    `work` has room for `capacity` rows; `rows` of ``None`` are all rows of X, in order.
    """
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t> sizeof(input_floating)
    cdef Py_ssize_t column_stride = X.strides[1] // <Py_ssize_t> sizeof(input_floating)
    cdef Py_ssize_t n_rows = outputs.shape[0], d = outputs.shape[1]
    cdef Py_ssize_t start = 0, n, source = 0
    cdef const double* statistics_pointer = pointer(statistics)
    cdef double* scratch_pointer = <double*> pointer(scratch)
    cdef const double* mean_pointer = pointer(input_mean)
    cdef const double* invstd_pointer = pointer(input_invstd)
    if n_operations > 0:
        source = plan[n_operations - 1].y
    with nogil:
        while start < n_rows:
            n = min(capacity, n_rows - start)
            if rows is None:
                gather_rows(&work[0], &X[start, 0], NULL, mean_pointer, invstd_pointer,
                            n, plan[0].n_in, row_stride, column_stride)
            else:
                gather_rows(&work[0], &X[0, 0], &rows[start], mean_pointer, invstd_pointer,
                            n, plan[0].n_in, row_stride, column_stride)
            operations_infer(&work[0], scratch_pointer, &plan[0], &parameters[0],
                             statistics_pointer, n_operations, n, capacity)
            memcpy(&outputs[start, 0], &work[source * capacity], n * d * sizeof(floating))
            start += n
