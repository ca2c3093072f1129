"""Doors of ``skbn.kernels.losses``."""

import numpy as np
import pytest
from differences import gradient
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_pinball_loss
from strategies import arrays, drawn, each_precision, lengths, weights
from twins import assert_equals_twin, untouched

from skbn.kernels import losses

DOORS = [
    losses.softmax_log_loss,
    losses.logistic_log_loss,
    losses.squared_error,
    losses.absolute_error,
    losses.poisson,
    losses.quantile,
]
each_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)


def targets(door, rng, n, k):
    """Targets that the loss is made for."""
    if door is losses.softmax_log_loss:
        return rng.integers(0, k, size=n)
    if door is losses.logistic_log_loss:
        return rng.integers(0, 2, size=(n, k)).astype(np.float64)
    if door is losses.poisson:
        return rng.poisson(1.0, size=(n, k)).astype(np.float64)
    return rng.standard_normal((n, k))


def operands(door, n=6, k=3, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, k)).astype(dtype), targets(door, rng, n, k)


@each_door
@each_precision
@pytest.mark.parametrize("weighted", [False, True])
@drawn
@given(st.data(), lengths(largest=20), lengths(), st.sampled_from([0.1, 1.0, 30.0]))
def test_the_losses_equal_their_twins(door, precision, weighted, data, n, k, spread):
    z = data.draw(arrays((n, k), precision.dtype))
    if door is losses.poisson:
        spread = min(spread, 5.0)  # means up to e^20: those of e^90 are infinite in float32
    z = (z * precision.dtype(spread)) if spread != 1.0 else z
    y = targets(door, np.random.default_rng(data.draw(st.integers(0, 1000))), n, k)
    sample_weight = data.draw(weights(n, positive=1)) if weighted else None
    y = y.astype(precision.dtype)
    options = {"sample_weight": sample_weight, "scale": spread}
    assert_equals_twin(door, [precision] * 2, z, y, **options)


@each_door
@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("weight", [None, np.array([1.0, 0.0, 2.5, 0.5, 0.0])])
def test_dz_is_the_gradient_of_the_loss(door, k, weight):
    z, y = operands(door, n=5, k=k)
    _, dz = door(z, y, weight)
    numerical = gradient(lambda z: door(z, y, weight)[0], z)
    np.testing.assert_allclose(dz, numerical, rtol=1e-9, atol=1e-11)


@each_door
@each_precision
def test_a_weight_of_2_is_the_row_twice_and_of_0_no_row(door, precision):
    z, y = operands(door, dtype=precision.dtype)
    repeats = np.array([1, 0, 2, 3, 0, 1])
    of_row = np.repeat(np.arange(6), repeats)
    loss, dz = door(z, y, repeats)
    copies_loss, copies_dz = door(z[of_row], y[of_row])
    precision.assert_close(loss, copies_loss)
    precision.assert_close(dz[of_row], copies_dz * repeats[of_row][:, np.newaxis])
    np.testing.assert_array_equal(dz[repeats == 0], 0.0)


@each_door
@each_precision
def test_equal_weights_are_no_weights(door, precision):
    z, y = operands(door, dtype=precision.dtype)
    for expected, actual in zip(door(z, y), door(z, y, [3.0] * 6), strict=True):
        precision.assert_close(actual, expected)


@each_precision
@pytest.mark.parametrize("far", [1e3, 1e30])
def test_the_softmax_log_loss_is_exact_where_it_saturates(precision, far):
    # The largest output neither first nor last, so that it has to be looked for.
    z = np.array([[0.0, far, -far], [0.0, far, -far]], precision.dtype)
    loss, dz = losses.softmax_log_loss(z, [1, 0])
    assert loss == float(z[0, 1]) / 2
    np.testing.assert_array_equal(dz, [[0.0, 0.0, 0.0], [-0.5, 0.5, 0.0]])


@each_precision
@pytest.mark.parametrize("far", [1e3, 1e30])
def test_the_logistic_log_loss_is_exact_where_it_saturates(precision, far):
    z = np.array([[far], [-far], [far], [-far]], precision.dtype)
    loss, dz = losses.logistic_log_loss(z, [[1], [0], [0], [1]])
    assert loss == float(z[0, 0]) / 2
    np.testing.assert_array_equal(dz, [[0.0], [0.0], [0.25], [-0.25]])


