"""How much of the variance of the rows lies within the mini-batches of an order of rows."""

import numpy as np

from skbn.kernels import merging
from skbn.network import aligned, optimizer, views
from skbn.network.operations.normalization import own_steps

# The share is measured on so many mini-batches, spread evenly over the rows.
MOST_BATCHES = 256

# The dropout operations of a plan must have a positive rate. At this rate nothing is dropped.
NO_RATE = 1e-300

# A tenth of the units of a layer have at most the share that is reported. The quantile is low,
# because only a few units of a layer may distinguish classes or times.
QUANTILE = 0.1

# The share of few rows in random order has a wide spread. So many standard errors are added to it.
ERRORS = 3.0


def share_within_batches(network, table, bounds):
    """Variance within mini-batches, divided by the variance of all their rows, in the worst layer.

    Mini-batch b has the rows i with weights w_i, the sum W_b, the mean m_b and the biased variance
    v_b. All mini-batches together have the sum W, the mean m and the biased variance

        V = sum_b W_b (v_b + (m_b - m)^2) / W.

    Both variances are estimated without bias, as in a one-way analysis of variance:

        within = sum_b W_b v_b / sum_b (W_b - sum_i w_i^2 / W_b),
        whole = W V / (W - sum w_i^2 / W).

    For rows in random order the quotient within / whole is 1 on average, for any rows: a single row
    far from the others adds as much to one variance as to the other.

    Parameters
    ----------
    network : Network
        Normalized. Not changed.
    table : Table
        The rows that are trained on are in the order of training.
    bounds : ndarray of shape (n_batches + 1,), intp
        Mini-batch b is these rows from ``bounds[b]`` to ``bounds[b + 1]``, at least two.

    Returns
    -------
    share : float
        At least about 1 for rows in random order, about 0 where the rows of a mini-batch are all
        alike. Each layer and time step has a low quantile of its units, and a standard error that
        normal rows in random order would have; `ERRORS` of them are added. The smallest sum of all
        layers and steps is returned, 1 at most.
    """
    # A last mini-batch of few rows says little.
    full = np.flatnonzero(np.diff(bounds) >= bounds[1] - bounds[0])
    chosen = full[np.linspace(0, len(full) - 1, min(len(full), MOST_BATCHES)).round().astype(int)]
    walk = _walk(network)
    idle, kept, step = optimizer.sgd(), walk.new_moments(), np.zeros(1)
    parts = [
        _Parts(*pair)
        for pair in zip(
            views.running_means(walk.plan, walk.statistics),
            views.running_vars(walk.plan, walk.statistics),
            strict=True,
        )
    ]
    for batch in chosen:
        rows = table.trained_rows[bounds[batch] : bounds[batch + 1]]
        # If a network has no statistics yet, a mini-batch sets its statistics. At a learning rate
        # of 0 nothing else changes.
        walk.forget_statistics()
        walk.train(table, idle, kept, rows, np.array([0, len(rows)]), step)
        for part in parts:
            part.add(*_weights_of_steps(table, rows, len(part.mean)))
    return min(part.share() for part in parts)


def _walk(network):
    # A copy that can be trained on a mini-batch to read the statistics of that mini-batch.
    plan = network.plan.copy()
    plan["rate"][plan["rate"] > 0.0] = NO_RATE
    return network.like(plan, aligned.copy(network.parameters), network.statistics.copy())


def _weights_of_steps(table, rows, n_steps):
    # For each step, the sum of the weights, and the sum of their squares, of the rows that set the
    # statistics of the step; 0 for a step without statistics of its own. If all steps have one set
    # of statistics, each sequence counts once: neighbouring steps are too much alike to count as
    # separate rows.
    weight = table.weight_in_statistics
    weight = np.ones(len(rows)) if weight is None else weight[rows]
    if table.lengths is None:
        return np.array([weight.sum()]), np.array([(weight**2).sum()])
    lengths = table.lengths[rows]
    if n_steps == 1:
        weight = weight * lengths
        return np.array([weight.sum()]), np.array([(weight**2).sum()])
    order = np.argsort(-lengths, kind="stable")
    counts = (lengths > np.arange(lengths.max())[:, np.newaxis]).sum(axis=1)
    own = min(own_steps(counts, weight[order]), n_steps)
    sums, squares = np.zeros(n_steps), np.zeros(n_steps)
    for s in range(own):
        alive = weight[lengths > s]
        sums[s], squares[s] = alive.sum(), (alive**2).sum()
    return sums, squares


class _Parts:
    """Variances of one layer, taken apart mini-batch by mini-batch.

    Parameters
    ----------
    mean, var : ndarray of shape (t, d)
        Views of the statistics of the newest mini-batch.
    """

    def __init__(self, mean, var):
        self.mean, self.var = mean, var
        self.of_all = [np.zeros(mean.size) for _ in range(3)]
        self.within = np.zeros(mean.shape)
        n_steps = len(mean)
        self.weight, self.squares, self.freedom = (np.zeros(n_steps) for _ in range(3))

    def add(self, sums, squares):
        """Add the newest mini-batch; `sums` of weights and of their `squares` have shape (t,)."""
        weight = np.repeat(sums, self.mean.shape[1])
        own = sums > 0.0
        merging.merge(*self.of_all, self.mean.ravel(), self.var.ravel(), weight)
        self.within[own] += sums[own, np.newaxis] * self.var[own]
        self.freedom[own] += sums[own] - squares[own] / sums[own]
        self.weight += sums
        self.squares += squares

    def share(self):
        """The smallest share of a time step with its standard errors, 1 at most."""
        smallest = 1.0
        var = self.of_all[1].reshape(self.mean.shape)
        for s in np.flatnonzero(self.weight):
            varied = var[s] > 0.0
            # Weights w count as (sum w)^2 / sum w^2 rows.
            rows = self.weight[s] ** 2 / self.squares[s]
            freedom = rows * self.freedom[s] / self.weight[s]
            if freedom <= 0.0 or rows - 1.0 <= freedom or not varied.any():
                continue  # a mini-batch of one row, or one mini-batch, or rows that are all alike
            within = self.within[s][varied] / self.freedom[s]
            whole = var[s][varied] * rows / (rows - 1.0)
            error = np.sqrt(2.0 / freedom - 2.0 / (rows - 1.0))
            bound = np.quantile(within / whole, QUANTILE) + ERRORS * error
            smallest = min(smallest, float(bound))
        return smallest
