"""Normalization by fixed statistics folded into the linear maps beside it.

It is affine, ``y = s x + c``, so it goes into the linear map before it, ``(W s, b s + c)``, or
into the one after it, ``(s W, b + c W)``.
"""

import numpy as np

from skbn.kernels.activations import ACTIVATIONS
from skbn.network import views
from skbn.network.network import Network
from skbn.network.plan import ACTIVATION, BATCH_NORM, LINEAR, feed_forward

# What folding may add to the rounding of a normalized value, whose standard deviation is 1.
ROUNDING = 1e-5


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


def plain_network(coefs, intercepts, activation, loss, dtype):
    """A network without any normalization, of given weights."""
    units = [coefs[0].shape[0], *(weight.shape[1] for weight in coefs)]
    return Network(
        feed_forward(units, activation, None),
        loss,
        flattened(coefs, intercepts).astype(dtype),
        np.empty(0),
    )


def flattened(coefs, intercepts):
    """Weights and intercepts in the order of a plain network's flat memory."""
    return np.concatenate([np.ravel(array) for array in [*coefs, *intercepts]])


def folds_precisely(network):
    """Whether the folded network rounds no worse than this one, within `ROUNDING`.

    Where a mean is m standard deviations from 0, the products and the folded intercept are both
    about m and cancel. The folded weights, rounded anew, then leave an error of m roundings.
    Those of the network itself are in the means, which were taken of its own products.
    """
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
    """The plain network with the same raw outputs, in the same dtype; for inference only."""
    coefs, intercepts = folded(network.plan, network.parameters, network.statistics)
    return plain_network(
        coefs, intercepts, activation_of(network.plan), network.loss, network.parameters.dtype
    )
