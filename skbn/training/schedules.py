"""Learning rates: what they are in an epoch, and what becomes of them at its end.

The three schedules of scikit-learn. A schedule has ``rates(n_batches)``, the learning rate of
each batch of the coming epoch; ``epoch_ended(n_rows_seen)``; and ``plateau(message, verbose)``,
called when the loss has stopped improving, which tells whether to stop.
"""

import numpy as np


class Constant:
    """The same learning rate throughout."""

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
