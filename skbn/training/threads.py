"""How many threads the BLAS has while a network is trained.

A second thread speeds up large matrix products. Small ones it makes wait: the threads of
OpenBLAS meet after every product, and where another process has the core of one of them, all
the others spin. So small networks train on one thread, and so do networks that are trained at
the same time, in threads of one process.

OpenBLAS has one count for the whole process. It is lowered by the first who needs it lower and
restored by the last, and is never raised above what was found. So what else sets it before is
honoured: environment variables, limits of threadpoolctl, joblib in its workers.
"""

import os
import threading
from contextlib import contextmanager
from itertools import product

from threadpoolctl import ThreadpoolController

from skbn.network.network import MOST_LAYER_FLOPS

# Matrix products of one step of training, in floating point operations, from which on they
# have all threads. docs/decisions.rst has the times.
LARGE_STEP_FLOPS = MOST_LAYER_FLOPS


def openblas_libraries():
    """Get and set the thread count, a pair of functions for each OpenBLAS of this process.

    What counts threads otherwise is left alone: in MKL and under OpenMP a count belongs to a
    thread, and Accelerate has none to set. The BLAS of SciPy is loaded before this file's
    first call, and no library that is loaded later does a network's products.
    """
    libraries = []
    for library in ThreadpoolController().lib_controllers:
        if library.internal_api == "openblas" and library.threading_layer == "pthreads":
            # The functions of OpenBLAS itself: from threadpoolctl 3.8 on its own setter does
            # nothing in any thread but one, so the last one out could not restore.
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
    """A limit of one thread on the BLAS of a process, for as long as somebody needs it.

    Parameters
    ----------
    find_libraries : callable
        Gives pairs of functions like `openblas_libraries`; called once, when first needed.
    """

    def __init__(self, find_libraries):
        self._find_libraries = find_libraries
        self._libraries = None
        self._found = {}
        self._start_count()

    def _start_count(self):
        # Reentrant: a garbage collection in here may close a context that was abandoned.
        self._lock = threading.RLock()
        self._inside = {}

    @contextmanager
    def training(self, step_flops):
        """Around training by steps of so many floating point operations in matrix products."""
        visit = object()
        try:
            self._arrive(visit, step_flops >= LARGE_STEP_FLOPS)
            yield
        finally:
            try:
                self._leave(visit)
            except BaseException:
                # Ctrl-C may come in here, too, and must not leave the process limited.
                self._leave(visit)
                raise

    def after_fork(self):
        """In a child, which has none of the threads that were training in its parent."""
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
        # Every line may be the last before a Ctrl-C: calling this again completes it.
        limited = len(self._inside) > 1 or not all(self._inside.values())
        for library, (get_count, set_count) in enumerate(self._libraries or ()):
            if limited and library not in self._found:
                count = get_count()
                if count > 1:
                    self._found[library] = count
                    set_count(1)
            elif not limited and library in self._found:
                # A count that is not ours any more was set by somebody else meanwhile, and
                # is theirs to restore.
                if get_count() == 1:
                    set_count(self._found[library])
                del self._found[library]


# The one of this process: a second would take the first one's limit for what it found.
blas_limit = ThreadLimit(openblas_libraries)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=blas_limit.after_fork)
