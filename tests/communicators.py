"""A communicator between threads, and fits in which each thread stands for a process."""

import threading
from fractions import Fraction
from itertools import pairwise

import numpy as np

from skbn.data_parallel import fit


class Exchange:
    """What the communicators of some threads share."""

    def __init__(self, size):
        self.size = size
        self.barrier = threading.Barrier(size, timeout=60)
        self.parts = [None] * size


class ThreadCommunicator:
    """Sums of arrays over threads, in the order of their ranks."""

    def __init__(self, exchange, rank):
        self.exchange, self.rank, self.size = exchange, rank, exchange.size
        self.sent = []

    def Allreduce(self, sendbuf, recvbuf):
        assert sendbuf.flags.c_contiguous
        assert recvbuf.flags.c_contiguous
        assert sendbuf.dtype == recvbuf.dtype
        assert sendbuf.shape == recvbuf.shape
        self.sent.append(sendbuf.size)
        parts = self.exchange.parts
        parts[self.rank] = sendbuf.copy()
        self.exchange.barrier.wait()
        recvbuf[...] = np.sum(parts, axis=0, dtype=sendbuf.dtype)
        self.exchange.barrier.wait()


def in_threads(function, size):
    """``function(communicator)`` of each thread: answers or errors, in the order of the ranks."""
    exchange = Exchange(size)
    answers = [None] * size

    def work(rank):
        try:
            answers[rank] = function(ThreadCommunicator(exchange, rank))
        except Exception as error:
            answers[rank] = error

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def fitted_together(make, parts):
    """The estimators ``make()`` fitted to `parts`, a tuple of arguments for each thread."""

    def work(communicator):
        return fit(make(), *parts[communicator.rank], communicator=communicator)

    return in_threads(work, len(parts))


def merged_order(counts):
    """Pairs (process, row) in the order in which mini-batches take the rows of all processes."""
    places = [
        (Fraction(2 * row + 1, 2 * n), process, row)
        for process, n in enumerate(counts)
        for row in range(n)
    ]
    return [(process, row) for _, process, row in sorted(places)]


def split(arrays, counts):
    """Arrays cut into parts of so many rows: a list of tuples."""
    edges = np.cumsum([0, *counts])
    return [
        tuple(None if array is None else array[start:stop] for array in arrays)
        for start, stop in pairwise(edges)
    ]
