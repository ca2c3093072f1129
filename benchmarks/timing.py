"""Alternating runs of several sides, so that what disturbs the machine disturbs them all."""

import math
from statistics import median
from time import perf_counter

SAMPLE_SECONDS = 0.05


def loops_needed(run, at_least=SAMPLE_SECONDS, clock=perf_counter):
    """How many calls make a sample of `at_least` seconds; the first call only warms up.

    A call that takes twenty times as long even so is not made again to find out.
    """
    if _seconds(run, 1, clock) >= 20 * at_least:
        return 1
    loops = 1
    while True:
        seconds = _seconds(run, loops, clock)
        if seconds >= at_least:
            return loops
        # A little more than is missing: calls become faster when caches are warm.
        loops = math.ceil(loops * min(100.0, 1.2 * at_least / max(seconds, 1e-9)))


def alternate(runs, repeats, at_least=SAMPLE_SECONDS, clock=perf_counter):
    """Seconds a call of each side, sample by sample, the sides taking turns.

    Parameters
    ----------
    runs : dict of str to callable
        What each side does, without arguments.
    repeats : int
        Samples of each side.
    at_least : float, default=0.05
        Seconds that a sample lasts; a shorter run is repeated within it.
    clock : callable, default=time.perf_counter
        What tells the time.

    Returns
    -------
    samples : dict of str to list of float
    """
    loops = {side: loops_needed(run, at_least, clock) for side, run in runs.items()}
    samples = {side: [] for side in runs}
    for _ in range(repeats):
        for side, run in runs.items():
            samples[side].append(_seconds(run, loops[side], clock) / loops[side])
    return samples


def medians(samples):
    """The median of each side's samples."""
    return {side: median(values) for side, values in samples.items()}


def _seconds(run, loops, clock):
    begin = clock()
    for _ in range(loops):
        run()
    return clock() - begin
