"""Array functions of ``skbn.kernels.moments``: exact statistics, whatever the offset."""

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import FLOAT64, arrays, drawn, each_precision, lengths, weights
from tables import (
    LAYOUTS,
    laid_out,
    sorted_rows,
    table,
    with_a_step_after_the_first_block,
    with_first_row_far_out,
)
from twins import assert_equals_twin, untouched

from skbn.kernels import blas, moments

quiet = settings(deadline=None, derandomize=True, max_examples=80)
offsets = st.sampled_from([0.0, 1.0, -1000.0])
PAIR, TRIPLE = [FLOAT64] * 2, [FLOAT64] * 3


@each_precision
@drawn
@given(st.data(), lengths(largest=40), lengths(smallest=0), offsets)
def test_batch_moments_equal_their_twin(precision, data, n, d, offset):
    x = data.draw(arrays((n, d), precision.dtype, offset=offset))
    assert_equals_twin(moments.batch_moments, PAIR, x)


@pytest.mark.parametrize("n", [1, 100, 1000])
@pytest.mark.parametrize("order", ["C", "F"])
def test_pairs_hold_what_the_mean_of_far_columns_lost(n, order):
    x = np.array(table(n, offset=1e8), order=order)
    mean, var = moments.batch_moment_pairs(x)
    expected, exact_var = reference.moments.batch_moment_pairs(x)
    # A mean alone is rounded to 1e-8 here.
    error = np.abs((mean[0] - expected[0]) + (mean[1] - expected[1]))
    assert (error <= 1e-14).all()
    np.testing.assert_array_equal(mean[0], moments.batch_moments(x)[0])
    np.testing.assert_allclose(var, exact_var, rtol=1e-7)


@each_precision
@pytest.mark.parametrize("weighted", [False, True])
@drawn
@given(st.data(), lengths(smallest=0, largest=40), lengths(smallest=0), offsets)
def test_weighted_moments_equal_their_twin(precision, weighted, data, n, d, offset):
    x = data.draw(arrays((n, d), precision.dtype, orders=["C", "F", "strided"], offset=offset))
    x[data.draw(arrays((n, d), np.float64)) > 1.0] = np.nan
    sample_weight = data.draw(weights(n, positive=0)) if weighted else None
    assert_equals_twin(moments.weighted_moments, TRIPLE, x, sample_weight)


@each_precision
@drawn
@given(st.data(), lengths(largest=40), lengths())
def test_weighted_moments_take_any_strides(precision, data, n, d):
    x = data.draw(arrays((n, d), precision.dtype))
    assert_equals_twin(moments.weighted_moments, TRIPLE, x, data.draw(weights(n, positive=0)))


@each_precision
@drawn
@given(st.data(), lengths(largest=9), offsets)
def test_without_rounding_equals_its_twin(precision, data, d, offset):
    mean = data.draw(arrays((d,), np.float64, offset=offset))
    # The variances go from far below the bound to far above the bound. Some are 0.
    factor = 16.0 * data.draw(arrays((d,), np.float64))
    var = (factor * np.finfo(precision.dtype).eps) ** 2 * mean**2
    assert_equals_twin(moments.without_rounding, [FLOAT64], mean, var, precision.dtype)


def equal_rows_of_products(dtype, seed):
    """Products of equal rows and random weights, of many shapes."""
    rng = np.random.default_rng(seed)
    for _ in range(100):
        n, d = rng.integers(2, 71), rng.integers(2, 301)
        k = rng.integers(1, 301)
        x = np.tile(rng.standard_normal(k), (n, 1)).astype(dtype)
        weights = rng.standard_normal((k, d)).astype(dtype)
        yield blas.matmul(x, weights)
        yield blas.matmul(x, np.ascontiguousarray(weights.T), transpose_b=True)


@each_precision
def test_without_rounding_equal_rows_have_no_variance_behind_a_product(precision):
    for y in equal_rows_of_products(precision.dtype, seed=0):
        mean, var = moments.batch_moments(y)
        np.testing.assert_array_equal(moments.without_rounding(mean, var, precision.dtype), 0.0)


@each_precision
def test_without_rounding_a_column_that_cancels_has_none_either(precision):
    # Column 0 cancels: its mean is about 0, but its rounded terms are as large as the terms of
    # the other columns.
    rng = np.random.default_rng(0)
    for _ in range(100):
        n, k, d = rng.integers(2, 71), rng.integers(2, 301), rng.integers(8, 301)
        row, weights = rng.standard_normal(k), rng.standard_normal((k, d))
        weights[:, 0] -= row * (row @ weights[:, 0]) / (row @ row)
        x = np.tile(row, (n, 1)).astype(precision.dtype)
        y = blas.matmul(x, weights.astype(precision.dtype))
        mean, var = moments.batch_moments(y)
        np.testing.assert_array_equal(moments.without_rounding(mean, var, precision.dtype), 0.0)