@each_precision
def test_far_from_0_the_logistic_log_loss_keeps_its_relative_precision(precision):
    z = np.array([[-40.0], [40.0]], precision.dtype)
    loss, dz = losses.logistic_log_loss(z, [[0], [1]])
    np.testing.assert_allclose(loss, np.exp(-40.0), rtol=1e-14)
    np.testing.assert_allclose(dz[0], np.exp(-40.0) / 2, rtol=precision.tolerance)


@each_precision
def test_the_softmax_log_loss_of_one_class_is_0(precision):
    loss, dz = losses.softmax_log_loss(np.array([[3.0], [-2.0]], precision.dtype), [0, 0])
    assert loss == 0.0
    np.testing.assert_array_equal(dz, 0.0)


@each_precision
def test_two_classes_of_softmax_are_the_logistic_function_of_their_difference(precision):
    z, y = operands(losses.softmax_log_loss, k=2, dtype=precision.dtype)
    loss, dz = losses.softmax_log_loss(z, y)
    difference = z[:, 1:] - z[:, :1]
    expected, expected_dz = losses.logistic_log_loss(difference, y[:, np.newaxis])
    precision.assert_close(loss, expected)
    precision.assert_close(dz, expected_dz * [-1.0, 1.0])


@each_door
@each_precision
@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_makes_the_loss_so(door, precision, column, value):
    z, y = operands(door, n=6, dtype=precision.dtype)
    z[3, column] = value
    loss, dz = door(z, y * 0)
    assert not np.isfinite(loss)
    # The logistic function of infinity is 1: a fit is stopped by its loss.
    # The derivative of the absolute error and of a quantile goes by a sign: 0 where there is none.
    if np.isnan(value) and door not in (losses.absolute_error, losses.quantile):
        assert np.isnan(dz[3]).any()


@each_precision
def test_the_absolute_error_has_derivative_0_at_its_kink(precision):
    z = np.array([[1.0, -2.0], [0.0, 4.0]], precision.dtype)
    loss, dz = losses.absolute_error(z, [[1.0, -3.0], [-0.0, 5.0]])
    assert loss == 1.0
    np.testing.assert_array_equal(dz, [[0.0, 0.5], [0.0, -0.5]])


@each_precision
@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_pinball_loss_is_that_of_scikit_learn(precision, quantile, weighted):
    z, y = operands(losses.quantile, n=40, dtype=precision.dtype)
    weight = np.random.default_rng(2).integers(0, 4, 40).astype(float) if weighted else None
    loss, dz = assert_equals_twin(losses.quantile, [precision] * 2, z, y, weight, quantile)
    expected = mean_pinball_loss(y, z, alpha=quantile, sample_weight=weight)
    precision.assert_close(loss / 3, expected)
    numerical = gradient(lambda z: losses.quantile(z, y, weight, quantile)[0], z.astype(float))
    np.testing.assert_allclose(dz, numerical, rtol=1e-6, atol=1e-9)


def test_the_pinball_loss_of_one_half_is_half_the_absolute_error():
    z, y = operands(losses.quantile)
    for half, whole in zip(losses.quantile(z, y), losses.absolute_error(z, y), strict=True):
        np.testing.assert_allclose(2.0 * half, whole, rtol=1e-14)


@pytest.mark.parametrize("quantile", [0.0, 1.0, -0.5, np.nan])
def test_a_quantile_is_between_0_and_1(quantile):
    with pytest.raises(ValueError, match="quantile must be in"):
        losses.quantile(*operands(losses.quantile), quantile=quantile)


def test_at_its_kink_the_pinball_loss_has_the_derivative_0():
    loss, dz = losses.quantile(np.ones((1, 3)), np.array([[1.0, 2.0, 0.0]]), quantile=0.9)
    np.testing.assert_allclose(loss, 0.9 + 0.1)
    np.testing.assert_allclose(dz, [[0.0, -0.9, 0.1]])


