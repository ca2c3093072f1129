"""The temperature of a classifier: how far its probabilities are drawn towards the class prior.

A network that has learned its training rows by heart is too sure of other rows. Let z be the raw
outputs, log pi the raw outputs that give the prior of the training classes, and T the temperature.
The calibrated outputs are log pi + (z - log pi) / T. The temperature is chosen so that their
probabilities fit held-out rows best (Guo et al. 2017, "On calibration of modern neural networks",
section 4.2, where log pi is 0). For T to infinity the probabilities become the prior.

A few held-out rows may fit a network well by chance. So a penalty is added to the log loss of the
held-out rows: the root mean square of (z - log pi) / T, as if it had an exponential distribution
with the mean 1. The penalty counts as much as one row. The log loss and the penalty are convex in
1 / T, because the outputs are affine in 1 / T.
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, log_softmax, softmax

from skbn.network.processes import ONE_PROCESS

# Limits of 1 / T. The upper limit 1 keeps calibration from making a network more sure. At the lower
# limit the outputs are divided by 100, and still rank rows.
FLATTEST, STEEPEST = 0.01, 1.0

# The share of T - 1 that the mean of infinitely many networks does not need: docs/decisions.rst.
SHARE_OF_ONE_NETWORK = 0.4

# Precision of 1 / T. The loss differs by about the square of this number.
PRECISION = 1e-4


def prior_outputs(targets, sample_weight, n_outputs, processes=ONE_PROCESS):
    """The raw outputs that give the prior of the training rows, shape (n_outputs,).

    Parameters
    ----------
    targets : ndarray of shape (n, n_targets)
        Numbers of the classes if there are more classes than two; otherwise 0 or 1 for each output.
    sample_weight : ndarray of shape (n,) or None
    n_outputs : int
    processes : OneProcess or Processes, default=ONE_PROCESS
        The processes whose rows count together.
    """
    weight = np.ones(len(targets)) if sample_weight is None else sample_weight
    n = processes.total(len(targets))
    # A class without rows would have the prior 0. It gets half the share of one row instead.
    least = 0.5 / n
    if n_outputs > targets.shape[1]:
        counts = np.bincount(targets[:, 0].astype(np.intp), weight, minlength=n_outputs)
        shares = np.maximum(processes.total(counts) / processes.total(weight.sum()), least)
        return np.log(shares / shares.sum())
    shares = processes.total(weight @ targets) / processes.total(weight.sum())
    shares = np.clip(shares, least, 1.0 - least)
    return np.log(shares) - np.log1p(-shares)


def tempered(z, prior, temperature):
    """Raw outputs after calibration, which moves them towards the outputs of the prior."""
    return prior + (z - prior) / temperature


def row_losses(z, targets):
    """The log loss of each row of raw outputs, shape (n,). Several labels are summed."""
    if z.shape[1] > targets.shape[1]:
        rows = np.arange(len(z))
        return -log_softmax(z, axis=1)[rows, targets[:, 0].astype(np.intp)]
    return (np.logaddexp(0.0, z) - targets * z).sum(axis=1)


def effective_rows(n, sample_weight, processes=ONE_PROCESS):
    """The number of equally weighted rows that n weighted rows count as: (sum w)^2 / sum w^2.

    Kish (1965), "Survey sampling", section 11.7.
    """
    if sample_weight is None:
        return processes.total(n)
    # The largest weight is divided out, so that no square leaves the range of float64.
    weight = sample_weight / processes.largest(sample_weight.max(initial=0.0))
    return processes.total(weight.sum()) ** 2 / processes.total((weight**2).sum())


def fitted_temperature(z, targets, prior, sample_weight=None, processes=ONE_PROCESS):
    """The temperature from 1 to 100 with the smallest penalized log loss of held-out rows.

    Parameters
    ----------
    z : ndarray of shape (n, n_outputs), float64
        Raw outputs; finite.
    targets : ndarray of shape (n, n_targets)
        As in `prior_outputs`.
    prior : ndarray of shape (n_outputs,)
        From `prior_outputs`.
    sample_weight : ndarray of shape (n,), default=None
    processes : OneProcess or Processes, default=ONE_PROCESS
        The processes whose rows count together.
    """
    away = z - prior
    if z.shape[1] > targets.shape[1]:
        # The probabilities of a softmax do not depend on the mean of its outputs.
        away = away - away.mean(axis=1, keepdims=True)
        of_class = away[np.arange(len(z)), targets[:, 0].astype(np.intp)]

        def slopes(steepness):
            chances = softmax(prior + steepness * away, axis=1)
            return (chances * away).sum(axis=1) - of_class

    else:

        def slopes(steepness):
            return ((expit(prior + steepness * away) - targets) * away).sum(axis=1)

    mean_square = processes.total((away**2).sum()) / processes.total(away.size)
    penalty = np.sqrt(mean_square) / effective_rows(len(z), sample_weight, processes)

    def slope(steepness):
        return processes.average(slopes(steepness), sample_weight) + penalty

    if slope(STEEPEST) <= 0.0:
        return 1.0 / STEEPEST
    if slope(FLATTEST) >= 0.0:
        return 1.0 / FLATTEST
    return 1.0 / brentq(slope, FLATTEST, STEEPEST, xtol=PRECISION)


def temperature_of_a_mean(temperature, n_members):
    """The temperature of the mean of several networks, from the temperature of one network.

    A network is too sure for two reasons. All networks learn the same training rows by heart; and
    each network differs from the others by chance. The mean of M networks keeps a share 1 / M of
    the variance by chance. So the part of T - 1 that is due to chance shrinks to 1 / M.
    """
    chance = SHARE_OF_ONE_NETWORK * (1.0 - 1.0 / n_members)
    return 1.0 + (temperature - 1.0) * (1.0 - chance)
