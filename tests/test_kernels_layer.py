"""Array functions of ``skbn.kernels.layer``.

Whole numbers make products and sums exact in float32 whatever their order, so that one missing row
or column shows in any shape. Other numbers are compared with the twins.
"""

import platform

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from refusals import assert_refused, refused
from strategies import FLOAT32, Precision, arrays, drawn
from twins import assert_equals_twin, untouched

from skbn.kernels import activations, layer

has_loops = pytest.mark.skipif(
    layer.lanes() == 0, reason="this processor, or this build, has no loops of fused layers"
)
ACTIVATIONS = ("identity", "relu", "silu")
each_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
each_packing = pytest.mark.parametrize("packed", [False, True])
each_transpose = pytest.mark.parametrize("transpose_b", [False, True])

EPS = float(np.finfo(np.float32).eps)  # 1.19e-7

# Sums over float32 numbers, kept in float64.
SUMS = Precision(np.float64, 1e-6)

# Columns about the widths of vectors and panels of each processor, and many panels.
COLUMNS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 63, 64, 65, 79, 80, 81,
           96, 100, 113, 127, 128, 129, 144, 150)  # fmt: skip
shapes = st.tuples(st.integers(1, 40), st.integers(1, 150), st.integers(1, 70))


def whole(rng, *shape):
    """Small whole numbers."""
    return rng.integers(-4, 5, shape).astype(np.float32)


def relative_error(actual, expected):
    return np.linalg.norm(actual - expected) / (np.linalg.norm(expected) or 1.0)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the twins know x86-64")
def test_the_widths_are_those_of_the_level_in_use():
    for function in (layer.lanes, layer.panel_width):
        expected = getattr(reference.layer, function.__name__)()
        # Builds of other compilers, and for other systems, have no loops.
        assert function() in {expected, 0}
    assert layer.panel_width() % max(layer.lanes(), 1) == 0


@pytest.mark.skipif(layer.lanes() > 0, reason="there are loops of fused layers")
def test_without_loops_each_function_says_so():
    x, row = np.ones((2, 2)), np.ones(2)
    for call in (
        lambda: layer.product(x, x),
        lambda: layer.forward(x, x, row, row, "relu"),
        lambda: layer.linear_forward(x, x, row, "relu"),
        lambda: layer.activation_gradient(x, x, x, row, "relu"),
        lambda: layer.data_gradient(x, x, row, row, row, row, row),
        lambda: layer.weight_gradient(x, x),
    ):
        with pytest.raises(ValueError, match="no loops of fused layers for this processor"):
            call()


# ------------------------------------------------------------------------------------- the product


@has_loops
@each_packing
@each_transpose
@pytest.mark.parametrize("n", COLUMNS)
def test_a_product_of_whole_numbers_is_exact_for_every_number_of_rows(n, transpose_b, packed):
    rng = np.random.default_rng(n)
    for m in range(1, 41):
        k = 1 + (7 * m + n) % 20
        a, b = whole(rng, m, k), whole(rng, *((n, k) if transpose_b else (k, n)))
        expected = reference.layer.product(a, b, transpose_b)
        np.testing.assert_array_equal(layer.product(a, b, transpose_b, packed), expected)


@has_loops
@each_packing
@each_transpose
def test_a_product_of_whole_numbers_is_exact_for_every_inner_length(transpose_b, packed):
    rng = np.random.default_rng(0)
    for k in range(1, 71):
        for m, n in ((1 + k % 15, 150 - k), (13, 1 + k)):
            a, b = whole(rng, m, k), whole(rng, *((n, k) if transpose_b else (k, n)))
            expected = reference.layer.product(a, b, transpose_b)
            np.testing.assert_array_equal(layer.product(a, b, transpose_b, packed), expected)


@has_loops
@each_packing
@each_transpose
@drawn
@given(st.data())
def test_a_product_equals_its_twin(transpose_b, packed, data):
    m, n, k = data.draw(shapes)
    a = data.draw(arrays((m, k), np.float32))
    b = data.draw(arrays((n, k) if transpose_b else (k, n), np.float32))
    assert_equals_twin(layer.product, [FLOAT32], a, b, transpose_b, packed, scale=k)


