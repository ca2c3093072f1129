"""From raw outputs of a network to the outputs of a graph: labels and probabilities, or numbers.

The outputs follow skl2onnx's own converters. A classifier has two outputs, the label and the
probabilities of a row. A regressor has one output of shape (n_samples, n_outputs).
"""

import numpy as np
from skl2onnx.common.data_types import (
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)

# Options of the classifiers, as skl2onnx's converter of scikit-learn's network has them. It has no
# option "raw_scores": skl2onnx takes the option for a sign that a classifier has a
# decision_function, and then builds a wrong graph of a CalibratedClassifierCV.
CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
}


def floats_type(dtype, shape):
    """skl2onnx's type of a tensor of float32 or float64."""
    return (DoubleTensorType if dtype == np.float64 else FloatTensorType)(shape)


# Types of the outputs.


def set_types(operator, fitted, dtype):
    """Set the types of the outputs of a classifier or of a regressor.

    Parameters
    ----------
    operator : skl2onnx.common._topology.Operator
    fitted : estimator
        A ``_look()`` at a network or an ensemble.
    dtype : {np.float32, np.float64}
        The dtype of the graph.

    Raises
    ------
    ValueError
        If a label is neither a whole number nor a string.
    """
    if hasattr(fitted, "predict_proba"):
        _classifier_types(operator, fitted._targets, dtype)
    else:
        n = operator.inputs[0].get_first_dimension()
        operator.outputs[0].set_type(floats_type(dtype, [n, fitted._targets.n_outputs]))


def _classifier_types(operator, targets, dtype):
    n = operator.inputs[0].get_first_dimension()
    n_classes = len(targets.classes)
    labels = shown_classes(operator.scope_inst, operator, targets)
    if targets.is_multilabel:
        label_type = Int64TensorType([n, n_classes])
    elif labels.dtype.kind == "i":
        label_type = Int64TensorType([n])
    else:
        label_type = StringTensorType([n])
    operator.outputs[0].set_type(label_type)
    operator.outputs[1].set_type(floats_type(dtype, [n, n_classes]))


# Nodes.


def add_classes(graph, operator, targets, z):
    """Add the nodes of label and probabilities, the two outputs of a classifier.

    Parameters
    ----------
    graph : Graph
    operator : skl2onnx.common._topology.Operator
    targets : ClassTargets
        The targets of the model, with the temperature.
    z : str
        Raw outputs of the network, shape (n_samples, n_outputs).

    Raises
    ------
    ValueError
        If a label is neither a whole number nor a string.

    Notes
    -----
    The labels have the shape (n_samples,), or (n_samples, n_labels) if a row has several labels.
    The probabilities have the shape (n_samples, n_classes).
    """
    z = graph.affine(z, *targets.output_affine())
    labels = _labels(graph, shown_classes(graph.scope, operator, targets), targets, z)
    graph.output(labels, operator.outputs[0])
    graph.output(_chances(graph, targets, z), operator.outputs[1])


def _labels(graph, classes, targets, z):
    zero = np.zeros(1)
    if targets.is_multilabel:
        return graph.cast(graph.node("Greater", z, zero), np.int64)
    if targets.n_outputs > 1:
        numbers = graph.node("ArgMax", z, axis=1, keepdims=0)
    else:
        # With a single class no output is greater than the threshold, which is the output itself.
        is_second = graph.node("Greater", z, zero if len(classes) > 1 else z)
        numbers = graph.node("Squeeze", graph.cast(is_second, np.int64), np.array([1]))
    return graph.node("Gather", classes, numbers, axis=0)


def _chances(graph, targets, z):
    if targets.out_activation == "softmax":
        return graph.node("Softmax", z, axis=1)
    if not targets.is_multilabel and len(targets.classes) == 1:
        # A probability of 1 for each row.
        return graph.affine(graph.cast(graph.node("Greater", z, z)), 1.0, 1.0)
    if targets.n_outputs == 1:
        z = graph.node("Concat", graph.node("Neg", z), z, axis=1)
    return graph.node("Sigmoid", z)


def predictions(graph, targets, z):
    """Predictions of a regressor in the unit of the target, shape (n_samples, n_outputs).

    Parameters
    ----------
    graph : Graph
    targets : RealTargets
        The targets of the model.
    z : str
        Raw outputs of the network, shape (n_samples, n_outputs).

    Returns
    -------
    predictions : str
        Shape (n_samples, n_outputs).
    """
    scale, shift = targets.output_affine()
    if targets.out_activation == "identity":
        return graph.affine(z, scale, shift)
    # A target that was the same in all rows has the scale 0. Its logarithm may be -infinity, so the
    # target itself is added behind the exponential function.
    varies = np.broadcast_to(scale, targets.n_outputs) != 0.0
    z = graph.affine(z, scale, np.where(varies, shift, 0.0))
    same = np.zeros(targets.n_outputs) if targets.moments is None else targets.moments[0]
    return graph.affine(
        graph.node("Exp", z), varies.astype(np.float64), np.where(varies, 0.0, same)
    )


# Labels.


def shown_classes(scope, operator, targets):
    """Labels as int64 or strings, which ONNX can hold; under ``nocl`` the numbers of the classes.

    Raises
    ------
    ValueError
        If a label is neither a whole number nor a string.
    """
    if scope.get_options(operator.raw_operator, {"nocl": False})["nocl"]:
        return np.arange(len(targets.classes))
    return as_labels(targets.classes)


def as_labels(classes):
    """Class labels as an array of int64 or of strings.

    Raises
    ------
    ValueError
        If a label is neither a whole number nor a string.
    """
    if classes.dtype.kind in "biuf":
        with np.errstate(invalid="ignore"):
            numbers = classes.astype(np.int64)
        if (numbers == classes).all():
            return numbers
    elif all(isinstance(label, str) for label in classes):
        return classes.astype(np.str_)
    raise ValueError(
        "ONNX has labels that are whole numbers or strings, and these classes are neither: "
        f"{classes[:5]}{', ...' if len(classes) > 5 else ''} ({classes.dtype})."
    )
