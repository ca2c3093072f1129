"""When to stop: the criteria that end training before its last epoch.

A criterion has ``epoch_ended(loss)``, which tells whether this is a plateau, and ``message``.
"""

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
        """Take note of an epoch's training `loss`; tell whether this is a plateau."""
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


class ValidationPlateau:
    """Stops when the score on validation rows has not improved for some epochs.

    Parameters
    ----------
    tol : float
        An improvement of less does not count.
    n_iter_no_change : int
        More epochs in a row than that without an improvement are a plateau.
    evaluate : callable
        Gives the score and the loss of the network as it is.
    snapshot : callable
        Gives a copy of the network as it is.
    verbose : bool
        Whether to print the scores.

    Attributes
    ----------
    scores, losses : list of float
        Of each epoch.
    best_score : float
    best : object
        The snapshot of the epoch with the best score; None before there is a finite one.
    """

    def __init__(self, tol, n_iter_no_change, evaluate, snapshot, verbose, scores=(), losses=()):
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.evaluate = evaluate
        self.snapshot = snapshot
        self.verbose = verbose
        self.scores = list(scores)
        self.losses = list(losses)
        self.best_score = max(self.scores, default=-np.inf)
        self.best = None
        self.n_without_improvement = 0

    @property
    def message(self):
        return (
            f"Validation score did not improve more than tol={self.tol:f} for "
            f"{self.n_iter_no_change} consecutive epochs."
        )

    def epoch_ended(self, loss):
        """Score the network; keep a copy if it is the best; tell whether this is a plateau."""
        score, validation_loss = self.evaluate()
        self.scores.append(score)
        self.losses.append(validation_loss)
        if self.verbose:
            print(f"Validation score: {score:f}")
        if score < self.best_score + self.tol:
            self.n_without_improvement += 1
        else:
            self.n_without_improvement = 0
        if score > self.best_score:
            self.best_score = score
            self.best = self.snapshot()
        if self.n_without_improvement > self.n_iter_no_change:
            self.n_without_improvement = 0
            return True
        return False


class Recorded:
    """A criterion on the training loss, while scores on validation rows are recorded.

    Parameters
    ----------
    criterion : LossPlateau
        What ends training.
    recorder : ValidationPlateau
        What is asked in each epoch, and not listened to.
    """

    def __init__(self, criterion, recorder):
        self.criterion = criterion
        self.recorder = recorder
        self.message = criterion.message

    @property
    def best_loss(self):
        return self.criterion.best_loss

    @property
    def scores(self):
        return self.recorder.scores

    @property
    def losses(self):
        return self.recorder.losses

    @property
    def best_score(self):
        return self.recorder.best_score

    @property
    def n_without_improvement(self):
        return self.criterion.n_without_improvement

    @n_without_improvement.setter
    def n_without_improvement(self, value):
        self.criterion.n_without_improvement = value

    def epoch_ended(self, loss):
        """As the criterion's; a new score is recorded."""
        self.recorder.epoch_ended(loss)
        return self.criterion.epoch_ended(loss)
