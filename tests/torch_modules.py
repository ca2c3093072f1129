"""Fitted estimators and tables for the tests of modules of PyTorch."""

import numpy as np
import torch

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor

torch.set_num_threads(1)

TOLERANCES = {"float64": 1e-6, "float32": 1e-5}

# Few and short epochs. The rate makes running statistics, gammas and betas differ from their start.
SMALL = {"hidden_layer_sizes": (9, 7), "n_epochs": 4, "batch_size": 32, "random_state": 0}


def table(n=300, offset=0.0):
    """Columns of several kinds and units: real, two values, constant, counts, heavy tails."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n, 7))
    X[:, 1] = X[:, 1] > 0.5
    X[:, 2] = 4.0
    X[:, 3] = rng.poisson(2.0, n)
    X[:, 4] = 1e3 * X[:, 4] ** 3
    X[:, 6] *= 1e-3
    return X + offset


def targets(kind, X):
    """Targets of one kind for the rows of `table`."""
    rng = np.random.default_rng(4)
    score = (X - X.mean(axis=0))[:, [0, 5, 6]] * [1.0, 1.0, 1e3]
    score = score + 0.3 * rng.standard_normal(score.shape)
    return {
        "two classes": lambda: np.array(["no", "yes"])[(score[:, 0] > 0.4).astype(int)],
        "three classes": lambda: np.array(["a", "b", "c"])[np.argmax(score, axis=1)],
        "one class": lambda: np.full(len(X), "only"),
        "labels": lambda: (score > 0.3).astype(int),
        "one target": lambda: 1e3 * score[:, 0] + 5e3,
        "two targets": lambda: score[:, :2] * [1.0, 1e-2] + [0.0, 1e3],
        "constant target": lambda: np.column_stack([score[:, 0], np.full(len(X), 7.25)]),
        "counts": lambda: rng.poisson(np.exp(score[:, :2])).astype(float),
        "constant counts": lambda: np.column_stack(
            [rng.poisson(np.exp(score[:, 0])), np.full(len(X), 3.0), np.zeros(len(X))]
        ),
    }[kind]()


CLASSES = ("two classes", "three classes", "one class", "labels")


def fitted(kind, X=None, y=None, **parameters):
    """A small perceptron fitted to targets of one kind, by default to those of `targets`."""
    X = table() if X is None else X
    y = targets(kind, X) if y is None else y
    cls = MLPWithBatchNormClassifier if kind in CLASSES else MLPWithBatchNormRegressor
    if "counts" in kind:
        parameters = {"loss": "poisson"} | parameters
    return cls(**SMALL | parameters).fit(X, y)


def norm_relative(actual, desired):
    """Largest difference over the largest value of each column; a constant column is its own."""
    actual, desired = np.asarray(actual, float), np.asarray(desired, float)
    assert actual.shape == desired.shape
    return (np.abs(actual - desired).max(axis=0) / np.abs(desired).max(axis=0)).max()


def assert_same_predictions(module, model, X, tolerance):
    """The predictions of a module and of an estimator agree for float64 and float32 rows."""
    for rows in (X, X.astype(np.float32)):
        with torch.inference_mode():
            x = torch.from_numpy(rows)
            labels = module.predict(x)
            if not hasattr(model, "classes_"):
                desired = model.predict(rows)
                assert labels.numpy().dtype == desired.dtype
                assert norm_relative(labels.numpy(), desired) < tolerance
                continue
            chances = module.predict_proba(x).numpy()
        desired = model.predict_proba(rows)
        assert chances.dtype == desired.dtype
        np.testing.assert_allclose(chances, desired, rtol=0.0, atol=tolerance)
        # A row between two classes may fall to either side.
        away = np.ones(len(rows), bool)
        if chances.ndim == 2 and chances.shape[1] > 1 and not _is_multilabel(labels):
            first, second = np.sort(desired, axis=1)[:, :-3:-1].T
            away = first - second > 2 * tolerance
        assert away.mean() > 0.9
        numbers = labels.numpy()
        shown = numbers if _is_multilabel(labels) else module.classes_[numbers]
        np.testing.assert_array_equal(shown[away], model.predict(rows)[away])


def _is_multilabel(labels):
    return labels.ndim == 2


def assert_same_state(one, other):
    """Parameters, statistics and counts of two perceptrons are equal bit by bit."""
    np.testing.assert_array_equal(one._parameters, other._parameters, strict=True)
    np.testing.assert_array_equal(one._statistics, other._statistics, strict=True)
    assert one._n_batches_tracked == other._n_batches_tracked
    assert one._n_steps_tracked == other._n_steps_tracked
    assert getattr(one, "temperature_", None) == getattr(other, "temperature_", None)
    prior = getattr(one, "_prior_outputs", None)
    np.testing.assert_array_equal(prior, getattr(other, "_prior_outputs", None))
