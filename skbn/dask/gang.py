"""One long task on each worker, all at the same time, which end together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from distributed import Client, Future, get_worker

from skbn.dask.communicator import CommunicatorError, DaskCommunicator, Fit, connect
from skbn.dask.locks import locked
from skbn.dask.waiting import Changes

__all__ = ["run_on_workers", "running_workers"]

# Seconds after which the client looks whether a worker was lost.
POLL = 0.5
# Seconds that the client waits for the cause, when the first error is only a consequence of it.
PATIENCE = 10.0


def run_on_workers(
    client: Client,
    function: Callable[..., Any],
    arguments_by_worker: Mapping[str, tuple[Any, ...]],
) -> Any:
    """Call a function on several workers at the same time.

    Parameters
    ----------
    client : distributed.Client
        A client that is not asynchronous.
    function : callable
        It is called as ``function(communicator, *arguments)`` by one task on each worker. Its
        `communicator` is a DaskCommunicator over these tasks.
    arguments_by_worker : dict of str to tuple
        The arguments, by the address of the worker. The first worker has rank 0. A future of the
        client becomes its result. Large values should be futures on the worker.

    Returns
    -------
    result : object
        Result of rank 0.

    Raises
    ------
    Exception
        The first exception that a task raised. It has a note that names the worker. All other tasks
        are canceled.
    RuntimeError
        If a worker was lost, or if the tasks were canceled.
    TypeError
        If the client is asynchronous.
    """
    if client.asynchronous:
        raise TypeError(
            "The client is asynchronous. Fitting needs a client that was created without "
            "asynchronous=True."
        )
    workers = list(arguments_by_worker)
    if not workers:
        raise ValueError("No worker has any arguments: there must be one worker at least.")
    fit = Fit()
    name = getattr(function, "__name__", type(function).__name__)
    with locked(client, workers):
        directories = _directories(client, workers)
        futures = [
            client.submit(
                _member,
                function,
                fit,
                rank,
                workers,
                directories[worker],
                *arguments_by_worker[worker],
                key=f"{name}-{fit.name}-{rank}",
                workers=[worker],
                allow_other_workers=False,
                pure=False,
                retries=0,
            )
            for rank, worker in enumerate(workers)
        ]
        try:
            _wait_for(client, futures, workers)
            return _result_of(client, futures[0], workers)
        finally:
            # Also after success: Dask forgets a task when its last future is gone.
            client.cancel(futures)


def _member(
    function: Callable[..., Any],
    fit: Fit,
    rank: int,
    workers: list[str],
    directory: str,
    *arguments: Any,
) -> Any:
    """The task of one rank."""
    worker = get_worker()
    if worker.local_directory != directory:
        # A new process under the address of a worker that died.
        raise RuntimeError(_lost([workers[rank]]))
    communicator: DaskCommunicator = connect(fit, rank, workers)
    try:
        result = function(communicator, *arguments)
    except BaseException as error:
        communicator.abort(
            f"The task on worker {workers[rank]} failed with {type(error).__name__}: {error}"
        )
        raise
    finally:
        communicator.close()
    # One model goes back to the client, not as many equal ones as there are workers.
    return result if rank == 0 else None


def running_workers(client: Client) -> list[str]:
    """Addresses of the workers that take up tasks, sorted. Paused and closing workers do not."""
    known = _workers(client)
    return sorted(worker for worker, state in known.items() if state["status"] == "running")


def _workers(client: Client) -> dict[str, dict[str, Any]]:
    """What the scheduler knows of each worker, by address."""
    # The client renews the answer of `Client.scheduler_info` every two seconds without the workers.
    return client.sync(client.scheduler.identity, n_workers=-1)["workers"]


def _directories(client: Client, workers: list[str]) -> dict[str, str]:
    """The local directory of each worker, which no two worker processes share."""
    known = _workers(client)
    lost = [worker for worker in workers if worker not in known]
    if lost:
        raise RuntimeError(_lost(lost))
    return {worker: known[worker]["local_directory"] for worker in workers}


def _wait_for(client: Client, futures: list[Future], workers: list[str]) -> None:
    """Return when all tasks have finished. Raise when one failed or lost its worker."""
    changes = Changes(futures)
    while True:
        pending = [future for future in futures if future.status == "pending"]
        if len(pending) < len(futures):
            _raise_first(client, futures, workers, changes)
        if not pending:
            return
        changes.wait(POLL)
        _raise_lost(client, workers)


def _raise_first(
    client: Client, futures: list[Future], workers: list[str], changes: Changes
) -> None:
    """Raise the exception that made the others fail, if any task has failed."""
    deadline = time.monotonic() + PATIENCE
    while True:
        # Read once: a task that fails in between must not be missed.
        states = [future.status for future in futures]
        failed = [i for i, state in enumerate(states) if state == "error"]
        canceled = [state for state in states if state in ("cancelled", "lost")]
        if not failed and not canceled:
            return
        causes = [i for i in failed if not isinstance(futures[i].exception(), CommunicatorError)]
        if causes:
            _raise(futures[causes[0]], workers[causes[0]])
        _raise_lost(client, workers)
        if canceled:
            raise RuntimeError(
                "The tasks of the fit or their data were canceled, so the fit has ended."
            )
        pending = [
            future for future, state in zip(futures, states, strict=True) if state == "pending"
        ]
        if not pending or time.monotonic() > deadline:
            _raise(futures[failed[0]], workers[failed[0]])
        changes.wait(POLL)


def _raise(future: Future, worker: str) -> None:
    try:
        future.result()
    except Exception as error:
        error.add_note(f"Raised by the task on worker {worker}.")
        raise


def _raise_lost(client: Client, workers: list[str]) -> None:
    """Raise if a worker has left the cluster. Dask itself waits for such a worker forever."""
    alive = client.nthreads(workers)
    lost = [worker for worker in workers if worker not in alive]
    if lost:
        raise RuntimeError(_lost(lost))


def _lost(workers: list[str]) -> str:
    which = "Worker" if len(workers) == 1 else "Workers"
    return (
        f"{which} {', '.join(workers)} left the cluster during the fit, so the fit has ended. The "
        f"logs of the worker may say why; a lack of memory is the usual reason."
    )


def _result_of(client: Client, future: Future, workers: list[str]) -> Any:
    """Fetch the result of a task, whose worker may die before it has sent the result."""
    timeout = 10.0
    while True:
        try:
            return future.result(timeout=timeout)
        except TimeoutError:
            _raise_lost(client, workers)
            timeout *= 2
