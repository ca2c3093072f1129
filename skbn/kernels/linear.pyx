"""The linear map of a layer, y = x W + b, forward and backward.

Shapes: ``x`` (n, n_in), ``W`` (n_in, n_out), ``b`` (n_out,), ``y`` (n, n_out), row-major.
A layer with batch norm before the activation has no ``b``, because the batch mean would remove it.
"""

from cython cimport floating

from skbn.kernels.blas cimport gemm
from skbn.kernels.pointers cimport pointer

import numpy as np

from skbn.kernels._operands import as_contiguous, as_floating, as_real


cdef void linear_forward(
    floating* y,
    const floating* x, const floating* weights, const floating* bias,
    Py_ssize_t n, Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t x_stride,
) noexcept nogil:
    """y = x W + b; `bias` may be NULL. The rows of x are `x_stride` numbers apart."""
    cdef Py_ssize_t i, j
    if bias != NULL:
        for i in range(n):
            for j in range(n_out):
                y[i * n_out + j] = bias[j]
    gemm(y, <int> n_out, x, <int> x_stride, weights, <int> n_out,
         <int> n, <int> n_out, <int> n_in, False, False,
         <floating> (0 if bias == NULL else 1))


cdef void linear_parameter_gradients(
    floating* dweights, floating* dbias,
    const floating* dy, const floating* x,
    Py_ssize_t n, Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t x_stride, bint adds,
) noexcept nogil:
    """dW += x' dy, or dW = x' dy if not `adds`; db += sum_i dy_i; `dbias` may be NULL."""
    cdef Py_ssize_t i = 0, j
    cdef const floating* row
    gemm(dweights, <int> n_out, x, <int> x_stride, dy, <int> n_out,
         <int> n_in, <int> n_out, <int> n, True, False, <floating> (1 if adds else 0))
    if dbias == NULL:
        return
    # Four rows share one load and one store of each sum.
    while i + 4 <= n:
        row = dy + i * n_out
        for j in range(n_out):
            dbias[j] += (row[j] + row[n_out + j]) + (row[2 * n_out + j] + row[3 * n_out + j])
        i += 4
    while i < n:
        for j in range(n_out):
            dbias[j] += dy[i * n_out + j]
        i += 1


cdef void linear_data_gradient(
    floating* dx,
    const floating* dy, const floating* weights,
    Py_ssize_t n, Py_ssize_t n_in, Py_ssize_t n_out,
) noexcept nogil:
    """dx = dy W'."""
    gemm(dx, <int> n_in, dy, <int> n_out, weights, <int> n_out,
         <int> n, <int> n_in, <int> n_out, False, True, <floating> 0)


def _as_layer(x, weights):
    x = as_contiguous(as_floating("x", x))
    weights = as_contiguous(weights)
    if x.ndim != 2 or weights.ndim != 2 or x.shape[1] != weights.shape[0]:
        raise ValueError(
            f"x must have shape (n, n_in) and weights (n_in, n_out), "
            f"got {x.shape} and {weights.shape}"
        )
    if 0 in x.shape or 0 in weights.shape:
        raise ValueError(f"empty operands: x {x.shape}, weights {weights.shape}")
    return x, weights


def forward(x, weights, bias=None):
    """Linear map of a batch.

    Parameters
    ----------
    x : ndarray of shape (n, n_in)
        The batch, float32 or float64; copied if it is not C-ordered.
    weights : ndarray of shape (n_in, n_out)
        Of the dtype of `x`.
    bias : ndarray of shape (n_out,), default=None
        Of the dtype of `x`. ``None``: none.

    Returns
    -------
    y : ndarray of shape (n, n_out)

    Raises
    ------
    ValueError
        If an operand is empty, or shapes or dtypes do not fit.
    """
    x, weights = _as_layer(x, weights)
    if bias is not None:
        bias = as_contiguous(bias)
        if bias.shape != weights.shape[1:]:
            raise ValueError(f"bias must have shape {weights.shape[1:]}, got {bias.shape}")
    y = np.empty((x.shape[0], weights.shape[1]), dtype=x.dtype)
    _forward(y, x, weights, bias)
    return y


def _forward(
    floating[:, ::1] y, const floating[:, ::1] x, const floating[:, ::1] weights,
    const floating[::1] bias,
):
    cdef const floating* bias_pointer = pointer(bias)
    with nogil:
        linear_forward(&y[0, 0], &x[0, 0], &weights[0, 0], bias_pointer,
                       x.shape[0], x.shape[1], y.shape[1], x.shape[1])


def backward(dy, x, weights):
    """Gradients of ``forward``.

    Parameters
    ----------
    dy : array-like of shape (n, n_out)
        Gradient of the loss with respect to `y`.
    x : ndarray of shape (n, n_in)
        The batch given to ``forward``.
    weights : ndarray of shape (n_in, n_out)
        The weights given to ``forward``.

    Returns
    -------
    dx : ndarray of shape (n, n_in)
    dweights : ndarray of shape (n_in, n_out)
    dbias : ndarray of shape (n_out,)

    Raises
    ------
    ValueError
        If an operand is empty, or shapes or dtypes do not fit.
    """
    x, weights = _as_layer(x, weights)
    dy = as_real("dy", dy, x.dtype)
    if dy.shape != (x.shape[0], weights.shape[1]):
        raise ValueError(
            f"dy must have shape {(x.shape[0], weights.shape[1])}, got {dy.shape}"
        )
    dx = np.empty_like(x)
    dweights = np.zeros_like(weights)
    dbias = np.zeros(weights.shape[1], dtype=x.dtype)
    _backward(dx, dweights, dbias, dy, x, weights)
    return dx, dweights, dbias


def _backward(
    floating[:, ::1] dx, floating[:, ::1] dweights, floating[::1] dbias,
    const floating[:, ::1] dy, const floating[:, ::1] x, const floating[:, ::1] weights,
):
    with nogil:
        linear_parameter_gradients(&dweights[0, 0], &dbias[0], &dy[0, 0], &x[0, 0], x.shape[0],
                                   x.shape[1], dy.shape[1], x.shape[1], True)
        linear_data_gradient(&dx[0, 0], &dy[0, 0], &weights[0, 0], x.shape[0], x.shape[1],
                             dy.shape[1])
