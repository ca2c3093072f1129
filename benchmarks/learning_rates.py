"""The networks of skbn and of scikit-learn at learning rates over five decades.

    python -m benchmarks.learning_rates        # writes docs/results/learning_rates.json

Accuracy in cross-validation on scikit-learn's digits. All networks have three layers of 64 units.
Stochastic gradient descent with momentum trains them at a constant learning rate for 20 epochs.
scikit-learn's network gets standardized inputs. If the loss or the weights of a fit overflow, the
fit has diverged. The front page of the documentation draws the file.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbn import MLPWithBatchNormClassifier

OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "results" / "learning_rates.json"
RATES = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]
FOLDS = 5


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", metavar="FILE", type=Path, default=OUTPUT)
    parser.add_argument("--rates", metavar="RATE", type=float, nargs="+", default=RATES)
    parser.add_argument("--epochs", metavar="N", type=int, default=20)
    parser.add_argument("--jobs", metavar="N", type=int, default=2)
    arguments = parser.parse_args(argv)
    results = measure(arguments.rates, arguments.epochs, arguments.jobs)
    arguments.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def networks(rate, epochs):
    """Name and estimator of each network, untrained."""
    common = {
        "hidden_layer_sizes": (64, 64, 64),
        "activation": "relu",
        "solver": "sgd",
        "batch_size": 64,
        "learning_rate": "constant",
        "learning_rate_init": rate,
        "max_iter": epochs,
        "n_iter_no_change": epochs + 1,
        "early_stopping": False,
        "random_state": 0,
    }
    yield (
        "scikit-learn's MLPClassifier, standardized inputs",
        make_pipeline(StandardScaler(), MLPClassifier(**common)),
    )
    yield (
        "MLPWithBatchNormClassifier(batch_norm=None)",
        MLPWithBatchNormClassifier(batch_norm=None, **common),
    )
    yield "MLPWithBatchNormClassifier", MLPWithBatchNormClassifier(**common)


def measure(rates, epochs, jobs):
    """The content of the file: for each network and learning rate the scores of the folds.

    The scores of a rate are None if a fit of it diverged.
    """
    X, y = load_digits(return_X_y=True)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    series = {}
    for rate in rates:
        for name, network in networks(rate, epochs):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                warnings.simplefilter("ignore", FitFailedWarning)
                warnings.filterwarnings("ignore", "invalid value|overflow", RuntimeWarning)
                try:
                    scores = cross_val_score(network, X, y, cv=folds, n_jobs=jobs)
                except ValueError:  # all fits failed
                    scores = np.full(FOLDS, np.nan)
            entry = [round(float(score), 4) for score in scores]
            series.setdefault(name, []).append(entry if np.isfinite(scores).all() else None)
            print(f"{rate:<8g} {name:50} {scores.mean():.3f}", flush=True)
    return {
        "command": "python -m benchmarks.learning_rates",
        "data": "scikit-learn's digits: 1,797 rows, 64 columns, 10 classes",
        "epochs": epochs,
        "rates": rates,
        "accuracy": series,
    }


if __name__ == "__main__":
    main()
