"""Schedules of the learning rate: the rates of an epoch, and their change at its end.

A schedule has three methods. ``rates(n_batches)`` gives the learning rate of each batch of the
coming epoch. ``epoch_ended(n_rows_seen)`` is called after an epoch. ``plateau(message, verbose)``
is called when the loss has stopped improving, and tells whether to stop. Three schedules are
scikit-learn's. The other schedules are *planned*: they run to the last epoch and ignore plateaus,
because a plateau under a high learning rate is no reason to skip the low learning rates.
"""

import numpy as np


class Constant:
    """The same learning rate throughout."""

    runs_to_the_end = False

    def __init__(self, learning_rate):
        self.learning_rate = learning_rate

    def rates(self, n_batches):
        return np.full(n_batches, self.learning_rate, dtype=np.float64)

    def epoch_ended(self, n_rows_seen):
        pass

    def plateau(self, message, verbose):
        if verbose:
            print(message + " Stopping.")
        return True


class InverseScaling(Constant):
    """``learning_rate / (t + 1) ** power_t`` after t rows, changed after each epoch."""

    def __init__(self, learning_rate, power_t):
        super().__init__(learning_rate)
        self.initial = float(learning_rate)
        self.power_t = power_t

    def epoch_ended(self, n_rows_seen):
        self.learning_rate = self.initial / (n_rows_seen + 1) ** self.power_t


class Adaptive(Constant):
    """Divided by 5 whenever the loss stops improving, down to 1e-6."""

    def plateau(self, message, verbose):
        if self.learning_rate <= 1e-6:
            if verbose:
                print(message + " Learning rate too small. Stopping.")
            return True
        self.learning_rate /= 5.0
        if verbose:
            print(message + f" Setting learning rate to {self.learning_rate:f}")
        return False


class Planned:
    """A learning rate that depends on the share of the training that is done.

    Parameters
    ----------
    learning_rate : float
        The highest learning rate.
    n_epochs : int
        Epochs of the whole training.
    """

    runs_to_the_end = True

    def __init__(self, learning_rate, n_epochs):
        self.learning_rate = self.highest = learning_rate
        self.n_epochs = n_epochs
        self.epoch = 0

    def rates(self, n_batches):
        done = (self.epoch * n_batches + np.arange(n_batches)) / (self.n_epochs * n_batches)
        rates = self.highest * self.factor(done)
        self.learning_rate = rates[0]
        return rates

    def epoch_ended(self, n_rows_seen):
        self.epoch += 1

    def plateau(self, message, verbose):
        return False


class Cosine(Planned):
    """From the highest rate to 0 along half a cosine (Loshchilov and Hutter 2017, SGDR)."""

    def factor(self, done):
        return 0.5 * (1.0 + np.cos(np.pi * done))


class OneCycle(Planned):
    """Up from a 25th of the highest rate in the first 30 %, then down to a 250,000th.

    Both parts follow half a cosine (Smith and Topin 2018, "Super-convergence"). The fractions are
    the defaults of PyTorch's ``OneCycleLR``.
    """

    warm_up = 0.3
    initial = 1.0 / 25.0
    final = initial / 1e4

    def factor(self, done):
        up = np.clip(done / self.warm_up, 0.0, 1.0)
        down = np.clip((done - self.warm_up) / (1.0 - self.warm_up), 0.0, 1.0)
        rising = 1.0 + (self.initial - 1.0) * 0.5 * (1.0 + np.cos(np.pi * up))
        falling = self.final + (1.0 - self.final) * 0.5 * (1.0 + np.cos(np.pi * down))
        return np.where(done < self.warm_up, rising, falling)
