"""The transformer on a table larger than any cache, against StandardScaler and one pass."""

import numpy as np
from sklearn.preprocessing import StandardScaler

from benchmarks.work import OWN, Goal, Sides, Work, compared, timed
from skbn import BatchNormTransformer

SHAPE = (1_000_000, 50)


def table(dtype):
    """Columns of different means and spreads."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal(SHAPE, dtype=np.float32).astype(dtype, copy=False)
    X *= rng.uniform(0.5, 2.0, SHAPE[1]).astype(dtype)
    X += rng.standard_normal(SHAPE[1]).astype(dtype)
    return X


def moments(scaler):
    """The statistics of a fitted transformer."""
    if isinstance(scaler, StandardScaler):
        return scaler.mean_, scaler.var_
    return scaler.running_mean_, scaler.running_var_


def partial_fit_sides(dtype, options, peers):
    """A first ``partial_fit`` on the whole table, and the sum of the table, which reads it once."""
    X = table(dtype)
    runs = {
        OWN: lambda: BatchNormTransformer().partial_fit(X),
        "StandardScaler": lambda: StandardScaler().partial_fit(X),
        "sum": X.sum,
    }
    ours, theirs = (moments(runs[side]()) for side in (OWN, "StandardScaler"))
    check = compared("means and variances", ours, theirs, 1e-4)
    return Sides({side: runs[side] for side in (OWN, *peers)}, checks={"StandardScaler": check})


def transform_sides(dtype, options, peers):
    """``transform`` into a new array, and a copy of the table, which also makes a new array."""
    X = table(dtype)
    # Both sides must divide by the same variances.
    own = BatchNormTransformer(epsilon=1e-12).fit(X)
    theirs = StandardScaler().fit(X)
    runs = {
        OWN: lambda: own.transform(X),
        "StandardScaler": lambda: theirs.transform(X),
        "copy": X.copy,
    }
    check = compared("outputs", [own.transform(X[:1000])], [theirs.transform(X[:1000])], 1e-4)
    return Sides({side: runs[side] for side in (OWN, *peers)}, checks={"StandardScaler": check})


WORKS = [
    Work(f"transformer.{method}/{dtype}", goals, timed(sides, np.dtype(dtype)))
    for method, sides, goals in (
        (
            "partial_fit",
            partial_fit_sides,
            {"StandardScaler": Goal("faster", 15), "sum": Goal("within", 1.3)},
        ),
        (
            "transform",
            transform_sides,
            {"StandardScaler": Goal("faster", 3), "copy": Goal("within", 1.2)},
        ),
    )
    for dtype in ("float32", "float64")
]
