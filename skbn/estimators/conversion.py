"""From and to scikit-learn's plain multi-layer perceptrons.

A normalization by fixed statistics is affine, ``y = s x + c``, so it can be folded into the
linear map before it, ``(W s, b s + c)``, or after it, ``(s W, b + c W)``.
"""

from copy import copy

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state

from skbn.kernels.activations import ACTIVATIONS
from skbn.network import views
from skbn.network.network import Network
from skbn.network.plan import ACTIVATION, BATCH_NORM, LINEAR, feed_forward

EXPRESSIBLE = {"identity", "logistic", "tanh", "relu"}


def folded(plan, parameters, statistics, input_scale=None, input_shift=None):
    """Weights and intercepts, float64, of the plain network with the same raw outputs.

    `input_scale` and `input_shift` are those of the fixed map in front of the network.
    """
    views_of = {
        name: iter(view(plan, memory))
        for name, view, memory in (
            ("weight", views.weights, parameters),
            ("bias", views.biases, parameters),
            ("gamma", views.gammas, parameters),
            ("beta", views.betas, parameters),
            ("mean", views.running_means, statistics),
            ("var", views.running_vars, statistics),
        )
    }
    coefs, intercepts = [], []
    # The affine map that the next linear map still has to take in.
    scale, shift = input_scale, input_shift
    previous = None
    for operation in plan:
        if operation["kind"] == LINEAR:
            weight = next(views_of["weight"]).astype(np.float64)
            bias = next(views_of["bias"]).astype(np.float64)
            if scale is not None:
                bias = bias + shift @ weight
                weight = scale[:, np.newaxis] * weight
                scale = shift = None
            coefs.append(weight)
            intercepts.append(bias)
        elif operation["kind"] == BATCH_NORM:
            gamma, beta = next(views_of["gamma"]), next(views_of["beta"])
            mean, var = next(views_of["mean"])[0], next(views_of["var"])[0]
            # As in inference: a unit whose statistics have no variance gives beta.
            invstd = np.where(var > 0.0, 1.0 / np.sqrt(var + operation["epsilon"]), 0.0)
            s = gamma.astype(np.float64) * invstd
            c = beta - mean * s
            if previous == LINEAR:
                coefs[-1] = coefs[-1] * s
                intercepts[-1] = intercepts[-1] * s + c
            else:
                scale, shift = s, c
        previous = operation["kind"]
    return coefs, intercepts


def activation_of(plan):
    """Name of the activation of a plan's hidden layers; identity where there are none."""
    names = {code: name for name, code in ACTIVATIONS.items()}
    codes = plan["activation"][plan["kind"] == ACTIVATION]
    return names[codes[0]] if len(codes) else "identity"


def folded_network(network):
    """The plain network with the same raw outputs, in the same dtype; for inference only."""
    coefs, intercepts = folded(network.plan, network.parameters, network.statistics)
    units = [coefs[0].shape[0], *(weight.shape[1] for weight in coefs)]
    plan = feed_forward(units, activation_of(network.plan), None)
    parameters = np.concatenate([np.ravel(array) for array in [*coefs, *intercepts]])
    return Network(plan, network.loss, parameters.astype(network.parameters.dtype), np.empty(0))


def to_sklearn(estimator, input_scale, input_shift, output_scale, output_shift):
    """A fitted plain network of scikit-learn that predicts what `estimator` predicts."""
    activation = activation_of(estimator._plan)
    if activation not in EXPRESSIBLE:
        raise ValueError(
            f"scikit-learn's networks have no activation {activation!r}: "
            f"this one cannot be expressed"
        )
    is_classifier = hasattr(estimator, "classes_")
    cls = MLPClassifier if is_classifier else MLPRegressor
    ours = estimator.get_params(deep=False)
    plain = cls()
    plain.set_params(**{name: ours[name] for name in plain.get_params() if name in ours})
    # What scikit-learn has no name for concerns training alone.
    if plain.learning_rate not in ("constant", "invscaling", "adaptive"):
        plain.learning_rate = "constant"
    if plain.early_stopping == "auto":
        plain.early_stopping = False
    # The network's own, which a parameter may have been changed from since.
    plain.activation = activation
    if not is_classifier:
        plain.loss = "poisson" if estimator._loss == "poisson" else "squared_error"
    plain.coefs_, plain.intercepts_ = folded(
        estimator._plan, estimator._parameters, estimator._statistics, input_scale, input_shift
    )
    plain.coefs_[-1] = plain.coefs_[-1] * output_scale
    plain.intercepts_[-1] = plain.intercepts_[-1] * output_scale + output_shift
    for name in (
        "n_features_in_",
        "feature_names_in_",
        "n_layers_",
        "n_outputs_",
        "out_activation_",
        "n_iter_",
        "t_",
        "loss_",
        "best_loss_",
        "loss_curve_",
        "validation_scores_",
        "best_validation_score_",
        "classes_",
    ):
        if hasattr(estimator, name):
            setattr(plain, name, copy(getattr(estimator, name)))
    plain._random_state = check_random_state(estimator.random_state)
    plain._no_improvement_count = 0
    if is_classifier:
        binarizer = LabelBinarizer()
        if estimator._is_multilabel:
            # Of a table in which every label is there and is not.
            binarizer.fit(np.vstack([np.ones_like(plain.classes_), np.zeros_like(plain.classes_)]))
        else:
            binarizer.fit(estimator.classes_)
        plain._label_binarizer = binarizer
    return plain


def from_sklearn(cls, plain, plain_parameters):
    """An estimator of class `cls` in scikit-learn's mode, fitted if `plain` is."""
    upstream = MLPClassifier if hasattr(cls, "predict_proba") else MLPRegressor
    if not isinstance(plain, upstream):
        raise TypeError(
            f"{cls.__name__}.from_sklearn takes a fitted or unfitted {upstream.__name__}, "
            f"got {type(plain).__name__}"
        )
    estimator = cls(**plain.get_params(deep=False), **plain_parameters)
    if not hasattr(plain, "coefs_"):
        return estimator
    units = [plain.coefs_[0].shape[0], *(weight.shape[1] for weight in plain.coefs_)]
    estimator._plan = feed_forward(units, plain.activation, None)
    flat = [np.ravel(array) for array in [*plain.coefs_, *plain.intercepts_]]
    estimator._parameters = np.concatenate(flat).astype(np.float64)
    estimator._statistics = np.empty(0)
    estimator._n_batches_tracked = 0
    estimator._n_without_improvement = 0
    for name, value in vars(plain).items():
        if (
            name.endswith("_")
            and not name.startswith("_")
            and name not in ("coefs_", "intercepts_")
        ):
            setattr(estimator, name, copy(value))
    # L-BFGS leaves neither of these.
    for name in ("best_loss_", "validation_scores_", "best_validation_score_"):
        setattr(estimator, name, getattr(estimator, name, None))
    for name in ("loss_curve_", "learning_rate_curve_", "validation_loss_curve_"):
        setattr(estimator, name, list(getattr(plain, name, [])))
    if hasattr(plain, "classes_"):
        kind = plain._label_binarizer.y_type_
        estimator._is_multilabel = kind.startswith("multilabel")
    else:
        estimator._target_moments = None
    estimator._loss = estimator._loss_name()
    return estimator
