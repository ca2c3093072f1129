"""What the tasks of the tests do on the workers, which import this file by its name."""

import os
import signal
import time

import numpy as np
from distributed import Event, get_worker


def summed(communicator, *values):
    """The sum over the workers of the sum of the values."""
    own = np.array([np.sum([np.sum(value) for value in values])], dtype=float)
    total = np.empty(1)
    communicator.Allreduce(own, total)
    return float(total[0])


def rounds(communicator, n_rounds, seconds=0.0):
    """The sum over rounds and workers of one plus the rank. The last rank sleeps in each round."""
    own, total, result = np.array([communicator.rank + 1.0]), np.empty(1), 0.0
    for _ in range(n_rounds):
        if communicator.rank == communicator.size - 1:
            time.sleep(seconds)
        communicator.Allreduce(own, total)
        result += total[0]
    return result


def endless(communicator, event=None):
    """Exchange until something goes wrong. The event is set after the first exchange."""
    own, total = np.ones(3), np.empty(3)
    communicator.Allreduce(own, total)
    if event is not None and communicator.rank == 0:
        Event(event).set()
    while True:
        communicator.Allreduce(own, total)


def failing(communicator, rank):
    """Raise on one rank after some rounds."""
    own, total = np.ones(3), np.empty(3)
    for _ in range(50):
        communicator.Allreduce(own, total)
    if communicator.rank == rank:
        raise ValueError(f"rank {rank} does not like its rows")
    while True:
        communicator.Allreduce(own, total)


def dying(communicator, rank):
    """Kill the worker of one rank after some rounds."""
    own, total = np.ones(3), np.empty(3)
    for _ in range(50):
        communicator.Allreduce(own, total)
    if communicator.rank == rank:
        os.kill(os.getpid(), signal.SIGKILL)
    while True:
        communicator.Allreduce(own, total)


def together(communicator, numbers):
    """The numbers of all ranks summed, as the bytes that each rank has got, by rank."""
    total = np.empty_like(numbers)
    communicator.Allreduce(numbers, total)
    own = np.zeros((communicator.size, total.nbytes), dtype=np.uint8)
    own[communicator.rank] = np.frombuffer(total.tobytes(), dtype=np.uint8)
    everyones = np.empty_like(own)
    communicator.Allreduce(own, everyones)
    return [row.tobytes() for row in everyones]


def rank_and_worker(communicator):
    return communicator.rank, get_worker().address


def dying_alone(communicator, seconds):
    """Kill the worker of each rank with seconds after them. The others work for a long time."""
    if seconds:
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(5)
    communicator.Allreduce(np.ones(1), np.ones(1))


def when(event):
    """A number that is there when the event is set."""
    Event(event).wait(timeout=30)
    return 1.0
