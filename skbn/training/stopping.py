"""When to stop: the criteria that end training before its last epoch.

A criterion has a method ``epoch_ended(epoch, loss)``, which tells whether training is on a plateau,
and an attribute ``message``. Epochs are counted from 1.
"""

import numpy as np


class Plateau:
    """More than `n_iter_no_change` epochs in a row without an improvement of `tol`.

    Attributes
    ----------
    n_without_improvement : int
        Number of the last epochs in a row without an improvement. It is set to 0 if training goes
        on after a plateau. It may be set to the count at which an earlier training ended, as
        scikit-learn does.
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
        A smaller improvement does not count.
    n_iter_no_change : int
        More epochs in a row than that without an improvement are a plateau.
    best_loss : float, default=inf
        The best loss so far.
    record : ValidationRecord, default=None
        Records the scores on validation rows. The scores do not influence the criterion.

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
        """Record the training `loss` of an epoch; tell whether training is on a plateau."""
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
        A smaller improvement does not count.
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
        """Score the network; tell whether training is on a plateau."""
        best_before = self.record.best_score
        score = self.record.look(epoch)
        # A score that is NaN is no improvement.
        return self._is_reached(improved=score >= best_before + self.tol)
