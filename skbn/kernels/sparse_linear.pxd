from cython cimport floating
from libc.stdint cimport int32_t, int64_t

from skbn.kernels.gather cimport input_floating

ctypedef fused index_t:
    int32_t
    int64_t

# The fixed normalization of the columns of a table.
cdef struct ColumnMoments:
    const double* mean      # (n_in,); NULL: the columns stay as they are
    const double* invstd
    Py_ssize_t n_in

cdef void sparse_linear_forward(
    floating* y, double* sums,
    const input_floating* data, const index_t* indices, const index_t* indptr,
    const Py_ssize_t* rows,
    const floating* weights, const floating* bias,
    const ColumnMoments* columns,
    Py_ssize_t n, Py_ssize_t n_out,
) noexcept nogil

cdef void sparse_linear_backward(
    floating* dweights, floating* dbias, double* sums,
    const floating* dy,
    const input_floating* data, const index_t* indices, const index_t* indptr,
    const Py_ssize_t* rows,
    const ColumnMoments* columns,
    Py_ssize_t n, Py_ssize_t n_out,
) noexcept nogil
