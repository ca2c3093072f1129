"""What every estimator on a network shares: from checked arrays to a trained network.

The fitted state is plain arrays and numbers. ``coefs_`` and its like are views of the flat
memory, made when they are asked for, so they are right after unpickling and copying too.
"""

import warnings
from contextlib import contextmanager
from numbers import Integral, Real

import numpy as np
import scipy.optimize
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from skbn.estimators.callbacks import CallbackSupportMixin, FitCallbacks
from skbn.estimators.columns import column_moments, merged
from skbn.estimators.conversion import folded_network, from_sklearn, to_sklearn
from skbn.estimators.running_moments import divisor
from skbn.estimators.validation import Rows, Validation, split_off
from skbn.network import optimizer as optimizers
from skbn.network import views
from skbn.network.network import Network, Table
from skbn.network.plan import feed_forward
from skbn.network.statistics import set_exact_statistics
from skbn.training import schedules
from skbn.training.epochs import INTERRUPTED, History, NonFiniteLoss, no_hook, run_epochs
from skbn.training.stopping import LossPlateau, Recorded, ValidationPlateau

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and"
    " need to be preprocessed."
)


# Rows from which on predictions are worth folding the normalization into the weights, which
# costs about what the products of a few rows do.
FOLDING_ROWS = 200

# Rows from which on early_stopping="auto" stops early, as in HistGradientBoosting*.
AUTO_EARLY_STOPPING_ROWS = 10_000


@contextmanager
def unchanged_on_failure(estimator):
    """Give an estimator its attributes back if the block raises.

    Arrays of the fitted state are never written to in place by a fit (it works on copies), so
    the references are enough.
    """
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def as_table(X):
    """Checked data as a table that kernels can walk: aligned, or CSR without duplicates."""
    if not issparse(X):
        return np.require(X, requirements=["ALIGNED"])
    X = X.tocsr()
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


