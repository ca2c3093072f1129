"""One call of ``fit`` or ``partial_fit``: its task, and its prepared data."""

from dataclasses import dataclass

import numpy as np

from skbn.estimators.callbacks import FitCallbacks
from skbn.estimators.rows import Rows
from skbn.estimators.scoring import Validation
from skbn.network.network import Network
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
        Set after the rows are known. ``None`` for ``partial_fit``, which calls no callback.
    """

    incremental: bool
    is_given: bool
    fresh: bool
    smallest: int
    goes_on: bool
    random_state: np.random.RandomState
    early_stopping: bool | str = False
    callbacks: FitCallbacks | None = None


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
