"""Array functions of ``skbn.kernels.sequences``: sequences of different length, no padding."""

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from strategies import ORDERS, Precision, arrays, drawn, each_precision, in_order
from strategies import lengths as sizes
from twins import assert_equals_twin, untouched

from skbn.kernels import sequences

INDICES = Precision(np.intp, 0.0)

unsorted_lengths = st.lists(st.integers(1, 9), min_size=1, max_size=12)
sorted_lengths = unsorted_lengths.map(lambda lengths: np.array(sorted(lengths, reverse=True)))


def exactly(precision):
    """Rows are moved, not computed with."""
    return Precision(precision.dtype, 0.0)


@drawn
@given(unsorted_lengths)
def test_pack_equals_its_twin(lengths):
    assert_equals_twin(sequences.pack, [INDICES] * 3, np.array(lengths))
    order, counts, starts = sequences.pack(lengths)
    # Those of equal length in their order.
    np.testing.assert_array_equal(order, np.argsort(-np.array(lengths), kind="stable"))
    assert starts[-1] + counts[-1] == sum(lengths)


@pytest.mark.parametrize("lengths", [[1], [7], [1] * 50, [3, 3, 3], [1, 1000], [1000, 1]])
def test_extreme_lengths_are_packed_like_their_twin(lengths):
    assert_equals_twin(sequences.pack, [INDICES] * 3, np.array(lengths))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_lengths_of_any_integers_are_packed(dtype):
    for result, expected in zip(
        sequences.pack(np.array([2, 5, 2], dtype)), sequences.pack([2, 5, 2]), strict=True
    ):
        np.testing.assert_array_equal(result, expected)


def test_packed_rows_go_step_by_step_through_sequences_from_the_longest_on():
    # Row by row: the sequence and its step.
    given_lengths = [2, 4, 1, 2]
    order, counts, starts = sequences.pack(given_lengths)
    rows = [(order[i], step) for step, count in enumerate(counts) for i in range(count)]
    assert rows == [(1, 0), (0, 0), (3, 0), (2, 0), (1, 1), (0, 1), (3, 1), (1, 2), (1, 3)]
    np.testing.assert_array_equal(starts, [0, 4, 7, 8])


@each_precision
@drawn
@given(st.data(), sorted_lengths, sizes())
def test_reverse_equals_its_twin_and_is_its_own_inverse(precision, data, lengths, d):
    x = data.draw(arrays((np.sum(lengths), d), precision.dtype))
    y = assert_equals_twin(sequences.reverse, [exactly(precision)], x, lengths)
    np.testing.assert_array_equal(sequences.reverse(y, lengths), x)


def test_reverse_moves_each_sequence_within_its_own_rows():
    lengths = [3, 2, 2, 1]
    x = np.array([[1, 0], [2, 0], [3, 0], [4, 0], [1, 1], [2, 1], [3, 1], [1, 2]], float)
    expected = [[1, 2], [2, 1], [3, 1], [4, 0], [1, 1], [2, 0], [3, 0], [1, 0]]
    np.testing.assert_array_equal(sequences.reverse(x, lengths), expected)


@each_precision
@pytest.mark.parametrize("reverse", [False, True])
@drawn
@given(st.data(), sorted_lengths, sizes())
def test_write_equals_its_twin(precision, reverse, data, lengths, d):
    shape = (np.sum(lengths), d)
    x = data.draw(arrays(shape, precision.dtype))
    y = data.draw(arrays(shape, precision.dtype, orders=["C"]))
    assert_equals_twin(sequences.write, [precision], y, x, lengths, changed=1, reverse=reverse)


@each_precision
@pytest.mark.parametrize("reverse", [False, True])
def test_write_keeps_to_some_of_the_columns(precision, reverse):
    lengths = np.array([3, 2, 2])
    wide = np.arange(35.0).reshape(7, 5).astype(precision.dtype)
    expected = wide.astype(float)
    x = 100.0 + np.arange(14.0).reshape(7, 2).astype(precision.dtype)
    for y, twin in ((wide, expected), (wide[::-1], expected[::-1])):
        untouched(sequences.write, y[:, 1:3], x, lengths, changed=1, reverse=reverse)
        reference.sequences.write(twin[:, 1:3], x, lengths, reverse=reverse)
        np.testing.assert_array_equal(wide, expected)


