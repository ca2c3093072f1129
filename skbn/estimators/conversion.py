"""Conversion from and to the multi-layer perceptrons of scikit-learn."""

from copy import copy

import numpy as np
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state

from skbn.estimators import solvers
from skbn.estimators.losses import (
    CLASS_LOSSES,
    IMPORTED_REGRESSION_LOSSES,
    REGRESSION_LOSSES,
)
from skbn.estimators.state import STATE_FORMAT
from skbn.kernels.optimizers import OPTIMIZERS
from skbn.network.folding import activation_of, flattened, folded, plain_network
from skbn.network.plan import layer_units_of

EXPRESSIBLE = {"identity", "logistic", "tanh", "relu"}

# The advice in errors of ``to_sklearn``.
EXPRESSED = (
    "One with activation='relu', normalize_input='standard' and periodic_embedding=None can."
)

# Fitted attributes that mean the same in scikit-learn and here.
COMMON = (
    "n_features_in_",
    "feature_names_in_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
    "n_iter_",
    "t_",
    "loss_",
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
    "classes_",
)


def to_sklearn(estimator, input_scale, input_shift, output_scale, output_shift):
    """A fitted network of scikit-learn with the same predictions as `estimator`."""
    activation = activation_of(estimator._plan)
    if activation not in EXPRESSIBLE:
        raise ValueError(
            f"scikit-learn's networks have no activation {activation!r}: this one cannot be "
            f"expressed. {EXPRESSED}"
        )
    is_classifier = hasattr(estimator, "classes_")
    loss = None if is_classifier else REGRESSION_LOSSES.get(estimator._loss)
    if not is_classifier and (loss is None or loss.sklearn_loss is None):
        raise ValueError(
            f"scikit-learn's networks have nothing like loss={estimator._loss!r}: this one cannot "
            "be expressed."
        )
    cls = MLPClassifier if is_classifier else MLPRegressor
    ours = estimator.get_params(deep=False)
    plain = cls()
    plain.set_params(
        **{name: clone(ours[name], safe=False) for name in plain.get_params() if name in ours}
    )
    # scikit-learn lacks some values of these parameters, which concern training alone.
    plain.learning_rate_init = solvers.learning_rate_init(estimator, incremental=True)
    if plain.learning_rate not in ("constant", "invscaling", "adaptive"):
        plain.learning_rate = "constant"
    if plain.solver == "rmsprop":
        plain.solver = "adam"
    if plain.early_stopping == "auto":
        plain.early_stopping = False
    # The network keeps its activation and its layers, even if parameters were changed after fit.
    plain.activation = activation
    hidden_layer_sizes = tuple(layer_units_of(estimator._plan)[1:-1])
    if tuple(np.atleast_1d(plain.hidden_layer_sizes)) != hidden_layer_sizes:
        plain.hidden_layer_sizes = hidden_layer_sizes
    if not is_classifier:
        plain.loss = loss.sklearn_loss
    plain.coefs_, plain.intercepts_ = folded(
        estimator._plan, estimator._parameters, estimator._statistics, input_scale, input_shift
    )
    plain.coefs_[-1] = plain.coefs_[-1] * output_scale
    plain.intercepts_[-1] = plain.intercepts_[-1] * output_scale + output_shift
    for name in COMMON:
        if hasattr(estimator, name):
            setattr(plain, name, copy(getattr(estimator, name)))
    plain._random_state = check_random_state(plain.random_state)
    if plain.solver != "lbfgs":
        _complete_training_state(plain, estimator)
    if is_classifier:
        binarizer = LabelBinarizer()
        if estimator._is_multilabel:
            # Two rows: one has every label, one has no label.
            binarizer.fit(np.vstack([np.ones_like(plain.classes_), np.zeros_like(plain.classes_)]))
        else:
            binarizer.fit(estimator.classes_)
        plain._label_binarizer = binarizer
    return plain


def _complete_training_state(plain, estimator):
    """Set the attributes from which scikit-learn continues to train, for its parameters."""
    plain.loss_curve_ = list(getattr(plain, "loss_curve_", ()))
    plain._no_improvement_count = estimator._n_without_improvement
    plain._best_coefs = [array.copy() for array in plain.coefs_]
    plain._best_intercepts = [array.copy() for array in plain.intercepts_]
    if plain.early_stopping:
        plain.best_loss_ = None
        if getattr(plain, "validation_scores_", None) is None:
            plain.validation_scores_, plain.best_validation_score_ = [], -np.inf
    elif getattr(plain, "best_loss_", None) is None:
        plain.best_loss_ = min(plain.loss_curve_, default=np.inf)


