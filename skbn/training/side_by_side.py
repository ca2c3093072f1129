"""Work side by side, in threads of Python.

Kernels release the GIL of Python, so Python threads can run kernels at the same time.
"""

import threading
from collections import deque
from functools import cache
from time import sleep

from joblib import cpu_count
from threadpoolctl import ThreadpoolController


def in_turns(works, n_threads):
    """Run iterators to their ends. Several threads take the steps of the iterators in turns.

    One thread takes a step, and an iterator is never in two threads at once. So three iterators of
    equal length keep two threads busy until shortly before their end.

    The caller's thread works too. If no other thread can be started (at the end of the process, or
    at a limit of the process), the caller's thread does all the work. After an error, or Ctrl-C in
    the caller's thread, all threads finish their present step and stop. The error is then raised
    here.

    Parameters
    ----------
    works : list of iterator
    n_threads : int
    """
    if n_threads == 1 or len(works) == 1:
        for work in works:
            for _ in work:
                pass
        return
    # Appending to lists and deques, and taking from them, is safe in threads.
    waiting, errors, helping = deque(works), [], []

    def take_turns():
        while not errors:
            try:
                work = waiting.popleft()
            except IndexError:
                # Another thread runs every iterator that is not at its end.
                return
            try:
                next(work)
            except StopIteration:
                continue
            except BaseException as error:
                errors.append(error)
            else:
                waiting.append(work)

    def help_out():
        # Either this thread sees an error of the caller, or the caller sees this thread.
        helping.append(None)
        take_turns()
        helping.pop()

    others = []
    try:
        _start(help_out, min(len(works), n_threads) - 1, others)
        take_turns()
    except BaseException as error:  # Ctrl-C between two steps, or while a thread is started
        errors.append(error)
    while True:
        try:
            for thread in others:
                if thread.is_alive():
                    thread.join()
            # A thread whose start was interrupted may run although `is_alive` is false.
            while helping:
                sleep(0.001)
            break
        except BaseException as error:  # Ctrl-C while the others are at work
            errors.append(error)
    if errors:
        raise errors[0]


def side_by_side(function, items, n_threads):
    """``[function(item) for item in items]``, in threads: see `in_turns`."""
    answers = [None] * len(items)

    def answer(number):
        answers[number] = function(items[number])
        yield

    in_turns([answer(number) for number in range(len(items))], n_threads)
    return answers


def _start(work, count, threads):
    for _ in range(count):
        thread = threading.Thread(target=work)
        try:
            threads.append(thread)
            thread.start()
        except RuntimeError:
            threads.pop()
            break


def available_threads():
    """Threads that BLAS and OpenMP leave to the process, at most one for each core it may use.

    So the function honours ``OMP_NUM_THREADS``, ``OPENBLAS_NUM_THREADS``, ``LOKY_MAX_CPU_COUNT``,
    the limits of threadpoolctl, and the limits of loky's workers, which are joblib's default.
    joblib sets no limit in its other workers.
    """
    counts = (library.num_threads for library in _libraries())
    return min([cpu_count(), *(count for count in counts if count is not None)])


@cache
def _libraries():
    # Finding the libraries takes milliseconds, and asking them takes microseconds.
    return ThreadpoolController().lib_controllers
