"""With exact averages BatchNormTransformer is StandardScaler, in any portions."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from skbn import BatchNormTransformer

EPS = np.finfo(np.float64).eps
quiet = settings(deadline=None, derandomize=True, max_examples=60)


def scaler_of(X, sample_weight=None):
    with warnings.catch_warnings():
        # StandardScaler divides 0 by 0 in a column without entries.
        warnings.simplefilter("ignore", RuntimeWarning)
        return StandardScaler().fit(X, sample_weight=sample_weight)


def assert_agrees(ours, theirs, X, rtol=1e-12):
    """Statistics relative to themselves and to the spread; values norm-wise, column by column."""
    spread = np.where(np.isnan(theirs.scale_), 1.0, theirs.scale_)
    atol = rtol * spread
    np.testing.assert_array_equal(np.isnan(ours.running_mean_), np.isnan(theirs.mean_))
    difference = np.abs(ours.running_mean_ - theirs.mean_)
    assert np.all(~(difference > np.maximum(rtol * np.abs(theirs.mean_), atol)))
    np.testing.assert_allclose(ours.running_var_, theirs.var_, rtol=rtol, atol=1e-300)
    np.testing.assert_allclose(ours.n_samples_seen_, theirs.n_samples_seen_, rtol=1e-14)
    values, expected = ours.transform(X), theirs.transform(X)
    np.testing.assert_array_equal(np.isnan(values), np.isnan(expected))
    size = np.nanmax(np.abs(np.nan_to_num(expected)), axis=0)
    error = np.nanmax(np.abs(np.nan_to_num(values - expected)), axis=0)
    assert np.all(error <= rtol * np.maximum(size, 1.0))


def portions(n, cuts):
    edges = [0, *sorted({cut % n for cut in cuts} - {0}), n]
    return [slice(a, b) for a, b in pairwise(edges)]


@quiet
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 200),
    d=st.integers(1, 8),
    cuts=st.lists(st.integers(0, 10_000), max_size=20),
    offset=st.floats(0, 900),
    missing=st.sampled_from([0.0, 0.1, 0.6]),
    weighted=st.booleans(),
    order=st.sampled_from("CF"),
)
def test_any_portions_in_any_order(seed, n, d, cuts, offset, missing, weighted, order):
    rng = np.random.default_rng(seed)
    X = np.asarray(rng.normal(offset, 1.0, (n, d)), order=order)
    X[rng.random((n, d)) < missing] = np.nan
    weight = rng.integers(0, 4, n).astype(float) if weighted else None
    if weighted:
        weight[rng.integers(n)] = 1.0
    theirs = scaler_of(X, weight)
    ours = BatchNormTransformer(epsilon=0.0)
    for part in rng.permutation(np.array(portions(n, cuts), dtype=object)):
        part_weight = None if weight is None else weight[part]
        if part_weight is None or part_weight.any():
            ours.partial_fit(X[part], sample_weight=part_weight)
    assert_agrees(ours, theirs, X)


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_single_rows(missing, weighted, offset):
    rng = np.random.default_rng(3)
    X = rng.normal(offset, 1.0, (1000, 5))
    X[rng.random(X.shape) < missing] = np.nan
    weight = rng.uniform(0.5, 2.0, 1000) if weighted else None
    ours = BatchNormTransformer(epsilon=0.0)
    for i in rng.permutation(1000):
        ours.partial_fit(X[i : i + 1], sample_weight=None if weight is None else weight[i : i + 1])
    assert_agrees(ours, scaler_of(X, weight), X)


def test_a_later_portion_is_as_good_as_the_first():
    # StandardScaler itself loses a column for good that is all NaN in one portion.
    X = np.array([[np.nan, 1.0], [np.nan, 2.0], [3.0, np.nan], [5.0, np.nan]])
    ours = BatchNormTransformer(epsilon=0.0).partial_fit(X[:2]).partial_fit(X[2:])
    assert_agrees(ours, scaler_of(X), X)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 100, 1000])
def test_fit_in_mini_batches(batch_size):
    X = np.random.default_rng(1).normal(5.0, 2.0, (100, 4))
    assert_agrees(BatchNormTransformer(epsilon=0.0, batch_size=batch_size).fit(X), scaler_of(X), X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float32_statistics_are_those_of_the_same_numbers_in_float64(dtype):
    X = np.random.default_rng(2).normal(100.0, 1.0, (500, 3)).astype(dtype)
    ours = BatchNormTransformer(epsilon=0.0).fit(X)
    theirs = scaler_of(X.astype(np.float64))
    np.testing.assert_allclose(ours.running_mean_, theirs.mean_, rtol=1e-14)
    np.testing.assert_allclose(ours.running_var_, theirs.var_, rtol=1e-12)
    assert ours.transform(X).dtype == dtype


def test_float32_rows_lose_nothing_to_their_offset():
    X = np.random.default_rng(4).normal(1e4, 1.0, (2000, 3)).astype(np.float32)
    wide = X.astype(np.longdouble)
    exact = (wide - wide.mean(axis=0)) / wide.std(axis=0)
    values = BatchNormTransformer(epsilon=0.0).fit(X).transform(X)
    assert np.abs(values - exact).max() <= 1e-6


def test_columns_without_entries_and_their_counts():
    X = np.array([[1.0, np.nan, 2.0], [3.0, np.nan, np.nan]])
    ours, theirs = BatchNormTransformer(epsilon=0.0).fit(X), scaler_of(X)
    np.testing.assert_array_equal(ours.n_samples_seen_, theirs.n_samples_seen_)
    np.testing.assert_array_equal(ours.n_samples_seen_, [2, 0, 1])
    np.testing.assert_array_equal(ours.running_mean_, [2.0, np.nan, 2.0])
    np.testing.assert_array_equal(ours.running_var_, [1.0, np.nan, 0.0])
    np.testing.assert_array_equal(ours.transform(X), theirs.transform(X))


def exact_values(X):
    wide = X.astype(np.longdouble)
    mean = wide.mean(axis=0)
    # Two passes, corrected for the rounding of the mean.
    mean = mean + (wide - mean).mean(axis=0)
    var = ((wide - mean) ** 2).mean(axis=0)
    return mean, var, (wide - mean) / np.sqrt(var)


def norm_error(values, exact):
    """Largest error over rows and columns against the largest value, never below one ulp."""
    return max(float(np.abs(values - exact).max() / np.abs(exact).max()), EPS)


@pytest.mark.skipif(np.finfo(np.longdouble).eps >= EPS, reason="long double is double here")
@pytest.mark.parametrize("offset", [1e4, 1e6, 1e8, 1e10, 1e12])
@pytest.mark.parametrize("rows", ["all", "portions", "single"])
@pytest.mark.parametrize("kind", ["normal", "integer", "sorted"])
def test_error_at_large_offsets(offset, rows, kind):
    for seed in range(4 if rows == "single" else 30):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(20, 300 if rows == "single" else 2000))
        X = rng.normal(0.0, 1.0, (n, 6))
        if kind == "integer":
            X = np.round(X * 3.0)
        if kind == "sorted":
            X = np.sort(X, axis=0)
        X = X + offset * rng.uniform(0.5, 1.0, 6) * rng.choice([-1.0, 1.0], 6)
        if kind == "integer":
            X = np.round(X)
        parts = {
            "all": [slice(0, n)],
            "portions": portions(n, rng.integers(0, n, 6)),
            "single": [slice(i, i + 1) for i in range(n)],
        }[rows]
        ours, theirs = BatchNormTransformer(epsilon=0.0), StandardScaler()
        for part in parts:
            ours.partial_fit(X[part])
            theirs.partial_fit(X[part])
        mean, var, exact = exact_values(X)
        # StandardScaler's bound makes a column constant that it cannot tell from one.
        kept = theirs.scale_ != 1.0
        np.testing.assert_array_equal(
            np.abs(ours.transform(X)).max(axis=0) > 0.0, np.ones(6, dtype=bool)
        )
        for value, other, truth in (
            (ours.running_mean_, theirs.mean_, mean),
            (ours.running_var_, theirs.var_, var),
            (ours.transform(X), theirs.transform(X), exact),
        ):
            value, other, truth = value[..., kept], other[..., kept], truth[..., kept]
            if kept.any():
                assert norm_error(value, truth) <= 4.0 * norm_error(other, truth)


def test_single_rows_end_where_one_batch_does():
    X = np.random.default_rng(8).normal(1e9, 1.0, (5000, 2))
    whole = BatchNormTransformer().fit(X)
    stream = BatchNormTransformer(batch_size=1).fit(X)
    np.testing.assert_array_equal(stream.running_mean_, whole.running_mean_)
    np.testing.assert_allclose(stream.running_var_, whole.running_var_, rtol=1e-13)


@pytest.mark.parametrize("value", [0.1, 1e10, -3.7, 0.0])
@pytest.mark.parametrize("batch_size", [None, 1, 7])
def test_constant_columns_give_beta_and_blow_nothing_up(value, batch_size):
    X = np.full((1000, 2), value)
    ours = BatchNormTransformer(beta=[0.5, -1.0], gamma=2.0, batch_size=batch_size).fit(X)
    np.testing.assert_array_equal(ours.running_var_, 0.0)
    np.testing.assert_array_equal(ours.transform(X), np.tile([0.5, -1.0], (1000, 1)))
    unseen = ours.transform(X[:1] + 3.0) - [0.5, -1.0]
    np.testing.assert_allclose(unseen, 2.0 * ((value + 3.0) - value), rtol=1e-6)


def test_near_constant_columns_are_constant_where_they_are_to_standard_scaler():
    noise = np.random.default_rng(5).choice([-1.0, 0.0, 1.0], (100, 3))
    X = 1e8 * (1.0 + EPS * noise)
    ours, theirs = BatchNormTransformer(epsilon=0.0).fit(X), scaler_of(X)
    np.testing.assert_array_equal(theirs.scale_, 1.0)
    assert np.abs(ours.transform(X)).max() < 1e-7
    assert np.all(ours.running_var_ > 0.0)


def test_a_variance_beyond_the_largest_double_gives_beta():
    # StandardScaler gives NaN here.
    X = np.array([[1e200, 1.0], [-1e200, 2.0], [1e199, 4.0]])
    with pytest.warns(RuntimeWarning, match="beyond the largest float64"):
        ours = BatchNormTransformer(epsilon=0.0, beta=0.5).fit(X)
    np.testing.assert_array_equal(ours.running_var_[0], np.inf)
    np.testing.assert_array_equal(ours.transform(X)[:, 0], 0.5)
