"""Scores of networks on validation rows, and a copy of the best network."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Evaluation:
    """The score and the loss of a network on validation rows.

    Attributes
    ----------
    score : float
        Larger is better; NaN where an output is not finite.
    loss : float
        The loss that training minimizes, without the penalty.
    row_losses : ndarray of shape (n,) or None
        The losses of the rows, if the score is minus their mean; ``None`` for another score.
    weights : ndarray of shape (n,) or None
        Weights of the rows.
    """

    score: float
    loss: float
    row_losses: np.ndarray | None = None
    weights: np.ndarray | None = None


class ValidationRecord:
    """Scores and losses on validation rows after some epochs, and the best of these networks.

    Parameters
    ----------
    evaluate : callable
        Returns the `Evaluation` of the network in its present state.
    snapshot : callable
        Returns a copy of the network in its present state.
    verbose : bool
        Whether to print the scores.
    scores, losses, epochs : sequence, default=()
        The records of earlier trainings.
    epochs_before : int, default=0
        Epochs of earlier trainings.
    best_score : float, default=-inf
        A score that the best network has to exceed.

    Attributes
    ----------
    scores, losses, epochs : list
        One entry for each evaluation of the network.
    best_score : float
    best : object
        The snapshot with the best score; None as long as no score is finite.
    best_epoch : int
        Epochs of this training after which `best` was taken; 0 for the network before training.
    best_evaluation, last_evaluation : Evaluation or None
        The evaluation of the best snapshot, and the last evaluation.
    """

    def __init__(
        self,
        evaluate,
        snapshot,
        verbose,
        scores=(),
        losses=(),
        epochs=(),
        epochs_before=0,
        best_score=-np.inf,
    ):
        self.evaluate, self.snapshot, self.verbose = evaluate, snapshot, verbose
        self.scores, self.losses, self.epochs = list(scores), list(losses), list(epochs)
        self.epochs_before = epochs_before
        self.best_score = best_score
        self.best = self.best_evaluation = self.last_evaluation = None
        self.best_epoch = 0

    def look(self, epoch):
        """Evaluate the network after so many epochs; keep a copy if it is the best network.

        The epochs are counted from 1. The last epoch may be incomplete. Returns the score.
        """
        evaluation = self.evaluate()
        self.last_evaluation = evaluation
        self.scores.append(evaluation.score)
        self.losses.append(evaluation.loss)
        self.epochs.append(self.epochs_before + epoch)
        if self.verbose:
            print(f"Validation score: {evaluation.score:f}")
        if evaluation.score > self.best_score:
            self.best_score, self.best_evaluation = evaluation.score, evaluation
            self.best, self.best_epoch = self.snapshot(), epoch
        return evaluation.score