# `smallest` is a real variance, divided by the square of the mean.
@pytest.mark.parametrize(
    ("dtype", "smallest"), [(np.float32, 1e-10), (np.float64, 1e-8), (np.float64, 1e-27)]
)
@pytest.mark.parametrize("offset", [1.0, -1e3])
@pytest.mark.parametrize("n", [2, 70])
def test_without_rounding_real_variances_stay(dtype, smallest, offset, n):
    mean = offset * np.linspace(0.5, 1.5, 5)
    np.testing.assert_array_equal(
        moments.without_rounding(mean, smallest * offset**2 * np.ones(5), dtype),
        smallest * offset**2,
    )
    if smallest > 1e-27:
        # The variances of rows with this mean and this spread stay too.
        spread = np.sqrt(smallest) * np.linspace(-1.0, 1.0, n)[:, np.newaxis]
        x = (mean + 2.0 * offset * spread).astype(dtype)
        mean, var = moments.batch_moments(x)
        np.testing.assert_array_equal(moments.without_rounding(mean, var, dtype), var)


@each_precision
def test_without_rounding_columns_about_0_keep_any_variance(precision):
    var = np.array([1e-300, 1e-30, 1.0])
    actual = moments.without_rounding(np.zeros(3), var, precision.dtype)
    np.testing.assert_array_equal(actual, var)


def test_without_rounding_nan_stays():
    actual = moments.without_rounding([1.0, np.nan], [np.nan, 1.0], np.float64)
    np.testing.assert_array_equal(actual, [np.nan, 1.0])


@pytest.mark.parametrize(
    ("mean", "var"),
    [
        (np.ones(2), np.ones(3)),
        (np.ones((2, 1)), np.ones((2, 1))),
        (np.ones(0), np.ones(0)),
        (np.ones(1), None),
    ],
)
def test_without_rounding_refuses_other_shapes(mean, var):
    with pytest.raises(ValueError, match="must be vectors of one size"):
        moments.without_rounding(mean, var, np.float64)


@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.longdouble])
def test_without_rounding_refuses_what_products_are_not_computed_in(dtype):
    with pytest.raises(ValueError, match="must be float32 or float64"):
        moments.without_rounding(np.ones(2), np.ones(2), dtype)


@pytest.mark.parametrize("n", [255, 256, 257, 513, 20_011])
@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize(
    "arranged",
    [np.array, sorted_rows, with_first_row_far_out, with_a_step_after_the_first_block],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_batch_moments_are_exact_over_many_blocks(n, offset, arranged, order):
    x = np.array(arranged(table(n, offset=offset)), order=order)
    mean, var = moments.batch_moments(x)
    exact_mean, exact_var = reference.moments.batch_moments(x)
    np.testing.assert_allclose(mean, exact_mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(var, exact_var, rtol=1e-12)


@pytest.mark.parametrize("arranged", [np.array, sorted_rows])
def test_batch_moments_lose_no_more_than_the_condition_of_the_data(arranged):
    # The plain E[x^2] - E[x]^2 would lose the square of the condition, which is every digit.
    x = arranged(table(5000, offset=1e8))
    exact_mean, exact_var = reference.moments.batch_moments(x)
    bound = 4 * np.finfo(np.float64).eps * np.max(exact_mean / np.sqrt(exact_var))
    for mean, var, *_ in (moments.batch_moments(x), moments.weighted_moments(x)):
        np.testing.assert_allclose(mean, exact_mean, rtol=1e-15)
        np.testing.assert_allclose(var, exact_var, rtol=bound)


@pytest.mark.parametrize("n", [1, 2, 255, 256, 257, 1000])
@pytest.mark.parametrize("value", [0.1, -1e8 / 3, 1e300])
def test_a_constant_column_has_exactly_variance_0(n, value):
    x = np.full((n, 2), value)
    ones = np.linspace(0.1, 1.7, n)
    for mean, var, *_ in (
        moments.batch_moments(x),
        moments.batch_moments(np.asfortranarray(x)),
        moments.weighted_moments(x),
        moments.weighted_moments(x, ones),
    ):
        np.testing.assert_array_equal(mean, value)
        np.testing.assert_array_equal(var, 0.0)


@each_precision
def test_nan_takes_no_part_in_weighted_moments(precision):
    nan = np.nan
    x = np.array([[nan, 1, nan], [2, nan, nan], [6, 7, nan], [nan, 1, nan]], precision.dtype)
    mean, var, weight = moments.weighted_moments(x, [1.0, 1.0, 3.0, 0.0])
    np.testing.assert_allclose(mean, [5.0, 5.5, 0.0])
    np.testing.assert_allclose(var, [3.0, 6.75, 0.0])
    np.testing.assert_array_equal(weight, [4.0, 4.0, 0.0])


@each_precision
def test_nan_makes_batch_moments_nan_in_its_column_alone(precision):
    x = np.ones((300, 3), precision.dtype)
    x[280, 1] = np.nan
    for statistic in moments.batch_moments(x):
        np.testing.assert_array_equal(np.isnan(statistic), [False, True, False])


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize("sample_weight", [None, np.array([1.0, 2.0, 3.0])])
def test_an_infinite_column_has_no_finite_variance(value, row, sample_weight):
    x = np.arange(6.0).reshape(3, 2)
    x[row, 0] = value
    for mean, var, *_ in (
        moments.batch_moments(x),
        moments.weighted_moments(x, sample_weight),
    ):
        np.testing.assert_array_equal(np.isfinite(mean), [False, True])
        np.testing.assert_array_equal(np.isfinite(var), [False, True])


def test_a_row_of_weight_0_may_hold_anything():
    x = table(5)
    expected = moments.weighted_moments(x[1:], np.ones(4))
    for anything in (np.inf, 1e300, np.nan):
        x[0] = anything
        actual = moments.weighted_moments(x, [0.0, 1.0, 1.0, 1.0, 1.0])
        np.testing.assert_array_equal(actual, expected)


@each_precision
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_a_weight_of_2_is_the_row_twice(precision, offset):
    x = table(40, offset=offset).astype(precision.dtype)
    repeats = np.arange(40) % 4
    expected = moments.batch_moments(np.repeat(x, repeats, axis=0))
    actual = moments.weighted_moments(x, repeats)
    np.testing.assert_allclose(actual[0], expected[0], rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(actual[1], expected[1], rtol=1e-11)
    np.testing.assert_array_equal(actual[2], np.sum(repeats))


@pytest.mark.parametrize("function", [moments.batch_moments, moments.weighted_moments])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones(3), "must have shape \\(n, d\\), got 1 dimension"),
        (np.ones((1, 2, 3)), "got 3 dimension"),
        (np.ones((2, 3), np.int64), "must be float32 or float64, got int64"),
        (np.ones((2, 3), np.float16), "got float16"),
        (np.ones((2, 3), np.dtype(np.float64).newbyteorder()), "must be float32 or float64"),
    ],
)
def test_what_is_no_matrix_of_floats_is_refused(function, x, message):
    with pytest.raises(ValueError, match=message):
        untouched(function, x)


