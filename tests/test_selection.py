"""Numbers at places of sorted columns, found digit by digit, and the quartiles of large tables."""

import numpy as np
import pytest

from skbn.estimators import quartiles, selection
from skbn.estimators.quartiles import center_and_spread, of_many_values
from skbn.estimators.selection import numbers_at

KINDS = ("cauchy", "integers", "constant", "extreme")


def table(kind, n, d=7, dtype=np.float64):
    rng = np.random.default_rng(n)
    if kind == "integers":
        X = rng.integers(-3, 2005, (n, d)) * (rng.random((n, d)) < 0.6)
    elif kind == "constant":
        X = np.tile(rng.standard_normal(d), (n, 1))
    elif kind == "extreme":
        largest = np.finfo(dtype).max
        X = rng.choice([0.0, -0.0, largest, -largest, np.finfo(dtype).smallest_subnormal], (n, d))
    else:
        X = rng.standard_cauchy((n, d))
    return X.astype(dtype)


@pytest.fixture(params=["collected", "all digits"])
def small_parts(request, monkeypatch):
    """Groups of three columns, blocks of few rows; the last pass collects, or there is none."""
    monkeypatch.setattr(selection, "COLUMNS", 3)
    monkeypatch.setattr(selection, "BLOCK_BYTES", 500)
    monkeypatch.setattr(selection, "COLLECTED_BYTES", 4000 if request.param == "collected" else -1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 5, 300])
def test_they_are_in_the_sorted_columns(kind, dtype, n, small_parts):
    X = table(kind, n, dtype=dtype)
    before = X.copy()
    ranks = np.unique(np.linspace(0, n - 1, 9).astype(int))
    # The first number at which the count reaches r + 1, or exceeds r, has the rank r.
    places = [(r + 1.0, "left") for r in ranks] + [(float(r), "right") for r in ranks]
    found, smallest, largest = numbers_at(X, places)
    ordered = np.sort(X, axis=0)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.concatenate([ordered[ranks]] * 2))
    np.testing.assert_array_equal(smallest, ordered[0])
    np.testing.assert_array_equal(largest, ordered[-1])
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_count_as_repeated_rows(kind, small_parts):
    X = table(kind, 200)
    weight = np.random.default_rng(0).integers(1, 5, 200)
    places = [(0.3 * weight.sum(), "left"), (150.0, "left"), (150.0, "right")]
    expected = numbers_at(np.repeat(X, weight, axis=0), places)
    for actual, wanted in zip(numbers_at(X, places, weight.astype(float)), expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)


def test_a_sum_that_misses_its_aim_by_rounding(small_parts):
    X = table("cauchy", 300)
    weight = np.random.default_rng(0).random(300)
    beyond = np.nextafter(2.0 * weight.sum(), np.inf) - weight.sum()
    for given, aim in ((weight, beyond * (1.0 + 1e-13)), (None, 300.0 * (1.0 + 1e-13))):
        found, _, largest = numbers_at(X, [(aim, "left"), (aim, "right")], given)
        np.testing.assert_array_equal(found, [largest, largest])


def search_all_tables(monkeypatch):
    """Let quartiles be found as in a large table, and sorting fail."""
    monkeypatch.setattr(quartiles, "LARGE_BYTES", 0)
    monkeypatch.setattr(quartiles, "LARGE_ROWS", 0)
    monkeypatch.setattr(quartiles, "_of_block", None)


@pytest.mark.parametrize("kind", KINDS[:3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("some", [False, True])
@pytest.mark.parametrize("n", [4, 90, 401])
def test_quartiles_of_a_large_table(
    kind, dtype, order, weighted, some, n, small_parts, monkeypatch
):
    """The quartiles do not depend on the way they are found, bit for bit."""
    X = np.asarray(table(kind, n, dtype=dtype), order=order)
    numbers = np.flatnonzero(np.arange(n) % 3) if some else None
    weight = None
    if weighted:
        # Some rows have no weight. Sums of quarters have no rounding.
        rng = np.random.default_rng(1)
        weight = 0.25 * rng.integers(0, 4, n if numbers is None else len(numbers))
        weight[0] = 0.5
    expected = center_and_spread(X, weight, numbers)
    search_all_tables(monkeypatch)
    for actual, wanted in zip(center_and_spread(X, weight, numbers), expected, strict=True):
        assert actual.flags.c_contiguous
        np.testing.assert_array_equal(actual, wanted)


def test_weights_whose_sums_are_rounded(monkeypatch):
    X = table("cauchy", 400)
    weight = np.full(400, 0.1)
    expected = center_and_spread(X)
    search_all_tables(monkeypatch)
    monkeypatch.setattr(selection, "BLOCK_BYTES", 500)
    for actual, wanted in zip(center_and_spread(X, weight), expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)


def test_a_third_value_in_any_block(monkeypatch):
    monkeypatch.setattr(quartiles, "HEAD", 2)
    monkeypatch.setattr("skbn.estimators.row_parts.blocks.__defaults__", (100,))
    X = np.zeros((40, 3))
    X[5:, 1] = 1.0
    X[20:, 2] = 1.0
    assert of_many_values(X).tolist() == [False, False, False]
    for row in range(40):
        changed = X.copy()
        changed[row, 2] = 0.5
        assert of_many_values(changed).tolist() == [False, False, True]
