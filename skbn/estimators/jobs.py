"""The number of threads that train the members of an ensemble."""

import sys

from joblib.parallel import (
    LokyBackend,
    MultiprocessingBackend,
    SequentialBackend,
    ThreadingBackend,
    get_active_backend,
)

from skbn.training.side_by_side import available_threads

# The backends of joblib that work on this machine. Another backend, such as Dask's, counts the
# processors of a cluster, even if it is asked for a number of jobs.
ON_THIS_MACHINE = {LokyBackend, MultiprocessingBackend, SequentialBackend, ThreadingBackend}


def n_threads(n_jobs, n_members):
    """The number of threads for this number of members.

    Parameters
    ----------
    n_jobs : int or None
        The parameter, as in joblib. ``None``: one thread in a worker of joblib (for example in a
        search that runs in parallel); otherwise the number of ``joblib.parallel_config``, or the
        number of threads that BLAS and OpenMP leave to the process. A number of
        ``joblib.parallel_config`` for a cluster does not count.
    n_members : int

    Returns
    -------
    n : int
        At most `n_members`. In a worker of joblib also at most the number of threads that joblib
        or Dask leaves to the worker.
    """
    backend, n_configured = get_active_backend()
    if type(backend) in ON_THIS_MACHINE:
        # The level is 0 outside of workers. Some backends do not have the attribute.
        is_worker = bool(getattr(backend, "nesting_level", None))
    else:
        is_worker, n_configured = _is_task_of_dask(), None
        backend = ThreadingBackend()
    if n_jobs is None:
        if is_worker:
            return 1
        n_jobs = available_threads() if n_configured is None else n_configured
    n = backend.effective_n_jobs(n_jobs)
    if is_worker:
        n = min(n, available_threads())
    return min(n, n_members)


def _is_task_of_dask():
    # Without this module nothing of Dask runs here.
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return False
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True