@has_loops
@each_packing
@drawn
@given(st.data())
def test_a_row_has_the_same_bits_whatever_rows_stand_beside_it(packed, data):
    m, n, k = data.draw(shapes)
    a, b = data.draw(arrays((m, k), np.float32)), data.draw(arrays((k, n), np.float32))
    together = layer.product(a, b, packed=packed)
    for i in range(m):
        np.testing.assert_array_equal(layer.product(a[i : i + 1], b, packed=packed), together[[i]])
    order = np.random.default_rng(m).integers(0, m, 40)
    np.testing.assert_array_equal(layer.product(a[order], b, packed=packed), together[order])
    # Nor does it matter how B comes to the tile.
    np.testing.assert_array_equal(layer.product(a, b.T, True, packed), together)
    np.testing.assert_array_equal(layer.product(a, b, packed=not packed), together)


@has_loops
@each_packing
@each_transpose
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_numbers_reach_their_rows_and_columns_alone(bad, transpose_b, packed):
    rng = np.random.default_rng(0)
    m, n, k = 23, 71, 17
    a, b = whole(rng, m, k), 1.0 + np.abs(whole(rng, k, n))
    expected = a @ b
    for i in (0, 5, 11, 12, 22):
        damaged = a.copy()
        damaged[i, k - 1] = bad
        result = layer.product(damaged, b.T if transpose_b else b, transpose_b, packed)
        np.testing.assert_array_equal(result[i], bad)
        np.testing.assert_array_equal(np.delete(result, i, 0), np.delete(expected, i, 0))
    a = 1.0 + np.abs(a)
    expected = a @ b
    for j in (0, 15, 16, 63, 64, 70):
        damaged = b.copy()
        damaged[k - 1, j] = bad
        result = layer.product(a, damaged.T if transpose_b else damaged, transpose_b, packed)
        np.testing.assert_array_equal(result[:, j], bad)
        np.testing.assert_array_equal(np.delete(result, j, 1), np.delete(expected, j, 1))


# -------------------------------------------------------------------------------- the forward pass


@has_loops
@each_activation
@drawn
@given(st.data())
def test_forward_equals_its_twin(activation, data):
    n, d, n_in = data.draw(shapes)
    x = data.draw(arrays((n + 1, n_in), np.float32))
    weights = data.draw(arrays((n_in, d), np.float32))
    gamma, beta = (data.draw(arrays((d,), np.float32, offset=1.0)) for _ in range(2))
    # Of two or three rows that are nearly equal the variance is rounding; 1 covers it.
    options = {"epsilon": 1.0}
    precisions = [Precision(np.float32, 2e-6)] * 3 + [Precision(np.float64, 4e-6)] * 3
    assert_equals_twin(
        layer.forward, precisions, x, weights, gamma, beta, activation, scale=n_in, **options
    )


@has_loops
@each_activation
@pytest.mark.parametrize("d", COLUMNS)
def test_forward_takes_every_row_and_every_column(activation, d):
    rng = np.random.default_rng(d)
    for n in range(2, 41):
        # Of each column the variance is 1 or more, and products are exact.
        x, weights = whole(rng, n, 6), whole(rng, 6, d)
        x[:2, 0], weights[0] = (-20.0, 20.0), 3.0
        gamma, beta = 1.0 + rng.random(d), rng.standard_normal(d)
        y, z, side, *statistics = layer.forward(x, weights, gamma, beta, activation)
        expected_y, expected_z, expected_side, *expected = reference.layer.forward(
            *(v.astype(np.float32).astype(float) for v in (x, weights, gamma, beta)), activation
        )
        np.testing.assert_array_equal(z, expected_z)
        # A tile's sums of whole numbers are exact.
        for value, wanted in zip(statistics, expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(y, expected_y, rtol=1e-6, atol=2e-6)
        np.testing.assert_allclose(side, expected_side, rtol=1e-6, atol=2e-6)


@has_loops
@each_activation
@pytest.mark.parametrize("d", COLUMNS)
def test_linear_forward_takes_every_row_and_every_column(activation, d):
    rng = np.random.default_rng(d)
    for n in range(1, 41):
        x, weights, bias = whole(rng, n, 3), whole(rng, 3, d), whole(rng, d)
        x[:, 0] += 0.25
        wide = (v.astype(float) for v in (x, weights, bias))
        expected = reference.layer.linear_forward(*wide, activation)
        result = untouched(layer.linear_forward, x, weights, bias, activation)
        for value, wanted in zip(result, expected, strict=True):
            assert value.dtype == np.float32
            if activation == "silu":
                np.testing.assert_allclose(value, wanted, rtol=6e-7, atol=6e-7)
            else:
                np.testing.assert_array_equal(value, wanted)


@has_loops
@each_activation
def test_a_row_of_a_layer_has_the_same_bits_whatever_rows_stand_beside_it(activation):
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((37, 19)), rng.standard_normal((19, 71))
    bias, copies = rng.standard_normal(71), rng.integers(0, 37, 50)
    together = layer.linear_forward(x, weights, bias, activation)
    for i in range(37):
        alone = layer.linear_forward(x[i : i + 1], weights, bias, activation)
        for one, all_rows in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one[0], all_rows[i])
    ones = np.ones(71)
    y, z, side, *_ = layer.forward(x[copies], weights, ones, bias, activation)
    for result in (y, z, side):
        first = [int(np.flatnonzero(copies == c)[0]) for c in copies]
        np.testing.assert_array_equal(result, result[first])


