"""Rows of a sparse table (CSR) gathered into a mini-batch as dense rows, normalized and cast.

The operation behind the inputs may need every number of a row; an embedding of columns is one.
"""

from cython cimport floating

from skbn.kernels.gather cimport input_floating
from skbn.kernels.pointers cimport index_pointer, pointer
from skbn.kernels.sparse_linear cimport index_t

import numpy as np

from skbn.kernels._operands import as_csr_operands, check_floating


cdef void gather_sparse_rows(
    floating* y,
    const input_floating* data, const index_t* indices, const index_t* indptr,
    const Py_ssize_t* rows, const double* mean, const double* invstd,
    Py_ssize_t n, Py_ssize_t d,
) noexcept nogil:
    """y_i = (x_rows[i] - mean) * invstd for rows of a CSR table without duplicates.

    `rows` may be NULL: the first n rows. `mean` may be NULL: no normalization.
    """
    cdef Py_ssize_t i, j, row
    cdef index_t entry
    for i in range(n):
        row = i if rows == NULL else rows[i]
        for j in range(d):
            y[i * d + j] = 0 if mean == NULL else <floating> (-mean[j] * invstd[j])
        for entry in range(indptr[row], indptr[row + 1]):
            j = indices[entry]
            if mean == NULL:
                y[i * d + j] = <floating> data[entry]
            else:
                y[i * d + j] = <floating> ((data[entry] - mean[j]) * invstd[j])


def gather(X, rows=None, mean=None, invstd=None, dtype=np.float32):
    """Gather rows of a sparse table as dense rows, normalized and cast.

    Parameters
    ----------
    X : CSR matrix or array of shape (n_samples, d)
        The table, float32 or float64.
    rows : array-like of shape (n,), default=None
        Numbers of the rows. ``None``: all, in order.
    mean, invstd : array-like of shape (d,), default=None
        Each column has `mean` subtracted, and is then multiplied by `invstd`. ``None`` for both:
        the columns stay as they are.
    dtype : {np.float32, np.float64}, default=np.float32
        The dtype of the result.

    Returns
    -------
    y : ndarray of shape (n, d), C-ordered

    Raises
    ------
    ValueError
        If `X` is not CSR, there is no row or column, or shapes or dtypes do not fit.
    """
    rows, mean, invstd = as_csr_operands(X, rows, mean, invstd)
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    y = np.empty((rows.size, X.shape[1]), dtype=dtype)
    check_floating("dtype", y.dtype)
    _gather(y, X.data, X.indices, X.indptr, rows, mean, invstd)
    return y


def _gather(
    floating[:, ::1] y, const input_floating[::1] data, const index_t[::1] indices,
    const index_t[::1] indptr, const Py_ssize_t[::1] rows, const double[::1] mean,
    const double[::1] invstd,
):
    cdef const input_floating* data_pointer = pointer(data)
    cdef const index_t* indices_pointer = index_pointer(indices)
    cdef const double* mean_pointer = pointer(mean)
    cdef const double* invstd_pointer = pointer(invstd)
    with nogil:
        gather_sparse_rows(&y[0, 0], data_pointer, indices_pointer, &indptr[0], &rows[0],
                           mean_pointer, invstd_pointer, y.shape[0], y.shape[1])
