"""The random numbers of a training that later calls continue.

An integer ``random_state`` starts a sequence in the first call. Later calls that train the same
network continue this sequence. If each call started the sequence again, each call would shuffle the
rows, and drop units, in the same way. The state is kept as plain arrays and numbers.
"""

import threading
from numbers import Integral

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from sklearn.utils import check_random_state


class _Latest(threading.local):
    """The position that the last call of this thread has kept, and the sequence at this position.

    The next call of a stream mostly continues from this position. It takes this sequence, from
    which nobody draws in between. To set up another sequence would take a third of the time of a
    training step.
    """

    # One attribute, so that Ctrl-C never leaves a position with the sequence of another position.
    kept = (None, None)


_latest = _Latest()


class _NoSeed(ISeedSequence):
    """Zeros instead of a seed, for a generator whose state is about to be set.

    With a seed NumPy would ask the system for entropy, which takes longer than a mini-batch.
    """

    def generate_state(self, n_words, dtype=np.uint32):
        return [0] * n_words


def sequence_of(random_state, kept):
    """The sequence from which a call draws.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        The parameter of that name.
    kept : dict or None
        The result of `kept_of` in the earlier call, to continue the sequence. ``None``: a new
        sequence.

    Returns
    -------
    sequence : numpy.random.RandomState
        A new sequence also if `random_state` is another integer than before. An instance, and the
        global instance of NumPy for ``None``, continue by themselves.
    """
    if kept is None or kept["seed"] != random_state:
        return check_random_state(random_state)
    return at(kept["state"])


def shared(sequence, processes):
    """The sequence of the first process, for all processes."""
    if not processes.is_parallel:
        return sequence
    place, *_ = processes.gathered(lambda: place_in(sequence) if processes.rank == 0 else None)
    return sequence if processes.rank == 0 else at(place)


def of_process(sequence, rank):
    """The sequence of process `rank`, which is independent of the sequences of other processes.

    `sequence` is the sequence that all processes have in common up to here.
    """
    words = place_in(sequence)["state"]["key"]
    seed = np.random.SeedSequence(words.tolist(), spawn_key=(rank,))
    return np.random.RandomState(np.random.MT19937(seed))


def kept_of(random_state, sequence):
    """The state from which the next call continues; ``None`` if there is nothing to keep.

    Nobody may draw from `sequence` afterwards.
    """
    if not isinstance(random_state, Integral):
        return None
    place = place_in(sequence)
    _latest.kept = (place, sequence)
    return {"seed": int(random_state), "state": place}


def place_in(sequence):
    """The position of a sequence, as plain arrays and numbers."""
    return sequence.get_state(legacy=False)


def at(place):
    """A sequence that continues from a position of `place_in`."""
    latest, sequence = _latest.kept
    if sequence is not None and place is latest:
        # A second call from the same position gets another sequence.
        _latest.kept = (None, None)
        return sequence
    sequence = np.random.RandomState(np.random.MT19937(_NoSeed()))
    # A list, because NumPy reads the words one by one, which takes ten times as long for an array.
    words = np.asarray(place["state"]["key"]).tolist()
    sequence.set_state(place | {"state": place["state"] | {"key": words}})
    return sequence
