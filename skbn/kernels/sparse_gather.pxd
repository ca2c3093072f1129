from cython cimport floating

from skbn.kernels.gather cimport input_floating
from skbn.kernels.sparse_linear cimport index_t

cdef void gather_sparse_rows(
    floating* y,
    const input_floating* data, const index_t* indices, const index_t* indptr,
    const Py_ssize_t* rows, const double* mean, const double* invstd,
    Py_ssize_t n, Py_ssize_t d,
) noexcept nogil
