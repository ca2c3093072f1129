"""A clear error for estimators that have no converter."""


def shapes(operator):
    """Refuse to convert.

    Raises
    ------
    NotImplementedError
        Always.
    """
    raise NotImplementedError(
        f"skbn.onnx cannot convert {type(operator.raw_operator).__name__}: there is no converter "
        "for recurrent networks."
    )


def convert(scope, operator, container):
    """Refuse to convert; `shapes` has done so before."""
    shapes(operator)
