"""Dropout with counter-based random numbers: no mask is stored, and no order matters.

A hash of (seed, step, operation, element) decides whether an element is kept. The forward and the
backward pass compute the same hash, for any blocks and any threads. Seed, step and operation give a
key, where a sequence of SplitMix64 begins. The hash is the output function of SplitMix64 at the
place of the element in this sequence.

References
----------
Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting"
(scaled at training, so that inference has nothing to do).
Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators" (SplitMix64).
"""

cimport cython
from cython cimport floating
from libc.stdint cimport uint64_t

import numpy as np

from skbn.kernels._operands import as_floating

cdef uint64_t GOLDEN = 0x9E3779B97F4A7C15ULL


# The arithmetic is modulo 2^64, so a debug build must not check for overflow.
@cython.overflowcheck(False)
cdef inline uint64_t _mixed(uint64_t z) noexcept nogil:
    z = (z ^ (z >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9ULL
    z = (z ^ (z >> 27)) * <uint64_t> 0x94D049BB133111EBULL
    return z ^ (z >> 31)


@cython.overflowcheck(False)
cdef uint64_t dropout_key(uint64_t seed, uint64_t step, uint64_t operation) noexcept nogil:
    """One number from the three numbers that distinguish masks."""
    return _mixed(_mixed(_mixed(seed + GOLDEN) + step * GOLDEN) + (operation + 1) * GOLDEN)


@cython.overflowcheck(False)
cdef void dropout_apply(
    floating* y, const floating* x, Py_ssize_t size, double rate, uint64_t key,
) noexcept nogil:
    """y = x / (1 - rate) for kept elements, else 0; y may be x. Also the backward pass."""
    cdef Py_ssize_t i
    cdef floating scale = <floating> (1.0 / (1.0 - rate))
    # For the largest double below 1, 2^64 rate is 2^64 - 2^11, so the number fits.
    cdef uint64_t bound = <uint64_t> (rate * 18446744073709551616.0)
    for i in range(size):
        y[i] = x[i] * (
            scale if _mixed(key + <uint64_t> (i + 1) * GOLDEN) >= bound else <floating> 0
        )


def apply(x, double rate, long long seed, long long step, int operation):
    """Drop elements at random, and scale the others so that the mean stays.

    Parameters
    ----------
    x : ndarray of any shape
        Activations, float32 or float64. For the backward pass, the gradient of the loss with
        respect to the `y` that this function returned for them.
    rate : float
        Probability that an element is dropped, in [0, 1).
    seed, step, operation : int
        The mask is a function of these numbers and of the place of an element.

    Returns
    -------
    y : ndarray of the shape and dtype of `x`

    Raises
    ------
    ValueError
        If `rate` is not in [0, 1), or the dtype is not float32 or float64.
    """
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"rate must be in [0, 1), got {rate}")
    x = as_floating("x", x, order="C")
    y = np.empty_like(x)
    _apply(y.reshape(-1), x.reshape(-1), rate, seed, step, operation)
    return y


def _apply(
    floating[::1] y, const floating[::1] x, double rate,
    long long seed, long long step, int operation,
):
    if x.shape[0] > 0:
        with nogil:
            dropout_apply(&y[0], &x[0], x.shape[0], rate, dropout_key(seed, step, operation))
