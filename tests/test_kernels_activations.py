"""Doors of ``skbn.kernels.activations``."""

import numpy as np
import pytest
from differences import gradient
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erfcx, ndtr
from strategies import arrays, drawn, each_precision, shapes
from twins import assert_equals_twin, untouched

from skbn.kernels import activations

NAMES = sorted(activations.ACTIVATIONS)
each_name = pytest.mark.parametrize("name", NAMES)


@each_precision
@each_name
@drawn
@given(st.data(), shapes)
def test_forward_and_backward_equal_their_twins(precision, name, data, shape):
    x = data.draw(arrays(shape, precision.dtype))
    dy = data.draw(arrays(shape, precision.dtype))
    y = assert_equals_twin(activations.forward, [precision], x, name)
    assert_equals_twin(activations.backward, [precision], dy, x, y, name)


@each_precision
@each_name
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1, 1, 1, 2)])
def test_any_shape_is_kept(precision, name, shape):
    x = np.ones(shape, precision.dtype)
    y = assert_equals_twin(activations.forward, [precision], x, name)
    assert_equals_twin(activations.backward, [precision], x, x, y, name)


@each_name
def test_backward_is_the_gradient_of_forward(name):
    # No entry near 0, where relu has no derivative.
    x = np.linspace(-3.0, 3.0, 12).reshape(3, 4)
    dy = np.random.default_rng(0).standard_normal(x.shape)
    dx = activations.backward(dy, x, activations.forward(x, name), name)
    numerical = gradient(lambda x: np.sum(dy * activations.forward(x, name)), x)
    np.testing.assert_allclose(dx, numerical, rtol=1e-9, atol=1e-11)


@each_precision
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("logistic", 0.0, 1.0), ("tanh", -1.0, 1.0), ("relu", 0.0, np.inf)],
)
def test_far_inputs_saturate_exactly(precision, name, low, high):
    x = np.array([-np.inf, -1e4, 1e4, np.inf], precision.dtype)
    y = activations.forward(x, name)
    np.testing.assert_array_equal(y, [low, low, min(high, 1e4), high])
    if name != "relu":
        np.testing.assert_array_equal(activations.backward(np.ones_like(x), x, y, name), 0.0)


@each_precision
@pytest.mark.parametrize("name", ["silu", "gelu", "mish"])
def test_far_from_0_smooth_activations_are_relu(precision, name):
    x = np.array([-1e30, -1e4, -200.0, 200.0, 1e4, 1e30], precision.dtype)
    y = activations.forward(x, name)
    # Down to the tail of silu at -200, which float32 does not hold.
    np.testing.assert_allclose(y, np.maximum(x, 0), rtol=0, atol=1e-80)
    dx = activations.backward(np.ones_like(x), x, y, name)
    np.testing.assert_allclose(dx, x > 0, rtol=0, atol=1e-80)


@each_precision
@pytest.mark.parametrize("name", ["silu", "gelu"])
def test_at_0_silu_and_gelu_are_half_the_identity(precision, name):
    zeros = np.array([0.0, -0.0], precision.dtype)
    np.testing.assert_array_equal(activations.forward(zeros, name), 0.0)
    dx = activations.backward(np.ones_like(zeros), zeros, zeros, name)
    np.testing.assert_array_equal(dx, 0.5)


@each_precision
@each_name
def test_the_gradient_may_be_computed_without_what_it_does_not_look_at(precision, name):
    x = np.linspace(-2.0, 2.0, 7).astype(precision.dtype)
    y = activations.forward(x, name)
    nothing = np.full_like(x, np.nan)
    operands = (nothing, y) if name in activations.IN_PLACE else (x, nothing)
    np.testing.assert_array_equal(
        activations.backward(np.ones_like(x), *operands, name),
        activations.backward(np.ones_like(x), x, y, name),
    )


@each_precision
def test_mish_at_0_has_the_slope_three_fifths(precision):
    zeros = np.array([0.0, -0.0], precision.dtype)
    np.testing.assert_array_equal(activations.forward(zeros, "mish"), 0.0)
    dx = activations.backward(np.ones_like(zeros), zeros, zeros, "mish")
    np.testing.assert_allclose(dx, 0.6, rtol=np.finfo(precision.dtype).eps)


@each_precision
def test_mish_keeps_its_relative_precision_below_zero(precision):
    # For x far below 0, tanh(log(1 + e^x)) is e^x: no term cancels. 80 is in range of float32.
    x = np.linspace(-80.0, -20.0, 50).astype(precision.dtype)
    exact = x.astype(float) * np.exp(x.astype(float))
    eps = np.finfo(precision.dtype).eps
    np.testing.assert_allclose(activations.forward(x, "mish"), exact, rtol=max(20 * eps, 1e-8))


@each_precision
def test_leaky_relu_has_the_slope_a_hundredth_below_zero_and_at_it(precision):
    x = np.array([-3.0, -1e-30, 0.0, 1e-30, 2.0], precision.dtype)
    y = activations.forward(x, "leaky_relu")
    np.testing.assert_allclose(y, [-0.03, -1e-32, 0.0, 1e-30, 2.0], rtol=1e-6)
    dx = activations.backward(np.ones_like(x), x, y, "leaky_relu")
    np.testing.assert_allclose(dx, [0.01, 0.01, 0.01, 1.0, 1.0], rtol=1e-6)