@has_loops
def test_silu_far_from_zero():
    x = np.concatenate([np.linspace(-120.0, 120.0, 9601), [-3e38, -1e4, 1e4, 3e38]]).astype(
        np.float32
    )
    y, side = layer.linear_forward(x[:, np.newaxis], np.ones((1, 1)), np.zeros(1), "silu")
    expected_y, expected_side = reference.layer.linear_forward(
        x.astype(float)[:, np.newaxis], np.ones((1, 1)), np.zeros(1), "silu"
    )
    np.testing.assert_allclose(y, expected_y, rtol=4e-7, atol=2e-36)
    # x (1 - s) has the rounding of s, x times.
    np.testing.assert_allclose(side, expected_side, rtol=4e-7, atol=1e-6)
    below = x < -87.0
    for result in (y, side):
        np.testing.assert_array_equal(result[below], 0.0)
    assert (y[~below] != 0.0).sum() == (~below).sum() - 1


@has_loops
@each_activation
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_numbers_of_a_row_reach_their_row_alone_without_batch_norm(activation, bad):
    rng = np.random.default_rng(1)
    x, weights, bias = whole(rng, 20, 5), whole(rng, 5, 35), whole(rng, 35)
    weights[4] = 1.0
    expected = layer.linear_forward(x, weights, bias, activation)
    x[7, 4] = bad
    result = layer.linear_forward(x, weights, bias, activation)
    for value, wanted in zip(result, expected, strict=True):
        np.testing.assert_array_equal(np.delete(value, 7, 0), np.delete(wanted, 7, 0))
    with np.errstate(invalid="ignore"):
        z = np.full((1, 35), bad, np.float32)
        np.testing.assert_array_equal(result[0][7], activations.forward(z, activation)[0])
    if np.isnan(bad) and activation != "identity":
        assert np.isnan(result[1][7]).all()


@has_loops
@each_activation
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_number_of_a_batch_is_in_all_its_statistics_and_outputs(activation, bad):
    rng = np.random.default_rng(1)
    for n, i in ((20, 7), (20, 0), (13, 12)):
        x, weights = rng.standard_normal((n, 5)), rng.standard_normal((5, 35))
        weights[4] = 0.0
        weights[4, 3], x[i, 4] = 1.0, bad
        others = np.arange(35) != 3
        weights[4, others] = 0.0
        x_clean = x.copy()
        x_clean[i, 4] = 1.0
        y, z, _, mean, var, _ = layer.forward(x, weights, np.ones(35), np.zeros(35), activation)
        # 0 times a bad number is NaN: row i of z is bad, and so is every column.
        assert not np.isfinite(z[i]).any()
        np.testing.assert_array_equal(
            np.delete(z, i, 0), np.delete(layer.product(x_clean, weights), i, 0)
        )
        assert not np.isfinite(mean).any()
        assert np.isnan(var).all()
        assert np.isnan(y).all()


# ------------------------------------------------------------------------------------- the moments


def moments_of(z, **options):
    """Mean, variance and invstd of the columns of z, by a layer whose weights are the identity."""
    z = np.asarray(z, np.float32)
    d = z.shape[1]
    result = layer.forward(z, np.eye(d), np.ones(d), np.zeros(d), "identity", **options)
    np.testing.assert_array_equal(result[1], z)
    return result[3:]


