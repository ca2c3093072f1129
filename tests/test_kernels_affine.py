"""The affine map against plain NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skbn.kernels.affine import affine
from tables import LAYOUTS, laid_out

quiet = settings(deadline=None, derandomize=True, max_examples=80)


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
    x = laid_out(rng.normal(10.0, 1.0, (n, d)).astype(dtype), layout)
    mean, scale, shift = rng.normal(10.0, 1.0, d), rng.normal(size=d), rng.normal(size=d)
    expected = (x.astype(np.float64) - mean) * scale + shift
    out = None
    if out_layout == "in place":
        out = x
    elif out_layout != "none":
        out = laid_out(np.empty((n, d), dtype), out_layout)
    y, finite = affine(x, mean, scale, shift, out=out)
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
    y, finite = affine(x, mean, scale, shift)
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
        x = laid_out(x, layout)
        one = np.ones(d)
        y, finite = affine(x, one, one, one, out=x if in_place else None)
        assert finite is False
        assert not np.isfinite(y[i, j])
        assert np.isfinite(y).sum() == y.size - 1


def test_affine_of_large_offsets_and_of_scales_beyond_float32():
    x = (1e7 + np.arange(20).reshape(10, 2)).astype(np.float32)
    mean = np.array([1e7 + 9.3, 1e7 + 10.7])
    y, _ = affine(x, mean, np.full(2, 0.3), np.zeros(2))
    np.testing.assert_allclose(y, (x.astype(np.float64) - mean) * 0.3, rtol=1e-6)
    tiny = (np.arange(20).reshape(10, 2) * 1e-40).astype(np.float32)
    y, _ = affine(tiny, np.zeros(2), np.full(2, 1e40), np.zeros(2))
    np.testing.assert_allclose(y, np.arange(20).reshape(10, 2), rtol=1e-4)


@pytest.mark.parametrize("shift", [-7, -1, 1, 5])
def test_affine_writes_over_what_it_reads(shift):
    memory = np.arange(60.0)
    x, out = memory[10:30].reshape(5, 4), memory[10 + shift : 30 + shift].reshape(5, 4)
    expected = (x - 1.0) * 2.0 + 3.0
    y, _ = affine(x, np.ones(4), np.full(4, 2.0), np.full(4, 3.0), out=out)
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
        affine(x, column, column, column, out=out)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [2, 7, 50, 128])
def test_large_tables_are_written_within_their_memory(dtype, d):
    # Large results are streamed, and the ends of huge pages are written to ahead of their turn.
    n = (1 << 24) // (d * np.dtype(dtype).itemsize) + 300_001 // d
    x = np.random.default_rng(0).standard_normal((n, d)).astype(dtype)
    shift = np.arange(d) + 1.0
    # Four numbers before the result and four behind it, which keeps the result on 16 bytes.
    memory = np.full(n * d + 8, 77.0, dtype)
    out = memory[4:-4].reshape(n, d)
    y, finite = affine(x, np.zeros(d), np.full(d, 2.0), shift, out=out)
    assert finite
    np.testing.assert_array_equal(y, 2 * x + shift.astype(dtype))
    assert (memory[:4] == 77.0).all()
    assert (memory[-4:] == 77.0).all()
