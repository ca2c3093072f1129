"""Networks at some epochs of a planned training. One of these networks is kept at the end.

If the scores of many epochs on few rows were compared, the best score would be a lucky one. So only
a few epochs are scored. The network of the last epoch is kept, unless another network is better by
more than chance explains.
"""

import numpy as np

from skbn.network.processes import ONE_PROCESS


def checkpoint_epochs(n_epochs, shares):
    """The epochs, counted from 1, after which the network is scored: these shares of all epochs."""
    return sorted({max(1, round(share * n_epochs)) for share in shares})


class Checkpoints:
    """The criterion of a planned training, which runs to its last epoch and then keeps one network.

    Parameters
    ----------
    n_epochs : int
        Epochs of the whole training.
    record : ValidationRecord
        Scores the network after some epochs. It has no score to exceed.
    shares : sequence of float
        The shares of the epochs after which the network is scored; the last share is 1.
    standard_errors : float
        By how many standard errors of the rows' differences another network must be better than the
        last network.
    processes : OneProcess or Processes, default=ONE_PROCESS
        The processes whose rows count together.

    Attributes
    ----------
    best_loss : float
        The least training loss of an epoch.
    n_without_improvement : int
        Always 0, because this criterion knows no plateau.
    """

    message = ""

    def __init__(self, n_epochs, record, shares, standard_errors, processes=ONE_PROCESS):
        self.wanted = checkpoint_epochs(n_epochs, shares)
        self.record, self.standard_errors, self.processes = record, standard_errors, processes
        self.best_loss = np.inf
        self.n_without_improvement = 0

    def epoch_ended(self, epoch, loss):
        """Take note of an epoch; there is no plateau."""
        # If Ctrl-C comes while the network is scored, nothing of the epoch is recorded.
        if epoch in self.wanted:
            self.record.look(epoch)
        self.best_loss = min(self.best_loss, loss)
        return False

    def chosen(self):
        """The snapshot to go back to, or None if the last scored network is kept."""
        best, last = self.record.best_evaluation, self.record.last_evaluation
        if best is None or best is last:
            return None
        if np.isnan(last.score) or is_ahead(best, last, self.standard_errors, self.processes):
            return self.record.best
        return None


def is_ahead(best, last, standard_errors, processes=ONE_PROCESS):
    """Whether a network is better than the last network by more than so many standard errors.

    The mean of the rows' differences d is compared with its standard error. With the row weights w,
    the mean m = sum w d / sum w has the variance sum w^2 (d - m)^2 / (sum w)^2. Scores without row
    losses are compared directly.
    """
    if best.row_losses is None or last.row_losses is None:
        return best.score > last.score
    difference = last.row_losses - best.row_losses
    weights = np.ones(len(difference)) if best.weights is None else best.weights
    share = weights / processes.total(weights.sum())
    mean = processes.total(share @ difference)
    variance = processes.total(share**2 @ (difference - mean) ** 2)
    return bool(mean > standard_errors * np.sqrt(variance))
