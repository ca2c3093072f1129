"""When to stop: the criteria that end training before its last epoch."""

import numpy as np


class LossPlateau:
    """Stops when the training loss has not improved for some epochs.

    Parameters
    ----------
    tol : float
        An improvement of less does not count.
    n_iter_no_change : int
        More epochs in a row than that without an improvement are a plateau.
    best_loss : float, default=inf
        The best loss so far.

    Attributes
    ----------
    best_loss : float
    """

    def __init__(self, tol, n_iter_no_change, best_loss=np.inf):
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.best_loss = best_loss
        self.n_without_improvement = 0

    @property
    def message(self):
        return (
            f"Training loss did not improve more than tol={self.tol:f} for "
            f"{self.n_iter_no_change} consecutive epochs."
        )

    def epoch_ended(self, loss):
        """Take note of an epoch's `loss`; tell whether this is a plateau."""
        if loss > self.best_loss - self.tol:
            self.n_without_improvement += 1
        else:
            self.n_without_improvement = 0
        self.best_loss = min(self.best_loss, loss)
        if self.n_without_improvement > self.n_iter_no_change:
            # The count starts anew should the schedule go on at another learning rate.
            self.n_without_improvement = 0
            return True
        return False
