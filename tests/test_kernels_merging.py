"""Array functions of ``skbn.kernels.merging``: exact moments of merged parts, and averages."""

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import CONTIGUOUS, FLOAT64, arrays, drawn, each_precision, lengths, weights
from tables import sorted_rows, table, with_first_row_far_out
from twins import assert_equals_twin, untouched

from skbn.kernels import merging, moments

quiet = settings(deadline=None, derandomize=True, max_examples=80)
offsets = st.sampled_from([0.0, 1.0, -1000.0])
PAIR, TRIPLE = [FLOAT64] * 2, [FLOAT64] * 3


@drawn
@given(st.data(), lengths(smallest=0, largest=9))
def test_merge_equals_its_twin(data, d):
    means = [data.draw(arrays((d,), np.float64, orders=CONTIGUOUS)) for _ in range(2)]
    variances = [mean**2 for mean in means]
    counts = [data.draw(weights(d, positive=0)) for _ in range(2)]
    so_far, batch = zip(means, variances, counts, strict=True)
    so_far = [array.copy() for array in so_far]
    assert_equals_twin(merging.merge, TRIPLE, *so_far, *batch, changed=3)


@drawn
@given(st.data(), lengths(smallest=0, largest=9), st.sampled_from([0.0, 0.1, 1.0]))
def test_update_running_equals_its_twin(data, d, momentum):
    running = [data.draw(arrays((d,), np.float64, orders=["C"])) for _ in range(2)]
    batch = [data.draw(arrays((d,), np.float64, orders=CONTIGUOUS)) for _ in range(2)]
    assert_equals_twin(merging.update_running, PAIR, *running, *batch, momentum, changed=2)


def merged(chunks):
    """The moments of all chunks, merged one after the other."""
    so_far = np.zeros((3, chunks[0].shape[1]))
    for chunk in chunks:
        merging.merge(*so_far, *moments.weighted_moments(chunk))
    return so_far


@each_precision
@drawn
@given(st.data(), lengths(smallest=1, largest=60), offsets)
def test_merge_is_exact_over_any_chunks(precision, data, n, offset):
    x = data.draw(arrays((n, 2), precision.dtype, orders=["C"], offset=offset))
    # Two equal cuts make an empty chunk.
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=8)))
    mean, var, weight = merged(np.split(x, cuts))
    exact_mean, exact_var = reference.moments.batch_moments(x)
    np.testing.assert_allclose(mean, exact_mean, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(var, exact_var, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(weight, n)


@pytest.mark.parametrize("rows", [1, 7, 256, 1999])
@pytest.mark.parametrize("arranged", [np.array, sorted_rows, with_first_row_far_out])
def test_merge_is_exact_down_to_single_rows(rows, arranged):
    x = arranged(table(2000, offset=1e3))
    mean, var, weight = merged(np.split(x, range(rows, len(x), rows)))
    exact_mean, exact_var = reference.moments.batch_moments(x)
    np.testing.assert_allclose(mean, exact_mean, rtol=1e-13)
    np.testing.assert_allclose(var, exact_var, rtol=1e-12)
    np.testing.assert_array_equal(weight, 2000)


def test_merge_keeps_what_only_one_side_has_seen():
    seen, unseen = [np.array([value]) for value in (3.0, 2.0, 5.0)], [np.zeros(1)] * 3
    for so_far, batch in ((seen, unseen), (unseen, seen)):
        result = [array.copy() for array in so_far]
        untouched(merging.merge, *result, *batch, changed=3)
        np.testing.assert_array_equal(result, seen)


@quiet
@given(seed=st.integers(0, 10_000), d=st.integers(0, 6), parts=st.integers(1, 40))
def test_merge_pairs(seed, d, parts):
    rng = np.random.default_rng(seed)
    x = rng.normal(1e6, 1.0, (parts, d))
    mean, var, weight = np.zeros((2, d)), np.zeros((2, d)), np.zeros(d)
    present = rng.random(x.shape) < 0.8
    for row, there in zip(x, present, strict=True):
        merging.merge_pairs(
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
        merging.merge_pairs(pair, pair, one, pair, pair, np.zeros(2))
    with pytest.raises(ValueError, match="one length"):
        merging.merge_pairs(pair, np.zeros((2, 2)), one, pair, pair, one)
    with pytest.raises(ValueError, match="2 rows"):
        merging.merge_pairs(pair, pair, one, np.zeros((3, 3)), pair, one)


@pytest.mark.parametrize(("function", "arity"), [(merging.merge, 6), (merging.update_running, 4)])
def test_statistics_of_other_lengths_and_dtypes_are_refused(function, arity):
    rest = () if function is merging.merge else (0.1,)
    for position in range(arity):
        for bad, message in (
            (np.ones(2), "one length"),
            (np.ones(3, np.float32), "dtype mismatch"),
            (np.ones(6)[::2], "not C-contiguous"),
        ):
            statistics = [np.ones(3) for _ in range(arity)]
            statistics[position] = bad
            with pytest.raises(ValueError, match=message):
                function(*statistics, *rest)
            np.testing.assert_array_equal(np.concatenate(statistics), 1.0)
