"""The random numbers of a training that goes on in later calls.

An integer ``random_state`` starts a sequence in the first call. Later calls that train the same
network go on in it: the same numbers again would shuffle, and drop out, in the same way each time.
The state is kept as plain arrays and numbers.
"""

from numbers import Integral

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from sklearn.utils import check_random_state


class _NoSeed(ISeedSequence):
    """Zeros instead of a seed, for a generator whose state is about to be set.

    NumPy would ask the system for entropy and spread it, which takes longer than a mini-batch.
    """

    def generate_state(self, n_words, dtype=np.uint32):
        return [0] * n_words


def sequence_of(random_state, kept):
    """What a call draws from.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        The parameter of that name.
    kept : dict or None
        From `kept_of` in the call before, to go on from; ``None`` to start anew.

    Returns
    -------
    sequence : numpy.random.RandomState
        Begun anew also where `random_state` is another integer than before. An instance, and
        NumPy's own of ``None``, go on by themselves.
    """
    if kept is None or kept["seed"] != random_state:
        return check_random_state(random_state)
    return at(kept["state"])


def kept_of(random_state, sequence):
    """What the next call goes on from; ``None`` where there is nothing to keep."""
    if not isinstance(random_state, Integral):
        return None
    return {"seed": int(random_state), "state": place_in(sequence)}


def place_in(sequence):
    """The place that a sequence has come to, as plain arrays and numbers."""
    return sequence.get_state(legacy=False)


def at(place):
    """A sequence that goes on from a place of `place_in`."""
    sequence = np.random.RandomState(np.random.MT19937(_NoSeed()))
    # As a list: NumPy takes the words one by one, and those of an array ten times as slowly.
    words = np.asarray(place["state"]["key"]).tolist()
    sequence.set_state(place | {"state": place["state"] | {"key": words}})
    return sequence
