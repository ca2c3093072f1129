"""How fast a cost grows: the exponent of a power law."""

import numpy as np


def exponent(sizes, costs):
    """Slope of the straight line through ``log(costs)`` over ``log(sizes)``, by least squares.

    Parameters
    ----------
    sizes, costs : array-like of shape (n,)
        Positive numbers, two different sizes at least.

    Returns
    -------
    slope : float
        b of ``cost = a * size ** b``: 1 where twice the size is twice the cost.
    """
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
