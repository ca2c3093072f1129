"""Networks at some epochs of a planned training, of which one is kept at the end.

Scores of many epochs on few rows would choose the luckiest. So few epochs are looked at, and the
last one stays unless another one is better by more than chance explains.
"""

from dataclasses import dataclass

import numpy as np

# Shares of the epochs after which the network is looked at.
SHARES = np.arange(3, 11) / 10

# How many standard errors of the rows' differences another network must be ahead by.
STANDARD_ERRORS = 2.0


@dataclass
class Evaluation:
    """What a network is worth on validation rows.

    Attributes
    ----------
    score : float
        Larger is better; NaN where an output is not finite.
    loss : float
        The trained loss, without the penalty.
    row_losses : ndarray of shape (n,) or None
        The losses whose mean is minus the score; ``None`` for another score.
    weights : ndarray of shape (n,) or None
        Of the rows.
    """

    score: float
    loss: float
    row_losses: np.ndarray | None = None
    weights: np.ndarray | None = None


def checkpoint_epochs(n_epochs):
    """The epochs, counted from 1, after which the network is looked at."""
    return sorted({max(1, round(share * n_epochs)) for share in SHARES})


class Checkpoints:
    """The criterion of a planned training: it runs to its last epoch, then one network is kept.

    Parameters
    ----------
    n_epochs : int
        Of the whole training.
    evaluate : callable
        Gives the `Evaluation` of the network as it is.
    snapshot : callable
        Gives a copy of the network as it is.
    verbose : bool
        Whether to print the scores.
    scores, losses, epochs : sequence, default=()
        Of earlier trainings.
    epochs_before : int, default=0
        Epochs of earlier trainings.

    Attributes
    ----------
    scores, losses, epochs : list
        Of each network that was looked at.
    best_score : float
        The best score of this training.
    best : object
        The snapshot with the best score; None before there is a finite one.
    best_loss : float
        The least training loss of an epoch.
    n_without_improvement : int
        Always 0: this criterion knows no plateau.
    """

    message = ""

    def __init__(
        self,
        n_epochs,
        evaluate,
        snapshot,
        verbose,
        scores=(),
        losses=(),
        epochs=(),
        epochs_before=0,
    ):
        self.wanted = checkpoint_epochs(n_epochs)
        self.evaluate, self.snapshot, self.verbose = evaluate, snapshot, verbose
        self.scores, self.losses, self.epochs = list(scores), list(losses), list(epochs)
        self.epochs_before = epochs_before
        self.epoch = 0
        self.best_loss = np.inf
        self.best_score = -np.inf
        self.best = None
        self.best_evaluation = self.last_evaluation = None
        self.n_without_improvement = 0

    def epoch_ended(self, loss):
        """Take note of an epoch; there is no plateau."""
        # Ctrl-C in a look leaves nothing of the epoch.
        if self.epoch + 1 in self.wanted:
            self.look(self.epoch + 1)
        self.epoch += 1
        self.best_loss = min(self.best_loss, loss)
        return False

    def look(self, epoch):
        """Evaluate the network as it is, after so many epochs, the last of which may be a part."""
        evaluation = self.last_evaluation = self.evaluate()
        self.scores.append(evaluation.score)
        self.losses.append(evaluation.loss)
        self.epochs.append(self.epochs_before + epoch)
        if self.verbose:
            print(f"Validation score: {evaluation.score:f}")
        if evaluation.score > self.best_score:
            self.best_score, self.best_evaluation = evaluation.score, evaluation
            self.best = self.snapshot()

    def chosen(self):
        """The snapshot to go back to, or None: the network of the last look stays."""
        best, last = self.best_evaluation, self.last_evaluation
        if best is None or best is last:
            return None
        if np.isnan(last.score) or is_ahead(best, last):
            return self.best
        return None


def is_ahead(best, last):
    """Whether a network is better than the last by more than chance explains.

    The mean of the rows' differences is compared with its standard error, each row weighted by w:
    the mean m = sum w d / sum w has the variance sum w^2 (d - m)^2 / (sum w)^2. Scores without row
    losses are compared as they are.
    """
    if best.row_losses is None or last.row_losses is None:
        return best.score > last.score
    difference = last.row_losses - best.row_losses
    weights = np.ones(len(difference)) if best.weights is None else best.weights
    share = weights / weights.sum()
    mean = share @ difference
    return bool(mean > STANDARD_ERRORS * np.sqrt(share**2 @ (difference - mean) ** 2))
