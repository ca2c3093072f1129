"""The epochs of one call of ``fit`` or ``partial_fit``: preparation, run and records."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skbn.estimators import solvers
from skbn.estimators.columns import NON_FINITE
from skbn.estimators.row_order import warn_of_order
from skbn.network.processes import ONE_PROCESS
from skbn.network.statistics import set_exact_statistics
from skbn.training.batches import Batches
from skbn.training.checkpoints import Checkpoints
from skbn.training.epochs import (
    INTERRUPTED,
    NonFiniteLoss,
    Progress,
    Trainer,
    Trainers,
    no_hook,
    run_epochs,
)
from skbn.training.stopping import LossPlateau, ValidationPlateau
from skbn.training.validation_record import ValidationRecord

# Attributes that ``partial_fit`` continues from, beside the network.
TRAINING = ("_optimizer", "_moments", "_learning_rate", "_schedule", "_dropout_seed")

# Attributes that record the training.
RECORDS = (
    "loss_curve_",
    "learning_rate_curve_",
    "best_loss_",
    "validation_scores_",
    "validation_loss_curve_",
    "validation_epochs_",
    "best_validation_score_",
    "kept_epoch_",
    "batch_size_",
    "n_epochs_",
    "learning_rate_init_",
)


def forget(estimator):
    """Remove the records of earlier training. L-BFGS makes no records, as in scikit-learn."""
    for name in (*TRAINING, *RECORDS):
        vars(estimator).pop(name, None)
    estimator._n_without_improvement = 0


def begin_records(estimator):
    """Give empty records to an estimator with a new network. Epochs then add to the records."""
    estimator.loss_curve_ = []
    estimator.learning_rate_curve_ = []
    estimator.validation_scores_ = None
    estimator.validation_loss_curve_ = None
    estimator.validation_epochs_ = None
    estimator.best_validation_score_ = None
    estimator.best_loss_ = np.inf
    estimator.kept_epoch_ = 0


def remedies(estimator, incremental):
    """Advice for the error of a training that does not stay finite."""
    advice = []
    if estimator.solver != "lbfgs":
        rate = solvers.learning_rate_init(estimator, incremental)
        advice.append(f"a smaller learning_rate_init (now {rate})")
    if estimator._input_kind is None:
        advice.append('normalize_input="standard"')
    advice.append("where X, y or sample_weight hold huge or tiny numbers, other units")
    return f"Try {'; or '.join(advice)}."


class NetworkTraining:
    """A network in training, and the records that its estimator keeps.

    Parameters
    ----------
    estimator : estimator
        A draft that nobody else reads. This class reads its parameters and its records of earlier
        calls; `keep` changes the records.
    network : Network
        The network, which is trained in place.
    table : Table
        The rows to train on.
    call : Call
        The task of the call.
    n_epochs : int
        Maximum number of epochs.
    """

    def __init__(self, estimator, network, table, call, n_epochs):
        self.estimator, self.network, self.table = estimator, network, table
        self.incremental = call.incremental
        self.n_epochs_before = len(getattr(estimator, "loss_curve_", ()))
        training, schedule = self._steps(call.random_state, n_epochs)
        n_rows = int(call.processes.total(table.n_trained_rows))
        estimator.batch_size_ = solvers.batch_size(
            estimator, n_rows, network.is_normalized, call.processes
        )
        estimator.n_epochs_ = n_epochs
        estimator.learning_rate_init_ = self.schedule_settings["learning_rate_init"]
        # Under batch norm a last mini-batch of fewer rows joins the mini-batch before it.
        self.smallest_batch = min(estimator._smallest_batch, estimator.batch_size_)
        self.trainer = Trainer(
            network,
            table,
            training,
            schedule,
            Batches(
                estimator.batch_size_,
                self.smallest_batch if network.is_normalized else 1,
                estimator.shuffle,
                call.random_state,
            ),
            loss_curve=getattr(estimator, "loss_curve_", ()),
            learning_rate_curve=getattr(estimator, "learning_rate_curve_", ()),
            n_rows_seen=estimator.t_,
            processes=call.processes,
        )

    def _steps(self, random_state, n_epochs):
        """The optimizer with its moments, and the schedule; a stream continues with both."""
        estimator = self.estimator
        if self.incremental and hasattr(estimator, "_optimizer"):
            training = solvers.resumed_training(estimator, random_state)
            self.schedule_settings = estimator._schedule
            schedule = solvers.schedule_of(self.schedule_settings, n_epochs)
            schedule.learning_rate = estimator._learning_rate
        else:
            training = solvers.new_training(estimator, self.network, random_state)
            self.schedule_settings = solvers.schedule_settings(estimator, self.incremental)
            schedule = solvers.schedule_of(self.schedule_settings, n_epochs)
        return training, schedule

    def fitted_up_to_now(self, n_epochs):
        """The attributes of an estimator fitted up to now. Training does not change them."""
        now = self.network.copy()
        set_exact_statistics(now, self.table)
        parameters = self.estimator.get_params(deep=False)
        attributes = {
            name: value for name, value in vars(self.estimator).items() if name not in parameters
        }
        return attributes | {
            "_parameters": now.parameters,
            "_statistics": now.statistics,
            "_n_batches_tracked": now.n_batches_tracked,
            "_n_steps_tracked": now.n_steps_tracked,
            "n_iter_": n_epochs,
            "t_": self.trainer.n_rows_seen,
            "loss_": self.trainer.loss_curve[-1],
            "loss_curve_": list(self.trainer.loss_curve),
            "learning_rate_curve_": list(self.trainer.learning_rate_curve),
            "kept_epoch_": len(self.trainer.loss_curve),
        }

    def warn_of_order(self):
        """Warn if rows in their own order make mini-batches that mislead batch norm."""
        if self.network.is_normalized and not self.network.is_frozen:
            warn_of_order(self.network, self.table, self.estimator.batch_size_, self.smallest_batch)

    def keep(self, n_epochs, n_kept, diverged):
        """Keep the records of the training, and the optimizer for a later ``partial_fit``.

        `n_kept` epochs of this call have trained the network that is kept.
        """
        estimator, trainer = self.estimator, self.trainer
        estimator.loss_curve_ = trainer.loss_curve
        estimator.learning_rate_curve_ = trainer.learning_rate_curve
        if trainer.loss_curve:
            estimator.loss_ = trainer.loss_curve[-1]
        if n_kept > 0:  # else the kept epoch of earlier calls stays
            # Ctrl-C may have come between an epoch and its record.
            estimator.kept_epoch_ = min(self.n_epochs_before + n_kept, len(trainer.loss_curve))
        estimator.n_iter_ = n_epochs
        estimator.t_ = trainer.n_rows_seen
        if diverged:
            # The moments of the optimizer belong to the diverged network.
            for name in TRAINING:
                vars(estimator).pop(name, None)
            return
        settings, rate = self.schedule_settings, float(trainer.schedule.learning_rate)
        if trainer.schedule.runs_to_the_end:
            settings = solvers.schedule_settings(estimator, incremental=True)
            rate = settings["learning_rate_init"]
        estimator._optimizer = trainer.training.optimizer
        estimator._moments = trainer.training.moments
        estimator._dropout_seed = trainer.training.seed
        if trainer.processes.is_parallel:
            estimator._dropout_seed, *_ = trainer.processes.gathered(lambda: trainer.training.seed)
        estimator._learning_rate, estimator._schedule = rate, settings


class TrainingRun:
    """The epochs of one call, which start from the state that earlier calls have left.

    Parameters
    ----------
    estimator : estimator
        A draft that nobody else reads. ``run`` changes its records of validation rows.
    networks : list of NetworkTraining
        The network of `estimator`, or the networks of its members. The parameters of all members
        that concern training are equal.
    validation : Validation, PooledValidation or None
        Evaluates the present networks.
    call : Call
        The task of the call. ``partial_fit`` is one epoch.
    n_epochs : int
        Maximum number of epochs.
    fitted_up_to_now : callable
        Takes the number of epochs, and returns the attributes with which callbacks predict.
    n_threads : int, default=1
        Number of threads that train several networks side by side.
    side_by_side : OneProcess or Processes, default=ONE_PROCESS
        The processes that train members of `estimator`. `networks` are the members of this process.
    """

    def __init__(
        self,
        estimator,
        networks,
        validation,
        call,
        n_epochs,
        fitted_up_to_now,
        n_threads=1,
        side_by_side=ONE_PROCESS,
    ):
        self.estimator = estimator
        self.networks = networks
        self.parameters = networks[0].estimator
        # Of several processes the first one prints.
        self.verbose = estimator.verbose if call.processes.rank + side_by_side.rank == 0 else False
        trainers = [network.trainer for network in networks]
        self.trainers = Trainers(trainers, n_threads, side_by_side)
        self.call = call
        self.callbacks = call.callbacks
        self.incremental = call.incremental
        self.early_stopping = call.early_stopping
        self.n_epochs = n_epochs
        self.fitted_up_to_now = fitted_up_to_now
        self.validation = validation
        self.record = None if validation is None else self._record()
        self.stopping = self._stopping()
        self.progress = Progress()
        self.n_kept = 0  # epochs of this call that have trained the networks that are kept

    def _record(self):
        """The scores on validation rows, which continue the scores of earlier calls."""
        before = vars(self.estimator)
        record = ValidationRecord(
            # partial_fit predicts by running averages, so the score uses running averages, too.
            lambda: self.validation.evaluate(exact=not self.incremental),
            self.trainers.snapshot,
            self.verbose,
            scores=before.get("validation_scores_") or (),
            losses=before.get("validation_loss_curve_") or (),
            epochs=before.get("validation_epochs_") or (),
            epochs_before=len(before.get("loss_curve_", ())),
        )
        if self.early_stopping == "auto":
            return record
        if self.estimator.n_iter_ == 0 or self.incremental or self.parameters._is_plain:
            # As in scikit-learn, a warm start has to exceed the best earlier score.
            record.best_score = float(np.fmax.reduce(record.scores, initial=-np.inf))  # no NaN
            return record
        # A warm start has to exceed the score of its first network. scikit-learn compares with the
        # best earlier score instead, and ends with the last network, because its best weights share
        # their memory with the weights in training.
        score = self.validation.evaluate().score
        if not np.isnan(score):
            record.best_score, record.best = score, self.trainers.snapshot()
        return record

    def _stopping(self):
        """The criterion that ends training before its last epoch."""
        if self.early_stopping == "auto":
            validation = self.validation
            return Checkpoints(
                self.n_epochs,
                self.record,
                validation.shares,
                validation.standard_errors,
                self.call.processes,
            )
        tol, n_iter_no_change = self.parameters.tol, self.parameters.n_iter_no_change
        if self.early_stopping:
            stopping = ValidationPlateau(tol, n_iter_no_change, self.record)
        else:
            best_loss = getattr(self.estimator, "best_loss_", None)
            best_loss = np.inf if best_loss is None else best_loss
            stopping = LossPlateau(tol, n_iter_no_change, best_loss, self.record)
        stopping.n_without_improvement = self.estimator._n_without_improvement
        return stopping

    def run(self):
        """Train, and record the training. Returns whether the training ran out of epochs.

        Raises
        ------
        ValueError
            If a loss is not finite and there is no earlier epoch to restore.

        Warns
        -----
        ConvergenceWarning
            If a loss is not finite and an earlier epoch is restored.
        UserWarning
            On Ctrl-C, which ends training.
        """
        progress = self.progress
        diverged = False
        try:
            run_epochs(
                self.trainers,
                self.stopping,
                progress,
                max_epochs=self.n_epochs,
                verbose=self.verbose,
                epoch_hook=no_hook
                if self.callbacks is None
                else self.callbacks.epochs(lambda: self.fitted_up_to_now(progress.n_epochs)),
            )
        except NonFiniteLoss as error:
            message = (
                f"The loss was not finite in iteration {progress.n_epochs + 1}, {error}. "
                + remedies(self.parameters, self.incremental)
            )
            if not self.early_stopping or self.record.best is None:
                raise ValueError(f"{NON_FINITE} {message}") from None
            # With early stopping the best epoch is restored, so this training ends well, too.
            progress.converged = True
            diverged = True
            warnings.warn(
                f"{message} The best epoch before is restored.", ConvergenceWarning, stacklevel=6
            )
        self.n_kept = progress.n_epochs
        if not self.incremental:
            self._finish_networks(diverged)
            is_parallel = self.call.processes.is_parallel
            if not (self.parameters.shuffle or progress.interrupted or is_parallel):
                # One warning is enough, because all networks see the same order of rows.
                self.networks[0].warn_of_order()
        for network in self.networks:
            network.keep(progress.n_epochs, self.n_kept, diverged)
        self._keep_records()
        ran_out = not (progress.converged or progress.stopped or progress.interrupted)
        return ran_out and not self.incremental and not self.trainers.runs_to_the_end

    def _finish_networks(self, diverged):
        """Restore the networks to keep, and set their exact statistics."""
        # After Ctrl-C the model with running averages is usable. A second Ctrl-C ends the fit, as
        # an exception does.
        try:
            best = self.record.best if self.early_stopping else None
            if self.early_stopping == "auto" and not diverged:
                best = self._best_checkpoint()
            if best is not None:
                self.trainers.restore(best)
                self.n_kept = self.record.best_epoch
            self.trainers.set_exact_statistics()
        except KeyboardInterrupt:
            if self.progress.interrupted or self.trainers.is_parallel:
                raise
            self.progress.interrupted = True
            warnings.warn(INTERRUPTED, stacklevel=7)

    def _best_checkpoint(self):
        # If training ended between two checkpoints, the present network is one more checkpoint.
        n_epochs = self.progress.n_epochs
        if n_epochs not in self.stopping.wanted or self.progress.interrupted:
            self.record.look(n_epochs)
        return self.stopping.chosen()

    def _keep_records(self):
        estimator, record = self.estimator, self.record
        estimator._n_without_improvement = self.stopping.n_without_improvement
        is_watched = self.early_stopping is True
        estimator.best_loss_ = None if is_watched else self.stopping.best_loss
        if record is not None:
            estimator.validation_scores_ = record.scores
            estimator.validation_loss_curve_ = record.losses
            estimator.validation_epochs_ = record.epochs
            estimator.best_validation_score_ = record.best_score
