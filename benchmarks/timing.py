"""Alternating runs of several sides, so that a disturbance of the machine affects all sides."""

import math
from statistics import median
from time import perf_counter

SAMPLE_SECONDS = 0.05


def loops_needed(run, at_least=SAMPLE_SECONDS, clock=perf_counter):
    """How many calls make a sample of `at_least` seconds; the first call only warms up.

    If the first call takes twenty times `at_least`, the answer is 1 without a further call.
    """
    if _seconds(run, 1, clock) >= 20 * at_least:
        return 1
    loops = 1
    while True:
        seconds = _seconds(run, loops, clock)
        if seconds >= at_least:
            return loops
        # A little more than the estimate, because calls become faster when caches are warm.
        loops = math.ceil(loops * min(100.0, 1.2 * at_least / max(seconds, 1e-9)))


def alternate(runs, repeats, at_least=SAMPLE_SECONDS, clock=perf_counter):
    """Seconds of a call of each side, sample by sample. The sides take turns.

    Parameters
    ----------
    runs : dict of str to callable
        The work of each side, a callable without arguments.
    repeats : int
        Samples of each side.
    at_least : float, default=0.05
        Shortest duration of a sample in seconds. A shorter run is repeated within the sample.
    clock : callable, default=time.perf_counter
        Function that returns the time.

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
