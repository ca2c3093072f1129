"""Base of the multi-layer perceptrons: layers, and conversion from and to scikit-learn."""

from functools import lru_cache
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils._param_validation import Interval, StrOptions

from skbn.estimators.annotations import Floats, MatrixLike
from skbn.estimators.base import BaseWithBatchNorm
from skbn.estimators.columns import column_moments
from skbn.estimators.conversion import EXPRESSED, from_sklearn, to_sklearn
from skbn.estimators.hidden_layers import outputs_of_layer
from skbn.estimators.inputs import INPUT_KINDS, input_normalization, input_table
from skbn.estimators.periodic import draw_embedding, embedded_columns
from skbn.estimators.rows import checked_table
from skbn.estimators.state import check_count
from skbn.kernels.activations import ACTIVATIONS
from skbn.network import views
from skbn.network.folding import folded_network, folds_precisely
from skbn.network.plan import (
    OPERATION,
    embedded_of,
    feed_forward,
    is_scaled,
    layer_units_of,
    n_layers_of,
    placement_of,
)
from skbn.training.side_by_side import available_threads

# From this number of rows on, predictions are faster with the normalization folded into the
# weights. Folding takes a quarter of a millisecond, and saves 2 to 12 percent of the time after it.
FOLDING_ROWS = 10_000


# Values of the parameters that scikit-learn does not have. Under these values a network is the same
# as scikit-learn's network.
PLAIN_PARAMETERS = {
    "batch_norm": None,
    "normalize_input": None,
    "trained_input_scale": False,
    "periodic_embedding": None,
    "weight_decay": 0.0,
    "dtype": "float64",
}


# The calls of a stream have the same parameters. Making the plan again would take as long as a
# training step on a mini-batch.
@lru_cache(maxsize=128)
def renewed(plan, **parameters):
    """The plan of a network that is trained further. The returned array must not be written to.

    The layers, the place of batch norm, the scales and the embedding of the inputs stay. Everything
    else follows the present parameters.

    Parameters
    ----------
    plan : bytes
        The plan of the network up to now.
    **parameters : dict
        Parameters of `feed_forward`.
    """
    plan = np.frombuffer(plan, OPERATION)
    return feed_forward(
        layer_units_of(plan),
        batch_norm=placement_of(plan),
        scaled=is_scaled(plan),
        embedded=embedded_of(plan),
        **parameters,
    )


