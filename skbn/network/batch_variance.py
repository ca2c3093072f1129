"""How much of the variance of all rows the mini-batches of an order of rows have."""

import numpy as np

from skbn.network import optimizer, views
from skbn.network.network import Network

# So many mini-batches, evenly spread over the rows, tell enough.
MOST_BATCHES = 256

# A rate of dropout, which a plan with dropout has to have, that drops nothing.
NO_RATE = 1e-300

# Of the units of a layer, that share has less variance within mini-batches than is reported: what
# tells classes or times apart is in a few units only.
QUANTILE = 0.1


def share_within_batches(network, table, bounds):
    """Variance within mini-batches, divided by that of all rows, in the worst layer.

    Parameters
    ----------
    network : Network
        Normalized, and its running statistics are the exact ones of the rows. Not changed.
    table : Table
        The rows, in the order in which they are trained on.
    bounds : ndarray of shape (n_batches + 1,), intp
        Mini-batch b is the rows ``bounds[b]`` to ``bounds[b + 1]``, at least two.

    Returns
    -------
    share : float
        About 1 for rows in random order, 0 where the rows of a mini-batch are all alike: the
        smallest of all layers, of each a low quantile of its units.
    """
    # A last one of few rows says little.
    full = np.flatnonzero(np.diff(bounds) >= bounds[1] - bounds[0])
    chosen = full[np.linspace(0, len(full) - 1, min(len(full), MOST_BATCHES)).round().astype(int)]
    starts, stops = bounds[chosen], bounds[chosen + 1]
    rows = np.concatenate(
        [np.arange(start, stop) for start, stop in zip(starts, stops, strict=True)]
    )
    sizes = stops - starts
    # Training at a rate of 0 is a walk over the mini-batches that changes the running statistics
    # alone. These begin with the exact ones, of which `left` is left at the end.
    m = len(chosen)
    momentum = 2.0 / (m + 1)
    left = (1.0 - momentum) ** m
    plan = network.plan.copy()
    plan["momentum"][plan["momentum"] >= 0.0] = momentum
    plan["rate"][plan["rate"] > 0.0] = NO_RATE
    walk = Network(
        plan,
        network.loss,
        network.parameters.copy(),
        network.statistics.copy(),
        network.n_batches_tracked,
        network.n_steps_tracked,
    )
    edges = np.append(0, np.cumsum(sizes))
    walk.train(table, optimizer.sgd(), walk.new_moments(), rows, edges, np.zeros(m))
    # The variance of n rows is biased by (n - 1) / n.
    unbiased = np.mean(sizes / (sizes - 1.0))
    shares = [1.0]
    pairs = zip(
        views.running_vars(plan, walk.statistics),
        views.running_vars(network.plan, network.statistics),
        strict=True,
    )
    for walked, exact in pairs:
        varied = exact > 0.0
        if varied.any():
            within = (walked[varied] - left * exact[varied]) / (1.0 - left)
            shares.append(float(np.quantile(unbiased * within / exact[varied], QUANTILE)))
    return min(shares)
