"""Activations, element by element: forward from the input, backward from input or output.

Some derivatives are functions of the output y alone: identity 1, logistic y (1 - y), tanh 1 - y^2,
relu [y > 0], leaky_relu [y > 0] + 0.01 [y <= 0]. For these activations ``y`` may overwrite ``x``.
The other derivatives need ``x``. With s the logistic function, P and p the normal distribution and
its density, and t = tanh(log(1 + e^x)), they are

    silu  y = x s(x),  y' = s(x) (1 + x (1 - s(x)))
    gelu  y = x P(x),  y' = P(x) + x p(x)
    mish  y = x t,     y' = t + x (1 - t^2) s(x)

References
----------
Hendrycks and Gimpel (2016), "Gaussian error linear units" (silu, and the exact gelu, by erf).
Misra (2020), "Mish: a self regularized non-monotonic activation function".
Maas, Hannun and Ng (2013), "Rectifier nonlinearities improve neural network acoustic models"
(leaky_relu).
"""

from cython cimport floating
from libc.string cimport memcpy

from skbn.kernels.exponential cimport (
    exp_nonpositive, hyperbolic_tangent, logistic, normal_tail,
)

import numpy as np

from skbn.kernels._operands import as_floating, as_real

# Name in the estimators' parameters -> code in a plan: the activations that are registered below.
ACTIVATIONS = {}

# Activations whose output may overwrite their input.
IN_PLACE = set()

ctypedef void (*SingleForward)(float*, const float*, Py_ssize_t) noexcept nogil
ctypedef void (*DoubleForward)(double*, const double*, Py_ssize_t) noexcept nogil
ctypedef void (*SingleBackward)(float*, const float*, const float*, Py_ssize_t) noexcept nogil
ctypedef void (*DoubleBackward)(double*, const double*, const double*, Py_ssize_t) noexcept nogil

cdef struct Activation:
    SingleForward single_forward
    DoubleForward double_forward
    SingleBackward single_backward
    DoubleBackward double_backward
    bint in_place               # the derivative is a function of the output

cdef enum:
    MOST = 32

cdef Activation[MOST] TABLE


# Registers an activation: its name, whether the derivative is a function of the output, and its
# loops for float and double. The order of the calls gives the codes.
cdef int _register(
    str name, bint in_place, SingleForward single_forward, DoubleForward double_forward,
    SingleBackward single_backward, DoubleBackward double_backward,
) except -1:
    cdef int code = len(ACTIVATIONS)
    if code == MOST:
        raise ImportError("the table is full: raise MOST")
    TABLE[code] = Activation(
        single_forward, double_forward, single_backward, double_backward, in_place
    )
    ACTIVATIONS[name] = code
    if in_place:
        IN_PLACE.add(name)
    return code


cdef double INVERSE_ROOT_2_PI = 0.39894228040143267794


cdef extern from *:
    """
    #include "simd.h"
    #define FORWARD(T) (T*, const T*, Py_ssize_t)
    #define BACKWARD(T) (T*, const T*, const T*, Py_ssize_t)
    SKBN_CLONE_BOTH(void, skbn_logistic_forward, FORWARD)
    SKBN_CLONE_BOTH(void, skbn_logistic_backward, BACKWARD)
    SKBN_CLONE_BOTH(void, skbn_tanh_forward, FORWARD)
    SKBN_CLONE_BOTH(void, skbn_tanh_backward, BACKWARD)
    SKBN_CLONE_BOTH(void, skbn_relu_forward, FORWARD)
    SKBN_CLONE_BOTH(void, skbn_relu_backward, BACKWARD)
    SKBN_CLONE_BOTH(void, skbn_silu_forward, FORWARD)
    SKBN_CLONE_BOTH(void, skbn_silu_backward, BACKWARD)
    SKBN_CLONE_BOTH(void, skbn_gelu_forward, FORWARD)
    SKBN_CLONE_BOTH(void, skbn_gelu_backward, BACKWARD)
    SKBN_CLONE_BOTH(void, skbn_mish_forward, FORWARD)
    SKBN_CLONE_BOTH(void, skbn_mish_backward, BACKWARD)
    SKBN_CLONE_BOTH(void, skbn_leaky_relu_forward, FORWARD)
    SKBN_CLONE_BOTH(void, skbn_leaky_relu_backward, BACKWARD)
    """


# Each function may work in place (y is x, dx is dy). The compiler checks once whether two operands
# overlap. If they overlap, the compiler takes its slow loop. So functions that usually work in
# place have a branch with one pointer.

cdef void identity_forward(floating* y, const floating* x, Py_ssize_t size) noexcept nogil:
    if y != x:
        memcpy(y, x, size * sizeof(floating))


cdef void identity_backward(
    floating* dx, const floating* dy, const floating* y, Py_ssize_t size,
) noexcept nogil:
    identity_forward(dx, dy, size)


