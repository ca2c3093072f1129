"""The first linear map of a network over rows of a sparse table (CSR), never made dense.

The fixed normalization of the inputs, ``x' = (x - mean) * invstd``, would make the rows dense. The
normalization is folded into the product instead:

    y_i  = sum_j x_ij (invstd_j W_j) + c,   c = b - sum_j mean_j invstd_j W_j
    dW_j = invstd_j (sum_i x_ij dy_i - mean_j sum_i dy_i)

c is the same for all rows, and the sum of dy is the same for all inputs. Both are dense, but are
computed only once for each batch.

Shapes: ``W`` (n_in, n_out), ``y`` (n, n_out), row-major; ``sums`` (n_out,) of float64 scratch.
"""

from cython cimport floating

from skbn.kernels.gather cimport input_floating
from skbn.kernels.pointers cimport pointer

import numpy as np

from skbn.kernels._operands import as_contiguous, as_csr_operands, check_floating


cdef void sparse_linear_forward(
    floating* y, double* sums,
    const input_floating* data, const index_t* indices, const index_t* indptr,
    const Py_ssize_t* rows,
    const floating* weights, const floating* bias,
    const ColumnMoments* columns,
    Py_ssize_t n, Py_ssize_t n_out,
) noexcept nogil:
    """y = x' W + b for rows of a CSR table; `bias` may be NULL.

    `rows` may be NULL: the first n rows.
    """
    cdef Py_ssize_t i, j, k, row
    cdef index_t entry
    cdef double shift
    cdef floating value
    cdef const floating* w
    cdef const double* mean = columns.mean
    cdef const double* invstd = columns.invstd
    for k in range(n_out):
        sums[k] = 0.0 if bias == NULL else bias[k]
    if mean != NULL:
        for j in range(columns.n_in):
            shift = mean[j] * invstd[j]
            if shift != 0.0:
                for k in range(n_out):
                    sums[k] -= shift * weights[j * n_out + k]
    for i in range(n):
        row = i if rows == NULL else rows[i]
        for k in range(n_out):
            y[i * n_out + k] = <floating> sums[k]
        for entry in range(indptr[row], indptr[row + 1]):
            j = indices[entry]
            value = <floating> (data[entry] * (1.0 if mean == NULL else invstd[j]))
            w = weights + j * n_out
            for k in range(n_out):
                y[i * n_out + k] += value * w[k]


cdef void sparse_linear_backward(
    floating* dweights, floating* dbias, double* sums,
    const floating* dy,
    const input_floating* data, const index_t* indices, const index_t* indptr,
    const Py_ssize_t* rows,
    const ColumnMoments* columns,
    Py_ssize_t n, Py_ssize_t n_out,
) noexcept nogil:
    """dW += (x')' dy, db += sum_i dy_i; `dbias` may be NULL."""
    cdef Py_ssize_t i, j, k, row
    cdef index_t entry
    cdef double shift
    cdef floating value
    cdef floating* dw
    cdef const double* mean = columns.mean
    cdef const double* invstd = columns.invstd
    for k in range(n_out):
        sums[k] = 0.0
    for i in range(n):
        row = i if rows == NULL else rows[i]
        for k in range(n_out):
            sums[k] += dy[i * n_out + k]
        for entry in range(indptr[row], indptr[row + 1]):
            j = indices[entry]
            value = <floating> (data[entry] * (1.0 if mean == NULL else invstd[j]))
            dw = dweights + j * n_out
            for k in range(n_out):
                dw[k] += value * dy[i * n_out + k]
    if dbias != NULL:
        for k in range(n_out):
            dbias[k] += <floating> sums[k]
    if mean != NULL:
        for j in range(columns.n_in):
            shift = mean[j] * invstd[j]
            if shift != 0.0:
                for k in range(n_out):
                    dweights[j * n_out + k] -= <floating> (shift * sums[k])


