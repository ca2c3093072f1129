"""When to stop: the criteria that end training before its last epoch.

A criterion has ``epoch_ended(loss)``, which tells whether this is a plateau, and ``message``.
"""

import numpy as np


class ValidationRecord:
    """Scores and losses on validation rows, epoch by epoch, and the best epoch's network.

    Parameters
    ----------
    evaluate : callable
        Gives the ``Evaluation`` of the network as it is.
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
        Of each epoch, which is counted from 1.
    best_score : float
    best : object
        The snapshot of the epoch with the best score; None before there is a finite one.
    """

    def __init__(
        self, evaluate, snapshot, verbose, scores=(), losses=(), epochs=(), epochs_before=0
    ):
        self.evaluate = evaluate
        self.snapshot = snapshot
        self.verbose = verbose
        self.scores = list(scores)
        self.losses = list(losses)
        self.epochs = list(epochs)
        self.epoch = epochs_before
        self.best_score = max((s for s in self.scores if not np.isnan(s)), default=-np.inf)
        self.best = None

    def epoch_ended(self):
        """Score the network; keep a copy if it is the best; return the score."""
        evaluation = self.evaluate()
        score = evaluation.score
        self.epoch += 1
        self.scores.append(score)
        self.losses.append(evaluation.loss)
        self.epochs.append(self.epoch)
        if self.verbose:
            print(f"Validation score: {score:f}")
        if score > self.best_score:
            self.best_score = score
            self.best = self.snapshot()
        return score


class Plateau:
    """More than `n_iter_no_change` epochs in a row without an improvement of `tol`.

    Attributes
    ----------
    n_without_improvement : int
        Epochs in a row up to now. Set to 0 where training goes on after a plateau; may be set
        to go on from an earlier training, which scikit-learn does with the count it ended at.
    """

    def __init__(self, tol, n_iter_no_change):
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.n_without_improvement = 0

    @property
    def message(self):
        return (
            f"{self.quantity} did not improve more than tol={self.tol:f} for "
            f"{self.n_iter_no_change} consecutive epochs."
        )

    def _is_reached(self, improved):
        self.n_without_improvement = 0 if improved else self.n_without_improvement + 1
        return self.n_without_improvement > self.n_iter_no_change


class LossPlateau(Plateau):
    """Stops when the training loss has not improved for some epochs.

    Parameters
    ----------
    tol : float
        An improvement of less does not count.
    n_iter_no_change : int
        More epochs in a row than that without an improvement are a plateau.
    best_loss : float, default=inf
        The best loss so far.
    record : ValidationRecord, default=None
        What is kept of validation rows, and not listened to.

    Attributes
    ----------
    best_loss : float
    """

    quantity = "Training loss"

    def __init__(self, tol, n_iter_no_change, best_loss=np.inf, record=None):
        super().__init__(tol, n_iter_no_change)
        self.best_loss = best_loss
        self.record = record

    def epoch_ended(self, loss):
        """Take note of an epoch's training `loss`; tell whether this is a plateau."""
        if self.record is not None:
            self.record.epoch_ended()
        improved = not loss > self.best_loss - self.tol
        self.best_loss = min(self.best_loss, loss)
        return self._is_reached(improved)


class ValidationPlateau(Plateau):
    """Stops when the score on validation rows has not improved for some epochs.

    Parameters
    ----------
    tol : float
        An improvement of less does not count.
    n_iter_no_change : int
        More epochs in a row than that without an improvement are a plateau.
    record : ValidationRecord
        Scores the network and keeps the best one.
    """

    quantity = "Validation score"

    def __init__(self, tol, n_iter_no_change, record):
        super().__init__(tol, n_iter_no_change)
        self.record = record

    def epoch_ended(self, loss):
        """Score the network; tell whether this is a plateau."""
        best_before = self.record.best_score
        score = self.record.epoch_ended()
        # A score that is not a number is no improvement.
        return self._is_reached(improved=score >= best_before + self.tol)
