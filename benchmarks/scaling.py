"""How the cost of skbn grows with rows, time steps, features, units, layers and batches.

    python -m benchmarks.scaling
    python -m benchmarks.scaling --repeats 3 --output build/benchmarks

One size (an *axis*) grows while all other sizes stay, on one thread. The exponent is the slope of
the line through the logarithms of sizes and median times, by least squares: 1 is linear, and less
is better. The fixed cost of a call flattens this line, so the upper half of the sizes also has its
own exponent. The verdict is about rows, batches and time steps: for these no growth may be worse
than linear. The products of two hidden layers grow with the square of their units.
"""

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import report
from benchmarks.growth import exponent
from benchmarks.networks import AS_UPSTREAM
from benchmarks.timing import alternate, medians
from skbn import (
    BatchNormTransformer,
    MLPWithBatchNormClassifier,
    RNNWithBatchNormClassifier,
)

# The largest exponents that count as linear. They are above 1, because noise and the limits of
# caches change a slope. The slope of the few upper sizes changes more.
LINEAR, LINEAR_ABOVE = 1.1, 1.25
CLASSES = 7
COLUMNS = "{:<36} {:<16} {:>9} {:>11}  {:<9} {}"


@dataclass
class Axis:
    """A size that grows, and the costs that were measured.

    Attributes
    ----------
    name : str
        Name of the work and of the size that grows.
    sizes : tuple of int
        The values of the size.
    make : callable
        A function of a size. It returns the work to time, a callable without arguments.
    must_be_linear : bool
        Whether an exponent above 1 is worse than expected.
    costs : list of float
        Median seconds, by size.
    """

    name: str
    sizes: tuple
    make: object
    must_be_linear: bool = False
    costs: list = field(default_factory=list)

    @property
    def exponent(self):
        return exponent(self.sizes, self.costs)

    @property
    def exponent_above(self):
        half = len(self.sizes) // 2
        return exponent(self.sizes[half:], self.costs[half:])

    @property
    def verdict(self):
        if not self.must_be_linear:
            return "-"
        is_linear = self.exponent <= LINEAR and self.exponent_above <= LINEAR_ABOVE
        return "linear" if is_linear else "WORSE"

    def measure(self, repeats):
        """Time all sizes, in turns."""
        runs = {size: self.make(size) for size in self.sizes}
        middle = medians(alternate(runs, repeats))
        self.costs = [middle[size] for size in self.sizes]


def table(n, n_features):
    """Noise and class numbers."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, n_features), dtype=np.float32)
    return X, np.arange(n) % CLASSES


def epoch(n=8192, n_features=32, units=64, layers=2, batch_size=128):
    """One epoch of training, as ``partial_fit`` does it."""
    X, y = table(n, n_features)
    mlp = MLPWithBatchNormClassifier(
        (units,) * layers, batch_size=batch_size, random_state=0, **AS_UPSTREAM
    )
    classes = np.arange(CLASSES)
    return lambda: mlp.partial_fit(X, y, classes=classes)


def step(batch_size):
    """An epoch of sixteen batches, which costs sixteen steps."""
    return epoch(n=16 * batch_size, batch_size=batch_size)


def sequences(n_steps):
    """Mini-batches of sequences, and class numbers."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((256, n_steps, 9), dtype=np.float32)
    return X, np.arange(len(X)) % CLASSES


def recurrent_epoch(n_steps):
    """Four mini-batches of a recurrent network, as ``partial_fit`` does them."""
    X, y = sequences(n_steps)
    rnn = RNNWithBatchNormClassifier((64,), batch_size=64, random_state=0)
    classes = np.arange(CLASSES)
    return lambda: rnn.partial_fit(X, y, classes=classes)


def recurrent_prediction(n_steps):
    """Probabilities of sequences."""
    X, y = sequences(n_steps)
    rnn = RNNWithBatchNormClassifier((64,), batch_size=64, random_state=0)
    rnn.partial_fit(X, y, classes=np.arange(CLASSES))
    return lambda: rnn.predict_proba(X)


