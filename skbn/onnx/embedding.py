"""The periodic embedding of columns as nodes of a graph."""

import numpy as np

from skbn.kernels.periodic import EMBEDDED, FREQUENCIES


def embedded(graph, x, runs, n_columns, parameters):
    """The columns x in their order; the embedding replaces the columns of some runs.

    Parameters
    ----------
    graph : Graph
    x : str
        Shape (n_samples, n_columns).
    runs : list of (int, int)
        First column and number of columns of each run of embedded columns.
    n_columns : int
    parameters : list of ndarray of shape (n, 83)
        The parameters of the columns of each run.
    """
    pieces = []
    end = 0
    for (start, n), of_run in zip(runs, parameters, strict=True):
        if start > end:
            pieces.append(_columns(graph, x, end, start))
        end = start + n
        pieces.append(_embedded_run(graph, _columns(graph, x, start, end), of_run))
    if end < n_columns:
        pieces.append(_columns(graph, x, end, n_columns))
    return graph.node("Concat", *pieces, axis=1) if len(pieces) > 1 else pieces[0]


def _columns(graph, x, start, stop):
    return graph.node("Slice", x, *(np.array([at]) for at in (start, stop, 1)))


def _embedded_run(graph, x, parameters):
    """A number x of a column becomes cos(x w + b) W + c and, behind these numbers, x itself.

    The columns come first, so that one product of matrices serves all rows of a column.
    """
    n = len(parameters)
    parameters = parameters.astype(np.float64)
    frequencies, phases, rest = np.split(parameters, [FREQUENCIES, 2 * FREQUENCIES], axis=1)
    matrices, biases = np.split(rest, [FREQUENCIES * (EMBEDDED - 1)], axis=1)
    # Shape (n_columns, n_samples, 1).
    x = graph.node("Unsqueeze", graph.node("Transpose", x, perm=[1, 0]), np.array([2]))
    angles = graph.node("Mul", x, frequencies.reshape(n, 1, FREQUENCIES))
    # cos(z) = sin(z + pi / 2): versions of ONNX Runtime before 1.32 have no cosine of float64.
    angles = graph.node("Add", angles, (phases + np.pi / 2.0).reshape(n, 1, FREQUENCIES))
    waves = graph.node("Sin", angles)
    values = graph.node("MatMul", waves, matrices.reshape(n, FREQUENCIES, EMBEDDED - 1))
    values = graph.node("Add", values, biases.reshape(n, 1, EMBEDDED - 1))
    values = graph.node("Concat", values, x, axis=2)
    values = graph.node("Transpose", values, perm=[1, 0, 2])
    # The first 0 keeps the number of rows.
    return graph.node("Reshape", values, np.array([0, n * EMBEDDED]))
