"""Small recurrent networks and sequences for tests."""

import copy
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skbn import RNNWithBatchNormClassifier, RNNWithBatchNormRegressor

BOTH = [RNNWithBatchNormClassifier, RNNWithBatchNormRegressor]

# One of each kind of layer that there is code of its own for.
LAYERS = [
    {"cell": "lstm", "pooling": "last"},
    {"cell": "gru", "pooling": "last"},
    {"cell": "tanh", "pooling": "last"},
    {"cell": "lstm", "pooling": "last", "batch_norm": "input", "time_statistics": "shared"},
    {"cell": "lstm", "time_statistics": "shared", "bidirectional": True},
    {"cell": "gru", "batch_norm": "input", "bidirectional": True},
    {"cell": "tanh", "pooling": "last", "time_statistics": "shared", "hidden_layer_sizes": (4, 3)},
    {"cell": "gru", "hidden_layer_sizes": (4, 3), "bidirectional": True},
    {"cell": "lstm", "pooling": "last", "hidden_layer_sizes": (4, 3)},
    {"cell": "lstm", "pooling": "mean_max", "bidirectional": True},
    {"cell": "gru", "pooling": "max", "bidirectional": False, "time_statistics": "shared"},
    {"cell": "tanh", "pooling": "mean", "bidirectional": False, "hidden_layer_sizes": (4, 3)},
]
PLAIN_LAYERS = [
    {"cell": "lstm", "pooling": "last", "batch_norm": None},
    {"cell": "gru", "batch_norm": None, "bidirectional": True},
    {"cell": "tanh", "pooling": "last", "batch_norm": None, "hidden_layer_sizes": (4, 3)},
    {"cell": "gru", "batch_norm": None, "pooling": "mean_max"},
]


def named(layers):
    """A test id of parameters."""
    return "-".join(f"{value}" for value in layers.values()).replace(" ", "")


def sequences(n=60, n_steps=6, n_features=3, *, ragged=False, seed=0):
    """Sequences whose features have different units; of at least three steps if `ragged`."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, n_steps, n_features))
    X = X * (10.0 ** np.arange(n_features)) + 5.0 * np.arange(n_features)
    if ragged:
        lengths = rng.integers(3, n_steps + 1, n)
        lengths[0] = n_steps
        X[np.arange(n_steps) >= lengths[:, np.newaxis]] = np.nan
    return X


def targets_of(cls, X):
    """Two classes, or a real target, by what the first two steps hold."""
    score = X[:, 0, 0] + X[:, 1, 0]
    return (score > 0).astype(int) if cls is RNNWithBatchNormClassifier else 1000 * score + 7


def data_for(cls, n=60, **parameters):
    X = sequences(n, **parameters)
    return X, targets_of(cls, X)


def small(cls=RNNWithBatchNormClassifier, **parameters):
    """An estimator that is fitted in a moment."""
    parameters = {
        "hidden_layer_sizes": (4,),
        "max_iter": 4,
        "tol": 0.0,
        "batch_size": 16,
        "random_state": 0,
        "n_iter_no_change": 1000,
    } | parameters
    return cls(**parameters)


def quietly(call, *arguments, **keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return call(*arguments, **keywords)


def fitted(estimator, *arguments, **keywords):
    return quietly(estimator.fit, *arguments, **keywords)


def classes_for(cls):
    """What the first call of ``partial_fit`` needs."""
    return {"classes": [0, 1]} if cls is RNNWithBatchNormClassifier else {}


def state(estimator):
    """Everything in an estimator, copied."""
    return copy.deepcopy(vars(estimator))


def assert_same_state(actual, desired):
    assert actual.keys() == desired.keys()
    for name, value in desired.items():
        np.testing.assert_equal(actual[name], value, err_msg=name)
