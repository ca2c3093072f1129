"""The ONNX graph of a model, made node by node. The only file that makes nodes and constants.

Operands are names of values in the graph, or arrays, which become constants. A graph computes in
one dtype, float32 or float64, as the user chose by the type of the inputs.
"""

import numpy as np
from onnx import TensorProto, defs, helper, numpy_helper

# The version of the operators. Since this version the axes of Unsqueeze and Squeeze are an input,
# and Softmax normalizes one axis. Nodes mean the same in later versions, but older runtimes do not
# know the later versions.
OPSET = 13


class Graph:
    """Nodes and constants of a graph that skl2onnx makes.

    Parameters
    ----------
    scope : skl2onnx.common._topology.Scope
        Gives names that are unique.
    container : skl2onnx.common._container.ModelComponentContainer
        Takes nodes and constants.
    dtype : {np.float32, np.float64}
        The dtype of constants that are numbers.

    Raises
    ------
    ValueError
        If the user asks for operators older than `OPSET`.
    """

    def __init__(self, scope, container, dtype):
        self.opset = container.target_opset_any_domain("")
        if self.opset is not None and self.opset < OPSET:
            raise ValueError(
                f"skbn.onnx needs target_opset={OPSET} or a larger number, got {self.opset}."
            )
        self.scope = scope
        self.container = container
        self.dtype = np.dtype(dtype)

    def of(self, dtype):
        """The same graph, with constants of another dtype."""
        return Graph(self.scope, self.container, dtype)

    def constant(self, values):
        """The name of a new constant: floats in the dtype of the graph, int64 or strings.

        Raises
        ------
        ValueError
            If a finite number is not finite in the dtype of the graph.
        """
        name = self.scope.get_unique_variable_name("constant")
        values = np.asarray(values)
        if values.dtype.kind in "UO":
            strings = [str(value).encode() for value in values.ravel()]
            return self._added(helper.make_tensor(name, TensorProto.STRING, values.shape, strings))
        if values.dtype.kind == "f":
            with np.errstate(over="ignore"):
                cast = values.astype(self.dtype)
            if (np.isfinite(values) & ~np.isfinite(cast)).any():
                raise ValueError(
                    f"A number of the model is too large for {self.dtype}. Convert the model with "
                    "inputs of float64 (DoubleTensorType)."
                )
        else:
            cast = values.astype(np.int64)
        return self._added(numpy_helper.from_array(cast, name))

    def _added(self, tensor):
        # skl2onnx's own method replaces an equal constant by a node, of the newest version.
        self.container.initializers.append(tensor)
        return tensor.name

    def node(self, kind, *operands, **attributes):
        """Add a node with one output. Returns the name of the output.

        Parameters
        ----------
        kind : str
            The operator of ONNX.
        *operands : str or array-like
            Names of values, or constants.
        **attributes : dict
            Attributes of the node. `version` is no attribute, but the version of the operators that
            the node needs.
        """
        return self.nodes(kind, operands, 1, **attributes)[0]

    def nodes(self, kind, operands, n_outputs, **attributes):
        """Add a node with several outputs. Returns the names of the outputs, a list.

        The parameters are the parameters of `node`, with `operands` in a sequence.
        """
        names = [one if isinstance(one, str) else self.constant(one) for one in operands]
        outputs = [self.scope.get_unique_variable_name(kind.lower()) for _ in range(n_outputs)]
        self._add(kind, names, outputs, **attributes)
        return outputs

    def cast(self, value, dtype=None):
        """The value in another dtype; None: in the dtype of the graph."""
        dtype = self.dtype if dtype is None else np.dtype(dtype)
        return self.node("Cast", value, to=helper.np_dtype_to_tensor_dtype(dtype))

    def affine(self, value, scale, shift):
        """``value * scale + shift``, without the steps that change nothing."""
        if np.any(np.asarray(scale) != 1.0):
            value = self.node("Mul", value, np.asarray(scale, np.float64))
        if np.any(np.asarray(shift) != 0.0):
            value = self.node("Add", value, np.asarray(shift, np.float64))
        return value

    def output(self, value, variable):
        """Name a value as the output `variable` of the model."""
        self._add("Identity", [value], [variable.full_name])

    def _add(self, kind, inputs, outputs, version=OPSET, **attributes):
        name = self.scope.get_unique_operator_name(kind)
        version = defs.get_schema(kind, version).since_version
        self.container.add_node(kind, inputs, outputs, op_version=version, name=name, **attributes)
