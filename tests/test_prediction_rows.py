"""Small arrays that need no check are predicted as if scikit-learn had checked them."""

import warnings

import numpy as np
import pandas as pd
import pytest

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor
from skbn.estimators import rows

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
Y = (X[:, 0] > 0).astype(int)


@pytest.fixture(scope="module")
def fitted():
    return MLPWithBatchNormClassifier((4,), max_iter=3, tol=100.0, n_iter_no_change=1).fit(X, Y)


def checks_made(monkeypatch):
    calls = []
    original = rows.checked_data

    def counted(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(rows, "checked_data", counted)
    return calls


def record():
    packed = np.zeros(5, dtype=[("flag", "i1"), ("x", "f8", 3)])
    packed["x"] = X[:5]
    return packed["x"]


PLAIN = {
    "float64": X[:5],
    "float32": X[:5].astype(np.float32),
    "Fortran order": np.asfortranarray(X[:5]),
    "one row": X[:1],
    "strided": X[:10:2],
    "backwards": X[4::-1],
    "read-only": np.frombuffer(X[:5].tobytes()).reshape(5, 3),
}
OTHERS = {
    "list": X[:5].tolist(),
    "integers": np.arange(15).reshape(5, 3),
    "byte-swapped": X[:5].astype(X.dtype.newbyteorder()),
    "not aligned": record(),
    "half": X[:5].astype(np.float16),
    "large": np.zeros((rows.SMALL_TABLE // 3 + 1, 3)),
    "data frame": pd.DataFrame(X[:5]),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_arrays_are_not_checked_twice(name, fitted, monkeypatch):
    calls = checks_made(monkeypatch)
    short = fitted.predict_proba(PLAIN[name])
    assert calls == []
    monkeypatch.setattr(rows, "SMALL_TABLE", 0)
    checked = fitted.predict_proba(PLAIN[name])
    assert calls == [1]
    np.testing.assert_array_equal(short, checked)
    assert short.dtype == checked.dtype


@pytest.mark.parametrize("name", OTHERS)
def test_all_else_is_checked(name, fitted, monkeypatch):
    calls = checks_made(monkeypatch)
    assert fitted.predict(OTHERS[name]).shape == (len(OTHERS[name]),)
    assert calls == [1]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.full((2, 3), np.nan), "NaN"),
        (np.full((2, 3), np.inf), "infinity"),
        (np.zeros((2, 4)), "4 features"),
        (np.zeros((0, 3)), "0 sample"),
        (np.zeros(3), "1D array"),
        (np.zeros((2, 3, 1)), "dim 3"),
        (np.zeros((2, 3), dtype=complex), "Complex"),
    ],
)
def test_bad_input_is_refused(bad, message, fitted):
    with pytest.raises(ValueError, match=message):
        fitted.predict(bad)


def test_missing_names_are_warned_of():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    regressor = MLPWithBatchNormRegressor(max_iter=3, tol=100.0, n_iter_no_change=1).fit(
        frame, X[:, 0]
    )
    with pytest.warns(UserWarning, match="feature names"):
        regressor.predict(X[:5])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regressor.predict(frame[:5])


def test_the_array_is_left_as_it_was(fitted):
    given = X[:5].copy()
    fitted.predict_proba(given)
    np.testing.assert_array_equal(given, X[:5])
