"""One call of ``fit`` or ``partial_fit``: what it is to do, and what it has made of its data."""

from dataclasses import dataclass

import numpy as np

from skbn.estimators.callbacks import FitCallbacks
from skbn.estimators.rows import Rows
from skbn.estimators.scoring import Validation
from skbn.network.network import Network
from skbn.network.table import Table


@dataclass
class Call:
    """What one call of ``fit`` or ``partial_fit`` is to do.

    Attributes
    ----------
    incremental : bool
        Whether the call is ``partial_fit``, so that other calls bring other rows.
    is_given : bool
        Whether the caller gave validation rows.
    fresh : bool
        Whether the call begins a new network.
    smallest : int
        Rows to train on at least.
    goes_on : bool
        Whether the call goes on in the random numbers of the call before.
    random_state : numpy.random.RandomState
        Draws all random numbers of the call.
    early_stopping : bool or 'auto'
        How validation rows take part (``solvers.early_stopping``); known after the rows.
    callbacks : FitCallbacks or None
        Known after the rows. ``None`` for ``partial_fit``, during which no callback is called.
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
    """All that is ready before the training of a call begins.

    Attributes
    ----------
    estimator : estimator
        A draft, which nobody else reads.
    before : dict
        The attributes that the draft began with.
    call : Call
    targets : ClassTargets or RealTargets
    rows, validation_rows : Rows
        Without validation rows the latter is ``None``.
    network : Network
        To be trained in place.
    table : Table
        The rows to train on, as the network takes them.
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
