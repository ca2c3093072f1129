"""The array function of ``skbn.kernels.gather``."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skbn.kernels.gather import gather
from strategies import BOTH, arrays, drawn, each_precision, lengths
from twins import assert_equals_twin, untouched

each_table = pytest.mark.parametrize("table_precision", BOTH, ids="table-{}".format)
offsets = st.sampled_from([0.0, 1e4])


@each_precision
@each_table
@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("clipped", [False, True])
@drawn
@given(st.data(), lengths(largest=20), lengths(smallest=0), offsets)
def test_gather_equals_its_twin(
    precision, table_precision, normalized, clipped, data, n, d, offset
):
    x = data.draw(arrays((n, d), table_precision.dtype, offset=offset))
    # Rows in any order, repeated, or none at all.
    chosen = st.lists(st.integers(0, n - 1), max_size=30).map(np.array)
    rows = data.draw(st.none() | chosen)
    mean, invstd = None, None
    if normalized:
        mean, invstd = (data.draw(arrays((d,), np.float64, offset=o)) for o in (offset, 0.0))
    options = {"rows": rows, "mean": mean, "invstd": invstd, "dtype": precision.dtype}
    options["clipped"] = clipped
    y = assert_equals_twin(gather, [precision], x, **options)
    assert y.flags.c_contiguous


@each_precision
@each_table
@pytest.mark.parametrize("order", ["C", "F"])
def test_without_statistics_rows_are_cast_and_nothing_else(precision, table_precision, order):
    x = np.random.default_rng(0).standard_normal((50, 3)).astype(table_precision.dtype)
    x = np.array(x, order=order)
    x[3, 1], x[4, 2] = np.nan, np.inf
    rows = [3, 0, 49, 3, 4]
    y = gather(x, rows, dtype=precision.dtype)
    np.testing.assert_array_equal(y, x[rows].astype(precision.dtype))


@each_precision
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_large_offset_costs_nothing(precision, order):
    # Cast first and 1e8 + 1 is 1e8 in float32; the rows are normalized in float64 first.
    x = np.array(1e8 + np.arange(12.0).reshape(4, 3), order=order)
    y = gather(x, mean=np.full(3, 1e8 + 0.5), invstd=np.full(3, 2.0), dtype=precision.dtype)
    np.testing.assert_array_equal(y, 2.0 * np.arange(12.0).reshape(4, 3) - 1.0)


@each_precision
def test_the_smooth_clip_has_limits_for_whatever_number(precision):
    largest = np.finfo(precision.dtype).max
    x = np.array([[0.0, 1e-30, 0.1, 3.0, 1e5, 1e7, 1e25, largest, np.inf]], precision.dtype)
    y = gather(x, dtype=precision.dtype, clipped=True)
    np.testing.assert_array_equal(gather(-x, dtype=precision.dtype, clipped=True), -y)
    assert y[0, 0] == 0.0
    assert (np.diff(y[0]) >= 0.0).all()
    assert y[0, 3] == pytest.approx(3.0 / np.sqrt(2.0), rel=1e-6)
    np.testing.assert_allclose(y[0, :3], x[0, :3], rtol=1e-3)
    np.testing.assert_allclose(y[0, 4:], 3.0, rtol=2e-7)
    assert (y <= 3.0).all()
    assert np.isnan(gather(x * np.nan, dtype=precision.dtype, clipped=True)).all()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_an_empty_table_gives_an_empty_batch(shape):
    assert gather(np.empty(shape)).shape == shape
    assert gather(np.empty(shape), rows=[]).shape == (0, shape[1])


X, COLUMN = np.ones((4, 3)), np.ones(3)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (COLUMN, {}, "must have shape \\(n, d\\), got 1 dimension"),
        (np.ones((2, 2, 2)), {}, "got 3 dimension"),
        (X.astype(np.int64), {}, "must be float32 or float64, got int64"),
        (X.astype(np.float16), {}, "must be float32 or float64, got float16"),
        (X, {"dtype": np.int64}, "must be float32 or float64, got int64"),
        (X, {"dtype": np.float16}, "must be float32 or float64, got float16"),
        (X, {"rows": [0, 4]}, "rows must be in 0 to 3"),
        (X, {"rows": [-1]}, "rows must be in 0 to 3"),
        (X[:0], {"rows": [0]}, "rows must be in"),
        (X, {"rows": [[0, 1]]}, "wrong number of dimensions"),
        (X, {"mean": COLUMN}, "belong together"),
        (X, {"invstd": COLUMN}, "belong together"),
        (X, {"mean": COLUMN[:2], "invstd": COLUMN}, "must have shape \\(3,\\)"),
        (X, {"mean": COLUMN, "invstd": X}, "must have shape \\(3,\\)"),
    ],
)
def test_bad_input_is_refused(x, options, message):
    with pytest.raises(ValueError, match=message):
        untouched(gather, x, **options)
