"""Array functions of ``skbn.kernels.input_scale``."""

import numpy as np
import pytest
from differences import gradient
from hypothesis import given
from hypothesis import strategies as st
from strategies import arrays, drawn, each_precision, lengths
from twins import assert_equals_twin

from skbn.kernels import input_scale


def linear_map(data, precision):
    # Wide enough for sums that are added up side by side, and for a rest.
    n_in, n_out = data.draw(lengths(smallest=1, largest=5)), data.draw(lengths(1, 40))
    weights = data.draw(arrays((n_in, n_out), precision.dtype))
    return (n_in, n_out), weights, data.draw(arrays((n_in,), precision.dtype))


@each_precision
@drawn
@given(st.data())
def test_forward_equals_its_twin(precision, data):
    _, weights, scale = linear_map(data, precision)
    assert_equals_twin(input_scale.forward, [precision], weights, scale)


@each_precision
@drawn
@given(st.data())
def test_backward_equals_its_twin(precision, data):
    (n_in, n_out), weights, scale = linear_map(data, precision)
    dscaled = data.draw(arrays((n_in, n_out), precision.dtype))
    assert_equals_twin(input_scale.backward, [precision] * 2, dscaled, weights, scale, scale=n_out)


def test_gradient():
    rng = np.random.default_rng(0)
    weights, dscaled = rng.standard_normal((2, 3, 21))
    scale = rng.standard_normal(3)
    dweights, dscale = input_scale.backward(dscaled, weights, scale)

    def loss(weights, scale):
        return np.sum(dscaled * input_scale.forward(weights, scale))

    np.testing.assert_allclose(dweights, gradient(lambda v: loss(v, scale), weights), rtol=1e-8)
    np.testing.assert_allclose(dscale, gradient(lambda v: loss(weights, v), scale), rtol=1e-8)


@pytest.mark.parametrize(
    ("weights", "scale", "message"),
    [
        (np.ones((3, 2)), np.ones(2), "weights must have shape"),
        (np.ones(3), np.ones(3), "weights must have shape"),
        (np.ones((0, 2)), np.ones(0), "weights must have shape"),
        (np.ones((3, 2), int), np.ones(3), "weights must be float32 or float64"),
    ],
)
def test_bad_operands_are_refused(weights, scale, message):
    with pytest.raises(ValueError, match=message):
        input_scale.forward(weights, scale)


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="dscaled must have shape"):
        input_scale.backward(np.ones((3, 1)), np.ones((3, 2)), np.ones(3))
