"""Random networks and tables for tests."""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from skbn.network.network import Network
from skbn.network.plan import feed_forward
from skbn.network.table import Table

ACTIVATIONS = ("identity", "logistic", "tanh", "relu", "silu", "gelu", "mish", "leaky_relu")
LOSSES = (
    "softmax_log_loss",
    "logistic_log_loss",
    "squared_error",
    "absolute_error",
    "poisson",
    "quantile",
)

# Of the loss "quantile"; other losses ignore it.
QUANTILE = 0.8


def random_network(
    layer_units,
    activation,
    batch_norm,
    loss,
    *,
    dtype=np.float64,
    seed=0,
    scale=0.7,
    **options,
):
    """A network with random parameters, gamma and beta included, and running statistics."""
    rng = np.random.default_rng(seed)
    plan = feed_forward(layer_units, activation, batch_norm, **options)
    network = Network.initial(plan, loss, dtype, loss_parameter=QUANTILE)
    network.parameters[:] = scale * rng.standard_normal(network.layout.n_parameters)
    network.statistics[:] = 0.5 + rng.random(network.layout.n_statistics)
    return network


def random_table(
    n,
    layer_units,
    loss,
    *,
    dtype=np.float64,
    seed=0,
    weighted=False,
    normalized=True,
    sparse=False,
):
    """Rows with targets that fit a loss; weights hold zeros, as does X with `sparse`.

    The table is a dense one all the same: `as_sparse` makes a sparse one of it.
    """
    rng = np.random.default_rng(seed)
    n_features, k = layer_units[0], layer_units[-1]
    X = 1.0 + 3.0 * rng.standard_normal((n, n_features))
    y = {
        "softmax_log_loss": lambda: rng.integers(0, k, (n, 1)),
        "logistic_log_loss": lambda: rng.integers(0, 2, (n, k)),
        "squared_error": lambda: rng.standard_normal((n, k)),
        "absolute_error": lambda: rng.standard_normal((n, k)),
        "quantile": lambda: rng.standard_normal((n, k)),
        "poisson": lambda: rng.poisson(1.0, (n, k)),
    }[loss]()
    sample_weight = rng.integers(0, 4, n).astype(np.float64) if weighted else None
    if sparse:
        X[rng.random(X.shape) < 0.6] = 0.0
    moments = (X.mean(axis=0), 1.0 / X.std(axis=0)) if normalized else (None, None)
    return Table(X.astype(dtype), y.astype(dtype), sample_weight, *moments)


def as_sparse(table, kind=csr_array):
    """The same rows as a sparse table."""
    return replace(table, X=kind(table.X))
