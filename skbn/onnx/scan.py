"""A loop over time steps: the operator Scan of ONNX, whose nodes are an inner graph."""

from onnx import helper

from skbn.onnx.graph import Graph


class InnerNodes:
    """Nodes and constants of an inner graph, with the methods of a container of skl2onnx.

    Parameters
    ----------
    opset : int or None
        The version of the operators.
    """

    def __init__(self, opset):
        self.opset = opset
        self.made, self.initializers = [], []

    def target_opset_any_domain(self, domain):
        return self.opset

    def add_node(self, kind, operands, outputs, op_version, name, **attributes):
        self.made.append(helper.make_node(kind, operands, outputs, name=name, **attributes))


def scan(graph, step, states, sequences):
    """Run a step for each entry of the first axis of some sequences, one after the other.

    Parameters
    ----------
    graph : Graph
    step : callable
        ``step(inner, states, entries)`` adds the nodes of a step to the inner graph. It returns the
        next states in a list, and the output of the step. Its arguments besides `inner` are names.
    states : list of str
        The states before the first step.
    sequences : list of str
        Values in the dtype of the graph, shape (n_steps, ...).

    Returns
    -------
    outputs : str
        The outputs of all steps, shape (n_steps, ...).
    """
    container = InnerNodes(graph.opset)
    inner = Graph(graph.scope, container, graph.dtype)
    names = [graph.scope.get_unique_variable_name("step") for _ in (*states, *sequences)]
    next_states, output = step(inner, names[: len(states)], names[len(states) :])
    # The output may be a state, but each result of an inner graph needs a name of its own.
    results = [*next_states, inner.node("Identity", output)]
    kind = helper.np_dtype_to_tensor_dtype(graph.dtype)
    body = helper.make_graph(
        container.made,
        graph.scope.get_unique_operator_name("time_step"),
        [helper.make_tensor_value_info(name, kind, None) for name in names],
        [helper.make_tensor_value_info(name, kind, None) for name in results],
        container.initializers,
    )
    operands = [*states, *sequences]
    found = graph.nodes("Scan", operands, len(results), body=body, num_scan_inputs=len(sequences))
    return found[-1]
