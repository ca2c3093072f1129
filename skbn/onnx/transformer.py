"""Converter of the transformer."""

import numpy as np

from skbn.estimators.columns import divisor
from skbn.onnx import inputs
from skbn.onnx.graph import Graph
from skbn.onnx.outputs import floats_type


def checked(model):
    """A ``_look()`` at a fitted transformer.

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
    """Check the inputs, and set the type of the output, which has the shape of the inputs.

    Raises
    ------
    NotFittedError
        If nothing was fitted before.
    TypeError
        If an input holds no numbers.
    ValueError
        If the fitted state is damaged, or if the inputs have other columns or dimensions than the
        rows that were fitted, or an unknown number of time steps whose statistics differ.
    """
    fitted = checked(operator.raw_operator)
    dtype = inputs.checked_dtype(operator)
    shape = list(operator.inputs[0].type.shape)
    n_features = fitted.n_features_in_
    _check_dimensions(fitted, shape)
    inputs.check_columns(operator, fitted, _axis(shape))
    shape = [*shape[:-1], n_features] if shape else [None, n_features]
    operator.outputs[0].set_type(floats_type(dtype, shape))


def _axis(shape):
    # The axis of the features. A type without a shape is of two dimensions.
    return 2 if len(shape) > 2 else 1


def _check_dimensions(fitted, shape):
    if fitted.running_mean_.ndim == 1:
        if len(shape) > 2 and fitted.time_statistics != "shared":
            raise ValueError(
                f"The inputs have {len(shape)} dimensions, but the transformer was fitted on "
                "(n_samples, n_features)."
            )
        return
    n_steps = fitted.running_mean_.shape[0]
    if len(shape) != 3 or not isinstance(shape[1], int) or not 1 <= shape[1] <= n_steps:
        raise ValueError(
            f"The transformer has statistics for each of {n_steps} time steps. So the type of its "
            f"inputs must say the number of steps: (None, {n_steps}, {fitted.n_features_in_}) or "
            f"fewer steps, got {tuple(shape)}."
        )


def convert(scope, operator, container):
    """Add the nodes of the transformer to a graph.

    They are not ONNX's BatchNormalization, which subtracts the mean after the product. float32
    would lose the digits of columns far from 0.

    Raises
    ------
    NotFittedError
        If nothing was fitted before.
    ValueError
        If the fitted state is damaged, if a number of the model is too large for the dtype of the
        graph, or if the user asks for operators older than ``skbn.onnx.graph.OPSET``.
    """
    fitted = checked(operator.raw_operator)
    graph = Graph(scope, container, inputs.checked_dtype(operator))
    mean, var, seen = fitted.running_mean_, fitted.running_var_, fitted.n_samples_seen_
    if mean.ndim == 2:
        n_steps = operator.inputs[0].type.shape[1]
        mean, var = mean[:n_steps], var[:n_steps]
        seen = seen[:n_steps] if np.ndim(seen) else seen
    scale = fitted.gamma_ / divisor(mean, var, seen, fitted.epsilon)
    axis = _axis(operator.inputs[0].type.shape)
    rows, dtype = inputs.rows_of(graph, operator, fitted.n_features_in_, axis)
    rows = inputs.centered(graph, rows, dtype, mean)
    graph.output(graph.affine(rows, scale, fitted.beta_), operator.outputs[0])
