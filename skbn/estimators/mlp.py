"""What the multi-layer perceptrons share: their layers, and the way from and to scikit-learn."""

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

# From so many rows on, predictions are faster with the normalization folded into the weights:
# folding takes a quarter of a millisecond, and saves 2 to 12 percent of the time after it.
FOLDING_ROWS = 10_000


# Values of our own parameters under which a network is scikit-learn's.
PLAIN_PARAMETERS = {
    "batch_norm": None,
    "normalize_input": None,
    "trained_input_scale": False,
    "periodic_embedding": None,
    "weight_decay": 0.0,
    "dtype": "float64",
}


# Calls of a stream come with the same parameters, and making the plan again takes as long as a
# training step on a mini-batch.
@lru_cache(maxsize=128)
def renewed(plan, **parameters):
    """The plan of a network that is trained further, which is not to be written to.

    Layers, the place of batch norm and the way of the inputs stay. All else follows the present
    parameters.

    Parameters
    ----------
    plan : bytes
        Of the network as it is.
    **parameters : dict
        As `feed_forward` takes them.
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

    def _auto_input_kind(self, rows, incremental):
        # The quartiles of the first rows are not the quartiles of a stream, and of a sparse column
        # they are mostly 0.
        return "smooth_clip" if incremental or issparse(rows.X) else "robust"

    def _input_table(self, X, y=None, sample_weight=None):
        return input_table(X, *input_normalization(self), y, sample_weight)

    def _shown_rows(self, X):
        return X

    def _initial_plan(self, rows, incremental):
        layer_units = [rows.X.shape[1], *self._hidden_units(), self.n_outputs_]
        embedded = ()
        if self.periodic_embedding is not None and not incremental and not issparse(rows.X):
            embedded = embedded_columns(rows.X)
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
        # Glorot and Bengio (2010). The order is scikit-learn's, weights and then intercept of each
        # layer, so that one random_state gives the same network. An intercept below a batch norm
        # is drawn and not used.
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
        """The trained factor of each input of the first layer, shape (n_in,): a view."""
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

        A layer ends with its activation, or with its batch norm under ``batch_norm="after"``.
        Batch norm uses the running statistics, and dropout drops nothing. For the last hidden
        layer, ``hidden_activations(X) @ coefs_[-1] + intercepts_[-1]`` are the raw outputs of the
        network up to rounding.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows, in the form that ``fit`` takes.
        layer : int, default=-1
            Number of the hidden layer, counted from 0; a negative number counts from the last
            hidden layer.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_units)
            In the dtype of the network, which is the dtype of ``coefs_``.

        Raises
        ------
        IndexError
            If the network has no such hidden layer.
        TypeError
            If `layer` is not an integer.
        ValueError
            If `X` is not what was fitted on, or if an activation is not a finite number.
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
        """The same network as scikit-learn's plain one, the normalization folded into it.

        Returns
        -------
        mlp : sklearn.neural_network.MLPClassifier or MLPRegressor
            Fitted, with the same predictions. It needs nothing of this package. Training can
            go on there, with a new optimizer. scikit-learn lacks the losses ``"absolute_error"``
            and ``"quantile"``: they become ``"squared_error"``; ``"rmsprop"`` becomes ``"adam"``.

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
        float64. ``fit`` then trains exactly as the ``fit`` of `mlp` does. ``set_params`` switches
        normalization on for the next network, not for a network that ``warm_start`` or
        ``partial_fit`` goes on with. A fitted `mlp` brings its weights and the state of its
        optimizer.

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
        ValueError
            If it has an activation, solver, loss or other parameter that scikit-learn does not
            know; the message names it.
        """
        return from_sklearn(cls, mlp, cls._plain_parameters)
