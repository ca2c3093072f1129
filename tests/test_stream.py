"""A stream of small calls of partial_fit: what a call does once, and what it must not leave out."""

import numpy as np
import pytest

from skbn.estimators import random_sequence, row_parts


def draws(sequence):
    return [
        *sequence.permutation(700),
        sequence.standard_normal(),
        sequence.randint(2**31 - 2),
        *sequence.uniform(size=700),
    ]


@pytest.mark.parametrize("n_drawn", [0, 1, 623, 624, 1000])
def test_a_sequence_goes_on_from_any_of_its_places(n_drawn):
    sequence = np.random.RandomState(3)
    sequence.randint(2**31, size=n_drawn)
    sequence.standard_normal()  # which keeps a second number for the next call
    continued = random_sequence.at(random_sequence.place_in(sequence))
    assert draws(continued) == draws(sequence)


def test_two_sequences_from_one_place_do_not_share_it():
    place = random_sequence.place_in(np.random.RandomState(3))
    first, second = random_sequence.at(place), random_sequence.at(place)
    assert draws(first) == draws(second) == draws(random_sequence.at(place))


def test_threads_are_not_counted_for_one_part(monkeypatch):
    monkeypatch.setattr(row_parts, "available_threads", None)
    assert row_parts.side_by_side(lambda rows: rows.stop, [slice(0, 7)]) == [7]