_register("identity", True, identity_forward, identity_forward, identity_backward,
          identity_backward)


cdef void logistic_forward "skbn_logistic_forward"(
    floating* y, const floating* x, Py_ssize_t size,
) noexcept nogil:
    cdef Py_ssize_t i
    if y == x:
        for i in range(size):
            y[i] = logistic(y[i])
    else:
        for i in range(size):
            y[i] = logistic(x[i])


cdef void logistic_backward "skbn_logistic_backward"(
    floating* dx, const floating* dy, const floating* y, Py_ssize_t size,
) noexcept nogil:
    cdef Py_ssize_t i
    if dx == dy:
        for i in range(size):
            dx[i] = dx[i] * y[i] * (1 - y[i])
    else:
        for i in range(size):
            dx[i] = dy[i] * y[i] * (1 - y[i])


_register("logistic", True, logistic_forward, logistic_forward, logistic_backward,
          logistic_backward)


cdef void tanh_forward "skbn_tanh_forward"(
    floating* y, const floating* x, Py_ssize_t size,
) noexcept nogil:
    cdef Py_ssize_t i
    if y == x:
        for i in range(size):
            y[i] = hyperbolic_tangent(y[i])
    else:
        for i in range(size):
            y[i] = hyperbolic_tangent(x[i])


cdef void tanh_backward "skbn_tanh_backward"(
    floating* dx, const floating* dy, const floating* y, Py_ssize_t size,
) noexcept nogil:
    cdef Py_ssize_t i
    if dx == dy:
        for i in range(size):
            dx[i] = dx[i] * (1 - y[i] * y[i])
    else:
        for i in range(size):
            dx[i] = dy[i] * (1 - y[i] * y[i])


_register("tanh", True, tanh_forward, tanh_forward, tanh_backward, tanh_backward)


cdef void relu_forward "skbn_relu_forward"(
    floating* y, const floating* x, Py_ssize_t size,
) noexcept nogil:
    # The comparison keeps NaN: a NaN must reach the loss, where the training notices it.
    cdef Py_ssize_t i
    if y == x:
        for i in range(size):
            y[i] = 0 if y[i] < 0 else y[i]
    else:
        for i in range(size):
            y[i] = 0 if x[i] < 0 else x[i]


cdef void relu_backward "skbn_relu_backward"(
    floating* dx, const floating* dy, const floating* y, Py_ssize_t size,
) noexcept nogil:
    # This is a product and not a branch. A branch on random signs costs ten times the arithmetic.
    cdef Py_ssize_t i
    if dx == dy:
        for i in range(size):
            dx[i] = dx[i] * <floating> (y[i] > 0)
    else:
        for i in range(size):
            dx[i] = dy[i] * <floating> (y[i] > 0)


_register("relu", True, relu_forward, relu_forward, relu_backward, relu_backward)