def test_write_may_write_to_what_it_reads():
    x, lengths = np.arange(10.0).reshape(5, 2), [3, 2]
    expected = sequences.reverse(x, lengths)
    sequences.write(x, x, lengths, reverse=True)
    np.testing.assert_array_equal(x, expected)


@each_precision
@pytest.mark.parametrize("order", ORDERS)
def test_any_memory_order_is_taken(precision, order):
    lengths, x = np.array([3, 2]), np.arange(10.0).reshape(5, 2).astype(precision.dtype)
    given_x = in_order(x, order)
    np.testing.assert_array_equal(
        untouched(sequences.reverse, given_x, lengths), sequences.reverse(x, lengths)
    )
    # Rows apart from each other, as columns of a wider matrix have them.
    np.testing.assert_array_equal(
        sequences.reverse(np.hstack([x, x])[:, 1:3], lengths),
        sequences.reverse(x[:, ::-1], lengths),
    )


X = np.ones((5, 2))
LENGTHS = np.array([3, 2])
DOORS = [
    (sequences.reverse, (X, LENGTHS), {}),
    (sequences.write, (X.copy(), X, LENGTHS), {"reverse": True}),
]
each_door = pytest.mark.parametrize(
    ("door", "arguments", "options"), DOORS, ids=[door.__name__ for door, *_ in DOORS]
)

# Three of them are together 2^64 - 1 steps, and their memory 5 numbers more than they are.
OVERFLOWING = (2**64 - 1) // 3

BAD_LENGTHS = [
    ([], "at least one"),
    ([3, 2, 0], "numbers >= 1"),
    ([3, -1, 3], "numbers >= 1"),
    ([[3, 2]], "must be a vector"),
]


@pytest.mark.parametrize(("bad", "message"), BAD_LENGTHS)
def test_pack_refuses_what_are_no_lengths(bad, message):
    with pytest.raises(ValueError, match=message):
        sequences.pack(bad)


@each_door
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        *BAD_LENGTHS,
        ([2, 3], "must be sorted"),
        ([1, 1, 3], "must be sorted"),
        ([OVERFLOWING, OVERFLOWING, OVERFLOWING, 6], "too many"),
        ([2**62, 2**62, 2**62, 2**62 - 2, 7], "too many"),
        ([2**63 - 1, 2**63 - 1, 7], "too many"),
    ],
)
def test_bad_lengths_are_refused(door, arguments, options, bad, message):
    with pytest.raises(ValueError, match=message):
        untouched(door, *arguments[:-1], np.array(bad, np.intp), **options)


@each_door
@pytest.mark.parametrize("bad", [[3, 2, 1], [2, 1, 1], [1], [5, 2]])
def test_lengths_that_ask_for_other_rows_are_refused(door, arguments, options, bad):
    with pytest.raises(ValueError, match=r"has \d rows, the lengths ask for \d+"):
        untouched(door, *arguments[:-1], np.array(bad), **options)


@each_door
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (X[0], "must have shape \\(n, d\\)|x has shape"),
        (X[:, :0], "must have shape \\(n, d\\) with d >= 1|x has shape"),
        (X[np.newaxis], "must have shape \\(n, d\\)|x has shape"),
        (np.ones((4, 2)), "has 4 rows, the lengths ask for|x has shape"),
        (X.astype(np.int64), "must be float32 or float64, got int64"),
        (X.astype(np.float16), "must be float32 or float64, got float16"),
        (None, "must be"),
    ],
)
def test_bad_rows_are_refused(door, arguments, options, bad, message):
    for position in range(len(arguments) - 1):
        with pytest.raises(ValueError, match=message):
            untouched(door, *arguments[:position], bad, *arguments[position + 1 :], **options)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (X.tolist(), "must be an array"),
        (np.asfortranarray(X), "contiguous rows"),
        (in_order(X, "packed"), "not aligned"),
        (in_order(X, "read-only"), "read-only"),
        (X.astype(np.float32), "x has shape .* and dtype float64, y has .* float32"),
    ],
)
def test_targets_that_cannot_be_changed_in_place_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        sequences.write(y, X, LENGTHS)
