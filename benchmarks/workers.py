"""How a data-parallel fit scales with the workers of a Dask cluster, and what a step sends.

    python -m benchmarks.workers
    python -m benchmarks.workers --workers 1 2 --rounds 5 --output docs/results/workers.json

All workers run on this machine, with one thread each. Each network is trained by 1, 2, ... workers
on the same mini-batches. A step is timed on rank 0, from the end of a gradient message to the end
of the next one; "messages" is the part of it inside of Allreduce, which includes the time that the
workers wait for each other. "alone" is the step of as many networks that train at the same time
without messages, each on its share of the rows and of the mini-batch: no data-parallel training
can be faster on this machine. All numbers are medians over steps, and over rounds in turns.
"""

import argparse
import json
import sys
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
from distributed import Client, LocalCluster

from benchmarks.report import machine
from skbn import MLPWithBatchNormClassifier
from skbn.dask.gang import run_on_workers
from skbn.data_parallel import fit

COLUMNS = "{:<24} {:>7} {:>8} {:>9} {:>9} {:>9} {:>8} {:>8} {:>10}"
N_CLASSES = 10
# Name: hidden layers, features, rows of a mini-batch, parameters of the network.
NETWORKS = {
    "default": ((80, 80, 80), 20, 128, {}),
    "256-256 @1024": ((256, 256), 50, 1024, {"periodic_embedding": None}),
    "256-256 @4096": ((256, 256), 50, 4096, {"periodic_embedding": None}),
    "1024-1024 @4096": ((1024, 1024), 100, 4096, {"periodic_embedding": None}),
}
STEPS_OF_EPOCH = 10


class Recorder:
    """A communicator that records the size, the start and the end of each sum."""

    def __init__(self, communicator):
        self.communicator = communicator
        self.rank, self.size = communicator.rank, communicator.size
        self.sums = []

    def Allreduce(self, sendbuf, recvbuf):
        start = perf_counter()
        self.communicator.Allreduce(sendbuf, recvbuf)
        self.sums.append((sendbuf.nbytes, start, perf_counter()))


class Alone:
    """A communicator of a single process."""

    rank, size = 0, 1

    def Allreduce(self, sendbuf, recvbuf):
        recvbuf[...] = sendbuf


def timed(communicator, name, n_shares, is_alone):
    """Numbers of a step of a network, on one of `n_shares` shares of the rows."""
    layers, n_features, batch, parameters = NETWORKS[name]
    n_batch = batch // n_shares
    n_rows = n_batch * STEPS_OF_EPOCH
    rng = np.random.default_rng(communicator.rank)
    X = rng.standard_normal((n_rows, n_features)).astype(np.float32)
    y = np.arange(n_rows) % N_CLASSES
    recorder = Recorder(Alone() if is_alone else communicator)
    network = MLPWithBatchNormClassifier(
        layers,
        batch_size=n_batch if is_alone else batch,
        early_stopping=False,
        n_epochs=4,
        random_state=0,
        **parameters,
    )
    fit(network, X, y, communicator=recorder)
    return step_of(recorder.sums, 8 * (network._parameters.size + 2))


def step_of(sums, n_bytes_of_gradient):
    """Medians over steps: seconds, seconds in messages, their number and their bytes."""
    ends = [number for number, (size, *_) in enumerate(sums) if size == n_bytes_of_gradient]
    steps = []
    # The first steps find cold caches. A block of mini-batches begins with a message more.
    for first, last in list(pairwise(ends))[STEPS_OF_EPOCH:]:
        messages = sums[first + 1 : last + 1]
        seconds = sum(end - start for _, start, end in messages)
        sizes = sum(size for size, *_ in messages)
        steps.append((sums[last][2] - sums[first][2], seconds, len(messages), sizes))
    return dict(
        zip(("seconds", "messages", "n", "bytes"), np.median(steps, axis=0).tolist(), strict=True)
    )


def measured(names, workers, n_rounds):
    """A row for each network and number of workers, medians over rounds in turns."""
    samples = {(name, n): [] for name in names for n in workers}
    for _ in range(n_rounds):
        for n in workers:
            with (
                LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=":0") as cluster,
                Client(cluster) as client,
            ):
                addresses = sorted(client.nthreads())
                for name in names:
                    together, alone = (
                        run_on_workers(client, timed, dict.fromkeys(addresses, (name, n, is_alone)))
                        for is_alone in (False, True)
                    )
                    samples[name, n].append((together, alone["seconds"]))
    for name, n in samples:
        together, alone = zip(*samples[name, n], strict=True)
        medians = {key: float(np.median([one[key] for one in together])) for key in together[0]}
        yield {"network": name, "workers": n, **medians, "alone": float(np.median(alone))}


def printed(rows):
    """Print the table; the speed is relative to one worker."""
    print(
        COLUMNS.format(
            "network", "workers", "ms", "messages", "number", "kB", "speed", "alone", "efficiency"
        )
    )
    one = {row["network"]: row["seconds"] for row in rows if row["workers"] == 1}
    for row in rows:
        base = one.get(row["network"], row["seconds"])
        print(
            COLUMNS.format(
                row["network"],
                row["workers"],
                f"{1e3 * row['seconds']:.2f}",
                f"{1e3 * row['messages']:.2f}",
                f"{row['n']:.0f}",
                f"{1e-3 * row['bytes']:.0f}",
                f"{base / row['seconds']:.2f}",
                f"{base / row['alone']:.2f}",
                f"{row['alone'] / row['seconds']:.2f}",
            ),
            flush=True,
        )


def main(argv=None):
    """Measure, print the table and write it."""
    arguments = argument_parser().parse_args(argv)
    rows = list(measured(arguments.networks, arguments.workers, arguments.rounds))
    printed(rows)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    about = json.dumps(machine())
    arguments.output.write_text(f'{{"machine": {about},\n "rows": [\n  {lines}\n ]}}\n')
    return 0


def argument_parser():
    summary, _, details = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.workers",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks/workers.json"))
    return parser


if __name__ == "__main__":
    # The workers import the functions of this module, not of ``__main__``.
    from benchmarks import workers

    sys.exit(workers.main())