cdef void silu_forward "skbn_silu_forward"(
    floating* y, const floating* x, Py_ssize_t size,
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        y[i] = x[i] * logistic(x[i])


cdef void silu_backward "skbn_silu_backward"(
    floating* dx, const floating* dy, const floating* x, Py_ssize_t size,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef floating s
    if dx == dy:
        for i in range(size):
            s = logistic(x[i])
            dx[i] = dx[i] * s * (1 + x[i] * (1 - s))
    else:
        for i in range(size):
            s = logistic(x[i])
            dx[i] = dy[i] * s * (1 + x[i] * (1 - s))


_register("silu", False, silu_forward, silu_forward, silu_backward, silu_backward)


cdef inline floating _tanh_of_softplus(floating x, floating* logistic_of_x) noexcept nogil:
    # With n = e^-|x|, and a = 1 + 2 n for x >= 0, a = n (n + 2) for x < 0,
    #     tanh(log(1 + e^x)) = a / (a + 2 n^2) for x >= 0, a / (a + 2) for x < 0:
    # all terms are positive, so that nothing cancels.
    cdef floating magnitude = x if x >= 0 else -x
    cdef floating n = exp_nonpositive(-magnitude)
    cdef floating a = 1 + 2 * n if x >= 0 else n * (n + 2)
    cdef floating rest = 2 * n * n if x >= 0 else 2
    logistic_of_x[0] = (1 if x >= 0 else n) / (1 + n)
    return a / (a + rest)


cdef void mish_forward "skbn_mish_forward"(
    floating* y, const floating* x, Py_ssize_t size,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef floating s
    for i in range(size):
        y[i] = x[i] * _tanh_of_softplus(x[i], &s)


cdef void mish_backward "skbn_mish_backward"(
    floating* dx, const floating* dy, const floating* x, Py_ssize_t size,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef floating s, t
    if dx == dy:
        for i in range(size):
            t = _tanh_of_softplus(x[i], &s)
            dx[i] = dx[i] * (t + x[i] * (1 - t * t) * s)
    else:
        for i in range(size):
            t = _tanh_of_softplus(x[i], &s)
            dx[i] = dy[i] * (t + x[i] * (1 - t * t) * s)


_register("mish", False, mish_forward, mish_forward, mish_backward, mish_backward)


cdef enum:
    LEAK = 100      # the slope below zero is 1 / LEAK


cdef void leaky_relu_forward "skbn_leaky_relu_forward"(
    floating* y, const floating* x, Py_ssize_t size,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef floating slope = <floating> (1.0 / LEAK)
    if y == x:
        for i in range(size):
            y[i] = slope * y[i] if y[i] < 0 else y[i]
    else:
        for i in range(size):
            y[i] = slope * x[i] if x[i] < 0 else x[i]


cdef void leaky_relu_backward "skbn_leaky_relu_backward"(
    floating* dx, const floating* dy, const floating* y, Py_ssize_t size,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef floating slope = <floating> (1.0 / LEAK)
    if dx == dy:
        for i in range(size):
            dx[i] = dx[i] * (1 if y[i] > 0 else slope)
    else:
        for i in range(size):
            dx[i] = dy[i] * (1 if y[i] > 0 else slope)


_register("leaky_relu", True, leaky_relu_forward, leaky_relu_forward, leaky_relu_backward,
          leaky_relu_backward)


cdef inline floating _normal(floating x, floating* bell) noexcept nogil:
    # P(x), computed from the tail on the side of x. `bell` is exp(-x^2 / 2).
    cdef floating magnitude = x if x >= 0 else -x
    cdef floating tail = normal_tail(magnitude, bell)
    return 1 - tail if x >= 0 else tail


cdef void gelu_forward "skbn_gelu_forward"(
    floating* y, const floating* x, Py_ssize_t size,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef floating bell
    for i in range(size):
        y[i] = x[i] * _normal(x[i], &bell)


cdef void gelu_backward "skbn_gelu_backward"(
    floating* dx, const floating* dy, const floating* x, Py_ssize_t size,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef floating p, bell
    cdef floating scale = <floating> INVERSE_ROOT_2_PI
    if dx == dy:
        for i in range(size):
            p = _normal(x[i], &bell)
            dx[i] = dx[i] * (p + x[i] * (scale * bell))
    else:
        for i in range(size):
            p = _normal(x[i], &bell)
            dx[i] = dy[i] * (p + x[i] * (scale * bell))


_register("gelu", False, gelu_forward, gelu_forward, gelu_backward, gelu_backward)


if ACTIVATIONS["tanh"] != TANH or ACTIVATIONS["relu"] != RELU:
    raise ImportError("the codes of activations in activations.pxd are others")


cdef void activation_forward(
    floating* y, const floating* x, Py_ssize_t size, int activation,
) noexcept nogil:
    """y = f(x) for `size` elements; y may be x."""
    if floating is float:
        TABLE[activation].single_forward(y, x, size)
    else:
        TABLE[activation].double_forward(y, x, size)


cdef void activation_backward(
    floating* dx, const floating* dy, const floating* x, const floating* y,
    Py_ssize_t size, int activation,
) noexcept nogil:
    """dx = f'(x) dy for `size` elements; dx may be dy."""
    cdef const Activation* functions = &TABLE[activation]
    if floating is float:
        functions.single_backward(dx, dy, y if functions.in_place else x, size)
    else:
        functions.double_backward(dx, dy, y if functions.in_place else x, size)


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
    activation : {"identity", "logistic", "tanh", "relu", "silu", "gelu", "mish", "leaky_relu"}
        Which one. The slope of "leaky_relu" below zero is 0.01.

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


def backward(dy, x, y, activation):
    """Gradient of an activation.

    Parameters
    ----------
    dy : array-like of the shape of `y`
        Gradient of the loss with respect to `y`.
    x : array-like of the shape of `y`
        The argument of ``forward``. Only silu, gelu and mish look at it.
    y : ndarray of any shape
        What ``forward`` returned. Only the other activations look at it.
    activation : {"identity", "logistic", "tanh", "relu", "silu", "gelu", "mish", "leaky_relu"}
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
    x = as_real("x", x, y.dtype)
    dy = as_real("dy", dy, y.dtype)
    if dy.shape != y.shape:
        raise ValueError(f"dy has shape {dy.shape}, y has {y.shape}")
    if x.shape != y.shape:
        raise ValueError(f"x has shape {x.shape}, y has {y.shape}")
    dx = np.empty_like(y)
    _backward(dx.reshape(-1), dy.reshape(-1), x.reshape(-1), y.reshape(-1), _code(activation))
    return dx


def _backward(
    floating[::1] dx, const floating[::1] dy, const floating[::1] x, const floating[::1] y,
    int activation,
):
    if y.shape[0] > 0:
        with nogil:
            activation_backward(&dx[0], &dy[0], &x[0], &y[0], y.shape[0], activation)
