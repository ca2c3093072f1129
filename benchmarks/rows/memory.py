"""Peak memory of ``fit`` beyond X and the loaded modules, in a fresh process.

The table is written in place, so making it needs no further memory. A small fit before loads
everything that is loaded only once.
"""

import sys

from benchmarks.child import result_of
from benchmarks.work import OWN, Goal, LeftOut, Measurement, Work

CODE = """
import json, sys
import numpy as np
from skbn import MLPWithBatchNormClassifier
from sklearn.neural_network import MLPClassifier
from benchmarks.networks import AS_UPSTREAM
from benchmarks.rows.memory import peak

common = {"batch_size": 256, "max_iter": 2, "random_state": 0}
if sys.argv[1] == "skbn":
    mlp = MLPWithBatchNormClassifier((256, 256), **AS_UPSTREAM, **common)
else:
    mlp = MLPClassifier((256, 256), **common)
y = np.arange(200_000) % 7
rng = np.random.default_rng(0)
mlp.fit(rng.standard_normal((512, 54)).astype(sys.argv[2]), y[:512])
X = np.empty((len(y), 54), sys.argv[2])
rng.standard_normal(out=X, dtype=X.dtype)
before = peak()
mlp.fit(X, y)
print(json.dumps(peak() - before))
"""


def peak():
    """The largest memory that this process has held, in bytes.

    On Linux `ru_maxrss` also counts the process from which this process was forked. So the record
    of the kernel is read there.
    """
    if sys.platform == "linux":
        with open("/proc/self/status") as file:
            line = next(line for line in file if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(dtype, options, peers):
    """Bytes of both estimators, in turns."""
    if sys.platform not in ("linux", "darwin"):
        raise LeftOut("the peak of a process's memory is read on Linux and macOS only")
    samples = {OWN: [], "sklearn": []}
    for _ in range(min(options.repeats, 3)):
        for side, values in samples.items():
            values.append(result_of(CODE, side, dtype))
    return Measurement(samples, unit="B")


def work(dtype):
    return Work(
        f"peak-memory/{dtype}",
        {"sklearn": Goal("within", 1.0)},
        lambda options, peers: measure(dtype, options, peers),
        is_threaded=False,
    )


WORKS = [work(dtype) for dtype in ("float32", "float64")]
