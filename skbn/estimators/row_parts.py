"""A large table in parts of rows, side by side on the cores that the process may use.

What reads a table once waits for memory most of its time, and two cores wait for more of it at
once than one. Kernels hold no lock of Python's, so threads of Python are enough.
"""

import threading
from functools import cache

from joblib import cpu_count
from threadpoolctl import ThreadpoolController

# A smaller table is through before a thread has started.
LARGE_BYTES = 8 * 1024**2
# Sums of a large table are taken in so many parts, however many threads there are: their bits
# must not depend on those. More threads than these find no more memory bandwidth.
PARTS = 8


def fixed_parts(n_rows, n_bytes):
    """Slices that cover the rows of a table: the same ones whatever the number of threads.

    Parameters
    ----------
    n_rows : int
    n_bytes : int
        Size of the table; below ``LARGE_BYTES`` it is one part.

    Returns
    -------
    slices : list of slice
    """
    return _slices(n_rows, PARTS if n_bytes >= LARGE_BYTES else 1)


def a_part_for_each_thread(n_rows, n_bytes):
    """The same, as many slices as there are threads: for what does not depend on the parts."""
    return _slices(n_rows, available_threads() if n_bytes >= LARGE_BYTES else 1)


def _slices(n_rows, parts):
    parts = min(parts, n_rows)
    return [slice(n_rows * i // parts, n_rows * (i + 1) // parts) for i in range(parts)]


def side_by_side(function, slices):
    """``[function(rows) for rows in slices]``, in threads where there are several slices.

    The caller's thread works too, and does everything where no other can be started: at the end
    of the process, or beyond a limit of it. An error ends the work, and is raised here.
    """
    answers, errors = [None] * len(slices), []
    # Each slice is taken once, whoever takes it: what is written in place must not be done twice.
    pending, lock = iter(enumerate(slices)), threading.Lock()

    def work():
        while not errors:
            with lock:
                number, rows = next(pending, (None, None))
            if number is None:
                return
            try:
                answers[number] = function(rows)
            except BaseException as error:
                errors.append(error)

    others = _started(work, min(len(slices), available_threads()) - 1 if len(slices) > 1 else 0)
    try:
        work()
    except BaseException as error:  # Ctrl-C between two slices
        errors.append(error)
    for thread in others:
        thread.join()
    if errors:
        raise errors[0]
    return answers


def _started(work, count):
    threads = []
    for _ in range(count):
        thread = threading.Thread(target=work)
        try:
            thread.start()
        except RuntimeError:
            break
        threads.append(thread)
    return threads


def available_threads():
    """Threads that BLAS and OpenMP leave to the process, at most one for each core it may use.

    So ``OMP_NUM_THREADS``, ``OPENBLAS_NUM_THREADS``, ``LOKY_MAX_CPU_COUNT``, the limits of
    threadpoolctl and those of loky's workers, joblib's default, are honoured. joblib sets none in
    its other workers.
    """
    counts = (library.num_threads for library in _libraries())
    return min([cpu_count(), PARTS, *(count for count in counts if count is not None)])


@cache
def _libraries():
    # Finding them takes milliseconds, asking them microseconds.
    return ThreadpoolController().lib_controllers
