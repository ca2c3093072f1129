"""How fast a cost grows: the exponent of a power law."""

import numpy as np


def exponent(sizes, costs):
    """Slope of the straight line through ``log(costs)`` over ``log(sizes)``, by least squares.

    Parameters
    ----------
    sizes, costs : array-like of shape (n,)
        Positive numbers, with at least two different sizes.

    Returns
    -------
    slope : float
        b of ``cost = a * size ** b``. b is 1 if twice the size has twice the cost.
    """
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
