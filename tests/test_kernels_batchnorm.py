"""Array functions of ``skbn.kernels.batchnorm``: arithmetic, gradients, large offsets."""

import numpy as np
import pytest
import reference
from differences import gradient
from hypothesis import given
from hypothesis import strategies as st
from refusals import assert_refused, refused
from strategies import (
    FLOAT64,
    arrays,
    drawn,
    each_precision,
    in_order,
    lengths,
    weights,
)
from tables import far_offsets, far_rows, operands
from twins import assert_equals_twin

from skbn.kernels import activations, batchnorm

exact_moments = reference.moments.batch_moments
offsets = st.sampled_from([0.0, 1.0, -100.0])
epsilons = st.sampled_from([1e-5, 0.1])


def assert_passes_equal_their_twins(precision, x, dy, gamma, beta, epsilon, sample_weight):
    """The forward pass, and the backward pass on the statistics of the forward pass."""
    _, mean, _, invstd = assert_equals_twin(
        batchnorm.forward,
        [precision, FLOAT64, FLOAT64, FLOAT64],
        *(x, gamma, beta, epsilon),
        sample_weight=sample_weight,
        scale=10,
    )
    assert_equals_twin(
        batchnorm.backward,
        [precision] * 3,
        *(dy, x, gamma, mean, invstd),
        sample_weight=sample_weight,
        scale=10 + np.max(invstd),
    )


@each_precision
@pytest.mark.parametrize("weighted", [False, True])
@drawn
@given(st.data(), lengths(2, 40), lengths(), offsets, epsilons)
def test_forward_and_backward_equal_their_twins(precision, weighted, data, n, d, offset, epsilon):
    x = data.draw(arrays((n, d), precision.dtype, offset=offset))
    dy = data.draw(arrays((n, d), precision.dtype))
    gamma, beta = (data.draw(arrays((d,), precision.dtype)) for _ in range(2))
    sample_weight = data.draw(weights(n)) if weighted else None
    assert_passes_equal_their_twins(precision, x, dy, gamma, beta, epsilon, sample_weight)


@each_precision
@pytest.mark.parametrize(("n", "d"), [(2, 1), (2, 2000), (300, 1), (259, 33)])
@pytest.mark.parametrize("weighted", [False, True])
def test_extreme_shapes_equal_their_twins(precision, n, d, weighted):
    rng = np.random.default_rng(n + d)
    x, dy = rng.standard_normal((2, n, d)).astype(precision.dtype)
    gamma, beta = rng.standard_normal((2, d)).astype(precision.dtype)
    sample_weight = rng.integers(1, 4, size=n).astype(np.float64) if weighted else None
    assert_passes_equal_their_twins(precision, x, dy, gamma, beta, 1e-5, sample_weight)


@each_precision
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(2, 1), (5, 3), (33, 17), (64, 130)])
def test_the_gradient_may_take_the_place_of_the_rows(precision, weighted, shape):
    # A recurrent layer writes dx over x, because it does not need x any more. No public function
    # does so, hence the private function.
    x, dy, gamma, beta = (a.astype(precision.dtype) for a in operands(*shape))
    weight = np.linspace(0.5, 2.0, shape[0]) if weighted else None
    _, mean, _, invstd = batchnorm.forward(x, gamma, beta, sample_weight=weight)
    expected = batchnorm.backward(dy, x, gamma, mean, invstd, weight)
    sums = np.empty((2, shape[1]))
    batchnorm._backward(x, sums, dy, None, x, gamma, mean, invstd, weight)
    dbeta, dgamma = sums
    results = x, dgamma.astype(precision.dtype), dbeta.astype(precision.dtype)
    for own, other in zip(results, expected, strict=True):
        np.testing.assert_array_equal(own, other)


