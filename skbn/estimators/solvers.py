"""From an estimator's parameters to what trains its network.

The functions take the estimator whose parameters they read; none changes it.
"""

import warnings

import numpy as np
import scipy.optimize
from sklearn.utils.optimize import _check_optimize_result

from skbn.network import optimizer as optimizers
from skbn.training import schedules

# Rows from which on early_stopping="auto" stops early, as in HistGradientBoosting*.
AUTO_EARLY_STOPPING_ROWS = 10_000


def check_solver(estimator):
    """Refuse what L-BFGS cannot honour.

    Raises
    ------
    ValueError
        Naming the parameter.
    """
    if estimator.solver != "lbfgs":
        return
    for name, off in (("dropout", 0.0), ("weight_decay", 0.0), ("max_grad_norm", None)):
        value = getattr(estimator, name)
        if value != off:
            raise ValueError(
                f"{name}={value} cannot be used with solver='lbfgs', which minimizes one fixed "
                "function"
            )


def stops_early(estimator, n_rows, is_given, incremental):
    """Whether training ends by the score on validation rows, which may be given.

    Raises
    ------
    ValueError
        If ``partial_fit`` is to stop early without any.
    """
    if estimator.solver == "lbfgs":
        return False  # as upstream
    if estimator.early_stopping == "auto":
        return not incremental and (is_given or n_rows > AUTO_EARLY_STOPPING_ROWS)
    if estimator.early_stopping and incremental and not is_given:
        raise ValueError(
            "partial_fit does not support early_stopping=True without validation data: "
            "give X_val and y_val"
        )
    if is_given and not estimator.early_stopping:
        warnings.warn(
            "X_val is given, but early_stopping=False: validation_scores_ and "
            "validation_loss_curve_ are recorded, and training does not end by them",
            stacklevel=5,
        )
    return bool(estimator.early_stopping)


def new_optimizer(estimator, random_state):
    """The optimizer's record; draws the seed of the dropout masks where there are any."""
    common = {
        "alpha": estimator.alpha,
        "weight_decay": estimator.weight_decay,
        "max_grad_norm": max_grad_norm(estimator),
        # Nothing is drawn that is not needed.
        "seed": random_state.randint(2**31 - 1) if estimator.dropout > 0 else 0,
    }
    if estimator.solver == "sgd":
        return optimizers.sgd(
            momentum=estimator.momentum, nesterov=estimator.nesterovs_momentum, **common
        )
    return optimizers.adam(
        beta_1=estimator.beta_1, beta_2=estimator.beta_2, epsilon=estimator.epsilon, **common
    )


def resumed_optimizer(estimator):
    """A copy of the optimizer of the call before, for ``partial_fit``.

    As upstream, momentum and betas stay what they were; the penalty does not.
    """
    optimizer = estimator._optimizer.copy()
    optimizer["alpha"] = estimator.alpha
    optimizer["weight_decay"] = estimator.weight_decay
    optimizer["max_grad_norm"] = max_grad_norm(estimator)
    return optimizer


def max_grad_norm(estimator):
    """The norm that gradients are clipped to; infinite for none."""
    return np.inf if estimator.max_grad_norm is None else estimator.max_grad_norm


def new_schedule(estimator, incremental):
    """The schedule of the learning rate; constant instead of planned in ``partial_fit``."""
    rate = estimator.learning_rate_init
    if not incremental and estimator.learning_rate == "cosine":
        return schedules.Cosine(rate, estimator.max_iter)
    if not incremental and estimator.learning_rate == "one_cycle":
        return schedules.OneCycle(rate, estimator.max_iter)
    # As upstream, these belong to SGD: Adam scales its steps by itself.
    if estimator.solver == "sgd" and estimator.learning_rate == "invscaling":
        return schedules.InverseScaling(rate, estimator.power_t)
    if estimator.solver == "sgd" and estimator.learning_rate == "adaptive":
        return schedules.Adaptive(rate)
    return schedules.Constant(rate)


def batch_size(estimator, n_rows):
    """Rows of a mini-batch.

    Raises
    ------
    ValueError
        If batch norm would have batches of one row.
    """
    if estimator.batch_size == "auto":
        return min(200, n_rows)
    if estimator.batch_size == 1 and estimator.batch_norm is not None and n_rows > 1:
        raise ValueError(
            "batch_size=1 leaves batch norm no variance to normalize by: use at least 2, "
            "or batch_norm=None"
        )
    if estimator.batch_size > n_rows:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            stacklevel=6,
        )
    return min(estimator.batch_size, n_rows)


def minimize(estimator, network, table):
    """L-BFGS on all rows as one batch, batch statistics included; changes the parameters.

    Returns
    -------
    n_iter : int
    loss : float
        As scikit-learn reports it.
    """

    def loss_and_gradient(parameters):
        network.parameters[:] = parameters
        losses, gradient = network.loss_and_gradient(table, alpha=estimator.alpha)
        # The gradient is that of the sum over outputs. Upstream minimizes with the mean of
        # a squared error for the loss; where this is its network, so does this.
        loss = network.loss_value(losses)[0] if estimator._is_plain() else losses.sum()
        return loss, gradient.astype(np.float64)

    result = scipy.optimize.minimize(
        loss_and_gradient,
        network.parameters.astype(np.float64),
        method="L-BFGS-B",
        jac=True,
        options={
            "maxfun": estimator.max_fun,
            "maxiter": estimator.max_iter,
            "gtol": estimator.tol,
        },
    )
    network.parameters[:] = result.x
    n_iter = _check_optimize_result("lbfgs", result, estimator.max_iter)
    losses, _ = network.loss_and_gradient(table, alpha=estimator.alpha)
    return n_iter, float(network.loss_value(losses)[0])