class BaseMLPWithBatchNorm(BaseWithBatchNorm):
    """Base of the multi-layer perceptrons; not to be used by itself.

    A subclass gives ``_plain_parameters``: the parameters under which its network is the same as
    scikit-learn's.
    """

    if TYPE_CHECKING:
        input_center_: Floats
        input_spread_: Floats

    _parameter_constraints: dict = {
        **BaseWithBatchNorm._parameter_constraints,
        "activation": [StrOptions(set(ACTIVATIONS))],
        "batch_norm": [StrOptions({"before", "after"}), None],
        "normalize_input": [StrOptions({"auto", *INPUT_KINDS}), None],
        "weight_decay": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "trained_input_scale": ["boolean"],
        "periodic_embedding": [Interval(Real, 0, None, closed="neither"), None],
    }

    def _checked_rows(self, X, y="no_validation", *, smallest=1, fresh=False):
        return checked_table(self, X, y, smallest=smallest, fresh=fresh)

    def _input_moments(self, rows):
        return column_moments(rows.X, rows.sample_weight, numbers=rows.numbers)

    def _auto_input_kind(self, rows, call):
        # The quartiles of the first rows are not the quartiles of a stream. The quartiles of the
        # rows of several processes do not merge. The quartiles of a sparse column are mostly 0.
        has_moments = call.incremental or call.processes.is_parallel or issparse(rows.X)
        return "smooth_clip" if has_moments else "robust"

    def _input_table(self, X, y=None, sample_weight=None):
        return input_table(X, *input_normalization(self), y, sample_weight)

    def _shown_rows(self, X):
        return X

    def _initial_plan(self, rows, call):
        layer_units = [rows.X.shape[1], *self._hidden_units(), self.n_outputs_]
        embedded = ()
        if self.periodic_embedding is not None and not (call.incremental or issparse(rows.X)):
            embedded = embedded_columns(rows.X, call.processes)
        return feed_forward(
            layer_units,
            batch_norm=self.batch_norm,
            scaled=bool(self.trained_input_scale),
            embedded=embedded,
            **self._plan_parameters(),
        )

    def _renew_plan(self, rows):
        self._plan = renewed(self._plan.tobytes(), **self._plan_parameters()).copy()

    def _plan_parameters(self):
        return {
            "activation": self.activation,
            "epsilon": self.bn_epsilon,
            "momentum": self.bn_momentum,
            "dropout": self.dropout,
        }

    def _draw_weights(self, network, random_state):
        # Glorot and Bengio (2010). Numbers are drawn in scikit-learn's order, the weights and then
        # the intercept of each layer, so that the same random_state gives the same network. The
        # intercept in front of a batch norm is drawn and not used.
        factor = 2.0 if self.activation == "logistic" else 6.0
        weights = views.weights(network.plan, network.parameters)
        biases = views.biases(network.plan, network.parameters)
        for weight, bias in zip(weights, biases, strict=True):
            fan_in, fan_out = weight.shape
            bound = np.sqrt(factor / (fan_in + fan_out))
            weight[:] = self.init_scale * random_state.uniform(-bound, bound, (fan_in, fan_out))
            drawn = random_state.uniform(-bound, bound, fan_out)
            if bias.flags.writeable:
                bias[:] = drawn
        draw_embedding(network, self.periodic_embedding, random_state)

    def _check_state(self, numbers=False):
        super()._check_state(numbers)
        check_count("n_layers_", self.n_layers_, n_layers_of(self._plan))

    def _infer(self, network, table):
        if table.n_rows >= FOLDING_ROWS and network.is_normalized and folds_precisely(network):
            network = folded_network(network)
        # Counting threads takes as long as predicting some rows.
        n_threads = available_threads() if table.n_rows >= FOLDING_ROWS else 1
        return network.infer(table, n_threads=n_threads)

    @property
    def input_scale_(self) -> Floats:
        """The trained factor of each input of the first layer, a view of shape (n_in,)."""
        return self._view(views.input_scales, "input_scale_", "_parameters")[0]

    @property
    def embedded_columns_(self) -> NDArray[np.intp]:
        """The columns that have a periodic embedding."""
        runs = self._view(lambda plan, _: embedded_of(plan), "embedded_columns_", "_parameters")
        return np.concatenate([np.arange(0), *(np.arange(start, start + n) for start, n in runs)])

    def _shown_steps(self, statistics):
        # A feed-forward network has one time step.
        return statistics[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def hidden_activations(self, X: MatrixLike, layer: int = -1) -> Floats:
        """Outputs of a hidden layer, as the network computes them for a prediction.

        The outputs of a layer are the outputs of its activation. Under ``batch_norm="after"`` they
        are the outputs of batch norm, which follows the activation. Batch norm uses the running
        statistics, and dropout drops nothing. For the last hidden layer,
        ``hidden_activations(X) @ coefs_[-1] + intercepts_[-1]`` are the raw outputs of the network
        up to rounding.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows, in the form that ``fit`` takes.
        layer : int, default=-1
            Number of the hidden layer, counted from 0. A negative number counts from the last
            hidden layer.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_units)
            Outputs of the units, in the dtype of ``coefs_``.

        Raises
        ------
        IndexError
            If the network has no such hidden layer.
        TypeError
            If `layer` is not an integer.
        ValueError
            If `X` does not have the form of the rows that were fitted, or if an output is not a
            finite number.
        NotFittedError
            If nothing was fitted before.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skbn import MLPWithBatchNormClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> mlp = MLPWithBatchNormClassifier((80, 10), n_epochs=5, random_state=0).fit(X, y)
        >>> mlp.hidden_activations(X).shape
        (1797, 10)
        >>> mlp.hidden_activations(X, layer=0).shape
        (1797, 80)
        """
        return outputs_of_layer(self._look(), X, layer)

    def to_sklearn(self) -> Any:
        """Convert the network to scikit-learn, with all normalization folded into the weights.

        Returns
        -------
        mlp : sklearn.neural_network.MLPClassifier or MLPRegressor
            A fitted network with the same predictions, which does not need this package.
            scikit-learn can train it further, with a new optimizer. Its parameters have
            scikit-learn's values: ``"absolute_error"`` and ``"quantile"``, losses that scikit-learn
            lacks, become ``"squared_error"``, and ``"rmsprop"`` becomes ``"adam"``.

        Raises
        ------
        ValueError
            If scikit-learn cannot express the network; the message names the part.
        NotFittedError
            If this estimator is not fitted.
        """
        fitted = self._look()
        fitted._check_state()
        mean, invstd, is_clipped = input_normalization(fitted)
        if len(embedded_of(fitted._plan)):
            raise ValueError(
                f"scikit-learn's networks have no periodic embedding: this one cannot be "
                f"expressed. {EXPRESSED}"
            )
        if is_clipped:
            raise ValueError(
                "scikit-learn's networks cannot clip their inputs: this one, with "
                f"normalize_input={fitted._input_kind!r}, cannot be expressed. {EXPRESSED}"
            )
        shift = None if mean is None else -mean * invstd
        return to_sklearn(fitted, invstd, shift, *fitted._targets.output_affine())

    @classmethod
    def from_sklearn(cls, mlp: MLPClassifier | MLPRegressor) -> Self:
        """This estimator in scikit-learn's mode, with all parameters of `mlp`.

        In scikit-learn's mode batch norm and all normalization are off, and the network computes in
        float64. ``fit`` then trains exactly as ``mlp.fit`` does. After ``set_params`` switches
        normalization on, the next new network has it; a network that ``warm_start`` or
        ``partial_fit`` continues does not get it. A fitted `mlp` brings its weights and the state
        of its optimizer.

        Parameters
        ----------
        mlp : sklearn.neural_network.MLPClassifier or MLPRegressor
            The network of scikit-learn, fitted or not.

        Returns
        -------
        estimator : this class

        Raises
        ------
        TypeError
            If `mlp` is not a network of the right class of scikit-learn.
        ValueError
            If `mlp` has an activation, solver, loss or other parameter that scikit-learn itself
            does not have. The message names it.
        """
        return from_sklearn(cls, mlp, cls._plain_parameters)