@has_loops
@pytest.mark.parametrize("n", [2, 3, 5, 12, 13, 24, 50, 100, 333, 1000])
@pytest.mark.parametrize("distance", [0.0, 1.0, 10.0, 100.0, 1e4, 1e6])
def test_a_first_row_far_from_the_mean_costs_few_digits_of_the_variance(n, distance):
    # The error of the variance v is at most about 8 eps (v + D^2), and D^2 <= n v.
    rng = np.random.default_rng(n)
    z = rng.standard_normal((n, 40)).astype(np.float32)
    z[0] += distance
    mean, var, invstd = moments_of(z, epsilon=0.0)
    expected_mean, expected_var = reference.moments.batch_moments(z)
    far = (z[0] - expected_mean) ** 2
    assert (far <= n * expected_var * (1.0 + 1e-6)).all()
    assert (np.abs(var - expected_var) <= 8.0 * EPS * (expected_var + far)).all()
    assert (np.abs(var - expected_var) <= n * 8.0 * EPS * expected_var).all()
    error = np.abs(mean - expected_mean)
    assert (error <= 8.0 * EPS * (np.sqrt(expected_var) + np.sqrt(far))).all()
    np.testing.assert_allclose(invstd, 1.0 / np.sqrt(var), rtol=1e-14)


@has_loops
@pytest.mark.parametrize("offset", [0.0, 1e3, -1e6])
def test_a_mean_far_from_zero_costs_nothing(offset):
    # Deviations are about a row, never about 0.
    rng = np.random.default_rng(0)
    z = (offset + rng.standard_normal((200, 33))).astype(np.float32)
    mean, var, _ = moments_of(z)
    expected_mean, expected_var = reference.moments.batch_moments(z)
    np.testing.assert_allclose(var, expected_var, rtol=2e-6)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-12, atol=1e-6)


@has_loops
@pytest.mark.parametrize("n", [2, 13, 100])
@pytest.mark.parametrize("value", [0.0, 0.1, -3.3e7, 1e25, 1e-25, 1e-40])
def test_a_constant_column_has_no_variance(n, value):
    z = np.random.default_rng(0).standard_normal((n, 20)).astype(np.float32)
    z[:, 3] = value
    mean, var, invstd = moments_of(z)
    assert mean[3] == np.float32(value)
    assert var[3] == 0.0
    assert invstd[3] == 0.0
    expected = reference.moments.batch_moments(z)[1]
    np.testing.assert_allclose(var, expected, rtol=1e-5)
    assert (invstd[np.arange(20) != 3] > 0.0).all()


@has_loops
@pytest.mark.parametrize("magnitude", [1e-37, 1e-25, 1e-19, 1e-15, 1e15, 1e18, 1e25, 1e37])
def test_variances_whose_squares_float32_cannot_hold(magnitude):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((50, 20)).astype(np.float32)
    z[:, 3] *= np.float32(magnitude)
    mean, var, invstd = moments_of(z, epsilon=0.0)
    expected_mean, expected_var = reference.moments.batch_moments(z)
    np.testing.assert_allclose(var, expected_var, rtol=1e-4)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-4)
    np.testing.assert_allclose(invstd, 1.0 / np.sqrt(expected_var), rtol=1e-4)
    if not 1e-15 <= magnitude <= 1e18:
        # Then all columns are summed up anew in float64.
        np.testing.assert_allclose(var, expected_var, rtol=1e-12)


@has_loops
def test_a_layer_without_variance_gives_beta():
    beta = np.random.default_rng(0).standard_normal(35).astype(np.float32)
    y, *_ = layer.forward(np.full((14, 3), 0.1), np.ones((3, 35)), np.ones(35), beta, "identity")
    np.testing.assert_array_equal(y, np.tile(beta, (14, 1)))


@has_loops
def test_normalized_numbers_keep_their_digits_where_the_mean_is_large():
    # The mean is two float32 numbers: `hi`, and what the shift takes back.
    rng = np.random.default_rng(0)
    z = (1e4 + rng.standard_normal((100, 20))).astype(np.float32)
    y, *_ = layer.forward(z, np.eye(20), np.ones(20), np.zeros(20), "identity", epsilon=0.0)
    expected, *_ = reference.batchnorm.forward(z.astype(float), 1.0, 0.0, 0.0)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
    assert (np.abs(y.astype(float).mean(axis=0)) < 1e-6).all()


# ------------------------------------------------------------------------------- the backward pass


