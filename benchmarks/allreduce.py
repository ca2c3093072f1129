"""What one sum over processes costs: tasks on Dask workers, and processes of MPI.

    python -m benchmarks.allreduce
    python -m benchmarks.allreduce --workers 2 4 --sizes 24 8192

All processes run on this machine. ``dask`` is the communicator of `skbn.dask`, between workers of
one thread; ``mpi`` is ``MPI.COMM_WORLD`` of mpi4py under ``mpiexec``, and is left out if these are
not installed. A time is the median of a call of ``Allreduce`` on rank 0. The rate is the number of
bytes of one process divided by this time. More workers than processors wait for each other.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from distributed import Client, LocalCluster

from benchmarks.child import ROOT
from benchmarks.report import machine
from skbn.dask.gang import run_on_workers

SIZES = 24, 8192, 400_000, 4_000_000
# About so many seconds for a size, for communicators as slow as the slowest here.
SECONDS = 1.0
COLUMNS = "{:<5} {:>9} {:>10} {:>10} {:>12}"
UNDER_MPI = """
import json, sys
from mpi4py import MPI
from benchmarks.allreduce import timed
seconds = timed(MPI.COMM_WORLD, *map(int, sys.argv[1:]))
if MPI.COMM_WORLD.rank == 0:
    print(json.dumps(seconds))
"""
# Open MPI starts no more processes than processors, and none for root, unless it is told to.
MPI_OPTIONS = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


def main(argv=None):
    """Measure, print the table and write it."""
    arguments = argument_parser().parse_args(argv)
    rows = []
    print(COLUMNS.format("way", "processes", "bytes", "ms", "MB/s"))
    for row in measured(arguments.workers, arguments.sizes):
        rows.append(row)
        ms, rate = 1e3 * row["seconds"], 1e-6 * row["bytes"] / row["seconds"]
        print(
            COLUMNS.format(row["way"], row["processes"], row["bytes"], f"{ms:.3f}", f"{rate:.1f}"),
            flush=True,
        )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
    return 0


def argument_parser():
    summary, _, details = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.allreduce",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="bytes")
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks/allreduce.json"))
    return parser


def measured(workers, sizes):
    """A row for each number of processes, way and size."""
    has_mpi = find_spec("mpi4py") is not None and shutil.which("mpiexec") is not None
    if not has_mpi:
        print("mpi: mpi4py or mpiexec is not installed", file=sys.stderr)
    for n in workers:
        with (
            LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=":0") as cluster,
            Client(cluster) as client,
        ):
            yield from _rows("dask", n, sizes, on_dask(client, sizes))
        if has_mpi:
            yield from _rows("mpi", n, sizes, under_mpi(n, sizes))


def _rows(way, n_processes, sizes, seconds):
    for size, value in zip(sizes, seconds, strict=True):
        yield {"way": way, "processes": n_processes, "bytes": size, "seconds": value}


def timed(communicator, *sizes):
    """Median seconds of a call of Allreduce, for each size in bytes. All processes call this."""
    seconds = []
    for size in sizes:
        own, total = np.ones(size // 8), np.empty(size // 8)
        # One number of calls for all processes, from the slowest call of the first process.
        first = np.array([max(_call(communicator, own, total) for _ in range(3))])
        first *= communicator.rank == 0
        slowest = np.empty(1)
        communicator.Allreduce(first, slowest)
        n_calls = int(np.clip(SECONDS / slowest[0], 5, 2000))
        seconds.append(median(_call(communicator, own, total) for _ in range(n_calls)))
    return seconds


def _call(communicator, own, total):
    start = perf_counter()
    communicator.Allreduce(own, total)
    return perf_counter() - start


def on_dask(client, sizes):
    """`timed` on all workers of a cluster."""
    workers = sorted(client.nthreads())
    return run_on_workers(client, timed, {worker: tuple(sizes) for worker in workers})


def under_mpi(n_processes, sizes):
    """`timed` in processes that ``mpiexec`` starts."""
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        ["mpiexec", "-n", str(n_processes), sys.executable, "-c", UNDER_MPI, *map(str, sizes)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | MPI_OPTIONS | path,
    )
    return json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
