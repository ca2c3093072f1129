"""Models converted by skl2onnx and run by ONNX Runtime, for the tests of ``skbn.onnx``.

A test file skips itself without these libraries before it imports this file.
"""

import numpy as np
import onnx
import onnxruntime
from skl2onnx import __max_supported_opset__ as NEWEST_OPSET
from skl2onnx import to_onnx

from skbn.onnx import register
from skbn.onnx.graph import OPSET

register()

numpy_of = onnx.numpy_helper.to_array
__all__ = ["NEWEST_OPSET", "OPSET"]

# Probabilities, and predictions in units of the standard deviation of the target.
AGREEMENT = 1e-5

DTYPES = [np.float32, np.float64]


def converted(model, X, version=None, **keywords):
    """A checked ONNX model that takes rows like `X`. Probabilities are an array by default.

    With a `version` the operators of the model are read as operators of this version.
    """
    if hasattr(model, "predict_proba"):
        keywords = {"options": {id(model): {"zipmap": False}}} | keywords
    graph = to_onnx(model, X[:1], **keywords)
    if version is not None:
        (operators,) = (one for one in graph.opset_import if one.domain == "")
        operators.version = version
    onnx.checker.check_model(graph, full_check=True)
    return graph


def session(graph):
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def run(graph, X):
    """The outputs of a graph with one input, in a list."""
    runtime = session(graph)
    return runtime.run(None, {runtime.get_inputs()[0].name: X})


def assert_classifies_alike(model, X, atol=AGREEMENT, **keywords):
    """Assert that labels and probabilities equal the outputs of the model, in the dtype of `X`."""
    labels, probabilities = run(converted(model, X, **keywords), X)
    expected = model.predict_proba(X)
    assert probabilities.dtype == X.dtype
    assert probabilities.shape == expected.shape
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=atol)
    np.testing.assert_array_equal(labels, model.predict(X))


def assert_predicts_alike(model, X, y, atol=AGREEMENT, **keywords):
    """Assert that predictions equal the outputs of the model, in the dtype of `X`."""
    (predictions,) = run(converted(model, X, **keywords), X)
    expected = model.predict(X)
    assert predictions.dtype == X.dtype
    assert predictions.shape == (len(X), 1 if expected.ndim == 1 else expected.shape[1])
    scale = np.maximum(np.std(y, axis=0), np.finfo(X.dtype).tiny)
    np.testing.assert_allclose(
        predictions / scale, expected.reshape(predictions.shape) / scale, rtol=0, atol=atol
    )
