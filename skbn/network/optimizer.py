"""The record of an optimizer, which the C struct of ``kernels/optimizers.pxd`` mirrors.

The whole state of an optimizer is a record and an array of moments of shape (2, n_parameters).
"""

from dataclasses import dataclass

import numpy as np

from skbn.kernels.optimizers import OPTIMIZERS

OPTIMIZER = np.dtype(
    [
        ("kind", np.intc),
        ("nesterov", np.intc),
        ("momentum", np.float64),
        ("beta_1", np.float64),
        ("beta_2", np.float64),
        ("epsilon", np.float64),
        ("weight_decay", np.float64),
        ("max_grad_norm", np.float64),
        ("step", np.int64),
    ],
    align=True,
)


@dataclass
class Training:
    """How the parameters of a network are changed. Each batch goes on with the arrays.

    Attributes
    ----------
    optimizer : ndarray of shape (1,), dtype `OPTIMIZER`
        The record of the optimizer.
    moments : ndarray of shape (2, n_parameters)
        The moments of the optimizer.
    alpha : float
        L2 penalty of the weights.
    seed : int
        Seed of the masks of dropout.
    """

    optimizer: np.ndarray
    moments: np.ndarray
    alpha: float = 0.0
    seed: int = 0


def check_optimizer(optimizer):
    """Refuse an object that is not a record of a known optimizer.

    Raises
    ------
    ValueError
    """
    if not isinstance(optimizer, np.ndarray) or optimizer.dtype != OPTIMIZER:
        raise ValueError("the record of the optimizer is damaged: it has other fields")
    if optimizer.shape != (1,) or not optimizer.flags.aligned:
        raise ValueError(f"the record of the optimizer is damaged: its shape is {optimizer.shape}")
    if optimizer["kind"][0] not in OPTIMIZERS.values():
        raise ValueError(f"the code {optimizer['kind'][0]} of an optimizer is unknown")
    if optimizer["step"][0] < 0:
        raise ValueError(f"an optimizer of {optimizer['step'][0]} steps is damaged")


def _record(**fields):
    record = np.zeros(1, OPTIMIZER)
    for name, value in fields.items():
        record[name] = value
    return record


def sgd(
    *,
    momentum=0.9,
    nesterov=True,
    weight_decay=0.0,
    max_grad_norm=np.inf,
):
    """Stochastic gradient descent with momentum; shape (1,), dtype `OPTIMIZER`.

    `weight_decay` is the decoupled decay of the weights. `max_grad_norm` is the norm to which
    gradients are clipped.
    """
    return _record(
        kind=OPTIMIZERS["sgd"],
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=weight_decay,
        max_grad_norm=max_grad_norm,
    )


def adam(
    *,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-8,
    weight_decay=0.0,
    max_grad_norm=np.inf,
):
    """Adam, or AdamW with a `weight_decay`; shape (1,), dtype `OPTIMIZER`."""
    return _record(
        kind=OPTIMIZERS["adam"],
        beta_1=beta_1,
        beta_2=beta_2,
        epsilon=epsilon,
        weight_decay=weight_decay,
        max_grad_norm=max_grad_norm,
    )


def rmsprop(
    *,
    decay=0.99,
    momentum=0.0,
    epsilon=1e-8,
    weight_decay=0.0,
    max_grad_norm=np.inf,
):
    """RMSProp with momentum; shape (1,), dtype `OPTIMIZER`.

    `decay` is the decay of the squared gradient. The record calls it ``beta_2``, as Adam does.
    """
    return _record(
        kind=OPTIMIZERS["rmsprop"],
        momentum=momentum,
        beta_2=decay,
        epsilon=epsilon,
        weight_decay=weight_decay,
        max_grad_norm=max_grad_norm,
    )
