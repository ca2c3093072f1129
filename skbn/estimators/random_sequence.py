"""The random numbers of a training that goes on in later calls.

An integer ``random_state`` starts a sequence in the first call. Later calls that train the same
network go on in it: the same numbers again would shuffle, and drop out, in the same way each time.
The state is kept as plain arrays and numbers.
"""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state


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
    sequence = np.random.RandomState(0)
    sequence.set_state(place)
    return sequence
