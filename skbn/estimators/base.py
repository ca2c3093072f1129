"""Base of all estimators on a network: a fit, from the given data to the published state."""

import warnings
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import Interval, Options, StrOptions

from skbn.estimators import random_sequence, solvers, training_run
from skbn.estimators.annotations import Floats
from skbn.estimators.arguments import refuse_masked
from skbn.estimators.call import Call, Preparation
from skbn.estimators.callbacks import CallbackSupportMixin, FitCallbacks
from skbn.estimators.class_targets import CALIBRATION
from skbn.estimators.columns import NON_FINITE
from skbn.estimators.documentation import DocumentationLinkMixin
from skbn.estimators.fitted import FittedNetwork
from skbn.estimators.inputs import INPUT_ATTRIBUTES, set_input_map
from skbn.estimators.memory import initial_plan
from skbn.estimators.rows import given_validation_rows, training_rows
from skbn.estimators.scoring import (
    TOO_FEW_HELD_OUT,
    Validation,
    hold_out,
    scoring_of,
    split_off,
)
from skbn.estimators.state import STATE_FORMAT
from skbn.estimators.statistics_weight import statistics_weight
from skbn.estimators.training_run import NetworkTraining, TrainingRun, remedies
from skbn.estimators.transaction import draft_of, published
from skbn.network import aligned
from skbn.network.network import Network
from skbn.network.plan import BATCH_NORM, Layout
from skbn.network.processes import ONE_PROCESS
from skbn.network.statistics import set_exact_statistics
from skbn.training.threads import blas_limit


