"""Perceptrons of regression as ONNX graphs: ONNX Runtime predicts the same, on real data."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_diabetes

from skbn import MLPWithBatchNormRegressor
from skbn.estimators.losses import REGRESSION_LOSSES

graphs = pytest.importorskip("onnx_graphs")

DIABETES, PROGRESSION = load_diabetes(return_X_y=True, scaled=False)


def regressor(**parameters):
    small = {"hidden_layer_sizes": (16, 12), "n_epochs": 6, "random_state": 0}
    return MLPWithBatchNormRegressor(**(small | parameters))


@pytest.mark.parametrize("dtype", graphs.DTYPES)
def test_default_regressor(dtype):
    model = MLPWithBatchNormRegressor(random_state=0).fit(DIABETES, PROGRESSION)
    graphs.assert_predicts_alike(model, DIABETES.astype(dtype), PROGRESSION)


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
@pytest.mark.parametrize("normalize_target", [True, False])
def test_losses(loss, normalize_target):
    y = PROGRESSION if normalize_target else PROGRESSION / 100.0
    model = regressor(loss=loss, normalize_target=normalize_target, n_epochs=20).fit(DIABETES, y)
    assert np.ptp(model.predict(DIABETES)) > 0.3 * y.std()
    for dtype in graphs.DTYPES:
        graphs.assert_predicts_alike(model, DIABETES.astype(dtype), y)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("dtype", graphs.DTYPES)
def test_several_targets_of_which_some_are_constant(loss, dtype):
    y = np.column_stack([PROGRESSION, np.full(len(PROGRESSION), 7.0), PROGRESSION * 1e-3])
    y = np.column_stack([y, np.zeros(len(y))])
    model = regressor(loss=loss).fit(DIABETES, y)
    X = DIABETES.astype(dtype)
    (predictions,) = graphs.run(graphs.converted(model, X), X)
    expected = model.predict(X)
    scale = np.where(y.std(axis=0) > 0.0, y.std(axis=0), 1.0)
    np.testing.assert_allclose(predictions / scale, expected / scale, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(predictions[:, [1, 3]], np.tile([7.0, 0.0], (len(X), 1)))


def test_float64_predictions_keep_their_digits():
    y = PROGRESSION + 1e9
    model = regressor(dtype="float64").fit(DIABETES, y)
    graphs.assert_predicts_alike(model, DIABETES, y)


def test_rows_came_in_portions():
    model = regressor()
    for part in np.array_split(np.arange(len(DIABETES)), 3):
        model.partial_fit(DIABETES[part], PROGRESSION[part])
    graphs.assert_predicts_alike(model, DIABETES, PROGRESSION)


def test_rows_were_sparse():
    model = regressor().fit(csr_array(DIABETES), PROGRESSION)
    graphs.assert_predicts_alike(model, DIABETES.astype(np.float32), PROGRESSION)


@pytest.mark.parametrize("n_rows", [0, 1, 1000])
def test_any_number_of_rows(n_rows):
    model = regressor().fit(DIABETES, PROGRESSION)
    X = np.resize(DIABETES, (n_rows, DIABETES.shape[1]))
    (predictions,) = graphs.run(graphs.converted(model, DIABETES), X)
    assert predictions.shape == (n_rows, 1)


@pytest.mark.parametrize("version", [graphs.OPSET, graphs.NEWEST_OPSET])
def test_versions_of_the_operators(version):
    model = regressor(loss="poisson", activation="mish").fit(DIABETES, PROGRESSION)
    for dtype in graphs.DTYPES:
        X = DIABETES.astype(dtype)
        graphs.assert_predicts_alike(model, X, PROGRESSION, version=version)
