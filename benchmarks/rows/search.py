"""A search over eight learning rates with five folds on the digits, the refit included.

All fits have the same epochs, batches, optimizer and sizes, and shuffle the rows. Our network and
skorch's network have batch norm. scikit-learn's network has no batch norm.
"""

import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier

from benchmarks.networks import AS_UPSTREAM
from benchmarks.peers import torch_layers
from benchmarks.work import OWN, Check, Goal, Sides, Work, timed
from skbn import MLPWithBatchNormClassifier

LEARNING_RATES = np.geomspace(0.0003, 0.1, 8).tolist()
EPOCHS, BATCH_SIZE, HIDDEN = 20, 200, (100,)
FIXED_LENGTH = {"max_iter": EPOCHS, "tol": 0.0, "n_iter_no_change": EPOCHS}


def sides(options, peers):
    """The same search for each estimator. The searches agree if their best scores agree."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16.0).astype(np.float32)
    common = {"batch_size": BATCH_SIZE, "random_state": 0, **FIXED_LENGTH}
    makers = {
        OWN: lambda: MLPWithBatchNormClassifier(HIDDEN, **AS_UPSTREAM | common),
        "sklearn": lambda: MLPClassifier(HIDDEN, **common),
        "skorch": lambda: skorch_classifier([X.shape[1], *HIDDEN, len(np.unique(y))]),
    }
    rates = {"skorch": "lr"}
    searches = {
        side: GridSearchCV(
            makers[side](), {rates.get(side, "learning_rate_init"): LEARNING_RATES}, cv=5
        )
        for side in (OWN, *peers)
    }
    runs = {side: lambda search=search: run(search, X, y) for side, search in searches.items()}
    best = {side: search() for side, search in runs.items()}
    checks = {p: Check("best scores", abs(best[OWN] - best[p]), 0.03) for p in peers}
    return Sides(runs, checks=checks)


def run(search, X, y):
    """Search; the best score."""
    with warnings.catch_warnings():
        # All sides run a fixed number of epochs, so that they do equal work. scikit-learn warns
        # then.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return search.fit(X, y).best_score_


def skorch_classifier(units):
    """skorch's estimator of the same network."""
    import torch
    from skorch import NeuralNetClassifier

    return NeuralNetClassifier(
        torch_layers,
        module__units=units,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        max_epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks__print_log=None,
        verbose=0,
    )


WORKS = [
    Work(
        "search/digits",
        {"sklearn": Goal("faster", 3.4), "skorch": Goal("faster", 12)},
        timed(sides, most_repeats=3),
    )
]
