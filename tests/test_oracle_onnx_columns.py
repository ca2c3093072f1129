"""The columns of an ONNX graph: their number, their order and their names."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from skbn import (
    BatchNormTransformer,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    RNNWithBatchNormClassifier,
)

graphs = pytest.importorskip("onnx_graphs")
types = pytest.importorskip("skl2onnx.common.data_types")
state = pytest.importorskip("onnxruntime.capi.onnxruntime_pybind11_state")

IRIS, SPECIES = load_iris(return_X_y=True)
IRIS = IRIS.astype(np.float32)
SMALL = {"hidden_layer_sizes": (5,), "n_epochs": 2, "random_state": 0}
MODELS = {
    "perceptron": lambda X: MLPWithBatchNormClassifier(**SMALL).fit(X, SPECIES),
    "ensemble": lambda X: MLPEnsembleWithBatchNormRegressor(random_state=0).fit(X, SPECIES),
    "transformer": lambda X: BatchNormTransformer().fit(X),
    "time steps": lambda X: RNNWithBatchNormClassifier(**SMALL).fit(X, SPECIES),
}
each_model = pytest.mark.parametrize("fit", MODELS.values(), ids=MODELS.keys())


def output(model, X):
    names = ("predict_proba", "transform", "predict")
    return next(getattr(model, name) for name in names if hasattr(model, name))(X)


@each_model
@pytest.mark.parametrize("n_wrong", [1, 2, 8])
def test_an_unknown_number_of_columns_is_checked_by_the_graph(fit, n_wrong):
    model = fit(IRIS)
    graph = graphs.converted(
        model, IRIS, initial_types=[("X", types.FloatTensorType([None, None]))]
    )
    expected = output(model, IRIS)
    found = graphs.run(graph, IRIS)[-1]
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-5)
    wrong = np.ones((8, n_wrong), np.float32)
    with pytest.raises((state.InvalidArgument, state.Fail, state.RuntimeException)):
        graphs.run(graph, wrong)


def test_an_unknown_number_of_features_of_sequences_is_checked_by_the_graph():
    X = np.random.default_rng(0).standard_normal((150, 5, 2)).astype(np.float32)
    model = RNNWithBatchNormClassifier(**SMALL).fit(X, SPECIES)
    graph = graphs.converted(
        model, X, initial_types=[("X", types.FloatTensorType([None, None, None]))]
    )
    probabilities = graphs.run(graph, X)[-1]
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)
    with pytest.raises((state.InvalidArgument, state.Fail, state.RuntimeException)):
        graphs.run(graph, X[:, :, :1])


@each_model
def test_columns_of_a_frame_are_compared_with_the_names_that_were_fitted(fit):
    frame = pd.DataFrame(IRIS, columns=["length", "width", "petal length", "petal width"])
    model = fit(frame)
    converted = graphs.converted(model, frame)
    assert len(converted.graph.input) == 4
    reordered = frame[frame.columns[::-1]]
    for other in (reordered, frame.add_prefix("other ")):
        with pytest.raises(ValueError, match="The feature names should match"):
            graphs.converted(model, other)
    # One input has no names of columns, as an array has none.
    graphs.converted(model, IRIS)


@pytest.mark.parametrize("shape", [[None, 4, 2], [None, None, 4], [None]])
@pytest.mark.parametrize("name", ["perceptron", "ensemble"])
def test_inputs_of_other_dimensions(name, shape):
    initial_types = [("X", types.FloatTensorType(shape))]
    with pytest.raises(ValueError, match=rf"'X' has {len(shape)} dimensions, but MLP.* takes 2"):
        graphs.converted(MODELS[name](IRIS), IRIS, initial_types=initial_types)


def test_the_transformer_takes_at_most_three_dimensions():
    model = BatchNormTransformer(time_statistics="shared").fit(IRIS)
    initial_types = [("X", types.FloatTensorType([None, 3, 2, 4]))]
    with pytest.raises(ValueError, match="'X' has 4 dimensions, but BatchNormTransformer takes 3"):
        graphs.converted(model, IRIS, initial_types=initial_types)


def test_features_of_sequences_in_several_inputs():
    X = np.random.default_rng(0).standard_normal((50, 5, 2)).astype(np.float32)
    model = BatchNormTransformer().fit(X)
    initial_types = [(name, types.FloatTensorType([None, 5, 1])) for name in ("first", "second")]
    graph = graphs.converted(model, X, initial_types=initial_types)
    inputs = {"first": X[:, :, :1], "second": X[:, :, 1:]}
    (found,) = graphs.session(graph).run(None, inputs)
    np.testing.assert_allclose(found, model.transform(X), atol=1e-5)
