"""Training over epochs: trainers, and the loop around their epochs.

An epoch runs block by block. A block is a call of ``Network.train``, which holds no lock. So an
error or Ctrl-C between two blocks leaves a usable network.
"""

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from time import perf_counter

import numpy as np

from skbn.network.processes import ONE_PROCESS
from skbn.network.statistics import set_exact_statistics
from skbn.training.batches import blocks
from skbn.training.side_by_side import in_turns, side_by_side

INTERRUPTED = "Training interrupted by user."


class NonFiniteLoss(ValueError):
    """The loss of a mini-batch is infinite or not a number."""


class Trainer:
    """Trains a network on the rows of a table, an epoch at a time, in place.

    Parameters
    ----------
    network : Network
        Changed in place, block by block.
    table : Table
        The rows.
    training : skbn.network.optimizer.Training
        The record and the moments of the optimizer, changed in place; the penalty and the seed.
    schedule : object
        One of ``skbn.training.schedules``.
    batches : skbn.training.batches.Batches
        Which rows make a mini-batch.
    loss_curve, learning_rate_curve : sequence, default=()
        The curves of earlier trainings.
    n_rows_seen : int, default=0
        Rows that earlier trainings have seen.
    processes : OneProcess or Processes, default=ONE_PROCESS
        The processes that train the network together, each on its part of every mini-batch. Losses
        and numbers of rows are those of all processes.

    Attributes
    ----------
    loss_curve : list of float
        Mean loss of each epoch.
    learning_rate_curve : list of float
        Learning rate at the start of each epoch.
    n_rows_seen : int
        Rows trained on, over all trainings (scikit-learn's ``t_``).
    loss : float
        Mean loss of the last epoch that has run.
    """

    def __init__(
        self,
        network,
        table,
        training,
        schedule,
        batches,
        *,
        loss_curve=(),
        learning_rate_curve=(),
        n_rows_seen=0,
        processes=ONE_PROCESS,
    ):
        self.network, self.table, self.training = network, table, training
        self.schedule, self.batches = schedule, batches
        self.loss_curve, self.learning_rate_curve = list(loss_curve), list(learning_rate_curve)
        self.n_rows_seen = n_rows_seen
        self.loss = self._rate = None
        self.processes = processes
        self._rows = table.trained_rows
        self._n_rows = int(processes.total(len(self._rows)))
        # Of all processes, and the parts of this process.
        self._all_bounds = batches.bounds(self._n_rows)
        self._bounds = processes.parts(len(self._rows), self._all_bounds)

    def epoch(self):
        """Run an epoch: an iterator that trains a block of mini-batches at each step.

        Raises
        ------
        NonFiniteLoss
            If a loss is not finite. The network then has the weights of the batch before.
        """
        self._rows = self.batches.reordered(self._rows)
        rates = self.schedule.rates(len(self._bounds) - 1)
        losses = []
        for block in blocks(self._all_bounds, self.network.flops_per_row(self.table)):
            losses.append(self._train(block, rates))
            yield
        sizes = self._all_bounds[1:] - self._all_bounds[:-1]
        self.loss = float((np.concatenate(losses) * sizes).sum() / self._n_rows)
        self._rate = float(rates[0])

    def _train(self, block, rates):
        edges = self._bounds[block.start : block.stop + 1]
        losses = self.network.train(
            self.table,
            self.training.optimizer,
            self.training.moments,
            self._rows[edges[0] : edges[-1]],
            edges - edges[0],
            rates[block],
            self.training.alpha,
            self.training.seed,
            self.processes.sums,
        )
        self.processes.check()
        if len(losses) < len(edges) - 1:
            raise NonFiniteLoss(f"mini-batch {block.start + len(losses) + 1}")
        return self.network.loss_value(losses)

    def record_epoch(self):
        """Record the last epoch that has run."""
        self.n_rows_seen += self._n_rows
        self.loss_curve.append(self.loss)
        self.learning_rate_curve.append(self._rate)
        self.schedule.epoch_ended(self.n_rows_seen)


