"""Converters of the ensembles."""

import numpy as np

from skbn.onnx import inputs, outputs
from skbn.onnx.graph import Graph
from skbn.onnx.layers import raw_outputs
from skbn.onnx.mlp import checked as checked_member


def checked(model):
    """A ``_look()`` at a fitted ensemble.

    Raises
    ------
    NotFittedError
        If nothing was fitted before.
    ValueError
        If the fitted state is damaged.
    """
    fitted = model._look()
    fitted._check_state()
    return fitted


def shapes(operator):
    """Check the inputs, and set the types of the outputs.

    Raises
    ------
    NotFittedError
        If nothing was fitted before.
    TypeError
        If an input holds no numbers.
    ValueError
        If the fitted state is damaged, if the inputs have other dimensions, columns or names of
        columns than the rows that were fitted, or if ONNX cannot hold a label.
    """
    fitted = checked(operator.raw_operator)
    dtype = inputs.checked_dtype(operator)
    inputs.check_columns(operator, fitted)
    outputs.set_types(operator, fitted, dtype)


def convert(scope, operator, container):
    """Add the nodes of all members to a graph, and their mean.

    Raises
    ------
    NotFittedError
        If nothing was fitted before.
    ValueError
        If the fitted state is damaged, if a number of the model is too large for the dtype of the
        graph, or if the user asks for operators older than ``skbn.onnx.graph.OPSET``.
    NotImplementedError
        If skbn.onnx does not know an operation or an activation.
    """
    fitted = checked(operator.raw_operator)
    graph = Graph(scope, container, inputs.checked_dtype(operator))
    is_classifier = hasattr(fitted, "predict_proba")
    values = []
    for member in fitted.estimators_:
        member, network = checked_member(member)
        z = raw_outputs(graph, network, inputs.network_inputs(graph, operator, member))
        if not is_classifier:
            # The prediction of each member is clipped to the range of the training targets.
            least, most = fitted._target_range
            z = outputs.predictions(graph, member._targets, z)
            z = graph.node("Min", graph.node("Max", z, least), most)
        values.append(z)
    mean = values[0]
    if len(values) > 1:
        mean = graph.node("Div", graph.node("Sum", *values), np.array(float(len(values))))
    if is_classifier:
        outputs.add_classes(graph, operator, fitted._targets, mean)
    else:
        graph.output(mean, operator.outputs[0])
