"""What the recurrent networks take for sequences, and what they refuse."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from rnns import (
    BOTH,
    assert_same_state,
    classes_for,
    data_for,
    fitted,
    sequences,
    small,
    state,
    targets_of,
)
from scipy import sparse
from skbn.kernels.pooling import POOLINGS
from sklearn.exceptions import NotFittedError

from skbn import RNNWithBatchNormClassifier, RNNWithBatchNormRegressor
from skbn.estimators.sequences import lengths_of


def predictions(estimator, X):
    """Predictions that are not rounded to a class."""
    return getattr(estimator, "predict_proba", estimator.predict)(X)


def univariate(cls=RNNWithBatchNormRegressor, **parameters):
    X = sequences(n_features=1, **parameters)
    return X[:, :, 0], targets_of(cls, X)


class TestForms:
    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("ragged", [False, True])
    def test_two_dimensions_are_sequences_of_one_feature(self, cls, ragged):
        X, y = univariate(cls, ragged=ragged)
        flat = fitted(small(cls), X, y)
        deep = fitted(small(cls), X[:, :, np.newaxis], y)
        np.testing.assert_array_equal(flat._parameters, deep._parameters)
        np.testing.assert_array_equal(flat._statistics, deep._statistics)
        np.testing.assert_array_equal(flat.predict(X), deep.predict(X[:, :, np.newaxis]))
        assert (flat.n_features_in_, deep.n_features_in_) == (6, 1)
        np.testing.assert_array_equal(flat.input_mean_.shape, [1])

    @pytest.mark.parametrize("cls", BOTH)
    def test_features_are_those_of_a_step(self, cls):
        X, y = data_for(cls)
        estimator = fitted(small(cls), X, y)
        assert estimator.n_features_in_ == 3
        assert estimator.input_mean_.shape == (3,)
        assert estimator.coefs_[0].shape == (3, 16)
        assert not hasattr(estimator, "feature_names_in_")

    @pytest.mark.parametrize(
        "layout", ["F", "strided", "reversed", "read-only", "unaligned", "int", "list", "arrays"]
    )
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_layouts(self, layout, dtype):
        X = np.round(sequences())
        y = targets_of(RNNWithBatchNormRegressor, X)
        X = X.astype(dtype)
        if layout in ("int", "list", "arrays"):
            X = X.astype(np.float64)
        expected = fitted(small(RNNWithBatchNormRegressor), X, y).predict(X)
        if layout == "strided":
            wide = np.full((120, 12, 6), np.nan, dtype)
            wide[::2, ::2, ::2] = X
            given = wide[::2, ::2, ::2]
        elif layout == "reversed":
            given = X[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1]
        elif layout == "read-only":
            given = X.copy()
            given.flags.writeable = False
        elif layout == "unaligned":
            given = np.frombuffer(b"." + X.tobytes(), dtype, offset=1).reshape(X.shape)
            assert not given.flags.aligned
        else:
            given = {
                "F": np.asfortranarray,
                "int": lambda X: X.astype(np.int64),
                "list": np.ndarray.tolist,
                "arrays": list,
            }[layout](X)
        before = np.array(given)
        reg = fitted(small(RNNWithBatchNormRegressor), given, y)
        np.testing.assert_array_equal(reg.predict(given), expected)
        np.testing.assert_array_equal(np.array(given), before)

    def test_float32_sequences_are_those_of_float64(self):
        X, y = data_for(RNNWithBatchNormRegressor, ragged=True)
        X = X.astype(np.float32)
        single = fitted(small(RNNWithBatchNormRegressor, dtype="float64"), X, y)
        double = fitted(small(RNNWithBatchNormRegressor, dtype="float64"), X.astype(float), y)
        np.testing.assert_allclose(single.predict(X), double.predict(X.astype(float)), rtol=1e-9)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("network_dtype", ["float32", "float64", None])
    def test_dtypes(self, dtype, network_dtype):
        X, y = data_for(RNNWithBatchNormClassifier, ragged=True)
        X = X.astype(dtype)
        clf = fitted(small(dtype=network_dtype), X, y)
        assert clf.coefs_[0].dtype == (dtype if network_dtype is None else network_dtype)
        assert clf.predict_proba(X).dtype == np.result_type(
            dtype, clf.coefs_[0].dtype if network_dtype != "float32" else dtype
        )
        np.testing.assert_allclose(clf.predict_proba(X).sum(axis=1), 1, rtol=1e-6)

    def test_frames_have_names(self):
        X, y = univariate(ragged=True)
        table = pd.DataFrame(X, columns=list("abcdef"))
        reg = fitted(small(RNNWithBatchNormRegressor), table, y)
        np.testing.assert_array_equal(reg.feature_names_in_, list("abcdef"))
        same = fitted(small(RNNWithBatchNormRegressor), X, y)
        np.testing.assert_array_equal(reg.predict(table), same.predict(X))
        with pytest.raises(ValueError, match="feature names"):
            reg.predict(table[list("bacdef")])
        # Three dimensions have none.
        fitted(reg, X[:, :, np.newaxis], y)
        assert not hasattr(reg, "feature_names_in_")
        assert reg.n_features_in_ == 1

    def test_memory_map(self, tmp_path):
        X, y = data_for(RNNWithBatchNormRegressor, ragged=True)
        np.save(tmp_path / "X.npy", X)
        mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
        np.testing.assert_array_equal(
            fitted(small(RNNWithBatchNormRegressor), mapped, y).predict(mapped),
            fitted(small(RNNWithBatchNormRegressor), X, y).predict(X),
        )

    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("cell", ["lstm", "gru", "tanh"])
    @pytest.mark.parametrize("bidirectional", [False, True])
    def test_one_step_is_enough(self, cls, cell, bidirectional):
        X, y = data_for(cls)
        estimator = small(cls, cell=cell, bidirectional=bidirectional, max_iter=60)
        fitted(estimator, X[:, :1], y)
        assert estimator.score(X[:, :1], y) > 0.3
        # Longer sequences than there were have no steps of their own, but predictions.
        assert np.isfinite(estimator.predict(X)).all()

    @pytest.mark.parametrize("cls", BOTH)
    def test_two_sequences_are_enough(self, cls):
        X, y = data_for(cls)
        rows = [np.argmin(y), np.argmax(y)]
        estimator = fitted(small(cls, batch_size="auto"), X[rows], y[rows])
        assert np.isfinite(estimator.predict(X)).all()


class TestPadding:
    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("cell", ["lstm", "gru", "tanh"])
    @pytest.mark.parametrize("bidirectional", [False, True])
    def test_steps_behind_all_sequences_change_nothing(self, cls, cell, bidirectional):
        X, y = data_for(cls, ragged=True)
        longer = np.concatenate([X, np.full((60, 5, 3), np.nan)], axis=1)
        parameters = {"cell": cell, "bidirectional": bidirectional, "early_stopping": True}
        short, long = fitted(small(cls, **parameters), X, y), small(cls, **parameters)
        fitted(long, longer, y)
        np.testing.assert_array_equal(long._parameters, short._parameters)
        np.testing.assert_array_equal(long._statistics, short._statistics)
        np.testing.assert_array_equal(long.predict(longer), short.predict(X))
        np.testing.assert_array_equal(long.predict(X), short.predict(longer))
        assert long.running_means_[0].shape == (6, 4 * {"lstm": 4, "gru": 3, "tanh": 1}[cell])

    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("pooling", POOLINGS)
    @pytest.mark.parametrize("batch_norm", ["full", None])
    def test_they_change_no_pooling(self, cls, pooling, batch_norm):
        X, y = data_for(cls, ragged=True)
        longer = np.concatenate([X, np.full((60, 5, 3), np.nan)], axis=1)
        parameters = {"pooling": pooling, "batch_norm": batch_norm, "bidirectional": True}
        short = fitted(small(cls, **parameters), X, y)
        long = fitted(small(cls, **parameters), longer, y)
        np.testing.assert_array_equal(long._parameters, short._parameters)
        np.testing.assert_array_equal(long.predict(longer), short.predict(X))
        # A sequence by itself, and in any place among others.
        order = np.random.default_rng(0).permutation(60)
        expected = predictions(short, X)
        np.testing.assert_allclose(predictions(short, X[order]), expected[order], rtol=2e-5)
        for row in (0, 7):
            length = (~np.isnan(X[row, :, 0])).sum()
            alone = predictions(short, X[row : row + 1, :length])
            np.testing.assert_allclose(alone, expected[row : row + 1], rtol=2e-5)

    def test_nothing_but_nan_is_padding(self):
        X, y = data_for(RNNWithBatchNormRegressor, ragged=True)
        zeros = np.nan_to_num(X)
        padded, whole = (
            fitted(small(RNNWithBatchNormRegressor), values, y) for values in (X, zeros)
        )
        assert (padded.input_mean_ != whole.input_mean_).all()
        np.testing.assert_allclose(padded.input_mean_, np.nanmean(X, axis=(0, 1)), rtol=1e-12)
        np.testing.assert_allclose(padded.input_var_, np.nanvar(X, axis=(0, 1)), rtol=1e-10)
        assert (padded.predict(zeros) != padded.predict(X)).any()

    def test_it_makes_no_difference_to_the_other_sequences(self):
        X, y = data_for(RNNWithBatchNormRegressor, ragged=True)
        reg = fitted(small(RNNWithBatchNormRegressor, dtype="float64"), X, y)
        lengths = (~np.isnan(X[:, :, 0])).sum(axis=1)
        one_by_one = [
            reg.predict(X[i : i + 1, : lengths[i]])[0] for i in range(len(X))
        ]  # without padding
        np.testing.assert_allclose(reg.predict(X), one_by_one, rtol=1e-10)

    def test_huge_numbers_are_not_padding(self):
        # Their sum is infinite, or infinity less infinity.
        X = np.zeros((20, 4, 2))
        X[::2, 1:3] = 1e308
        np.testing.assert_array_equal(lengths_of(X), 4)
        X[1::2, 1:3] = -1e308
        X[3, 2:] = np.nan
        np.testing.assert_array_equal(lengths_of(X), [4] * 3 + [2] + [4] * 16)


BAD = [
    ("one dimension", lambda X: X[:, 0, 0], r"Expected 2D array, got 1D array"),
    (
        "four dimensions",
        lambda X: X[:, :, :, np.newaxis],
        r"dim 4, while \w+ expects sequences of shape \(n_samples, n_steps, n_features\)",
    ),
    ("ragged", lambda X: [x[: 3 + i % 3] for i, x in enumerate(X)], r"arrays that do not make one"),
    (
        "ragged lists",
        lambda X: [x[: 3 + i % 3].tolist() for i, x in enumerate(X)],
        r"arrays that do not make one array of numbers",
    ),
    (
        "ragged objects",
        lambda X: np.array([x[: 3 + i % 3] for i, x in enumerate(X)], dtype=object),
        r"arrays that do not make one array of numbers",
    ),
    ("complex", lambda X: X + 1j, r"Complex data not supported"),
    ("no steps", lambda X: X[:, :0], r"0 feature\(s\) or 0 step\(s\) \(shape=\(60, 0, 3\)\)"),
    ("no features", lambda X: X[:, :, :0], r"0 feature\(s\) or 0 step\(s\) \(shape=\(60, 6, 0\)"),
    ("infinity", lambda X: _with(np.inf, X, 7, 2, 1), r"Input X contains infinity"),
    (
        "NaN inside",
        lambda X: _with(np.nan, X, 7, 2),
        r"Input X contains NaN inside sequence 7, at step 2 of its 6",
    ),
    (
        "NaN in front",
        lambda X: _with(np.nan, X, 7, 0),
        r"Input X contains NaN inside sequence 7, at step 0 of its 6",
    ),
    (
        "a part of a step",
        lambda X: _with(np.nan, X, 7, 2, 1),
        r"Input X contains NaN inside sequence 7, at step 2 of its 6",
    ),
    (
        "a part of the last step",
        lambda X: _with(np.nan, X, 7, -1, 1),
        r"Input X contains NaN inside sequence 7, at step 5 of its 6",
    ),
    (
        "nothing but NaN",
        lambda X: _with(np.nan, X, 7),
        r"Input X contains NaN: sequence 7 has nothing else",
    ),
    ("strings", lambda X: np.full(X.shape, "a"), r"could not convert string to float"),
]


def _with(value, X, *place):
    X = X.copy()
    X[place] = value
    return X


class TestRefused:
    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize(("wrong", "message"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
    def test_sequences(self, cls, wrong, message):
        X, y = data_for(cls)
        with pytest.raises(ValueError, match=message):
            small(cls).fit(wrong(X), y)
        with pytest.raises(ValueError, match=message):
            small(cls).partial_fit(wrong(X), y, **classes_for(cls))
        estimator = fitted(small(cls, early_stopping="auto"), X, y)
        before = state(estimator)
        with pytest.raises(ValueError, match=message):
            estimator.predict(wrong(X))
        with pytest.raises(ValueError, match=re.sub(r"\bX\b", "X_val", message)):
            estimator.fit(X, y, X_val=wrong(X), y_val=y)
        with pytest.raises(ValueError, match=message):
            estimator.partial_fit(wrong(X), y)
        assert_same_state(vars(estimator), before)

    def test_a_row_of_a_table_with_nan_inside(self):
        X, y = univariate()
        with pytest.raises(ValueError, match=r"NaN inside sequence 3, at step 1 of its 6"):
            small(RNNWithBatchNormRegressor).fit(_with(np.nan, X, 3, 1), y)

    @pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
    def test_sparse(self, container):
        X, y = univariate()
        with pytest.raises(TypeError, match=r"[Ss]parse data was passed"):
            small(RNNWithBatchNormRegressor).fit(container(X), y)

    @pytest.mark.parametrize("cls", BOTH)
    def test_number_of_features(self, cls):
        X, y = data_for(cls)
        estimator = fitted(small(cls), X, y)
        with pytest.raises(ValueError, match=r"X has 2 features, but RNN\w+ is expecting 3"):
            estimator.predict(X[:, :, :2])
        flat = fitted(small(cls), X[:, :, 0], y)
        with pytest.raises(ValueError, match=r"X has 5 features, but RNN\w+ is expecting 6"):
            flat.predict(X[:, :5, 0])

    @pytest.mark.parametrize("cls", BOTH)
    def test_another_number_of_dimensions(self, cls):
        X, y = data_for(cls, n_features=1)
        flat, deep = fitted(small(cls), X[:, :, 0], y), fitted(small(cls), X, y)
        for method in (flat.predict, lambda X: flat.partial_fit(X, y), lambda X: flat.score(X, y)):
            with pytest.raises(ValueError, match=r"X has 3 dimensions, but RNN\w+ was fitted on 2"):
                method(X)
        with pytest.raises(ValueError, match=r"X has 2 dimensions, but RNN\w+ was fitted on 3"):
            deep.predict(X[:, :, 0])
        with pytest.raises(ValueError, match=r"X_val has 2 dimensions, but RNN\w+ was fitted on 3"):
            small(cls, early_stopping=True).fit(X, y, X_val=X[:, :, 0], y_val=y)
        with pytest.raises(ValueError, match=r"X has 3 dimensions"):
            flat.set_params(warm_start=True).fit(X, y)
        # Another fit takes another form.
        assert np.isfinite(fitted(flat.set_params(warm_start=False), X, y).predict(X)).all()

    @pytest.mark.parametrize("cls", BOTH)
    def test_too_few(self, cls):
        X, y = data_for(cls)
        with pytest.raises(ValueError, match=r"1 sample\(s\).*a minimum of 2 is required"):
            small(cls).fit(X[:1], y[:1])
        with pytest.raises(ValueError, match=r"0 sample\(s\).*a minimum of 1 is required"):
            small(cls).partial_fit(X[:0], y[:0], **classes_for(cls))
        with pytest.raises(ValueError, match=r"1 sample\(s\).*of positive weight"):
            small(cls).fit(X[:9], y[:9], sample_weight=[0] * 8 + [1])
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            small(cls).fit(X, y[:10])
        alone = fitted(small(cls, batch_norm=None, batch_size="auto"), X[:1], y[:1])
        assert np.isfinite(alone.predict(X)).all()

    @pytest.mark.parametrize("cls", BOTH)
    def test_not_fitted(self, cls):
        with pytest.raises(NotFittedError):
            cls().predict(np.zeros((2, 3, 1)))
        assert not hasattr(cls(), "coefs_")

    def test_continuous_target_in_the_classifier(self):
        X, y = data_for(RNNWithBatchNormRegressor)
        with pytest.raises(ValueError, match=r"Unknown label type.* there is RNNWithBatchNormRegr"):
            small().fit(X, y)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"cell": "relu"}, "cell"),
            ({"batch_norm": "before"}, "batch_norm"),
            ({"time_statistics": "exact"}, "time_statistics"),
            ({"bidirectional": "both"}, "bidirectional"),
            ({"pooling": "sum"}, "pooling"),
            ({"pooling": None}, "pooling"),
            ({"bn_gamma_init": 0.0}, "bn_gamma_init"),
            ({"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes must be > 0"),
            ({"hidden_layer_sizes": (3.5,)}, "hidden_layer_sizes must be integers"),
            ({"hidden_layer_sizes": ()}, "hidden_layer_sizes must have at least one"),
            ({"batch_size": 1}, "batch_size=1 leaves batch norm no variance"),
            (
                {"solver": "lbfgs"},
                r"max_grad_norm=1\.0 cannot .*: set max_grad_norm=None",
            ),
            ({"solver": "lbfgs", "max_grad_norm": None, "dropout": 0.1}, "dropout=0.1 cannot"),
        ],
    )
    @pytest.mark.parametrize("cls", BOTH)
    def test_parameters(self, cls, parameters, message):
        X, y = data_for(cls)
        with pytest.raises(ValueError, match=message):
            small(cls, **parameters).fit(X, y)

    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    def test_a_failed_call_changes_nothing(self, cls, method):
        X, y = data_for(cls, ragged=True)
        estimator = small(cls, normalize_input=None)
        fitted(estimator, X[:, :, 0], y)
        before = state(estimator)
        table = X[:, :, 0]
        for X_wrong, y_wrong in (
            (np.full_like(table, np.nan), y),
            (table, y[:10]),
            (table[:, :0], y),
            # Infinity in float32, noticed only in training.
            (np.where(np.arange(60)[:, None] == 50, 1e300, table), y),
        ):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with pytest.raises(ValueError, match=r"NaN|inconsistent|0 feature|not finite"):
                    getattr(estimator, method)(X_wrong, y_wrong)
            assert_same_state(vars(estimator), before)


@pytest.mark.parametrize("cls", BOTH)
def test_a_mask_is_not_passed_over(cls):
    X, y = data_for(cls)
    masked = np.ma.masked_array(
        X, mask=np.arange(X.shape[1])[np.newaxis, :, np.newaxis] > 3 + 0 * X
    )
    with pytest.raises(ValueError, match=r"give X\.filled\(np\.nan\)"):
        small(cls).fit(masked, y)
    estimator = fitted(small(cls), masked.filled(np.nan), y)
    expected = fitted(small(cls), X[:, :4], y)
    np.testing.assert_array_equal(estimator.predict(X), expected.predict(X))


@pytest.mark.parametrize("cls", BOTH)
def test_numbers_too_large_to_predict_from_are_refused(cls):
    X, y = data_for(cls)
    estimator = fitted(small(cls, normalize_input="standard"), X, y)
    with pytest.raises(ValueError, match="too large for a network in float32"):
        estimator.predict(X * 1e60)