@each_precision
@drawn
@given(st.data(), lengths(0, 40), lengths(0), offsets, epsilons)
def test_infer_equals_its_twin(precision, data, n, d, offset, epsilon):
    x = data.draw(arrays((n, d), precision.dtype, offset=offset))
    gamma, beta = (data.draw(arrays((d,), precision.dtype)) for _ in range(2))
    mean = data.draw(arrays((d,), np.float64, offset=offset))
    # Some drawn arrays are rounded, so some columns have no running variance.
    var = data.draw(arrays((d,), np.float64)) ** 2
    assert_equals_twin(batchnorm.infer, [precision], x, gamma, beta, mean, var, epsilon, scale=10)


def cases(*shapes):
    """Shapes of the rows, each without weights and with weights."""
    return [
        pytest.param(n, d, weight, id=f"{n}x{d}" + ("" if weight is None else "-weighted"))
        for n, d in shapes
        for weight in (None, np.where(np.arange(n) % 3 == 2, 0.0, 1.0 + np.arange(n)))
    ]


@pytest.mark.parametrize(("n", "d", "weight"), cases((2, 1), (2, 5), (3, 1), (7, 4)))
def test_backward_is_the_gradient_of_forward(n, d, weight):
    x, dy, gamma, beta = operands(n, d)

    def loss(x=x, gamma=gamma, beta=beta):
        return np.sum(dy * batchnorm.forward(x, gamma, beta, sample_weight=weight)[0])

    _, mean, _, invstd = batchnorm.forward(x, gamma, beta, sample_weight=weight)
    dx, dgamma, dbeta = batchnorm.backward(dy, x, gamma, mean, invstd, weight)
    np.testing.assert_allclose(dx, gradient(lambda x: loss(x=x), x), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(
        dgamma, gradient(lambda gamma: loss(gamma=gamma), gamma), rtol=1e-8, atol=1e-10
    )
    np.testing.assert_allclose(
        dbeta, gradient(lambda beta: loss(beta=beta), beta), rtol=1e-8, atol=1e-10
    )


@far_offsets
@pytest.mark.parametrize("n", [20, 2000])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 0.1])
def test_the_normalized_variance_is_1_at_a_large_offset(precision, offset, n, weighted, epsilon):
    x = far_rows(precision, offset, n)
    weight = np.ones(n) if weighted else None
    y, _, batch_var, _ = batchnorm.forward(x, np.ones(3), np.zeros(3), epsilon, weight)
    _, var = exact_moments(x)
    np.testing.assert_allclose(batch_var, var, rtol=4e-8)
    y_mean, y_var = exact_moments(y)
    # The variance of y is var / (var + epsilon).
    np.testing.assert_allclose(y_var, var / (var + epsilon), rtol=1e-6)
    np.testing.assert_allclose(y_mean, 0.0, atol=1e-7)


@far_offsets
def test_inference_and_gradients_lose_nothing_at_a_large_offset(precision, offset):
    x = far_rows(precision, offset, 50)
    dy, gamma, beta = x - x[0], np.array([1.0, -2.0, 0.5]), np.ones(3)
    mean, var = exact_moments(x)
    # The running mean lies between two numbers of the dtype of x.
    mean = mean + 1e-5
    assert_equals_twin(batchnorm.infer, [precision], x, gamma, beta, mean, var, scale=10)
    assert_equals_twin(
        batchnorm.backward, [precision] * 3, dy, x, gamma, mean, 1 / np.sqrt(var), scale=10
    )


