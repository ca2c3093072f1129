"""Median and quartiles in front of a network, and the columns that are embedded."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor
from skbn.estimators import quartiles
from skbn.estimators.periodic import embedded_columns
from skbn.estimators.quartiles import center_and_spread, of_many_values


def table(n, d=5, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_cauchy((n, d)).astype(dtype)


def by_numpy(X):
    low, center, high = np.quantile(
        X.astype(float), [0.25, 0.5, 0.75], axis=0, method="averaged_inverted_cdf"
    )
    return center, high - low


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 9, 41, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_they_are_numpys(n, dtype, order):
    X = np.asarray(table(n, dtype=dtype), order=order)
    before = X.copy()
    center, spread = center_and_spread(X)
    np.testing.assert_array_equal(X, before)
    assert center.dtype == spread.dtype == np.float64
    expected_center, expected_spread = by_numpy(X)
    np.testing.assert_allclose(center, expected_center, rtol=1e-13)
    if n > 3:
        np.testing.assert_allclose(spread, expected_spread, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 5, 40, 41])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_weight_of_two_is_the_row_twice(n, is_sparse):
    rng = np.random.default_rng(n)
    X = table(n) * (rng.random((n, 5)) < 0.7)
    weights = rng.integers(0, 4, n).astype(float)
    weights[0] = 2.0
    expected = center_and_spread(np.repeat(X, weights.astype(int), axis=0))
    for factor in (1.0, 0.5, 8.0):
        given = csr_array(X) if is_sparse else X
        for value, wanted in zip(center_and_spread(given, factor * weights), expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-15)


def test_equal_weights_are_none():
    X = table(97)
    for value, wanted in zip(center_and_spread(X, np.ones(97)), center_and_spread(X), strict=True):
        np.testing.assert_array_equal(value, wanted)


def test_a_sparse_table_is_the_dense_one():
    X = table(50) * (np.random.default_rng(1).random((50, 5)) < 0.6)
    for value, wanted in zip(center_and_spread(csr_array(X)), center_and_spread(X), strict=True):
        np.testing.assert_array_equal(value, wanted)


@pytest.mark.parametrize("weighted", [False, True])
def test_where_the_quartiles_agree_the_range_is_taken(weighted):
    X = np.zeros((20, 3))
    X[3, 0], X[4, 0] = -2.0, 6.0
    X[:, 1] = 7.0
    X[:6, 2] = 1.0
    center, spread = center_and_spread(X, np.ones(20) if weighted else None)
    np.testing.assert_array_equal(center, [0.0, 7.0, 0.0])
    # Half of the range; nothing in a constant column; quartiles that differ.
    np.testing.assert_array_equal(spread, [4.0, 0.0, 1.0])


@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_of_columns(monkeypatch, weighted):
    X, weight = table(30, 7), np.arange(1.0, 31.0) if weighted else None
    expected = center_and_spread(X, weight), of_many_values(X)
    for n_columns in (1, 2, 6):
        monkeypatch.setattr(quartiles, "SORTED_BYTES", 8 * 30 * n_columns * (3 if weighted else 1))
        np.testing.assert_array_equal(center_and_spread(X, weight), expected[0])
        np.testing.assert_array_equal(of_many_values(X), expected[1])


@pytest.mark.parametrize("weighted", [False, True])
def test_memory(weighted):
    X, weight = np.ones((200_000, 100)), np.ones(200_000) if weighted else None
    X[::3] = 2.0
    tracemalloc.start()
    try:
        center_and_spread(X, weight)
        of_many_values(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # One weighted column: its numbers, their order and the sums of the weights, in eight arrays.
    assert peak < (8 * 1.6e6 if weighted else 1.1 * 2**23)


def test_numbers_whose_squares_leave_the_range():
    X = np.column_stack([np.arange(9.0) * 1e200, np.arange(9.0) * 1e-200])
    center, spread = center_and_spread(X)
    np.testing.assert_allclose(center, [4e200, 4e-200])
    np.testing.assert_allclose(spread, [4e200, 4e-200])


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (np.where(np.arange(9) % 2, 1.7e308, -1.7e308), "too large or too far apart"),
        (np.arange(9.0) * 1e-310, "too small or too close together"),
    ],
)
def test_a_spread_beyond_float64_is_refused(column, message):
    with pytest.raises(ValueError, match=message):
        center_and_spread(np.column_stack([np.arange(9.0), column]))


def test_columns_of_many_values():
    n = 30
    X = np.column_stack([
        np.zeros(n), np.arange(n) % 2, np.arange(n) % 3, np.arange(n),
        np.where(np.arange(n) == 7, 0.5, np.arange(n) % 2), -(np.arange(n) % 2),
    ])  # fmt: skip
    np.testing.assert_array_equal(of_many_values(X), [False, False, True, True, True, False])
    late = np.vstack([X[:2]] * 700 + [X])
    np.testing.assert_array_equal(of_many_values(late), of_many_values(X))
    assert embedded_columns(X) == [(2, 3)]
    assert embedded_columns(X[:, :2]) == []
    assert embedded_columns(X[:, [3, 0, 3]]) == [(0, 1), (2, 1)]


class TestInANetwork:
    def fitted(self, X, y, **parameters):
        parameters = {"hidden_layer_sizes": (5,), "n_epochs": 2, "random_state": 0} | parameters
        return MLPWithBatchNormRegressor(**parameters).fit(X, y)

    def test_the_map_is_robust(self):
        X = table(200)
        X[:, 3] = 4.0
        y = X[:, 0] > 0
        reg = self.fitted(X, y, batch_norm=None, periodic_embedding=None, activation="identity")
        center, spread = by_numpy(X)
        np.testing.assert_allclose(reg.input_center_, center, rtol=1e-14)
        np.testing.assert_allclose(reg.input_spread_, spread, rtol=1e-12)
        assert not hasattr(reg, "input_mean_")
        new = 3.0 * table(50, seed=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (new - center) / spread
        # A constant column says nothing, whatever it holds later.
        t[:, 3] = 0.0
        t = t / np.sqrt(1.0 + (t / 3.0) ** 2)
        z = t * reg.input_scale_ @ reg.coefs_[0] + reg.intercepts_[0]
        z = z @ reg.coefs_[1] + reg.intercepts_[1]
        expected = z[:, 0] * y.std() + y.mean()
        np.testing.assert_allclose(reg.predict(new), expected, rtol=1e-4, atol=1e-5)

    def test_held_out_rows_do_not_count(self):
        X = table(1000)
        clf = MLPWithBatchNormClassifier((5,), n_epochs=2, shuffle=False)
        clf.fit(X, np.arange(1000) % 2)
        np.testing.assert_allclose(clf.input_center_, np.median(X[:900], axis=0), rtol=1e-14)

    def test_weights_count(self):
        X, weight = table(60), np.arange(60.0) % 3
        y = X[:, 0]
        some = self.fitted(X, y, early_stopping=False)
        weighted = MLPWithBatchNormRegressor(hidden_layer_sizes=(5,), n_epochs=2).fit(X, y, weight)
        np.testing.assert_allclose(
            weighted.input_center_, center_and_spread(np.repeat(X, (weight).astype(int), axis=0))[0]
        )
        assert (weighted.input_center_ != some.input_center_).any()

    @pytest.mark.parametrize("is_sparse", [False, True])
    def test_auto(self, is_sparse):
        X = np.abs(table(60))
        y = X[:, 0]
        given = csr_array(X) if is_sparse else X
        reg = self.fitted(given, y)
        assert hasattr(reg, "input_mean_") == is_sparse
        assert hasattr(reg, "input_center_") != is_sparse
        assert (len(reg.embedded_columns_) == 0) == is_sparse
        stream = MLPWithBatchNormRegressor(hidden_layer_sizes=(5,)).partial_fit(given, y)
        assert hasattr(stream, "input_mean_")
        assert len(stream.embedded_columns_) == 0
        assert not np.array_equal(stream.input_scale_, np.ones(5))

    @pytest.mark.parametrize("is_sparse", [False, True])
    @pytest.mark.parametrize("incremental", [False, True])
    def test_robust_on_request(self, is_sparse, incremental):
        X = np.abs(table(60)) * (np.random.default_rng(0).random((60, 5)) < 0.9)
        given = csr_array(X) if is_sparse else X
        reg = MLPWithBatchNormRegressor(
            hidden_layer_sizes=(5,), normalize_input="robust", n_epochs=2
        )
        (reg.partial_fit if incremental else reg.fit)(given, X[:, 0])
        np.testing.assert_allclose(reg.input_center_, by_numpy(X)[0], rtol=1e-14)

    @pytest.mark.parametrize("later", ["partial_fit", "fit"])
    @pytest.mark.parametrize("is_sparse", [False, True])
    def test_later_calls_keep_the_map(self, later, is_sparse):
        X = table(60)
        y = X[:, 0]
        reg = self.fitted(X, y, warm_start=True)
        before = reg.input_center_.copy(), reg.input_spread_.copy(), reg.embedded_columns_
        other = 5.0 + X * (np.abs(X) > 0.3)
        getattr(reg, later)(csr_array(other) if is_sparse else other, y)
        np.testing.assert_array_equal(reg.input_center_, before[0])
        np.testing.assert_array_equal(reg.input_spread_, before[1])
        np.testing.assert_array_equal(reg.embedded_columns_, before[2])
        assert not hasattr(reg, "input_mean_")

    @pytest.mark.parametrize("periodic_embedding", [None, 1.0])
    @pytest.mark.parametrize("n", [1, 50, 20_000])
    def test_sparse_rows_are_predicted_as_dense_ones(self, periodic_embedding, n):
        X = table(200)
        clf = MLPWithBatchNormClassifier(
            (8,), n_epochs=2, periodic_embedding=periodic_embedding, random_state=0
        ).fit(X, X[:, 0] > 0)
        new = table(n, seed=2)
        new[np.random.default_rng(0).random(new.shape) < 0.5] = 0.0
        np.testing.assert_allclose(
            clf.predict_proba(csr_array(new)), clf.predict_proba(new), rtol=1e-4, atol=1e-6
        )

    @pytest.mark.parametrize("periodic_embedding", [None, 1.0])
    def test_a_sparse_stream_goes_on_as_a_dense_one(self, periodic_embedding):
        X = table(200)
        X[np.random.default_rng(0).random(X.shape) < 0.5] = 0.0
        y = X[:, 0] + X[:, 1] ** 2
        dense, sparse = (
            self.fitted(X, y, dtype="float64", periodic_embedding=periodic_embedding, n_epochs=3)
            for _ in range(2)
        )
        for _ in range(3):
            dense.partial_fit(X, y)
            sparse.partial_fit(csr_array(X), y)
        np.testing.assert_allclose(sparse.predict(X), dense.predict(X), rtol=1e-7, atol=1e-9)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("input_spread_", np.nan),
            ("input_spread_", np.inf),
            ("input_spread_", -1.0),
            ("input_center_", np.inf),
        ],
    )
    def test_a_damaged_map_is_refused(self, name, value):
        X = table(60)
        reg = self.fitted(X, X[:, 0])
        getattr(reg, name)[0] = value
        with pytest.raises(ValueError, match=f"damaged: {name}"):
            reg.predict(X)

    @pytest.mark.parametrize("is_sparse", [False, True])
    def test_a_map_of_other_columns_is_refused(self, is_sparse):
        X = table(60)
        reg = self.fitted(X, X[:, 0])
        reg.input_center_, reg.input_spread_ = reg.input_center_[:3], reg.input_spread_[:3]
        with pytest.raises(ValueError, match="normalized by 3 numbers"):
            reg.predict(csr_array(X) if is_sparse else X)

    def test_a_stream_needs_a_column_that_varies(self):
        X = table(60)
        clf = MLPWithBatchNormClassifier((5,), normalize_input="robust")
        with pytest.raises(ValueError, match="give more rows"):
            clf.partial_fit(X[:1], [0], classes=[0, 1])
        assert not hasattr(clf, "input_center_")
        clf.partial_fit(X[:8], np.arange(8) % 2, classes=[0, 1])

    def test_one_outlier_harms_nothing(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((2000, 5))
        y = np.sin(2.0 * X[:, 0]) + X[:, 1]
        spoiled = X.copy()
        spoiled[7] = 1e12
        for some, other in ((X, spoiled), (X.astype(np.float32), spoiled.astype(np.float32))):
            clean, dirty = (
                MLPWithBatchNormRegressor(random_state=0).fit(rows, y).score(X, y)
                for rows in (some, other)
            )
            assert dirty > clean - 0.01 > 0.98
