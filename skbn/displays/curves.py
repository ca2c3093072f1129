"""The curves of a fitted model: losses, scores and learning rates of its epochs."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.utils.validation import check_is_fitted

# In a shorter training each epoch may be a checkpoint of ``early_stopping="auto"``.
FEWEST_TO_TELL = 4


@dataclass
class TrainingCurves:
    """The curves of one training. A curve that the model does not have is None.

    Attributes
    ----------
    loss : ndarray of shape (n_epochs,)
        Training loss of each epoch.

    validation_epochs : ndarray of shape (n_scores,) or None, default=None
        The epochs, counted from 1, after which the validation rows were scored.

    validation_loss : ndarray of shape (n_losses,) or None, default=None
        Losses on the validation rows, after the last n_losses of the `validation_epochs`.

    validation_score : ndarray of shape (n_scores,) or None, default=None
        Score on the validation rows.

    score_name : str or None, default=None
        Name of the score, for the label of the axis.

    learning_rate : ndarray of shape (n_rates,) or None, default=None
        Learning rate of each epoch. If there are fewer rates than losses, the rates belong to the
        last epochs.

    member_losses : tuple of ndarray, default=()
        Training loss of each member of an ensemble.

    kept_epoch : int or None, default=None
        The epoch, counted from 1, whose network predicts.
    """

    loss: np.ndarray
    validation_epochs: np.ndarray | None = None
    validation_loss: np.ndarray | None = None
    validation_score: np.ndarray | None = None
    score_name: str | None = None
    learning_rate: np.ndarray | None = None
    member_losses: tuple = ()
    kept_epoch: int | None = None

    @classmethod
    def of(cls, estimator: Any, name: str | None = None) -> Self:
        """The curves of a fitted estimator.

        Parameters
        ----------

        estimator : estimator
            A fitted network, a pipeline that ends with one, or a fitted search of networks.

        name : str, default=None
            Name of the model in errors. None: the name of the class.

        Raises
        ------
        NotFittedError
            If nothing was fitted before.
        ValueError
            If the estimator has no ``loss_curve_``.
        """
        network = network_of(estimator)
        name = type(network).__name__ if name is None else name
        if not len(getattr(network, "loss_curve_", ())):
            raise ValueError(
                f"{name} has no loss_curve_ of an epoch, so there is no curve to draw. "
                "solver='lbfgs' has no epochs; scikit-learn's and skbn's networks with another "
                "solver have the curve."
            )
        loss = _array(network.loss_curve_)
        score = _array(getattr(network, "validation_scores_", None))
        epochs = _array(getattr(network, "validation_epochs_", None))
        if score is not None and (epochs is None or len(epochs) != len(score)):
            # scikit-learn scores each epoch.
            epochs = len(loss) + np.arange(1 - len(score), 1)
        return cls(
            loss=loss,
            validation_epochs=epochs,
            validation_loss=_array(getattr(network, "validation_loss_curve_", None)),
            validation_score=score,
            score_name=_score_name(network),
            learning_rate=_array(getattr(network, "learning_rate_curve_", None)),
            member_losses=tuple(
                _array(member.loss_curve_) for member in getattr(network, "estimators_", ())
            ),
            kept_epoch=getattr(network, "kept_epoch_", None),
        )


def network_of(estimator):
    """The network inside a fitted pipeline, search or regressor of transformed targets.

    Raises
    ------
    NotFittedError
        If the search is not fitted.
    ValueError
        If the search has kept no estimator.
    """
    while True:
        if hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "refit"):  # every search has it
            check_is_fitted(estimator, "cv_results_")
            if not hasattr(estimator, "best_estimator_"):
                raise ValueError("The search has no best_estimator_: it was run with refit=False.")
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "regressor_"):
            estimator = estimator.regressor_
        else:
            check_is_fitted(estimator)
            return estimator


def _array(curve):
    return None if curve is None or len(curve) == 0 else np.asarray(curve, dtype=float)


def _score_name(network):
    """The name of the validation scores, or None if the parameters do not give a name."""
    # The members of an ensemble have the parameters.
    (one, *_) = getattr(network, "estimators_", (network,))
    scoring = getattr(one, "scoring", None)
    if scoring is None:
        scoring = _default_scoring(network, one)
    if scoring == "loss":
        return "minus the log loss" if is_classifier(one) else "minus the loss"
    return scoring if isinstance(scoring, str) else None


def _default_scoring(network, one):
    """The score under ``scoring=None``; None if it is not clear whether it was the loss."""
    scores = np.asarray(getattr(network, "validation_scores_", None) or [], dtype=float)
    is_auto = getattr(one, "early_stopping", None) == "auto"
    if is_classifier(one):
        # Minus the log loss is negative, an accuracy is not.
        is_negative = scores[np.isfinite(scores)] < 0.0
        if is_auto and is_negative.any():
            return "loss" if is_negative.all() else None
        return "accuracy"
    if not is_regressor(one):
        return None
    if is_auto:
        n_epochs = len(network.loss_curve_)
        if len(scores) < n_epochs:
            # Checkpoints, or a stream that was scored at times. Minus a loss is never positive.
            return None if (scores > 0.0).any() else "loss"
        if n_epochs < FEWEST_TO_TELL:
            return None
    return "R2" if getattr(one, "loss", None) != "quantile" else "minus the pinball loss"
