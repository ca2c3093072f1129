"""Numbers whose squares leave float64's range, and exact moments of sparse tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parameters import COLUMNS_ALONE
from scipy.sparse import csr_array, csr_matrix
from strategies import drawn

from skbn import (
    BatchNormTransformer,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
from skbn.estimators import columns
from skbn.estimators.columns import column_moments, divisor, merged

SMALL = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}


def rows_for(cls, n=60):
    X = np.random.default_rng(0).standard_normal((n, 3, 2) if "RNN" in cls.__name__ else (n, 3))
    return X, (X.reshape(n, -1)[:, 0] > 0).astype(int)


@pytest.mark.parametrize(
    "cls",
    [
        MLPWithBatchNormClassifier,
        MLPWithBatchNormRegressor,
        RNNWithBatchNormClassifier,
        RNNWithBatchNormRegressor,
    ],
)
@pytest.mark.parametrize("unit", [1e160, 1e153, 1e-153, 1e-170])
@pytest.mark.parametrize("normalize_input", ["smooth_clip", "standard"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("weighted", [False, True])
def test_columns_of_networks(cls, unit, normalize_input, method, weighted):
    X, y = rows_for(cls)
    X[..., 1] *= unit
    model = cls(**SMALL, normalize_input=normalize_input)
    data = {"sample_weight": np.full(60, 0.5) if weighted else None}
    if method == "partial_fit" and hasattr(cls, "predict_proba"):
        data["classes"] = [0, 1]
    if unit == 1e153:
        X[0, ..., 1] = 1e155
    size = "large" if unit > 1 else "small"
    with pytest.raises(ValueError, match=rf"X has numbers in column 1 that are too {size}"):
        getattr(model, method)(X, y, **data)
    if X.ndim == 2:
        with pytest.raises(ValueError, match=rf"X has numbers in column 1 that are too {size}"):
            getattr(model, method)(csr_array(X), y, **data)


@pytest.mark.parametrize("cls", [MLPWithBatchNormRegressor, RNNWithBatchNormRegressor])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
@pytest.mark.parametrize("unit", [1e160, 1e-160, 1e-170])
@pytest.mark.parametrize("several", [False, True])
def test_targets(cls, loss, unit, several):
    X, _ = rows_for(cls)
    y = unit * X.reshape(60, -1)[:, 0]
    y = np.c_[X.reshape(60, -1)[:, 1], y] if several else y
    where = " in column 1" if several else ""
    size = "large" if unit > 1 else "small"
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=rf"y has numbers{where} that are too {size}"):
            getattr(cls(loss=loss, **SMALL), method)(X, y)


@pytest.mark.parametrize("cls", [MLPWithBatchNormRegressor, RNNWithBatchNormRegressor])
class TestTargetsOfValidation:
    @pytest.mark.parametrize(
        ("unit", "dtype", "words"),
        [
            (1e50, "float32", "too large for a network of float32"),
            (1e160, "float32", "too large or too far apart"),
            (1e160, "float64", "too large or too far apart"),
            (1e-170, "float32", "too small or too close together"),
        ],
    )
    def test_given(self, cls, unit, dtype, words):
        X, _ = rows_for(cls)
        y = X.reshape(60, -1)[:, 0]
        for method, options in (("fit", {"early_stopping": True}), ("partial_fit", {})):
            model = cls(**SMALL, **options, dtype=dtype)
            with pytest.raises(ValueError, match=rf"y_val has numbers that are {words}"):
                getattr(model, method)(X, y, X_val=X, y_val=unit * y)
            getattr(model, method)(X, y, X_val=X, y_val=0.0 * y)

    def test_held_out(self, cls):
        X, _ = rows_for(cls)
        y = X.reshape(60, -1)[:, 0].copy()
        # One huge target: in the training rows of some seeds, held out in others.
        y[7] = 1e160
        for seed in range(12):
            model = cls(**SMALL | {"random_state": seed}, early_stopping=True)
            with pytest.raises(ValueError, match=r"y has numbers that are too large"):
                model.fit(X, y)


@pytest.mark.parametrize("cls", [MLPWithBatchNormRegressor, RNNWithBatchNormRegressor])
def test_targets_as_they_are_beyond_the_network(cls):
    X, _ = rows_for(cls)
    y = X.reshape(60, -1)[:, 0]
    for method in ("fit", "partial_fit"):
        model = cls(**SMALL, normalize_target=False)
        with pytest.raises(ValueError, match=r"y has .* a network of float32.*normalize_target="):
            getattr(model, method)(X, 1e50 * y)
        getattr(model, method)(X, y)


@pytest.mark.parametrize("cls", [MLPWithBatchNormRegressor, RNNWithBatchNormRegressor])
@pytest.mark.parametrize("unit", [1e140, 1e-130])
def test_units_within_the_range_make_no_difference(cls, unit):
    X, _ = rows_for(cls, 200)
    y = X.reshape(200, -1)[:, 0]
    power = 2.0 ** np.round(np.log2(unit))
    one = cls(**SMALL | {"max_iter": 10}).fit(X, y).predict(X)
    other = cls(**SMALL | {"max_iter": 10}).fit(power * X, power * y).predict(power * X)
    np.testing.assert_allclose(other / power, one, rtol=1e-4, atol=1e-5)


def test_calls_that_lie_too_far_apart():
    X, _ = rows_for(MLPWithBatchNormRegressor)
    y = X[:, 0]
    model = MLPWithBatchNormRegressor(**SMALL).partial_fit(X, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match="too large or too far apart"):
        model.partial_fit(X, y + 1e160)
    with pytest.raises(ValueError, match="too large or too far apart"):
        model.partial_fit(X + 1e160, y)
    np.testing.assert_array_equal(model.predict(X), before)


@pytest.mark.parametrize("cls", [MLPWithBatchNormRegressor, RNNWithBatchNormRegressor])
def test_calls_that_lie_too_close_together(cls):
    X, y = rows_for(cls)
    tiny = np.full(60, 1e-170)
    for first, second in (((X, tiny), (X, -tiny)), ((0.0 * X + 1e-170, y), (0.0 * X, y))):
        model = cls(**SMALL).partial_fit(*first).partial_fit(*first)
        before = model.predict(X)
        with pytest.raises(ValueError, match=r"up to now has numbers .*too small or too close"):
            model.partial_fit(*second)
        np.testing.assert_array_equal(model.predict(X), before)


@pytest.mark.parametrize("unit", [1e-170, 1e-3, 1e9])
@pytest.mark.parametrize("weighted", [False, True])
def test_calls_of_one_value_are_none_of_it(unit, weighted):
    values = unit * np.linspace(1.0, 2.0, 20)
    for kind in (np.asarray, csr_array):
        total = None
        for n in (7, 60, 13, 33):
            weight = np.random.default_rng(n).uniform(0.1, 3.0, n) if weighted else None
            total = merged(total, column_moments(kind(np.tile(values, (n, 1))), weight))
        np.testing.assert_array_equal(total[0], values)
        np.testing.assert_array_equal(divisor(*total, epsilon=0.0), 1.0)


@pytest.mark.parametrize("value", [0.0, 1e-170, 1e-200, 5.0, 1e100])
def test_constant_columns_are_none_of_it(value):
    X, y = rows_for(MLPWithBatchNormClassifier)
    X[:, 1] = value
    model = MLPWithBatchNormClassifier(**SMALL).fit(X, y)
    assert model.input_center_[1] == value
    assert model.input_spread_[1] == 0.0
    model.set_params(normalize_input="smooth_clip").fit(X, y)
    assert model.input_mean_[1] == value
    assert model.input_var_[1] == 0.0
    model.fit(csr_array(X), y)
    assert model.input_mean_[1] == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize(
    "cls",
    [
        MLPWithBatchNormClassifier,
        MLPWithBatchNormRegressor,
        RNNWithBatchNormClassifier,
        RNNWithBatchNormRegressor,
    ],
)
def test_weights_without_a_sum(cls):
    X, y = rows_for(cls)
    weight = np.full(60, 1e307)
    cls(**SMALL).fit(X, y, weight / 100)
    first = {"classes": [0, 1]} if hasattr(cls, "predict_proba") else {}
    for method, data in (("fit", {}), ("partial_fit", first)):
        with pytest.raises(ValueError, match=r"^sample_weight has a sum beyond"):
            getattr(cls(**SMALL), method)(X, y, weight, **data)
        with pytest.raises(ValueError, match=r"^sample_weight_val has a sum beyond"):
            getattr(cls(**SMALL, early_stopping=method == "fit"), method)(
                X, y, **data, X_val=X, y_val=y, sample_weight_val=weight
            )
    if first:
        model = cls(**SMALL, class_weight={0: 1e307, 1: 1e307})
        with pytest.raises(ValueError, match=r"^class_weight has a sum beyond"):
            model.fit(X, y)
        with pytest.raises(ValueError, match=r"^sample_weight times class_weight has a sum"):
            model.fit(X, y, np.full(60, 1e300))


class TestTransformer:
    @pytest.mark.parametrize("momentum", [None, 0.5])
    @pytest.mark.parametrize("method", ["fit", "partial_fit", "partial_fit_transform"])
    @pytest.mark.parametrize(("unit", "words"), [(1e170, "largest"), (1e-170, "squares are none")])
    @pytest.mark.parametrize("shape", [(30, 2), (30, 4, 2)])
    def test_a_warning(self, momentum, method, unit, words, shape):
        X = np.random.default_rng(0).standard_normal(shape)
        X[..., 1] *= unit
        X[3, ..., 1] = np.nan
        transformer = BatchNormTransformer(momentum=momentum, time_statistics="shared")
        with pytest.warns(RuntimeWarning, match=words) as said:
            getattr(transformer, method)(X)
        assert said[0].filename == __file__

    @pytest.mark.parametrize(
        ("first", "second", "words"),
        [(1e160, -1e160, "largest"), (1e-170, -1e-170, "squares are none"), (1e-170, 0.0, "none")],
    )
    def test_calls_and_merges_too_far_apart_or_too_close(self, first, second, words):
        one, other = np.full((5, 2), first), np.full((5, 2), second)
        one[:, 1], other[:, 1] = 1.0, 2.0
        transformer = BatchNormTransformer().fit(one).partial_fit(one)
        with pytest.warns(RuntimeWarning, match=words) as said:
            transformer.partial_fit(other)
        assert said[0].filename == __file__
        with pytest.warns(RuntimeWarning, match=words) as said:
            BatchNormTransformer().fit(one).merge(BatchNormTransformer().fit(other))
        assert said[0].filename == __file__
        # Warnings are errors: equal numbers, and averages of batches, have a variance.
        BatchNormTransformer().fit(one).merge(BatchNormTransformer().fit(one))
        BatchNormTransformer(momentum=0.5).fit(one).partial_fit(other)

    def test_a_column_that_has_entries_from_the_second_call_on(self):
        X = np.full((5, 2), 1e-170)
        X[:, 1] = np.nan
        BatchNormTransformer().fit(X).partial_fit(X[:, ::-1]).partial_fit(X)

    def test_columns_without_entries_or_of_one_value_are_none_of_it(self):
        X = np.random.default_rng(0).standard_normal((30, 4))
        X[:, 1], X[:, 2], X[:, 3] = 0.0, np.nan, 1e-200
        X[4, 3] = np.nan
        BatchNormTransformer().fit(X)  # warnings are errors


class TestSparse:
    """Against the dense table in long double."""

    @given(
        n=st.integers(1, 30),
        seed=st.integers(0, 2**32 - 1),
        density=st.sampled_from([0.0, 0.1, 0.7, 1.0]),
        offset=st.sampled_from([0.0, 1.0, 1e8]),
        weighted=st.booleans(),
        dtype=st.sampled_from([np.float32, np.float64]),
        kind=st.sampled_from([csr_array, csr_matrix]),
        index=st.sampled_from([np.int32, np.int64]),
        entries=st.sampled_from([1, 7, 1 << 20]),
    )
    @drawn
    def test_moments(self, n, seed, density, offset, weighted, dtype, kind, index, entries):
        rng = np.random.default_rng(seed)
        X = np.where(rng.random((n, 4)) < density, rng.standard_normal((n, 4)) + offset, 0.0)
        X = X.astype(dtype)
        weight = rng.uniform(0.1, 5.0, n) if weighted else None
        sparse = kind(X)
        if sparse.nnz:
            sparse.data[0] = X[X != 0.0][0]
        sparse.indices, sparse.indptr = sparse.indices.astype(index), sparse.indptr.astype(index)
        before, columns.ENTRIES = columns.ENTRIES, entries
        try:
            mean, var, total = column_moments(sparse, weight)
        finally:
            columns.ENTRIES = before
        wide = X.astype(np.longdouble)
        shares = np.ones(n) / n if weight is None else weight.astype(np.longdouble) / weight.sum()
        expected = (shares[:, np.newaxis] * wide).sum(axis=0)
        assert mean.dtype == var.dtype == np.float64
        np.testing.assert_allclose(mean, expected.astype(float), rtol=1e-13, atol=1e-14)
        expected = (shares[:, np.newaxis] * (wide - expected) ** 2).sum(axis=0).astype(float)
        rounding = 1e-15 * np.abs(X).max(initial=0.0)
        np.testing.assert_allclose(var, expected, rtol=1e-12, atol=1e-14 + 30 * rounding**2)
        np.testing.assert_allclose(total, n if weight is None else weight.sum(), rtol=1e-15)

    def test_tiny_entries_beside_empty_columns(self):
        table = np.zeros((6, 3))
        table[1, 1], table[:, 2] = 1e-170, 1e-170
        with pytest.raises(ValueError, match=r"X has numbers in column 1 that are too small"):
            column_moments(csr_array(table))
        table[1, 1] = 1.0
        mean, var, _ = column_moments(csr_array(table))
        np.testing.assert_allclose(mean, [0.0, 1 / 6, 1e-170], rtol=1e-14)
        np.testing.assert_allclose(var, [0.0, 5 / 36, 0.0], rtol=1e-14)

    @pytest.mark.parametrize("weighted", [False, True])
    def test_columns_far_from_zero(self, weighted):
        # Every row has an entry. Rounding of the mean and of the total weight would be 1e-8 and
        # more of the variance.
        rng = np.random.default_rng(0)
        X = 1e12 + rng.standard_normal((1000, 2))
        weight = rng.uniform(0.1, 5.0, 1000) if weighted else None
        mean, var, _ = column_moments(csr_array(X), weight)
        wide = X.astype(np.longdouble)
        shares = (np.ones(1000) if weight is None else weight).astype(np.longdouble)[:, np.newaxis]
        shares /= shares.sum()
        expected = (shares * wide).sum(axis=0)
        np.testing.assert_allclose(mean, expected.astype(float), rtol=1e-15)
        expected = (shares * (wide - expected) ** 2).sum(axis=0)
        np.testing.assert_allclose(var, expected.astype(float), rtol=1e-11)

    def test_explicit_zeros(self):
        sparse = csr_array(np.array([[1.0, 2.0], [3.0, 0.0], [5.0, 4.0]]))
        sparse.data[1] = 0.0
        mean, var, _ = column_moments(sparse)
        np.testing.assert_allclose(mean, [3.0, 4.0 / 3.0], rtol=1e-15)
        np.testing.assert_allclose(var, sparse.toarray().var(axis=0), rtol=1e-15)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("cls", [MLPWithBatchNormClassifier, MLPWithBatchNormRegressor])
    @pytest.mark.parametrize("weights", ["sample", "class", "both"])
    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    def test_networks_take_weights(self, dtype, cls, weights, method):
        X, y = rows_for(cls)
        X[X < 0] = 0.0
        X = X.astype(dtype)
        data = {}
        if weights != "class":
            data["sample_weight"] = np.random.default_rng(1).uniform(0.5, 2.0, 60)
        options = {"normalize_input": "standard", "dtype": "float64", **COLUMNS_ALONE}
        if cls is MLPWithBatchNormClassifier:
            if weights != "sample":
                options["class_weight"] = {0: 1.0, 1: 2.0}
            if method == "partial_fit":
                data["classes"] = [0, 1]
        models = [cls(**SMALL, **options) for _ in range(2)]
        for model, table in zip(models, (X, csr_array(X)), strict=True):
            for _ in range(2):
                getattr(model, method)(table, y, **data)
        dense, sparse = models
        np.testing.assert_allclose(sparse.input_mean_, dense.input_mean_, rtol=1e-13)
        np.testing.assert_allclose(sparse.input_var_, dense.input_var_, rtol=1e-13)
        np.testing.assert_allclose(sparse.coefs_[0], dense.coefs_[0], rtol=1e-5, atol=1e-7)

    def test_merged_calls_are_one(self):
        X = csr_array(np.random.default_rng(0).poisson(0.5, (50, 3)).astype(np.float32))
        parts = [column_moments(X[rows]) for rows in (slice(0, 13), slice(13, 50))]
        together = merged(merged(None, parts[0]), parts[1])
        for actual, expected in zip(together, column_moments(X), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-13)
