"""Numbers read off curves: the width of a plateau, where it ends, steps to a target."""

import numpy as np


def mean_and_error(values):
    """Mean and standard error; no error of one value, and no mean of none."""
    values = np.asarray(values, float)
    if len(values) == 0:
        return None, None
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return float(values.mean()), error


def plateau(x, scores, least):
    """Where a curve over a logarithmic axis is `least` or more around its highest point.

    Parameters
    ----------
    x : array-like of shape (n,)
        Positive and increasing.
    scores : array-like of shape (n,)
    least : float

    Returns
    -------
    low, high : float or None
        The ends of the stretch around the first highest point, interpolated linearly over the
        logarithm of x. None for both where no score is `least`.
    """
    logs, scores = np.log10(np.asarray(x, float)), np.asarray(scores, float)
    best = int(scores.argmax())
    if scores[best] < least:
        return None, None
    first = last = best
    while first > 0 and scores[first - 1] >= least:
        first -= 1
    while last < len(scores) - 1 and scores[last + 1] >= least:
        last += 1
    low, high = logs[first], logs[last]
    if first > 0:
        low = _crossing(logs, scores, first - 1, first, least)
    if last < len(scores) - 1:
        high = _crossing(logs, scores, last + 1, last, least)
    return float(10**low), float(10**high)


def _crossing(logs, scores, below, above, least):
    share = (scores[above] - least) / (scores[above] - scores[below])
    return logs[above] + share * (logs[below] - logs[above])


def decades(low, high):
    """Width in decades; 0 where there is no plateau."""
    return 0.0 if low is None else float(np.log10(high / low))


def end_of_training(x, scores, lost):
    """The least x above the highest score at which half of the runs are lost; None if none is.

    `lost` is the share of runs that are lost at each x.
    """
    best = int(np.argmax(scores))
    if lost[best] >= 0.5:
        return None
    above = [float(x[i]) for i in range(best + 1, len(x)) if lost[i] >= 0.5]
    return above[0] if above else None


def first_step(steps, values, target, *, falling=False):
    """The first recorded step at which a curve has reached `target`; None if it never does."""
    values = np.asarray(values, float)
    reached = values <= target if falling else values >= target
    return int(np.asarray(steps)[reached.argmax()]) if reached.any() else None