def forward(X, weights, bias=None, rows=None, mean=None, invstd=None):
    """Linear map of rows of a sparse table, normalized by fixed statistics.

    Parameters
    ----------
    X : CSR matrix or array of shape (n_samples, n_in)
        float32 or float64.
    weights : ndarray of shape (n_in, n_out)
        float32 or float64.
    bias : ndarray of shape (n_out,), default=None
        Of the dtype of `weights`. ``None``: none.
    rows : array-like of shape (n,), default=None
        Numbers of the rows. ``None``: all, in order.
    mean, invstd : array-like of shape (n_in,), default=None
        Each column has `mean` subtracted, and is then multiplied by `invstd`. ``None``: the columns
        stay as they are.

    Returns
    -------
    y : ndarray of shape (n, n_out), dtype of `weights`

    Raises
    ------
    ValueError
        If `X` is not CSR, there is no row or column, or shapes or dtypes do not fit.
    """
    rows, mean, invstd = as_csr_operands(X, rows, mean, invstd)
    weights = as_contiguous(weights)
    check_floating("weights", weights.dtype)
    if weights.ndim != 2 or weights.shape[0] != X.shape[1] or weights.size == 0:
        raise ValueError(f"weights must have shape ({X.shape[1]}, n_out), got {weights.shape}")
    if bias is not None:
        bias = as_contiguous(bias)
        if bias.shape != weights.shape[1:]:
            raise ValueError(f"bias must have shape {weights.shape[1:]}, got {bias.shape}")
    y = np.empty((rows.size, weights.shape[1]), dtype=weights.dtype)
    _forward(y, X.data, X.indices, X.indptr, rows, weights, bias, mean, invstd)
    return y


def _forward(
    floating[:, ::1] y, const input_floating[::1] data, const index_t[::1] indices,
    const index_t[::1] indptr, const Py_ssize_t[::1] rows, const floating[:, ::1] weights,
    const floating[::1] bias, const double[::1] mean, const double[::1] invstd,
):
    cdef double[::1] sums = np.empty(y.shape[1])
    cdef const input_floating* data_pointer = NULL
    cdef const index_t* indices_pointer = NULL
    cdef const floating* bias_pointer = pointer(bias)
    cdef ColumnMoments columns
    columns.mean, columns.invstd = pointer(mean), pointer(invstd)
    if data.shape[0] > 0:
        data_pointer = &data[0]
        indices_pointer = &indices[0]
    with nogil:
        columns.n_in = weights.shape[0]
        sparse_linear_forward(&y[0, 0], &sums[0], data_pointer, indices_pointer, &indptr[0],
                              &rows[0], &weights[0, 0], bias_pointer, &columns, y.shape[0],
                              y.shape[1])


def backward(dy, X, rows=None, mean=None, invstd=None):
    """Gradients of ``forward`` with respect to weights and bias.

    Parameters
    ----------
    dy : ndarray of shape (n, n_out)
        Gradient of the loss with respect to `y`, float32 or float64.
    X : CSR matrix or array of shape (n_samples, n_in)
        float32 or float64.
    rows : array-like of shape (n,), default=None
        Numbers of the rows. ``None``: all, in order.
    mean, invstd : array-like of shape (n_in,), default=None
        As given to ``forward``.

    Returns
    -------
    dweights : ndarray of shape (n_in, n_out)
    dbias : ndarray of shape (n_out,)
        Both in the dtype of `dy`.

    Raises
    ------
    ValueError
        If `X` is not CSR, there is no row or column, or shapes or dtypes do not fit.
    """
    rows, mean, invstd = as_csr_operands(X, rows, mean, invstd)
    dy = as_contiguous(dy)
    check_floating("dy", dy.dtype)
    if dy.ndim != 2 or dy.shape[0] != rows.size or dy.size == 0:
        raise ValueError(f"dy must have shape ({rows.size}, n_out), got {dy.shape}")
    dweights = np.zeros((X.shape[1], dy.shape[1]), dtype=dy.dtype)
    dbias = np.zeros(dy.shape[1], dtype=dy.dtype)
    _backward(dweights, dbias, dy, X.data, X.indices, X.indptr, rows, mean, invstd)
    return dweights, dbias


def _backward(
    floating[:, ::1] dweights, floating[::1] dbias, const floating[:, ::1] dy,
    const input_floating[::1] data, const index_t[::1] indices, const index_t[::1] indptr,
    const Py_ssize_t[::1] rows, const double[::1] mean, const double[::1] invstd,
):
    cdef double[::1] sums = np.empty(dy.shape[1])
    cdef const input_floating* data_pointer = NULL
    cdef const index_t* indices_pointer = NULL
    cdef ColumnMoments columns
    columns.mean, columns.invstd = pointer(mean), pointer(invstd)
    if data.shape[0] > 0:
        data_pointer = &data[0]
        indices_pointer = &indices[0]
    with nogil:
        columns.n_in = dweights.shape[0]
        sparse_linear_backward(&dweights[0, 0], &dbias[0], &sums[0], &dy[0, 0], data_pointer,
                               indices_pointer, &indptr[0], &rows[0], &columns, dy.shape[0],
                               dy.shape[1])
