"""BatchNormTransformer: what its page promises, line by line."""

import copy
import doctest
import inspect
import pickle
from functools import reduce

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

import skbn.estimators.transformer
from skbn import BatchNormTransformer

quiet = settings(deadline=None, derandomize=True, max_examples=60)
RNG = np.random.default_rng(0)
X = RNG.normal([3.0, -1.0, 100.0], [1.0, 5.0, 0.1], (60, 3))
SEQUENCES = RNG.normal(size=(20, 4, 3)) * np.arange(1.0, 5.0)[:, None] + 2.0


def state_of(transformer):
    return {name: copy.deepcopy(value) for name, value in vars(transformer).items()}


def assert_same_state(transformer, state):
    assert vars(transformer).keys() == state.keys()
    for name, value in vars(transformer).items():
        if name != "_moments":
            np.testing.assert_array_equal(value, state[name])
    if "_moments" in state:
        for name in ("mean", "var", "weight"):
            np.testing.assert_array_equal(transformer._moments[name], state["_moments"][name])


# The formula


@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 2.0])
def test_formula(epsilon):
    gamma, beta = np.array([2.0, -1.0, 0.5]), np.array([0.0, 3.0, -7.0])
    transformer = BatchNormTransformer(epsilon=epsilon, gamma=gamma, beta=beta).fit(X)
    expected = gamma * (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + epsilon) + beta
    np.testing.assert_allclose(transformer.transform(X), expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(transformer.gamma_, gamma)
    np.testing.assert_array_equal(transformer.beta_, beta)


def test_gamma_and_beta_may_be_floats():
    transformer = BatchNormTransformer(gamma=2, beta=-1.5).fit(X)
    np.testing.assert_array_equal(transformer.gamma_, [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(transformer.beta_, [-1.5, -1.5, -1.5])
    assert transformer.gamma_.dtype == np.float64


def test_defaults():
    assert BatchNormTransformer().get_params() == {
        "momentum": None,
        "epsilon": 1e-5,
        "gamma": 1.0,
        "beta": 0.0,
        "batch_size": None,
        "time_statistics": "per_step",
        "copy": True,
    }
    with pytest.raises(TypeError, match="positional"):
        BatchNormTransformer(None)


def test_fitted_attributes():
    transformer = BatchNormTransformer().fit(X.astype(np.float32))
    assert transformer.running_mean_.dtype == transformer.running_var_.dtype == np.float64
    assert type(transformer.n_samples_seen_) is int
    assert transformer.n_samples_seen_ == 60
    assert transformer.n_batches_seen_ == 1
    assert transformer.n_features_in_ == 3
    assert not hasattr(transformer, "feature_names_in_")
    np.testing.assert_allclose(transformer.running_var_, X.var(axis=0), rtol=1e-4)
    assert not any(name.startswith("scale") for name in vars(transformer))


def test_samples_seen_as_weights_and_nan_have_it():
    transformer = BatchNormTransformer().fit(X, sample_weight=np.full(60, 0.5))
    assert transformer.n_samples_seen_ == 30.0
    assert type(transformer.n_samples_seen_) is float
    holes = X.copy()
    holes[:5, 1] = np.nan
    transformer.fit(holes)
    np.testing.assert_array_equal(transformer.n_samples_seen_, [60, 55, 60])
    assert transformer.n_samples_seen_.dtype == np.int64
    transformer.partial_fit(X, sample_weight=np.full(60, 0.5))
    np.testing.assert_array_equal(transformer.n_samples_seen_, [90.0, 85.0, 90.0])


# Running averages


def exponential(batches, momentum):
    mean, var = batches[0].mean(axis=0), batches[0].var(axis=0)
    for batch in batches[1:]:
        mean = (1.0 - momentum) * mean + momentum * batch.mean(axis=0)
        var = (1.0 - momentum) * var + momentum * batch.var(axis=0)
    return mean, var


@pytest.mark.parametrize("momentum", [0.1, 0.9, 1.0, 1])
def test_exponential_averages_weigh_the_newest_batch(momentum):
    batches = np.split(X, 6)
    transformer = BatchNormTransformer(momentum=momentum)
    for k, batch in enumerate(batches):
        transformer.partial_fit(batch)
        mean, var = exponential(batches[: k + 1], momentum)
        np.testing.assert_allclose(transformer.running_mean_, mean, rtol=1e-12)
        np.testing.assert_allclose(transformer.running_var_, var, rtol=1e-10)
        assert transformer.n_batches_seen_ == k + 1
    assert transformer.n_samples_seen_ == 60


def test_the_first_batch_sets_exponential_averages():
    transformer = BatchNormTransformer(momentum=0.01).partial_fit(X)
    np.testing.assert_allclose(transformer.running_mean_, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(transformer.running_var_, X.var(axis=0), rtol=1e-10)


def test_exponential_averages_of_a_column_start_at_its_first_entries():
    first, second, third = np.split(X.copy(), 3)
    first[:, 0] = np.nan
    third[:, 0] = np.nan
    transformer = BatchNormTransformer(momentum=0.5).partial_fit(first)
    assert np.isnan(transformer.running_mean_[0])
    transformer.partial_fit(second)
    np.testing.assert_allclose(transformer.running_mean_[0], second[:, 0].mean())
    transformer.partial_fit(third)
    np.testing.assert_allclose(transformer.running_mean_[0], second[:, 0].mean())
    np.testing.assert_array_equal(transformer.n_samples_seen_, [20, 60, 60])


@pytest.mark.parametrize("momentum", [None, 0.3])
@pytest.mark.parametrize("batch_size", [1, 7, 20, 59, 60, 1000])
def test_fit_is_partial_fit_on_mini_batches(momentum, batch_size):
    ends = list(range(batch_size, 60, batch_size))
    if momentum is not None and ends and 60 - ends[-1] == 1:
        # One last row has no variance: it joins the batch before it.
        ends.pop()
    stream = BatchNormTransformer(momentum=momentum)
    for batch in np.split(X, ends):
        stream.partial_fit(batch)
    transformer = BatchNormTransformer(momentum=momentum, batch_size=batch_size).fit(X)
    np.testing.assert_array_equal(transformer.running_mean_, stream.running_mean_)
    np.testing.assert_array_equal(transformer.running_var_, stream.running_var_)
    assert transformer.n_batches_seen_ == stream.n_batches_seen_ == len(ends) + 1


def test_fit_starts_anew_and_partial_fit_does_not():
    transformer = BatchNormTransformer().fit(X).fit(X[:30, :2])
    assert transformer.n_features_in_ == 2
    assert transformer.n_samples_seen_ == 30
    assert transformer.partial_fit(X[30:, :2]).n_samples_seen_ == 60
    np.testing.assert_allclose(transformer.running_mean_, X[:, :2].mean(axis=0), rtol=1e-12)


def test_partial_fit_transform_is_the_training_pass():
    a, b = X[:20], X[20:]
    transformer = BatchNormTransformer(momentum=0.1, gamma=3.0, beta=1.0)
    for batch in (a, b):
        values = transformer.partial_fit_transform(batch)
        expected = (batch - batch.mean(axis=0)) / np.sqrt(batch.var(axis=0) + 1e-5)
        np.testing.assert_allclose(values, 3.0 * expected + 1.0, rtol=1e-9, atol=1e-10)
    mean, var = exponential([a, b], 0.1)
    np.testing.assert_allclose(transformer.running_mean_, mean, rtol=1e-12)
    np.testing.assert_allclose(transformer.running_var_, var, rtol=1e-10)
    assert transformer.n_batches_seen_ == 2


def test_partial_fit_transform_of_one_row():
    transformer = BatchNormTransformer()
    with pytest.raises(ValueError, match="1 sample"):
        transformer.partial_fit_transform(X[:1])
    assert not hasattr(transformer, "n_features_in_")
    transformer.fit(X)
    before = state_of(transformer)
    with pytest.raises(ValueError, match="1 sample"):
        transformer.partial_fit_transform(X[:1])
    with pytest.raises(ValueError, match="1 sample of positive weight"):
        transformer.partial_fit_transform(X[:3], sample_weight=[0.0, 5.0, 0.0])
    assert_same_state(transformer, before)


def test_partial_fit_transform_with_weights_nan_and_constant_columns():
    rows = X[:10].copy()
    rows[0, 0] = np.nan
    rows[:, 1] = 7.0
    weight = np.array([1.0, 2.0, 0.0, 1.0, 3.0, 1.0, 1.0, 0.0, 1.0, 1.0])
    values = BatchNormTransformer(beta=0.25).partial_fit_transform(rows, sample_weight=weight)
    assert np.isnan(values[0, 0])
    assert np.isnan(values).sum() == 1
    np.testing.assert_array_equal(values[:, 1], 0.25)
    repeated = np.repeat(rows[:, 2], weight.astype(int))
    expected = (rows[:, 2] - repeated.mean()) / np.sqrt(repeated.var() + 1e-5) + 0.25
    np.testing.assert_allclose(values[:, 2], expected, rtol=1e-9)


@quiet
@given(
    seed=st.integers(0, 10_000),
    momentum=st.sampled_from([None, 0.2]),
    missing=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_a_weight_of_two_is_the_row_twice(seed, momentum, missing, dtype):
    rng = np.random.default_rng(seed)
    rows = rng.normal(5.0, 2.0, (40, 3)).astype(dtype)
    if missing:
        rows[rng.random(rows.shape) < 0.3] = np.nan
    weight = rng.integers(0, 4, 40)
    weight[[0, 20]] = 1
    weighted, repeated = (
        BatchNormTransformer(momentum=momentum),
        BatchNormTransformer(momentum=momentum),
    )
    for part in (slice(0, 20), slice(20, 40)):
        weighted.partial_fit(rows[part], sample_weight=weight[part])
        repeated.partial_fit(np.repeat(rows[part], weight[part], axis=0))
    np.testing.assert_allclose(weighted.running_mean_, repeated.running_mean_, rtol=1e-12)
    np.testing.assert_allclose(weighted.running_var_, repeated.running_var_, rtol=1e-11)
    np.testing.assert_array_equal(weighted.n_samples_seen_, repeated.n_samples_seen_)


def test_mini_batches_without_weight_are_left_out():
    weight = np.r_[np.ones(20), np.zeros(20), np.ones(20)]
    transformer = BatchNormTransformer(momentum=0.5, batch_size=20).fit(X, sample_weight=weight)
    mean, var = exponential([X[:20], X[40:]], 0.5)
    np.testing.assert_allclose(transformer.running_mean_, mean, rtol=1e-12)
    np.testing.assert_allclose(transformer.running_var_, var, rtol=1e-10)
    assert transformer.n_batches_seen_ == 2


# inverse_transform


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inverse_transform(dtype):
    rows = X.astype(dtype)
    rows[0, 1] = np.nan
    transformer = BatchNormTransformer(gamma=[2.0, -0.5, 1.0], beta=[0.0, 5.0, 1.0]).fit(rows)
    back = transformer.inverse_transform(transformer.transform(rows))
    assert back.dtype == dtype
    tolerance = 1e-6 if dtype == np.float32 else 1e-14
    np.testing.assert_allclose(back, rows, rtol=tolerance, atol=5.0 * tolerance)


def test_inverse_transform_of_constant_columns():
    rows = np.c_[X, np.full(60, 4.0)]
    transformer = BatchNormTransformer(beta=2.0).fit(rows)
    np.testing.assert_allclose(
        transformer.inverse_transform(transformer.transform(rows)), rows, rtol=1e-12
    )


def test_inverse_transform_where_gamma_is_zero():
    transformer = BatchNormTransformer(gamma=[1.0, 0.0, 0.0]).fit(X)
    np.testing.assert_array_equal(transformer.transform(X)[:, 1], 0.0)
    with pytest.raises(ValueError, match=r"gamma is 0.* 1, 2\."):
        transformer.inverse_transform(X)


def test_inverse_transform_refuses_other_features_and_infinity():
    transformer = BatchNormTransformer().fit(X)
    with pytest.raises(ValueError, match="X has 2 features, but BatchNormTransformer"):
        transformer.inverse_transform(X[:, :2])
    with pytest.raises(ValueError, match="infinity"):
        transformer.inverse_transform(np.full((2, 3), np.inf))


def test_inverse_transform_takes_plain_arrays_after_a_data_frame():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    transformer = BatchNormTransformer().fit(frame)
    back = transformer.inverse_transform(transformer.transform(frame))
    np.testing.assert_allclose(back, X, rtol=1e-12)


# merge


@quiet
@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(1, 59), max_size=6, unique=True),
    missing=st.booleans(),
    weighted=st.booleans(),
)
def test_merge_of_portions_is_one_fit(seed, cuts, missing, weighted):
    rng = np.random.default_rng(seed)
    rows = X.copy()
    if missing:
        rows[rng.random(rows.shape) < 0.5] = np.nan
    weight = rng.uniform(0.1, 3.0, 60)
    parts = [
        BatchNormTransformer().fit(rows[part], sample_weight=weight[part] if weighted else None)
        for part in np.split(np.arange(60), sorted(cuts))
    ]
    others = [state_of(part) for part in parts]
    merged = reduce(BatchNormTransformer.merge, parts)
    assert merged is parts[0]
    whole = BatchNormTransformer().fit(rows, sample_weight=weight if weighted else None)
    np.testing.assert_allclose(merged.running_mean_, whole.running_mean_, rtol=1e-13)
    np.testing.assert_allclose(merged.running_var_, whole.running_var_, rtol=1e-11)
    np.testing.assert_allclose(merged.n_samples_seen_, whole.n_samples_seen_, rtol=1e-13)
    assert merged.n_batches_seen_ == len(parts)
    for part, before in zip(parts[1:], others[1:], strict=True):
        assert_same_state(part, before)


@pytest.mark.parametrize("offset", [1e6, 1e9, -1e12])
@pytest.mark.parametrize("missing", [False, True])
def test_weighted_portions_far_from_zero(offset, missing):
    # One float64 holds the mean of a portion to 1e-16 of the offset, which is 1e-4 at 1e12.
    rng = np.random.default_rng(0)
    X = offset + rng.standard_normal((1000, 3))
    X[:, 2] = offset
    if missing:
        X[rng.uniform(size=X.shape) < 0.1] = np.nan
    weight = 0.37 * rng.integers(0, 3, 1000)
    whole = BatchNormTransformer().fit(X, sample_weight=weight)
    portions = BatchNormTransformer(batch_size=97).fit(X, sample_weight=weight)
    np.testing.assert_allclose(portions.running_mean_, whole.running_mean_, rtol=1e-15)
    np.testing.assert_allclose(portions.running_var_, whole.running_var_, rtol=1e-12)
    assert whole.running_var_[2] == portions.running_var_[2] == 0.0


def test_merge_with_itself_and_of_sequences():
    transformer = BatchNormTransformer().fit(X)
    transformer.merge(transformer)
    assert transformer.n_samples_seen_ == 120
    np.testing.assert_allclose(transformer.running_var_, X.var(axis=0), rtol=1e-11)
    a, b = (BatchNormTransformer().fit(part) for part in np.split(SEQUENCES, 2))
    np.testing.assert_allclose(a.merge(b).running_mean_, SEQUENCES.mean(axis=0), rtol=1e-12)


def test_merge_refuses():
    fitted = BatchNormTransformer().fit(X)
    before = state_of(fitted)
    averaged = BatchNormTransformer(momentum=0.1).fit(X)
    disguised = BatchNormTransformer(momentum=0.1).fit(X).set_params(momentum=None)
    for one, two in ((fitted, averaged), (averaged, fitted), (fitted, disguised)):
        with pytest.raises(ValueError, match="Exponential running averages cannot be merged"):
            one.merge(two)
    with pytest.raises(ValueError, match="3 features here, 2 in the other"):
        fitted.merge(BatchNormTransformer().fit(X[:, :2]))
    with pytest.raises(ValueError, match="different time steps"):
        fitted.merge(BatchNormTransformer().fit(SEQUENCES))
    with pytest.raises(NotFittedError):
        fitted.merge(BatchNormTransformer())
    with pytest.raises(NotFittedError):
        BatchNormTransformer().merge(fitted)
    with pytest.raises(TypeError, match="ndarray"):
        fitted.merge(X)
    assert_same_state(fitted, before)
    a = BatchNormTransformer().fit(pd.DataFrame(X, columns=["a", "b", "c"]))
    b = BatchNormTransformer().fit(pd.DataFrame(X, columns=["a", "b", "d"]))
    with pytest.raises(ValueError, match=r"Different features.*'c'.*'d'"):
        a.merge(b)
    assert a.merge(fitted).n_samples_seen_ == 120


# NaN, infinity, sparse


def test_nan_is_ignored_by_statistics_and_kept():
    rows = X.copy()
    rows[3:9, 0] = np.nan
    transformer = BatchNormTransformer().fit(rows)
    np.testing.assert_allclose(transformer.running_mean_, np.nanmean(rows, axis=0), rtol=1e-12)
    np.testing.assert_allclose(transformer.running_var_, np.nanvar(rows, axis=0), rtol=1e-10)
    np.testing.assert_array_equal(np.isnan(transformer.transform(rows)), np.isnan(rows))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("with_nan", [False, True])
def test_infinity_is_refused(value, dtype, order, with_nan):
    good = np.asarray(X, dtype=dtype, order=order)
    transformer = BatchNormTransformer(copy=False).fit(good)
    before = state_of(transformer)
    for place in ((0, 0), (-1, -1), (30, 1)):
        bad = good.copy(order="K")
        if with_nan:
            bad[::3] = np.nan
        bad[place] = value
        kept = bad.copy(order="K")
        for call in (
            transformer.fit,
            transformer.partial_fit,
            transformer.partial_fit_transform,
            transformer.transform,
            transformer.inverse_transform,
            lambda bad: transformer.fit(bad, sample_weight=np.ones(60)),
            lambda bad: transformer.fit(bad, sample_weight=(np.arange(60) % 30 == 5) * 1.0),
            clone(transformer).set_params(batch_size=7).fit,
        ):
            with pytest.raises(ValueError, match="Input X contains infinity"):
                call(bad)
            np.testing.assert_array_equal(bad, kept)
            assert_same_state(transformer, before)


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_is_refused(container):
    transformer = BatchNormTransformer().fit(X)
    for call in (
        transformer.fit,
        transformer.partial_fit,
        transformer.partial_fit_transform,
        transformer.transform,
        transformer.inverse_transform,
    ):
        with pytest.raises(ValueError, match=r"Cannot center sparse matrices.*dense"):
            call(container(np.eye(3)))


# Three dimensions


def test_statistics_of_each_step():
    transformer = BatchNormTransformer(gamma=[1.0, 2.0, 3.0], beta=[0.0, 1.0, 2.0])
    values = transformer.fit_transform(SEQUENCES)
    assert transformer.running_mean_.shape == transformer.running_var_.shape == (4, 3)
    assert transformer.n_features_in_ == 3
    assert transformer.n_samples_seen_ == 20
    mean, var = SEQUENCES.mean(axis=0), SEQUENCES.var(axis=0)
    np.testing.assert_allclose(transformer.running_mean_, mean, rtol=1e-12)
    np.testing.assert_allclose(transformer.running_var_, var, rtol=1e-12)
    expected = transformer.gamma_ * (SEQUENCES - mean) / np.sqrt(var + 1e-5) + transformer.beta_
    np.testing.assert_allclose(values, expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(transformer.inverse_transform(values), SEQUENCES, rtol=1e-11)


def test_statistics_shared_over_time():
    transformer = BatchNormTransformer(time_statistics="shared").fit(SEQUENCES)
    flat = SEQUENCES.reshape(-1, 3)
    assert transformer.running_mean_.shape == (3,)
    assert transformer.n_samples_seen_ == 80
    np.testing.assert_allclose(transformer.running_mean_, flat.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(transformer.running_var_, flat.var(axis=0), rtol=1e-12)
    rows = BatchNormTransformer().fit(flat)
    np.testing.assert_allclose(
        transformer.transform(SEQUENCES).reshape(-1, 3), rows.transform(flat), rtol=1e-11
    )


@pytest.mark.parametrize("time_statistics", ["per_step", "shared"])
@pytest.mark.parametrize("momentum", [None, 0.3])
def test_weights_and_nan_of_sequences(time_statistics, momentum):
    weight = np.arange(20) % 3 + 1
    holes = SEQUENCES.copy()
    holes[::4, 2, 1] = np.nan
    a = BatchNormTransformer(momentum=momentum, time_statistics=time_statistics)
    b = clone(a)
    a.partial_fit(holes, sample_weight=weight).partial_fit(SEQUENCES)
    b.partial_fit(np.repeat(holes, weight, axis=0)).partial_fit(SEQUENCES)
    np.testing.assert_allclose(a.running_mean_, b.running_mean_, rtol=1e-12)
    np.testing.assert_allclose(a.running_var_, b.running_var_, rtol=1e-12)
    np.testing.assert_array_equal(a.n_samples_seen_, b.n_samples_seen_)


def test_fewer_steps_than_fitted():
    transformer = BatchNormTransformer().fit(SEQUENCES)
    np.testing.assert_array_equal(
        transformer.transform(SEQUENCES[:, :2]), transformer.transform(SEQUENCES)[:, :2]
    )
    longer = transformer.running_mean_[2:].copy()
    transformer.partial_fit(SEQUENCES[:, :2] + 1.0)
    np.testing.assert_array_equal(transformer.running_mean_[2:], longer)
    np.testing.assert_allclose(
        transformer.running_mean_[:2], SEQUENCES[:, :2].mean(axis=0) + 0.5, rtol=1e-12
    )
    np.testing.assert_array_equal(
        transformer.n_samples_seen_, np.repeat([[40], [40], [20], [20]], 3, axis=1)
    )
    averaged = BatchNormTransformer(momentum=0.25).fit(SEQUENCES)
    averaged.partial_fit(SEQUENCES[:, :1] + 4.0)
    np.testing.assert_allclose(
        averaged.running_mean_,
        SEQUENCES.mean(axis=0) + np.array([[1.0], [0.0], [0.0], [0.0]]),
        rtol=1e-12,
    )


def test_more_steps_than_fitted():
    transformer = BatchNormTransformer().fit(SEQUENCES[:, :3])
    before = state_of(transformer)
    for call in (transformer.transform, transformer.partial_fit, transformer.inverse_transform):
        with pytest.raises(ValueError, match=r"X has 4 time steps.*fitted on 3"):
            call(SEQUENCES)
    assert_same_state(transformer, before)
    shared = BatchNormTransformer(time_statistics="shared").fit(SEQUENCES[:, :3])
    assert shared.transform(SEQUENCES).shape == SEQUENCES.shape


def test_two_dimensions_after_three_and_three_after_two():
    per_step = BatchNormTransformer().fit(SEQUENCES)
    with pytest.raises(ValueError, match=r"for each time step.*time_statistics='shared'"):
        per_step.transform(X)
    rows = BatchNormTransformer().fit(X)
    with pytest.raises(ValueError, match=r"was fitted on\s.*time_statistics='shared'"):
        rows.transform(SEQUENCES)
    shared = BatchNormTransformer(time_statistics="shared").fit(SEQUENCES)
    np.testing.assert_array_equal(
        shared.transform(SEQUENCES[:, 1]), shared.transform(SEQUENCES)[:, 1]
    )
    assert shared.partial_fit(X).n_samples_seen_ == 140
    assert BatchNormTransformer(time_statistics="shared").fit(X).transform(SEQUENCES).ndim == 3


def test_features_are_the_last_axis():
    transformer = BatchNormTransformer().fit(SEQUENCES)
    with pytest.raises(ValueError, match="X has 4 features, but BatchNormTransformer is expecting"):
        transformer.transform(SEQUENCES.swapaxes(1, 2))
    np.testing.assert_array_equal(transformer.get_feature_names_out(), ["x0", "x1", "x2"])
    with pytest.raises(ValueError, match="gamma has shape"):
        BatchNormTransformer(gamma=np.ones(4)).fit(SEQUENCES)


@pytest.mark.parametrize("shape", [(3, 2, 2, 2), (3, 0, 2), (3, 2, 0), (0, 2, 2), (0, 2), (3, 0)])
def test_shapes_refused(shape):
    transformer = BatchNormTransformer()
    with pytest.raises(ValueError, match="Found array with"):
        transformer.fit(np.ones(shape))
    assert vars(transformer) == vars(BatchNormTransformer())
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        transformer.fit(np.ones(3))


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_three_dimensional_data_frames_are_refused(container):
    transformer = BatchNormTransformer().fit(SEQUENCES).set_output(transform=container)
    before = state_of(transformer)
    with pytest.raises(ValueError, match="Three-dimensional output does not fit"):
        transformer.transform(SEQUENCES)
    with pytest.raises(ValueError, match="Three-dimensional output does not fit"):
        transformer.partial_fit_transform(SEQUENCES)
    assert_same_state(transformer, before)
    assert transformer.inverse_transform(SEQUENCES).ndim == 3
    with (
        sklearn.config_context(transform_output=container),
        pytest.raises(ValueError, match="Three-dimensional"),
    ):
        BatchNormTransformer().fit_transform(SEQUENCES)
    assert transformer.set_output(transform="default").transform(SEQUENCES).ndim == 3


# Memory


def layouts(values):
    """The same numbers, C- and Fortran-ordered, strided, reversed, in a record."""
    wide = np.zeros(tuple(2 * size for size in values.shape), values.dtype)
    inner = wide[tuple(slice(None, None, 2) for _ in values.shape)]
    inner[...] = values
    records = np.zeros(values.shape, dtype=[("pad", np.int8), ("value", values.dtype)])
    records["value"] = values
    turned = tuple(slice(None, None, -1) for _ in values.shape)
    return {
        "C": np.ascontiguousarray(values),
        "F": np.asfortranarray(values),
        "strided": inner,
        "reversed": np.ascontiguousarray(values[turned])[turned],
        "swapped": np.ascontiguousarray(values.swapaxes(0, -1)).swapaxes(0, -1),
        "records": records["value"],
    }


@pytest.mark.parametrize("layout", ["C", "F", "strided", "reversed", "swapped", "records"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [X, SEQUENCES], ids=["2d", "3d"])
@pytest.mark.parametrize("time_statistics", ["per_step", "shared"])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("copy", [False, True])
def test_layouts(layout, dtype, rows, time_statistics, missing, copy):
    rows = rows.astype(dtype)
    if missing:
        rows[::3, ..., 0] = np.nan
    plain = BatchNormTransformer(time_statistics=time_statistics).fit(rows)
    expected = plain.transform(rows)
    given_rows = layouts(rows)[layout]
    given_rows.setflags(write=False)
    transformer = BatchNormTransformer(time_statistics=time_statistics, copy=copy).fit(given_rows)
    np.testing.assert_allclose(transformer.running_mean_, plain.running_mean_, rtol=1e-13)
    np.testing.assert_allclose(transformer.running_var_, plain.running_var_, rtol=1e-12)
    given_rows.setflags(write=True)
    values = transformer.transform(given_rows)
    assert values.dtype == dtype
    rtol = 1e-4 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(values, expected, rtol=rtol, atol=rtol)
    if copy:
        np.testing.assert_array_equal(given_rows, rows)
        if layout == "F":
            assert values.flags.f_contiguous
    elif layout != "records":
        assert values is given_rows or np.shares_memory(values, given_rows)
        np.testing.assert_array_equal(given_rows, values)


@pytest.mark.parametrize("method", ["transform", "inverse_transform", "partial_fit_transform"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_in_place(method, dtype):
    rows = X.astype(dtype)
    expected = getattr(BatchNormTransformer().fit(rows), method)(rows)
    transformer = BatchNormTransformer(copy=False).fit(rows)
    values = getattr(transformer, method)(rows)
    assert np.shares_memory(values, rows)
    np.testing.assert_array_equal(rows, expected)
    read_only = X.astype(dtype)
    read_only.setflags(write=False)
    assert not np.shares_memory(getattr(transformer, method)(read_only), read_only)
    np.testing.assert_array_equal(read_only, X.astype(dtype))
    integers = np.arange(12).reshape(4, 3)
    assert getattr(transformer, method)(integers).dtype == np.float64
    np.testing.assert_array_equal(integers, np.arange(12).reshape(4, 3))


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.parametrize("copy", [False, True])
def test_memmap(tmp_path, mode, copy):
    path = tmp_path / "rows.npy"
    np.save(path, X)
    mapped = np.load(path, mmap_mode=mode)
    transformer = BatchNormTransformer(copy=copy).fit(mapped)
    values = transformer.transform(mapped)
    assert type(values) is np.ndarray
    np.testing.assert_array_equal(values, BatchNormTransformer().fit(X).transform(X))
    mapped.flush()
    written = mode == "r+" and not copy
    np.testing.assert_array_equal(np.load(path), values if written else X)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.bool_, ">f8", object])
def test_other_dtypes_become_float64(dtype):
    rows = np.arange(12).reshape(4, 3).astype(dtype)
    transformer = BatchNormTransformer().fit(rows)
    assert transformer.transform(rows).dtype == np.float64
    np.testing.assert_allclose(
        transformer.running_mean_, rows.astype(np.float64).mean(axis=0), rtol=1e-15
    )


@pytest.mark.parametrize("shape", [(200, 3), (100, 2, 3)])
@pytest.mark.parametrize("copy", [True, False])
def test_half_precision_is_kept(shape, copy):
    # The sum of a column is beyond float16's largest number, and so is its mean's square.
    rows = (300 + np.random.default_rng(0).standard_normal(shape)).astype(np.float16)
    rows.flat[0] = np.nan
    wide = rows.astype(np.float64)
    reference = BatchNormTransformer().fit(wide)
    desired = reference.transform(wide)
    transformer = BatchNormTransformer(copy=copy).fit(rows)
    assert transformer.running_mean_.dtype == transformer.running_var_.dtype == np.float64
    np.testing.assert_allclose(transformer.running_mean_, reference.running_mean_, rtol=1e-12)
    np.testing.assert_allclose(transformer.running_var_, reference.running_var_, rtol=1e-9)
    given = rows.copy()
    values = transformer.transform(given)
    assert values.dtype == np.float16
    assert (values is given) == (not copy)
    # Rounded once: half a unit in the last place.
    np.testing.assert_allclose(values.astype(np.float64), desired, rtol=2.0**-11 * 1.001)
    back = transformer.inverse_transform(values)
    assert back.dtype == np.float16
    np.testing.assert_allclose(back.astype(np.float64), wide, rtol=2.0**-10)
    training = BatchNormTransformer().partial_fit_transform(rows)
    assert training.dtype == np.float16
    np.testing.assert_allclose(training.astype(np.float64), desired, rtol=2.0**-11 * 1.001)


@pytest.mark.parametrize("copy", [True, False])
def test_results_beyond_half_precision_are_warned_of(copy):
    rows = np.array([[1.0], [3.0]], dtype=np.float16)
    transformer = BatchNormTransformer(gamma=1e6, copy=copy).fit(rows)
    with pytest.warns(RuntimeWarning, match="overflow"):
        assert np.isinf(transformer.transform(rows)).all()


def test_infinity_in_half_precision_is_refused():
    rows = np.array([[1.0], [np.inf]], dtype=np.float16)
    with pytest.raises(ValueError, match="infinity"):
        BatchNormTransformer().fit(rows)
    with pytest.raises(ValueError, match="infinity"):
        BatchNormTransformer().fit(rows[:1]).transform(rows)


def test_tensors_are_arrays_here():
    class Tensor:
        """What NumPy can convert, as a tensor of this machine's memory."""

        def __init__(self, values):
            self.values = values
            self.shape, self.dtype = values.shape, "tensor.float64"

        def __len__(self):
            return len(self.values)

        def __array__(self, dtype=None, copy=None):
            return np.array(self.values, dtype=dtype)

    transformer = BatchNormTransformer().fit(Tensor(X))
    np.testing.assert_array_equal(transformer.transform(Tensor(X)), transformer.transform(X))


# A failed call


BAD = {
    "infinity": (np.where(np.arange(60)[:, None] == 59, np.inf * np.sign(X), X), "infinity"),
    "text": (np.array([["a", "b", "c"]] * 3), "could not convert string to float"),
    "complex": (X * 1j, "Complex data not supported"),
    "one dimension": (X[0], "Expected 2D array"),
    "no rows": (X[:0], "0 sample"),
    "four dimensions": (np.ones((2, 2, 2, 3)), "with dim 4"),
    "sparse": (sparse.csr_array(X), "Cannot center sparse"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "partial_fit_transform"])
@pytest.mark.parametrize("momentum", [None, 0.1])
def test_a_failed_call_leaves_the_state_as_it_was(kind, method, momentum):
    unfitted = BatchNormTransformer(momentum=momentum, batch_size=7)
    fitted = clone(unfitted).fit(X)
    for transformer in (unfitted, fitted):
        before = state_of(transformer)
        with pytest.raises(ValueError, match=BAD[kind][1]):
            getattr(transformer, method)(BAD[kind][0])
        assert_same_state(transformer, before)


@pytest.mark.parametrize("method", ["partial_fit", "partial_fit_transform"])
@pytest.mark.parametrize(
    ("columns", "message"), [(["a", "b", "d"], "feature names"), (["a", "b"], "feature names")]
)
def test_other_features_leave_the_state_as_it_was(method, columns, message):
    transformer = BatchNormTransformer().fit(pd.DataFrame(X, columns=["a", "b", "c"]))
    before = state_of(transformer)
    with pytest.raises(ValueError, match=message):
        getattr(transformer, method)(pd.DataFrame(X[:, : len(columns)], columns=columns))
    assert_same_state(transformer, before)
    transformer = BatchNormTransformer().fit(X)
    before = state_of(transformer)
    with pytest.raises(ValueError, match="X has 2 features, but BatchNormTransformer is expecting"):
        getattr(transformer, method)(X[:, :2])
    assert_same_state(transformer, before)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(59), "sample_weight.shape"),
        (np.zeros(60), "at least one non-zero"),
        (-np.ones(60), "(?i)negative"),
        (np.full(60, np.nan), "NaN"),
        (np.ones((60, 1)), "(?i)sample weights must be 1D"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "partial_fit_transform"])
def test_bad_weights(weight, message, method):
    transformer = BatchNormTransformer().fit(X[:30])
    before = state_of(transformer)
    with pytest.raises(ValueError, match=message):
        getattr(transformer, method)(X, sample_weight=weight)
    assert_same_state(transformer, before)


@pytest.mark.parametrize(
    "bad",
    [
        {"momentum": 0.0},
        {"momentum": 1.1},
        {"momentum": -0.1},
        {"momentum": "auto"},
        {"epsilon": -1e-9},
        {"epsilon": None},
        {"gamma": "a"},
        {"gamma": None},
        {"beta": None},
        {"batch_size": 0},
        {"batch_size": 1.5},
        {"time_statistics": "both"},
        {"copy": "no"},
    ],
    ids=str,
)
def test_parameters_out_of_range(bad):
    (name,) = bad
    transformer = BatchNormTransformer(**bad)
    for method in ("fit", "partial_fit", "fit_transform", "partial_fit_transform"):
        with pytest.raises(
            InvalidParameterError, match=f"The '{name}' parameter of BatchNormTransformer must be"
        ):
            getattr(transformer, method)(X)
    assert vars(transformer).keys() == vars(BatchNormTransformer()).keys()


@pytest.mark.parametrize("name", ["gamma", "beta"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones(2), r"has shape \(2,\), expected a float or an array of shape \(3,\)"),
        (np.ones((1, 3)), r"has shape \(1, 3\)"),
        ([1.0, np.nan, 1.0], "contains NaN"),
        ([1.0, np.inf, 1.0], "contains infinity"),
        (np.inf, r"' parameter of BatchNormTransformer must be a float in the range"),
    ],
)
def test_gamma_and_beta_are_checked_at_fit(name, value, message):
    transformer = BatchNormTransformer(**{name: value})
    with pytest.raises(ValueError, match=f"{name} ?{message}"):
        transformer.fit(X)
    assert not hasattr(transformer, "n_features_in_")


def test_not_fitted():
    for method in ("transform", "inverse_transform"):
        with pytest.raises(NotFittedError):
            getattr(BatchNormTransformer(), method)(X)
    with pytest.raises(NotFittedError):
        BatchNormTransformer().get_feature_names_out()


def test_gamma_is_the_users_array_no_longer():
    gamma = np.ones(3)
    transformer = BatchNormTransformer(gamma=gamma).fit(X)
    gamma[:] = 5.0
    np.testing.assert_array_equal(transformer.gamma_, 1.0)


# At home in scikit-learn


def test_feature_names():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    transformer = BatchNormTransformer().fit(frame)
    np.testing.assert_array_equal(transformer.feature_names_in_, ["a", "b", "c"])
    np.testing.assert_array_equal(transformer.get_feature_names_out(), ["a", "b", "c"])
    with pytest.raises(ValueError, match="feature names should match"):
        transformer.transform(frame[["b", "a", "c"]])
    with pytest.warns(UserWarning, match="valid feature names"):
        transformer.transform(X)
    assert not hasattr(transformer.fit(X), "feature_names_in_")


@pytest.mark.parametrize("method", ["transform", "fit_transform", "partial_fit_transform"])
@pytest.mark.parametrize("copy", [False, True])
def test_set_output_pandas(method, copy):
    frame = pd.DataFrame(X.copy(), columns=["a", "b", "c"], index=np.arange(60) + 100)
    expected = getattr(BatchNormTransformer().fit(frame), method)(frame)
    transformer = BatchNormTransformer(copy=copy).fit(frame).set_output(transform="pandas")
    values = getattr(transformer, method)(frame)
    assert isinstance(values, pd.DataFrame)
    np.testing.assert_array_equal(values.columns, frame.columns)
    np.testing.assert_array_equal(values.index, frame.index)
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("method", ["transform", "fit_transform", "partial_fit_transform"])
def test_set_output_polars(method):
    frame = pl.DataFrame(X, schema=["a", "b", "c"])
    transformer = BatchNormTransformer().fit(frame).set_output(transform="polars")
    values = getattr(transformer, method)(frame)
    assert isinstance(values, pl.DataFrame)
    theirs = StandardScaler().set_output(transform="polars").fit_transform(frame)
    assert values.columns == theirs.columns


def test_nullable_columns():
    frame = pd.DataFrame({"a": pd.array([1, None, 3], "Int64"), "b": pd.array([1.0, 2.0, 6.0])})
    transformer = BatchNormTransformer(epsilon=0.0).fit(frame)
    np.testing.assert_array_equal(transformer.running_mean_, [2.0, 3.0])
    np.testing.assert_array_equal(transformer.n_samples_seen_, [2, 3])


@pytest.mark.parametrize("momentum", [None, 0.1])
@pytest.mark.parametrize("rows", [X, SEQUENCES], ids=["2d", "3d"])
def test_pickle_copy_and_clone(momentum, rows):
    transformer = BatchNormTransformer(momentum=momentum, gamma=[1.0, 2.0, 3.0]).fit(rows)
    for other in (pickle.loads(pickle.dumps(transformer)), copy.deepcopy(transformer)):
        assert_same_state(other, state_of(transformer))
        np.testing.assert_array_equal(
            other.partial_fit(rows + 1.0).running_mean_,
            copy.deepcopy(transformer).partial_fit(rows + 1.0).running_mean_,
        )
    other = clone(transformer)
    assert not hasattr(other, "running_mean_")
    np.testing.assert_array_equal(other.gamma, [1.0, 2.0, 3.0])
    shallow = copy.copy(transformer)
    mean = transformer.running_mean_.copy()
    shallow.partial_fit(rows + 100.0)
    np.testing.assert_array_equal(transformer.running_mean_, mean)
    np.testing.assert_array_equal(
        transformer._running_moments().running_mean().reshape(mean.shape), mean
    )


def test_pipeline_and_grid_search():
    y = X @ [1.0, 2.0, 3.0]
    pipeline = make_pipeline(BatchNormTransformer(batch_size=10), LinearRegression())
    search = GridSearchCV(
        pipeline, {"batchnormtransformer__momentum": [None, 0.1, 1.0]}, cv=3, error_score="raise"
    ).fit(X, y)
    assert search.best_score_ > 0.999
    search = GridSearchCV(
        BatchNormTransformer(),
        {"momentum": [None, 0.5]},
        cv=3,
        scoring=lambda transformer, X: -np.abs(transformer.transform(X).mean()),
        error_score="raise",
    ).fit(X)
    assert search.cv_results_["mean_test_score"].shape == (2,)


def test_metadata_routing():
    y = (X[:, 0] > 3.0).astype(int)
    weight = np.linspace(0.1, 2.0, 60)
    expected = BatchNormTransformer().fit(X, sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        transformer = BatchNormTransformer().set_fit_request(sample_weight=True)
        transformer.set_partial_fit_request(sample_weight=True)
        classifier = SGDClassifier(random_state=0).set_fit_request(sample_weight=False)
        pipeline = make_pipeline(transformer, classifier).fit(X, y, sample_weight=weight)
        np.testing.assert_array_equal(pipeline[0].running_mean_, expected.running_mean_)
        requests = transformer.get_metadata_routing()
        assert requests.fit.requests == {"sample_weight": True}
        assert requests.transform.requests == {}


def test_weights_pass_through_fit_transform():
    weight = np.linspace(0.1, 2.0, 60)
    a, b = BatchNormTransformer(), BatchNormTransformer()
    np.testing.assert_array_equal(
        a.fit_transform(X, sample_weight=weight), b.fit(X, sample_weight=weight).transform(X)
    )
    assert BatchNormTransformer().fit(X, sample_weight=2.0).n_samples_seen_ == 120.0


def test_docstring_examples_and_sources():
    assert doctest.testmod(skbn.estimators.transformer).failed == 0
    assert doctest.testmod(skbn.estimators.transformer).attempted > 10
    text = inspect.getdoc(BatchNormTransformer)
    for phrase in ("PyTorch", "Keras", "Ioffe and Szegedy", "Chan, Golub"):
        assert phrase in text
    for name in BatchNormTransformer().get_params():
        assert f"\n{name} : " in text
    for name in vars(BatchNormTransformer().fit(pd.DataFrame({"a": [1.0, 2.0]}))):
        if name.endswith("_"):
            assert f"\n{name} : " in text
