"""The random numbers of a training that goes on in later calls.

An integer ``random_state`` starts a sequence in the first call. Later calls that train the same
network go on in it: the same numbers again would shuffle, and drop out, in the same way each time.
The state is kept as plain arrays and numbers.
"""

import threading
from numbers import Integral

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from sklearn.utils import check_random_state


class _Latest(threading.local):
    """The place that the last call of this thread has kept, and the sequence that is there.

    The next call of a stream mostly goes on from that place. It takes the sequence, which nobody
    draws from in between: setting up another one takes a third of the time of a training step.
    """

    # One attribute, so that Ctrl-C never leaves a place beside the sequence of another.
    kept = (None, None)


_latest = _Latest()


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
    """What the next call goes on from; ``None`` where there is nothing to keep.

    Nobody may draw from `sequence` after that.
    """
    if not isinstance(random_state, Integral):
        return None
    place = place_in(sequence)
    _latest.kept = (place, sequence)
    return {"seed": int(random_state), "state": place}


def place_in(sequence):
    """The place that a sequence has come to, as plain arrays and numbers."""
    return sequence.get_state(legacy=False)


def at(place):
    """A sequence that goes on from a place of `place_in`."""
    latest, sequence = _latest.kept
    if sequence is not None and place is latest:
        # Whoever comes to this place again gets a sequence of its own.
        _latest.kept = (None, None)
        return sequence
    sequence = np.random.RandomState(np.random.MT19937(_NoSeed()))
    # As a list: NumPy takes the words one by one, and takes ten times as long for an array.
    words = np.asarray(place["state"]["key"]).tolist()
    sequence.set_state(place | {"state": place["state"] | {"key": words}})
    return sequence
