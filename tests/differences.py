"""Gradients by central differences, to hold the kernels' own against."""

import numpy as np


def gradient(function, x, step=1e-3):
    """Gradient of a scalar function of an array, entry by entry, in float64.

    Fourth order: with ``f(h) = function(x + h)`` along one entry, the derivative is
    ``(8 (f(h) - f(-h)) - (f(2 h) - f(-2 h))) / (12 h)`` with an error of ``h^4 f^(5) / 30``,
    some 1e-12 for functions of order 1, as is the rounding error ``eps / h``.
    """
    x = np.array(x, dtype=np.float64)
    result = np.empty_like(x)
    for index in np.ndindex(x.shape):
        center = x[index]

        def value(shift, index=index, center=center):
            x[index] = center + shift * step
            return function(x)

        result[index] = (8 * (value(1) - value(-1)) - (value(2) - value(-2))) / (12 * step)
        x[index] = center
    return result
