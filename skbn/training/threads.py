"""The number of threads of the BLAS while a network is trained.

A second thread speeds up large matrix products, but slows down small ones: the threads of OpenBLAS
wait for each other after every product. If another process has the core of one of these threads,
all other threads spin. So small networks train on one thread. Networks that are trained at the same
time, in threads of one process, also train on one thread each.

OpenBLAS has one thread count for the whole process. The first training that needs a lower count
lowers it, and the last such training restores it. The count is never raised above the count that
was found. So counts that were set before are honoured: by environment variables, by threadpoolctl,
or by joblib in its workers.
"""

import os
import threading
from contextlib import contextmanager
from itertools import product

from threadpoolctl import ThreadpoolController

from skbn.network.network import MOST_LAYER_FLOPS

# If the matrix products of one step of training have so many floating point operations, they get
# all threads. docs/decisions.rst has the times.
LARGE_STEP_FLOPS = MOST_LAYER_FLOPS


def openblas_libraries():
    """Get and set the thread count, a pair of functions for each OpenBLAS of this process.

    Other libraries are left alone: in MKL and under OpenMP a count belongs to a thread, and
    Accelerate has no count that can be set. The BLAS of SciPy is loaded before the first call of
    this function. Libraries that are loaded later do not compute the products of a network.
    """
    libraries = []
    for library in ThreadpoolController().lib_controllers:
        if library.internal_api == "openblas" and library.threading_layer == "pthreads":
            # The functions of OpenBLAS itself are called. From threadpoolctl 3.8 on, its setter
            # works in one thread only, so another thread could not restore the count.
            get_count = _function(library.dynlib, "openblas_get_num_threads")
            set_count = _function(library.dynlib, "openblas_set_num_threads")
            if get_count is not None and set_count is not None:
                libraries.append((get_count, set_count))
    return libraries


def _function(dynlib, name):
    for prefix, suffix in product(("", "scipy_"), ("", "64_", "_64")):
        function = getattr(dynlib, f"{prefix}{name}{suffix}", None)
        if function is not None:
            return function
    return None


class ThreadLimit:
    """A limit of one thread on the BLAS of a process, as long as some training needs it.

    Parameters
    ----------
    find_libraries : callable
        Returns pairs of functions, as `openblas_libraries` does. It is called once, when first
        needed.
    """

    def __init__(self, find_libraries):
        self._find_libraries = find_libraries
        self._libraries = None
        self._found = {}
        self._start_count()

    def _start_count(self):
        # The lock is reentrant, because a garbage collection may close an abandoned context while
        # the lock is held.
        self._lock = threading.RLock()
        self._inside = {}

    @contextmanager
    def training(self, step_flops):
        """Context of a training; `step_flops` is the work of the matrix products of a step."""
        visit = object()
        try:
            self._arrive(visit, step_flops >= LARGE_STEP_FLOPS)
            yield
        finally:
            try:
                self._leave(visit)
            except BaseException:
                # Ctrl-C may also come here, and must not leave the process limited.
                self._leave(visit)
                raise

    def after_fork(self):
        """Reset in a child process, where the training threads of the parent do not exist."""
        self._start_count()
        if self._found:
            self._settle()

    def _arrive(self, visit, is_large):
        with self._lock:
            if self._libraries is None:
                self._libraries = self._find_libraries()
            self._inside[visit] = is_large
            self._settle()

    def _leave(self, visit):
        with self._lock:
            self._inside.pop(visit, None)
            self._settle()

    def _settle(self):
        # Ctrl-C may end this function after any line. Calling the function again completes the
        # work.
        limited = len(self._inside) > 1 or not all(self._inside.values())
        for library, (get_count, set_count) in enumerate(self._libraries or ()):
            if limited and library not in self._found:
                count = get_count()
                if count > 1:
                    self._found[library] = count
                    set_count(1)
            elif not limited and library in self._found:
                # If the count is not 1, other code has set it meanwhile, and must restore it
                # itself.
                if get_count() == 1:
                    set_count(self._found[library])
                del self._found[library]


# The only limit of this process. A second limit would find the count of the first limit and take it
# for the original count.
blas_limit = ThreadLimit(openblas_libraries)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=blas_limit.after_fork)
