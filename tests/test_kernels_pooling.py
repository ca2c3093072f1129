"""Array functions of ``skbn.kernels.pooling``: the steps of each sequence become one row."""

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from sequences import lengths_of
from skbn.kernels.pooling import POOLINGS
from strategies import FLOAT64, ORDERS, Precision, arrays, drawn, each_precision, in_order
from strategies import lengths as sizes
from test_kernels_sequences import BAD_LENGTHS, OVERFLOWING, sorted_lengths
from twins import assert_equals_twin, untouched

from skbn.kernels import pooling

each_pooling = pytest.mark.parametrize("name", POOLINGS)
each_direction = pytest.mark.parametrize("n_directions", [1, 2])

# Numbers that go through all steps together in the kernel.
BLOCK = 1024


def width_of(name, d):
    return 2 * d if name == "mean_max" else d


def moved(precision, name):
    """How close a result comes: numbers are moved, or their mean is rounded."""
    return precision if name.startswith("mean") else Precision(precision.dtype, 0.0)


@each_precision
@each_pooling
@each_direction
@drawn
@given(st.data(), sorted_lengths, sizes())
def test_pooling_and_its_gradient_equal_their_twins(
    precision, name, n_directions, data, lengths, d
):
    width = n_directions * d
    x = data.draw(arrays((np.sum(lengths), width), precision.dtype))
    dy = data.draw(arrays((len(lengths), width_of(name, width)), precision.dtype))
    close = [moved(precision, name)]
    y = assert_equals_twin(pooling.forward, close, x, lengths, name, n_directions)
    dx = assert_equals_twin(pooling.backward, close, dy, x, y, lengths, name, n_directions)
    # Every pooling is homogeneous: <x, dx> = <y, dy>.
    wide = [a.astype(np.float64) for a in (y, dy, x, dx)]
    np.testing.assert_allclose(
        np.sum(wide[0] * wide[1]), np.sum(wide[2] * wide[3]), rtol=1e-5, atol=1e-5
    )


# Around the number of numbers in a block: of one row, of all rows, and of rows cut by its end.
@each_precision
@each_pooling
@pytest.mark.parametrize(
    ("d", "counts"),
    [
        (1, [BLOCK + 1, BLOCK, BLOCK - 1, 1]),
        (BLOCK - 1, [3, 2, 1]),
        (BLOCK, [3, 2, 1]),
        (BLOCK + 1, [3, 2, 1]),
        (3 * BLOCK + 7, [2, 2, 1]),
        (100, [64, 31, 30, 11, 10, 2]),
    ],
)
def test_numbers_of_several_blocks(precision, name, d, counts):
    lengths = np.sort(lengths_of(counts))[::-1]
    rng = np.random.default_rng(d)
    # Rounded, so that a maximum occurs at several steps.
    x = np.round(2.0 * rng.standard_normal((sum(counts), d))).astype(precision.dtype)
    dy = rng.standard_normal((counts[0], width_of(name, d))).astype(precision.dtype)
    y = assert_equals_twin(pooling.forward, [moved(precision, name)], x, lengths, name)
    assert_equals_twin(pooling.backward, [moved(precision, name)], dy, x, y, lengths, name)


def test_last_takes_each_direction_where_it_has_read_all():
    x = np.arange(8.0).reshape(4, 2)  # steps of two sequences: 0 and 1; then 2 and 3 of the first
    np.testing.assert_array_equal(pooling.forward(x, [3, 1], "last"), [[6, 7], [2, 3]])
    np.testing.assert_array_equal(pooling.forward(x, [3, 1], "last", 2), [[6, 1], [2, 3]])


@each_direction
def test_mean_and_maximum_of_all_columns(n_directions):
    x = np.array([[3.0, -2.0], [1.0, 5.0], [0.0, -1.0], [6.0, -6.0]])  # lengths 3 and 1
    mean, maximum = [[3.0, -3.0], [1.0, 5.0]], [[6.0, -1.0], [1.0, 5.0]]
    for name, expected in {
        "mean": mean, "max": maximum, "mean_max": np.hstack([mean, maximum]),
    }.items():  # fmt: skip
        np.testing.assert_array_equal(pooling.forward(x, [3, 1], name, n_directions), expected)


