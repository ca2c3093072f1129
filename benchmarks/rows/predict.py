"""Predicted probabilities of one row and of many rows, against a folded network in scikit-learn."""

import numpy as np

from benchmarks.networks import AS_UPSTREAM, LARGE
from benchmarks.work import OWN, Goal, Sides, Work, compared, timed
from skbn import MLPWithBatchNormClassifier

GOALS = {
    (1, "float32"): 2,
    (1, "float64"): 2,
    (100_000, "float32"): 1.6,
    (100_000, "float64"): 3,
}


def sides(n, dtype, options, peers):
    """Our network with batch norm, and scikit-learn's network that makes the same predictions."""
    training = LARGE[0]
    own = MLPWithBatchNormClassifier(
        training.units[1:-1], batch_size=training.batch_size, **AS_UPSTREAM
    )
    X, y = training.rows(dtype)
    own.partial_fit(X, y, classes=np.unique(y))
    theirs = own.to_sklearn()
    # scikit-learn's network then computes in the dtype of these rows, as after a training on them.
    theirs.coefs_ = [array.astype(dtype) for array in theirs.coefs_]
    theirs.intercepts_ = [array.astype(dtype) for array in theirs.intercepts_]
    X = np.resize(X, (n, X.shape[1]))
    check = compared(
        "probabilities", [own.predict_proba(X[:1000])], [theirs.predict_proba(X[:1000])], 1e-4
    )
    return Sides(
        {OWN: lambda: own.predict_proba(X), "sklearn": lambda: theirs.predict_proba(X)},
        checks={"sklearn": check},
    )


WORKS = [
    Work(
        f"predict_proba-{n}/{dtype}",
        {"sklearn": Goal("faster", goal)},
        timed(sides, n, np.dtype(dtype)),
    )
    for (n, dtype), goal in GOALS.items()
]
