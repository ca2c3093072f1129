"""A whole ``fit`` with the defaults, on a noisy problem, against scikit-learn's network.

All estimators have their defaults and train to their own end: our network and our ensemble on the
raw columns, scikit-learn's network behind a `StandardScaler`. The sizes, batches and epochs differ,
so the check compares accuracies: our accuracy on other rows must not be below scikit-learn's
accuracy by more than `LESS_ACCURATE`. The members of the ensemble share the threads that the
command allows.
"""

import numpy as np
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.rows.time_to_score import fit_seconds
from benchmarks.work import OWN, Check, Goal, Measurement, Work
from skbn import MLPEnsembleWithBatchNormClassifier, MLPWithBatchNormClassifier

ROWS, TEST_ROWS = 15_000, 5_000
MOST_REPEATS = 3
LESS_ACCURATE = 0.01


def table():
    """X and classes: 20 columns, 10 of them informative; every tenth row has a random class."""
    X, y = make_classification(
        ROWS + TEST_ROWS, 20, n_informative=10, flip_y=0.1, class_sep=0.8, random_state=0
    )
    return X.astype(np.float32), y


def measure(ours, options, peers):
    """Seconds of both ``fit`` calls, in turns, and how far our accuracy is below scikit-learn's."""
    X, y = table()
    estimators = {
        OWN: ours(random_state=0),
        "sklearn": make_pipeline(StandardScaler(), MLPClassifier(random_state=0)),
    }
    samples = {side: [] for side in (OWN, *peers)}
    for _ in range(min(options.repeats, MOST_REPEATS)):
        for side, values in samples.items():
            values.append(fit_seconds(estimators[side], X[:ROWS], y[:ROWS]))
    scores = {side: estimators[side].score(X[ROWS:], y[ROWS:]) for side in samples}
    checks = {
        peer: Check("accuracy missing", max(scores[peer] - scores[OWN], 0.0), LESS_ACCURATE)
        for peer in peers
    }
    return Measurement(samples, checks)


def work(name, ours, goal):
    return Work(
        f"fit-default/{name}",
        {"sklearn": Goal("faster", goal)},
        lambda options, peers: measure(ours, options, peers),
    )


WORKS = [
    work("network", MLPWithBatchNormClassifier, 4),
    work("ensemble", MLPEnsembleWithBatchNormClassifier, 1.5),
]