@each_precision
def test_of_equal_steps_the_first_gets_the_gradient(precision):
    # Sequences of 4 and 3 steps.
    x = np.array([[1], [-0.0], [2], [0.0], [2], [-0.0], [2]], precision.dtype)
    dy = np.array([[5], [7]], precision.dtype)
    y = pooling.forward(x, [4, 3], "max")
    np.testing.assert_array_equal(y, [[2], [0]])
    dx = untouched(pooling.backward, dy, x, y, [4, 3], "max")
    np.testing.assert_array_equal(dx[:, 0], [0, 7, 5, 0, 0, 0, 0])
    both = np.hstack([np.zeros_like(dy), dy])
    y = pooling.forward(x, [4, 3], "mean_max")
    dx = untouched(pooling.backward, both, x, y, [4, 3], "mean_max")
    np.testing.assert_array_equal(dx[:, 0], [0, 7, 5, 0, 0, 0, 0])


@each_precision
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("d", [1, 5, 40])
def test_nan_and_infinity_go_through(precision, place, d):
    """In vectors and in the rest of a row alike; NaN gets the gradient where it is first."""
    lengths = np.array([4, 4])
    rng = np.random.default_rng(place)
    x = rng.standard_normal((8, d)).astype(precision.dtype)
    steps = x.reshape(4, 2, d)
    steps[place, 0] = np.nan
    steps[min(place + 1, 3), 0] = np.nan
    steps[place, 1] = -np.inf
    for name in ("mean", "max"):
        y = pooling.forward(x, lengths, name)
        assert np.isnan(y[0]).all()
    np.testing.assert_array_equal(y[1], steps[:, 1].max(axis=0))
    np.testing.assert_array_equal(pooling.forward(x, lengths, "mean")[1], np.full(d, -np.inf))
    dy = rng.standard_normal((2, d)).astype(precision.dtype)
    dx = pooling.backward(dy, x, y, lengths, "max").reshape(4, 2, d)
    expected = np.zeros((4, d))
    expected[place] = dy[0]
    np.testing.assert_array_equal(dx[:, 0], expected)
    # Of infinities the first, too.
    steps[1:3, 1] = np.inf
    y = pooling.forward(x, lengths, "max")
    dx = pooling.backward(dy, x, y, lengths, "max").reshape(4, 2, d)
    np.testing.assert_array_equal(dx[:, 1], [np.zeros(d), dy[1], np.zeros(d), np.zeros(d)])


@each_precision
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_a_mean_of_ten_thousand_steps_is_exact_but_for_its_rounding(precision, offset):
    # A float32 sum of so many equal steps is wrong by 1e-4.
    n_steps, d = 10_000, 33
    x = offset + 0.3 * np.random.default_rng(0).random((n_steps, d))
    x[:, 0] = 0.1
    x = x.astype(precision.dtype)
    y = pooling.forward(x, [n_steps], "mean")[0]
    expected = np.mean(x.astype(np.longdouble), axis=0)
    tolerance = 1e-12 if precision == FLOAT64 else np.finfo(np.float32).eps / 2
    assert np.max(np.abs(y - expected) / expected) <= tolerance


@each_pooling
@drawn
@given(st.data(), sorted_lengths, sizes())
def test_the_gradient_is_the_central_difference(name, data, lengths, d):
    x = data.draw(arrays((np.sum(lengths), d), np.float64, orders=["C"]))
    # No two numbers are near each other, so a small step leaves the maximum where it is.
    x[...] = np.random.default_rng(0).permutation(x.size).reshape(x.shape)
    dy = data.draw(arrays((len(lengths), width_of(name, d)), np.float64))
    dx = pooling.backward(dy, x, pooling.forward(x, lengths, name), lengths, name)
    for place in np.ndindex(x.shape):
        ends = []
        for step in (0.25, -0.25):
            moved_x = x.copy()
            moved_x[place] += step
            ends.append(np.sum(dy * pooling.forward(moved_x, lengths, name)))
        np.testing.assert_allclose(2.0 * (ends[0] - ends[1]), dx[place], rtol=1e-9, atol=1e-9)


