"""The size of a wheel."""

from benchmarks.work import OWN, Goal, LeftOut, Measurement, Work

LIMIT = 5_000_000


def measure(options, peers):
    """Bytes of the file given by ``--wheel``."""
    if options.wheel is None:
        raise LeftOut("no --wheel was given")
    return Measurement({OWN: [options.wheel.stat().st_size], "5 MB": [LIMIT]}, unit="B")


WORKS = [Work("wheel", {"5 MB": Goal("within", 1.0)}, measure, is_threaded=False)]
