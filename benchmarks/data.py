"""Public data sets from a directory of ``.npz`` files, as numbers that networks accept.

A file has ``X`` and ``y``, and may have ``train_idx`` and ``test_idx`` (a published split) and
``categorical`` (columns of ``X`` that hold codes); or ``X_train``, ``y_train``, ``X_test`` and
``y_test`` (images).
"""

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder

from benchmarks.work import LeftOut


def arrays(directory, name):
    """The arrays of a file, by name; raises `LeftOut` if there is no file."""
    if directory is None:
        raise LeftOut("no directory of data sets: give --data or set SKBN_DATA")
    path = directory / f"{name}.npz"
    if not path.exists():
        raise LeftOut(f"{path.name} is not in the directory of data sets")
    with np.load(path) as file:
        return dict(file)


def load(directory, name):
    """X_train, X_test, y_train, y_test and whether y holds classes; X float32, not scaled."""
    stored = arrays(directory, name)
    is_classification = str(stored["task"]) == "classification"
    if "X_train" in stored:
        X_train, X_test = (
            stored[key].reshape(len(stored[key]), -1).astype(np.float32)
            for key in ("X_train", "X_test")
        )
        return X_train, X_test, stored["y_train"], stored["y_test"], is_classification
    X, y = numbers(stored["X"], stored.get("categorical", ())), stored["y"]
    if "train_idx" in stored:
        train, test = stored["train_idx"], stored["test_idx"]
    else:
        train, test = train_test_split(np.arange(len(y)), random_state=0)
    return X[train], X[test], y[train], y[test], is_classification


def numbers(X, categorical):
    """Columns of codes as one column for each code."""
    if len(categorical) == 0:
        return X
    encoder = OneHotEncoder(sparse_output=False, dtype=np.float32)
    columns = make_column_transformer((encoder, list(categorical)), remainder="passthrough")
    return columns.fit_transform(X).astype(np.float32)
