"""What every estimator on a network shares: from checked arrays to a trained network.

The fitted state is plain arrays and numbers. ``coefs_`` and its like are views of the flat
memory, made when they are asked for, so they are right after unpickling and copying too.
"""

import warnings
from contextlib import contextmanager
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from skbn.estimators.columns import column_moments, merged
from skbn.estimators.running_moments import divisor
from skbn.network import optimizer as optimizers
from skbn.network import views
from skbn.network.network import Network, Table
from skbn.network.plan import feed_forward
from skbn.network.statistics import set_exact_statistics
from skbn.training import schedules
from skbn.training.epochs import History, NonFiniteLoss, run_epochs
from skbn.training.stopping import LossPlateau

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and"
    " need to be preprocessed."
)


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


class BaseMLPWithBatchNorm(BaseEstimator):
    """Base of the multi-layer perceptrons; not to be used by itself.

    A subclass gives ``_encode(y, sample_weight, fresh, incremental)``, the network's targets of
    shape (n_samples, n_targets); ``_count_outputs(targets)``; ``_loss_name()``; and
    ``_out_activation()``.
    """

    _parameter_constraints: dict = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({"identity", "logistic", "tanh", "relu"})],
        "solver": [StrOptions({"sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
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
        "batch_norm": [StrOptions({"before", "after"}), None],
        "bn_momentum": [Interval(Real, 0, 1, closed="right")],
        "bn_epsilon": [Interval(Real, 0, None, closed="neither")],
        "normalize_input": [StrOptions({"standard"}), None],
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

    def _fit(self, X, y, sample_weight, *, incremental):
        with unchanged_on_failure(self):
            fresh = not self.__sklearn_is_fitted__() or not (incremental or self.warm_start)
            X, targets, sample_weight = self._check_data(X, y, sample_weight, fresh, incremental)
            random_state = check_random_state(self.random_state)
            if self.normalize_input is not None:
                self._update_input_moments(X, sample_weight, fresh)
            if fresh:
                self._initialize(X, targets, random_state)
            network = self._copied_network()
            targets = np.ascontiguousarray(targets, dtype=self._parameters.dtype)
            table = self._table(X, targets, sample_weight)
            self._train(network, table, random_state, incremental)
        return self

    def _check_data(self, X, y, sample_weight, fresh, incremental):
        # A row has no variance: with batch norm a fit needs two. A call of partial_fit does
        # not, it then normalizes by the running statistics.
        smallest = 1 if incremental or self.batch_norm is None else 2
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        X, y = validate_data(
            self,
            X,
            y,
            dtype=(np.float64, np.float32),
            multi_output=True,
            ensure_min_samples=smallest,
            reset=fresh,
        )
        X = np.require(X, requirements=["ALIGNED"])
        if sample_weight is not None:
            sample_weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
            if not self._is_plain():
                # A row of no weight is as if it were not there, down to the numbers drawn.
                present = sample_weight > 0
                if not present.all():
                    X, y, sample_weight = X[present], y[present], sample_weight[present]
                if len(X) < smallest:
                    raise ValueError(
                        f"Found array with {len(X)} sample(s) (shape={X.shape}) of positive "
                        f"weight while a minimum of {smallest} is required by "
                        f"{type(self).__name__}."
                    )
        return X, self._encode(y, sample_weight, fresh, incremental), sample_weight

    def _is_plain(self):
        """Whether this is scikit-learn's network, which keeps rows of weight 0."""
        return self.batch_norm is None and self.normalize_input is None

    def _update_input_moments(self, X, sample_weight, fresh):
        previous = None if fresh else (self.input_mean_, self.input_var_, self._input_weight)
        self.input_mean_, self.input_var_, self._input_weight = merged(
            previous, column_moments(X, sample_weight)
        )

    def _initialize(self, X, targets, random_state):
        hidden_layer_sizes = self.hidden_layer_sizes
        if not hasattr(hidden_layer_sizes, "__iter__"):
            hidden_layer_sizes = [hidden_layer_sizes]
        hidden_layer_sizes = list(hidden_layer_sizes)
        if np.any(np.array(hidden_layer_sizes) <= 0):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden_layer_sizes}.")
        self.n_outputs_ = self._count_outputs(targets)
        layer_units = [X.shape[1], *hidden_layer_sizes, self.n_outputs_]
        self.n_layers_ = len(layer_units)
        self.out_activation_ = self._out_activation()
        self._plan = feed_forward(
            layer_units,
            self.activation,
            self.batch_norm,
            epsilon=self.bn_epsilon,
            momentum=self.bn_momentum,
        )
        self._loss = self._loss_name()
        network = Network.initial(self._plan, self._loss, self._network_dtype(X))
        self._draw_weights(network, layer_units, random_state)
        self._parameters = network.parameters
        self._statistics = network.statistics
        self._n_batches_tracked = 0
        self.n_iter_ = 0
        self.t_ = 0
        self.loss_curve_ = []
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
            weight[:] = random_state.uniform(-bound, bound, (fan_in, fan_out))
            drawn = random_state.uniform(-bound, bound, fan_out)
            if bias.flags.writeable:
                bias[:] = drawn

    def _copied_network(self):
        return Network(
            self._plan,
            self._loss,
            self._parameters.copy(),
            self._statistics.copy(),
            self._n_batches_tracked,
        )

    def _table(self, X, targets=None, sample_weight=None):
        mean = getattr(self, "input_mean_", None)
        if mean is None:
            return Table(X, targets, sample_weight)
        std = divisor(mean, self.input_var_, self._input_weight, epsilon=0.0)
        return Table(X, targets, sample_weight, mean, 1.0 / std)

    def _train(self, network, table, random_state, incremental):
        resumed = incremental and hasattr(self, "_optimizer")
        optimizer = self._optimizer.copy() if resumed else self._new_optimizer()
        moments = self._moments.copy() if resumed else network.new_moments()
        schedule = self._schedule()
        if resumed:
            schedule.learning_rate = self._learning_rate
        stopping = LossPlateau(self.tol, self.n_iter_no_change, self.best_loss_)
        stopping.n_without_improvement = self._n_without_improvement
        history = History(loss_curve=list(self.loss_curve_), n_rows_seen=self.t_)
        try:
            run_epochs(
                network,
                table,
                optimizer,
                moments,
                schedule,
                stopping,
                history,
                max_epochs=1 if incremental else self.max_iter,
                batch_size=self._batch_size(table.n_rows),
                smallest_batch=2 if network.is_normalized else 1,
                shuffle=self.shuffle,
                random_state=random_state,
                verbose=self.verbose,
            )
        except NonFiniteLoss as error:
            raise ValueError(
                f"{NON_FINITE} The loss was not finite in iteration {history.n_epochs + 1}, "
                f"{error}. Try a smaller learning_rate_init (now {self.learning_rate_init})"
                + ("." if self.normalize_input else ' or normalize_input="standard".')
            ) from None
        if not incremental:
            set_exact_statistics(network, table)
            if not (history.converged or history.interrupted):
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and "
                    "the optimization hasn't converged yet.",
                    ConvergenceWarning,
                    stacklevel=4,
                )
        if not (np.isfinite(network.parameters).all() and np.isfinite(network.statistics).all()):
            raise ValueError(f"{NON_FINITE} Try a smaller learning_rate_init.")
        self._parameters, self._statistics, self._n_batches_tracked = (
            network.parameters,
            network.statistics,
            network.n_batches_tracked,
        )
        self._optimizer, self._moments = optimizer, moments
        self._learning_rate = schedule.learning_rate
        self._n_without_improvement = stopping.n_without_improvement
        self.best_loss_ = stopping.best_loss
        self.loss_curve_ = history.loss_curve
        if history.loss_curve:
            self.loss_ = history.loss_curve[-1]
        self.n_iter_ = history.n_epochs
        self.t_ = history.n_rows_seen

    def _new_optimizer(self):
        if self.solver == "sgd":
            return optimizers.sgd(
                momentum=self.momentum, nesterov=self.nesterovs_momentum, alpha=self.alpha
            )
        return optimizers.adam(
            beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon, alpha=self.alpha
        )

    def _schedule(self):
        # As upstream, the schedules belong to SGD: Adam scales its steps by itself.
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
                stacklevel=5,
            )
        return min(self.batch_size, n_rows)

    # Prediction.

    def _raw_outputs(self, X):
        """Outputs of the network before any link, float64, and the dtype results have."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        X = np.require(X, requirements=["ALIGNED"])
        network = Network(self._plan, self._loss, self._parameters, self._statistics)
        return network.infer(self._table(X)).astype(np.float64, copy=False), X.dtype