@each_precision
def test_relu_has_derivative_0_at_0(precision):
    zeros = np.array([0.0, -0.0], precision.dtype)
    y = activations.forward(zeros, "relu")
    np.testing.assert_array_equal(y, 0.0)
    np.testing.assert_array_equal(activations.backward(np.ones_like(y), zeros, y, "relu"), 0.0)


@each_precision
@each_name
def test_nan_stays_nan(precision, name):
    x = np.array([1.0, np.nan, -1.0], precision.dtype)
    np.testing.assert_array_equal(np.isnan(activations.forward(x, name)), np.isnan(x))


def test_the_gradient_is_cast_to_the_dtype_of_the_output():
    y = np.ones(3, np.float32)
    assert activations.backward([1.0, 2.0, 3.0], [0.0] * 3, y, "tanh").dtype == np.float32


@each_precision
def test_an_unknown_activation_is_refused(precision):
    x = np.ones(3, precision.dtype)
    with pytest.raises(ValueError, match=r"one of .*'relu'.*, got 'swish'"):
        activations.forward(x, "swish")
    with pytest.raises(ValueError, match="got 'swish'"):
        activations.backward(x, x, x, "swish")


@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.longdouble, np.complex64])
def test_other_dtypes_are_refused(dtype):
    x = np.ones(3, dtype)
    with pytest.raises(ValueError, match=f"must be float32 or float64, got {x.dtype}"):
        activations.forward(x, "relu")
    with pytest.raises(ValueError, match=f"must be float32 or float64, got {x.dtype}"):
        activations.backward(np.ones(3), np.ones(3), x, "relu")


@pytest.mark.parametrize("shape", [(2,), (3, 1), ()])
def test_operands_of_another_shape_are_refused(shape):
    other, y = np.ones(shape), np.ones(3)
    with pytest.raises(ValueError, match="dy has shape"):
        untouched(activations.backward, other, y, y, "relu")
    with pytest.raises(ValueError, match="x has shape"):
        untouched(activations.backward, y, other, y, "silu")


def sweep(dtype, smallest):
    """Inputs of both signs over all that does not underflow, dense and by orders of magnitude."""
    steps = np.linspace(-smallest, smallest, 200_001)
    orders = np.logspace(-12, np.log10(smallest), 4_001)
    return np.concatenate([steps, orders, -orders]).astype(dtype)


@pytest.mark.parametrize(
    ("name", "units"), [("logistic", 4), ("tanh", 5)], ids=["logistic", "tanh"]
)
@pytest.mark.parametrize(("dtype", "smallest"), [(np.float32, 87.0), (np.float64, 700.0)])
def test_exponentials_are_right_to_some_units_in_the_last_place(name, units, dtype, smallest):
    x = sweep(dtype, smallest)
    exact = x.astype(np.longdouble)
    exact = np.tanh(exact) if name == "tanh" else 1 / (1 + np.exp(-exact))
    error = np.abs(activations.forward(x, name) - exact) / np.spacing(np.abs(exact).astype(dtype))
    assert error.max() <= units


def normal_tail(a):
    """P(-a) of the normal distribution for a >= 0, to about 1e-16 of itself."""
    return erfcx((a / np.sqrt(np.longdouble(2))).astype(np.float64)) / 2 * np.exp(-a * a / 2)


@pytest.mark.parametrize(
    ("dtype", "smallest", "units"), [(np.float32, 15.0, 5), (np.float64, 37.5, 8)]
)
def test_gelu_is_right_to_some_units_in_the_last_place(dtype, smallest, units):
    x = sweep(dtype, smallest)
    exact = x.astype(np.longdouble)
    tail = normal_tail(np.abs(exact))
    normal = np.where(exact > 0, 1 - tail, tail)
    info = np.finfo(dtype)
    y = activations.forward(x, "gelu")
    error = np.abs(y - exact * normal)
    # The far tail, which the dtype holds no normal numbers for, may be 0.
    assert (error <= units * info.eps * np.abs(exact * normal) + 2 * info.tiny).all()
    np.testing.assert_allclose(y, x * ndtr(x.astype(np.float64)), rtol=0, atol=4 * info.eps)
    # The slope passes through 0 near -0.75: its error is one of its two parts.
    bell = np.exp(-exact * exact / 2) / np.sqrt(2 * np.longdouble(np.pi))
    slope = activations.backward(np.ones_like(x), x, y, "gelu")
    parts = normal + np.abs(exact) * bell
    assert (
        np.abs(slope - (normal + exact * bell)) <= units * info.eps * parts + 16 * info.tiny
    ).all()


@each_precision
def test_gelu_of_extreme_numbers(precision):
    least = np.finfo(precision.dtype).smallest_subnormal
    x = np.array([np.inf, np.nan, 0.0, -0.0, 1e30, -1e30, 4 * least, -4 * least], precision.dtype)
    y = activations.forward(x, "gelu")
    np.testing.assert_array_equal(y, [np.inf, np.nan, 0, 0, x[4], 0, 2 * least, -2 * least])
    slope = activations.backward(np.ones_like(x), x, y, "gelu")
    eps = np.finfo(precision.dtype).eps
    np.testing.assert_allclose(slope[1:], [np.nan, 0.5, 0.5, 1, 0, 0.5, 0.5], rtol=eps)


def test_codes_stay_what_they_are_in_saved_plans():
    codes = {
        "identity": 0, "logistic": 1, "tanh": 2, "relu": 3, "silu": 4, "mish": 5,
        "leaky_relu": 6, "gelu": 7,
    }  # fmt: skip
    assert codes == activations.ACTIVATIONS
