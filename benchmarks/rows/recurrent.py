"""One training step of a recurrent network: forward, loss, backward, Adam, running statistics.

``recurrent/lstm-full/...`` is a step of the loop that ``fit`` runs on an LSTM with batch norm of
inputs, states and cells. The peer is PyTorch's ``nn.LSTM``, which has no batch norm. In
``recurrent/lstm-none/...`` both sides have no batch norm. Gated recurrent units and plain cells are
reported too. Our side includes the gathering of the sequences of a batch; PyTorch's tensors are
split into batches before.
"""

import numpy as np

from benchmarks.networks import LEARNING_RATE, OwnTraining
from benchmarks.work import OWN, Goal, Sides, Work, compared, timed
from skbn.network import views
from skbn.network.network import Network
from skbn.network.recurrent_plan import recurrent

N_STEPS, N_FEATURES, UNITS, N_CLASSES, BATCH_SIZE, N_BATCHES = 128, 9, 100, 6, 64, 4
SIZES = f"{N_STEPS}x{N_FEATURES}-{UNITS}@{BATCH_SIZE}"
MODULES = {"lstm": "LSTM", "gru": "GRU", "tanh": "RNN"}

# So many steps that a wrong gradient or optimizer shows in the loss.
CHECKED_EPOCHS = 3
SAME = f"loss of {N_BATCHES} batches after {CHECKED_EPOCHS} epochs, both without batch norm"


def random_network(cell, batch_norm, seed=0):
    """A float32 classifier of sequences with random weights."""
    rng = np.random.default_rng(seed)
    plan = recurrent([N_FEATURES, UNITS, N_CLASSES], cell, batch_norm, N_STEPS)
    network = Network.initial(plan, "softmax_log_loss", np.float32)
    for weights in views.weights(plan, network.parameters):
        bound = 1.0 / np.sqrt(UNITS)
        weights[:] = rng.uniform(-bound, bound, weights.shape)
    for gamma in views.gammas(plan, network.parameters):
        gamma[:] = 0.1
    return network


def sequences(seed=0):
    """X of shape (n, steps, features) and class numbers: noise, which is learned slowly."""
    rng = np.random.default_rng(seed)
    n = N_BATCHES * BATCH_SIZE
    X = rng.standard_normal((n, N_STEPS, N_FEATURES), dtype=np.float32)
    return X, rng.integers(0, N_CLASSES, n)


class TorchRecurrentTraining:
    """A plain loop of Adam steps over tensors that were split into batches before."""

    def __init__(self, network, cell, X, y):
        import torch

        self.batches = list(
            zip(
                torch.from_numpy(X).split(BATCH_SIZE),
                torch.from_numpy(y).split(BATCH_SIZE),
                strict=True,
            )
        )
        self.layer = getattr(torch.nn, MODULES[cell])(N_FEATURES, UNITS, batch_first=True)
        self.head = torch.nn.Linear(UNITS, N_CLASSES)
        inputs, states, outputs = views.weights(network.plan, network.parameters)
        with torch.no_grad():
            for parameter, values in (
                (self.layer.weight_ih_l0, inputs),
                (self.layer.weight_hh_l0, states),
                (self.head.weight, outputs),
            ):
                parameter.copy_(torch.from_numpy(values.T.copy()))
            for bias in (self.layer.bias_ih_l0, self.layer.bias_hh_l0, self.head.bias):
                bias.zero_()
        # Our cells have one bias. PyTorch has two biases that are added, so the second one is not
        # trained, except for the candidate of a GRU.
        moves = torch.zeros_like(self.layer.bias_hh_l0)
        if cell == "gru":
            moves[2 * UNITS :] = 1.0
        self.layer.bias_hh_l0.register_hook(lambda gradient: gradient * moves)
        parameters = [*self.layer.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE)

    def step(self, X, y):
        import torch

        self.optimizer.zero_grad()
        h, _ = self.layer(X)
        loss = torch.nn.functional.cross_entropy(self.head(h[:, -1]), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def epoch(self):
        """One step for each batch; their mean loss."""
        losses = [self.step(X, y).detach() for X, y in self.batches]
        return float(sum(losses)) / len(losses)


def own_training(cell, batch_norm, X, y):
    lengths = np.full(len(X), N_STEPS)
    return OwnTraining(random_network(cell, batch_norm), X, y, BATCH_SIZE, lengths)


def sides(cell, batch_norm, options, peers):
    """The loop of ``fit``, and the loop of PyTorch."""
    X, y = sequences()
    result = Sides({OWN: own_training(cell, batch_norm, X, y).epoch}, steps=N_BATCHES)
    pair = own_training(cell, None, X, y), theirs(cell, X, y)
    losses = [[side.epoch() for _ in range(CHECKED_EPOCHS)][-1:] for side in pair]
    result.checks["torch"] = compared(SAME, *losses, 1e-3)
    result.runs["torch"] = theirs(cell, X, y).epoch
    return result


def theirs(cell, X, y):
    return TorchRecurrentTraining(random_network(cell, None), cell, X, y)


WORKS = [
    Work(
        f"recurrent/{cell}-{batch_norm or 'none'}/{SIZES}",
        {"torch": Goal("faster", 1.9 if (cell, batch_norm) == ("lstm", "full") else None)},
        timed(sides, cell, batch_norm),
    )
    for cell in MODULES
    for batch_norm in ("full", "input", None)
]
