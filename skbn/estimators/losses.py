"""The losses that estimators train with: all that an estimator knows about a loss by its name.

The link of a loss is the function that leads from a raw output of the network to a prediction.
"""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import numpy as np
from scipy.special import xlogy
from sklearn.metrics import mean_pinball_loss, r2_score
from sklearn.utils._param_validation import Interval, StrOptions


@dataclass(frozen=True)
class RegressionLoss:
    """What a regressor knows about a loss.

    Attributes
    ----------
    link : {'identity', 'exp'}
        Leads from a raw output to a prediction.
    pointwise : callable
        The loss of each number, of (raw outputs, targets) and, for a loss that has one, of the
        parameter.
    sklearn_loss : str or None
        The loss that scikit-learn goes on training an exported network with. Predictions do not
        depend on this loss, since both losses have the same link. ``None``: scikit-learn has no
        loss with this link, and such a network cannot be exported.
    needs_nonnegative : bool, default=False
        Whether the loss is defined for targets >= 0 alone.
    parameter : str, default=None
        Name of the estimators' parameter that the loss takes. ``None``: it takes none.
    constraint : list, default=None
        Which values this parameter may have.
    score : callable, default=r2_score
        The score of predictions on validation rows, of (y_true, y_pred, sample_weight) and, for a
        loss that has a parameter, of the parameter. Larger is better.
    """

    link: str
    pointwise: Callable
    sklearn_loss: str | None
    needs_nonnegative: bool = False
    parameter: str | None = None
    constraint: list | None = None
    score: Callable = r2_score


def _squared(z, y):
    return 0.5 * (z - y) ** 2


def _absolute(z, y):
    return np.abs(z - y)


def _poisson(z, y):
    # Less what does not depend on z: half of the Poisson deviance is 0 at exp(z) = y.
    return np.exp(z) - y * z - y + xlogy(y, y)


def _pinball(z, y, quantile):
    return np.maximum(quantile * (y - z), (quantile - 1.0) * (y - z))


REGRESSION_LOSSES = {
    "squared_error": RegressionLoss("identity", _squared, "squared_error"),
    "absolute_error": RegressionLoss("identity", _absolute, "squared_error"),
    "poisson": RegressionLoss("exp", _poisson, "poisson", needs_nonnegative=True),
    "quantile": RegressionLoss(
        "identity",
        _pinball,
        "squared_error",
        parameter="quantile",
        constraint=[Interval(Real, 0, 1, closed="neither")],
        # R2 is the score of means: the best quantile is not the best mean.
        score=lambda y_true, y_pred, quantile, **weight: (
            -mean_pinball_loss(y_true, y_pred, alpha=quantile, **weight)
        ),
    ),
}

# Constraints of the parameters that choose a loss.
LOSS_CONSTRAINTS = {
    "loss": [StrOptions(set(REGRESSION_LOSSES))],
    **{loss.parameter: loss.constraint for loss in REGRESSION_LOSSES.values() if loss.parameter},
}

# The loss of a classifier follows from its link: 'logistic' for two classes or for labels,
# 'softmax' for more classes.
CLASS_LOSSES = {"logistic": "logistic_log_loss", "softmax": "softmax_log_loss"}

# The loss that an imported network of scikit-learn was trained with, by its link.
IMPORTED_REGRESSION_LOSSES = {
    loss.link: name for name, loss in REGRESSION_LOSSES.items() if loss.sklearn_loss == name
}
