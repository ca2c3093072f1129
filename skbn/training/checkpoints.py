"""Networks at some epochs of a planned training, of which one is kept at the end.

Scores of many epochs on few rows would choose the luckiest. So few epochs are looked at, and the
last one stays unless another one is better by more than chance explains.
"""

import numpy as np


def checkpoint_epochs(n_epochs, shares):
    """The epochs, counted from 1, after which the network is looked at: these shares of all."""
    return sorted({max(1, round(share * n_epochs)) for share in shares})


class Checkpoints:
    """The criterion of a planned training: it runs to its last epoch, then one network is kept.

    Parameters
    ----------
    n_epochs : int
        Of the whole training.
    record : ValidationRecord
        Looks at the network after some epochs. It has no score to exceed.
    shares : sequence of float
        The shares of the epochs after which the network is looked at; the last one is 1.
    standard_errors : float
        How many standard errors of the rows' differences another network must be ahead of the last
        one by.

    Attributes
    ----------
    best_loss : float
        The least training loss of an epoch.
    n_without_improvement : int
        Always 0: this criterion knows no plateau.
    """

    message = ""

    def __init__(self, n_epochs, record, shares, standard_errors):
        self.wanted = checkpoint_epochs(n_epochs, shares)
        self.record, self.standard_errors = record, standard_errors
        self.best_loss = np.inf
        self.n_without_improvement = 0

    def epoch_ended(self, epoch, loss):
        """Take note of an epoch; there is no plateau."""
        # Ctrl-C in a look leaves nothing of the epoch.
        if epoch in self.wanted:
            self.record.look(epoch)
        self.best_loss = min(self.best_loss, loss)
        return False

    def chosen(self):
        """The snapshot to go back to, or None: the network of the last look stays."""
        best, last = self.record.best_evaluation, self.record.last_evaluation
        if best is None or best is last:
            return None
        if np.isnan(last.score) or is_ahead(best, last, self.standard_errors):
            return self.record.best
        return None


def is_ahead(best, last, standard_errors):
    """Whether a network is better than the last one by more than so many standard errors.

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
    return bool(mean > standard_errors * np.sqrt(share**2 @ (difference - mean) ** 2))