def prediction(n):
    """Probabilities of rows."""
    X, y = table(n, 32)
    mlp = MLPWithBatchNormClassifier((64, 64), batch_size=200, random_state=0, **AS_UPSTREAM)
    mlp.partial_fit(X[:1024], y[:1024], classes=np.arange(CLASSES))
    return lambda: mlp.predict_proba(X)


def moments(n):
    """The transformer's statistics of rows."""
    X, _ = table(n, 32)
    return lambda: BatchNormTransformer().partial_fit(X)


def transformed(n):
    """Rows through the transformer."""
    X, _ = table(n, 32)
    transformer = BatchNormTransformer().fit(X)
    return lambda: transformer.transform(X)


def axes():
    """All axes."""
    rows = tuple(2**k for k in range(12, 19))
    sizes = tuple(2**k for k in range(4, 11))
    return [
        Axis("MLP partial_fit, rows", rows, lambda n: epoch(n=n), True),
        Axis("MLP training step, rows of a batch", sizes, step, True),
        Axis("MLP predict_proba, rows", rows, prediction, True),
        Axis("transformer partial_fit, rows", rows, moments, True),
        Axis("transformer transform, rows", rows, transformed, True),
        Axis("RNN partial_fit, time steps", sizes, recurrent_epoch, True),
        Axis("RNN predict_proba, time steps", sizes, recurrent_prediction, True),
        Axis("MLP partial_fit, features", sizes, lambda d: epoch(n_features=d)),
        Axis("MLP partial_fit, units", sizes[:-1], lambda d: epoch(units=d)),
        Axis("MLP partial_fit, layers", (1, 2, 4, 8, 16), lambda k: epoch(layers=k)),
    ]


def main(argv=None):
    """Measure, print, write; return 1 if an axis that must be linear is worse than linear."""
    arguments = argument_parser().parse_args(argv)
    columns = "cost of, over", "sizes", "exponent", "upper half", "verdict", "smallest, largest"
    print(COLUMNS.format(*columns))
    walked = []
    with threadpool_limits(1):
        for axis in axes():
            axis.measure(arguments.repeats)
            walked.append(axis)
            print(line(axis), flush=True)
    write(arguments.output, walked)
    print(f"written to {arguments.output}")
    return int(any(axis.verdict == "WORSE" for axis in walked))


def argument_parser():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--repeats", type=int, default=5, help="samples a size (default: 5)")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("build/benchmarks"),
        help="directory of scaling.json and scaling.png (default: build/benchmarks)",
    )
    return parser


def line(axis):
    """One axis as text."""
    ends = ", ".join(report.quantity(cost, "s") for cost in (axis.costs[0], axis.costs[-1]))
    sizes = f"{axis.sizes[0]} to {axis.sizes[-1]}"
    exponents = f"{axis.exponent:.2f}", f"{axis.exponent_above:.2f}"
    return COLUMNS.format(axis.name, sizes, *exponents, axis.verdict, ends)


def write(directory, walked):
    """JSON and figure."""
    from matplotlib.figure import Figure

    directory.mkdir(parents=True, exist_ok=True)
    found = []
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.add_subplot()
    for axis in walked:
        values = {name: value for name, value in vars(axis).items() if name != "make"}
        results = ("exponent", "exponent_above", "verdict")
        found.append(values | {name: getattr(axis, name) for name in results})
        label = f"{axis.name}: {axis.exponent:.2f}"
        axes.loglog(axis.sizes, axis.costs, marker="o", label=label)
    axes.set_xlabel("size")
    axes.set_ylabel("seconds")
    figure.legend(title="exponent", fontsize="small", loc="outside right upper")
    figure.savefig(directory / "scaling.png")
    content = {"machine": report.machine(), "axes": found}
    text = json.dumps(content, indent=1) + "\n"
    (directory / "scaling.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
