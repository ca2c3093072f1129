"""Sequences of public data sets, from a directory of ``.npz`` files.

A file has ``X_train``, ``y_train``, ``X_test`` and ``y_test``: sequences of shape (n, steps,
features), and ``lengths_train`` and ``lengths_test`` if they differ in length; or pictures of shape
(n, 28, 28).
"""

import numpy as np

from benchmarks.data import arrays

PICTURES = "fashion_mnist"


def load(directory, name):
    """X_train, X_test, y_train, y_test. Steps behind the end of a sequence are NaN."""
    stored = arrays(directory, name)
    X = {part: stored[f"X_{part}"].astype(np.float32) for part in ("train", "test")}
    for part, values in X.items():
        lengths = stored.get(f"lengths_{part}")
        if lengths is not None:
            values[np.arange(values.shape[1]) >= lengths[:, np.newaxis]] = np.nan
    return X["train"], X["test"], stored["y_train"], stored["y_test"]


def rows_of(pictures):
    """Pictures as sequences of their rows, shape (n, 28, 28), between 0 and 1."""
    return pictures / np.float32(255.0)


def pixels_of(pictures):
    """Pictures as sequences of their pixels, shape (n, 784, 1), between 0 and 1."""
    return rows_of(pictures).reshape(len(pictures), -1, 1)


def permuted_pixels_of(pictures):
    """Pictures as sequences of their pixels in a random order, the same for all pictures."""
    order = np.random.default_rng(0).permutation(pictures[0].size)
    return np.ascontiguousarray(pixels_of(pictures)[:, order])


TASKS = {"rows": rows_of, "pixels": pixels_of, "permuted": permuted_pixels_of}
