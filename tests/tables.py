"""Tables of numbers, and the same numbers in other orders and memory layouts."""

import numpy as np
import pytest
from strategies import FLOAT32, FLOAT64

LAYOUTS = ["C", "F", "rows", "columns", "reversed"]


def table(n, d=3, offset=0.0, seed=0):
    """Random numbers of standard deviation 1 about `offset`, of shape (n, d)."""
    return offset + np.random.default_rng(seed).standard_normal((n, d))


def sorted_rows(x):
    return np.sort(x, axis=0)


def with_first_row_far_out(x):
    return np.concatenate([np.full_like(x[:1], 1e6), x[1:]])


def with_a_step_after_the_first_block(x):
    return x + 1e6 * (np.arange(len(x)) >= 256)[:, np.newaxis]


def laid_out(values, layout):
    """The same numbers in one of the memory layouts `LAYOUTS`."""
    n, d = values.shape
    if layout == "F":
        return np.asfortranarray(values)
    if layout == "rows":
        wide = np.zeros((2 * n, d), values.dtype)
        wide[::2] = values
        return wide[::2]
    if layout == "columns":
        wide = np.zeros((n, 3 * d), values.dtype)
        wide[:, ::3] = values
        return wide[:, ::3]
    if layout == "reversed":
        return np.ascontiguousarray(values[::-1, ::-1])[::-1, ::-1]
    return np.ascontiguousarray(values)


def operands(n, d):
    """Rows x of large variance, their gradient dy, gamma and beta, all float64."""
    rng = np.random.default_rng(10 * n + d)
    x = 2.0 * np.arange(n)[:, np.newaxis] + rng.uniform(-0.5, 0.5, size=(n, d))
    dy = rng.standard_normal((n, d))
    gamma, beta = rng.standard_normal((2, d))
    return x, dy, gamma, beta


# E[x^2] - E[x]^2 has no correct digit left if the mean is so many standard deviations from 0.
FAR = [(FLOAT32, 1e4), (FLOAT64, 1e8)]
far_offsets = pytest.mark.parametrize(
    ("precision", "offset"), FAR, ids=[f"{precision}-{offset:g}" for precision, offset in FAR]
)


def far_rows(precision, offset, n):
    """Rows of standard deviation 1 about `offset`."""
    rows = offset + np.random.default_rng(n).standard_normal((n, 3))
    return rows.astype(precision.dtype)
