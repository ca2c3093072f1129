"""The inputs of a graph: their types, and the fixed normalization in front of a network."""

import numpy as np
from skl2onnx.common import data_types

from skbn.estimators.inputs import input_normalization

FLOATS = (data_types.FloatTensorType, data_types.DoubleTensorType)

# Types whose numbers are cast to floats.
WHOLE = (
    data_types.BooleanTensorType,
    data_types.Int8TensorType,
    data_types.Int32TensorType,
    data_types.Int64TensorType,
    data_types.UInt8TensorType,
)

# The smooth clip, as skbn/kernels/gather.pyx has it: its limit, and the numbers beyond which a
# number is at the limit anyway, so that no square leaves the range of float32.
LIMIT, FARTHEST = 3.0, 1e6


def checked_dtype(operator):
    """The dtype that a graph computes in: float64 if the first input is, otherwise float32.

    skl2onnx declares the outputs of a model by the type of the first input, too.

    Raises
    ------
    TypeError
        If an input holds no numbers, or numbers of a type that skl2onnx does not convert.
    """
    for variable in operator.inputs:
        if not isinstance(variable.type, (*FLOATS, *WHOLE)):
            raise type_error(operator.raw_operator, variable)
    is_double = isinstance(operator.inputs[0].type, data_types.DoubleTensorType)
    return np.float64 if is_double else np.float32


def type_error(model, variable):
    """The TypeError for an input whose type no converter takes."""
    return TypeError(
        f"{type(model).__name__} takes numbers: the input {variable.raw_name!r} has the type "
        f"{type(variable.type).__name__}. Use FloatTensorType or DoubleTensorType, and encode "
        "categories before."
    )


def _sizes(operator, axis):
    # The sizes of an axis of the inputs. None: the type of the input does not tell it.
    shapes = [variable.type.shape for variable in operator.inputs]
    sizes = [shape[axis] if shape and len(shape) > axis else None for shape in shapes]
    return [size if isinstance(size, int) else None for size in sizes]


def check_columns(operator, fitted, axis=1):
    """Refuse inputs with other columns, as far as their types and names tell it.

    Parameters
    ----------
    operator : skl2onnx.common._topology.Operator
    fitted : estimator
        A ``_look()`` at a model.
    axis : int, default=1
        The axis of the columns.

    Raises
    ------
    ValueError
        If an input has other dimensions, if there are other columns, or if inputs of one column
        each have other names than the columns of the DataFrame that was fitted, or another order.
    """
    for variable in operator.inputs:
        shape = variable.type.shape
        if shape and len(shape) != axis + 1:
            raise ValueError(
                f"The input {variable.raw_name!r} has {len(shape)} dimensions, but "
                f"{type(operator.raw_operator).__name__} takes {axis + 1}."
            )
    sizes, n_features = _sizes(operator, axis), fitted.n_features_in_
    if None not in sizes and sum(sizes) != n_features:
        raise ValueError(
            f"The inputs have {sum(sizes)} features, but {type(operator.raw_operator).__name__} is "
            f"expecting {n_features} features as input."
        )
    names = [variable.raw_name for variable in operator.inputs]
    expected = getattr(fitted, "feature_names_in_", None)
    if expected is not None and len(names) == n_features > 1 and names != list(expected):
        raise ValueError(
            "The feature names should match those that were passed during fit, in the same order. "
            f"The inputs are {names}, but {type(operator.raw_operator).__name__} was fitted on "
            f"{list(expected)}."
        )


def rows_of(graph, operator, n_features, axis=1):
    """The inputs as one value, and its dtype: float32 if all inputs are float32, otherwise float64.

    Several inputs are columns side by side. float32 would round large numbers of other types before
    their center is subtracted.

    Parameters
    ----------
    graph : Graph
    operator : skl2onnx.common._topology.Operator
    n_features : int
        Columns of the model. If the types do not tell the number of columns, a node refuses other
        numbers. Otherwise the runtime would repeat a single column.
    axis : int, default=1
        The axis of the columns, the last one.

    Returns
    -------
    rows : str
        Shape (n_samples, n_features), or (n_samples, n_steps, n_features) if `axis` is 2.
    dtype : dtype
        The dtype of `rows`.
    """
    is_single = all(isinstance(one.type, data_types.FloatTensorType) for one in operator.inputs)
    kind = data_types.FloatTensorType if is_single else data_types.DoubleTensorType
    dtype = np.dtype(np.float32 if is_single else np.float64)
    names = [
        one.full_name if isinstance(one.type, kind) else graph.cast(one.full_name, dtype)
        for one in operator.inputs
    ]
    rows = graph.node("Concat", *names, axis=axis) if len(names) > 1 else names[0]
    if None in _sizes(operator, axis):
        # 0: the size of the inputs stays.
        rows = graph.node("Reshape", rows, np.array([0] * axis + [n_features]))
    return rows, dtype


def centered(graph, rows, dtype, center):
    """The rows minus a center, in the dtype of the graph.

    float32 would round a center far from 0. So the center is a pair of float32 numbers, which are
    subtracted one after the other. A float32 number near the center then loses no digits.

    Parameters
    ----------
    graph : Graph
    rows : str
        Shape (..., n_features).
    dtype : dtype
        The dtype of `rows`.
    center : ndarray of float64
        A shape that broadcasts to the shape of the rows.

    Returns
    -------
    centered : str
        The shape of the rows.
    """
    wide = graph.of(dtype)
    if dtype == np.float64:
        rows = wide.node("Sub", rows, center)
        return rows if graph.dtype == np.float64 else graph.cast(rows)
    with np.errstate(over="ignore"):
        high = center.astype(np.float32)
    rows = wide.node("Sub", rows, np.where(np.isinf(high), center, high))
    with np.errstate(invalid="ignore"):
        low = center - high
    return wide.node("Sub", rows, low) if np.any(low != 0.0) else rows


def network_inputs(graph, operator, fitted):
    """The inputs of a network after its fixed normalization.

    Parameters
    ----------
    graph : Graph
    operator : skl2onnx.common._topology.Operator
    fitted : estimator
        A ``_look()`` at a network.

    Returns
    -------
    x : str
        Shape (n_samples, n_features), in the dtype of the graph.
    """
    return normalized(graph, *rows_of(graph, operator, fitted.n_features_in_), fitted)


def normalized(graph, rows, dtype, fitted):
    """Rows after the fixed normalization of a network.

    Parameters
    ----------
    graph : Graph
    rows : str
        Shape (..., n_features).
    dtype : dtype
        The dtype of `rows`.
    fitted : estimator
        A ``_look()`` at a network.

    Returns
    -------
    x : str
        The shape of the rows, in the dtype of the graph.
    """
    center, factor, is_clipped = input_normalization(fitted)
    if center is None:
        return rows if dtype == graph.dtype else graph.cast(rows)
    t = graph.affine(centered(graph, rows, dtype, center), factor, 0.0)
    return smooth_clip(graph, t) if is_clipped else t


def smooth_clip(graph, t):
    """t / sqrt(1 + (t / 3)^2), from nodes."""
    t = graph.node("Max", graph.node("Min", t, np.array(FARTHEST)), np.array(-FARTHEST))
    share = graph.node("Div", t, np.array(LIMIT))
    square = graph.node("Mul", share, share)
    root = graph.node("Sqrt", graph.node("Add", square, np.array(1.0)))
    return graph.node("Div", t, root)
