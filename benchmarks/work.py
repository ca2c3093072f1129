"""Works to compare: their sides, their goals, and checks that the sides do the same."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.timing import alternate

OWN = "skbn"


class LeftOut(Exception):
    """The reason why something cannot be measured on this machine, in one line."""


@dataclass(frozen=True)
class Options:
    """The options of the command that a measurement depends on."""

    repeats: int = 5
    runs: int = 1
    data: Path | None = None
    wheel: Path | None = None


@dataclass(frozen=True)
class Goal:
    """A bound for a ratio of costs. Without a bound, the ratio is only reported.

    Attributes
    ----------
    kind : {"faster", "within"}
        ``"faster"``: the cost of the peer divided by our cost is at least `bound`. ``"within"``:
        our cost divided by the cost of the peer is at most `bound`.
    bound : float or None
    """

    kind: str
    bound: float | None = None

    def ratio(self, own, peer):
        """The ratio of the two costs that the goal bounds."""
        return peer / own if self.kind == "faster" else own / peer

    def is_met(self, ratio, spread=0.0):
        """Whether a ratio meets the bound within a spread; None if there is no bound."""
        if self.bound is None:
            return None
        if self.kind == "faster":
            return ratio + spread >= self.bound
        return ratio - spread <= self.bound

    def __str__(self):
        if self.bound is None:
            return "(report)"
        return f"{'>=' if self.kind == 'faster' else '<='} {self.bound:g}"


class Check(NamedTuple):
    """The difference between the results of two sides, and the largest allowed difference."""

    what: str
    difference: float
    tolerance: float

    @property
    def holds(self):
        return bool(self.difference <= self.tolerance)  # false for NaN


def compared(what, actual, expected, tolerance):
    """A check of the largest difference, relative to the largest expected number."""
    actual = np.concatenate([np.ravel(array) for array in actual]).astype(np.float64)
    expected = np.concatenate([np.ravel(array) for array in expected]).astype(np.float64)
    difference = np.abs(actual - expected).max() / np.abs(expected).max()
    return Check(what, float(difference), tolerance)


@dataclass
class Measurement:
    """The costs of each side, sample by sample.

    Attributes
    ----------
    samples : dict of str to list of float
        Samples of each side. Our side is `OWN`.
    checks : dict of str to Check
        Check of each peer.
    unit : {"s", "B"}
        Seconds or bytes.
    left_out : dict of str to str
        Peers that could not be measured, with the reasons.
    """

    samples: dict
    checks: dict = field(default_factory=dict)
    unit: str = "s"
    left_out: dict = field(default_factory=dict)


@dataclass
class Sides:
    """The callables that the sides of a timed work run.

    Attributes
    ----------
    runs : dict of str to callable
        The callable of each side. One call does `steps` units of the work.
    checks, left_out : dict
        As in `Measurement`.
    deducted : dict of str to str
        For a side, the name of a run whose time is measured and subtracted, because the side must
        do it beside the work.
    """

    runs: dict
    steps: int = 1
    checks: dict = field(default_factory=dict)
    left_out: dict = field(default_factory=dict)
    deducted: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """One work and its peers. Each peer is a row of the table.

    Attributes
    ----------
    name : str
        The name of a row is ``name/peer``.
    goals : dict of str to Goal
        Goal of each peer.
    measure : callable
        Function of `Options` and the names of the wanted peers. It returns a `Measurement`.
    is_threaded : bool
        Whether a measurement on more than one thread makes sense.
    """

    name: str
    goals: dict
    measure: Callable
    is_threaded: bool = True


def timed(prepare, *arguments, most_repeats=None):
    """The `measure` of a work. ``prepare(*arguments, options, peers)`` makes its sides."""
    return partial(_measure_time, partial(prepare, *arguments), most_repeats)


def _measure_time(prepare, most_repeats, options, peers):
    sides = prepare(options, peers)
    unwanted = set(sides.runs) - {OWN, *peers, *sides.deducted.values()}
    runs = {side: run for side, run in sides.runs.items() if side not in unwanted}
    samples = alternate(runs, min(options.repeats, most_repeats or options.repeats))
    for side, beside in sides.deducted.items():
        samples[side] = [a - b for a, b in zip(samples[side], samples.pop(beside), strict=True)]
    samples = {
        side: [seconds / sides.steps for seconds in values] for side, values in samples.items()
    }
    return Measurement(samples, sides.checks, left_out=sides.left_out)