@each_precision
def test_the_poisson_deviance_of_the_target_0_is_the_mean(precision):
    z = np.array([[0.0, 1.0], [-3.0, -1e4]], precision.dtype)
    loss, dz = losses.poisson(z, np.zeros((2, 2)))
    np.testing.assert_allclose(loss, np.exp(z, dtype=np.float64).sum() / 2, rtol=1e-15)
    precision.assert_close(dz, np.exp(z) / 2)


@each_precision
def test_the_poisson_deviance_is_0_at_the_target(precision):
    y = np.array([[1.0, 1e-3], [30.0, 1e6]])
    loss, dz = losses.poisson(np.log(y).astype(precision.dtype), y)
    scale = y.max() * np.log(y.max())
    precision.assert_close(loss, 0.0, scale=scale)
    precision.assert_close(dz, 0.0, scale=scale)


@pytest.mark.parametrize("y", [[[1.0, 0.0], [-1e-9, 2.0]], [[0, -1], [0, 0]]])
def test_negative_targets_of_the_poisson_deviance_are_refused(y):
    with pytest.raises(ValueError, match="defined for targets >= 0"):
        untouched(losses.poisson, np.zeros((2, 2)), np.array(y))


BAD_Z = [
    (np.ones(3), "z must have shape"),
    (np.ones((0, 3)), "z must have shape .* got \\(0, 3\\)"),
    (np.ones((3, 0)), "z must have shape|y must be in"),
    (np.ones((6, 3), np.int64), "must be float32 or float64, got int64"),
    (np.ones((6, 3), np.float16), "must be float32 or float64, got float16"),
]


@each_door
@pytest.mark.parametrize(("z", "message"), BAD_Z)
def test_bad_raw_outputs_are_refused(door, z, message):
    y = targets(door, np.random.default_rng(0), *(z.shape if z.size and z.ndim == 2 else (6, 3)))
    with pytest.raises(ValueError, match=message):
        untouched(door, z, y)


@each_door
def test_targets_of_another_shape_are_refused(door):
    z, y = operands(door)
    for bad in (y[:5], np.stack([y, y]), y.ravel()[:1], y[..., np.newaxis]):
        with pytest.raises(ValueError, match="y must have shape"):
            untouched(door, z, bad)


@each_door
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(5), "sample_weight has shape \\(5,\\), z has 6 rows"),
        (np.ones((6, 1)), "z has 6 rows"),
        (np.zeros(6), "positive sum"),
        (np.full(6, np.nan), "positive sum"),
        (-np.ones(6), "positive sum"),
    ],
)
def test_bad_weights_are_refused(door, weight, message):
    z, y = operands(door)
    with pytest.raises(ValueError, match=message):
        untouched(door, z, y, weight)


def test_a_class_between_two_is_refused():
    z, y = operands(losses.softmax_log_loss)
    y = y.astype(np.float64)
    y[2] = 0.5
    with pytest.raises(ValueError, match="y must be whole numbers"):
        untouched(losses.softmax_log_loss, z, y)


@pytest.mark.parametrize("label", [-1, 3, np.nan])
def test_a_class_out_of_range_is_refused(label):
    z, y = operands(losses.softmax_log_loss)
    y = y.astype(np.float64)
    y[2] = label
    with pytest.raises(ValueError, match="y must be in 0 to 2"):
        untouched(losses.softmax_log_loss, z, y)


@pytest.mark.parametrize(("dtype", "smallest"), [(np.float32, 87.0), (np.float64, 700.0)])
def test_the_logistic_loss_is_right_to_some_units_in_the_last_place(dtype, smallest):
    for z in np.linspace(-smallest, smallest, 801).astype(dtype):
        exact = np.longdouble(z)
        for y in (0.0, 1.0):
            expected = np.log1p(np.exp(-exact if y else exact))
            loss, dz = losses.logistic_log_loss(np.array([[z]]), np.array([[y]], dtype))
            assert loss == pytest.approx(float(expected), rel=1e-15, abs=0)
            expected = -1 / (1 + np.exp(exact)) if y else 1 / (1 + np.exp(-exact))
            assert float(dz[0, 0]) == pytest.approx(
                float(expected), rel=4 * float(np.finfo(dtype).eps), abs=0
            )
