"""Array functions of ``skbn.kernels.linear``."""

import numpy as np
import pytest
from differences import gradient
from hypothesis import given
from hypothesis import strategies as st
from strategies import arrays, drawn, each_precision, lengths
from twins import assert_equals_twin

from skbn.kernels import linear


def layer(data, precision):
    """Sizes of a layer, a batch and weights."""
    n, n_in, n_out = (data.draw(lengths(smallest=1, largest=9)) for _ in range(3))
    x = data.draw(arrays((n, n_in), precision.dtype))
    weights = data.draw(arrays((n_in, n_out), precision.dtype))
    return (n, n_in, n_out), x, weights


@each_precision
@pytest.mark.parametrize("biased", [False, True])
@drawn
@given(st.data())
def test_forward_equals_its_twin(precision, biased, data):
    (_, n_in, n_out), x, weights = layer(data, precision)
    bias = data.draw(arrays((n_out,), precision.dtype)) if biased else None
    assert_equals_twin(linear.forward, [precision], x, weights, bias, scale=n_in)


@each_precision
@drawn
@given(st.data())
def test_backward_equals_its_twin(precision, data):
    (n, _, n_out), x, weights = layer(data, precision)
    dy = data.draw(arrays((n, n_out), precision.dtype))
    assert_equals_twin(linear.backward, [precision] * 3, dy, x, weights, scale=n + n_out)


def test_gradient():
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((6, 4)), rng.standard_normal((4, 3))
    bias, dy = rng.standard_normal(3), rng.standard_normal((6, 3))
    dx, dweights, dbias = linear.backward(dy, x, weights)

    def loss(x, weights, bias):
        return np.sum(dy * linear.forward(x, weights, bias))

    np.testing.assert_allclose(dx, gradient(lambda v: loss(v, weights, bias), x), rtol=1e-9)
    np.testing.assert_allclose(dweights, gradient(lambda v: loss(x, v, bias), weights), rtol=1e-9)
    np.testing.assert_allclose(dbias, gradient(lambda v: loss(x, weights, v), bias), rtol=1e-9)


@pytest.mark.parametrize(
    ("x", "weights", "bias", "message"),
    [
        (np.ones((3, 2)), np.ones((3, 2)), None, "x must have shape"),
        (np.ones(3), np.ones((3, 2)), None, "x must have shape"),
        (np.ones((0, 2)), np.ones((2, 2)), None, "empty operands"),
        (np.ones((3, 2)), np.ones((2, 4)), np.ones(3), "bias must have shape"),
        (np.ones((3, 2), int), np.ones((2, 4)), None, "x must be float32 or float64"),
        (np.ones((3, 2)), np.ones((2, 4), np.float32), None, "mismatch"),
    ],
)
def test_bad_operands_are_refused(x, weights, bias, message):
    with pytest.raises(ValueError, match=message):
        linear.forward(x, weights, bias)


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="dy must have shape"):
        linear.backward(np.ones((3, 5)), np.ones((3, 2)), np.ones((2, 4)))
