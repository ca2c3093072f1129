"""What every estimator on a network shares: from checked rows to a trained network."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.multiclass import _check_partial_fit_first_call

from skbn.estimators import random_sequence, solvers
from skbn.estimators.arguments import refuse_masked
from skbn.estimators.callbacks import CallbackSupportMixin, FitCallbacks
from skbn.estimators.columns import NON_FINITE, column_moments, merged
from skbn.estimators.fitted import FittedNetwork
from skbn.estimators.inputs import CLIPPED
from skbn.estimators.memory import initial_plan
from skbn.estimators.row_order import warn_of_order
from skbn.estimators.rows import as_table, checked_data, given_validation_rows, training_rows
from skbn.estimators.scoring import Validation, split_off
from skbn.estimators.state import STATE_FORMAT
from skbn.estimators.statistics_weight import statistics_weight
from skbn.estimators.transaction import draft_of, published
from skbn.network.network import Network
from skbn.network.plan import BATCH_NORM, Layout
from skbn.network.statistics import set_exact_statistics
from skbn.training.batches import Batches
from skbn.training.epochs import INTERRUPTED, History, NonFiniteLoss, no_hook, run_epochs
from skbn.training.stopping import LossPlateau, ValidationPlateau, ValidationRecord
from skbn.training.threads import blas_limit

# What a stream of partial_fit goes on from beside the network, and what training records.
TRAINING = ("_optimizer", "_moments", "_learning_rate", "_schedule", "_dropout_seed")
RECORDS = (
    "loss_curve_",
    "learning_rate_curve_",
    "best_loss_",
    "validation_scores_",
    "validation_loss_curve_",
    "best_validation_score_",
    "batch_size_",
    "n_epochs_",
    "learning_rate_init_",
)


def has_partial_fit(estimator):
    """Whether the solver trains on mini-batches; used by ``available_if``."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


