"""What doors have in common: operands that a kernel can walk."""

import numpy as np

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


def check_floating(name, dtype):
    """Refuse every dtype but those that kernels are compiled for."""
    # NumPy has one object for each of them, mostly: that is told faster than equality.
    if dtype is not SINGLE and dtype is not DOUBLE and dtype not in (SINGLE, DOUBLE):
        raise ValueError(f"{name} must be float32 or float64, got {dtype}")


def as_floating(name, x, order=None):
    """`x` as an aligned array of float32 or float64, copied only where it is none.

    A field of packed records is not aligned. Its strides are no whole numbers of items, in
    which kernels step.
    """
    x = np.asarray(x, order=order)
    check_floating(name, x.dtype)
    return x if x.flags.aligned else x.copy()
