"""The time steps of sequences: which are real, their order for each direction, and the poolings.

Values of all steps have the shape (n_steps, n, d). NaN in all features marks the steps behind the
end of a sequence.
"""

import numpy as np

# Since this version of the operators the axes of ReduceMax are an input.
AXES_ARE_INPUT = 18


class Steps:
    """The real steps of some sequences.

    Parameters
    ----------
    graph : Graph
    rows : str
        The inputs as the user gives them, shape (n, n_steps, n_features).
    dtype : dtype
        The dtype of `rows`.
    """

    def __init__(self, graph, rows, dtype):
        self.graph = graph
        shape = graph.node("Shape", rows)
        self.n_rows = graph.node("Slice", shape, np.array([0]), np.array([1]))
        n_steps = graph.node("Squeeze", graph.node("Slice", shape, np.array([1]), np.array([2])))
        self.numbers = graph.node("Range", np.array(0), n_steps, np.array(1))
        is_number = graph.of(np.float32).cast(graph.node("Not", graph.node("IsNaN", rows)))
        n_numbers = graph.node("ReduceSum", is_number, np.array([2]), keepdims=0)
        is_step = graph.of(np.float32).node("Min", n_numbers, np.array(1.0))
        # Of a sequence without a number all steps are taken for real.
        self.n_numbers = graph.node("ReduceSum", n_numbers, np.array([1]), keepdims=0)
        self.n_features = graph.node("Slice", shape, np.array([2]), np.array([3]))
        last = graph.node("ArgMax", is_step, axis=1, keepdims=0, select_last_index=1)
        self.lengths = graph.node("Add", last, np.array(1))
        column = graph.node("Unsqueeze", self.numbers, np.array([1, 2]))
        self.is_last = graph.node("Equal", column, graph.node("Unsqueeze", last, np.array([1])))
        self.is_real = graph.node(
            "Less", column, graph.node("Unsqueeze", self.lengths, np.array([1]))
        )

    def in_order_of_time(self, x):
        """Inputs of shape (n, n_steps, d) as shape (n_steps, n, d), with 0 behind the ends.

        Runtimes treat NaN differently, for instance in a maximum.
        """
        x = self.graph.node("Transpose", x, perm=[1, 0, 2])
        return self.graph.node("Where", self.is_real, x, np.array(0.0))

    def missing_if_gaps(self, pooled):
        """One row for each sequence, with NaN where a number of a real step is missing."""
        whole = self.graph.of(np.float32)
        expected = whole.node("Mul", whole.cast(self.lengths), whole.cast(self.n_features))
        is_whole = whole.node("Equal", self.n_numbers, expected)
        is_whole = whole.node("Unsqueeze", is_whole, np.array([1]))
        return self.graph.node("Where", is_whole, pooled, np.array(np.nan))

    def reversed(self, x):
        """The real steps of each sequence backwards. The steps behind its end stay."""
        return self.graph.node("ReverseSequence", x, self.lengths, time_axis=0, batch_axis=1)

    def pooled(self, directions, pooling):
        """One row for each sequence, from the states of one or two directions.

        Parameters
        ----------
        directions : list of str
            States in the order in which each direction reads the steps, shape (n_steps, n, d).
        pooling : str
            A name in ``skbn.kernels.pooling.POOLINGS``.

        Returns
        -------
        pooled : str
            Shape (n, n_directions d), or (n, 2 n_directions d) for "mean_max".

        Raises
        ------
        NotImplementedError
            If this file does not know the pooling.
        """
        if pooling not in POOLED:
            raise NotImplementedError(f"skbn.onnx cannot convert the pooling {pooling!r}.")
        parts = [pool(self, x) for pool in POOLED[pooling] for x in directions]
        pooled = self.graph.node("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
        return self.missing_if_gaps(pooled)


def _last(steps, x):
    graph = steps.graph
    x = graph.node("Where", steps.is_last, x, np.array(0.0))
    return graph.node("ReduceSum", x, np.array([0]), keepdims=0)


def _mean(steps, x):
    # float32 would round each of many sums.
    graph = steps.graph.of(np.float64)
    x = graph.node("Where", steps.is_real, graph.cast(x), np.array(0.0))
    total = graph.node("ReduceSum", x, np.array([0]), keepdims=0)
    lengths = graph.node("Unsqueeze", graph.cast(steps.lengths), np.array([1]))
    return steps.graph.cast(graph.node("Div", total, lengths))


def _max(steps, x):
    graph = steps.graph
    x = graph.node("Where", steps.is_real, x, np.array(-np.inf))
    if graph.opset is not None and graph.opset < AXES_ARE_INPUT:
        return graph.node("ReduceMax", x, axes=[0], keepdims=0)
    return graph.node("ReduceMax", x, np.array([0]), keepdims=0, version=AXES_ARE_INPUT)


# The order in which a sequence is read does not matter to its mean and its maximum. The last step
# of a direction is the last step that the direction reads.
POOLED = {"last": [_last], "mean": [_mean], "max": [_max], "mean_max": [_mean, _max]}
