"""Errors about validation rows name the argument that is at fault."""

import warnings

import numpy as np
import pandas as pd
import pytest
from rnns import sequences
from scipy.sparse import csr_array

from skbn import (
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)

N = 40
TABLE = np.random.default_rng(0).standard_normal((N, 3))
CLASSES = (TABLE[:, 0] > 0).astype(int)
FORMS = {
    "table": TABLE,
    "sparse": csr_array(TABLE),
    "frame": pd.DataFrame(TABLE, columns=["a", "b", "X"]),
    "sequences": sequences(N),
    "rows of steps": TABLE,
}
MLPS = (MLPWithBatchNormClassifier, MLPWithBatchNormRegressor)
RNNS = (RNNWithBatchNormClassifier, RNNWithBatchNormRegressor)
CASES = [(cls, form) for cls in MLPS for form in ("table", "sparse", "frame")]
CASES += [(cls, form) for cls in RNNS for form in ("sequences", "rows of steps")]


def is_classifier(cls):
    return hasattr(cls, "predict_proba")


def targets_of(cls):
    return CLASSES if is_classifier(cls) else TABLE[:, 0] + 5.0


def small(cls, **parameters):
    return cls(hidden_layer_sizes=(3,), max_iter=1, early_stopping="auto", **parameters)