@each_precision
@pytest.mark.parametrize("n", [2, 256, 300])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e4])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("epsilon", [0.0, 1e-5])
def test_a_constant_column_gives_beta_and_no_gradient(precision, n, value, weighted, epsilon):
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, 3)).astype(precision.dtype)
    x[:, 1] = value
    weight = rng.uniform(0.1, 2.0, size=n) if weighted else None
    gamma, beta = rng.standard_normal((2, 3)).astype(precision.dtype)
    dy = rng.standard_normal((n, 3)).astype(precision.dtype)
    y, mean, var, invstd = batchnorm.forward(x, gamma, beta, epsilon, weight)
    assert (mean[1], var[1], invstd[1]) == (x[0, 1], 0.0, 0.0)
    np.testing.assert_array_equal(y[:, 1], beta[1])
    dx, dgamma, dbeta = batchnorm.backward(dy, x, gamma, mean, invstd, weight)
    assert np.isfinite(dx).all()
    np.testing.assert_array_equal(dx[:, 1], 0.0)
    assert dgamma[1] == 0.0
    precision.assert_close(dbeta, np.sum(dy, axis=0, dtype=np.float64), scale=n)


def test_a_column_constant_but_for_rows_of_weight_0_has_no_variance():
    x = np.array([[0.1, 5.0], [7.0, 5.0], [0.1, 6.0]])
    y, _, var, invstd = batchnorm.forward(x, [2.0, 2.0], [3.0, 3.0], sample_weight=[1, 0, 1])
    assert (var[0], invstd[0]) == (0.0, 0.0)
    np.testing.assert_array_equal(y[:, 0], 3.0)
    assert var[1] == 0.25


@each_precision
def test_the_gradient_is_0_across_what_normalization_removes(precision):
    # y does not change if x is shifted. With epsilon = 0, y does not change if x is scaled.
    x, dy, gamma, beta = (a.astype(precision.dtype) for a in operands(30, 4))
    _, mean, _, invstd = batchnorm.forward(x, gamma, beta, epsilon=0.0)
    dx, _, _ = batchnorm.backward(dy, x, gamma, mean, invstd)
    precision.assert_close(np.sum(dx, axis=0), 0.0, scale=30)
    precision.assert_close(np.sum(dx * (x - mean), axis=0), 0.0, scale=1000)


def with_statistics(x, dy, gamma, beta, weight=None):
    y, mean, var, invstd = batchnorm.forward(x, gamma, beta, sample_weight=weight)
    dx, dgamma, dbeta = batchnorm.backward(dy, x, gamma, mean, invstd, weight)
    return (mean, var, invstd, dgamma, dbeta), (y, dx)


@each_precision
def test_a_row_of_weight_0_counts_nowhere(precision):
    x, dy, gamma, beta = (a.astype(precision.dtype) for a in operands(9, 3))
    weight = np.array([1.0, 2.0, 0.0, 1.5, 0.0, 1.0, 1.0, 0.5, 0.0])
    counts = weight > 0
    x[~counts] = 1e3
    # A row's part of the loss contains the weight of the row, and so does the gradient.
    dy *= weight[:, np.newaxis].astype(precision.dtype)
    columns, rows = with_statistics(x, dy, gamma, beta, weight)
    expected_columns, expected_rows = with_statistics(
        x[counts], dy[counts], gamma, beta, weight[counts]
    )
    # Rows are added four at a time, so sums without some rows are rounded differently.
    eps = np.finfo(precision.dtype).eps
    close = {"rtol": 50 * eps, "atol": 50 * eps}
    for actual, expected in zip(columns, expected_columns, strict=True):
        np.testing.assert_allclose(actual, expected, **close)
    for actual, expected in zip(rows, expected_rows, strict=True):
        np.testing.assert_allclose(actual[counts], expected, **close)
    _, dx = rows
    np.testing.assert_array_equal(dx[~counts], 0.0)


@each_precision
def test_a_weight_of_2_is_the_row_twice(precision):
    n, d = 12, 3
    x, dy, gamma, beta = (a.astype(precision.dtype) for a in operands(n, d))
    repeats = np.arange(n) % 4
    weighted_dy = dy * repeats[:, np.newaxis].astype(precision.dtype)
    columns, (y, dx) = with_statistics(x, weighted_dy, gamma, beta, repeats)
    of_row = np.repeat(np.arange(n), repeats)
    expected_columns, (copies_y, copies_dx) = with_statistics(x[of_row], dy[of_row], gamma, beta)
    for actual, expected in zip(columns, expected_columns, strict=True):
        precision.assert_close(actual, expected, scale=n)
    precision.assert_close(y[of_row], copies_y)
    sums = np.zeros((n, d))
    np.add.at(sums, of_row, copies_dx)
    precision.assert_close(dx, sums, scale=n)