@each_precision
@each_pooling
@pytest.mark.parametrize("order", ORDERS)
def test_any_memory_order_is_taken(precision, name, order):
    lengths, x = np.array([3, 2]), np.arange(10.0).reshape(5, 2).astype(precision.dtype)
    y = pooling.forward(x, lengths, name)
    dy = 1 + y
    given_x, given_y, given_dy = (in_order(array, order) for array in (x, y, dy))
    np.testing.assert_array_equal(untouched(pooling.forward, given_x, lengths, name), y)
    np.testing.assert_array_equal(
        untouched(pooling.backward, given_dy, given_x, given_y, lengths, name),
        pooling.backward(dy, x, y, lengths, name),
    )


def test_a_maximum_that_no_step_has_gives_no_gradient():
    x, y = np.arange(4.0).reshape(4, 1), np.full((2, 1), 9.0)
    np.testing.assert_array_equal(pooling.backward(y, x, y, [2, 2], "max"), np.zeros((4, 1)))


X, Y = np.ones((5, 2)), np.ones((2, 2))
LENGTHS = np.array([3, 2])


def forward(x=X, lengths=LENGTHS, name="max", n_directions=1):
    return untouched(pooling.forward, x, lengths, name, n_directions)


def backward(dy=Y, x=X, y=Y, lengths=LENGTHS, name="max", n_directions=1):
    return untouched(pooling.backward, dy, x, y, lengths, name, n_directions)


each_door = pytest.mark.parametrize("door", [forward, backward])


@each_door
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        *BAD_LENGTHS,
        ([2, 3], "must be sorted"),
        ([OVERFLOWING, OVERFLOWING, OVERFLOWING, 6], "too many"),
        ([3, 2, 1], "has 5 rows, the lengths ask for 6"),
        ([2, 1, 1], "has 5 rows, the lengths ask for 4"),
    ],
)
def test_bad_lengths_are_refused(door, bad, message):
    with pytest.raises(ValueError, match=message):
        door(lengths=np.array(bad, np.intp))


@each_door
@pytest.mark.parametrize("name", ["Last", "sum", None, 2, ["max"]])
def test_an_unknown_pooling_is_refused(door, name):
    with pytest.raises(ValueError, match="pooling must be one of"):
        door(name=name)


@each_door
@pytest.mark.parametrize(
    "bad", [X[0], X[:, :0], X[np.newaxis], np.ones((4, 2)), X.astype(np.int64), None]
)
def test_bad_steps_are_refused(door, bad):
    with pytest.raises(ValueError, match=r"^x must|^x has 4 rows"):
        door(x=bad)


@pytest.mark.parametrize("argument", ["dy", "y"])
@pytest.mark.parametrize("name", POOLINGS)
def test_results_of_another_shape_or_dtype_are_refused(argument, name):
    good = np.ones((2, width_of(name, 2)))
    backward(**{"dy": good, "y": good}, name=name)
    for bad in (good[:1], good[:, :1], np.hstack([good, good]), good[0], good.astype(np.float32)):
        with pytest.raises(ValueError, match=rf"^{argument} has shape .* result of this pooling"):
            backward(**({"dy": good, "y": good} | {argument: bad}), name=name)
    with pytest.raises(ValueError, match=rf"^{argument} must be float32 or float64"):
        backward(**({"dy": good, "y": good} | {argument: good.astype(int)}), name=name)


@each_door
@pytest.mark.parametrize(("columns", "n_directions"), [(2, 0), (2, -1), (2, 3), (3, 2), (1, 2)])
def test_columns_of_no_such_directions_are_refused(door, columns, n_directions):
    with pytest.raises(ValueError, match=f"{columns} columns are none of {n_directions}"):
        door(x=np.ones((5, columns)), n_directions=n_directions)


def test_the_twin_has_the_gradient_of_the_first_maximum():
    x = np.array([[1.0], [2.0], [2.0], [0.0]])
    dx = reference.pooling.backward(np.array([[3.0]]), x, np.array([[2.0]]), [4], "max")
    np.testing.assert_array_equal(dx[:, 0], [0, 3, 0, 0])
