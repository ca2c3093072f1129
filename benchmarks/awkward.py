"""Tables that are awkward to learn from, made from seeds or taken from scikit-learn.

Each entry of ``TABLES`` and ``NOISY`` is a function of a seed. It returns ``X``, ``y`` and whether
`y` holds classes, which are numbered from 0.
"""

from functools import partial

import numpy as np
from sklearn import datasets
from sklearn.preprocessing import OneHotEncoder


def classes(n, seed, **options):
    """`make_classification` with 10 columns, 6 of them informative."""
    X, y = datasets.make_classification(
        n, **{"n_features": 10, "n_informative": 6, "random_state": seed} | options
    )
    return X, y, True


def friedman(n, seed):
    """Ten uniform columns, five of them informative, and noise of standard deviation 1."""
    return *datasets.make_friedman1(n, noise=1.0, random_state=seed), False


def of_scikit_learn(load, is_classification, seed):
    return *load(return_X_y=True), is_classification


def constant_columns(seed):
    """Further ten columns are constant, with numbers from 0 to 1e6."""
    X, y, _ = classes(1000, seed)
    constants = np.tile([0.0, 1.0, -1.0, 0.1, 1e-6, 1e6, 3.0, 1.0 / 3.0, -1e3, 7.0], (len(X), 1))
    return np.hstack([X, constants]), y, True


def cauchy_columns(seed):
    """Five columns of Cauchy noise beside the informative ones."""
    X, y, _ = friedman(2000, seed)
    noise = np.random.default_rng(seed).standard_cauchy((len(X), 5))
    return np.hstack([X, noise]), y, False


def log_normal_columns(seed):
    """The logarithms of the columns are in normal clusters, with deviations of about 4."""
    X, y, _ = classes(1000, seed)
    return np.exp(2.0 * X), y, True


def codes_of_categories(seed, as_numbers=True):
    """Six columns of 20 codes; the target is the sum of an effect of each code, with noise."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 20, (2000, 6))
    effects = rng.standard_normal((6, 20))
    y = effects[np.arange(6), codes].sum(axis=1) + rng.standard_normal(2000)
    if as_numbers:
        return codes.astype(np.float64), y, False
    return OneHotEncoder(sparse_output=False).fit_transform(codes), y, False


def huge_offsets(dtype, seed):
    """Columns around 1e6 with deviations of about 1; single precision rounds them to 1 / 16."""
    X, y, _ = classes(1000, seed)
    return (1e6 + X).astype(dtype), y, True


def two_valued_columns(seed):
    """Twenty columns with two values. Four have an effect each, and a pair has a joint effect."""
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], (1000, 20))
    logits = signs[:, :4].sum(axis=1) + 2.0 * signs[:, 4] * signs[:, 5]
    y = rng.random(1000) < 1.0 / (1.0 + np.exp(-logits))
    return signs * 3.0 + 5.0, y.astype(int), True


def duplicate_columns(seed):
    """Each column appears four times."""
    X, y, _ = classes(1000, seed)
    return np.tile(X, 4), y, True


TABLES = {
    "100 rows": partial(classes, 100),
    "300 rows": partial(classes, 300),
    "500 rows, 1,000 columns": partial(classes, 500, n_features=1000, n_informative=20),
    "26 classes, 5,000 rows": partial(
        classes, 5000, n_features=20, n_informative=15, n_classes=26, n_clusters_per_class=1
    ),
    "constant columns": constant_columns,
    "columns of Cauchy noise": cauchy_columns,
    "log-normal columns": log_normal_columns,
    "integer codes of categories": codes_of_categories,
    "one-hot categories": partial(codes_of_categories, as_numbers=False),
    "offsets of 1e6, float64": partial(huge_offsets, np.float64),
    "offsets of 1e6, float32": partial(huge_offsets, np.float32),
    "two-valued columns": two_valued_columns,
    "duplicate columns": duplicate_columns,
    "iris": partial(of_scikit_learn, datasets.load_iris, True),
    "wine": partial(of_scikit_learn, datasets.load_wine, True),
    "breast cancer": partial(of_scikit_learn, datasets.load_breast_cancer, True),
    "digits": partial(of_scikit_learn, datasets.load_digits, True),
    "diabetes": partial(of_scikit_learn, datasets.load_diabetes, False),
    "friedman1, 40 rows": partial(friedman, 40),
    "friedman1, 300 rows": partial(friedman, 300),
    "friedman1, 2,000 rows": partial(friedman, 2000),
}


def flipped(n, share, seed, **options):
    """A share of the classes is drawn anew."""
    X, y = datasets.make_classification(
        n, n_features=20, flip_y=share, random_state=seed, **options
    )
    return X, y, True


def pure_noise(n, rare, seed):
    """Classes that do not depend on the columns; a share of `rare` rows is of class 1."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 20))
    return X, rng.permutation(np.arange(n) < round(rare * n)).astype(int), True


ROWS = (400, 1000, 2000)
SHARES = (0.05, 0.1, 0.2, 0.3)

NOISY = (
    {f"{s:.0%} flipped, {n} rows": partial(flipped, n, s) for s in SHARES for n in ROWS}
    | {
        f"{s:.0%} flipped, a class of 10 %, {n} rows": partial(flipped, n, s, weights=[0.9])
        for s in SHARES
        for n in ROWS
    }
    | {f"pure noise, {n} rows": partial(pure_noise, n, 0.5) for n in ROWS}
    | {f"pure noise, a class of 10 %, {n} rows": partial(pure_noise, n, 0.1) for n in ROWS}
)