def test_0_rows_have_no_moments():
    with pytest.raises(ValueError, match="0 rows"):
        moments.batch_moments(np.empty((0, 3)))


@pytest.mark.parametrize("sample_weight", [np.ones(2), np.ones(4), np.ones((3, 1)), 1.0])
def test_weights_of_another_length_are_refused(sample_weight):
    with pytest.raises(ValueError, match="x has 3 rows"):
        untouched(moments.weighted_moments, np.ones((3, 2)), sample_weight)


def moments_in_long_double(x):
    wide = x.astype(np.longdouble)
    mean = wide.mean(axis=0)
    mean = mean + (wide - mean).mean(axis=0)
    return mean, ((wide - mean) ** 2).mean(axis=0)


@quiet
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 2000),
    d=st.integers(1, 20),
    dtype=st.sampled_from([np.float32, np.float64]),
    layout=st.sampled_from(LAYOUTS),
    offset=st.sampled_from([0.0, 1.0, 1e4]),
    ordered=st.booleans(),
)
def test_moments_are_rounded_about_once(seed, n, d, dtype, layout, offset, ordered):
    x = np.random.default_rng(seed).normal(offset, 1.0, (n, d)).astype(dtype)
    x = laid_out(np.sort(x, axis=0) if ordered else x, layout)
    exact_mean, exact_var = moments_in_long_double(x)
    for mean, var in (moments.batch_moments(x), moments.weighted_moments(x)[:2]):
        np.testing.assert_allclose(mean, exact_mean.astype(float), rtol=1e-15, atol=2e-14)
        np.testing.assert_allclose(var, exact_var.astype(float), rtol=3e-14, atol=1e-30)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("d", [1, 7])
def test_moments_with_nan_are_those_of_the_other_entries(dtype, layout, d):
    rng = np.random.default_rng(1)
    x = rng.normal(50.0, 1.0, (600, d)).astype(dtype)
    x[rng.random(x.shape) < 0.3] = np.nan
    x[0] = np.nan
    weight = rng.integers(0, 3, 600).astype(float)
    mean, var, total = moments.weighted_moments(laid_out(x, layout), weight)
    for j in range(d):
        kept = np.repeat(x[:, j], weight.astype(int))
        kept = kept[~np.isnan(kept)].astype(np.float64)
        np.testing.assert_allclose(mean[j], kept.mean(), rtol=1e-14)
        np.testing.assert_allclose(var[j], kept.var(), rtol=1e-13)
        assert total[j] == kept.size