class BaseWithBatchNorm(CallbackSupportMixin, FittedNetwork, BaseEstimator):
    """Base of the estimators on a network; not to be used by itself.

    A kind of targets gives ``_encode(y, fresh, incremental, validation=False)``, targets of shape
    (n_samples, n_targets); ``_count_outputs(targets)``; ``_loss_name()``; ``_out_activation()``;
    and ``_score_outputs(z, rows)``, the score of raw outputs.

    A kind of network gives ``_initial_plan(rows)``, ``_renew_plan(rows)`` and
    ``_draw_weights(network, random_state)``. What it may override stands below, and in
    `FittedNetwork`, with what holds for rows of a table.
    """

    # What 'auto' is with a planned schedule: chosen by the study of docs/defaults.rst.
    _planned_rate, _planned_epochs = 0.03, 25

    # Rows that a last mini-batch must have under batch norm, not to join the one before it.
    _smallest_batch = 2

    _parameter_constraints: dict = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "solver": [StrOptions({"lbfgs", "sgd", "adam", "rmsprop"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [
            StrOptions({"constant", "invscaling", "adaptive", "cosine", "one_cycle"})
        ],
        "learning_rate_init": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_epochs": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "bn_momentum": [Interval(Real, 0, 1, closed="right")],
        "bn_epsilon": [Interval(Real, 0, None, closed="neither")],
        "normalize_input": [StrOptions(set(CLIPPED)), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "init_scale": [Interval(Real, 0, None, closed="neither")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "dtype": [StrOptions({"float32", "float64"}), None],
    }

    # Training.

    def _fit(self, X, y, sample_weight, given_validation, *, incremental, classes=None):
        X_val, y_val, sample_weight_val = given_validation
        refuse_masked(
            X=X,
            y=y,
            sample_weight=sample_weight,
            X_val=X_val,
            y_val=y_val,
            sample_weight_val=sample_weight_val,
        )
        # The callbacks' context is an attribute while fit runs: begun before, so that a
        # failure leaves it for scikit-learn to tear down.
        callbacks = None
        if not incremental:
            n_epochs = 0 if self.solver == "lbfgs" else solvers.n_epochs(self)
            callbacks = FitCallbacks(self, n_epochs, X, y, {"sample_weight": sample_weight})
        draft = draft_of(self)
        before = vars(draft).copy()
        unconverged = draft._fit_draft(X, y, sample_weight, given_validation, callbacks, classes)
        with published(self, draft, before):
            if callbacks is not None:
                callbacks.end()
        if unconverged:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({draft.n_epochs_}) reached "
                "and the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=4,
            )
        return self

    def _fit_draft(self, X, y, sample_weight, given_validation, callbacks, classes):
        """What a call of ``fit``, or without callbacks of ``partial_fit``, does to its draft.

        Returns whether it has run out of epochs.
        """
        incremental = callbacks is None
        if incremental and is_classifier(self):
            _check_partial_fit_first_call(self, classes)
        solvers.check_solver(self)
        fresh = not self.__sklearn_is_fitted__() or not (incremental or self.warm_start)
        if fresh:
            self._is_plain = self._has_plain_parameters()
            normalized = self.batch_norm is not None
        else:
            self._check_state()
            normalized = (self._plan["kind"] == BATCH_NORM).any()
        # A row has no variance: with batch norm a fit needs two. A call of partial_fit does
        # not, it then normalizes by the running statistics.
        smallest = 2 if normalized and not incremental else 1
        rows = self._training_rows(
            X, y, sample_weight, fresh=fresh, incremental=incremental, smallest=smallest
        )
        is_given = any(part is not None for part in given_validation)
        early_stopping = solvers.stops_early(self, rows.n, is_given, incremental)
        # scikit-learn's mode starts anew in each call, as upstream.
        goes_on = not (fresh or self._is_plain)
        random_state = random_sequence.sequence_of(
            self.random_state, self._random_sequence if goes_on else None
        )
        if fresh:
            self._initialize(rows, random_state)
        else:
            self._renew_plan(rows)
            self._plan_digest = Layout.of(self._plan).digest
        validation_rows = None
        if is_given:
            validation_rows = self._given_validation_rows(*given_validation)
        elif early_stopping:
            # Later rounds of a warm start hold out the same rows: others were trained on.
            split_place = self._split_place if goes_on else None
            if split_place is None:
                self._split_place = random_sequence.place_in(random_state)
            rows, validation_rows = split_off(
                rows,
                self.validation_fraction,
                random_state if split_place is None else random_sequence.at(split_place),
                stratified=is_classifier(self) and self.n_outputs_ == 1,
            )
            if rows.n < smallest:
                raise ValueError(
                    f"validation_fraction={self.validation_fraction} leaves {rows.n} row to "
                    f"train on while a minimum of {smallest} is required by "
                    f"{type(self).__name__}."
                )
        self._update_moments(rows, fresh)
        network = Network(
            self._plan,
            self._loss,
            self._parameters.copy(),
            self._statistics.copy(),
            self._n_batches_tracked,
            self._n_steps_tracked,
        )
        table = self._table(rows)
        if network.is_normalized and rows.sample_weight is not None:
            is_one_batch = not incremental and solvers.rows_per_step(self, rows.n) >= rows.n
            table.statistics_weight = statistics_weight(rows.sample_weight, is_one_batch)
        unconverged = False
        step_flops = network.blas_flops_per_row(table) * solvers.rows_per_step(self, rows.n)
        with blas_limit.training(step_flops):
            if self.solver == "lbfgs":
                self._forget_training()
                self.n_iter_, self.loss_ = solvers.minimize(self, network, table)
                if not np.isfinite(self.loss_):
                    raise ValueError(
                        f"{NON_FINITE} The loss was {self.loss_} after {self.n_iter_} iterations. "
                        + self._remedies(incremental)
                    )
                set_exact_statistics(network, table)
            else:
                validation = None
                if validation_rows is not None:
                    validation = self._validation(
                        network, table, validation_rows, random_state, "y_val" if is_given else "y"
                    )
                unconverged = self._train(
                    network, table, validation, early_stopping, random_state, callbacks
                )
        if not (np.isfinite(network.parameters).all() and np.isfinite(network.statistics).all()):
            raise ValueError(
                f"{NON_FINITE} They were not finite after iteration {self.n_iter_}. "
                + self._remedies(incremental)
            )
        self._random_sequence = random_sequence.kept_of(self.random_state, random_state)
        self._parameters, self._statistics = network.parameters, network.statistics
        self._n_batches_tracked = network.n_batches_tracked
        self._n_steps_tracked = network.n_steps_tracked
        return unconverged

    def _remedies(self, incremental):
        """What to try where training does not stay finite."""
        remedies = []
        if self.solver != "lbfgs":
            rate = solvers.learning_rate_init(self, incremental)
            remedies.append(f"a smaller learning_rate_init (now {rate})")
        if not hasattr(self, "input_mean_"):
            remedies.append('normalize_input="standard"')
        remedies.append("where X, y or sample_weight hold huge or tiny numbers, other units")
        return f"Try {'; or '.join(remedies)}."

    def _update_moments(self, rows, fresh):
        """Moments of what is normalized in front of and behind the network.

        What a network that is trained on has been given stays, whatever the parameters say now.
        """
        if self.normalize_input is not None if fresh else hasattr(self, "input_mean_"):
            if fresh:
                self._input_clipped = CLIPPED[self.normalize_input]
            previous = None if fresh else (self.input_mean_, self.input_var_, self._input_weight)
            self.input_mean_, self.input_var_, self._input_weight = merged(
                previous, self._input_moments(rows)
            )

    def _hidden_units(self):
        """Units of each hidden layer, as `hidden_layer_sizes` says."""
        hidden_layer_sizes = self.hidden_layer_sizes
        if not hasattr(hidden_layer_sizes, "__iter__"):
            hidden_layer_sizes = [hidden_layer_sizes]
        hidden_layer_sizes = list(hidden_layer_sizes)
        if not all(isinstance(size, Integral) for size in hidden_layer_sizes):
            raise ValueError(f"hidden_layer_sizes must be integers, got {hidden_layer_sizes}.")
        if any(size <= 0 for size in hidden_layer_sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden_layer_sizes}.")
        # Python's integers: NumPy's small ones would overflow where they are multiplied.
        return [int(size) for size in hidden_layer_sizes]

    def _initialize(self, rows, random_state):
        # What an earlier fit with other settings has left.
        for name in ("input_mean_", "input_var_", "_input_weight", "_input_clipped", "loss_"):
            vars(self).pop(name, None)
        self._forget_training()
        self._random_sequence = self._split_place = None
        self._state_format = STATE_FORMAT
        self.n_outputs_ = self._count_outputs(rows.targets)
        # With the inputs and the outputs.
        self.n_layers_ = len(self._hidden_units()) + 2
        self.out_activation_ = self._out_activation()
        self._plan = initial_plan(self, rows)
        self._plan_digest = Layout.of(self._plan).digest
        self._loss = self._loss_name()
        network = Network.initial(self._plan, self._loss, self._network_dtype(rows.X))
        self._draw_weights(network, random_state)
        self._parameters = network.parameters
        self._statistics = network.statistics
        self._n_batches_tracked = self._n_steps_tracked = 0
        self.n_iter_ = 0
        self.t_ = 0
        if self.solver != "lbfgs":
            self.loss_curve_ = []
            self.learning_rate_curve_ = []
            self.validation_scores_ = None
            self.validation_loss_curve_ = None
            self.best_validation_score_ = None
            self.best_loss_ = np.inf

    def _forget_training(self):
        # L-BFGS has none of these, as upstream.
        for name in (*TRAINING, *RECORDS):
            vars(self).pop(name, None)
        self._n_without_improvement = 0

    def _network_dtype(self, X):
        return np.dtype(X.dtype if self.dtype is None else self.dtype)

    def _table(self, rows, targets="y"):
        """A table of `rows`, whose targets an error calls by the name `targets`."""
        return self._input_table(
            rows.X, self._network_targets(rows.targets, targets), rows.sample_weight
        )

    def _validation(self, network, table, rows, random_state, targets):
        return Validation(
            network,
            table,
            self._table(rows, targets),
            lambda z: self._score_outputs(z.astype(np.float64, copy=False), rows),
            random_state,
        )

    def _train(self, network, table, validation, early_stopping, random_state, callbacks):
        incremental = callbacks is None
        n_epochs = 1 if incremental else solvers.n_epochs(self)
        if incremental and hasattr(self, "_optimizer"):
            training = solvers.resumed_training(self, random_state)
            schedule_settings = self._schedule
            schedule = solvers.schedule_of(schedule_settings, n_epochs)
            schedule.learning_rate = self._learning_rate
        else:
            training = solvers.new_training(self, network, random_state)
            schedule_settings = solvers.schedule_settings(self, incremental)
            schedule = solvers.schedule_of(schedule_settings, n_epochs)
        record = None if validation is None else self._record(network, validation, incremental)
        stopping = self._stopping(record, early_stopping)
        history = History(
            loss_curve=list(getattr(self, "loss_curve_", ())),
            learning_rate_curve=list(getattr(self, "learning_rate_curve_", ())),
            n_rows_seen=self.t_,
        )
        batch_size = solvers.batch_size(self, table.n_rows, network.is_normalized)
        self.batch_size_, self.n_epochs_ = batch_size, n_epochs
        self.learning_rate_init_ = schedule_settings["learning_rate_init"]
        diverged = False
        try:
            run_epochs(
                network,
                table,
                training,
                schedule,
                stopping,
                history,
                max_epochs=n_epochs,
                batches=Batches(
                    batch_size,
                    self._smallest_of(batch_size) if network.is_normalized else 1,
                    self.shuffle,
                    random_state,
                ),
                verbose=self.verbose,
                epoch_hook=no_hook
                if incremental
                else callbacks.epochs(lambda: self._reconstruction(network, table, history)),
            )
        except NonFiniteLoss as error:
            message = (
                f"The loss was not finite in iteration {history.n_epochs + 1}, {error}. "
                + self._remedies(incremental)
            )
            if not early_stopping or record.best is None:
                raise ValueError(f"{NON_FINITE} {message}") from None
            # The best epoch is what training is to end with, however it ends.
            history.converged = True
            diverged = True
            warnings.warn(
                f"{message} The best epoch before is restored.", ConvergenceWarning, stacklevel=6
            )
        if not incremental:
            if early_stopping and record.best is not None:
                network.restore(record.best)
            self._finish_statistics(network, table, history)
            if not self.shuffle and network.is_normalized and not history.interrupted:
                warn_of_order(network, table, batch_size, self._smallest_of(batch_size))
        if diverged:
            # Moments of a training gone astray are nothing to go on from.
            for name in TRAINING:
                vars(self).pop(name, None)
        else:
            self._optimizer, self._moments = training.optimizer, training.moments
            self._dropout_seed = training.seed
            if schedule.runs_to_the_end:
                schedule_settings = solvers.schedule_settings(self, incremental=True)
                self._learning_rate = schedule_settings["learning_rate_init"]
            else:
                self._learning_rate = float(schedule.learning_rate)
            self._schedule = schedule_settings
        self._n_without_improvement = stopping.n_without_improvement
        self.loss_curve_ = history.loss_curve
        self.learning_rate_curve_ = history.learning_rate_curve
        self.best_loss_ = None if early_stopping else stopping.best_loss
        if record is not None:
            self.validation_scores_ = record.scores
            self.validation_loss_curve_ = record.losses
            self.best_validation_score_ = record.best_score
        if history.loss_curve:
            self.loss_ = history.loss_curve[-1]
        self.n_iter_ = history.n_epochs
        self.t_ = history.n_rows_seen
        ran_out = not (history.converged or history.stopped or history.interrupted)
        return ran_out and not incremental and not schedule.runs_to_the_end

    def _finish_statistics(self, network, table, history):
        # Ctrl-C here, too, leaves a usable model: that of the running averages. A second one
        # is meant, and ends the fit as any exception does.
        try:
            set_exact_statistics(network, table)
        except KeyboardInterrupt:
            if history.interrupted:
                raise
            history.interrupted = True
            warnings.warn(INTERRUPTED, stacklevel=7)

    def _smallest_of(self, batch_size):
        # Rows that a last mini-batch must have under batch norm, not to join the one before it.
        return min(self._smallest_batch, batch_size)

    def _record(self, network, validation, incremental):
        """Scores on validation rows, going on from those there are."""
        record = ValidationRecord(
            # The statistics of partial_fit are the running averages.
            lambda: validation.evaluate(exact=not incremental),
            network.snapshot,
            self.verbose,
            getattr(self, "validation_scores_", None) or (),
            getattr(self, "validation_loss_curve_", None) or (),
        )
        # The network that a warm start begins with is the one to beat. Not upstream, which goes
        # by the old best score and ends with the last network: its best weights share their
        # memory with those in training.
        if self.n_iter_ > 0 and not incremental and not self._is_plain:
            score, _ = validation.evaluate()
            record.best_score, record.best = -np.inf, None
            if not np.isnan(score):
                record.best_score, record.best = score, network.snapshot()
        return record

    def _stopping(self, record, early_stopping):
        """What ends training before its last epoch."""
        if early_stopping:
            stopping = ValidationPlateau(self.tol, self.n_iter_no_change, record)
        else:
            best_loss = getattr(self, "best_loss_", None)
            stopping = LossPlateau(
                self.tol, self.n_iter_no_change, np.inf if best_loss is None else best_loss, record
            )
        stopping.n_without_improvement = self._n_without_improvement
        return stopping

    def _reconstruction(self, network, table, history):
        # Attributes that make this estimator one fitted up to now, none shared with training.
        now = Network(network.plan, network.loss, *network.snapshot())
        set_exact_statistics(now, table)
        parameters = self.get_params(deep=False)
        attributes = {name: value for name, value in vars(self).items() if name not in parameters}
        return attributes | {
            "_parameters": now.parameters,
            "_statistics": now.statistics,
            "_n_batches_tracked": now.n_batches_tracked,
            "_n_steps_tracked": now.n_steps_tracked,
            "n_iter_": history.n_epochs,
            "t_": history.n_rows_seen,
            "loss_": history.loss_curve[-1],
            "loss_curve_": list(history.loss_curve),
            "learning_rate_curve_": list(history.learning_rate_curve),
        }

    # What a kind of network may override.

    def _checked_data(self, X, y, *, smallest, fresh):
        """`X`, checked and as `Rows` take it, and `y`; at least `smallest` rows."""
        X, y = checked_data(self, X, y, multi_output=True, ensure_min_samples=smallest, reset=fresh)
        return as_table(X), y

    def _checked_rows(self, X, *, smallest):
        """`X` by itself, checked like the rows of an earlier call and as `Rows` take it."""
        return as_table(checked_data(self, X, ensure_min_samples=smallest, reset=False))

    def _training_rows(self, X, y, sample_weight, *, fresh, incremental, smallest):
        """Checked rows to train on, at least `smallest`."""
        return training_rows(
            self, X, y, sample_weight, fresh=fresh, incremental=incremental, smallest=smallest
        )

    def _given_validation_rows(self, X, y, sample_weight):
        """Checked validation rows that the caller gave."""
        return given_validation_rows(self, X, y, sample_weight)

    def _input_moments(self, rows):
        """Mean, variance and total weight of each column, as from `column_moments`."""
        return column_moments(rows.X, rows.sample_weight)

    def _has_plain_parameters(self):
        """Whether a new network is to be scikit-learn's, down to which rows it keeps."""
        return False

    # What a kind of targets may override.

    def _class_weight(self, y, incremental):
        """Weights of the rows by their class, or None."""
        return None

    def _network_targets(self, targets, name):
        """Targets as the network learns them, in its dtype; `name`: what an error calls them."""
        return np.ascontiguousarray(targets, dtype=self._parameters.dtype)
