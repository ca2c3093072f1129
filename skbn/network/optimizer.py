"""How parameters are stepped: one record, mirrored by the C struct of ``block.pxd``.

A record and its moments (an array of shape (2, n_parameters)) are all the state there is.
"""

import numpy as np

from skbn.network.block import KINDS

OPTIMIZER = np.dtype(
    [
        ("kind", np.intc),
        ("nesterov", np.intc),
        ("momentum", np.float64),
        ("beta_1", np.float64),
        ("beta_2", np.float64),
        ("epsilon", np.float64),
        ("alpha", np.float64),
        ("weight_decay", np.float64),
        ("max_grad_norm", np.float64),
        ("step", np.int64),
        ("seed", np.int64),
    ],
    align=True,
)


def check_optimizer(optimizer):
    """Refuse what is no record of an optimizer, or of an unknown one.

    Raises
    ------
    ValueError
    """
    if not isinstance(optimizer, np.ndarray) or optimizer.dtype != OPTIMIZER:
        raise ValueError("the record of the optimizer is damaged: it has other fields")
    if optimizer.shape != (1,) or not optimizer.flags.aligned:
        raise ValueError(f"the record of the optimizer is damaged: its shape is {optimizer.shape}")
    if optimizer["kind"][0] not in KINDS.values():
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
    alpha=0.0,
    weight_decay=0.0,
    max_grad_norm=np.inf,
    seed=0,
):
    """Stochastic gradient descent with momentum; shape (1,), dtype `OPTIMIZER`.

    `alpha` is the L2 penalty ``alpha / 2 ||W||^2`` on the weights, divided by the batch's
    total weight as scikit-learn does; `weight_decay` the decoupled decay; `max_grad_norm` the
    norm that gradients are clipped to; `seed` that of the dropout masks.
    """
    return _record(
        kind=KINDS["sgd"],
        momentum=momentum,
        nesterov=nesterov,
        alpha=alpha,
        weight_decay=weight_decay,
        max_grad_norm=max_grad_norm,
        seed=seed,
    )


def adam(
    *,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-8,
    alpha=0.0,
    weight_decay=0.0,
    max_grad_norm=np.inf,
    seed=0,
):
    """Adam, or AdamW with a `weight_decay`; shape (1,), dtype `OPTIMIZER`."""
    return _record(
        kind=KINDS["adam"],
        beta_1=beta_1,
        beta_2=beta_2,
        epsilon=epsilon,
        alpha=alpha,
        weight_decay=weight_decay,
        max_grad_norm=max_grad_norm,
        seed=seed,
    )


def rmsprop(
    *,
    decay=0.99,
    momentum=0.0,
    epsilon=1e-8,
    alpha=0.0,
    weight_decay=0.0,
    max_grad_norm=np.inf,
    seed=0,
):
    """RMSProp with momentum; shape (1,), dtype `OPTIMIZER`.

    `decay` is that of the squared gradient, which the record calls ``beta_2`` as Adam's.
    """
    return _record(
        kind=KINDS["rmsprop"],
        momentum=momentum,
        beta_2=decay,
        epsilon=epsilon,
        alpha=alpha,
        weight_decay=weight_decay,
        max_grad_norm=max_grad_norm,
        seed=seed,
    )