@each_precision
def test_nan_in_a_batch_reaches_its_whole_column(precision):
    x, _, gamma, beta = operands(9, 3)
    x[4, 1] = np.nan
    y, *_ = batchnorm.forward(x.astype(precision.dtype), gamma, beta)
    np.testing.assert_array_equal(np.isnan(y), [[False, True, False]] * 9)


@pytest.mark.parametrize(
    ("n", "weight", "rows"),
    [
        (0, None, 0),
        (1, None, 1),
        (1, [3.0], 1),
        (3, [0.0, 0.0, 0.0], 0),
        (3, [0.0, 2.0, 0.0], 1),
        (2, [1.0, -1.0], 1),
        (2, [1.0, np.nan], 1),
    ],
)
def test_fewer_than_2_rows_of_positive_weight_are_refused(n, weight, rows):
    with pytest.raises(ValueError, match=f"a batch of {rows} row\\(s\\) has no variance"):
        batchnorm.forward(np.ones((n, 2)), np.ones(2), np.zeros(2), sample_weight=weight)


X, COLUMN, ROW = np.ones((4, 2)), np.ones(2), np.ones(4)


BAD_X = [
    (ROW, "must have shape \\(n, d\\), got 1 dimension"),
    (X.astype(np.int64), "must be float32 or float64, got int64"),
    (X.astype(np.float16), "must be float32 or float64, got float16"),
    (X.astype(np.complex128), "must be float32 or float64, got complex128"),
]
BAD_COLUMN = [
    (np.ones(3), "expected shape \\(2,\\) for 2 columns, got \\(3,\\)"),
    (np.ones((1, 2)), "expected shape"),
    (1.0, "expected shape"),
]
BAD_WEIGHT = [(np.ones(3), "x has 4 rows"), (np.ones((4, 1)), "x has 4 rows")]
BAD_DY = [(X[:3], "dy has shape \\(3, 2\\), x has \\(4, 2\\)"), (ROW, "dy has shape")]


@refused((0, BAD_X), (1, BAD_COLUMN), (2, BAD_COLUMN), (4, BAD_WEIGHT))
def test_forward_refuses_bad_input(position, bad, message):
    assert_refused(batchnorm.forward, (X, COLUMN, COLUMN, 1e-5, ROW), position, bad, message)


@refused(
    (0, BAD_DY), (1, BAD_X), (2, BAD_COLUMN), (3, BAD_COLUMN), (4, BAD_COLUMN), (5, BAD_WEIGHT)
)
def test_backward_refuses_bad_input(position, bad, message):
    arguments = (X, X, COLUMN, COLUMN, COLUMN, ROW)
    assert_refused(batchnorm.backward, arguments, position, bad, message)


@refused((0, BAD_X), (1, BAD_COLUMN), (2, BAD_COLUMN), (3, BAD_COLUMN), (4, BAD_COLUMN))
def test_infer_refuses_bad_input(position, bad, message):
    assert_refused(batchnorm.infer, (X, COLUMN, COLUMN, COLUMN, COLUMN), position, bad, message)


def test_parameters_of_another_dtype_are_cast_to_that_of_x():
    x, dy, gamma, beta = operands(6, 3)
    single = x.astype(np.float32)
    y, mean, _, invstd = batchnorm.forward(single, list(gamma), beta)
    assert {mean.dtype, invstd.dtype} == {np.dtype(np.float64)}
    gradients = batchnorm.backward(dy, single, gamma, mean.astype(np.float32), invstd)
    inferred = batchnorm.infer(single, gamma, list(beta), mean, invstd)
    for result in (y, *gradients, inferred):
        assert result.dtype == np.float32


