"""The number of threads that train the members of an ensemble."""

import joblib
from joblib.parallel import get_active_backend

from skbn.training.side_by_side import available_threads


def n_threads(n_jobs, n_members):
    """The number of threads for this number of members.

    Parameters
    ----------
    n_jobs : int or None
        The parameter, as in joblib. ``None``: one thread in a worker of joblib (for example in a
        search that runs in parallel); otherwise the number of ``joblib.parallel_config``, or the
        number of threads that BLAS and OpenMP leave to the process.
    n_members : int

    Returns
    -------
    n : int
        At most `n_members`. In a worker of joblib also at most the number of threads that joblib
        leaves to the worker.
    """
    backend, n_configured = get_active_backend()
    # The level is 0 outside of workers. Some backends do not have the attribute.
    is_worker = bool(getattr(backend, "nesting_level", None))
    if n_jobs is None:
        if is_worker:
            return 1
        n_jobs = available_threads() if n_configured is None else n_configured
    n = joblib.effective_n_jobs(n_jobs)
    if is_worker:
        n = min(n, available_threads())
    return min(n, n_members)
