"""Checks and casts of the arguments of array functions. Kernels can walk the results."""

import sys

import numpy as np
from scipy.sparse import issparse

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


def check_floating(name, dtype):
    """Refuse every dtype except float32 and float64, for which the kernels are compiled."""
    # NumPy mostly has one object for each dtype. A test of identity is faster than a test of
    # equality, so the identity is tested first.
    if dtype is not SINGLE and dtype is not DOUBLE and dtype not in (SINGLE, DOUBLE):
        raise ValueError(f"{name} must be float32 or float64, got {dtype}")


def as_floating(name, x, order=None):
    """`x` as an aligned array of float32 or float64, copied only if `x` is not such an array.

    A field of packed records is not aligned: its strides are not multiples of the item size.
    Kernels step in whole items, so they need a copy of such a field.
    """
    x = np.asarray(x, order=order)
    check_floating(name, x.dtype)
    return x if x.flags.aligned else x.copy()


def as_contiguous(values, dtype=None):
    """`values` as a C-ordered, aligned array, copied only if `values` is not such an array."""
    values = np.ascontiguousarray(values, dtype)
    return values if values.flags.aligned else values.copy()


def as_whole(name, values):
    """`values` as a C-ordered, aligned array of row numbers, or of numbers of rows.

    Other numbers are refused, because a cast would cut off their fractions. Masks are refused,
    because a mask does not hold row numbers.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "iu" and values.size > 0:
        raise ValueError(f"{name} must be whole numbers, got {values.dtype}")
    return as_contiguous(values, np.intp)


def as_real(name, values, dtype):
    """`values` as a C-ordered, aligned array of a floating dtype.

    Complex numbers are refused, because a cast would drop their imaginary parts.
    """
    values = np.asarray(values)
    if values.dtype.kind == "c":
        raise ValueError(f"{name} must be real numbers, got {values.dtype}")
    values = np.asarray(values, dtype, order="C")
    return values if values.flags.aligned else values.copy()


def as_weights(sample_weight, n, of):
    """The weights of the n rows of the argument named `of`, as float64; ``None`` stays."""
    if sample_weight is None:
        return None
    sample_weight = as_real("sample_weight", sample_weight, np.float64)
    if sample_weight.shape != (n,):
        raise ValueError(f"sample_weight has shape {sample_weight.shape}, {of} has {n} rows")
    return sample_weight


def check_weights(sample_weight):
    """Refuse negative weights, infinite weights and NaN; accept ``None``."""
    # NaN is not in an interval, so NaN is refused too.
    if (
        sample_weight is not None
        and sample_weight.size
        and not (0.0 <= sample_weight.min() <= sample_weight.max() < np.inf)
    ):
        raise ValueError("sample_weight must be >= 0 and finite")


def check_at_least_zero(name, value):
    """Refuse negative numbers and NaN."""
    if not value >= 0.0:
        raise ValueError(f"{name} must be >= 0, got {value}")


def check_share(name, value):
    """Refuse numbers outside of [0, 1], and NaN."""
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must be in [0, 1], got {value}")


def check_target(name, y):
    """Refuse an array that a kernel cannot change in place; its rows must be contiguous."""
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


def as_lengths(lengths):
    """Lengths of sequences: whole numbers of at least 1."""
    lengths = as_whole("lengths", lengths)
    if lengths.ndim != 1 or lengths.size == 0 or lengths.min() < 1:
        raise ValueError("lengths must be a vector of numbers >= 1, at least one")
    return lengths


def as_sorted_lengths(lengths):
    """The lengths of packed sequences, and how many rows all sequences have."""
    lengths = as_lengths(lengths)
    if (np.diff(lengths) > 0).any():
        raise ValueError("lengths must be sorted, the longest first")
    if lengths.size * int(lengths[0]) > sys.maxsize:
        # The sum of huge lengths might overflow and look like the sum of short lengths.
        raise ValueError(f"{lengths.size} sequences of up to {lengths[0]} steps are too many")
    return lengths, int(lengths.sum())


def check_packed(name, x, n_rows):
    """Refuse an array that is not a matrix of packed steps with the given number of rows."""
    if x.ndim != 2 or x.shape[1] == 0:
        raise ValueError(f"{name} must have shape (n, d) with d >= 1, got {x.shape}")
    if x.shape[0] != n_rows:
        raise ValueError(f"{name} has {x.shape[0]} rows, the lengths ask for {n_rows}")


def check_directions(x, n_directions):
    """Refuse columns that do not belong to one or two directions, side by side."""
    if n_directions not in (1, 2) or x.shape[1] % n_directions:
        raise ValueError(f"{x.shape[1]} columns are none of {n_directions} direction(s)")


def as_csr_operands(X, rows, mean, invstd):
    """Row numbers and the fixed normalization of a CSR table, checked together with the table."""
    # The arrays of another format look like the arrays of CSR, but end elsewhere.
    if not issparse(X) or X.format != "csr":
        raise ValueError(f"X must be a CSR matrix or array, got {type(X).__name__}")
    if X.shape[1] == 0:
        raise ValueError(f"X must have at least one column, got shape {X.shape}")
    check_floating("X", X.data.dtype)
    if rows is None:
        rows = np.arange(X.shape[0], dtype=np.intp)
    rows = as_whole("rows", rows)
    if rows.size == 0 or not (rows.min() >= 0 and rows.max() < X.shape[0]):
        raise ValueError(f"rows must be one or more of 0 to {X.shape[0] - 1}")
    if (mean is None) != (invstd is None):
        raise ValueError("mean and invstd belong together: give both or none")
    if mean is not None:
        mean = as_real("mean", mean, np.float64)
        invstd = as_real("invstd", invstd, np.float64)
        if mean.shape != (X.shape[1],) or invstd.shape != (X.shape[1],):
            raise ValueError(f"mean and invstd must have shape {(X.shape[1],)}")
    return rows, mean, invstd