def test_no_columns_give_no_columns():
    x, none = np.empty((3, 0)), np.empty(0)
    for result in (
        *batchnorm.forward(x, none, none),
        *batchnorm.backward(x, x, none, none, none),
        batchnorm.infer(x, none, none, none, none),
    ):
        assert result.size == 0


@pytest.mark.parametrize("order", ["F", "strided"])
def test_results_are_c_ordered(order):
    x, dy, gamma, beta = operands(6, 3)
    y, mean, _, invstd = batchnorm.forward(in_order(x, order), gamma, beta)
    dx, _, _ = batchnorm.backward(in_order(dy, order), x, gamma, mean, invstd)
    assert y.flags.c_contiguous
    assert dx.flags.c_contiguous


@each_precision
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(2, 1), (5, 3), (33, 17), (64, 130)])
def test_the_relu_behind_in_one_pass_is_the_relu_by_itself(precision, weighted, shape):
    x, dy, gamma, beta = (a.astype(precision.dtype) for a in operands(*shape))
    weight = np.linspace(0.5, 2.0, shape[0]) if weighted else None
    y, *statistics = batchnorm.forward(x, gamma, beta, 1e-5, weight)
    mean, _, invstd = statistics
    expected = activations.forward(y, "relu")
    fused, *fused_statistics = batchnorm.relu_forward(x, gamma, beta, 1e-5, weight)
    np.testing.assert_array_equal(fused, expected)
    for own, other in zip(fused_statistics, statistics, strict=True):
        np.testing.assert_array_equal(own, other)
    before = dy.copy()
    masked = activations.backward(dy, y, expected, "relu")
    parts = batchnorm.backward(masked, x, gamma, mean, invstd, weight)
    fused = batchnorm.relu_backward(dy, expected, x, gamma, mean, invstd, weight)
    for own, other in zip(fused, parts, strict=True):
        np.testing.assert_array_equal(own, other)
    np.testing.assert_array_equal(dy, before)
    # The twins normalize and apply the relu in two passes.
    twin = reference.batchnorm.relu_forward(x.astype(np.float64), gamma, beta, 1e-5, weight)
    np.testing.assert_allclose(expected, twin[0], rtol=1e-3, atol=1e-5)
    twin = reference.batchnorm.relu_backward(
        dy.astype(np.float64), expected, x.astype(np.float64), gamma, mean, invstd, weight
    )
    for own, other in zip(fused, twin, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-3, atol=1e-4)


def test_the_relu_s_output_must_fit():
    x = np.ones((4, 2))
    column = np.ones(2)
    with pytest.raises(ValueError, match="y has shape"):
        batchnorm.relu_backward(x, x[:3], x, column, column, column)


def test_a_nan_passes_the_relu_behind():
    x = np.array([[1.0], [np.nan], [3.0]])
    y, *_ = batchnorm.relu_forward(x, np.ones(1), np.zeros(1))
    assert np.isnan(y).all()


@each_precision
@pytest.mark.parametrize("d", [1, 4, 16, 31])
def test_zeros_and_nan_pass_the_relu_behind_with_their_bits(precision, d):
    # A constant column is normalized to beta, whatever the sign of a zero is.
    x = np.full((5, d), 2.0, precision.dtype)
    beta = np.resize(np.array([-0.0, 0.0, -1.0, 3.0], precision.dtype), d)
    x[:, 3::4] = np.nan
    gamma = np.full(d, -1.0)
    y, *_ = batchnorm.forward(x, gamma, beta)
    fused, *_ = batchnorm.relu_forward(x, gamma, beta)
    expected = np.where(y < 0, precision.dtype(0), y)
    np.testing.assert_array_equal(fused, expected)
    np.testing.assert_array_equal(np.signbit(fused[:, :3]), np.signbit(expected[:, :3]))
