"""Random recurrent networks and sequences for tests."""

import numpy as np
from skbn.network.operations.registry import PARTS

from skbn.network import views
from skbn.network.network import Network
from skbn.network.plan import BATCH_NORM
from skbn.network.recurrent_plan import recurrent
from skbn.network.table import Table

# Of the loss "quantile"; other losses ignore it.
QUANTILE = 0.8

CELLS = ("lstm", "gru", "tanh")
NORMS = ("full", "input", None)


def random_recurrent(
    layer_units,
    cell,
    batch_norm,
    n_steps,
    loss,
    *,
    bidirectional=False,
    pooling="last",
    shared=False,
    dropout=0.0,
    epsilon=1e-5,
    dtype=np.float64,
    seed=0,
    scale=0.7,
):
    """A network with random parameters, gamma and beta included, and running statistics.

    Those of what comes from the state before are 0 at the first step, as training leaves them.
    """
    rng = np.random.default_rng(seed)
    plan = recurrent(
        layer_units,
        cell,
        batch_norm,
        n_steps,
        bidirectional=bidirectional,
        pooling=pooling,
        shared=shared,
        dropout=dropout,
        epsilon=epsilon,
    )
    network = Network.initial(plan, loss, dtype, loss_parameter=QUANTILE)
    network.parameters[:] = scale * rng.standard_normal(network.layout.n_parameters)
    network.statistics[:] = 0.5 + rng.random(network.layout.n_statistics)
    for view in (views.running_means, views.running_vars):
        norms = zip(plan[plan["kind"] == BATCH_NORM], view(plan, network.statistics), strict=True)
        for row, running in norms:
            if row["part"] == PARTS["recurrent_norm"]:
                running[0] = 0.0
    return network


def random_sequences(
    n,
    n_steps,
    d,
    loss,
    k,
    *,
    ragged=False,
    lengths=None,
    weighted=False,
    normalized=True,
    dtype=np.float64,
    seed=0,
):
    """Sequences with targets that fit a loss, NaN behind their lengths; weights hold zeros.

    `ragged` ones have 1 to `n_steps` steps, every length at least once if there are enough of
    them, unless `lengths` says how many.
    """
    rng = np.random.default_rng(seed)
    X = 1.0 + 3.0 * rng.standard_normal((n, n_steps, d))
    if lengths is not None:
        lengths = np.array(lengths, np.intp)
    elif ragged:
        lengths = rng.permutation(n_steps - np.arange(n) % n_steps).astype(np.intp)
    else:
        lengths = np.full(n, n_steps, np.intp)
    X[np.arange(n_steps) >= lengths[:, None]] = np.nan
    y = {
        "softmax_log_loss": lambda: rng.integers(0, k, (n, 1)),
        "logistic_log_loss": lambda: rng.integers(0, 2, (n, k)),
        "squared_error": lambda: rng.standard_normal((n, k)),
        "absolute_error": lambda: rng.standard_normal((n, k)),
        "quantile": lambda: rng.standard_normal((n, k)),
        "poisson": lambda: rng.poisson(1.0, (n, k)),
    }[loss]()
    sample_weight = rng.integers(0, 4, n).astype(np.float64) if weighted else None
    moments = (None, None)
    if normalized:
        moments = np.nanmean(X, axis=(0, 1)), 1.0 / np.nanstd(X, axis=(0, 1))
    return Table(X.astype(dtype), y.astype(dtype), sample_weight, *moments, lengths=lengths)


def lengths_of(counts):
    """Lengths of sequences of which ``counts[s]`` reach step s, not sorted."""
    counts = np.array([*counts, 0])
    lengths = np.repeat(np.arange(1, len(counts)), counts[:-1] - counts[1:])
    return np.random.default_rng(len(lengths)).permutation(lengths)
