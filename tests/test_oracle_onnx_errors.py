"""Models and inputs that cannot become an ONNX graph: the error says why."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skbn import (
    BatchNormTransformer,
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
)
from skbn.onnx import layers

graphs = pytest.importorskip("onnx_graphs")
types = pytest.importorskip("skl2onnx.common.data_types")

IRIS, SPECIES = load_iris(return_X_y=True)
SMALL = {"hidden_layer_sizes": (5,), "n_epochs": 2, "random_state": 0}
CLASSIFIER = MLPWithBatchNormClassifier(**SMALL).fit(IRIS, SPECIES)
REGRESSOR = MLPWithBatchNormRegressor(**SMALL).fit(IRIS, SPECIES)
TRANSFORMER = BatchNormTransformer().fit(IRIS)


@pytest.mark.parametrize(
    "cls",
    [
        BatchNormTransformer,
        MLPWithBatchNormClassifier,
        MLPWithBatchNormRegressor,
        MLPEnsembleWithBatchNormClassifier,
        MLPEnsembleWithBatchNormRegressor,
    ],
)
def test_a_model_that_is_not_fitted(cls):
    for keywords in ({}, {"options": None}):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            graphs.converted(cls(), IRIS, **keywords)


def damaged(model, name, value):
    copy = clone(model)
    vars(copy).update(vars(model) | {name: value})
    return copy


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (damaged(CLASSIFIER, "_parameters", CLASSIFIER._parameters * np.nan), "not finite"),
        (damaged(REGRESSOR, "_statistics", -REGRESSOR._statistics), "running_vars_"),
        (damaged(REGRESSOR, "_plan_digest", "0"), "its plan is not the plan"),
        (damaged(TRANSFORMER, "running_mean_", np.zeros(3)), "running_mean_"),
    ],
)
def test_a_damaged_state(model, message):
    with pytest.raises(ValueError, match=message):
        graphs.converted(model, IRIS)


def test_a_damaged_member():
    model = MLPEnsembleWithBatchNormRegressor(MLPWithBatchNormRegressor(**SMALL))
    model.fit(IRIS, SPECIES)
    model.estimators_[1]._parameters = model.estimators_[1]._parameters * np.nan
    with pytest.raises(ValueError, match="weights are not finite"):
        graphs.converted(model, IRIS)


@pytest.mark.parametrize("model", [CLASSIFIER, REGRESSOR, TRANSFORMER])
def test_inputs_that_do_not_fit(model):
    with pytest.raises(ValueError, match=r"3 features, but .* is expecting 4"):
        graphs.converted(model, IRIS[:, 1:])
    strings = [("X", types.StringTensorType([None, 4]))]
    with pytest.raises(TypeError, match="'X' has the type StringTensorType"):
        graphs.converted(model, IRIS, initial_types=strings)


@pytest.mark.parametrize("model", [CLASSIFIER, REGRESSOR, TRANSFORMER])
@pytest.mark.parametrize("name", ["Int16", "UInt16", "UInt32", "UInt64", "Float16"])
def test_types_of_inputs_that_skl2onnx_does_not_convert(model, name):
    initial_types = [("X", getattr(types, f"{name}TensorType")([None, 4]))]
    for keywords in ({}, {"options": None}):
        for alone_or_not in (model, make_pipeline(model)):
            with pytest.raises(TypeError, match=f"'X' has the type {name}.*Use FloatTensorType"):
                graphs.converted(alone_or_not, IRIS, initial_types=initial_types, **keywords)


@pytest.mark.parametrize("keywords", [{}, {"options": None}], ids=["array", "dictionaries"])
@pytest.mark.parametrize("classes", [[0.5, 1.5, 2.5], np.array([0, "one", 2], dtype=object)])
def test_labels_that_onnx_cannot_hold(classes, keywords):
    model = damaged(CLASSIFIER, "classes_", np.array(classes))
    with pytest.raises(ValueError, match="whole numbers or strings"):
        graphs.converted(model, IRIS.astype(np.float32), **keywords)


def test_old_operators():
    with pytest.raises(ValueError, match="target_opset=13 or a larger number, got 12"):
        graphs.converted(CLASSIFIER, IRIS, target_opset=graphs.OPSET - 1)


def test_dictionaries_of_float64():
    with pytest.raises(ValueError, match="zipmap"):
        graphs.converted(CLASSIFIER, IRIS, options=None)


def test_numbers_too_large_for_float32():
    model = BatchNormTransformer().fit(IRIS * 1e100)
    graphs.converted(model, IRIS)
    with pytest.raises(ValueError, match="too large for float32"):
        graphs.converted(model, IRIS.astype(np.float32))


def test_an_operation_that_has_no_converter(monkeypatch):
    monkeypatch.setattr(layers, "BATCH_NORM", -1)
    with pytest.raises(NotImplementedError, match="operation 'batch_norm'"):
        graphs.converted(CLASSIFIER, IRIS)


def test_an_activation_that_has_no_converter(monkeypatch):
    monkeypatch.delitem(layers.ACTIVATED, "silu")
    with pytest.raises(NotImplementedError, match="activation 'silu'"):
        graphs.converted(CLASSIFIER, IRIS)
