"""
===============================================
Sequences of different length, and a search
===============================================

Sequences come from lists and from the arrays of other packages, and go back. A grid search then
chooses the cell and the learning rate.
"""

import numpy as np
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skbn import BatchNormTransformer, RNNWithBatchNormClassifier


def padded(series):
    """Series of shape (n_steps_i, n_features) as one array, NaN behind the shorter ones.

    tslearn's ``to_time_series_dataset(series)`` returns the same array.
    """
    n_steps = max(len(one) for one in series)
    X = np.full((len(series), n_steps, series[0].shape[1]), np.nan)
    for row, one in zip(X, series, strict=True):
        row[: len(one)] = one
    return X


def unpadded(X):
    """The real part of each sequence, a list of arrays of shape (n_steps_i, n_features)."""
    return [row[~np.isnan(row).all(axis=1)] for row in X]


def from_aeon(cases):
    """aeon's and sktime's arrays (n_cases, n_channels, n_timepoints), or a list of unequal ones."""
    if isinstance(cases, np.ndarray):
        return cases.swapaxes(1, 2)
    return padded([case.T for case in cases])


def to_aeon(X):
    """The way back: an array where all sequences are of one length, a list otherwise."""
    if np.isnan(X).any():
        return [one.T for one in unpadded(X)]
    return X.swapaxes(1, 2)


def waves(n=240, seed=0):
    """A list of noisy waves in two channels; the class is which of them is ahead."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    cases = []
    for label in y:
        time = rng.uniform(0.0, 6.0) + 0.6 * np.arange(rng.integers(12, 25))
        case = np.stack([np.sin(time), np.sin(time + (0.8 if label else -0.8))])
        cases.append(100.0 + 10.0 * (case + 0.3 * rng.standard_normal(case.shape)))
    return cases, np.where(y, "first", "second")


def main():
    cases, y = waves()
    X = from_aeon(cases)
    # The network normalizes its inputs by itself; this one leaves it to the step in front. There,
    # statistics per step would be those of the few sequences that reach the last steps.
    model = make_pipeline(
        BatchNormTransformer(time_statistics="shared"),
        RNNWithBatchNormClassifier((16,), normalize_input=None, max_iter=30, random_state=0),
    )
    grid = {
        "rnnwithbatchnormclassifier__learning_rate_init": [0.001, 0.03],
        "rnnwithbatchnormclassifier__cell": ["lstm", "gru"],
    }
    search = GridSearchCV(model, grid, cv=3).fit(X[:160], y[:160])
    score = search.score(X[160:], y[160:])
    print(f"{search.best_params_}: accuracy {score:.3f}")
    return score


if __name__ == "__main__":
    main()
