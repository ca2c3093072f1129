"""A trained factor for each input of a linear map: y = (x s) W = x (s W).

The factors multiply the weights and not the rows. The product s W is as small as the weights, and
works for rows of sparse tables too. The gradient of s W gives the gradient of s, so the gradient of
x is not needed (Holzmüller, Grinsztajn and Steinwart 2024, "Better by default", section 3, "scaling
layer").

Shapes: ``W`` and ``s W`` (n_in, n_out), row-major; ``s`` (n_in,).
"""

from cython cimport floating

import numpy as np

from skbn.kernels._operands import as_contiguous, as_floating, as_real


cdef extern from *:
    """
    #include "simd.h"
    #define SCALE(T) (T*, const T*, const T*, Py_ssize_t, Py_ssize_t)
    #define SCALE_BACKWARD(T) (T*, T*, const T*, const T*, const T*, Py_ssize_t, Py_ssize_t)
    SKBN_CLONE_BOTH(void, skbn_input_scale_forward, SCALE)
    SKBN_CLONE_BOTH(void, skbn_input_scale_backward, SCALE_BACKWARD)
    """

# LANES: the number of partial sums that are added up side by side. With one sum the loop would not
# vectorize, because the compiler may not change the order of a sum.
cdef enum:
    LANES = 16


cdef void input_scale_forward "skbn_input_scale_forward"(
    floating* scaled,
    const floating* weights, const floating* scale,
    Py_ssize_t n_in, Py_ssize_t n_out,
) noexcept nogil:
    """scaled_ij = s_i W_ij."""
    cdef Py_ssize_t i, j
    for i in range(n_in):
        for j in range(n_out):
            scaled[i * n_out + j] = scale[i] * weights[i * n_out + j]


cdef void input_scale_backward "skbn_input_scale_backward"(
    floating* dweights, floating* dscale,
    const floating* dscaled, const floating* weights, const floating* scale,
    Py_ssize_t n_in, Py_ssize_t n_out,
) noexcept nogil:
    """dW_ij += s_i d(s W)_ij, ds_i += sum_j W_ij d(s W)_ij."""
    cdef Py_ssize_t i, j, lane, block, place, n_even = n_out - n_out % LANES
    cdef floating[LANES] sums
    cdef floating total
    for i in range(n_in):
        for j in range(n_out):
            dweights[i * n_out + j] += scale[i] * dscaled[i * n_out + j]
        for lane in range(LANES):
            sums[lane] = 0
        for block in range(n_out // LANES):
            place = i * n_out + block * LANES
            for lane in range(LANES):
                sums[lane] += weights[place + lane] * dscaled[place + lane]
        total = 0
        for j in range(n_even, n_out):
            total += weights[i * n_out + j] * dscaled[i * n_out + j]
        for lane in range(LANES):
            total += sums[lane]
        dscale[i] += total


def _as_map(weights, scale):
    weights = as_contiguous(as_floating("weights", weights))
    scale = as_real("scale", scale, weights.dtype)
    if weights.ndim != 2 or weights.size == 0 or scale.shape != weights.shape[:1]:
        raise ValueError(
            f"weights must have shape (n_in, n_out) and scale (n_in,), "
            f"got {weights.shape} and {scale.shape}"
        )
    return weights, scale


def forward(weights, scale):
    """Weights of a linear map whose inputs have factors.

    Parameters
    ----------
    weights : ndarray of shape (n_in, n_out)
        float32 or float64; copied if it is not C-ordered.
    scale : array-like of shape (n_in,)
        The factor of each input.

    Returns
    -------
    scaled : ndarray of shape (n_in, n_out)

    Raises
    ------
    ValueError
        If an operand is empty, or shapes or dtypes do not fit.
    """
    weights, scale = _as_map(weights, scale)
    scaled = np.empty_like(weights)
    _forward(scaled, weights, scale)
    return scaled


def _forward(
    floating[:, ::1] scaled, const floating[:, ::1] weights, const floating[::1] scale,
):
    with nogil:
        input_scale_forward(&scaled[0, 0], &weights[0, 0], &scale[0], scaled.shape[0],
                            scaled.shape[1])


def backward(dscaled, weights, scale):
    """Gradients of ``forward``.

    Parameters
    ----------
    dscaled : array-like of shape (n_in, n_out)
        Gradient of the loss with respect to the scaled weights.
    weights : ndarray of shape (n_in, n_out)
        The weights given to ``forward``.
    scale : array-like of shape (n_in,)
        The factors given to ``forward``.

    Returns
    -------
    dweights : ndarray of shape (n_in, n_out)
    dscale : ndarray of shape (n_in,)

    Raises
    ------
    ValueError
        If an operand is empty, or shapes or dtypes do not fit.
    """
    weights, scale = _as_map(weights, scale)
    dscaled = as_real("dscaled", dscaled, weights.dtype)
    if dscaled.shape != weights.shape:
        raise ValueError(f"dscaled must have shape {weights.shape}, got {dscaled.shape}")
    dweights, dscale = np.zeros_like(weights), np.zeros_like(scale)
    _backward(dweights, dscale, dscaled, weights, scale)
    return dweights, dscale


def _backward(
    floating[:, ::1] dweights, floating[::1] dscale, const floating[:, ::1] dscaled,
    const floating[:, ::1] weights, const floating[::1] scale,
):
    with nogil:
        input_scale_backward(&dweights[0, 0], &dscale[0], &dscaled[0, 0], &weights[0, 0],
                             &scale[0], weights.shape[0], weights.shape[1])