@has_loops
@each_activation
@pytest.mark.parametrize("from_above", [False, True])
@pytest.mark.parametrize("d", COLUMNS)
def test_activation_gradient_takes_every_row_and_every_column(activation, from_above, d):
    rng = np.random.default_rng(d)
    for n in range(1, 41):
        d_above = 1 + (3 * n + d) % 37
        weights = whole(rng, d, d_above) if from_above else None
        dy = whole(rng, n, d_above if from_above else d)
        z, side, mean = whole(rng, n, d), whole(rng, n, d) / 4.0, whole(rng, d)
        wide = [v if v is None else v.astype(float) for v in (dy, z, side, mean, weights)]
        expected = reference.layer.activation_gradient(*wide[:4], activation, wide[4])
        result = untouched(layer.activation_gradient, dy, z, side, mean, activation, weights)
        for value, wanted in zip(result, expected, strict=True):
            np.testing.assert_array_equal(value, wanted)


@has_loops
@each_activation
@pytest.mark.parametrize("from_above", [False, True])
@drawn
@given(st.data())
def test_activation_gradient_equals_its_twin(activation, from_above, data):
    n, d, d_above = data.draw(shapes)
    z, side = (data.draw(arrays((n, d), np.float32)) for _ in range(2))
    mean = data.draw(arrays((d,), np.float32))
    dy = data.draw(arrays((n, d_above if from_above else d), np.float32))
    weights = data.draw(arrays((d, d_above), np.float32)) if from_above else None
    scale = n * (d_above if from_above else 1)
    assert_equals_twin(
        layer.activation_gradient, [FLOAT32, SUMS, SUMS], dy, z, side, mean, activation, weights,
        scale=scale,
    )  # fmt: skip


@has_loops
@pytest.mark.parametrize("from_above", [False, True])
def test_a_bad_gradient_stays_in_its_row(from_above):
    rng = np.random.default_rng(0)
    n, d = 21, 37
    for activation in ACTIVATIONS:
        z, side, dy = whole(rng, n, d), whole(rng, n, d), whole(rng, n, d)
        side[5] = 1.0
        dy[5] = np.nan
        weights = np.eye(d) if from_above else None
        g, sum_g, sum_g_z = layer.activation_gradient(dy, z, side, np.zeros(d), activation, weights)
        assert np.isnan(g[5]).all()
        assert np.isfinite(np.delete(g, 5, 0)).all()
        assert np.isnan(sum_g).all()
        assert np.isnan(sum_g_z).all()


@has_loops
def test_the_gradient_of_a_relu_at_its_kink():
    dy = np.array([[-2.0, -3.0, 5.0, -0.0, -1.0, np.inf, np.nan]], np.float32)
    side = np.array([[0.0, 1.0, -0.0, 2.0, np.nan, 0.0, 0.0]], np.float32)
    g, *_ = layer.activation_gradient(dy, np.ones((1, 7)), side, np.zeros(7), "relu")
    expected = activations.backward(dy, side, side, "relu")
    np.testing.assert_array_equal(g[:, :5], expected[:, :5])
    # A dead relu passes nothing on, whatever comes.
    np.testing.assert_array_equal(g[:, 5:], 0.0)


@has_loops
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("d", COLUMNS)
def test_data_gradient_takes_every_row_and_every_column(shared, d):
    rng = np.random.default_rng(d)
    for n in (1, 2, 7, 12, 29, 40):
        g, z = rng.standard_normal((2, n, d)).astype(np.float32)
        sum_g, sum_g_z, gamma, mean = rng.standard_normal((4, d))
        gamma, invstd = gamma.astype(np.float32), 1.0 + rng.random(d)
        share = rng.random(n).astype(np.float32) if shared else None
        precisions = [Precision(np.float32, 3e-6), SUMS, SUMS]
        assert_equals_twin(
            layer.data_gradient, precisions, g, z, sum_g, sum_g_z, gamma, mean, invstd, share,
            scale=4.0,
        )  # fmt: skip


