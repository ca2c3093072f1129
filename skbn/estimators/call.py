"""One call of ``fit`` or ``partial_fit``: its task, and its prepared data."""

from dataclasses import dataclass

import numpy as np

from skbn.estimators import random_sequence
from skbn.estimators.callbacks import FitCallbacks
from skbn.estimators.rows import Rows
from skbn.estimators.scoring import Validation
from skbn.estimators.temperature import effective_rows
from skbn.network.network import Network
from skbn.network.processes import ONE_PROCESS, OneProcess, Processes
from skbn.network.table import Table


@dataclass
class Call:
    """The task of one call of ``fit`` or ``partial_fit``.

    Attributes
    ----------
    incremental : bool
        Whether the call is ``partial_fit``, so that other calls bring other rows.
    is_given : bool
        Whether the caller gave validation rows.
    fresh : bool
        Whether the call begins a new network.
    smallest : int
        Smallest number of training rows.
    goes_on : bool
        Whether the call continues the random numbers of the earlier call.
    random_state : numpy.random.RandomState
        Draws all random numbers of the call.
    early_stopping : bool or 'auto'
        How the call uses validation rows (``solvers.early_stopping``). Set after the rows are
        known.
    callbacks : FitCallbacks or None
        Set after the rows are known. ``None`` for ``partial_fit``, and for a fit in several
        processes, which call no callback.
    processes : OneProcess or Processes
        The processes that make the call together, each with rows of its own. Numbers of rows are
        then the numbers of all processes.
    """

    incremental: bool
    is_given: bool
    fresh: bool
    smallest: int
    goes_on: bool
    random_state: np.random.RandomState
    early_stopping: bool | str = False
    callbacks: FitCallbacks | None = None
    processes: OneProcess | Processes = ONE_PROCESS

    def count(self, rows):
        """The number of rows of all processes."""
        return int(self.processes.total(rows.n))

    def effective_count(self, rows):
        """The number of rows of equal weight that carry as much information as all rows."""
        return effective_rows(rows.n, rows.sample_weight, self.processes)

    def part_random_numbers(self):
        """From now on each process draws its own random numbers.

        The processes draw the same numbers up to here. The first process goes on with them.
        """
        if self.processes.rank > 0 and not self._is_parted:
            self._is_parted = True
            self.random_state = random_sequence.of_process(self.random_state, self.processes.rank)

    _is_parted = False


@dataclass
class Preparation:
    """Everything that a call prepares before its training.

    Attributes
    ----------
    estimator : estimator
        A draft that nobody else reads.
    before : dict
        The attributes of the draft at its beginning.
    call : Call
    targets : ClassTargets or RealTargets
    rows, validation_rows : Rows
        `validation_rows` is ``None`` without validation rows.
    network : Network
        The network to train in place.
    table : Table
        The training rows in the form that the network takes.
    validation : Validation or None
    calibrates : bool
        Whether probabilities get a temperature.
    """

    estimator: object
    before: dict
    call: Call
    targets: object
    rows: Rows
    validation_rows: Rows | None
    network: Network
    table: Table
    validation: Validation | None
    calibrates: bool