def from_sklearn(cls, plain, plain_parameters):
    """An estimator of class `cls` with the parameters of `plain`, fitted if `plain` is fitted."""
    is_classifier = hasattr(cls, "predict_proba")
    plain_cls = MLPClassifier if is_classifier else MLPRegressor
    if not isinstance(plain, plain_cls):
        raise TypeError(
            f"{cls.__name__}.from_sklearn takes a fitted or unfitted {plain_cls.__name__}, "
            f"got {type(plain).__name__}"
        )
    parameters = {
        name: clone(value, safe=False) for name, value in plain.get_params(deep=False).items()
    }
    unknown = parameters.keys() - plain_cls().get_params(deep=False).keys()
    if unknown:
        raise ValueError(
            f"{type(plain).__name__} has parameters that {plain_cls.__name__} has not: "
            f"{', '.join(sorted(unknown))}. {cls.__name__} does not know what they mean."
        )
    estimator = cls(**parameters, **plain_parameters)
    estimator._validate_params()
    if not hasattr(plain, "coefs_"):
        return estimator
    losses = CLASS_LOSSES if is_classifier else IMPORTED_REGRESSION_LOSSES
    if plain.out_activation_ not in losses:
        raise ValueError(
            f"The outputs of this {type(plain).__name__} have the link "
            f"{plain.out_activation_!r}, which is none of {', '.join(losses)}: no loss of "
            f"{cls.__name__} belongs to it."
        )
    if hasattr(plain, "classes_"):
        estimator._is_multilabel = plain._label_binarizer.y_type_.startswith("multilabel")
        estimator._predicts_sparse = plain._label_binarizer.sparse_input_
    else:
        estimator._target_moments = None
    for name in COMMON:
        if hasattr(plain, name):
            setattr(estimator, name, copy(getattr(plain, name)))
    if hasattr(plain, "loss_curve_"):  # not after L-BFGS
        # scikit-learn records neither of these curves. It scores after every epoch.
        estimator.learning_rate_curve_ = []
        estimator.validation_loss_curve_ = None
        n_epochs, scores = len(plain.loss_curve_), getattr(plain, "validation_scores_", None)
        estimator.validation_epochs_ = None
        if scores:
            estimator.validation_epochs_ = list(range(n_epochs - len(scores) + 1, n_epochs + 1))
        estimator.kept_epoch_ = kept_epoch(plain)
    estimator._is_plain = True
    estimator._input_kind = None
    estimator._random_sequence = estimator._split_place = None
    estimator._state_format = STATE_FORMAT
    # The loss follows from the link of the network, because the parameter may have changed.
    estimator._loss, estimator._loss_parameter = losses[plain.out_activation_], 0.0
    network = plain_network(
        plain.coefs_, plain.intercepts_, plain.activation, estimator._loss, np.float64
    )
    estimator._plan = network.plan
    estimator._plan_digest = network.layout.digest
    estimator._parameters = network.parameters
    estimator._statistics = network.statistics
    estimator._n_batches_tracked = estimator._n_steps_tracked = 0
    estimator._n_without_improvement = getattr(plain, "_no_improvement_count", 0)
    if hasattr(plain, "_optimizer"):
        _bring_optimizer(estimator, plain._optimizer)
    return estimator


def kept_epoch(plain):
    """The epoch, counted from 1, whose network a fitted network of scikit-learn has kept.

    With early stopping ``fit`` goes back to the first epoch with the best score. A warm start
    without a better score ends with its last network, because there the best weights share their
    memory with the weights in training. After an epoch without a score the last network is kept.
    """
    n_epochs = len(plain.loss_curve_)
    scores = np.array(getattr(plain, "validation_scores_", None) or ())
    if not (plain.early_stopping and len(scores) == n_epochs > 0):
        return n_epochs
    best = 1 + int(np.argmax(scores == np.fmax.reduce(scores)))  # fmax: no NaN
    return best if best > n_epochs - plain.n_iter_ else n_epochs


def _bring_optimizer(estimator, theirs):
    """Set the state of the optimizer from which ``partial_fit`` continues.

    scikit-learn keeps each moment of the optimizer as a list of arrays.
    """
    optimizer = solvers.new_optimizer(estimator)
    schedule = solvers.schedule_settings(estimator, incremental=True)
    moments = np.zeros((2, estimator._parameters.size))
    rate = theirs.learning_rate
    if hasattr(theirs, "velocities"):
        moments[0] = flattened(theirs.velocities, [])
        optimizer["kind"] = OPTIMIZERS["sgd"]
        optimizer["momentum"], optimizer["nesterov"] = theirs.momentum, theirs.nesterov
        schedule = {
            "kind": theirs.lr_schedule,
            "learning_rate_init": float(theirs.learning_rate_init),
            "power_t": float(theirs.power_t),
        }
    else:
        # scikit-learn's attribute `learning_rate` is the rate of the last step, multiplied by the
        # correction of the bias.
        rate = theirs.learning_rate_init
        moments[0], moments[1] = flattened(theirs.ms, []), flattened(theirs.vs, [])
        optimizer["kind"] = OPTIMIZERS["adam"]
        optimizer["step"] = theirs.t
        schedule |= {"kind": "constant", "learning_rate_init": float(rate)}
        optimizer["beta_1"], optimizer["beta_2"] = theirs.beta_1, theirs.beta_2
        optimizer["epsilon"] = theirs.epsilon
    estimator._optimizer, estimator._moments = optimizer, moments
    estimator._learning_rate = float(rate)
    estimator._dropout_seed = solvers.NO_SEED
    estimator._schedule = schedule