class BaseMLPWithBatchNorm(CallbackSupportMixin, BaseEstimator):
    """Base of the multi-layer perceptrons; not to be used by itself.

    A subclass gives ``_encode(y, fresh, incremental)``, targets of shape (n_samples,
    n_targets); ``_count_outputs(targets)``; ``_loss_name()``; ``_out_activation()``; and
    ``_score_outputs(z, rows)``, the score of raw outputs.
    """

    _parameter_constraints: dict = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({"identity", "logistic", "tanh", "relu", "silu", "gelu"})],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [
            StrOptions({"constant", "invscaling", "adaptive", "cosine", "one_cycle"})
        ],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
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
        "batch_norm": [StrOptions({"before", "after"}), None],
        "bn_momentum": [Interval(Real, 0, 1, closed="right")],
        "bn_epsilon": [Interval(Real, 0, None, closed="neither")],
        "normalize_input": [StrOptions({"standard"}), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "init_scale": [Interval(Real, 0, None, closed="neither")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "dtype": [StrOptions({"float32", "float64"}), None],
    }

    # The fitted state as arrays a user knows.

    @property
    def coefs_(self):
        return self._view(views.weights, "coefs_", "_parameters")

    @property
    def intercepts_(self):
        return self._view(views.biases, "intercepts_", "_parameters")

    @property
    def gammas_(self):
        return self._view(views.gammas, "gammas_", "_parameters")

    @property
    def betas_(self):
        return self._view(views.betas, "betas_", "_parameters")

    @property
    def running_means_(self):
        # A feed-forward network has one time step.
        return [
            mean[0] for mean in self._view(views.running_means, "running_means_", "_statistics")
        ]

    @property
    def running_vars_(self):
        variances = self._view(views.running_vars, "running_vars_", "_statistics")
        return [var[0] for var in variances]

    def _view(self, view, name, memory):
        if "_plan" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return view(self._plan, vars(self)[memory])

    def __sklearn_is_fitted__(self):
        return "_plan" in vars(self)

    # Training.

    def _fit(self, X, y, sample_weight, given_validation, *, incremental):
        # The callbacks' context is an attribute while fit runs: begun before, so that a
        # failure leaves it for scikit-learn to tear down.
        callbacks = None
        if not incremental:
            max_epochs = 0 if self.solver == "lbfgs" else self.max_iter
            callbacks = FitCallbacks(self, max_epochs, X, y, {"sample_weight": sample_weight})
        with unchanged_on_failure(self):
            self._check_solver_settings()
            fresh = not self.__sklearn_is_fitted__() or not (incremental or self.warm_start)
            rows = self._checked_rows(X, y, sample_weight, fresh, incremental)
            early_stopping = self._early_stopping(rows.n, given_validation, incremental)
            random_state = check_random_state(self.random_state)
            if fresh:
                self._initialize(rows, random_state)
            validation = None
            if any(part is not None for part in given_validation):
                validation = self._checked_validation(*given_validation)
            elif early_stopping:
                rows, validation = split_off(
                    rows,
                    self.validation_fraction,
                    random_state,
                    stratified=is_classifier(self) and self.n_outputs_ == 1,
                )
            self._update_moments(rows, fresh)
            network = Network(
                self._plan,
                self._loss,
                self._parameters.copy(),
                self._statistics.copy(),
                self._n_batches_tracked,
            )
            table = self._table(rows)
            unconverged = False
            if self.solver == "lbfgs":
                self._minimize(network, table)
            else:
                unconverged = self._train(
                    network,
                    table,
                    None
                    if validation is None
                    else self._validation(network, table, validation, random_state),
                    early_stopping,
                    random_state,
                    callbacks,
                )
            if not (
                np.isfinite(network.parameters).all() and np.isfinite(network.statistics).all()
            ):
                raise ValueError(f"{NON_FINITE} Try a smaller learning_rate_init.")
            self._parameters, self._statistics, self._n_batches_tracked = (
                network.parameters,
                network.statistics,
                network.n_batches_tracked,
            )
        if callbacks is not None:
            callbacks.end()
        if unconverged:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=4,
            )
        return self

    def _check_solver_settings(self):
        if self.solver == "lbfgs":
            for name in ("dropout", "weight_decay"):
                if getattr(self, name) > 0:
                    raise ValueError(
                        f"{name}={getattr(self, name)} cannot be used with solver='lbfgs', which "
                        "minimizes one fixed function"
                    )

    def _early_stopping(self, n_rows, given_validation, incremental):
        """Whether training ends by the score on validation rows."""
        given = any(part is not None for part in given_validation)
        if self.solver == "lbfgs":
            return False  # as upstream
        if self.early_stopping == "auto":
            # As in HistGradientBoosting*.
            return not incremental and (given or n_rows > AUTO_EARLY_STOPPING_ROWS)
        if self.early_stopping and incremental and not given:
            raise ValueError(
                "partial_fit does not support early_stopping=True without validation data: "
                "give X_val and y_val"
            )
        if given and not self.early_stopping:
            warnings.warn(
                "X_val is given, but early_stopping=False: validation_scores_ and "
                "validation_loss_curve_ are recorded, and training does not end by them",
                stacklevel=5,
            )
        return bool(self.early_stopping)

    def _checked_rows(self, X, y, sample_weight, fresh, incremental):
        # A row has no variance: with batch norm a fit needs two. A call of partial_fit does
        # not, it then normalizes by the running statistics.
        smallest = 1 if incremental or self.batch_norm is None else 2
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        X, y = self._validated(X, y, multi_output=True, ensure_min_samples=smallest, reset=fresh)
        X = as_table(X)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=not self._is_plain()
            )
            X, y, sample_weight = self._present_rows(X, y, sample_weight, smallest)
        class_weight = self._class_weight(y, incremental)
        if class_weight is not None:
            sample_weight = class_weight if sample_weight is None else sample_weight * class_weight
            X, y, sample_weight = self._present_rows(X, y, sample_weight, smallest)
        return Rows(X, self._encode(y, fresh, incremental), sample_weight)

    def _validated(self, *data, **checks):
        # The kernels work on memory of this process: tensors become arrays, or say why not.
        with config_context(array_api_dispatch=False):
            return validate_data(
                self,
                *data,
                accept_sparse=["csr", "csc"],
                dtype=(np.float64, np.float32),
                **checks,
            )

    def _present_rows(self, X, y, sample_weight, smallest):
        # A row of no weight is as if it were not there, down to the numbers drawn.
        present = sample_weight > 0
        if self._is_plain() or present.all():
            return X, y, sample_weight
        if np.count_nonzero(present) < smallest or not present.any():
            raise ValueError(
                f"Found array with {np.count_nonzero(present)} sample(s) of positive weight "
                f"(shape={X.shape}) while a minimum of {smallest} is required by "
                f"{type(self).__name__}."
            )
        return X[present], y[present], sample_weight[present]

    def _checked_validation(self, X, y, sample_weight):
        """Validation rows that the caller gave."""
        if X is None or y is None:
            raise ValueError("X_val and y_val belong together: give both or none")
        X, y = self._validated(X, y, multi_output=True, reset=False)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
        return Rows(as_table(X), self._encode(y, fresh=False, incremental=True), sample_weight)

    def _is_plain(self):
        """Whether this is scikit-learn's network, which keeps rows of weight 0.

        It computes in float64, or in the dtype of `X` as upstream does.
        """
        switched_off = all(
            getattr(self, name) == value
            for name, value in self._plain_parameters.items()
            if name != "dtype"
        )
        return switched_off and self.dtype != "float32"

    def _class_weight(self, y, incremental):
        """Weights of the rows by their class, or None."""
        return None

    def _update_moments(self, rows, fresh):
        """Moments of what is normalized in front of and behind the network.

        What a network that is trained on has been given stays, whatever the parameters say now.
        """
        if self.normalize_input is not None if fresh else hasattr(self, "input_mean_"):
            previous = None if fresh else (self.input_mean_, self.input_var_, self._input_weight)
            self.input_mean_, self.input_var_, self._input_weight = merged(
                previous, column_moments(rows.X, rows.sample_weight)
            )

    def _initialize(self, rows, random_state):
        hidden_layer_sizes = self.hidden_layer_sizes
        if not hasattr(hidden_layer_sizes, "__iter__"):
            hidden_layer_sizes = [hidden_layer_sizes]
        hidden_layer_sizes = list(hidden_layer_sizes)
        if not all(isinstance(size, Integral) for size in hidden_layer_sizes):
            raise ValueError(f"hidden_layer_sizes must be integers, got {hidden_layer_sizes}.")
        if any(size <= 0 for size in hidden_layer_sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden_layer_sizes}.")
        # What an earlier fit with other settings has left.
        for name in (
            "input_mean_",
            "input_var_",
            "_input_weight",
            "_optimizer",
            "_moments",
            "loss_",
        ):
            vars(self).pop(name, None)
        self.n_outputs_ = self._count_outputs(rows.targets)
        layer_units = [rows.X.shape[1], *hidden_layer_sizes, self.n_outputs_]
        self.n_layers_ = len(layer_units)
        self.out_activation_ = self._out_activation()
        self._plan = feed_forward(
            layer_units,
            self.activation,
            self.batch_norm,
            epsilon=self.bn_epsilon,
            momentum=self.bn_momentum,
            dropout=self.dropout,
        )
        self._loss = self._loss_name()
        network = Network.initial(self._plan, self._loss, self._network_dtype(rows.X))
        self._draw_weights(network, layer_units, random_state)
        self._parameters = network.parameters
        self._statistics = network.statistics
        self._n_batches_tracked = 0
        self.n_iter_ = 0
        self.t_ = 0
        self.loss_curve_ = []
        self.learning_rate_curve_ = []
        self.validation_scores_ = None
        self.validation_loss_curve_ = None
        self.best_validation_score_ = None
        self.best_loss_ = np.inf
        self._n_without_improvement = 0

    def _network_dtype(self, X):
        return np.dtype(X.dtype if self.dtype is None else self.dtype)

    def _draw_weights(self, network, layer_units, random_state):
        # Glorot and Bengio (2010). In scikit-learn's order, weights then intercept of each
        # layer, so one random_state gives the same network; an intercept below a batch norm
        # is drawn and not used.
        factor = 2.0 if self.activation == "logistic" else 6.0
        weights = views.weights(network.plan, network.parameters)
        biases = views.biases(network.plan, network.parameters)
        for fan_in, fan_out, weight, bias in zip(
            layer_units[:-1], layer_units[1:], weights, biases, strict=True
        ):
            bound = np.sqrt(factor / (fan_in + fan_out))
            weight[:] = self.init_scale * random_state.uniform(-bound, bound, (fan_in, fan_out))
            drawn = random_state.uniform(-bound, bound, fan_out)
            if bias.flags.writeable:
                bias[:] = drawn

    def _table(self, rows):
        targets = self._normalized_targets(rows.targets)
        mean, invstd = self._input_affine()
        return Table(
            rows.X,
            np.ascontiguousarray(targets, dtype=self._parameters.dtype),
            rows.sample_weight,
            mean,
            invstd,
        )

    def _input_affine(self):
        """What is subtracted from the inputs, and what multiplies them then, or None twice."""
        mean = getattr(self, "input_mean_", None)
        if mean is None:
            return None, None
        return mean, 1.0 / divisor(mean, self.input_var_, self._input_weight, epsilon=0.0)

    def _normalized_targets(self, targets):
        return targets

    def _validation(self, network, table, rows, random_state):
        return Validation(
            network,
            table,
            self._table(rows),
            lambda z: self._score_outputs(z.astype(np.float64, copy=False), rows),
            random_state,
        )

    def _train(self, network, table, validation, early_stopping, random_state, callbacks):
        incremental = callbacks is None
        resumed = incremental and hasattr(self, "_optimizer")
        optimizer = self._optimizer.copy() if resumed else self._new_optimizer(random_state)
        if resumed:
            # As upstream, momentum and betas stay what they were; the penalty does not.
            optimizer["alpha"] = self.alpha
            optimizer["weight_decay"] = self.weight_decay
            optimizer["max_grad_norm"] = self._max_grad_norm()
        moments = self._moments.copy() if resumed else network.new_moments()
        schedule = self._schedule(incremental)
        if resumed:
            schedule.learning_rate = self._learning_rate
        stopping = self._stopping(network, validation, early_stopping, incremental)
        history = History(
            loss_curve=list(self.loss_curve_),
            learning_rate_curve=list(self.learning_rate_curve_),
            n_rows_seen=self.t_,
        )
        max_epochs = 1 if incremental else self.max_iter
        try:
            run_epochs(
                network,
                table,
                optimizer,
                moments,
                schedule,
                stopping,
                history,
                max_epochs=max_epochs,
                batch_size=self._batch_size(table.n_rows),
                smallest_batch=2 if network.is_normalized else 1,
                shuffle=self.shuffle,
                random_state=random_state,
                verbose=self.verbose,
                epoch_hook=no_hook
                if incremental
                else callbacks.epochs(lambda: self._reconstruction(network, table)),
            )
        except NonFiniteLoss as error:
            message = (
                f"The loss was not finite in iteration {history.n_epochs + 1}, {error}. Try a "
                f"smaller learning_rate_init (now {self.learning_rate_init})"
                + ("" if self.normalize_input else ', normalize_input="standard",')
                + " or, where X, y or sample_weight hold huge or tiny numbers, other units."
            )
            if not early_stopping or stopping.best is None:
                raise ValueError(f"{NON_FINITE} {message}") from None
            # The best epoch is what training is to end with, however it ends.
            stopping.scores.append(np.nan)
            stopping.losses.append(np.nan)
            history.converged = True
            warnings.warn(
                f"{message} The best epoch before is restored.", ConvergenceWarning, stacklevel=5
            )
        if not incremental:
            if early_stopping and stopping.best is not None:
                network.restore(stopping.best)
            self._finish_statistics(network, table, history)
        self._optimizer, self._moments = optimizer, moments
        self._learning_rate = schedule.learning_rate
        self._n_without_improvement = stopping.n_without_improvement
        self.loss_curve_ = history.loss_curve
        self.learning_rate_curve_ = history.learning_rate_curve
        self.best_loss_ = None if early_stopping else stopping.best_loss
        if validation is not None:
            self.validation_scores_ = stopping.scores
            self.validation_loss_curve_ = stopping.losses
            self.best_validation_score_ = stopping.best_score
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
            warnings.warn(INTERRUPTED, stacklevel=6)

    def _stopping(self, network, validation, early_stopping, incremental):
        """What ends training before its last epoch."""
        best_loss = np.inf if self.best_loss_ is None else self.best_loss_
        stopping = LossPlateau(self.tol, self.n_iter_no_change, best_loss)
        if validation is not None:
            recorder = ValidationPlateau(
                self.tol,
                self.n_iter_no_change,
                # The statistics of partial_fit are the running averages.
                lambda: validation.evaluate(exact=not incremental),
                network.snapshot,
                self.verbose,
                self.validation_scores_ or (),
                self.validation_loss_curve_ or (),
            )
            if recorder.scores:
                recorder.best = network.snapshot()
            stopping = recorder if early_stopping else Recorded(stopping, recorder)
        stopping.n_without_improvement = self._n_without_improvement
        return stopping

    def _reconstruction(self, network, table):
        # Attributes that make this estimator one fitted up to now, none shared with training.
        now = Network(network.plan, network.loss, *network.snapshot())
        set_exact_statistics(now, table)
        return {
            "_parameters": now.parameters,
            "_statistics": now.statistics,
            "_n_batches_tracked": now.n_batches_tracked,
        }

    def _minimize(self, network, table):
        """L-BFGS on all rows as one batch, batch statistics included."""

        def loss_and_gradient(parameters):
            network.parameters[:] = parameters
            losses, gradient = network.loss_and_gradient(table, alpha=self.alpha)
            # The gradient is that of the sum over outputs. Upstream minimizes with the mean of
            # a squared error for the loss; where this is its network, so does this.
            loss = network.loss_value(losses)[0] if self._is_plain() else losses.sum()
            return loss, gradient.astype(np.float64)

        result = scipy.optimize.minimize(
            loss_and_gradient,
            network.parameters.astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            options={"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol},
        )
        network.parameters[:] = result.x
        self.n_iter_ = _check_optimize_result("lbfgs", result, self.max_iter)
        losses, _ = network.loss_and_gradient(table, alpha=self.alpha)
        self.loss_ = float(network.loss_value(losses)[0])
        set_exact_statistics(network, table)

    def _new_optimizer(self, random_state):
        common = {
            "alpha": self.alpha,
            "weight_decay": self.weight_decay,
            "max_grad_norm": self._max_grad_norm(),
            # Nothing is drawn that is not needed.
            "seed": random_state.randint(2**31 - 1) if self.dropout > 0 else 0,
        }
        if self.solver == "sgd":
            return optimizers.sgd(
                momentum=self.momentum, nesterov=self.nesterovs_momentum, **common
            )
        return optimizers.adam(
            beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon, **common
        )

    def _max_grad_norm(self):
        return np.inf if self.max_grad_norm is None else self.max_grad_norm

    def _schedule(self, incremental):
        if not incremental and self.learning_rate == "cosine":
            return schedules.Cosine(self.learning_rate_init, self.max_iter)
        if not incremental and self.learning_rate == "one_cycle":
            return schedules.OneCycle(self.learning_rate_init, self.max_iter)
        # As upstream, these belong to SGD: Adam scales its steps by itself.
        if self.solver == "sgd" and self.learning_rate == "invscaling":
            return schedules.InverseScaling(self.learning_rate_init, self.power_t)
        if self.solver == "sgd" and self.learning_rate == "adaptive":
            return schedules.Adaptive(self.learning_rate_init)
        return schedules.Constant(self.learning_rate_init)

    def _batch_size(self, n_rows):
        if self.batch_size == "auto":
            return min(200, n_rows)
        if self.batch_size == 1 and self.batch_norm is not None and n_rows > 1:
            raise ValueError(
                "batch_size=1 leaves batch norm no variance to normalize by: use at least 2, "
                "or batch_norm=None"
            )
        if self.batch_size > n_rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be "
                "clipped",
                stacklevel=6,
            )
        return min(self.batch_size, n_rows)

    # Prediction.

    def _raw_outputs(self, X):
        """Outputs of the network before any link, float64, and the dtype results have."""
        check_is_fitted(self)
        X = self._validated(X, reset=False)
        network = Network(self._plan, self._loss, self._parameters, self._statistics)
        if network.is_normalized and X.shape[0] >= FOLDING_ROWS:
            network = folded_network(network)
        mean, invstd = self._input_affine()
        table = Table(as_table(X), input_mean=mean, input_invstd=invstd)
        return network.infer(table).astype(np.float64, copy=False), X.dtype

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # scikit-learn's own networks.

    def to_sklearn(self):
        """The same network as scikit-learn's plain one, the normalization folded into it.

        Returns
        -------
        mlp : sklearn.neural_network.MLPClassifier or MLPRegressor
            Fitted, with the same predictions. It needs nothing of this package.

        Raises
        ------
        ValueError
            If scikit-learn cannot express the network; the message names the part.
        NotFittedError
            If this estimator is not fitted.
        """
        check_is_fitted(self)
        mean, invstd = self._input_affine()
        shift = None if mean is None else -mean * invstd
        return to_sklearn(self, invstd, shift, *self._output_affine())

    @classmethod
    def from_sklearn(cls, mlp):
        """This estimator in scikit-learn's mode, with all of its network's parameters.

        Batch norm and all normalization are off, and it computes in float64: ``fit`` trains as
        that of `mlp` does. ``set_params`` switches them on for the next network, not for one
        that ``warm_start`` or ``partial_fit`` goes on with. A fitted `mlp` brings its weights;
        its optimizer's state stays behind.

        Parameters
        ----------
        mlp : sklearn.neural_network.MLPClassifier or MLPRegressor
            Fitted or not; a fitted one brings its weights.

        Returns
        -------
        estimator : this class

        Raises
        ------
        TypeError
            If `mlp` is something else.
        """
        return from_sklearn(cls, mlp, cls._plain_parameters)

    def _output_affine(self):
        """What raw outputs are multiplied by, and what is added then, to be predictions."""
        return 1.0, 0.0
