"""The time that importing skbn adds to importing scikit-learn's networks, which skbn needs."""

from benchmarks.child import result_of
from benchmarks.work import OWN, Goal, Measurement, Work

CODE = """
import json, time
begin = time.perf_counter()
import sklearn.neural_network
between = time.perf_counter()
import skbn
print(json.dumps([time.perf_counter() - begin, between - begin]))
"""


def measure(options, peers):
    """Both imports, and only scikit-learn's import. A first process fills the disk cache."""
    result_of(CODE)
    both, first = zip(*(result_of(CODE) for _ in range(options.repeats)), strict=True)
    return Measurement({OWN: list(both), "sklearn.neural_network": list(first)})


WORKS = [
    Work("import", {"sklearn.neural_network": Goal("within", 1.2)}, measure, is_threaded=False)
]
