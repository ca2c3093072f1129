"""A target that is the same in all rows is predicted exactly."""

import warnings

import numpy as np
import pytest
from parameters import EXPRESSIBLE
from sklearn.exceptions import ConvergenceWarning

from skbn import MLPWithBatchNormRegressor, RNNWithBatchNormRegressor

LOSSES = ["squared_error", "absolute_error", "poisson"]
VALUES = [0.0, 0.1, 1e-6, 1 / 3, 12345.678, 1e9, 1e-170]
each_class = pytest.mark.parametrize("cls", [MLPWithBatchNormRegressor, RNNWithBatchNormRegressor])


def rows_for(cls, n=40):
    return np.random.default_rng(0).standard_normal((n, 3, 2) if "RNN" in cls.__name__ else (n, 3))


def small(cls, **parameters):
    return cls(**{"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0} | parameters)


@each_class
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("weighted", [False, True])
def test_to_the_bit(cls, loss, value, weighted):
    X, y = rows_for(cls), np.full(40, value)
    weight = np.random.default_rng(1).uniform(0.1, 3.0, 40) if weighted else None
    model = small(cls, loss=loss).fit(X, y, weight)
    np.testing.assert_array_equal(model.predict(X), y)
    np.testing.assert_array_equal(model.predict(100.0 * X), y)
    assert np.isfinite(model.loss_curve_).all()


@each_class
@pytest.mark.parametrize("loss", LOSSES)
def test_one_output_among_several(cls, loss):
    X = rows_for(cls, 200)
    y = np.c_[np.exp(X.reshape(200, -1)[:, 0]), np.full(200, 0.3), np.zeros(200)]
    model = small(cls, loss=loss, max_iter=25).fit(X, y)
    prediction = model.predict(X)
    np.testing.assert_array_equal(prediction[:, 1:], y[:, 1:])
    assert np.corrcoef(prediction[:, 0], y[:, 0])[0, 1] > 0.5


@each_class
@pytest.mark.parametrize("value", [-0.3, 0.3])
def test_what_varies_a_little_is_not_constant(cls, value):
    # 1e-10 of the value, and some roundings of it.
    X = rows_for(cls, 400)
    signal = X.reshape(400, -1)[:, 0]
    for spread in (1e-10, 100 * np.finfo(float).eps):
        y = value * (1.0 + spread * np.sign(signal))
        prediction = small(cls, max_iter=25, learning_rate_init=0.03).fit(X, y).predict(X)
        deviation = (prediction - value) / (value * spread)
        assert np.corrcoef(deviation, np.sign(signal))[0, 1] > 0.7


@each_class
@pytest.mark.parametrize("loss", LOSSES)
def test_a_stream_that_begins_with_one_value(cls, loss):
    X = rows_for(cls, 60)
    y = np.exp(X.reshape(60, -1)[:, 0])
    model = small(cls, loss=loss)
    for _ in range(3):
        model.partial_fit(X[:20], np.full(20, 0.25))
        np.testing.assert_array_equal(model.predict(X), np.full(60, 0.25))
    # The moments change, the predictions up to then do not.
    moved = small(cls, loss=loss, learning_rate_init=1e-300, weight_decay=0.0)
    moved.partial_fit(X[:20], np.full(20, 0.25)).partial_fit(X, y)
    np.testing.assert_allclose(moved.predict(X), 0.25, rtol=1e-5)
    for _ in range(200):
        model.partial_fit(X, y)
    assert np.corrcoef(model.predict(X), y)[0, 1] > 0.5


@each_class
def test_counts_that_begin_with_zeros(cls):
    X = rows_for(cls, 60)
    model = small(cls, loss="poisson").partial_fit(X, np.zeros(60))
    np.testing.assert_array_equal(model.predict(X), np.zeros(60))
    model.partial_fit(X, np.arange(60) % 7)
    assert np.isfinite(model.predict(X)).all()
    assert (model.predict(X) > 0).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_in_scikit_learn_too(loss):
    X = rows_for(MLPWithBatchNormRegressor)
    options = EXPRESSIBLE | {"loss": loss}
    for value in (0.0, 0.1):
        model = small(MLPWithBatchNormRegressor, **options).fit(X, np.full(40, value))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            plain = model.to_sklearn()
        np.testing.assert_allclose(plain.predict(X), value, rtol=1e-15)
