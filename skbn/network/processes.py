"""The processes that train one network together, each on rows of its own.

All sums over processes go through one communicator. The communicator of MPI, ``MPI.COMM_WORLD`` of
mpi4py, is such a communicator, and `skbn.dask` has another one. A communicator has

- ``rank`` and ``size``: the number of this process, counted from 0, and the number of processes;
- ``Allreduce(sendbuf, recvbuf)``: the sum of the arrays `sendbuf` of all processes into the array
  `recvbuf` of each process, with the same bits in each process.

All processes call the same methods of `Processes` in the same order. Every decision of a training
follows from sums, so all processes decide alike.
"""

import ctypes
import pickle
from contextlib import contextmanager, nullcontext, suppress
from fractions import Fraction

import numpy as np

from skbn.kernels import merging

ADD = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t)


_NOTHING = nullcontext()


class OneProcess:
    """A training in one process: sums over processes are the numbers themselves."""

    is_parallel = False
    rank, size = 0, 1
    sums = None

    def gathered(self, function):
        """``[function()]``."""
        return [function()]

    def agreement(self):
        """A context in which nothing is different."""
        return _NOTHING

    def total(self, values):
        """`values` themselves."""
        return values

    def largest(self, values):
        """`values` themselves."""
        return values

    def all(self, condition):
        """`condition` as a bool."""
        return bool(condition)

    def average(self, values, weights=None):
        """The weighted average of the values of rows, shape (n,)."""
        return np.average(values, weights=weights)

    def combined(self, mean, weight):
        """``mean()``."""
        return mean()

    def merged(self, function):
        """``function()``."""
        return function()

    def share(self, n_rows, n_chosen):
        """`n_chosen` itself."""
        return n_chosen

    def parts(self, n_rows, bounds):
        """`bounds` themselves."""
        return bounds

    def check(self):
        """Do nothing: there is no communication that could have failed."""


ONE_PROCESS = OneProcess()


class Processes:
    """Several processes, connected by a communicator.

    Parameters
    ----------
    communicator : object
        See the description of this module.

    Attributes
    ----------
    rank, size : int
        The number of this process, and the number of processes.
    sums : tuple of (int, int)
        The address of the C function for the argument `sums` of ``Network.train``, and its context.
        After a failure of the communicator this function writes NaN, so the training stops at a
        loss that is not finite. `check` then raises the error of the communicator.

    Raises
    ------
    TypeError
        If the communicator lacks one of its attributes.
    """

    is_parallel = True

    def __init__(self, communicator):
        if not all(hasattr(communicator, name) for name in ("rank", "size", "Allreduce")):
            raise TypeError(
                "communicator must have rank, size and Allreduce, as mpi4py.MPI.COMM_WORLD has, "
                f"got {communicator!r}."
            )
        self.communicator = communicator
        self.rank, self.size = int(communicator.rank), int(communicator.size)
        self._failure = None
        # The object must live as long as its address is in use.
        self._function = ADD(self._add)
        self.sums = ctypes.cast(self._function, ctypes.c_void_p).value, 0

    def _add(self, context, address, n):
        values = np.frombuffer((ctypes.c_double * n).from_address(address))
        if self._failure is None:
            try:
                values[:] = self._sum(values)
                return
            # No error can leave a C function.
            except BaseException as error:
                self._failure = error
        values[:] = np.nan

    def _sum(self, array):
        self.check()  # after a failure nothing is sent
        result = np.empty_like(array)
        self.communicator.Allreduce(array, result)
        return result

    def check(self):
        """Raise the error that the communicator has raised in the C function, if there is one."""
        if self._failure is not None:
            raise self._failure

    def gathered(self, function):
        """``function()`` of each process, in the order of the processes.

        Raises
        ------
        Exception
            The error of the first process in which ``function()`` raises. Each process raises this
            error, so that no process waits for the others.
        """
        try:
            value = function()
            own = None
            packed = pickle.dumps((value, None))
        except Exception as error:
            own = error
            packed = _pickled_error(error)
        packed = np.frombuffer(packed, np.uint8)
        sizes = np.zeros(self.size, np.int64)
        sizes[self.rank] = len(packed)
        ends = np.cumsum(self._sum(sizes))
        # Every process adds its bytes to zeros, at a place of its own.
        together = np.zeros(ends[-1], np.uint8)
        together[ends[self.rank] - len(packed) : ends[self.rank]] = packed
        together = self._sum(together).tobytes()
        answers = []
        for rank, start in enumerate([0, *ends[:-1]]):
            if rank == self.rank and own is not None:
                raise own
            value, failure = pickle.loads(together[start : ends[rank]])
            if failure is not None:
                failure.add_note(f"This is an error of process {rank}.")
                raise failure
            answers.append(value)
        return answers

    @contextmanager
    def agreement(self):
        """A context for work without communication: an error of one process is raised in all.

        Raises
        ------
        Exception
            As in `gathered`.
        """
        error = None
        try:
            yield
        except Exception as raised:
            error = raised

        def result():
            if error is not None:
                raise error

        self.gathered(result)

    def total(self, values):
        """The sum over all processes of a number, or of an array of numbers, in float64."""
        values = np.asarray(values, dtype=np.float64)
        result = self._sum(np.ascontiguousarray(values.ravel())).reshape(values.shape)
        return result if result.ndim else float(result)

    def largest(self, values):
        """The largest of the numbers of all processes; element by element for arrays."""
        return np.maximum.reduce(self.gathered(lambda: values))

    def all(self, condition):
        """Whether a condition holds in all processes."""
        return self.total(not condition) == 0.0

    def average(self, values, weights=None):
        """The weighted average of the values of the rows of all processes.

        Parameters
        ----------
        values : ndarray of shape (n,)
            The values of the rows of this process. There may be none.
        weights : ndarray of shape (n,), default=None
        """
        values = np.asarray(values, dtype=np.float64)
        weights = np.ones(len(values)) if weights is None else weights
        product, weight = self.total([values @ weights, weights.sum()])
        return product / weight

    def combined(self, mean, weight):
        """A mean over the rows of all processes.

        Parameters
        ----------
        mean : callable
            Returns the mean over the rows of this process. It is not called if there are none.
        weight : float
            The total weight of the rows of this process.
        """
        product, total = self.total([mean() * weight if weight > 0.0 else 0.0, weight])
        return product / total

    def merged(self, function):
        """Moments of the rows of all processes (Chan et al. 1983).

        Parameters
        ----------
        function : callable
            Returns the mean, the biased variance and the total weight of the rows of this process,
            each of shape (d,), float64. The weight of no rows is 0.

        Returns
        -------
        mean, var, weight : ndarray of shape (d,), float64

        Raises
        ------
        Exception
            The error of any process, as in `gathered`.
        """
        moments = self.gathered(function)
        mean, var, weight = (np.zeros_like(values, dtype=np.float64) for values in moments[0])
        for of_process in moments:
            merging.merge(mean, var, weight, *of_process)
        return mean, var, weight

    def share(self, n_rows, n_chosen):
        """How many of `n_chosen` rows are rows of this process.

        Parameters
        ----------
        n_rows : int
            The number of rows of this process.
        n_chosen : int
            A number of rows of all processes together.
        """
        return int(self.parts(n_rows, np.array([n_chosen]))[0])

    def parts(self, n_rows, bounds):
        """The parts that this process has of mini-batches of rows of all processes.

        Parameters
        ----------
        n_rows : int
            The number of rows of this process, which are in the order of training.
        bounds : ndarray of intp
            Mini-batch b is the rows ``bounds[b]`` to ``bounds[b + 1]`` of all processes together.

        Returns
        -------
        parts : ndarray of intp, the length of `bounds`
            The part of mini-batch b is the rows ``parts[b]`` to ``parts[b + 1]`` of this process.
        """
        counts = np.array(self.gathered(lambda: n_rows))
        return first_rows(counts, bounds)[:, self.rank]


