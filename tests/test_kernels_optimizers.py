"""Doors of ``skbn.kernels.optimizers``: several steps in place, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import CONTIGUOUS, arrays, drawn, each_precision, lengths
from twins import assert_equals_twin, untouched

from skbn.kernels import optimizers

STEPS = 3
sizes = lengths(smallest=0, largest=40)
rates = st.sampled_from([0.0, 1e-3, 0.5])


def assert_steps_equal_twin(data, precision, door, size, states, arguments, **options):
    """Several steps from zero moments, each compared with the twin's from the same state."""
    parameters = data.draw(arrays((size,), precision.dtype, orders=["C"]))
    moments = [np.zeros(size, precision.dtype) for _ in range(states)]
    for step in range(1, STEPS + 1):
        gradient = data.draw(arrays((size,), precision.dtype, orders=CONTIGUOUS))
        assert_equals_twin(
            door,
            [precision] * (1 + states),
            *(parameters, *moments, gradient, *arguments(step)),
            changed=1 + states,
            **options,
        )


@each_precision
@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("nesterov", [False, True])
@drawn
@given(st.data(), sizes, rates)
def test_sgd_equals_its_twin(precision, momentum, nesterov, data, size, rate):
    assert_steps_equal_twin(
        data, precision, optimizers.sgd, size, 1, lambda _: (rate, momentum, nesterov)
    )


each_decay = pytest.mark.parametrize(
    "options",
    [{}, {"beta_1": 0.0, "beta_2": 0.9, "epsilon": 1e-3}],
    ids=["defaults", "others"],
)


@each_precision
@each_decay
@drawn
@given(st.data(), sizes, rates)
def test_adam_equals_its_twin(precision, options, data, size, rate):
    assert_steps_equal_twin(
        data, precision, optimizers.adam, size, 2, lambda step: (rate, step), **options
    )


@each_precision
@each_decay
@drawn
@given(st.data(), sizes, rates)
def test_adamw_equals_its_twin(precision, options, data, size, rate):
    n_weights = data.draw(st.integers(0, size))
    assert_steps_equal_twin(
        data,
        precision,
        optimizers.adamw,
        size,
        2,
        lambda step: (rate, step, 0.1, n_weights),
        **options,
    )


@each_precision
@pytest.mark.parametrize(
    "options",
    [{}, {"decay": 0.0, "momentum": 0.9, "epsilon": 1e-3}, {"decay": 0.9, "momentum": 1.0}],
    ids=["defaults", "others", "undamped"],
)
@drawn
@given(st.data(), sizes, rates)
def test_rmsprop_equals_its_twin(precision, options, data, size, rate):
    assert_steps_equal_twin(
        data, precision, optimizers.rmsprop, size, 2, lambda _: (rate,), **options
    )


def vectors(dtype, count, size=5):
    rng = np.random.default_rng(0)
    return [rng.uniform(0.5, 1.5, size=size).astype(dtype) for _ in range(count)]


@each_precision
@pytest.mark.parametrize("step", [1, 2, 63, 1000, 10**6, 2**40])
def test_the_bias_correction_holds_at_any_step(precision, step):
    assert_equals_twin(
        optimizers.adam,
        [precision] * 3,
        *(*vectors(precision.dtype, 4), 0.1, step),
        changed=3,
    )


@each_precision
def test_the_first_step_of_adam_is_the_learning_rate(precision):
    gradient = np.array([1e-3, -20.0, 5.0], precision.dtype)
    parameters, first, second = np.zeros((3, 3), precision.dtype)
    optimizers.adam(parameters, first, second, gradient, 0.01, 1, epsilon=0.0)
    precision.assert_close(parameters, [-0.01, 0.01, -0.01])


@each_precision
def test_steps_of_rmsprop_are_the_learning_rate_whatever_the_gradient(precision):
    gradient = np.array([1e-3, -20.0, 5.0], precision.dtype)
    parameters, velocity, square_average = np.zeros((3, 3), precision.dtype)
    # Without a correction of the bias the first steps are longer.
    optimizers.rmsprop(parameters, velocity, square_average, gradient, 0.01, 0.75, epsilon=0.0)
    precision.assert_close(parameters, [-0.02, 0.02, -0.02])
    square_average[:] = gradient**2
    parameters[:] = 0.0
    optimizers.rmsprop(parameters, velocity, square_average, gradient, 0.01, 0.75, epsilon=0.0)
    precision.assert_close(parameters, [-0.01, 0.01, -0.01])


@each_precision
def test_decay_shrinks_the_weights_alone(precision):
    *start, gradient = vectors(precision.dtype, 4)
    plain = [array.copy() for array in start]
    optimizers.adam(*plain, gradient, 0.1, 1)
    decayed = [array.copy() for array in start]
    optimizers.adamw(*decayed, gradient, 0.1, 1, 0.5, 3)
    precision.assert_close(plain[0] - decayed[0], [*(0.05 * start[0][:3]), 0.0, 0.0])
    np.testing.assert_array_equal(decayed[0][3:], plain[0][3:])
    np.testing.assert_array_equal(decayed[1:], plain[1:])


@each_precision
def test_no_decay_is_adam(precision):
    *start, gradient = vectors(precision.dtype, 4)
    for weight_decay, n_weights in ((0.0, 5), (0.5, 0)):
        plain, decayed = ([array.copy() for array in start] for _ in range(2))
        optimizers.adam(*plain, gradient, 0.1, 3)
        optimizers.adamw(*decayed, gradient, 0.1, 3, weight_decay, n_weights)
        np.testing.assert_array_equal(decayed, plain)


