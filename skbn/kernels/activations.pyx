"""Activations, element by element: forward from the input, backward from the output.

The derivative of each is a function of the output y alone, so ``y`` may overwrite ``x``:
identity 1, logistic y (1 - y), tanh 1 - y^2, relu [y > 0].
"""

from cython cimport floating
from libc.math cimport exp, expf, tanh, tanhf

import numpy as np

from skbn.kernels._operands import as_floating

# Name in the estimators' parameters -> code in a plan.
ACTIVATIONS = {"identity": IDENTITY, "logistic": LOGISTIC, "tanh": TANH, "relu": RELU}


cdef void identity_forward(floating* y, const floating* x, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        y[i] = x[i]


cdef void identity_backward(floating* dx, const floating* dy, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        dx[i] = dy[i]


cdef void logistic_forward(floating* y, const floating* x, Py_ssize_t size) noexcept nogil:
    # exp(-x) overflows to infinity for very negative x, which gives the right 0.
    cdef Py_ssize_t i
    for i in range(size):
        if floating is float:
            y[i] = 1 / (1 + expf(-x[i]))
        else:
            y[i] = 1 / (1 + exp(-x[i]))


cdef void logistic_backward(
    floating* dx, const floating* dy, const floating* y, Py_ssize_t size,
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        dx[i] = dy[i] * y[i] * (1 - y[i])


cdef void tanh_forward(floating* y, const floating* x, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        if floating is float:
            y[i] = tanhf(x[i])
        else:
            y[i] = tanh(x[i])


cdef void tanh_backward(
    floating* dx, const floating* dy, const floating* y, Py_ssize_t size,
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        dx[i] = dy[i] * (1 - y[i] * y[i])


cdef void relu_forward(floating* y, const floating* x, Py_ssize_t size) noexcept nogil:
    # Written so that a NaN stays one: it must reach the loss, where it is noticed.
    cdef Py_ssize_t i
    for i in range(size):
        y[i] = 0 if x[i] < 0 else x[i]


cdef void relu_backward(
    floating* dx, const floating* dy, const floating* y, Py_ssize_t size,
) noexcept nogil:
    # A product, not a choice: a branch on random signs costs ten times the arithmetic.
    cdef Py_ssize_t i
    for i in range(size):
        dx[i] = dy[i] * <floating> (y[i] > 0)


cdef void activation_forward(
    floating* y, const floating* x, Py_ssize_t size, int activation,
) noexcept nogil:
    """y = f(x) for `size` elements; y may be x."""
    if activation == RELU:
        relu_forward(y, x, size)
    elif activation == LOGISTIC:
        logistic_forward(y, x, size)
    elif activation == TANH:
        tanh_forward(y, x, size)
    else:
        identity_forward(y, x, size)


cdef void activation_backward(
    floating* dx, const floating* dy, const floating* y, Py_ssize_t size, int activation,
) noexcept nogil:
    """dx = f'(x) dy for `size` elements, from the output y; dx may be dy."""
    if activation == RELU:
        relu_backward(dx, dy, y, size)
    elif activation == LOGISTIC:
        logistic_backward(dx, dy, y, size)
    elif activation == TANH:
        tanh_backward(dx, dy, y, size)
    else:
        identity_backward(dx, dy, size)


def _code(activation):
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {activation!r}")
    return ACTIVATIONS[activation]


def forward(x, activation):
    """Apply an activation to every element.

    Parameters
    ----------
    x : ndarray of any shape
        float32 or float64; copied if it is not C-ordered.
    activation : {"identity", "logistic", "tanh", "relu"}
        Which one.

    Returns
    -------
    y : ndarray of the shape and dtype of `x`

    Raises
    ------
    ValueError
        If the activation is not known, or the dtype is not float32 or float64.
    """
    x = as_floating("x", x, order="C")
    y = np.empty_like(x)
    _forward(y.reshape(-1), x.reshape(-1), _code(activation))
    return y


def _forward(floating[::1] y, const floating[::1] x, int activation):
    if x.shape[0] > 0:
        with nogil:
            activation_forward(&y[0], &x[0], x.shape[0], activation)


def backward(dy, y, activation):
    """Gradient of an activation, from its output.

    Parameters
    ----------
    dy : array-like of the shape of `y`
        Gradient of the loss with respect to `y`.
    y : ndarray of any shape
        What ``forward`` returned.
    activation : {"identity", "logistic", "tanh", "relu"}
        Which one.

    Returns
    -------
    dx : ndarray of the shape and dtype of `y`

    Raises
    ------
    ValueError
        If the activation is not known, or shapes or dtypes do not fit.
    """
    y = as_floating("y", y, order="C")
    dy = np.asarray(dy, dtype=y.dtype, order="C")
    if dy.shape != y.shape:
        raise ValueError(f"dy has shape {dy.shape}, y has {y.shape}")
    dx = np.empty_like(y)
    _backward(dx.reshape(-1), dy.reshape(-1), y.reshape(-1), _code(activation))
    return dx


def _backward(floating[::1] dx, const floating[::1] dy, const floating[::1] y, int activation):
    if y.shape[0] > 0:
        with nogil:
            activation_backward(&dx[0], &dy[0], &y[0], y.shape[0], activation)
