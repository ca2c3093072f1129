"""The array function of ``skbn.kernels.dropout``: which elements stay, and what they are."""

from itertools import combinations

import numpy as np
import pytest
from differences import gradient
from hypothesis import given
from hypothesis import strategies as st
from skbn.kernels.dropout import apply
from strategies import arrays, drawn, each_precision, shapes
from twins import assert_equals_twin, untouched

MANY = 10**6
RATES = [0.1, 0.5, 0.9]
each_rate = pytest.mark.parametrize("rate", RATES)
integers = st.integers(-(2**63), 2**63 - 1)

# Triples of seed, step and operation that differ in one, or have changed places.
KEYS = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (2, 1, 0)]


def kept(rate=0.5, key=(0, 0, 0), size=MANY):
    return apply(np.ones(size, np.float32), rate, *key) > 0


@each_precision
@drawn
@given(
    st.data(),
    shapes,
    st.sampled_from([0.0, 1e-3, 0.25, 0.5, 0.999, np.nextafter(1.0, 0.0)]),
    integers,
    integers,
    st.integers(0, 1000),
)
def test_apply_equals_its_twin(precision, data, shape, rate, seed, step, operation):
    x = data.draw(arrays(shape, precision.dtype))
    assert_equals_twin(apply, [precision], x, rate, seed, step, operation)


@each_precision
def test_apply_equals_its_twin_over_many_elements(precision):
    x = np.random.default_rng(0).standard_normal((1000, 37)).astype(precision.dtype)
    y = assert_equals_twin(apply, [precision], x, 0.3, 12, 34, 5)
    assert 0 < np.count_nonzero(y) < y.size


@each_precision
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1, 1, 1, 2)])
def test_any_shape_is_kept(precision, shape):
    x = np.ones(shape, precision.dtype)
    assert_equals_twin(apply, [precision], x, 0.5, 0, 0, 0)


@each_rate
def test_the_rate_is_that_of_the_dropped(rate):
    sigma = np.sqrt(rate * (1 - rate) / MANY)
    for key in KEYS:
        assert abs(np.mean(kept(rate, key)) - (1 - rate)) < 5 * sigma


@each_precision
@each_rate
def test_the_mean_stays(precision, rate):
    x = np.random.default_rng(0).uniform(1.0, 3.0, size=MANY).astype(precision.dtype)
    y = apply(x, rate, 3, 1, 4)
    sigma = np.sqrt(np.mean(np.square(x, dtype=np.float64)) * rate / (1 - rate) / MANY)
    assert abs(np.mean(y, dtype=np.float64) - np.mean(x, dtype=np.float64)) < 5 * sigma


@each_precision
def test_no_rate_changes_no_bit(precision):
    x = np.random.default_rng(0).standard_normal(1000).astype(precision.dtype)
    np.testing.assert_array_equal(apply(x, 0.0, 1, 2, 3), x)


def test_masks_of_other_seeds_steps_and_operations_are_independent():
    masks = [kept(key=key) for key in KEYS]
    for one, other in combinations(masks, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / np.sqrt(MANY)


@pytest.mark.parametrize("lag", [1, 2, 3, 64, 1000])
def test_elements_of_a_mask_are_independent(lag):
    mask = kept()
    assert abs(np.corrcoef(mask[lag:], mask[:-lag])[0, 1]) < 5 / np.sqrt(MANY - lag)


def test_masks_of_a_larger_rate_are_subsets():
    smaller, larger = kept(0.3), kept(0.6)
    assert not (larger & ~smaller).any()


@each_precision
@pytest.mark.parametrize("size", [1, 7, 999])
def test_a_mask_depends_on_the_place_and_neither_size_shape_nor_dtype(precision, size):
    mask = kept(size=1000)
    np.testing.assert_array_equal(
        apply(np.ones(size, precision.dtype), 0.5, 0, 0, 0) > 0, mask[:size]
    )
    x = np.ones((8, 125), precision.dtype, order="F")
    np.testing.assert_array_equal(apply(x, 0.5, 0, 0, 0).ravel() > 0, mask)


def test_it_is_its_own_gradient():
    x, dy = np.random.default_rng(0).standard_normal((2, 5, 4))
    key = (0.4, 1, 2, 3)
    numerical = gradient(lambda x: np.sum(dy * apply(x, *key)), x)
    np.testing.assert_allclose(apply(dy, *key), numerical, rtol=1e-9, atol=1e-11)


@each_precision
def test_nan_stays_nan_even_where_it_is_dropped(precision):
    x = np.full(20, np.nan, precision.dtype)
    assert np.isnan(apply(x, 0.5, 0, 0, 0)).all()


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2.0, np.nan])
def test_rates_that_are_none_are_refused(rate):
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\)"):
        untouched(apply, np.ones(3), rate, 0, 0, 0)


@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.longdouble])
def test_other_dtypes_are_refused(dtype):
    x = np.ones(3, dtype)
    with pytest.raises(ValueError, match=f"must be float32 or float64, got {x.dtype}"):
        apply(x, 0.5, 0, 0, 0)
