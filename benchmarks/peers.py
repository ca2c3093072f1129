"""The other libraries (peers): which are installed, and how each builds and trains the network."""

from contextlib import contextmanager
from importlib.util import find_spec
from itertools import pairwise

from threadpoolctl import threadpool_limits

from benchmarks.networks import LEARNING_RATE
from benchmarks.work import LeftOut
from skbn.network import views
from skbn.network.folding import activation_of

# Modules that a peer needs beyond the modules that skbn needs.
MODULES = {
    "torch": ("torch",),
    "torch-fused": ("torch",),
    "torch-compiled": ("torch",),
    "skorch": ("torch", "skorch"),
}


def missing(peer):
    """Modules of a peer that are not installed."""
    return [module for module in MODULES.get(peer, ()) if find_spec(module) is None]


@contextmanager
def limited_threads(count, peers):
    """Limit every loaded BLAS and OpenMP to `count` threads, and PyTorch too if it is a peer."""
    if not any("torch" in MODULES.get(peer, ()) for peer in peers):
        with threadpool_limits(count):
            yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)


def torch_layers(units, activation="relu"):
    """A classifier of PyTorch modules with batch norm before each activation."""
    from torch import nn

    make_activation = {"relu": nn.ReLU, "silu": nn.SiLU}[activation]
    layers = []
    for n_in, n_out in pairwise(units[:-1]):
        layers += [nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out), make_activation()]
    return nn.Sequential(*layers, nn.Linear(units[-2], units[-1]))


def torch_twin(network):
    """The network of PyTorch with the parameters of our network."""
    import torch

    plan, parameters = network.plan, network.parameters
    weights = views.weights(plan, parameters)
    units = [weights[0].shape[0], *(array.shape[1] for array in weights)]
    model = torch_layers(units, activation_of(plan))
    linears = [module for module in model if isinstance(module, torch.nn.Linear)]
    norms = [module for module in model if isinstance(module, torch.nn.BatchNorm1d)]
    pairs = [
        *zip((linear.weight for linear in linears), weights, strict=True),
        *zip((norm.weight for norm in norms), views.gammas(plan, parameters), strict=True),
        *zip((norm.bias for norm in norms), views.betas(plan, parameters), strict=True),
        (linears[-1].bias, views.biases(plan, parameters)[-1]),
    ]
    with torch.no_grad():
        for parameter, values in pairs:
            parameter.copy_(torch.from_numpy(values.T.copy()))
    return model


class TorchTraining:
    """A plain loop of Adam steps over tensors that were split into batches before.

    Parameters
    ----------
    network : Network
        Our network, whose parameters the loop begins with.
    X, y : ndarray
        The rows.
    batch_size : int
        Rows of a batch.
    peer : {"torch", "torch-fused", "torch-compiled"}
        Eager code, as most users write it; eager code with the fused Adam; or a compiled loss and a
        compiled step of the optimizer.
    """

    def __init__(self, network, X, y, batch_size, peer="torch"):
        import torch

        self.batches = list(
            zip(
                torch.from_numpy(X).split(batch_size),
                torch.from_numpy(y).split(batch_size),
                strict=True,
            )
        )
        model = torch_twin(network)
        self.optimizer = torch.optim.Adam(
            model.parameters(), lr=LEARNING_RATE, fused=True if peer == "torch-fused" else None
        )
        self.optimizer_step = self.optimizer.step

        def loss_of(X, y):
            return torch.nn.functional.cross_entropy(model(X), y)

        self.loss_of = loss_of
        if peer == "torch-compiled":
            # PyTorch compiles a limited number of networks, and then runs eagerly. The reset starts
            # anew.
            torch.compiler.reset()
            self.loss_of = torch.compile(loss_of)
            self.optimizer_step = torch.compile(self.optimizer.step)

    def step(self, X, y):
        self.optimizer.zero_grad()
        loss = self.loss_of(X, y)
        loss.backward()
        self.optimizer_step()
        return loss

    def epoch(self):
        """One step for each batch; their mean loss."""
        losses = [self.step(X, y).detach() for X, y in self.batches]
        return float(sum(losses)) / len(losses)


@contextmanager
def compiling(peer):
    """Raise `LeftOut` if PyTorch should compile, but cannot on this machine."""
    try:
        yield
    except Exception as error:  # a compiler may fail with any error
        if peer != "torch-compiled":
            raise
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise LeftOut(f"PyTorch could not compile: {reason[0]}") from error
