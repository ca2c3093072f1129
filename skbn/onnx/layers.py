"""The operations of the plan of a perceptron as nodes of a graph."""

import numpy as np

from skbn.network import views
from skbn.network.folding import activation_of
from skbn.network.operations.registry import KINDS
from skbn.network.plan import (
    ACTIVATION,
    BATCH_NORM,
    DROPOUT,
    EMBEDDED_COLUMNS,
    INPUTS,
    LINEAR,
    PERIODIC,
    embedded_of,
)
from skbn.onnx.embedding import embedded

# Beyond this number, tanh(log(1 + e^x)) is 1, also in float64.
SATURATED = 20.0


def raw_outputs(graph, network, x):
    """The raw outputs of a network, from inputs that are normalized already.

    Parameters
    ----------
    graph : Graph
    network : Network
    x : str
        Shape (n_samples, n_features).

    Raises
    ------
    NotImplementedError
        If the network has an operation that this file does not know.
    """
    plan = network.plan
    maps = zip(
        views.weights(plan, network.parameters),
        views.biases(plan, network.parameters),
        views.input_scales(plan, network.parameters),
        strict=True,
    )
    norms = zip(
        views.gammas(plan, network.parameters),
        views.betas(plan, network.parameters),
        views.running_means(plan, network.statistics),
        views.running_vars(plan, network.statistics),
        strict=True,
    )
    for row in plan:
        kind = int(row["kind"])
        if kind == LINEAR:
            x = _linear(graph, x, *next(maps))
        elif kind == BATCH_NORM:
            x = _batch_norm(graph, x, float(row["epsilon"]), *next(norms))
        elif kind == ACTIVATION:
            x = activated(graph, x, activation_of(plan))
        elif kind == PERIODIC and row["part"] != EMBEDDED_COLUMNS:
            runs = embedded_of(plan)
            parameters = views.embeddings(plan, network.parameters)
            x = embedded(graph, x, runs, int(row["n_in"]), parameters)
        # The inputs are normalized already. The runs of an embedding are parts of the operation
        # before them. Dropout drops nothing in predictions.
        elif kind not in (INPUTS, PERIODIC, DROPOUT):
            names = {code: name for name, code in KINDS.items()}
            raise NotImplementedError(
                f"skbn.onnx cannot convert the operation {names.get(kind, kind)!r} of a network."
            )
    return x


def _linear(graph, x, weights, bias, scale):
    # The product is rounded as in skbn, in the dtype of the network.
    return graph.node("Gemm", x, scale[:, np.newaxis] * weights, bias)


def _batch_norm(graph, x, epsilon, gamma, beta, mean, var):
    # A unit without variance has no part in the outputs. ONNX would divide by sqrt(epsilon).
    gamma = np.where(np.ravel(var) > 0.0, gamma, 0.0)
    operands = (np.ravel(array) for array in (gamma, beta, mean, var))
    return graph.node("BatchNormalization", x, *operands, epsilon=epsilon)


def activated(graph, x, activation):
    """The outputs of an activation, a name in ``skbn.kernels.activations.ACTIVATIONS``.

    Raises
    ------
    NotImplementedError
        If this file does not know the activation.
    """
    if activation not in ACTIVATED:
        raise NotImplementedError(f"skbn.onnx cannot convert the activation {activation!r}.")
    return ACTIVATED[activation](graph, x)


def _node(kind):
    return lambda graph, x: graph.node(kind, x)


def _silu(graph, x):
    if graph.dtype == np.float32:
        return graph.node("Mul", x, graph.node("Sigmoid", x))
    # ONNX Runtime puts the two nodes above together, also in float64. Versions before 1.32 cannot
    # run the result in float64.
    return graph.node("Div", x, graph.affine(graph.node("Exp", graph.node("Neg", x)), 1.0, 1.0))


# ONNX Runtime has no LeakyRelu, no Softplus and no Erf of float64. The first two are put together
# from other operators, for both dtypes.


def _leaky_relu(graph, x):
    return graph.node("Max", x, graph.node("Mul", x, np.array(0.01)))


def _mish(graph, x):
    # tanh(log(1 + u)) = a / (a + 2) with u = e^x and a = u (u + 2).
    u = graph.node("Exp", graph.node("Min", x, np.array(SATURATED)))
    a = graph.node("Mul", u, graph.node("Add", u, np.array(2.0)))
    share = graph.node("Div", a, graph.node("Add", a, np.array(2.0)))
    return graph.node("Mul", x, share)


def _gelu(graph, x):
    # x times the normal distribution function, (1 + erf(x / sqrt(2))) / 2.
    t = graph.node("Mul", x, np.array(np.sqrt(0.5)))
    if graph.dtype == np.float64:
        erf = graph.cast(graph.node("Erf", graph.cast(t, np.float32)))
    else:
        erf = graph.node("Erf", t)
    return graph.node("Mul", x, graph.affine(erf, 0.5, 0.5))


ACTIVATED = {
    "identity": lambda graph, x: x,
    "logistic": _node("Sigmoid"),
    "tanh": _node("Tanh"),
    "relu": _node("Relu"),
    "silu": _silu,
    "mish": _mish,
    "leaky_relu": _leaky_relu,
    "gelu": _gelu,
}
