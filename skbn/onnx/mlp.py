"""Converters of the perceptrons."""

from skbn.onnx import inputs, outputs
from skbn.onnx.graph import Graph
from skbn.onnx.layers import raw_outputs


def checked(model):
    """A ``_look()`` at a fitted network, and its network.

    Raises
    ------
    NotFittedError
        If nothing was fitted before.
    ValueError
        If the fitted state is damaged.
    """
    fitted = model._look()
    fitted._check_state(numbers=True)
    return fitted, fitted._fitted_network()


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
    fitted, _ = checked(operator.raw_operator)
    dtype = inputs.checked_dtype(operator)
    inputs.check_columns(operator, fitted)
    outputs.set_types(operator, fitted, dtype)


def convert(scope, operator, container):
    """Add the nodes of a perceptron to a graph.

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
    fitted, network = checked(operator.raw_operator)
    graph = Graph(scope, container, inputs.checked_dtype(operator))
    z = raw_outputs(graph, network, inputs.network_inputs(graph, operator, fitted))
    if hasattr(fitted, "predict_proba"):
        outputs.add_classes(graph, operator, fitted._targets, z)
    else:
        graph.output(outputs.predictions(graph, fitted._targets, z), operator.outputs[0])
