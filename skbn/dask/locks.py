"""A lock over workers that ends with the client that holds it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from distributed import Client, MultiLock
from distributed.diagnostics.plugin import SchedulerPlugin

__all__ = ["locked"]


@contextmanager
def locked(client: Client, workers: list[str]) -> Iterator[None]:
    """Hold the workers for one fit.

    Two fits wait forever if each holds a thread that the other needs. The lock is the MultiLock
    that XGBoost takes for the same workers, so the fits of both wait for each other.

    Parameters
    ----------
    client : distributed.Client
        The client that holds the lock. The scheduler releases the lock if the client is lost.
    workers : list of str
        Addresses of the workers.
    """
    lock = MultiLock(workers, client=client)
    name = f"skbn-lock-{lock.id}"
    client.register_plugin(_releasing(client.id, lock.id, name), name=name)
    try:
        lock.acquire()
        yield
    finally:
        _release(client, lock.id)
        # The plugin is gone already if the client was lost for a while.
        with suppress(ValueError):
            client.unregister_scheduler_plugin(name)


def _release(client: Client, lock_id: str) -> None:
    """Give back the locks, or leave the queue for them.

    MultiLock has no method for the second, so the scheduler is called as MultiLock calls it.
    """
    for _ in range(5):
        if client.scheduler is None:
            return  # closed in the meantime; the plugin of the scheduler releases the lock
        try:
            client.sync(client.scheduler.multi_lock_release, id=lock_id)
        except KeyError:
            # The wait was interrupted before the request for the locks was sent.
            time.sleep(0.1)
        else:
            return


def _releasing(client_id: str, lock_id: str, name: str) -> SchedulerPlugin:
    """A plugin that releases a MultiLock when a client leaves the scheduler.

    MultiLock itself remembers no client, so the plugin calls the extension of the scheduler behind
    MultiLock. The class is defined in a function, so that cloudpickle sends its code: the scheduler
    does not need skbn.
    """

    class ReleaseLock(SchedulerPlugin):
        def remove_client(self, scheduler, client):
            if client == client_id:
                with suppress(KeyError):
                    scheduler.extensions["multi_locks"].release(id=lock_id)
                scheduler.remove_plugin(name)

    return ReleaseLock()
