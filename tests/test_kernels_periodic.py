"""Array functions of ``skbn.kernels.periodic``."""

import numpy as np
import pytest
from differences import gradient
from hypothesis import given
from hypothesis import strategies as st
from strategies import ORDERS, arrays, drawn, each_precision, in_order, lengths
from twins import assert_equals_twin, untouched

from skbn.kernels import periodic

# A block has 128 rows and a group 16: sizes on both sides of the ends of both.
SIZES = [1, 2, 15, 16, 17, 100, 127, 128, 129, 300]
each_size = pytest.mark.parametrize("n", SIZES)


def embedding(dtype, n, m, seed=0):
    """The gradient of the outputs, columns, and parameters."""
    rng = np.random.default_rng(seed)
    shapes = (n, 4 * m), (n, m), (m, 83)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def assert_both_equal_their_twins(precision, dy, x, parameters):
    n = len(x)
    assert_equals_twin(periodic.forward, [precision], x, parameters, scale=16)
    assert_equals_twin(periodic.backward, [precision], dy, x, parameters, scale=16 + 4 * n)


def test_constants():
    assert (periodic.FREQUENCIES, periodic.EMBEDDED, periodic.COLUMN_PARAMETERS) == (16, 4, 83)


@each_precision
@drawn
@given(st.data(), lengths(largest=40), lengths())
def test_both_equal_their_twins(precision, data, n, m):
    shapes = (n, 4 * m), (n, m), (m, 83)
    operands = [data.draw(arrays(shape, precision.dtype)) for shape in shapes]
    assert_both_equal_their_twins(precision, *operands)


@each_precision
@each_size
@pytest.mark.parametrize("m", [1, 3])
def test_rows_of_several_blocks(precision, n, m):
    assert_both_equal_their_twins(precision, *embedding(precision.dtype, n, m))


@each_precision
@pytest.mark.parametrize("order", ORDERS)
def test_any_order_of_memory(precision, order):
    dy, x, parameters = (in_order(a, order) for a in embedding(precision.dtype, 20, 3))
    assert_both_equal_their_twins(precision, dy, x, parameters)


@each_precision
@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (0, 0)])
def test_nothing_to_embed(precision, n, m):
    assert_both_equal_their_twins(precision, *embedding(precision.dtype, n, m))


@each_precision
def test_x_itself_is_passed_on_and_its_gradient_is_not_looked_at(precision):
    dy, x, parameters = embedding(precision.dtype, 20, 3)
    np.testing.assert_array_equal(periodic.forward(x, parameters)[:, 3::4], x)
    expected = periodic.backward(dy, x, parameters)
    dy[:, 3::4] = np.nan
    np.testing.assert_array_equal(periodic.backward(dy, x, parameters), expected)


@each_precision
@each_size
def test_a_row_alone_is_the_row_in_a_batch(precision, n):
    _, x, parameters = embedding(precision.dtype, n, 3)
    x[::3] *= 100
    alone = [periodic.forward(x[i : i + 1], parameters)[0] for i in range(n)]
    np.testing.assert_array_equal(periodic.forward(x, parameters), alone)


@each_precision
def test_columns_do_not_touch_each_other(precision):
    dy, x, parameters = embedding(precision.dtype, 20, 3)
    y, gradients = periodic.forward(x, parameters), periodic.backward(dy, x, parameters)
    for j in range(3):
        own, four = slice(j, j + 1), slice(4 * j, 4 * j + 4)
        column, of_column = x[:, own].copy(), parameters[own]
        np.testing.assert_array_equal(periodic.forward(column, of_column), y[:, four])
        np.testing.assert_array_equal(
            periodic.backward(dy[:, four], column, of_column), gradients[own]
        )


@each_precision
@pytest.mark.parametrize("n", [1, 20, 150])
def test_strides(precision, n):
    # Rows that lie in wider matrices, as in a network. The columns beside them stay as they are.
    dy, x, parameters = embedding(precision.dtype, n, 3)
    wide_x, wide_y, wide_dy = (np.full((n, 20), 7, precision.dtype) for _ in range(3))
    wide_x[:, 2:5], wide_dy[:, 1:13] = x, dy
    untouched(periodic._forward, wide_y[:, 5:17], wide_x[:, 2:5], parameters, changed=1)
    np.testing.assert_array_equal(wide_y[:, 5:17], periodic.forward(x, parameters))
    np.testing.assert_array_equal(wide_y[:, :5], 7)
    np.testing.assert_array_equal(wide_y[:, 17:], 7)
    added = np.zeros_like(parameters)
    untouched(periodic._backward, added, wide_dy[:, 1:13], wide_x[:, 2:5], parameters, changed=1)
    np.testing.assert_array_equal(added, periodic.backward(dy, x, parameters))


@each_precision
def test_gradients_are_added(precision):
    dy, x, parameters = embedding(precision.dtype, 20, 3)
    start = np.ones_like(parameters)
    periodic._backward(start, dy, x, parameters)
    precision.assert_close(start, 1 + periodic.backward(dy, x, parameters), scale=10)


