"""How skl2onnx reads a classifier: its outputs, before their shapes are known."""

from skl2onnx._parse import _parse_sklearn_classifier
from skl2onnx.common.data_types import DoubleTensorType

from skbn.onnx.outputs import as_labels


def parse(scope, model, inputs, custom_parsers=None):
    """Let skl2onnx declare the outputs of a classifier, which is checked first.

    skl2onnx reads ``classes_`` before it calls a converter, so an unfitted classifier or odd labels
    would end in an error that does not name them.

    Raises
    ------
    NotFittedError
        If nothing was fitted before.
    ValueError
        If a label is neither a whole number nor a string, or if probabilities of float64 are asked
        for as dictionaries.
    """
    options = scope.get_options(model, {"nocl": False, "zipmap": True})
    fitted = model._look()
    if options["zipmap"] is True and isinstance(inputs[0].type, DoubleTensorType):
        raise ValueError(
            "ONNX's dictionaries of probabilities (zipmap) hold float32, but the inputs are "
            "float64: convert with options={'zipmap': False} or options={'zipmap': 'columns'}."
        )
    if not options["nocl"]:
        as_labels(fitted.classes_)
    return _parse_sklearn_classifier(scope, model, inputs, custom_parsers=custom_parsers)