def first_rows(counts, totals):
    """How many rows of each process are among the first rows of all processes together.

    Row i of the n rows of a process has the place (i + 1/2) / n. All rows stand in the order of
    their places; rows of the same place stand in the order of their processes. So a process with
    twice as many rows has twice as many rows of each mini-batch, up to one row.

    Parameters
    ----------
    counts : ndarray of shape (n_processes,), int
        Rows of each process.
    totals : ndarray of shape (n_totals,), int
        Numbers of first rows, at most the sum of `counts`.

    Returns
    -------
    first : ndarray of shape (n_totals, n_processes), intp
        Each line has the sum of the total.
    """
    present = np.flatnonzero(counts)
    # Integers, because rounding would decide about equal places. Python's own have no largest one.
    dtype = np.int64 if int(np.sum(counts)) < 2**31 else object
    n = np.asarray(counts)[present].astype(dtype)
    whole = n.sum()
    totals = np.asarray(totals).astype(dtype)
    # All rows up to the place total / whole: about the right number of rows. Row i has the place
    # (2 i + 1) / (2 n). Then the next places are added, or the last places removed.
    chosen = (2 * totals[:, np.newaxis] * n + whole) // (2 * whole)
    surplus = chosen.sum(axis=1) - totals
    for line in np.flatnonzero(surplus):
        for _ in range(-surplus[line]):
            chosen[line, _first_smallest(2 * chosen[line] + 1, n)] += 1
        for _ in range(surplus[line]):
            # The last process is removed first, and the largest place.
            reverse = _first_smallest((1 - 2 * chosen[line])[::-1], n[::-1])
            chosen[line, len(n) - 1 - reverse] -= 1
    first = np.zeros((len(totals), len(counts)), np.intp)
    first[:, present] = chosen
    return first


def _first_smallest(numerators, denominators):
    # The first of the smallest fractions. Division finds the few that may be the smallest.
    quotients = (numerators / denominators).astype(np.float64)
    smallest = quotients.min()
    near = np.flatnonzero(quotients <= smallest + 1e-12 * abs(smallest))
    return min(near, key=lambda i: Fraction(int(numerators[i]), int(denominators[i])))


def _pickled_error(error):
    packed = pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))
    # Some errors cannot be pickled, and others cannot be unpickled.
    with suppress(Exception):
        own = pickle.dumps((None, error))
        pickle.loads(own)
        packed = own
    return packed