@pytest.mark.parametrize("n", [1, 20, 150])
@pytest.mark.parametrize(
    "part",
    [slice(0, 16), slice(16, 32), slice(32, 80), slice(80, 83)],
    ids=["frequencies", "phases", "matrix", "bias"],
)
def test_gradient(n, part):
    dy, x, parameters = embedding(np.float64, n, 2)

    def loss(values):
        changed = parameters.copy()
        changed[:, part] = values
        return np.sum(dy * periodic.forward(x, changed))

    numerical = gradient(loss, parameters[:, part])
    actual = periodic.backward(dy, x, parameters)[:, part]
    np.testing.assert_allclose(actual, numerical, rtol=1e-8, atol=1e-9 * n)


@each_precision
@drawn
@given(st.data(), st.lists(lengths(), max_size=3).map(tuple))
def test_cosine_equals_its_twin(precision, data, shape):
    x = data.draw(arrays((*shape, 3), precision.dtype))
    assert_equals_twin(periodic.cosine, [precision], x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("largest", [np.pi, 100.0, 1e4])
def test_error_of_the_cosine(dtype, largest):
    steps = np.linspace(-largest, largest, 300_001)
    orders = np.logspace(-12, np.log10(largest), 20_001)
    # Turns, half turns and quarter turns, where the pieces of the approximation meet.
    quarters = np.arange(0.0, largest, np.pi / 2)
    edges = np.concatenate([quarters, np.nextafter(quarters, 0), quarters * (1 + 1e-6)])
    x = np.concatenate([steps, orders, -orders, edges]).astype(dtype)
    x = x[np.abs(x) <= 1e4]
    # Where long double is double, the expected cosine is rounded too, far below the bound.
    error = np.abs(periodic.cosine(x) - np.cos(x.astype(np.longdouble)))
    assert np.max(error / (1 + np.abs(x).astype(np.longdouble))) <= 2 * np.finfo(dtype).eps


@each_precision
def test_cosine_of_zero_is_one(precision):
    x = np.array([0.0, -0.0, 1e-30, -1e-30], precision.dtype)
    np.testing.assert_array_equal(periodic.cosine(x), 1.0)


@each_precision
def test_cosine_of_what_is_not_finite(precision):
    x = np.ones(40, precision.dtype)
    x[[3, 17, 39]] = np.nan, np.inf, -np.inf
    assert np.flatnonzero(np.isnan(periodic.cosine(x))).tolist() == [3, 17, 39]


@each_precision
def test_cosine_of_huge_numbers_is_bounded(precision):
    largest = np.finfo(precision.dtype).max
    rng = np.random.default_rng(0)
    x = np.exp(rng.uniform(0, np.log(largest), 200_000)).astype(precision.dtype)
    x = np.concatenate([x, -x, [largest, -largest]], dtype=precision.dtype)
    y = periodic.cosine(x)
    assert np.isfinite(y).all()
    assert np.max(np.abs(y)) <= 1.001


@each_precision
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_not_finite_stays_in_its_row_and_column(precision, value):
    dy, x, parameters = embedding(precision.dtype, 20, 3)
    x[7, 1] = value
    y = periodic.forward(x, parameters)
    assert not np.isfinite(y[7, 4:8]).any()
    assert np.isfinite(y).sum() == y.size - 4
    gradients = periodic.backward(dy, x, parameters)
    assert np.isnan(gradients[1, :80]).all()
    assert np.isfinite(gradients[1, 80:]).all()
    assert np.isfinite(gradients[[0, 2]]).all()


@pytest.mark.parametrize(
    ("dy", "x", "parameters", "message"),
    [
        (np.ones((3, 8)), np.ones(3), np.ones((2, 83)), r"x must have shape \(n, m\), got 1"),
        (np.ones((3, 8)), np.ones((3, 2, 1)), np.ones((2, 83)), "x must have shape"),
        (np.ones((3, 8)), np.ones((3, 2), int), np.ones((2, 83)), "x must be float32 or float64"),
        (np.ones((3, 8)), np.ones((3, 2), np.longdouble), np.ones((2, 83)), "x must be float32"),
        (np.ones((3, 8)), np.ones((3, 2)), np.ones((3, 83)), r"must have shape \(2, 83\)"),
        (np.ones((3, 8)), np.ones((3, 2)), np.ones((2, 82)), r"must have shape \(2, 83\)"),
        (np.ones((3, 8)), np.ones((3, 2)), np.ones(166), r"must have shape \(2, 83\)"),
        (np.ones((3, 8)), np.ones((3, 2)), np.ones((2, 83), complex), "parameters must be real"),
        (np.ones((3, 6)), np.ones((3, 2)), np.ones((2, 83)), r"dy must have shape \(3, 8\)"),
        (np.ones((2, 8)), np.ones((3, 2)), np.ones((2, 83)), r"dy must have shape \(3, 8\)"),
        (np.ones((3, 8), complex), np.ones((3, 2)), np.ones((2, 83)), "dy must be real"),
    ],
)
def test_bad_operands_are_refused(dy, x, parameters, message):
    with pytest.raises(ValueError, match=message):
        untouched(periodic.backward, dy, x, parameters)
    if "dy" not in message:
        with pytest.raises(ValueError, match=message):
            untouched(periodic.forward, x, parameters)


@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.longdouble, np.complex64])
def test_cosine_refuses_other_dtypes(dtype):
    with pytest.raises(ValueError, match="x must be float32 or float64"):
        periodic.cosine(np.ones(3, dtype))
