"""The networks that are timed, and the tables they train on, the same for every side."""

from typing import NamedTuple

import numpy as np

from skbn.network import optimizer, views
from skbn.network.network import Network
from skbn.network.plan import feed_forward
from skbn.network.table import Table
from skbn.training.batches import Batches
from skbn.training.epochs import Progress, Trainer, Trainers, run_epochs
from skbn.training.schedules import Constant
from skbn.training.stopping import LossPlateau

LEARNING_RATE = 0.001


class Training(NamedTuple):
    """Sizes of a network, rows of a mini-batch, mini-batches of a run, and the activation."""

    units: tuple
    batch_size: int
    n_batches: int
    activation: str = "relu"

    @property
    def name(self):
        sizes = "-".join(map(str, self.units))
        activation = "" if self.activation == "relu" else f"-{self.activation}"
        return f"{sizes}{activation}@{self.batch_size}"

    def rows(self, dtype=np.float32):
        """X and class numbers. They are noise, so that training never converges."""
        rng = np.random.default_rng(0)
        n = self.n_batches * self.batch_size
        X = rng.standard_normal((n, self.units[0]), dtype=np.float32).astype(dtype)
        return X, rng.integers(0, self.units[-1], n)


# The values of scikit-learn for parameters whose defaults differ, so that both sides do equal work.
AS_UPSTREAM = {
    "activation": "relu",
    "learning_rate": "constant",
    "learning_rate_init": LEARNING_RATE,
    "beta_2": 0.999,
    "normalize_input": "standard",
    "trained_input_scale": False,
    "periodic_embedding": None,
    "weight_decay": 0.0,
    "early_stopping": False,
    "calibrate": False,
}

# Small networks get many batches, so that they cannot memorize the table. Otherwise gradients would
# vanish, and arithmetic on subnormal numbers is slow.
SMALL = (Training((20, 100, 2), 200, 200), Training((10, 64, 64, 64, 2), 32, 1000))
# Three hidden layers and the activation of the default network, without its embedding.
DEEP = tuple(
    Training((20, 128, 128, 128, 2), batch_size, n_batches, "silu")
    for batch_size, n_batches in ((32, 500), (128, 200), (256, 100))
)
LARGE = (Training((54, 256, 256, 7), 256, 50), Training((784, 256, 128, 10), 200, 30))


def glorot_network(training, seed=0):
    """A float32 classifier with batch norm before each activation, and with random weights."""
    rng = np.random.default_rng(seed)
    plan = feed_forward(training.units, training.activation, "before")
    network = Network.initial(plan, "softmax_log_loss", np.float32)
    for weights in views.weights(plan, network.parameters):
        bound = np.sqrt(6.0 / sum(weights.shape))
        weights[:] = rng.uniform(-bound, bound, weights.shape)
    return network


class OwnTraining:
    """Training as in ``fit``, without the checks of the data and without the exact statistics."""

    def __init__(self, network, X, y, batch_size, lengths=None):
        self.network = network
        self.batch_size = batch_size
        self.table = Table(X, y.astype(np.float32).reshape(-1, 1), lengths=lengths)
        self.training = optimizer.Training(optimizer.adam(), network.new_moments())

    def epoch(self):
        """Train on all batches in the order of the rows; their mean loss."""
        trainer = Trainer(
            self.network,
            self.table,
            self.training,
            Constant(LEARNING_RATE),
            Batches(self.batch_size, 2, shuffle=False),
        )
        run_epochs(
            Trainers([trainer]),
            LossPlateau(0.0, np.inf),
            Progress(),
            max_epochs=1,
            verbose=False,
        )
        return trainer.loss_curve[0]
