"""Normalization by fixed statistics folded into the linear maps beside it.

Such a normalization is affine, ``y = s x + c``. So it can be merged into the linear map before it,
``(W s, b s + c)``, or into the linear map after it, ``(s W, b + c W)``.
"""

import numpy as np

from skbn.kernels.activations import ACTIVATIONS
from skbn.network import views
from skbn.network.network import Network
from skbn.network.operations.registry import MODULES
from skbn.network.plan import (
    ACTIVATION,
    BATCH_NORM,
    LINEAR,
    embedded_of,
    feed_forward,
    layer_units_of,
)

# The largest rounding error that folding may add to a normalized value, whose standard deviation is
# 1.
ROUNDING = 1e-5


class LinearMaps:
    """Linear maps of a plain network, made operation by operation.

    An affine map is merged into the linear map before it. If this is not possible, the affine map
    waits for the linear map behind it.

    Parameters
    ----------
    scale, shift : ndarray of shape (n_features,), or None
        An affine map in front of the network.
    """

    def __init__(self, scale=None, shift=None):
        self.coefs, self.intercepts = [], []
        self.waiting = None if scale is None else (scale, shift)
        self.is_open = False

    def add_linear(self, weight, bias):
        weight, bias = weight.astype(np.float64), bias.astype(np.float64)
        if self.waiting is not None:
            scale, shift = self.waiting
            bias = bias + shift @ weight
            weight = scale[:, np.newaxis] * weight
        self.coefs.append(weight)
        self.intercepts.append(bias)
        self.waiting, self.is_open = None, True

    def add_affine(self, scale, shift):
        if self.is_open:
            self.coefs[-1] = self.coefs[-1] * scale
            self.intercepts[-1] = self.intercepts[-1] * scale + shift
        elif self.waiting is None:
            self.waiting = scale, shift
        else:
            self.waiting = self.waiting[0] * scale, self.waiting[1] * scale + shift

    def close(self):
        """Close the last linear map: an activation stands behind it, so it takes no affine map."""
        self.is_open = False


def folds(plan):
    """Whether all operations of a plan know how to be folded."""
    return all(hasattr(MODULES[kind], "fold") for kind in plan["kind"].tolist())


def folded(plan, parameters, statistics, input_scale=None, input_shift=None):
    """Weights and intercepts, in float64, of the plain network with the same raw outputs.

    `input_scale` and `input_shift` are the fixed map in front of the network. The plan `folds`.
    """
    maps = LinearMaps(input_scale, input_shift)
    arrays = {
        LINEAR: zip(
            views.weights(plan, parameters),
            views.biases(plan, parameters),
            views.input_scales(plan, parameters),
            strict=True,
        ),
        BATCH_NORM: zip(
            views.gammas(plan, parameters),
            views.betas(plan, parameters),
            (mean[0] for mean in views.running_means(plan, statistics)),
            (var[0] for var in views.running_vars(plan, statistics)),
            strict=True,
        ),
    }
    names = {LINEAR: ("weights", "bias", "scale"), BATCH_NORM: ("gamma", "beta", "mean", "var")}
    for row in plan:
        kind = int(row["kind"])
        of_row = dict(zip(names[kind], next(arrays[kind]), strict=True)) if kind in names else {}
        MODULES[kind].fold(maps, row, of_row)
    return maps.coefs, maps.intercepts


def activation_of(plan):
    """Name of the activation of the hidden layers of a plan; "identity" without hidden layers."""
    names = {code: name for name, code in ACTIVATIONS.items()}
    codes = plan["activation"][plan["kind"] == ACTIVATION]
    return names[codes[0]] if len(codes) else "identity"


def plain_network(coefs, intercepts, activation, loss, dtype):
    """A network without any normalization, of given weights."""
    units = [coefs[0].shape[0], *(weight.shape[1] for weight in coefs)]
    plan = feed_forward(units, activation, None)
    return Network(plan, loss, flattened(coefs, intercepts).astype(dtype), np.empty(0))


def flattened(coefs, intercepts, embeddings=()):
    """Weights, intercepts and embeddings in the order of a plain network's flat memory."""
    return np.concatenate([np.ravel(array) for array in [*coefs, *intercepts, *embeddings]])


def folds_precisely(network):
    """Whether a network can be folded, and folding adds a rounding error of at most `ROUNDING`.

    If a mean is m standard deviations away from 0, the products and the folded intercept are both
    about m in size, and cancel. The folded weights are rounded anew, so an error of m roundings is
    left. In the network itself such errors cancel, because the means are the means of its own
    products.
    """
    if not folds(network.plan):
        return False
    bound = ROUNDING / np.finfo(network.parameters.dtype).eps
    norms = network.plan[network.plan["kind"] == BATCH_NORM]
    return all(
        # A unit without variance gives its beta: nothing cancels.
        ((np.abs(mean) <= bound * np.sqrt(var + norm["epsilon"])) | (var == 0.0)).all()
        for norm, mean, var in zip(
            norms,
            views.running_means(network.plan, network.statistics),
            views.running_vars(network.plan, network.statistics),
            strict=True,
        )
    )


def folded_network(network):
    """The plain network with the same raw outputs, in the same dtype; for inference only.

    The embedding of columns stays as it is.
    """
    plan = network.plan
    coefs, intercepts = folded(plan, network.parameters, network.statistics)
    embeddings = views.embeddings(plan, network.parameters)
    parameters = flattened(coefs, intercepts, embeddings).astype(network.parameters.dtype)
    plan = feed_forward(layer_units_of(plan), activation_of(plan), None, embedded=embedded_of(plan))
    return network.like(plan, parameters, np.empty(0))
