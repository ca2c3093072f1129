"""``partial_fit`` on a stream of rows, one mini-batch of 200 rows in each call.

``stream/one-batch`` is such a call after the first calls, with the checks of the data and the
shuffling. Our network has batch norm and standardizes the columns. scikit-learn's network does
neither. Each call gets a different mini-batch, which was split off before.
``stream/one-batch-default`` is the same with the defaults of both estimators, whose networks
differ.

``stream/beside-steps`` is the time that a call over 200 mini-batches takes outside of
``Network.train``, which runs the steps, divided by the number of mini-batches. Its peer is a fixed
number of microseconds.
"""

from functools import partial
from time import perf_counter
from unittest.mock import patch

import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmarks.networks import AS_UPSTREAM, SMALL
from benchmarks.rows.training_step import estimators, same_partial_fit
from benchmarks.timing import alternate
from benchmarks.work import OWN, Goal, Measurement, Sides, Work, timed
from skbn import MLPWithBatchNormClassifier
from skbn.network.network import Network

TRAINING = SMALL[0]
BESIDE_STEPS = 6e-6


def explicit():
    """Our estimator and scikit-learn's, of the same sizes. Both shuffle."""
    normalize = AS_UPSTREAM["normalize_input"]
    return estimators(TRAINING, normalize_input=normalize, shuffle=True)


def default():
    """Both estimators with their defaults."""
    return MLPWithBatchNormClassifier(random_state=0), MLPClassifier(random_state=0)


def one_batch_sides(make, options, peers):
    """Calls of ``partial_fit`` of both estimators, one for each mini-batch."""
    X, y = TRAINING.rows()
    classes = np.unique(y)
    batches = [
        (X[start : start + TRAINING.batch_size], y[start : start + TRAINING.batch_size])
        for start in range(0, len(y), TRAINING.batch_size)
    ]

    def stream(estimator):
        for rows, labels in batches:
            estimator.partial_fit(rows, labels, classes=classes)

    own, theirs = make()
    sides = Sides(
        {OWN: partial(stream, own), "sklearn": partial(stream, theirs)}, steps=len(batches)
    )
    if make is explicit:
        sides.checks["sklearn"] = same_partial_fit(TRAINING, np.float32)
    return sides


def measure_beside_steps(options, peers):
    """Seconds of a call without the seconds of its ``Network.train``, for each mini-batch."""
    X, y = TRAINING.rows()
    own, _ = explicit()
    own.partial_fit(X, y, classes=np.unique(y))
    train, seconds = Network.train, []

    def timed_train(*arguments):
        begin = perf_counter()
        try:
            return train(*arguments)
        finally:
            seconds.append(perf_counter() - begin)

    # This clock stands still while ``Network.train`` runs steps.
    def clock():
        return perf_counter() - sum(seconds)

    with patch.object(Network, "train", timed_train):
        samples = alternate({OWN: lambda: own.partial_fit(X, y)}, options.repeats, clock=clock)
    beside = [value / TRAINING.n_batches for value in samples[OWN]]
    return Measurement({OWN: beside, "6 us": [BESIDE_STEPS]})


WORKS = [
    Work("stream/one-batch", {"sklearn": Goal("faster", 4)}, timed(one_batch_sides, explicit)),
    Work("stream/one-batch-default", {"sklearn": Goal("faster")}, timed(one_batch_sides, default)),
    Work("stream/beside-steps", {"6 us": Goal("within", 1.0)}, measure_beside_steps),
]
