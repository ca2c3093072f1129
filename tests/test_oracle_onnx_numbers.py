"""Numbers at which the formulas of a graph change: the graph follows the network in float64."""

import numpy as np
import pytest

from skbn import MLPWithBatchNormRegressor

graphs = pytest.importorskip("onnx_graphs")

DOUBLE = {"dtype": "float64", "periodic_embedding": None, "n_epochs": 3, "random_state": 0}


def assert_alike(model, X):
    (found,) = graphs.run(graphs.converted(model, X), X)
    np.testing.assert_allclose(found[:, 0], model.predict(X), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["robust", "smooth_clip"])
def test_the_smooth_clip_of_rows_far_away(kind):
    X = np.random.default_rng(0).standard_normal((200, 2))
    model = MLPWithBatchNormRegressor(normalize_input=kind, **DOUBLE).fit(X, X[:, 0])
    far = np.outer(np.concatenate([-(10.0 ** np.arange(9)), 10.0 ** np.arange(9)]), [1.0, 1.0])
    # The clip still moves at 5,000 spreads, as far as float64 shows it.
    assert len(np.unique(model.predict(np.outer([3e3, 5e3, 1e4], [1.0, 1.0])))) == 3
    assert_alike(model, far)
    assert_alike(model, np.outer([3e3, 5e3, 1e4], [1.0, 1.0]))


def test_mish_of_large_numbers():
    X = np.linspace(-25.0, 25.0, 201)[:, np.newaxis]
    model = MLPWithBatchNormRegressor(
        hidden_layer_sizes=(1,), activation="mish", batch_norm=None, normalize_input=None,
        normalize_target=False, trained_input_scale=False, early_stopping=False, **DOUBLE,
    ).fit(X, X[:, 0])  # fmt: skip
    model.coefs_[0][:], model.intercepts_[0][:] = 1.0, 0.0
    model.coefs_[1][:], model.intercepts_[1][:] = 1.0, 0.0
    (found,) = graphs.run(graphs.converted(model, X), X)
    x = X[:, 0]
    np.testing.assert_allclose(found[:, 0], x * np.tanh(np.logaddexp(0.0, x)), rtol=1e-13)
    # The formula matters: x itself is another number.
    assert (found[np.abs(x - 13.0) < 1.0, 0] != x[np.abs(x - 13.0) < 1.0]).all()
