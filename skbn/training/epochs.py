"""The loop over epochs: shuffle, train block by block, record, stop.

It sees a network only through ``train`` and its sizes. Between two blocks the network is
whole, so an exception raised there (Ctrl-C) leaves a usable one.
"""

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from skbn.training.batches import blocks

INTERRUPTED = "Training interrupted by user."


class NonFiniteLoss(ValueError):
    """The loss of a mini-batch is infinite or not a number."""


@dataclass
class History:
    """What training has seen so far; also where an interrupted one has left off.

    Attributes
    ----------
    loss_curve : list of float
        Mean loss of each epoch.
    learning_rate_curve : list of float
        Learning rate at the start of each epoch.
    n_epochs : int
        Epochs of this run.
    n_rows_seen : int
        Rows trained on, over all runs (scikit-learn's ``t_``).
    converged, stopped, interrupted : bool
        How it ended: on a plateau, by a callback, by Ctrl-C; none if it ran through all its
        epochs.
    """

    loss_curve: list = field(default_factory=list)
    learning_rate_curve: list = field(default_factory=list)
    n_epochs: int = 0
    n_rows_seen: int = 0
    converged: bool = False
    stopped: bool = False
    interrupted: bool = False


@contextmanager
def no_hook(history):
    """Nothing to do around an epoch."""
    yield lambda: False


def run_epochs(
    network,
    table,
    training,
    schedule,
    stopping,
    history,
    *,
    max_epochs,
    batches,
    verbose,
    epoch_hook=no_hook,
):
    """Train a network over epochs, in place.

    Parameters
    ----------
    network : Network
        Changed in place, block by block.
    table : Table
        The rows.
    training : skbn.network.optimizer.Training
        The optimizer's record and moments, changed in place; penalty and seed.
    schedule : object
        One of ``skbn.training.schedules``.
    stopping : object
        One of ``skbn.training.stopping``.
    history : History
        Added to, epoch by epoch.
    max_epochs : int
        Epochs to run at most.
    batches : skbn.training.batches.Batches
        Which rows make a mini-batch.
    verbose : bool
        Whether to print the loss of each epoch, as scikit-learn does.
    epoch_hook : callable, default=no_hook
        Context manager around each epoch, given the history. Its ``as`` value is a callable
        without arguments, called at the end of the epoch: true stops training.

    Raises
    ------
    NonFiniteLoss
        If a loss is not finite; the network is that of the batch before.

    Warns
    -----
    UserWarning
        On Ctrl-C, which ends training; the network is that of the last complete block.
    """
    bounds = batches.bounds(table.n_rows)
    rows = np.arange(table.n_rows)
    begin = perf_counter()
    try:
        for _ in range(max_epochs):
            with epoch_hook(history) as stop:
                rows = batches.reordered(rows)
                rates = schedule.rates(len(bounds) - 1)
                losses = [
                    _train_block(network, table, training, rows, bounds, rates, block)
                    for block in blocks(bounds, network.flops_per_row(table))
                ]
                loss = float(np.average(np.concatenate(losses), weights=np.diff(bounds)))
                if verbose:
                    n_planned = max_epochs if schedule.runs_to_the_end else None
                    progress = _progress(history.n_epochs + 1, n_planned, perf_counter() - begin)
                    print(f"Iteration {progress[0]}, loss = {loss:.8f}{progress[1]}")
                # Ctrl-C while the validation rows are scored leaves no half of an epoch's record.
                plateau = stopping.epoch_ended(loss)
                history.n_epochs += 1
                history.n_rows_seen += table.n_rows
                history.loss_curve.append(loss)
                history.learning_rate_curve.append(float(rates[0]))
                schedule.epoch_ended(history.n_rows_seen)
                history.stopped = bool(stop())
            if history.stopped:
                break
            if plateau:
                if schedule.plateau(stopping.message, verbose):
                    history.converged = True
                    break
                stopping.n_without_improvement = 0
    except KeyboardInterrupt:
        history.interrupted = True
        warnings.warn(INTERRUPTED, stacklevel=7)


def _progress(epoch, n_planned, seconds):
    # The number of the epoch, and how long the others will take where their number is known.
    if n_planned is None:
        return f"{epoch}", ""
    return f"{epoch} of {n_planned}", f", {seconds / epoch * (n_planned - epoch):.1f} s left"


def _train_block(network, table, training, rows, bounds, rates, block):
    edges = bounds[block.start : block.stop + 1]
    losses = network.train(
        table,
        training.optimizer,
        training.moments,
        rows[edges[0] : edges[-1]],
        edges - edges[0],
        rates[block],
        training.alpha,
        training.seed,
    )
    if len(losses) < len(edges) - 1:
        raise NonFiniteLoss(f"mini-batch {block.start + len(losses) + 1}")
    return network.loss_value(losses)