def message_of(cls, X, y, incremental, given, **parameters):
    """What a call says of validation rows."""
    estimator = small(cls, **parameters)
    call, options = estimator.fit, {}
    if incremental:
        call = estimator.partial_fit
        options = {"classes": [0, 1]} if is_classifier(cls) else {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X_val does not have valid feature names")
        with pytest.raises((ValueError, TypeError)) as raised:
            call(X, y, **options, **given)
    assert not hasattr(estimator, "n_features_in_")
    return str(raised.value)


def with_entry(X, value):
    if hasattr(X, "iloc"):
        X = X.copy()
        X.iloc[2, 1] = value
        return X
    if hasattr(X, "toarray"):
        return csr_array(with_entry(X.toarray(), value))
    X = X.copy()
    X[(2, 1) if X.ndim == 2 else (2, 1, 1)] = value
    return X


def first_columns(X):
    return X.iloc[:, :2] if hasattr(X, "iloc") else X[..., :2]


WRONG_X = {
    "NaN": (lambda X: with_entry(X, np.nan), "NaN"),
    "infinity": (lambda X: with_entry(X, np.inf), "contains infinity"),
    "columns": (first_columns, ""),
    "no rows": (lambda X: X[:0], "0 sample"),
    "one number": (lambda X: 3, ""),
    "one dimension": (lambda X: np.zeros(N), "Expected 2D array, got 1D array"),
    "four dimensions": (lambda X: np.zeros((N, 2, 2, 2)), "dim 4"),
    "words": (lambda X: np.full(X.shape, "X"), "'X'"),
    "complex": (lambda X: np.ones(X.shape, complex), "Complex data not supported"),
}


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize(("cls", "form"), CASES)
@pytest.mark.parametrize("fault", WRONG_X)
def test_x(cls, form, fault, incremental):
    X, y = FORMS[form], targets_of(cls)
    change, words = WRONG_X[fault]
    message = message_of(cls, X, y, incremental, {"X_val": change(X), "y_val": y})
    assert message.split("\n")[0].count("X_val") == 1
    assert words in message


@pytest.mark.parametrize("cls", MLPS)
def test_names_of_columns(cls):
    X, y = FORMS["frame"], targets_of(cls)
    given = {"X_val": X.rename(columns={"X": "c"}), "y_val": y}
    message = message_of(cls, X, y, False, given)
    assert message.startswith("X_val: The feature names should match")
    # The column that is called X keeps its name.
    assert message.splitlines()[-1] == "- X"


@pytest.mark.parametrize("cls", MLPS)
@pytest.mark.parametrize(
    ("trained", "given", "words"),
    [
        ("frame", "table", "X_val does not have valid feature names, but X has"),
        ("table", "frame", "X_val has feature names, but X has none"),
    ],
)
def test_names_of_one_of_both(cls, trained, given, words):
    y = targets_of(cls)
    for call in ("fit", "partial_fit"):
        estimator = small(cls, learning_rate="one_cycle")
        options = {"classes": [0, 1]} if is_classifier(cls) and call == "partial_fit" else {}
        with pytest.warns(UserWarning, match="feature names") as caught:
            getattr(estimator, call)(FORMS[trained], y, X_val=FORMS[given], y_val=y, **options)
        assert [str(warning.message) for warning in caught] == [words]
        assert caught[0].filename == __file__
        assert hasattr(estimator, "feature_names_in_") == (trained == "frame")


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize("cls", RNNS)
def test_sequences(cls, incremental):
    X, y = FORMS["sequences"], targets_of(cls)

    def said(X_val):
        return message_of(cls, X, y, incremental, {"X_val": X_val, "y_val": y})

    whole, step = X.copy(), X.copy()
    whole[3] = step[3, 1, 0] = np.nan
    assert said(whole).startswith("Input X_val contains NaN: sequence 3 has nothing else")
    assert said(step).startswith("Input X_val contains NaN inside sequence 3, at step 1")
    assert said(X[:, :, 0]).startswith("X_val has 2 dimensions")
    assert "X_val[np.newaxis]" in said(X[:, :, 0])
    assert said(X[:, :, :2]).startswith("X_val has 2 features")
    assert said([np.zeros((2, 3)), np.zeros((3, 3))]).startswith("X_val is a list or an array of")
    assert "X_val.filled(np.nan)" in said(np.ma.masked_array(X))
    assert "X_val" in said(X[:, :0])
    assert "for X_val" in message_of(
        cls, TABLE, y, incremental, {"X_val": csr_array(TABLE), "y_val": y}
    )


def with_target(y, value):
    y = np.array(y, dtype=np.result_type(y.dtype, type(value)))
    y[2] = value
    return y


WRONG_Y = {
    "NaN": (lambda y: with_target(y, np.nan), "NaN"),
    "infinity": (lambda y: with_target(y, np.inf), "infinity"),
    "length": (lambda y: y[:-1], "y_val has 39 rows, but X_val has 40"),
    "columns": (lambda y: np.column_stack([y, y]) > 0, "y_val has "),
    "three dimensions": (lambda y: y.reshape(-1, 1, 1), "dim"),
    "one number": (lambda y: 3, ""),
    "complex": (lambda y: y + 1j, "Complex data not supported"),
}


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize(("cls", "form"), CASES)
@pytest.mark.parametrize("fault", WRONG_Y)
def test_y(cls, form, fault, incremental):
    X, y = FORMS[form], targets_of(cls)
    change, words = WRONG_Y[fault]
    message = message_of(cls, X, y, incremental, {"X_val": X, "y_val": change(y)})
    assert "y_val" in message.split("\n")[0]
    assert words in message


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize("cls", [MLPWithBatchNormClassifier, RNNWithBatchNormClassifier])
@pytest.mark.parametrize(
    ("y_val", "words"),
    [
        (np.full(N, 7), "`y_val` has classes not in `self.classes_`"),
        (TABLE[:, 0], "y_val: Unknown label type: continuous"),
        (np.column_stack([CLASSES, CLASSES + 1]), "y_val has 2 columns of classes"),
        (np.array(["a", "b"])[CLASSES], "y_val"),
    ],
)
def test_classes(cls, incremental, y_val, words):
    said = message_of(cls, TABLE, CLASSES, incremental, {"X_val": TABLE, "y_val": y_val})
    assert words in said


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize("cls", [MLPWithBatchNormRegressor, RNNWithBatchNormRegressor])
def test_real_targets(cls, incremental):
    y = targets_of(cls)

    def said(y_val, **parameters):
        given = {"X_val": TABLE, "y_val": y_val}
        return message_of(cls, TABLE, y, incremental, given, **parameters)

    assert "but y_val has a negative one" in said(-y, loss="poisson")
    assert said(np.column_stack([y, y])).startswith("y_val has 2 output(s)")
    assert said(np.full(N, "y")).startswith("y_val: could not convert string to float")
    assert said(pd.date_range("2024-01-01", periods=N)).startswith("y_val has dates")


WRONG_WEIGHTS = {
    "NaN": (np.full(N, np.nan), "NaN"),
    "infinity": (np.full(N, np.inf), "infinity"),
    "negative": (np.full(N, -1.0), "Negative values"),
    "none": (np.zeros(N), "at least one non-zero"),
    "length": (np.ones(3), "sample_weight_val.shape == (3,), expected (40,)"),
    "dimensions": (np.ones((N, 1)), "D array"),
    "words": (np.full(N, "a"), "could not convert string to float"),
    "complex": (np.ones(N, complex), "Complex data not supported"),
}


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize(("cls", "form"), CASES)
@pytest.mark.parametrize("fault", WRONG_WEIGHTS)
def test_weights(cls, form, fault, incremental):
    X, y = FORMS[form], targets_of(cls)
    weights, words = WRONG_WEIGHTS[fault]
    given = {"X_val": X, "y_val": y, "sample_weight_val": weights}
    message = message_of(cls, X, y, incremental, given)
    assert "sample_weight_val" in message.split("\n")[0]
    assert words in message


@pytest.mark.parametrize(("cls", "form"), CASES)
def test_training_rows_keep_their_names(cls, form):
    # The same faults in the training rows are not said of validation rows, which are right.
    X, y = FORMS[form], targets_of(cls)
    for name, wrong in (
        ("X", {"X": with_entry(X, np.inf), "y": y}),
        ("y", {"X": X, "y": with_target(y, np.nan)}),
        ("sample_weight", {"X": X, "y": y, "sample_weight": np.ones(3)}),
    ):
        with pytest.raises(ValueError, match=rf"\b{name}\b") as raised:
            small(cls).fit(**wrong, X_val=X, y_val=y)
        assert "_val" not in str(raised.value)


@pytest.mark.parametrize("given", [csr_array, np.asarray])
@pytest.mark.parametrize("trained", [csr_array, np.asarray])
@pytest.mark.parametrize(
    ("cls", "X"),
    [(MLPWithBatchNormClassifier, TABLE), (RNNWithBatchNormClassifier, FORMS["sequences"])],
)
def test_labels_are_predicted_in_the_form_of_the_training_rows(cls, X, trained, given):
    y = (TABLE > 0).astype(int)
    for call, options in (("fit", {}), ("partial_fit", {"classes": [0, 1, 2]})):
        estimator = small(cls)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            getattr(estimator, call)(X, trained(y), X_val=X, y_val=given(y), **options)
        assert hasattr(estimator.predict(X), "toarray") == (trained is csr_array)
