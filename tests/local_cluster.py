"""Dask clusters of processes on this machine, for tests.

``conftest.py`` imports the fixtures, so a test only names them:

``cluster``
    Three workers of one thread each, started once a session. A test must not kill its workers.
``client``
    A client of this cluster, which is closed after the test. It is Dask's default client meanwhile.
"""

import logging
import os
import time
from contextlib import contextmanager

import pytest


@contextmanager
def local_cluster(n_workers, **options):
    """A cluster of processes of one thread each."""
    from distributed import LocalCluster

    options = {"threads_per_worker": 1, "memory_limit": 0, **options}
    with LocalCluster(
        n_workers=n_workers,
        processes=True,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
        **options,
    ) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def cluster():
    pytest.importorskip("distributed")
    with local_cluster(3) as started:
        yield started


@pytest.fixture
def client(cluster):
    from distributed import Client

    with Client(cluster) as connected:
        yield connected


def workers_of(client):
    """Addresses of the workers, in a fixed order."""
    return sorted(client.nthreads())


def eventually(condition, seconds=30):
    """Wait until a condition holds. False if it does not come to hold within a generous time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def are_free(client, workers):
    """Whether a thread of each worker takes up other work. Waits for a generous time."""
    futures = [
        client.submit(os.getpid, workers=[worker], allow_other_workers=False, pure=False)
        for worker in workers
    ]
    return len({future.result(timeout=30) for future in futures}) == len(workers)
