"""The hidden layers of a fitted perceptron, against their formulas in NumPy and float64."""

import doctest
import pickle
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_array, csc_matrix, csr_array
from scipy.special import expit, ndtr
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from skbn import (
    MLPEnsembleWithBatchNormClassifier,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
)
from skbn.estimators import mlp as of_perceptrons
from skbn.estimators.hidden_layers import inputs_of_activations
from skbn.network import views

ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0.0),
    "silu": lambda z: z * expit(z),
    "gelu": lambda z: z * ndtr(z),
    "mish": lambda z: z * np.tanh(np.logaddexp(0.0, z)),
    "leaky_relu": lambda z: np.where(z > 0.0, z, 0.01 * z),
}
TOLERANCE = {"float32": 2e-5, "float64": 1e-11}


def data(n=240):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 5)) * [1.0, 4.0, 0.2, 1.0, 1.0] + [0.0, 3.0, 0.0, 0.0, 1.0]
    X[:, 3] = X[:, 3] > 0.0
    X[::17, 1] = 60.0
    score = X[:, 0] + 0.3 * X[:, 1] + X[:, 3]
    return X, np.digitize(score, np.quantile(score, [0.3, 0.6]))


def fitted(cls=MLPWithBatchNormClassifier, X=None, **parameters):
    default, y = data()
    X = default if X is None else X
    parameters = {
        "hidden_layer_sizes": (9, 7, 5),
        "n_epochs": 3,
        "learning_rate_init": 0.05,
        "random_state": 0,
    } | parameters
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cls(**parameters).fit(X, y)


def inputs(mlp, X):
    """What the first linear map reads, in float64."""
    if hasattr(mlp, "input_center_"):
        spread = mlp.input_spread_
        X = np.where(spread > 0.0, (X - mlp.input_center_) / np.where(spread > 0, spread, 1.0), 0.0)
    elif hasattr(mlp, "input_mean_"):
        X = (X - mlp.input_mean_) / np.sqrt(mlp.input_var_)
    if mlp.normalize_input in ("robust", "smooth_clip", "auto"):
        X = X / np.sqrt(1.0 + (X / 3.0) ** 2)
    embedded = list(mlp.embedded_columns_)
    if not embedded:
        return X
    values = np.concatenate(views.embeddings(mlp._plan, mlp._parameters)).astype(float)
    columns = []
    for column in range(X.shape[1]):
        x = X[:, column, np.newaxis]
        if column in embedded:
            w, b, W, c = np.split(values[embedded.index(column)], [16, 32, 80])
            x = np.hstack([np.cos(x * w + b) @ W.reshape(16, 3) + c, x])
        columns.append(x)
    return np.hstack(columns)


def layers(mlp, X):
    """Inputs of the activation and outputs of each hidden layer, in float64."""
    h = inputs(mlp, np.asarray(X, dtype=float))
    found = []
    for layer, (W, b) in enumerate(zip(mlp.coefs_[:-1], mlp.intercepts_[:-1], strict=True)):
        if layer == 0:
            h = h * mlp.input_scale_.astype(float)

        def normalized(z, layer=layer):
            centered = z - mlp.running_means_[layer]
            z = centered / np.sqrt(mlp.running_vars_[layer] + mlp.bn_epsilon)
            return z * mlp.gammas_[layer].astype(float) + mlp.betas_[layer]

        z = h @ W.astype(float) + b
        if mlp.batch_norm == "before":
            z = normalized(z)
        h = ACTIVATIONS[mlp.activation](z)
        if mlp.batch_norm == "after":
            h = normalized(h)
        found.append((z, h))
    return found