@has_loops
@pytest.mark.parametrize("shared", [False, True])
def test_the_rounding_of_a_large_mean_is_made_good(shared):
    # float32 has steps of 1e-3 at 1e4. Whole numbers keep z - hi exact.
    rng = np.random.default_rng(0)
    n, d = 30, 20
    rounded = 1e4 + whole(rng, d)
    mean = rounded + rng.uniform(-4e-4, 4e-4, d)
    np.testing.assert_array_equal(mean.astype(np.float32), rounded)
    z = (1e4 + whole(rng, n, d)).astype(np.float32)
    g, sum_g, sum_g_z = whole(rng, n, d), 5.0 + rng.random(d), rng.standard_normal(d)
    share = rng.random(n).astype(np.float32) if shared else None
    arguments = [g, z, sum_g, sum_g_z, np.ones(d, np.float32), mean, 1.0 + rng.random(d), share]
    precisions = [Precision(np.float32, 1e-6), *[Precision(np.float64, 1e-12)] * 2]
    assert_equals_twin(layer.data_gradient, precisions, *arguments, scale=10.0)


@has_loops
@pytest.mark.parametrize("d", COLUMNS)
def test_weight_gradient_of_whole_numbers_is_exact(d):
    rng = np.random.default_rng(d)
    sizes = [(n_in, 1 + n_in % 7) for n_in in range(1, 41)]
    # Rows are added up 256 at a time.
    for n_in, n in [*sizes, (13, 255), (5, 256), (7, 257), (29, 600)]:
        x, dz = whole(rng, n, n_in), whole(rng, n, d)
        expected = reference.layer.weight_gradient(x, dz)
        np.testing.assert_array_equal(layer.weight_gradient(x, dz), expected)


@has_loops
@drawn
@given(st.data())
def test_weight_gradient_equals_its_twin(data):
    n_in, d, n = data.draw(shapes)
    x, dz = data.draw(arrays((n, n_in), np.float32)), data.draw(arrays((n, d), np.float32))
    assert_equals_twin(layer.weight_gradient, [FLOAT32], x, dz, scale=n)


def both_passes(kernels, x, weights, gamma, beta, dy, above, activation):
    """Gradients of two linear maps with a layer between them."""
    y, z, side, mean, _, invstd = kernels.forward(x, weights, gamma, beta, activation)
    g, *sums = kernels.activation_gradient(dy, z, side, mean, activation, above)
    dz, dgamma, dbeta = kernels.data_gradient(g, z, *sums, gamma, mean, invstd)
    return (
        kernels.weight_gradient(x, dz),
        dgamma,
        dbeta,
        kernels.product(dz, weights, True),
        kernels.weight_gradient(y, dy),
    )


@has_loops
@each_activation
@pytest.mark.parametrize("n", [16, 57, 300])
@pytest.mark.parametrize("units", [(20, 100, 2), (64, 64, 64), (3, 1, 1), (7, 33, 17)])
def test_gradients_of_a_layer_are_those_of_the_twin_in_float64(activation, n, units):
    rng = np.random.default_rng(n)
    n_in, d, d_above = units
    x, dy = rng.standard_normal((n, n_in)), rng.standard_normal((n, d_above))
    weights = rng.standard_normal((n_in, d)) / np.sqrt(n_in)
    above = rng.standard_normal((d, d_above)) / np.sqrt(d)
    gamma, beta = rng.uniform(0.5, 1.5, d), rng.standard_normal(d)
    single = [v.astype(np.float32) for v in (x, weights, gamma, beta, dy, above)]
    wide = [v.astype(float) for v in single]
    # The twin takes its sums about the mean as it is given. `data_gradient` expects a rounded one.
    results = both_passes(layer, *single, activation)
    expected = both_passes(RoundedTwin, *wide, activation)
    for value, wanted in zip(results, expected, strict=True):
        assert relative_error(value, wanted) < 2e-6


class RoundedTwin(reference.layer):
    """The twin, with the sums of the gradient about the rounded mean, as the array functions."""

    @staticmethod
    def activation_gradient(dy, z, side, batch_mean, *options):
        rounded = batch_mean.astype(np.float32)
        return reference.layer.activation_gradient(dy, z, side, rounded, *options)


# ----------------------------------------------------------------------------------- bad arguments


X, W, ROW = np.ones((4, 3)), np.ones((3, 5)), np.ones(5)
Z = np.ones((4, 5))


