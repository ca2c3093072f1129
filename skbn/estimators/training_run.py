"""The epochs of one call of ``fit`` or ``partial_fit``: prepared, run, and recorded."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skbn.estimators import solvers
from skbn.estimators.class_targets import CALIBRATION
from skbn.estimators.columns import NON_FINITE
from skbn.estimators.row_order import warn_of_order
from skbn.network.statistics import set_exact_statistics
from skbn.training.batches import Batches
from skbn.training.checkpoints import Checkpoints
from skbn.training.epochs import INTERRUPTED, History, NonFiniteLoss, no_hook, run_epochs
from skbn.training.stopping import LossPlateau, ValidationPlateau, ValidationRecord

# Attributes that a stream of partial_fit goes on from, beside the network.
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
    "batch_size_",
    "n_epochs_",
    "learning_rate_init_",
)


def forget(estimator):
    """Remove the records of earlier training. L-BFGS leaves no records, as in scikit-learn."""
    for name in (*TRAINING, *RECORDS):
        vars(estimator).pop(name, None)
    estimator._n_without_improvement = 0


def begin_records(estimator):
    """Give an estimator with a new network the records that epochs are going to add to."""
    estimator.loss_curve_ = []
    estimator.learning_rate_curve_ = []
    estimator.validation_scores_ = None
    estimator.validation_loss_curve_ = None
    estimator.validation_epochs_ = None
    estimator.best_validation_score_ = None
    estimator.best_loss_ = np.inf


def remedies(estimator, incremental):
    """Advice for an error: what to try where training does not stay finite."""
    advice = []
    if estimator.solver != "lbfgs":
        rate = solvers.learning_rate_init(estimator, incremental)
        advice.append(f"a smaller learning_rate_init (now {rate})")
    if estimator._input_kind is None:
        advice.append('normalize_input="standard"')
    advice.append("where X, y or sample_weight hold huge or tiny numbers, other units")
    return f"Try {'; or '.join(advice)}."


class TrainingRun:
    """The epochs of one call, from the state that earlier calls have left.

    Parameters
    ----------
    estimator : estimator
        A draft, which nobody else reads. Its parameters and its records of earlier calls are
        read; ``run`` changes its records.
    network : Network
        Trained in place.
    table : Table
        The rows to train on.
    validation : Validation or None
        Scores the network after each epoch.
    call : Call
        What the call is to do. ``partial_fit`` is one epoch without callbacks.
    """

    def __init__(self, estimator, network, table, validation, call):
        self.estimator = estimator
        self.network = network
        self.table = table
        self.callbacks = call.callbacks
        self.incremental = call.incremental
        self.early_stopping = call.early_stopping
        self.random_state = call.random_state
        self.n_epochs = 1 if self.incremental else solvers.n_epochs(estimator, table.n_rows)
        self._prepare_steps()
        if self.early_stopping == "auto":
            self.record = self.stopping = self._checkpoints(validation)
        else:
            self.record = None if validation is None else self._record(validation)
            self.stopping = self._stopping()
        self.history = History(
            loss_curve=list(getattr(estimator, "loss_curve_", ())),
            learning_rate_curve=list(getattr(estimator, "learning_rate_curve_", ())),
            n_rows_seen=estimator.t_,
        )
        self.batch_size = solvers.batch_size(estimator, table.n_rows, network.is_normalized)
        # Under batch norm a last mini-batch of fewer rows joins the mini-batch before it.
        self.smallest_batch = min(estimator._smallest_batch, self.batch_size)

    def _prepare_steps(self):
        """Set the optimizer, its moments and the schedule; a stream goes on with earlier ones."""
        estimator = self.estimator
        if self.incremental and hasattr(estimator, "_optimizer"):
            self.training = solvers.resumed_training(estimator, self.random_state)
            self.schedule_settings = estimator._schedule
            self.schedule = solvers.schedule_of(self.schedule_settings, self.n_epochs)
            self.schedule.learning_rate = estimator._learning_rate
        else:
            self.training = solvers.new_training(estimator, self.network, self.random_state)
            self.schedule_settings = solvers.schedule_settings(estimator, self.incremental)
            self.schedule = solvers.schedule_of(self.schedule_settings, self.n_epochs)

    def _record(self, validation):
        """The scores on validation rows; they go on from the scores of earlier calls."""
        estimator = self.estimator
        record = ValidationRecord(
            # partial_fit predicts by running averages, so it is scored by them.
            lambda: validation.evaluate(exact=not self.incremental),
            self.network.snapshot,
            estimator.verbose,
            **self._records_before(),
        )
        # A warm start has to beat the network that it begins with. scikit-learn compares with the
        # best earlier score instead, and ends with the last network: its best weights share their
        # memory with the weights in training.
        if estimator.n_iter_ > 0 and not self.incremental and not estimator._is_plain:
            score = validation.evaluate().score
            record.best_score, record.best = -np.inf, None
            if not np.isnan(score):
                record.best_score, record.best = score, self.network.snapshot()
        return record

    def _records_before(self):
        # What a record of validation rows goes on from.
        before = vars(self.estimator)
        return {
            "scores": before.get("validation_scores_") or (),
            "losses": before.get("validation_loss_curve_") or (),
            "epochs": before.get("validation_epochs_") or (),
            "epochs_before": len(before.get("loss_curve_", ())),
        }

    def _checkpoints(self, validation):
        """The networks of some epochs, of which one is kept."""
        return Checkpoints(
            self.n_epochs,
            validation.evaluate,
            self.network.snapshot,
            self.estimator.verbose,
            **self._records_before(),
        )

    def _stopping(self):
        """The criterion that ends training before its last epoch."""
        tol, n_iter_no_change = self.estimator.tol, self.estimator.n_iter_no_change
        if self.early_stopping:
            stopping = ValidationPlateau(tol, n_iter_no_change, self.record)
        else:
            best_loss = getattr(self.estimator, "best_loss_", None)
            best_loss = np.inf if best_loss is None else best_loss
            stopping = LossPlateau(tol, n_iter_no_change, best_loss, self.record)
        stopping.n_without_improvement = self.estimator._n_without_improvement
        return stopping

    def run(self):
        """Train, and record the training; returns whether it has run out of epochs.

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
        estimator = self.estimator
        estimator.batch_size_, estimator.n_epochs_ = self.batch_size, self.n_epochs
        estimator.learning_rate_init_ = self.schedule_settings["learning_rate_init"]
        diverged = False
        try:
            run_epochs(
                self.network,
                self.table,
                self.training,
                self.schedule,
                self.stopping,
                self.history,
                max_epochs=self.n_epochs,
                batches=Batches(
                    self.batch_size,
                    self.smallest_batch if self.network.is_normalized else 1,
                    estimator.shuffle,
                    self.random_state,
                ),
                verbose=estimator.verbose,
                epoch_hook=no_hook
                if self.incremental
                else self.callbacks.epochs(self._fitted_up_to_now),
            )
        except NonFiniteLoss as error:
            message = (
                f"The loss was not finite in iteration {self.history.n_epochs + 1}, {error}. "
                + remedies(estimator, self.incremental)
            )
            if not self.early_stopping or self.record.best is None:
                raise ValueError(f"{NON_FINITE} {message}") from None
            # With early stopping training ends with the best epoch, so it ends well here, too.
            self.history.converged = True
            diverged = True
            warnings.warn(
                f"{message} The best epoch before is restored.", ConvergenceWarning, stacklevel=6
            )
        if not self.incremental:
            self._finish_network(diverged)
            if (
                not estimator.shuffle
                and self.network.is_normalized
                and not self.history.interrupted
            ):
                warn_of_order(self.network, self.table, self.batch_size, self.smallest_batch)
        self._keep_optimizer(diverged)
        self._keep_records()
        history = self.history
        ran_out = not (history.converged or history.stopped or history.interrupted)
        return ran_out and not self.incremental and not self.schedule.runs_to_the_end

    def _fitted_up_to_now(self):
        """The attributes of an estimator fitted up to now; training does not change them."""
        now = self.network.copy()
        set_exact_statistics(now, self.table)
        parameters = self.estimator.get_params(deep=False)
        attributes = {
            name: value for name, value in vars(self.estimator).items() if name not in parameters
        }
        # Callbacks get a copy of the estimator before the fit, with another network's temperature.
        before = self.callbacks.estimator
        attributes |= {name: None for name in CALIBRATION if hasattr(before, name)}
        return attributes | {
            "_parameters": now.parameters,
            "_statistics": now.statistics,
            "_n_batches_tracked": now.n_batches_tracked,
            "_n_steps_tracked": now.n_steps_tracked,
            "n_iter_": self.history.n_epochs,
            "t_": self.history.n_rows_seen,
            "loss_": self.history.loss_curve[-1],
            "loss_curve_": list(self.history.loss_curve),
            "learning_rate_curve_": list(self.history.learning_rate_curve),
        }

    def _finish_network(self, diverged):
        """Go back to the network that is kept, and set its exact statistics."""
        # Ctrl-C leaves a usable model here, too: the model of the running averages. Ctrl-C for a
        # second time is meant to end the fit, as an exception does.
        try:
            best = self.record.best if self.early_stopping else None
            if self.early_stopping == "auto" and not diverged:
                best = self._best_checkpoint()
            if best is not None:
                self.network.restore(best)
            set_exact_statistics(self.network, self.table)
        except KeyboardInterrupt:
            if self.history.interrupted:
                raise
            self.history.interrupted = True
            warnings.warn(INTERRUPTED, stacklevel=7)

    def _best_checkpoint(self):
        # Where training was ended between two checkpoints, the network as it is is one more.
        if self.record.epoch not in self.record.wanted or self.history.interrupted:
            self.record.look(self.record.epoch)
        return self.record.chosen()

    def _keep_optimizer(self, diverged):
        """Keep the optimizer and the schedule, with which a stream of ``partial_fit`` goes on."""
        estimator = self.estimator
        if diverged:
            # The optimizer's moments led away from the network that was restored.
            for name in TRAINING:
                vars(estimator).pop(name, None)
            return
        settings, rate = self.schedule_settings, float(self.schedule.learning_rate)
        if self.schedule.runs_to_the_end:
            settings = solvers.schedule_settings(estimator, incremental=True)
            rate = settings["learning_rate_init"]
        estimator._optimizer = self.training.optimizer
        estimator._moments = self.training.moments
        estimator._dropout_seed = self.training.seed
        estimator._learning_rate, estimator._schedule = rate, settings

    def _keep_records(self):
        estimator, history, record = self.estimator, self.history, self.record
        estimator._n_without_improvement = self.stopping.n_without_improvement
        estimator.loss_curve_ = history.loss_curve
        estimator.learning_rate_curve_ = history.learning_rate_curve
        is_watched = self.early_stopping is True
        estimator.best_loss_ = None if is_watched else self.stopping.best_loss
        if record is not None:
            estimator.validation_scores_ = record.scores
            estimator.validation_loss_curve_ = record.losses
            estimator.validation_epochs_ = record.epochs
            estimator.best_validation_score_ = record.best_score
        if history.loss_curve:
            estimator.loss_ = history.loss_curve[-1]
        estimator.n_iter_ = history.n_epochs
        estimator.t_ = history.n_rows_seen
