"""On paper: the speed of a data-parallel fit with up to hundreds of workers.

    python -m benchmarks.scaling_model

Nothing is measured. A step of W workers costs ``compute / W + messages``:

- compute: 6 floating point operations for each parameter and row (2 forward, 4 backward), at
  100 Gflop/s, which one core reaches in large products of float32 matrices;
- messages: 2 for each batch norm (forward with 3 numbers for each unit, backward with 2), and 1 for
  all gradients, in float64.

A star sends all numbers through the first worker, one worker after the other, as the communicator
of `skbn.dask` does. The algorithm of Rabenseifner takes 2 log2(W) hops and sends 2 (W - 1) / W of
the numbers, as MPI does for long messages (Thakur, Rabenseifner and Gropp 2005). The tables of
docs/guide/cluster.rst are the output.
"""

import sys
from dataclasses import dataclass, replace
from math import ceil, log2

FLOPS = 1e11
WORKERS = 2, 8, 32, 128, 512
# A worker with fewer rows of a mini-batch multiplies more slowly.
ROWS_OF_WORKER = 32


@dataclass(frozen=True)
class Work:
    """The work and the numbers of one step.

    Attributes
    ----------
    units : tuple of int
        Units of each hidden layer. Each hidden layer has a batch norm.
    n_parameters : int
        All trained parameters.
    n_rows : int
        Rows of a mini-batch, over all workers.
    gradient_bytes : int
        Bytes of a gradient in a message.
    shares_statistics : bool
        Whether batch norm has the statistics of the rows of all workers.
    period : int
        Steps between two messages with gradients, or with parameters.
    """

    units: tuple
    n_parameters: int
    n_rows: int
    gradient_bytes: int = 8
    shares_statistics: bool = True
    period: int = 1

    def compute(self):
        """Seconds of a step in one worker that has all rows."""
        return 6.0 * self.n_parameters * self.n_rows / FLOPS

    def messages(self):
        """Bytes of each message, and how often it is sent in a step."""
        messages = [(self.gradient_bytes * (self.n_parameters + 2), 1.0 / self.period)]
        if self.shares_statistics:
            messages += [(8 * n * n_units, 1.0) for n_units in self.units for n in (3, 2)]
        return messages


@dataclass(frozen=True)
class Star:
    """All numbers go to the first worker and back.

    Attributes
    ----------
    latency : float
        Seconds from worker to worker.
    handling : float
        Seconds that the first worker spends for each other worker.
    rate : float
        Bytes a second.
    """

    latency: float
    handling: float
    rate: float

    def seconds(self, size, workers):
        """Seconds of a sum of arrays of so many bytes."""
        others = workers - 1
        return 2 * self.latency + others * (self.handling + 2 * size / self.rate)


@dataclass(frozen=True)
class Rabenseifner:
    """All workers add up parts of the numbers, and then exchange the parts."""

    latency: float
    rate: float

    def seconds(self, size, workers):
        """Seconds of a sum of arrays of so many bytes."""
        hops = 2 * ceil(log2(workers))
        return hops * self.latency + 2 * (workers - 1) / workers * size / self.rate


NETWORKS = {
    "80-80-80": Work((80, 80, 80), 22_230, 4096),
    "256-256": Work((256, 256), 81_980, 4096),
    "1024-1024": Work((1024, 1024), 1_165_422, 4096),
}
COMMUNICATORS = {
    "Dask, 10 Gbit/s": Star(latency=30e-6, handling=20e-6, rate=1.25e9),
    "MPI, 10 Gbit/s": Rabenseifner(latency=30e-6, rate=1.25e9),
    "MPI, InfiniBand": Rabenseifner(latency=2e-6, rate=12.5e9),
}
# Ways to send less, which skbn does not have. The last keeps the first one.
VARIANTS = {
    "as it is": {},
    "gradients in float32": {"gradient_bytes": 4},
    "statistics of each worker's own rows": {"shares_statistics": False},
    "local SGD: own rows, average of every 8th step": {"shares_statistics": False, "period": 8},
}


def exchange(work, communicator, workers):
    """Seconds in the messages of a step."""
    if workers == 1:
        return 0.0
    return sum(often * communicator.seconds(size, workers) for size, often in work.messages())


def speed(work, communicator, workers):
    """Steps in the time of one step of one worker that has all rows."""
    step = work.compute() / workers + exchange(work, communicator, workers)
    return work.compute() / step


def most_efficient(work, communicator, efficiency=0.5):
    """The most workers of which each has at least this share of the speed of one worker alone."""
    return max(
        workers
        for workers in range(1, most_workers(work) + 1)
        if speed(work, communicator, workers) >= efficiency * workers
    )


def most_workers(work):
    """The most workers that still have products of matrices, not of vectors."""
    return work.n_rows // ROWS_OF_WORKER


def speeds():
    """Lines: a network, its rows, a communicator, speeds, the most workers at half the speed."""
    for name, work in NETWORKS.items():
        for n_rows in (4096, 65_536):
            for connection, communicator in COMMUNICATORS.items():
                sized = replace(work, n_rows=n_rows)
                found = (
                    three_digits(speed(sized, communicator, workers))
                    if workers <= most_workers(sized)
                    else ""
                    for workers in WORKERS
                )
                most = most_efficient(sized, communicator)
                yield name, f"{n_rows:,}", connection, *found, f"{most:,}"


def variants():
    """Lines: a way to send less, the speed of 128 workers with each communicator."""
    work = replace(NETWORKS["1024-1024"], n_rows=65_536)
    for name, changes in VARIANTS.items():
        changed = replace(work, **changes)
        found = (speed(changed, communicator, 128) for communicator in COMMUNICATORS.values())
        yield name, *map(three_digits, found)


def three_digits(number):
    """A number as the tables have it."""
    return f"{number:.3g}" if number >= 0.1 else f"{number:.2g}"


TABLES = {"speeds": speeds, "variants": variants}


def main():
    """Print the tables as lines of ``csv-table``."""
    for name, lines in TABLES.items():
        print(f"{name}:")
        for line in lines():
            print("   " + ", ".join(f'"{cell}"' for cell in line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
