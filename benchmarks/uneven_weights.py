"""Weights for the statistics of batch norm if the weights of the rows are uneven.

    python -m benchmarks.uneven_weights                 # all situations, ten seeds: an hour
    python -m benchmarks.uneven_weights --seeds 2 --situations 'rare 2 %*'

Each situation trains the same network on the same weighted rows: without batch norm, and with batch
norm under several *measures*. A measure is a choice of the weights of the statistics: the weights
of the loss, equal weights, or tempered weights (a power of the weights, or clipped weights) until
no row stands out. "the package's" is ``skbn.estimators.statistics_weight``. The score of
classifiers is the balanced accuracy on 20,000 new rows (4,000 sequences). The score of regressors
is the R2 on 4,000 new rows.
"""

import argparse
import warnings
from contextlib import contextmanager
from fnmatch import fnmatch

import numpy as np
from scipy.optimize import brentq
from sklearn.datasets import make_friedman1
from sklearn.metrics import balanced_accuracy_score

from skbn import (
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
)
from skbn.estimators import base
from skbn.estimators.statistics_weight import statistics_weight


def effective_share(weight):
    """Kish's effective number of rows, divided by the number of rows."""
    return weight.mean() ** 2 / np.square(weight).mean()


def powered(weight, stands_out):
    """``weight ** t`` with the largest t <= 1 at which ``stands_out(weight ** t) <= 0``."""
    logarithms = np.log(weight) - np.log(weight).max()
    if stands_out(weight) <= 0.0:
        return weight
    return np.exp(brentq(lambda t: stands_out(np.exp(t * logarithms)), 0.0, 1.0) * logarithms)


def clipped(weight):
    """Weights clipped at twice the mean of the clipped weights."""

    def excess(log_bound):
        cut = np.minimum(weight, np.exp(log_bound))
        return cut.max() / cut.mean() - 2.0

    if excess(np.log(weight.max())) <= 0.0:
        return weight
    return np.minimum(weight, np.exp(brentq(excess, *np.log([weight.min(), weight.max()]))))


# Measures: functions of the weights; two entries stand for the package's own weights and for
# training without batch norm.
MEASURES = {
    "no batch norm": None,
    "as the loss": lambda weight: weight,
    "all alike": np.ones_like,
    "power, share 0.6": lambda weight: powered(weight, lambda w: 0.6 - effective_share(w)),
    "power, 2 means": lambda weight: powered(weight, lambda w: w.max() - 2.0 * w.mean()),
    "clipped, 2 means": clipped,
    "the package's": None,
}


@contextmanager
def measure(function):
    """Context in which ``function(sample_weight)`` weights the statistics, unless it is None."""
    if function is not None:
        base.statistics_weight = lambda weight, is_one_batch: function(weight)
    try:
        yield
    finally:
        base.statistics_weight = statistics_weight


def rare_rows(n, share, rng):
    """Two columns of normal numbers; a share of the rows is shifted by 3 standard deviations."""
    y = np.zeros(n, int)
    y[rng.permutation(n)[: max(2, round(n * share))]] = 1
    X = rng.standard_normal((n, 2))
    X[y == 1] += 3.0
    return X, y


def rare_sequences(n, share, rng):
    """Twelve steps of two features; a share of the sequences is shifted by 1."""
    y = np.zeros(n, int)
    y[rng.permutation(n)[: max(4, round(n * share))]] = 1
    X = rng.standard_normal((n, 12, 2))
    X[y == 1] += 1.0
    return X, y


def classified(share, n, class_weight, **parameters):
    """Score of a perceptron trained on rows with a rare class."""

    def score(seed, normalized):
        rng = np.random.default_rng(seed)
        X, y = rare_rows(n, share, rng)
        X_new, y_new = rare_rows(20_000, max(share, 0.01), rng)
        options = parameters if normalized else parameters | {"batch_norm": None}
        model = MLPWithBatchNormClassifier(class_weight=class_weight, random_state=seed, **options)
        return balanced_accuracy_score(y_new, model.fit(X, y).predict(X_new))

    return score


def streamed(n_epochs, rows_of_a_call, class_weight):
    """Score of a perceptron trained by ``partial_fit`` on 3,000 rows, 2 % of a rare class."""

    def score(seed, normalized):
        rng = np.random.default_rng(seed)
        X, y = rare_rows(3_000, 0.02, rng)
        X_new, y_new = rare_rows(20_000, 0.02, rng)
        model = MLPWithBatchNormClassifier(
            class_weight=class_weight,
            random_state=seed,
            batch_norm="before" if normalized else None,
        )
        for start in n_epochs * list(range(0, 3_000, rows_of_a_call)):
            rows = slice(start, start + rows_of_a_call)
            model.partial_fit(X[rows], y[rows], classes=[0, 1])
        return balanced_accuracy_score(y_new, model.predict(X_new))

    return score


