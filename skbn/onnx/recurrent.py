"""Converters of the recurrent networks."""

import numpy as np

from skbn.kernels.cells import CELLS
from skbn.kernels.pooling import POOLINGS
from skbn.network import views
from skbn.network.plan import POOLING, RECURRENT
from skbn.onnx import inputs, outputs
from skbn.onnx.graph import Graph
from skbn.onnx.mlp import checked
from skbn.onnx.recurrent_cells import layers_of, states_of
from skbn.onnx.steps import Steps


def shapes(operator):
    """Check the inputs, and set the types of the outputs.

    Raises
    ------
    NotFittedError
        If nothing was fitted before.
    TypeError
        If an input holds no numbers.
    ValueError
        If the fitted state is damaged, if the inputs have other dimensions or features than the
        sequences that were fitted, if several inputs are given instead of sequences of several
        features, or if ONNX cannot hold a label.
    """
    fitted, _ = checked(operator.raw_operator)
    dtype = inputs.checked_dtype(operator)
    _check_dimensions(operator, fitted)
    inputs.check_columns(operator, fitted, axis=fitted._n_dimensions - 1)
    outputs.set_types(operator, fitted, dtype)


def _check_dimensions(operator, fitted):
    name, n_dimensions = type(operator.raw_operator).__name__, fitted._n_dimensions
    for variable in operator.inputs:
        shape = variable.type.shape
        if shape and len(shape) != n_dimensions:
            raise ValueError(
                f"The input {variable.raw_name!r} has {len(shape)} dimensions, but {name} was "
                f"fitted on {n_dimensions}."
            )
    if n_dimensions == 3 and len(operator.inputs) > 1:
        raise ValueError(
            f"{name} was fitted on (n_samples, n_steps, n_features), so it takes one input, got "
            f"{len(operator.inputs)}."
        )


def convert(scope, operator, container):
    """Add the nodes of a recurrent network to a graph.

    Raises
    ------
    NotFittedError
        If nothing was fitted before.
    ValueError
        If the fitted state is damaged, if a number of the model is too large for the dtype of the
        graph, or if the user asks for operators older than ``skbn.onnx.graph.OPSET``.
    NotImplementedError
        If skbn.onnx does not know a cell or a pooling.
    """
    fitted, network = checked(operator.raw_operator)
    graph = Graph(scope, container, inputs.checked_dtype(operator))
    axis = fitted._n_dimensions - 1
    rows, dtype = inputs.rows_of(graph, operator, fitted.n_features_in_, axis)
    if fitted._n_dimensions == 2:
        rows = graph.node("Unsqueeze", rows, np.array([2]))
    steps = Steps(graph, rows, dtype)
    x = steps.in_order_of_time(inputs.normalized(graph, rows, dtype, fitted))
    z = raw_outputs(graph, network, steps, x)
    if hasattr(fitted, "predict_proba"):
        outputs.add_classes(graph, operator, fitted._targets, z)
    else:
        graph.output(outputs.predictions(graph, fitted._targets, z), operator.outputs[0])


def raw_outputs(graph, network, steps, x):
    """The raw outputs of a network, from inputs that are normalized already.

    Parameters
    ----------
    graph : Graph
    network : Network
    steps : Steps
        The real steps of the sequences.
    x : str
        Shape (n_steps, n, n_features).
    """
    cells = {code: name for name, code in CELLS.items()}
    poolings = {code: name for name, code in POOLINGS.items()}
    layers = iter(layers_of(network))
    directions = []
    for row in network.plan:
        # The other operations are parts of a direction, the output layer, and dropout, which drops
        # nothing in predictions.
        if row["kind"] == RECURRENT:
            if row["direction"] == 0 and directions:
                x = _beside(graph, steps, directions)
                directions = []
            read = steps.reversed(x) if row["direction"] == 1 else x
            cell = cells[int(row["cell"])]
            directions.append(
                states_of(graph, read, cell, next(layers), steps.numbers, steps.n_rows)
            )
        elif row["kind"] == POOLING:
            x = steps.pooled(directions, poolings[int(row["pooling"])])
    weights = views.weights(network.plan, network.parameters)[-1]
    bias = views.biases(network.plan, network.parameters)[-1]
    return graph.node("Gemm", x, weights, bias)


def _beside(graph, steps, directions):
    """The states of all directions in the order of time, side by side."""
    forward, *backward = directions
    if not backward:
        return forward
    return graph.node("Concat", forward, *map(steps.reversed, backward), axis=2)
