"""Tables to learn from (a file of a directory, or a data set of OpenML) and their random splits.

A file ``NAME.npz`` has ``X``, ``y`` and ``task``. If columns of ``X`` hold codes, it also has
``categorical``, the numbers of these columns. Missing numbers are NaN.
"""

from dataclasses import dataclass, field

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.datasets import fetch_openml
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from benchmarks.work import LeftOut

TEST_FRACTION = 0.25
MOST_TRAINING_ROWS = 15_000


@dataclass
class Table:
    """Raw rows: `X` has codes of categories and missing numbers, and is not scaled."""

    name: str
    X: np.ndarray
    y: np.ndarray
    is_classification: bool
    categorical: list = field(default_factory=list)


def find(directory, name):
    """The table of a file in `directory`, or of OpenML if there is no such file.

    Raises
    ------
    LeftOut
        If the directory and OpenML do not have the table.
    """
    path = directory / f"{name}.npz" if directory is not None else None
    if path is None or not path.exists():
        return from_openml(name)
    with np.load(path) as file:
        if "X" not in file:
            raise LeftOut(f"{path.name} is no table: it has no X")
        y, is_classification = file["y"], str(file["task"]) == "classification"
        return Table(
            name,
            file["X"],
            np.unique(y, return_inverse=True)[1] if is_classification else y,
            is_classification,
            [int(column) for column in file.get("categorical", ())],
        )


def from_openml(name):
    """The newest active version of a data set. A nominal target gives classes."""
    from pandas.api.types import is_numeric_dtype

    try:
        X, y = fetch_openml(name, as_frame=True, return_X_y=True, parser="auto")
    except Exception as error:  # no network, no such set, a damaged file
        raise LeftOut(f"neither a file nor to be had from OpenML: {error}") from error
    is_category = np.array([not is_numeric_dtype(X[column]) for column in X])
    encoder = OrdinalEncoder(encoded_missing_value=-1)
    numbers = make_column_transformer((encoder, is_category), remainder="passthrough")
    columns = numbers.fit_transform(X).astype(np.float64)
    is_classification = not is_numeric_dtype(y)
    y = np.unique(y, return_inverse=True)[1] if is_classification else y.to_numpy(np.float64)
    return Table(name, columns, y, is_classification, list(range(is_category.sum())))


def split(table, seed):
    """Training and test rows, stratified by class, as plain numbers.

    Each category becomes a column. Missing numbers become the median of the column over the
    training rows.

    Returns
    -------
    X_train, X_test : ndarray of shape (n_rows, n_columns), float64
    y_train, y_test : ndarray of shape (n_rows,)
    """
    stratified = table.is_classification and np.bincount(table.y).min() > 1
    train, test = train_test_split(
        np.arange(len(table.y)),
        test_size=TEST_FRACTION,
        random_state=seed,
        stratify=table.y if stratified else None,
    )
    train = train[:MOST_TRAINING_ROWS]
    encoder = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    columns = make_column_transformer(
        (encoder, table.categorical), remainder=SimpleImputer(strategy="median")
    )
    X_train = columns.fit_transform(table.X[train]).astype(np.float64)
    X_test = columns.transform(table.X[test]).astype(np.float64)
    return X_train, X_test, table.y[train], table.y[test]