def regressed(sigma, **parameters):
    """Score of a perceptron trained on 2,000 rows with log-normal weights."""

    def score(seed, normalized):
        X, y = make_friedman1(6_000, noise=0.5, random_state=seed)
        weight = np.exp(sigma * np.random.default_rng(seed).standard_normal(2_000))
        options = parameters if normalized else parameters | {"batch_norm": None}
        model = MLPWithBatchNormRegressor(random_state=seed, **options)
        return model.fit(X[:2_000], y[:2_000], weight).score(X[2_000:], y[2_000:])

    return score


def recurred(**parameters):
    """Score of an LSTM trained on 600 sequences, 3 % of a rare class."""

    def score(seed, normalized):
        rng = np.random.default_rng(seed)
        X, y = rare_sequences(600, 0.03, rng)
        X_new, y_new = rare_sequences(4_000, 0.1, rng)
        options = parameters if normalized else parameters | {"batch_norm": None}
        model = RNNWithBatchNormClassifier(
            (32,), class_weight="balanced", max_iter=40, random_state=seed, **options
        )
        return balanced_accuracy_score(y_new, model.fit(X, y).predict(X_new))

    return score


SITUATIONS = {
    **{
        f"rare 2 % of 1,000, weight {ratio}, batch 32": classified(0.02, 1_000, {1: ratio})
        for ratio in (1, 2, 3, 10, 49, 100, 1_000)
    },
    **{
        f"rare 2 % of 1,000, weight 49, batch {rows}": classified(
            0.02, 1_000, {1: 49}, batch_size=rows
        )
        for rows in (64, 128)
    },
    "rare 2 % of 1,000, weight 3, batch 128": classified(0.02, 1_000, {1: 3}, batch_size=128),
    "rare 2 % of 1,000, weight 49, batch 32, after": classified(
        0.02, 1_000, {1: 49}, batch_norm="after"
    ),
    "rare 2 % of 1,000, weight 49, L-BFGS": classified(0.02, 1_000, {1: 49}, solver="lbfgs"),
    "rare 10 % of 1,000, weight 2, batch 32": classified(0.1, 1_000, {1: 2}),
    "even 50 % of 1,000, weight 10, batch 32": classified(0.5, 1_000, {1: 10}),
    "rare 1 % of 20,000, balanced": classified(0.01, 20_000, "balanced"),
    "rare 0.2 % of 20,000, balanced": classified(0.002, 20_000, "balanced"),
    "rare 2 % of a stream, weight 1": streamed(4, 50, None),
    "rare 2 % of a stream, weight 2": streamed(4, 50, {0: 1, 1: 2}),
    "rare 2 % of a stream, weight 3": streamed(4, 50, {0: 1, 1: 3}),
    "rare 2 % of a stream, weight 49": streamed(4, 50, {0: 1, 1: 49}),
    **{f"log-normal weights, sigma {sigma}": regressed(sigma) for sigma in (0, 0.5, 1, 2, 3)},
    "log-normal weights, sigma 3, batch 128": regressed(3, batch_size=128),
    "log-normal weights, sigma 3, after": regressed(3, batch_norm="after"),
    "LSTM, rare 3 % of 600, full": recurred(),
    "LSTM, rare 3 % of 600, input": recurred(batch_norm="input"),
}


def main(argv=None):
    """Measure and print a line for each situation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--situations", default="*", help="names, * and ? allowed")
    arguments = parser.parse_args(argv)
    print(f"{'median (mean, standard error)':48}" + "".join(f"{name:>24}" for name in MEASURES))
    for name, score in SITUATIONS.items():
        if not fnmatch(name, arguments.situations):
            continue
        cells = []
        for name_of_measure, function in MEASURES.items():
            normalized = name_of_measure != "no batch norm"
            with measure(function), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scores = [score(seed, normalized) for seed in range(arguments.seeds)]
            error = np.std(scores, ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else np.nan
            cells.append(f"{np.median(scores):.3f} ({np.mean(scores):.3f}, {error:.3f})")
        print(f"{name:48}" + "".join(f"{cell:>24}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
