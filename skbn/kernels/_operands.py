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


def check_target(name, y):
    """Refuse what a kernel cannot change in place, row by row: rows must be contiguous."""
    if not isinstance(y, np.ndarray):
        raise ValueError(f"{name} must be an array to be changed in place, got {type(y).__name__}")
    check_floating(name, y.dtype)
    if y.ndim != 2 or (y.size > 0 and y.shape[1] > 1 and y.strides[1] != y.itemsize):
        raise ValueError(
            f"{name} must have shape (n, d) and contiguous rows, "
            f"got shape {y.shape} and strides {y.strides}"
        )
    if not (y.flags.aligned and y.flags.writeable):
        raise ValueError(f"{name} is not aligned or is read-only: it cannot be changed in place")
