"""How skl2onnx reads a model: its outputs, before their shapes are known."""

from skl2onnx._parse import _parse_sklearn_classifier, _parse_sklearn_simple_model
from skl2onnx.common.data_types import DoubleTensorType, guess_tensor_type

from skbn.onnx.inputs import type_error
from skbn.onnx.outputs import as_labels


def parse(scope, model, inputs, custom_parsers=None):
    """Let skl2onnx declare the output of a model that is no classifier.

    skl2onnx declares the outputs by the type of the first input. It knows some types, such as
    Int16TensorType, but converts no model of them, and its error names neither model nor input.

    Raises
    ------
    TypeError
        If skl2onnx converts no models of the type of the first input.
    """
    _check_type(model, inputs)
    return _parse_sklearn_simple_model(scope, model, inputs, custom_parsers=custom_parsers)


def _check_type(model, inputs):
    try:
        guess_tensor_type(inputs[0].type)
    except TypeError as error:
        raise type_error(model, inputs[0]) from error


def parse_classifier(scope, model, inputs, custom_parsers=None):
    """Let skl2onnx declare the outputs of a classifier, which is checked first.

    skl2onnx reads ``classes_`` before it calls a converter, so an unfitted classifier or odd labels
    would end in an error that does not name them.

    Raises
    ------
    NotFittedError
        If nothing was fitted before.
    TypeError
        If skl2onnx converts no models of the type of the first input.
    ValueError
        If a label is neither a whole number nor a string, or if probabilities of float64 are asked
        for as dictionaries.
    """
    options = scope.get_options(model, {"nocl": False, "zipmap": True})
    fitted = model._look()
    _check_type(model, inputs)
    if options["zipmap"] is True and isinstance(inputs[0].type, DoubleTensorType):
        raise ValueError(
            "ONNX's dictionaries of probabilities (zipmap) hold float32, but the inputs are "
            "float64: convert with options={'zipmap': False} or options={'zipmap': 'columns'}."
        )
    if not options["nocl"]:
        as_labels(fitted.classes_)
    return _parse_sklearn_classifier(scope, model, inputs, custom_parsers=custom_parsers)
