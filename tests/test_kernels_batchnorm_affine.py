"""The affine map and the pairs of statistics against plain NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skbn.kernels import batchnorm

quiet = settings(deadline=None, derandomize=True, max_examples=80)


def arranged(values, layout):
    """The same numbers in another memory layout."""
    n, d = values.shape
    if layout == "F":
        return np.asfortranarray(values)
    if layout == "rows":
        wide = np.zeros((2 * n, d), values.dtype)
        wide[::2] = values
        return wide[::2]
    if layout == "columns":
        wide = np.zeros((n, 3 * d), values.dtype)
        wide[:, ::3] = values
        return wide[:, ::3]
    if layout == "reversed":
        return np.ascontiguousarray(values[::-1, ::-1])[::-1, ::-1]
    return np.ascontiguousarray(values)


LAYOUTS = ["C", "F", "rows", "columns", "reversed"]


@quiet
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 300),
    d=st.integers(0, 300),
    dtype=st.sampled_from([np.float32, np.float64]),
    layout=st.sampled_from(LAYOUTS),
    out_layout=st.sampled_from([*LAYOUTS, "none", "in place"]),
)
def test_affine(seed, n, d, dtype, layout, out_layout):
    rng = np.random.default_rng(seed)
    x = arranged(rng.normal(10.0, 1.0, (n, d)).astype(dtype), layout)
    mean, scale, shift = rng.normal(10.0, 1.0, d), rng.normal(size=d), rng.normal(size=d)
    expected = (x.astype(np.float64) - mean) * scale + shift
    out = None
    if out_layout == "in place":
        out = x
    elif out_layout != "none":
        out = arranged(np.empty((n, d), dtype), out_layout)
    y, finite = batchnorm.affine(x, mean, scale, shift, out=out)
    assert y is out or out is None
    assert y.dtype == dtype
    assert finite is True
    np.testing.assert_allclose(y, expected, rtol=0, atol=30 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(400_000, 13), (40_000, 120), (17_000, 300), (4_200_000, 1)])
def test_affine_of_more_than_the_cache_holds(dtype, shape):
    rng = np.random.default_rng(0)
    x = rng.random(shape, dtype=dtype)
    d = shape[1]
    mean, scale, shift = rng.random(d), rng.random(d), rng.random(d)
    y, finite = batchnorm.affine(x, mean, scale, shift)
    assert finite
    expected = (x - mean.astype(dtype)) * scale.astype(dtype) + shift.astype(dtype)
    np.testing.assert_allclose(y, expected, rtol=0, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("d", [1, 5, 300])
def test_affine_tells_what_is_not_finite(dtype, layout, value, in_place, d):
    for i, j in ((0, 0), (16, d - 1), (8, d // 2)):
        x = np.ones((17, d), dtype)
        x[i, j] = value
        x = arranged(x, layout)
        one = np.ones(d)
        y, finite = batchnorm.affine(x, one, one, one, out=x if in_place else None)
        assert finite is False
        assert not np.isfinite(y[i, j])
        assert np.isfinite(y).sum() == y.size - 1


def test_affine_of_large_offsets_and_of_scales_beyond_float32():
    x = (1e7 + np.arange(20).reshape(10, 2)).astype(np.float32)
    mean = np.array([1e7 + 9.3, 1e7 + 10.7])
    y, _ = batchnorm.affine(x, mean, np.full(2, 0.3), np.zeros(2))
    np.testing.assert_allclose(y, (x.astype(np.float64) - mean) * 0.3, rtol=1e-6)
    tiny = (np.arange(20).reshape(10, 2) * 1e-40).astype(np.float32)
    y, _ = batchnorm.affine(tiny, np.zeros(2), np.full(2, 1e40), np.zeros(2))
    np.testing.assert_allclose(y, np.arange(20).reshape(10, 2), rtol=1e-4)


@pytest.mark.parametrize("shift", [-7, -1, 1, 5])
def test_affine_writes_over_what_it_reads(shift):
    memory = np.arange(60.0)
    x, out = memory[10:30].reshape(5, 4), memory[10 + shift : 30 + shift].reshape(5, 4)
    expected = (x - 1.0) * 2.0 + 3.0
    y, _ = batchnorm.affine(x, np.ones(4), np.full(4, 2.0), np.full(4, 3.0), out=out)
    assert y is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    ("x", "d", "out", "message"),
    [
        (np.zeros(3), 3, None, "shape"),
        (np.zeros((3, 2), np.int64), 2, None, "float32 or float64"),
        (np.zeros((3, 2)), 3, None, "expected shape"),
        (np.zeros((3, 2)), 2, np.zeros((2, 2)), "out has shape"),
        (np.zeros((3, 2)), 2, np.zeros((3, 2), np.float32), "out has shape"),
    ],
)
def test_affine_refuses(x, d, out, message):
    column = np.zeros(d)
    with pytest.raises(ValueError, match=message):
        batchnorm.affine(x, column, column, column, out=out)


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
    x = arranged(np.sort(x, axis=0) if ordered else x, layout)
    exact_mean, exact_var = moments_in_long_double(x)
    for mean, var in (batchnorm.batch_moments(x), batchnorm.weighted_moments(x)[:2]):
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
    mean, var, total = batchnorm.weighted_moments(arranged(x, layout), weight)
    for j in range(d):
        kept = np.repeat(x[:, j], weight.astype(int))
        kept = kept[~np.isnan(kept)].astype(np.float64)
        np.testing.assert_allclose(mean[j], kept.mean(), rtol=1e-14)
        np.testing.assert_allclose(var[j], kept.var(), rtol=1e-13)
        assert total[j] == kept.size


@quiet
@given(seed=st.integers(0, 10_000), d=st.integers(0, 6), parts=st.integers(1, 40))
def test_merge_pairs(seed, d, parts):
    rng = np.random.default_rng(seed)
    x = rng.normal(1e6, 1.0, (parts, d))
    mean, var, weight = np.zeros((2, d)), np.zeros((2, d)), np.zeros(d)
    present = rng.random(x.shape) < 0.8
    for row, there in zip(x, present, strict=True):
        batchnorm.merge_pairs(
            mean,
            var,
            weight,
            np.stack([row, np.zeros(d)]),
            np.zeros((2, d)),
            there.astype(float),
        )
    np.testing.assert_array_equal(weight, present.sum(axis=0))
    for j in range(d):
        kept = x[present[:, j], j].astype(np.longdouble)
        if kept.size > 0:
            assert mean[0, j] + np.longdouble(mean[1, j]) == pytest.approx(
                kept.mean(), rel=1e-18, abs=1e-14
            )
            np.testing.assert_allclose(var[0, j], float(kept.var()), rtol=1e-13, atol=1e-22)


def test_merge_pairs_refuses_other_shapes():
    pair, one = np.zeros((2, 3)), np.zeros(3)
    with pytest.raises(ValueError, match="one length"):
        batchnorm.merge_pairs(pair, pair, one, pair, pair, np.zeros(2))
    with pytest.raises(ValueError, match="one length"):
        batchnorm.merge_pairs(pair, np.zeros((2, 2)), one, pair, pair, one)
    with pytest.raises(ValueError, match="2 rows"):
        batchnorm.merge_pairs(pair, pair, one, np.zeros((3, 3)), pair, one)