class Trainers:
    """Trainers whose epochs run side by side. There may be one trainer only.

    No trainer waits for another one within an epoch, so the networks do not depend on the number of
    threads.

    Parameters
    ----------
    trainers : list of Trainer
        The trainers. Their schedules are of one kind.
    n_threads : int, default=1
        Threads that train them.
    processes : OneProcess or Processes, default=ONE_PROCESS
        The processes that train networks side by side. `trainers` are the trainers of this process.
    """

    def __init__(self, trainers, n_threads=1, processes=ONE_PROCESS):
        self.trainers, self.n_threads, self.processes = trainers, n_threads, processes

    @property
    def is_parallel(self):
        """Whether other processes train with this process, and would wait for it for ever."""
        processes = [self.processes, *(trainer.processes for trainer in self.trainers)]
        return any(one.is_parallel for one in processes)

    @property
    def runs_to_the_end(self):
        """Whether the schedules are planned, so that no plateau ends the training."""
        return all(trainer.schedule.runs_to_the_end for trainer in self.trainers)

    def run_epoch(self):
        """Run an epoch of each trainer; returns the mean of the losses of all processes."""
        losses = list(chain.from_iterable(self.processes.gathered(self._losses_of_epoch)))
        return sum(losses) / len(losses)

    def _losses_of_epoch(self):
        in_turns([trainer.epoch() for trainer in self.trainers], self.n_threads)
        return [trainer.loss for trainer in self.trainers]

    def record_epoch(self):
        """Record the last epoch of each trainer."""
        for trainer in self.trainers:
            trainer.record_epoch()

    def plateau(self, message, verbose):
        """Tell the schedules of a plateau; returns whether training ends."""
        # All schedules are told. They return the same answer, because they are of one kind.
        ends = [
            trainer.schedule.plateau(message, verbose and number == 0)
            for number, trainer in enumerate(self.trainers)
        ]
        return all(ends)

    def snapshot(self):
        """A copy of each network in its present state."""
        return [trainer.network.snapshot() for trainer in self.trainers]

    def restore(self, snapshots):
        """Go back to the networks of `snapshot`."""
        for trainer, snapshot in zip(self.trainers, snapshots, strict=True):
            trainer.network.restore(snapshot)

    def set_exact_statistics(self):
        """Replace the running statistics by the exact statistics of the rows trained on."""
        side_by_side(
            lambda trainer: set_exact_statistics(
                trainer.network, trainer.table, None, trainer.processes
            ),
            self.trainers,
            self.n_threads,
        )


@dataclass
class Progress:
    """How many epochs a training has completed, and how it has ended.

    Attributes
    ----------
    n_epochs : int
        Complete epochs of this training.
    converged, stopped, interrupted : bool
        Whether training ended on a plateau, by a callback, or by Ctrl-C. All are false if training
        ran through all its epochs.
    """

    n_epochs: int = 0
    converged: bool = False
    stopped: bool = False
    interrupted: bool = False


@contextmanager
def no_hook():
    """Nothing to do around an epoch."""
    yield lambda: False


def run_epochs(trainers, stopping, progress, *, max_epochs, verbose, epoch_hook=no_hook):
    """Train networks over epochs, in place.

    Parameters
    ----------
    trainers : Trainers
        The networks and records of the trainers are changed.
    stopping : object
        One of ``skbn.training.stopping``.
    progress : Progress
        Changed after each epoch.
    max_epochs : int
        The largest number of epochs to run.
    verbose : bool
        Whether to print the loss of each epoch, as scikit-learn does.
    epoch_hook : callable, default=no_hook
        Returns a context manager around an epoch. Its ``as`` value is a callable without arguments,
        which is called at the end of the epoch. If it returns true, training stops.

    Raises
    ------
    NonFiniteLoss
        If a loss is not finite.

    Warns
    -----
    UserWarning
        On Ctrl-C, which ends training. Each network has the weights of its last complete block.
    """
    begin = perf_counter()
    try:
        for _ in range(max_epochs):
            with epoch_hook() as stop:
                loss = trainers.run_epoch()
                epoch = progress.n_epochs + 1
                if verbose:
                    n_planned = max_epochs if trainers.runs_to_the_end else None
                    number, time_left = _shown(epoch, n_planned, perf_counter() - begin)
                    print(f"Iteration {number}, loss = {loss:.8f}{time_left}")
                # If Ctrl-C comes while the validation rows are scored, no half of the epoch is
                # recorded.
                plateau = stopping.epoch_ended(epoch, loss)
                progress.n_epochs = epoch
                trainers.record_epoch()
                progress.stopped = bool(stop())
            if progress.stopped:
                break
            if plateau:
                if trainers.plateau(stopping.message, verbose):
                    progress.converged = True
                    break
                stopping.n_without_improvement = 0
    except KeyboardInterrupt:
        if trainers.is_parallel:
            raise
        progress.interrupted = True
        warnings.warn(INTERRUPTED, stacklevel=7)


def _shown(epoch, n_planned, seconds):
    # The number of the epoch, and the time that the other epochs will take, if their number is
    # known.
    if n_planned is None:
        return f"{epoch}", ""
    return f"{epoch} of {n_planned}", f", {seconds / epoch * (n_planned - epoch):.1f} s left"