def has_partial_fit(estimator):
    """Whether the solver trains on mini-batches; used by ``available_if``."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


class BaseWithBatchNorm(DocumentationLinkMixin, CallbackSupportMixin, FittedNetwork, BaseEstimator):
    """Base of the estimators on a network; not to be used by itself.

    An estimator defines ``_kind_of_targets``, the class of its targets: `ClassTargets` or
    `RealTargets`. A kind of network (perceptrons take tables, recurrent networks take sequences)
    defines:

    - ``_checked_rows(X, y, *, smallest, fresh)``: checked data in the form of `Rows`;
    - ``_auto_input_kind(rows, call)``: the normalization that 'auto' stands for;
    - ``_input_moments(rows)``: mean, variance and total weight of each feature;
    - ``_input_table(X, y, sample_weight)``: checked data as the `Table` of a network;
    - ``_shown_rows(X)``: checked data in the form that ``predict`` takes;
    - ``_initial_plan(rows, call)``: the plan of a new network;
    - ``_renew_plan(rows)``: puts the present parameters into the plan of a network that is trained
      further;
    - ``_draw_weights(network, random_state)``: sets the initial weights;
    - ``_infer(network, table)``: raw outputs for predictions;
    - ``_shown_steps(statistics)``: statistics of shape (t, d) as fitted attributes show them.

    It may extend ``_check_state``, and set the class attributes below.
    """

    # Attributes that a fit sets. Type checkers read these types; nothing reads them at run time.
    if TYPE_CHECKING:
        loss_: float
        loss_curve_: list[float]
        learning_rate_curve_: list[float]
        best_loss_: float | None
        validation_scores_: list[float] | None
        validation_loss_curve_: list[float] | None
        validation_epochs_: list[int] | None
        best_validation_score_: float | None
        kept_epoch_: int
        n_iter_: int
        n_epochs_: int
        n_outputs_: int
        n_features_in_: int
        feature_names_in_: NDArray[np.object_]
        t_: int
        batch_size_: int
        learning_rate_init_: float
        n_layers_: int
        out_activation_: str
        input_mean_: Floats
        input_var_: Floats

    # The parameters that make a network plain (see ``solvers.is_plain``). None: scikit-learn has
    # no such network.
    _plain_parameters: dict | None = None

    # The learning rate, the epochs and the weight decay that 'auto' stands for under a planned
    # schedule: docs/defaults.rst. None: the number of epochs follows from the number of rows.
    _planned_rate, _planned_epochs = 0.03, None
    _auto_weight_decay = 0.1

    # Under batch norm a last mini-batch of fewer rows joins the mini-batch before it.
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
        "bn_frozen": ["boolean"],
        "scoring": [StrOptions({"loss", *get_scorer_names()}), callable, None],
        "normalize_input": [StrOptions({"auto", "standard", "smooth_clip"}), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "init_scale": [Interval(Real, 0, None, closed="neither")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "dtype": [StrOptions({"float32", "float64"}), None],
    }

    # A fit. Warnings name the line that has called ``fit`` or ``partial_fit``. So the `stacklevel`
    # of a warning counts the functions in between.

    def _fit(
        self,
        X,
        y,
        sample_weight,
        given_validation,
        *,
        incremental,
        classes=None,
        processes=ONE_PROCESS,
    ):
        fit = self._prepared(X, y, sample_weight, given_validation, incremental, classes, processes)
        draft, call = fit.estimator, fit.call
        n_epochs = 1 if incremental else solvers.n_epochs(draft, call.count(fit.rows), processes)
        if not (incremental or processes.is_parallel):
            # While fit runs, the context of the callbacks is an attribute of this estimator.
            # scikit-learn removes the context if fit fails, so the draft must not have it.
            n_tasks = 0 if self.solver == "lbfgs" else n_epochs
            call.callbacks = FitCallbacks(self, n_tasks, X, y, {"sample_weight": sample_weight})
        unconverged = draft._train(fit, n_epochs)
        with published(self, draft, fit.before):
            if call.callbacks is not None:
                call.callbacks.end()
        if unconverged:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({draft.n_epochs_}) reached "
                "and the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=4,
            )
        return self

    def _prepared(
        self,
        X,
        y,
        sample_weight,
        given_validation,
        incremental,
        classes=None,
        processes=ONE_PROCESS,
    ):
        """Check, encode and plan. Returns a `Preparation` and does not change this estimator."""
        # Check.
        X_val, y_val, sample_weight_val = given_validation
        with processes.agreement():
            refuse_masked(
                X=X,
                y=y,
                sample_weight=sample_weight,
                X_val=X_val,
                y_val=y_val,
                sample_weight_val=sample_weight_val,
            )
        draft = draft_of(self)
        before = vars(draft).copy()
        is_given = any(part is not None for part in given_validation)
        call = draft._check_call(incremental, is_given, classes, processes)
        # Encode.
        targets = draft._targets_to_encode(call)
        rows = training_rows(draft, targets, X, y, sample_weight, call)
        validation_rows = None
        if is_given:
            validation_rows = given_validation_rows(draft, targets, *given_validation)
        call.early_stopping = solvers.early_stopping(draft, rows, validation_rows, call)
        # Plan.
        if call.fresh:
            draft._initialize(rows, targets, call)
        else:
            draft._renew_plan(rows)
            draft._plan_digest = Layout.of(draft._plan).digest
        if call.early_stopping and not is_given:
            rows, validation_rows = draft._hold_out(rows, targets, call)
        call.part_random_numbers()
        network = draft._network_to_train(rows, targets, call)
        with processes.agreement():
            table = draft._table(rows, targets, "y")
        calibrates = draft._is_calibrated(validation_rows, call)
        if not incremental:
            targets.set_prior(rows if calibrates else None)
            for name in CALIBRATION:
                vars(draft).pop(name, None)
        if network.is_normalized and rows.sample_weight is not None:
            n = call.count(rows)
            is_one_batch = not incremental and solvers.rows_per_step(draft, n, processes) >= n
            weight = statistics_weight(rows.sample_weight, is_one_batch, processes)
            table.statistics_weight = rows.in_place(weight)
        validation = None
        if validation_rows is not None and draft.solver != "lbfgs":
            validation = draft._validation(network, table, validation_rows, targets, call)
        return Preparation(
            estimator=draft,
            before=before,
            call=call,
            targets=targets,
            rows=rows,
            validation_rows=validation_rows,
            network=network,
            table=table,
            validation=validation,
            calibrates=calibrates,
        )

    def _check_call(self, incremental, is_given, classes, processes):
        """Check the parameters, and the state at the beginning of the call."""
        if incremental:
            self._kind_of_targets.check_classes(self, classes)
        solvers.check_solver(self)
        fresh = not self.__sklearn_is_fitted__() or not (incremental or self.warm_start)
        if fresh:
            self._is_plain = solvers.is_plain(self)
            normalized = self.batch_norm is not None
        else:
            self._check_state()
            normalized = (self._plan["kind"] == BATCH_NORM).any()
        if self.bn_frozen and (fresh or (normalized and self._n_batches_tracked == 0)):
            # Calls of partial_fit with one row each give no statistics.
            raise ValueError(
                "bn_frozen=True needs the statistics of a fitted network, and "
                + ("this call begins a new network. " if fresh else "this network has none yet. ")
                + "Fit with bn_frozen=False first. Then set bn_frozen=True, and call partial_fit, "
                "or fit with warm_start=True."
            )
        # A plain network draws the same random numbers in each call, as scikit-learn does.
        goes_on = not (fresh or self._is_plain)
        return Call(
            incremental=incremental,
            is_given=is_given,
            fresh=fresh,
            # One row has no variance, so with batch norm fit needs two rows. The running statistics
            # can normalize one row: in partial_fit, and if they are frozen.
            smallest=2 if normalized and not (incremental or self.bn_frozen) else 1,
            goes_on=goes_on,
            random_state=random_sequence.shared(
                random_sequence.sequence_of(
                    self.random_state, self._random_sequence if goes_on else None
                ),
                processes,
            ),
            processes=processes,
        )

    def _targets_to_encode(self, call):
        if call.fresh:
            targets = self._kind_of_targets.begun_by(self, call.incremental)
        else:
            targets = self._targets
        targets.processes = call.processes
        return targets

    def _initialize(self, rows, targets, call):
        """Plan a new network for `rows`, draw its weights, and forget the network before it."""
        for name in (*INPUT_ATTRIBUTES, *CALIBRATION, "loss_"):
            vars(self).pop(name, None)
        training_run.forget(self)
        self._random_sequence = self._split_place = None
        self._state_format = STATE_FORMAT
        self.n_outputs_ = targets.n_outputs
        # The inputs and the outputs count as layers, too.
        self.n_layers_ = len(self._hidden_units()) + 2
        self.out_activation_ = targets.out_activation
        self._plan = initial_plan(self, rows, call)
        self._plan_digest = Layout.of(self._plan).digest
        self._loss, self._loss_parameter = targets.loss, targets.loss_parameter
        network = Network.initial(
            self._plan, self._loss, self._network_dtype(rows.X), self._loss_parameter
        )
        self._draw_weights(network, call.random_state)
        self._keep_network(network)
        self.n_iter_ = 0
        self.t_ = 0
        if self.solver != "lbfgs":
            training_run.begin_records(self)

    def _hidden_units(self):
        """Units of each hidden layer, from `hidden_layer_sizes`."""
        hidden_layer_sizes = self.hidden_layer_sizes
        if not hasattr(hidden_layer_sizes, "__iter__"):
            hidden_layer_sizes = [hidden_layer_sizes]
        hidden_layer_sizes = list(hidden_layer_sizes)
        if not all(isinstance(size, Integral) for size in hidden_layer_sizes):
            raise ValueError(f"hidden_layer_sizes must be integers, got {hidden_layer_sizes}.")
        if any(size <= 0 for size in hidden_layer_sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden_layer_sizes}.")
        # Python's integers, since products of NumPy's small integers would overflow.
        return [int(size) for size in hidden_layer_sizes]

    def _network_dtype(self, X):
        return np.dtype(X.dtype if self.dtype is None else self.dtype)

    def _hold_out(self, rows, targets, call):
        """Split `rows` into training rows and validation rows; None: no row is held out."""
        # All rounds of a warm start hold out the same rows, because earlier rounds trained on the
        # other rows.
        split_place = self._split_place if call.goes_on else None
        if split_place is None:
            self._split_place = random_sequence.place_in(call.random_state)
            call.part_random_numbers()
            drawn_from = call.random_state
        else:
            drawn_from = random_sequence.at(split_place)
            if call.processes.rank > 0:
                drawn_from = random_sequence.of_process(drawn_from, call.processes.rank)
        if call.early_stopping == "auto" or call.processes.is_parallel:
            training, validation_rows = hold_out(
                rows,
                self.validation_fraction,
                drawn_from,
                stratified=is_classifier(self) and not targets.is_multilabel,
                shuffle=self.shuffle or call.early_stopping is True,
                processes=call.processes,
            )
            n_held = call.count(validation_rows)
            if call.early_stopping is True and n_held < 2:
                raise ValueError(TOO_FEW_HELD_OUT)
            # If most classes have one row, few rows can be held out.
            if call.early_stopping == "auto" and n_held < solvers.FEWEST_HELD_OUT:
                call.early_stopping = False
                return rows, None
            rows = training
        else:
            rows, validation_rows = split_off(
                rows,
                self.validation_fraction,
                drawn_from,
                stratified=is_classifier(self) and self.n_outputs_ == 1,
            )
        if call.count(rows) < call.smallest:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} leaves {call.count(rows)} row to "
                f"train on while a minimum of {call.smallest} is required by "
                f"{type(self).__name__}."
            )
        return rows, validation_rows

    def _network_to_train(self, rows, targets, call):
        """A copy of the network to train, after `rows` were merged into its moments."""
        # The parameters of a new network decide the normalization of inputs and targets. Later
        # calls keep this decision, even if the parameters have changed.
        if not self.bn_frozen:
            set_input_map(self, rows, call)
        network = Network(
            self._plan,
            self._loss,
            aligned.copy(self._parameters),
            self._statistics.copy(),
            self._n_batches_tracked,
            self._n_steps_tracked,
            self._loss_parameter,
        )
        network.is_frozen = self.bn_frozen
        if not self.bn_frozen:
            targets.update_moments(rows, network)
        vars(self).update(targets.attributes())
        return network

    def _is_calibrated(self, validation_rows, call):
        """Whether a call fits a temperature; regressors have none."""
        # A few rows, or a few heavy rows, say nothing about the probabilities of other rows.
        return (
            getattr(self, "calibrate", False) == "auto"
            and bool(call.early_stopping)
            and not call.incremental
            and call.effective_count(validation_rows) >= solvers.FEWEST_HELD_OUT
        )

    def _train(self, fit, n_epochs):
        """Train the network of a `Preparation`; returns whether it has run out of epochs."""
        network, table, call = fit.network, fit.table, fit.call
        unconverged = False
        step_flops = network.blas_flops_per_row(table) * solvers.rows_per_step(self, fit.rows.n)
        with blas_limit.training(step_flops):
            if self.solver == "lbfgs":
                training_run.forget(self)
                self.n_iter_, self.loss_ = solvers.minimize(self, network, table)
                if not np.isfinite(self.loss_):
                    raise ValueError(
                        f"{NON_FINITE} The loss was {self.loss_} after {self.n_iter_} iterations. "
                        + remedies(self, call.incremental)
                    )
                set_exact_statistics(network, table)
            else:
                training = NetworkTraining(self, network, table, call, n_epochs)

                def fitted_up_to_now(n_epochs):
                    # A temperature of an earlier fit belongs to another network.
                    calibration = {name: None for name in CALIBRATION if name in fit.before}
                    return training.fitted_up_to_now(n_epochs) | calibration

                run = TrainingRun(
                    self, [training], fit.validation, call, n_epochs, fitted_up_to_now
                )
                unconverged = run.run()
                if fit.calibrates:
                    z = fit.validation.raw_outputs().astype(np.float64, copy=False)
                    fit.targets.set_temperature(z, fit.validation_rows)
        self._finish(fit)
        return unconverged

    def _finish(self, fit):
        """Keep the trained network of a `Preparation`, and the attributes of its targets."""
        network = fit.network
        if not (np.isfinite(network.parameters).all() and np.isfinite(network.statistics).all()):
            raise ValueError(
                f"{NON_FINITE} They were not finite after iteration {self.n_iter_}. "
                + remedies(self, fit.call.incremental)
            )
        vars(self).update(fit.targets.attributes())
        self._random_sequence = random_sequence.kept_of(self.random_state, fit.call.random_state)
        if fit.call.processes.is_parallel:
            # The sequence of the first process, which a warm start of all processes goes on with.
            self._random_sequence, *_ = fit.call.processes.gathered(lambda: self._random_sequence)
        self._keep_network(network)

    def _table(self, rows, targets, name):
        """The `Table` of `rows`. Errors call the targets `name`."""
        numbers = targets.for_network(rows.targets, self._parameters.dtype, name)
        table = self._input_table(rows.X, rows.in_place(numbers), rows.in_place(rows.sample_weight))
        table.rows = rows.numbers
        return table

    def _validation(self, network, table, rows, targets, call):
        name = "y_val" if call.is_given else "y"
        with call.processes.agreement():
            if rows.n:  # a process may have held out no row
                targets.check_scored(rows.targets, name)
            validation_table = self._table(rows, targets, name)
        return Validation(
            network,
            table,
            validation_table,
            rows,
            scoring_of(self, network, targets, call.early_stopping == "auto"),
            call.random_state,
            call.processes,
        )

    def _keep_network(self, network):
        self._parameters, self._statistics = network.parameters, network.statistics
        self._n_batches_tracked = network.n_batches_tracked
        self._n_steps_tracked = network.n_steps_tracked
