"""Normalization of the inputs in front of a network: the smooth clip."""

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix
from sklearn.base import clone

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor
from skbn.network.network import Network
from skbn.network.plan import feed_forward
from skbn.network.table import Table

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4)) * [1.0, 1e3, 1.0, 1.0] + [0.0, 1e6, 3.0, 0.0]
X[:, 3] = 7.0
# As heavy a tail as a table may have.
X[::40, 0] *= 1e4
Y = X[:, 1] / 1e3 - 1e3


def regressor(**parameters):
    # Sparse tables have no embedding of their columns.
    default = {"normalize_input": "smooth_clip", "periodic_embedding": None, "dtype": "float64"}
    return MLPWithBatchNormRegressor(
        hidden_layer_sizes=(8,),
        max_iter=5,
        learning_rate="cosine",
        random_state=0,
        **default | parameters,
    )


def clipped(X, of):
    spread = of.std(axis=0)
    t = (X - of.mean(axis=0)) / np.where(spread == 0.0, 1.0, spread)
    return t / np.sqrt(1.0 + (t / 3.0) ** 2)


@pytest.mark.parametrize("table_dtype", [np.float64, np.float32])
def test_is_the_clip_of_the_standardized_columns(table_dtype):
    rows = X.astype(table_dtype)
    exact = rows.astype(np.float64)
    by_itself = regressor().fit(rows, Y)
    beforehand = regressor(normalize_input=None).fit(clipped(exact, exact), Y)
    np.testing.assert_allclose(
        by_itself.predict(rows), beforehand.predict(clipped(exact, exact)), rtol=1e-6
    )
    np.testing.assert_allclose(by_itself.input_mean_, rows.mean(axis=0, dtype=float), rtol=1e-6)


@pytest.mark.parametrize("kind", [csr_array, csr_matrix])
@pytest.mark.parametrize("incremental", [False, True])
def test_sparse_tables_are_clipped_as_dense_ones(kind, incremental):
    dense = X * (RNG.random(X.shape) < 0.3)
    dense[5, 2] = 1e5
    results = []
    for rows in (dense, kind(dense)):
        estimator = regressor()
        if incremental:
            for _ in range(3):
                estimator.partial_fit(rows, Y)
        else:
            estimator.fit(rows, Y)
        results.append(estimator.predict(rows))
        before = rows.copy()
        estimator.predict(rows)
        assert abs(before - rows).sum() == 0.0
    np.testing.assert_allclose(results[1], results[0], rtol=1e-7)


def test_one_row_of_whatever_size_moves_a_prediction_no_further():
    estimator = regressor().fit(X, Y)
    far, farther = X[:1].copy(), X[:1].copy()
    far[0, 0], farther[0, 0] = 1e9, 1e300
    np.testing.assert_allclose(estimator.predict(far), estimator.predict(farther), rtol=1e-6)


@pytest.mark.parametrize("cls", [MLPWithBatchNormClassifier, MLPWithBatchNormRegressor])
@pytest.mark.parametrize(("first", "then"), [("smooth_clip", "standard"), ("standard", None)])
def test_a_network_keeps_what_it_was_given(cls, first, then):
    y = (Y > 0).astype(int)
    kept = cls(normalize_input=first, random_state=0).partial_fit(X, y, **classes(cls))
    changed = clone(kept).partial_fit(X, y, **classes(cls)).set_params(normalize_input=then)
    np.testing.assert_array_equal(changed.predict(X), kept.predict(X))
    np.testing.assert_array_equal(
        changed.partial_fit(X, y).predict(X), kept.partial_fit(X, y).predict(X)
    )


def classes(cls):
    return {"classes": [0, 1]} if cls is MLPWithBatchNormClassifier else {}


def test_validation_rows_are_clipped_too():
    estimator = regressor(early_stopping=True, n_iter_no_change=10)
    estimator.fit(X, Y, X_val=X[:60], y_val=Y[:60])
    assert estimator.best_validation_score_ == pytest.approx(estimator.score(X[:60], Y[:60]))


@pytest.mark.parametrize("kind", ["smooth_clip", "robust"])
def test_scikit_learn_cannot_express_it(kind):
    with pytest.raises(ValueError, match=f"cannot clip .* with normalize_input='{kind}', cannot"):
        regressor(normalize_input=kind).fit(X, Y).to_sklearn()


def test_a_sparse_table_reaches_no_network_with_a_clip():
    plan = feed_forward([4, 2, 1], "relu", "before")
    network = Network.initial(plan, "squared_error", np.float64)
    with pytest.raises(ValueError, match="nor clipped"):
        network.infer(Table(csr_array(X), input_clipped=True))


@pytest.mark.parametrize("n", [1, 300])
@pytest.mark.parametrize("cls", [MLPWithBatchNormClassifier, MLPWithBatchNormRegressor])
def test_numbers_too_large_to_predict_from_are_refused(cls, n):
    X = np.random.default_rng(0).standard_normal((300, 3))
    estimator = cls(hidden_layer_sizes=(4,), max_iter=2, normalize_input="standard", random_state=0)
    estimator.fit(X, (X[:, 0] > 0).astype(int))
    with pytest.raises(ValueError, match="too large for a network in float32"):
        estimator.predict(X[:n] * 1e60)
    clipped = cls(hidden_layer_sizes=(4,), max_iter=2, random_state=0)
    clipped.fit(X, (X[:, 0] > 0).astype(int))
    assert np.isfinite(clipped.predict(X[:n] * 1e60)).all()