def check(mlp, X, given=None):
    given = X if given is None else given
    tolerance = TOLERANCE[str(mlp.coefs_[0].dtype)]
    expected = layers(mlp, X)
    pre = list(inputs_of_activations(mlp._look(), given))
    assert len(pre) == len(expected) == 3
    for layer, (z, h) in enumerate(expected):
        # Beyond rounding, layers differ from each other.
        assert np.ptp(h) > 1e-3
        got = mlp.hidden_activations(given, layer)
        assert type(got) is np.ndarray
        assert got.dtype == pre[layer].dtype == mlp.coefs_[0].dtype
        np.testing.assert_allclose(got, h, rtol=tolerance, atol=10 * tolerance)
        np.testing.assert_allclose(pre[layer], z, rtol=tolerance, atol=10 * tolerance)
        np.testing.assert_array_equal(got, mlp.hidden_activations(given, layer - 3))
    last = mlp.hidden_activations(given)
    np.testing.assert_array_equal(last, mlp.hidden_activations(given, 2))
    raw, _ = mlp._look()._raw_outputs(given)
    outputs = last.astype(float) @ mlp.coefs_[-1].astype(float) + mlp.intercepts_[-1]
    np.testing.assert_allclose(outputs, raw, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_the_formulas(activation, batch_norm, dtype):
    mlp = fitted(activation=activation, batch_norm=batch_norm, dtype=dtype)
    assert len(mlp.embedded_columns_) > 0
    assert np.ptp(mlp.input_scale_) > 0.0
    check(mlp, data()[0])


@pytest.mark.parametrize("kind", [None, "standard", "smooth_clip", "robust"])
@pytest.mark.parametrize("cls", [MLPWithBatchNormClassifier, MLPWithBatchNormRegressor])
def test_inputs_and_dropout(cls, kind):
    mlp = fitted(cls, normalize_input=kind, dropout=0.4, trained_input_scale=False)
    check(mlp, data()[0])
    check(fitted(cls, normalize_input=kind, periodic_embedding=None), data()[0])


@pytest.mark.parametrize("container", [csr_array, csc_matrix, coo_array])
@pytest.mark.parametrize("kind", [None, "smooth_clip"])
@pytest.mark.parametrize("embedding", [None, 1.0])
def test_sparse(container, kind, embedding):
    X = data()[0]
    # Fitted on a dense table the network has embeddings, which make a sparse table dense.
    of = X if embedding else csr_array(X)
    mlp = fitted(X=of, normalize_input=kind, periodic_embedding=embedding, batch_norm="after")
    assert bool(len(mlp.embedded_columns_)) == bool(embedding)
    check(mlp, X, container(X))


def test_probabilities_follow_from_the_last_layer():
    X, _ = data()
    mlp = fitted(calibrate=False)
    z = mlp.hidden_activations(X) @ mlp.coefs_[-1] + mlp.intercepts_[-1]
    z = np.exp(z - z.max(axis=1, keepdims=True))
    np.testing.assert_allclose(mlp.predict_proba(X), z / z.sum(axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("n", [1, 15, 4097, 12_000])
def test_any_number_of_rows(n):
    X = data(n)[0]
    mlp = fitted()
    got = mlp.hidden_activations(X, 1)
    np.testing.assert_allclose(got, layers(mlp, X)[1][1], rtol=2e-5, atol=2e-4)


def test_memory_of_many_rows():
    X = np.zeros((60_000, 5), np.float32)
    mlp = fitted()
    mlp.hidden_activations(X[:10])
    tracemalloc.start()
    got = mlp.hidden_activations(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The result, twice that for the check that it is finite, and the work memory of one block.
    assert peak < 2.5 * got.nbytes + 4e6


def test_data_frames():
    X, _ = data()
    frame = pd.DataFrame(X, columns=list("abcde"))
    mlp = fitted(X=frame)
    check(mlp, X, frame)
    with pytest.raises(ValueError, match="feature names"):
        mlp.hidden_activations(frame[list("abced")])
    with pytest.warns(UserWarning, match="feature names"):
        mlp.hidden_activations(X)


def test_what_does_not_fit():
    X, _ = data()
    mlp = fitted()
    with pytest.raises(NotFittedError):
        MLPWithBatchNormClassifier().hidden_activations(X)
    with pytest.raises(ValueError, match="4 features"):
        mlp.hidden_activations(X[:, :4])
    with pytest.raises(ValueError, match="NaN"):
        mlp.hidden_activations(np.where(X > 2.0, np.nan, X))
    with pytest.raises(ValueError, match="masked"):
        mlp.hidden_activations(np.ma.masked_greater(X, 2.0))
    for layer in (3, -4):
        with pytest.raises(IndexError, match=rf"layer={layer} is not there.* 3 hidden layers"):
            mlp.hidden_activations(X, layer)
    for layer in (1.0, "1", None):
        with pytest.raises(TypeError, match="layer must be an instance of int"):
            mlp.hidden_activations(X, layer)
    with pytest.raises(IndexError, match=r"1 hidden layer \(0 to 0"):
        fitted(hidden_layer_sizes=(4,)).hidden_activations(X, 1)
    with pytest.raises(IndexError, match="no hidden layer"):
        fitted(hidden_layer_sizes=()).hidden_activations(X)
    np.testing.assert_array_equal(
        mlp.hidden_activations(X, np.int64(1)), mlp.hidden_activations(X, 1)
    )


def test_numbers_too_large():
    X, _ = data()
    mlp = fitted(normalize_input=None, periodic_embedding=None, activation="relu")
    with pytest.raises(ValueError, match="too large"):
        mlp.hidden_activations(np.full_like(X, 1e300))


def test_other_estimators_do_not_offer_it():
    for cls in (MLPEnsembleWithBatchNormClassifier, RNNWithBatchNormClassifier):
        assert not hasattr(cls, "hidden_activations")


def test_the_model_is_not_changed():
    X, _ = data()
    mlp = fitted()
    before = pickle.dumps(mlp)
    mlp.hidden_activations(X, 0)[:] = 0.0
    assert pickle.dumps(mlp) == before
    again = pickle.loads(before).hidden_activations(X)
    np.testing.assert_array_equal(again, mlp.hidden_activations(X))


def test_features_for_another_model():
    X, y = data()
    mlp = fitted(n_epochs=30)
    score = LogisticRegression(max_iter=1000).fit(mlp.hidden_activations(X), y).score
    assert score(mlp.hidden_activations(X), y) > 0.9


def test_a_network_of_another_solver():
    check(fitted(solver="lbfgs", weight_decay=0.0, max_iter=5), data()[0])


def test_the_example():
    result = doctest.testmod(of_perceptrons)
    assert (result.failed, result.attempted) == (0, 6)
