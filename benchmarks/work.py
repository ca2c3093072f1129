"""What is compared: works, their sides, the goals, and proof that the sides do the same."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.timing import alternate

OWN = "skbn"


class LeftOut(Exception):
    """Why something cannot be measured here, in one line."""


@dataclass(frozen=True)
class Options:
    """What the command was asked for, as far as a measurement depends on it."""

    repeats: int = 5
    runs: int = 1
    data: Path | None = None
    wheel: Path | None = None


@dataclass(frozen=True)
class Goal:
    """A bound for a ratio of costs; without one, the ratio is only reported.

    Attributes
    ----------
    kind : {"faster", "within"}
        ``"faster"``: the peer's cost over ours is at least `bound`. ``"within"``: ours over the
        peer's is at most `bound`.
    bound : float or None
    """

    kind: str
    bound: float | None = None

    def ratio(self, own, peer):
        """The two costs as the ratio that the goal speaks of."""
        return peer / own if self.kind == "faster" else own / peer

    def is_met(self, ratio, spread=0.0):
        """Whether a ratio is good enough, give or take a spread; None where nothing was asked."""
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
    """How far apart two sides are, and how far they may be."""

    what: str
    difference: float
    tolerance: float

    @property
    def holds(self):
        return bool(self.difference <= self.tolerance)  # not where it is not a number


def compared(what, actual, expected, tolerance):
    """Check of the largest difference, relative to the largest expected number."""
    actual = np.concatenate([np.ravel(array) for array in actual]).astype(np.float64)
    expected = np.concatenate([np.ravel(array) for array in expected]).astype(np.float64)
    difference = np.abs(actual - expected).max() / np.abs(expected).max()
    return Check(what, float(difference), tolerance)


@dataclass
class Measurement:
    """What each side costs, sample by sample.

    Attributes
    ----------
    samples : dict of str to list of float
        By side; `OWN` is among them.
    checks : dict of str to Check
        By peer.
    unit : {"s", "B"}
        Seconds or bytes.
    left_out : dict of str to str
        Peers that could not be measured, and why.
    """

    samples: dict
    checks: dict = field(default_factory=dict)
    unit: str = "s"
    left_out: dict = field(default_factory=dict)


@dataclass
class Sides:
    """What the sides of a timed work run.

    Attributes
    ----------
    runs : dict of str to callable
        By side; one call is `steps` units of the work.
    checks, left_out : dict
        As in `Measurement`.
    deducted : dict of str to str
        What a side cannot help doing beside the work, which is timed and taken off.
    """

    runs: dict
    steps: int = 1
    checks: dict = field(default_factory=dict)
    left_out: dict = field(default_factory=dict)
    deducted: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """One work and those it is compared with; each of them is a row of the table.

    Attributes
    ----------
    name : str
        A row is called ``name/peer``.
    goals : dict of str to Goal
        By peer.
    measure : callable
        From `Options` and the names of the peers wanted to a `Measurement`.
    is_threaded : bool
        Whether it is worth measuring on more than one thread.
    """

    name: str
    goals: dict
    measure: Callable
    is_threaded: bool = True


def timed(prepare, *arguments, most_repeats=None):
    """The `measure` of a work whose sides are made by ``prepare(*arguments, options, peers)``."""
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
