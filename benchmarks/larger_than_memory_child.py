"""One way of training from a file, in a fresh process under a limit of its private memory."""

import json
import mmap
import os
import resource
import sys
import threading
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skbn import MLPWithBatchNormClassifier

MB = 1_000_000


def main(directory, kind, limit, uncached, n_epochs):
    """Print, as JSON, memory and time of a way of training; see ``benchmarks.larger_than_memory``.

    Memory in MB beside the memory before: the most private memory, and the most pages of files.
    """
    directory, n_epochs = Path(directory), int(n_epochs)
    # The libraries allocate their own memory once.
    warm_up = np.random.default_rng(0).standard_normal((300, 5))
    MLPWithBatchNormClassifier(n_epochs=1).fit(warm_up, warm_up[:, 0] > 0.0)
    # The default pool reserves memory that it does not use. The first batch starts the threads.
    pa.set_memory_pool(pa.system_memory_pool())
    with pq.ParquetFile(directory / "table.parquet", pre_buffer=False) as file:
        next(file.iter_batches(batch_size=10))
    if int(limit):
        most = status()["VmData"] + int(limit) * MB
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    error = ""
    X = np.load(directory / "X.npy", mmap_mode="r")
    with open(directory / "X.npy", "rb") as file, Watch(file, X.base, int(uncached)) as watch:
        try:
            train(directory, kind, X, n_epochs)
        except MemoryError:
            error = "MemoryError"
    json.dump(watch.result() | {"error": error}, sys.stdout)


def train(directory, kind, X, n_epochs):
    y = np.load(directory / "y.npy", mmap_mode="r")
    network = MLPWithBatchNormClassifier(
        n_epochs=n_epochs, shuffle=kind != "file in order", random_state=0
    )
    if kind != "parquet":
        if kind == "file at random":
            X.base.madvise(mmap.MADV_RANDOM)
        network.fit(np.array(X) if kind == "array" else X, y)
        return
    for _ in range(n_epochs):
        with pq.ParquetFile(directory / "table.parquet", pre_buffer=False) as file:
            for group in range(file.num_row_groups):
                *columns, targets = file.read_row_group(group, use_threads=False).columns
                X = np.column_stack(columns)
                network.partial_fit(X, targets.to_numpy(), classes=[0, 1])


def status():
    """Bytes of memory of this process, by the names of Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {
        name: int(value.split()[0]) * 1024
        for name, _, value in (line.partition(":") for line in lines)
        if value.endswith("kB")
    }


class Watch:
    """Looks at the memory every 5 ms; may also drop the pages of a mapped file now and then."""

    def __init__(self, file, mapped, is_uncached):
        self.file, self.mapped, self.is_uncached = file, mapped, is_uncached
        self.samples = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self.before = status()
        self.start, self.cpu_start = perf_counter(), process_time()
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.seconds = perf_counter() - self.start
        self.cpu_seconds = process_time() - self.cpu_start
        self.stopped.set()
        self.thread.join()
        self._look(self.seconds)

    def _watch(self):
        forgotten = 0.0
        while not self.stopped.wait(0.005):
            now = perf_counter() - self.start
            self._look(now)
            if self.is_uncached and now - forgotten > 0.25:
                # Pages of the map, then pages in the cache of the system.
                self.mapped.madvise(mmap.MADV_DONTNEED)
                os.posix_fadvise(self.file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                forgotten = now

    def _look(self, now):
        memory = status()
        self.samples.append((now, memory["RssAnon"], memory["RssFile"]))

    def result(self):
        """The largest samples, the time, and the course of the memory in about 100 points."""
        times, private, of_file = np.array(self.samples).T
        private = (private - self.before["RssAnon"]) / MB
        of_file = (of_file - self.before["RssFile"]) / MB
        parts = np.array_split(np.arange(len(times)), min(100, len(times)))
        return {
            "private": float(private.max()),
            "of_file": float(of_file.max()),
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "course": [
                [round(float(times[part[-1]]), 2)]
                + [round(float(values[part].max()), 1) for values in (private, of_file)]
                for part in parts
            ],
        }
