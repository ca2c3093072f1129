"""The losses of the estimators: everything that an estimator knows about a loss by its name.

The link of a loss is the function that turns a raw output of the network into a prediction.
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
    """Everything that a regressor knows about a loss.

    Attributes
    ----------
    link : {'identity', 'exp'}
        The function that turns a raw output into a prediction.
    pointwise : callable
        Takes raw outputs, targets and, if the loss has a parameter, the parameter. Returns the loss
        of each number.
    sklearn_loss : str or None
        The loss with which scikit-learn continues to train an exported network. Predictions do not
        depend on this loss, because both losses have the same link. ``None``: scikit-learn has no
        loss with this link, so such a network cannot be exported.
    needs_nonnegative : bool, default=False
        Whether the loss is only defined for targets >= 0.
    parameter : str, default=None
        Name of the parameter of the estimator that the loss takes. ``None``: no parameter.
    constraint : list, default=None
        The valid values of this parameter.
    score : callable, default=r2_score
        Takes y_true, y_pred, sample_weight and, if the loss has a parameter, the parameter. Returns
        the score of predictions on validation rows. Larger is better.
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
    # Half the Poisson deviance, which is 0 at exp(z) = y.
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