@each_precision
@pytest.mark.parametrize("max_norm", [0.1, 2.0, 1e3])
@drawn
@given(st.data(), sizes)
def test_clip_equals_its_twin(precision, max_norm, data, size):
    gradient = data.draw(arrays((size,), precision.dtype, orders=["C"]))
    assert_equals_twin(optimizers.clip, [precision] * 2, gradient, max_norm, changed=1)


@each_precision
def test_a_clipped_gradient_has_the_norm_and_the_direction(precision):
    (gradient,) = vectors(precision.dtype, 1)
    before = gradient.copy()
    norm = optimizers.clip(gradient, 0.5)
    precision.assert_close(norm, np.linalg.norm(before))
    precision.assert_close(np.linalg.norm(gradient), 0.5)
    precision.assert_close(gradient / before, gradient[0] / before[0])


@each_precision
def test_a_gradient_no_longer_than_the_norm_stays_to_the_bit(precision):
    gradient = np.array([3.0, -4.0, 0.0], precision.dtype)
    for max_norm in (5.0, 5.1, np.inf):
        assert optimizers.clip(gradient, max_norm) == 5.0
        np.testing.assert_array_equal(gradient, [3.0, -4.0, 0.0])
    zeros = np.zeros(3, precision.dtype)
    assert optimizers.clip(zeros, 1e-30) == 0.0
    np.testing.assert_array_equal(zeros, 0.0)


@each_precision
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_is_not_clipped(precision, value):
    gradient = np.array([1e3, value, -1e3], precision.dtype)
    before = gradient.copy()
    assert not np.isfinite(optimizers.clip(gradient, 1.0))
    np.testing.assert_array_equal(gradient, before)


def test_the_norm_of_a_float32_gradient_does_not_overflow():
    gradient = np.array([3e30, 4e30], np.float32)
    assert optimizers.clip(gradient, 5.0) == pytest.approx(5e30)
    np.testing.assert_allclose(gradient, [3.0, 4.0], rtol=1e-6)


@pytest.mark.parametrize("max_norm", [0.0, -1.0, np.nan])
def test_a_norm_that_is_not_positive_is_refused(max_norm):
    assert_refused(optimizers.clip, vectors(np.float64, 1), (max_norm,), "must be positive")


def test_clip_refuses_what_it_cannot_change_in_place():
    read_only = np.ones(4)
    read_only.flags.writeable = False
    for bad, message in ((read_only, "read-only"), (np.ones(4)[::2], "not C-contiguous")):
        assert_refused(optimizers.clip, [bad], (1.0,), message)


def test_a_nan_gradient_reaches_its_parameter_alone():
    for door, states, rest in (
        (optimizers.sgd, 1, (0.1, 0.9, True)),
        (optimizers.adam, 2, (0.1, 1)),
        (optimizers.adamw, 2, (0.1, 1, 0.1, 5)),
        (optimizers.rmsprop, 2, (0.1, 0.99, 0.9)),
    ):
        *changed, gradient = vectors(np.float64, 2 + states)
        gradient[2] = np.nan
        door(*changed, gradient, *rest)
        for array in changed:
            np.testing.assert_array_equal(np.isnan(array), np.isnan(gradient))


DOORS = [
    pytest.param(optimizers.sgd, 3, (0.1,), id="sgd"),
    pytest.param(optimizers.adam, 4, (0.1, 1), id="adam"),
    pytest.param(optimizers.adamw, 4, (0.1, 1, 0.1, 2), id="adamw"),
    pytest.param(optimizers.rmsprop, 4, (0.1,), id="rmsprop"),
]


def assert_refused(door, arguments, rest, message):
    """Refused, and nothing done by half."""
    with pytest.raises(ValueError, match=message):
        untouched(door, *arguments, *rest)


@each_precision
@pytest.mark.parametrize(("door", "arity", "rest"), DOORS)
def test_vectors_of_other_sizes_dtypes_and_strides_are_refused(precision, door, arity, rest):
    other = np.float32 if precision.dtype is np.float64 else np.float64
    for position in range(arity):
        for bad, message in (
            (np.ones(4, precision.dtype), "must have one size"),
            (np.ones(0, precision.dtype), "must have one size"),
            (np.ones(5, other), "dtype mismatch"),
            (np.ones(10, precision.dtype)[::2], "not C-contiguous"),
        ):
            arguments = vectors(precision.dtype, arity)
            arguments[position] = bad
            before = [array.copy() for array in arguments]
            assert_refused(door, arguments, rest, message)
            for array, copy in zip(arguments, before, strict=True):
                np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(("door", "arity", "rest"), DOORS)
def test_read_only_results_are_refused_and_a_read_only_gradient_is_not(door, arity, rest):
    for position in range(arity):
        arguments = vectors(np.float64, arity)
        arguments[position].flags.writeable = False
        if position == arity - 1:
            untouched(door, *arguments, *rest, changed=arity - 1)
        else:
            assert_refused(door, arguments, rest, "read-only")


@pytest.mark.parametrize("step", [0, -1])
def test_a_step_below_1_is_refused(step):
    arguments = vectors(np.float64, 4)
    assert_refused(optimizers.adam, arguments, (0.1, step), f"step counts from 1, got {step}")
    assert_refused(optimizers.adamw, arguments, (0.1, step, 0.1, 2), "step counts from 1")


@pytest.mark.parametrize("n_weights", [-1, 6])
def test_more_weights_than_parameters_are_refused(n_weights):
    arguments, rest = vectors(np.float64, 4), (0.1, 1, 0.1, n_weights)
    assert_refused(optimizers.adamw, arguments, rest, f"in 0 to 5, got {n_weights}")
