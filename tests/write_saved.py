"""Writes small fitted models of each class into ``tests/saved/format-N``.

A release that has raised ``STATE_FORMAT`` runs this file once, and commits the new folder::

    python tests/write_saved.py

Add files for a new format. Never replace or delete old files: they stand for the files of users,
and ``test_saved_files.py`` loads all of them.
"""

import pickle
import sys
import warnings
from functools import cache
from pathlib import Path
from zipfile import ZIP_DEFLATED

import joblib
import numpy as np
import skops.io as skops

from skbn import (
    BatchNormTransformer,
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
from skbn.estimators.state import STATE_FORMAT

FOLDER = Path(__file__).parent / "saved"

rng = np.random.default_rng(0)
X, S = rng.standard_normal((300, 2)), rng.standard_normal((60, 3, 2))
WORDS = np.array(["no", "perhaps", "yes"])[np.digitize(X[:, 0] + X[:, 1], [-0.7, 0.7])]
LABELS = (X[:, :2] > 0).astype(int)
NUMBERS = X[:, 0] - X[:, 1] ** 2
SMALL = {"hidden_layer_sizes": (3,), "n_epochs": 3, "random_state": 0}
MEMBERS = {"hidden_layer_sizes": (3,), "n_epochs": 3}

# Name -> the estimator, the rows, the targets, and the chunks that partial_fit gets; 0: fit.
MODELS = {
    "transformer": (BatchNormTransformer(), X, None, 0),
    "transformer_average": (BatchNormTransformer(momentum=0.2, batch_size=50), X, None, 0),
    "transformer_steps": (BatchNormTransformer(), S, None, 0),
    "classifier": (MLPWithBatchNormClassifier(**SMALL), X, WORDS, 0),
    "multilabel": (MLPWithBatchNormClassifier(**SMALL, early_stopping=False), X, LABELS, 0),
    "regressor": (MLPWithBatchNormRegressor(**SMALL), X, NUMBERS, 0),
    "stream": (
        MLPWithBatchNormRegressor("squared_error", (4,), dtype="float64", random_state=0),
        X,
        NUMBERS,
        3,
    ),
    "rnn_classifier": (
        RNNWithBatchNormClassifier((2,), n_epochs=2, random_state=0),
        S,
        S[:, 0, 0] > 0,
        0,
    ),
    "rnn_regressor": (
        RNNWithBatchNormRegressor(
            hidden_layer_sizes=(2,), cell="gru", bidirectional=False, n_epochs=2, random_state=0
        ),
        S,
        S[:, 1],
        0,
    ),
    "ensemble_classifier": (
        MLPEnsembleWithBatchNormClassifier(
            MLPWithBatchNormClassifier(**MEMBERS),
            periodic_embeddings=(None, 1.0),
            random_state=0,
        ),
        X,
        WORDS,
        0,
    ),
    "ensemble_regressor": (
        MLPEnsembleWithBatchNormRegressor(
            MLPWithBatchNormRegressor(**MEMBERS, early_stopping=False),
            periodic_embeddings=(None, 1.0),
            random_state=0,
        ),
        X,
        NUMBERS,
        0,
    ),
}

# Every model is stored by pickle, and each way to hold a state by the others too.
BY_JOBLIB = ("transformer", "stream", "rnn_regressor", "ensemble_regressor")
BY_SKOPS = ("transformer_steps", "regressor", "rnn_classifier", "ensemble_classifier")


@cache
def _fitted(name, parameters):
    model, rows, targets, n_chunks = MODELS[name]
    model = type(model)(**model.get_params(deep=False) | dict(parameters))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not n_chunks:
            return model.fit(rows, targets)
        for chunk in range(n_chunks):
            model.partial_fit(rows[chunk::n_chunks], targets[chunk::n_chunks])
    return model


def fitted(name, **parameters):
    """A model of `MODELS`, fitted. The same object in each call: tests must not change it."""
    return _fitted(name, tuple(parameters.items()))


def outputs(model, name, rows=None):
    """What a model says of rows; None: of its first rows. An array of floats."""
    rows = MODELS[name][1][:20] if rows is None else rows
    for method in ("predict_proba", "predict", "transform"):
        if hasattr(model, method):
            return getattr(model, method)(rows)
    raise AssertionError(name)


def write(folder):
    folder.mkdir(parents=True)  # an error if the files are there
    arrays = {"X": X[:20], "S": S[:20]}
    for name in MODELS:
        model = fitted(name)
        arrays[name] = outputs(model, name)
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(model, protocol=5))
        if name in BY_JOBLIB:
            joblib.dump(model, folder / f"{name}.joblib", compress=9)
        if name in BY_SKOPS:
            skops.dump(model, folder / f"{name}.skops", compression=ZIP_DEFLATED, compresslevel=9)
    np.savez_compressed(folder / "expected.npz", **arrays)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if sys.argv[1:] else FOLDER / f"format-{STATE_FORMAT}")
