"""When to stop: the criteria that end training before its last epoch.

A criterion has ``epoch_ended(epoch, loss)``, which tells whether this is a plateau, and
``message``. Epochs are counted from 1.
"""

import numpy as np


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

    def epoch_ended(self, epoch, loss):
        """Take note of an epoch's training `loss`; tell whether this is a plateau."""
        if self.record is not None:
            self.record.look(epoch)
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

    def epoch_ended(self, epoch, loss):
        """Score the network; tell whether this is a plateau."""
        best_before = self.record.best_score
        score = self.record.look(epoch)
        # A score that is not a number is no improvement.
        return self._is_reached(improved=score >= best_before + self.tol)
