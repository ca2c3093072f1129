"""How many threads the members of an ensemble are trained in."""

import joblib
from joblib.parallel import get_active_backend

from skbn.training.side_by_side import available_threads


def n_threads(n_jobs, n_members):
    """Threads for so many members.

    Parameters
    ----------
    n_jobs : int or None
        As in joblib. ``None`` is one thread in a worker of joblib, such as those of a search that
        runs in parallel; otherwise the number of ``joblib.parallel_config``, or as many threads as
        BLAS and OpenMP leave to the process.
    n_members : int

    Returns
    -------
    n : int
        At most `n_members`. In a worker of joblib at most the threads that joblib leaves to it.
    """
    backend, n_configured = get_active_backend()
    # 0 outside of workers. Some backends do not count.
    is_worker = bool(getattr(backend, "nesting_level", None))
    if n_jobs is None:
        if is_worker:
            return 1
        n_jobs = available_threads() if n_configured is None else n_configured
    n = joblib.effective_n_jobs(n_jobs)
    if is_worker:
        n = min(n, available_threads())
    return min(n, n_members)