@has_loops
@refused(
    (0, [(np.ones((4, 2)), "b must have shape"), (np.ones(3), "a must have shape"),
         (np.ones((0, 3)), "without an empty axis"), (np.ones((4, 3), complex), "real numbers")]),
    (1, [(np.ones((2, 5)), r"b must have shape \(3, d\)"), (np.ones((3, 0)), "b must have shape"),
         (np.ones((3, 5, 1)), "b must have shape")]),
)  # fmt: skip
def test_bad_operands_of_a_product(position, bad, message):
    assert_refused(layer.product, [X, W], position, bad, message)


@has_loops
def test_bad_operands_of_a_transposed_product():
    with pytest.raises(ValueError, match=r"b must have shape \(n, 3\)"):
        layer.product(X, W, transpose_b=True)


@has_loops
@refused(
    (0, [(np.ones((1, 3)), "1 row has no variance"), (np.ones((4, 2)), "weights must have shape"),
         (np.ones((4, 0)), "x must have shape"), (np.ones((4, 3), complex), "real numbers")]),
    (1, [(np.ones((2, 5)), "weights must have shape"), (np.ones(3), "weights must have shape")]),
    (2, [(np.ones(4), "gamma must have shape"), (np.ones((5, 1)), "gamma must have shape")]),
    (3, [(np.ones(4), "beta must have shape"), (1.0, "beta must have shape")]),
    (4, [("tanh", r"one of \['identity', 'relu', 'silu'\], got 'tanh'"), (None, "got None")]),
    (5, [(-1.0, "epsilon must"), (np.nan, "epsilon must")]),
)  # fmt: skip
def test_bad_arguments_of_forward(position, bad, message):
    assert_refused(layer.forward, [X, W, ROW, ROW, "relu", 1e-5], position, bad, message)


@has_loops
@refused(
    (0, [(np.ones((4, 2)), "must have shape"), (np.ones((0, 3)), "must have shape")]),
    (1, [(np.ones((2, 5)), "must have shape")]),
    (2, [(np.ones(4), "bias must have shape"), (np.ones(5, complex), "real numbers")]),
    (3, [("gelu", "activation must be one of")]),
)
def test_bad_arguments_of_linear_forward(position, bad, message):
    assert_refused(layer.linear_forward, [X, W, ROW, "relu"], position, bad, message)


@has_loops
@refused(
    (0, [(np.ones((3, 2)), r"dy must have shape \(4, 2\)"), (np.ones((4, 5)), "dy must have"),
         (np.ones(4), "dy must have")]),
    (1, [(np.ones(5), "z must have"), (np.ones((4, 6)), "side must have"),
         (np.ones((0, 5)), "z must have")]),
    (2, [(np.ones((4, 4)), "side must have"), (np.ones((5, 5)), "side must have")]),
    (3, [(np.ones(4), "batch_mean must have")]),
    (4, [("mish", "activation must be one of")]),
    (5, [(np.ones((4, 2)), "weights must have"), (None, "dy must have")]),
)  # fmt: skip
def test_bad_arguments_of_activation_gradient(position, bad, message):
    arguments = [np.ones((4, 2)), Z, Z, ROW, "silu", np.ones((5, 2))]
    assert_refused(layer.activation_gradient, arguments, position, bad, message)


@has_loops
@refused(
    (0, [(np.ones((4, 4)), "g must have"), (np.ones((3, 5)), "g must have")]),
    (1, [(np.ones((4, 6)), "g must have"), (np.ones(5), "z must have")]),
    (2, [(np.ones(4), r"expected shape \(5,\)")]),
    (3, [(np.ones((5, 1)), r"expected shape \(5,\)")]),
    (4, [(np.ones(4), "gamma must have")]),
    (5, [(np.ones(6), r"expected shape \(5,\)")]),
    (6, [(1.0, r"expected shape \(5,\)"), (ROW.astype(complex), "real numbers")]),
    (7, [(np.ones(5), r"share must have shape \(4,\)")]),
)
def test_bad_arguments_of_data_gradient(position, bad, message):
    arguments = [Z, Z, ROW, ROW, ROW, ROW, ROW, np.ones(4)]
    assert_refused(layer.data_gradient, arguments, position, bad, message)


@has_loops
@refused(
    (0, [(np.ones((3, 3)), "dz must have shape"), (np.ones(4), "x must have shape")]),
    (1, [(np.ones((4, 0)), "dz must have"), (np.ones((5, 5)), r"dz must have shape \(4, d\)")]),
)
def test_bad_arguments_of_weight_gradient(position, bad, message):
    assert_refused(layer.weight_gradient, [X, Z], position, bad, message)
