"""Ten steps of networks with embedded columns and factors of the inputs, against PyTorch's."""

from itertools import pairwise

import numpy as np
import pytest
from networks import random_network, random_table

from skbn.network import optimizer as optimizers
from skbn.network import views

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

N_STEPS, N_ROWS = 10, 24
UNITS, LOSS = [6, 8, 7, 3], "softmax_log_loss"
RATE, DECAY = 0.01, 0.3


class Inputs(torch.nn.Module):
    """Columns of which some are embedded, and a factor for each number behind them."""

    def __init__(self, runs, n_columns):
        super().__init__()
        self.runs, self.n_columns = runs, n_columns
        shapes = ((16,), (16,), (16, 3), (3,))
        self.embeddings = torch.nn.ParameterList(
            torch.nn.Parameter(torch.empty(n, *shape, dtype=torch.float64))
            for _, n in runs
            for shape in shapes
        )
        n_out = n_columns + 3 * sum(n for _, n in runs)
        self.scale = torch.nn.Parameter(torch.empty(n_out, dtype=torch.float64))

    def forward(self, x):
        pieces, column = [], 0
        for run, (start, n) in enumerate(self.runs):
            w, b, v, a = self.embeddings[4 * run : 4 * run + 4]
            own = x[:, start : start + n]
            cosines = torch.cos(own[:, :, None] * w + b)
            embedded = torch.einsum("rcf,cfk->rck", cosines, v) + a
            block = torch.cat([embedded, own[:, :, None]], dim=2)
            pieces += [x[:, column:start], block.reshape(len(x), 4 * n)]
            column = start + n
        return torch.cat([*pieces, x[:, column:]], dim=1) * self.scale


def torch_network(network, runs):
    units = [network.layout.n_inputs + 3 * sum(n for _, n in runs), *UNITS[1:]]
    layers = [Inputs(runs, UNITS[0])]
    for n_in, n_out in pairwise(units[:3]):
        layers += [
            torch.nn.Linear(n_in, n_out, bias=False),
            torch.nn.BatchNorm1d(n_out),
            torch.nn.SiLU(),
        ]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(units[2], units[3])).double()
    with torch.no_grad():
        for parameter, values in zip(
            torch_parameters(model), own(network.plan, network.parameters), strict=True
        ):
            parameter.copy_(torch.from_numpy(values.copy()).reshape(parameter.shape))
    return model


def torch_parameters(model):
    linears = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    norms = [layer for layer in model if isinstance(layer, torch.nn.BatchNorm1d)]
    return [
        *(linear.weight for linear in linears),
        linears[-1].bias,
        *(norm.weight for norm in norms),
        *(norm.bias for norm in norms),
        model[0].scale,
        *model[0].embeddings,
    ]


def own(plan, flat):
    """A flat vector of parameters or gradients in the order of `torch_parameters`."""
    embeddings = []
    for values in views.embeddings(plan, flat):
        embeddings += [values[:, :16], values[:, 16:32], values[:, 32:80], values[:, 80:]]
    return [
        *(weight.T for weight in views.weights(plan, flat)),
        views.biases(plan, flat)[-1],
        *views.gammas(plan, flat),
        *views.betas(plan, flat),
        views.input_scales(plan, flat)[0],
        *embeddings,
    ]


def norm_relative(actual, desired):
    actual, desired = (np.concatenate([np.ravel(a) for a in some]) for some in (actual, desired))
    return np.abs(actual - desired).max() / np.abs(desired).max()


@pytest.mark.parametrize("runs", [[(0, 6)], [(1, 2), (5, 1)], []], ids=["all", "some", "none"])
def test_ten_steps(runs):
    network = random_network(UNITS, "silu", "before", LOSS, scale=0.5, scaled=True, embedded=runs)
    model = torch_network(network, runs)
    table = random_table(N_STEPS * N_ROWS, UNITS, LOSS)
    X = torch.from_numpy((table.X - table.input_mean) * table.input_invstd)
    y = torch.from_numpy(table.y[:, 0]).long()

    weights = [layer.weight for layer in model if isinstance(layer, torch.nn.Linear)]
    others = [p for p in model.parameters() if all(p is not w for w in [*weights, model[0].scale])]
    torch_optimizer = torch.optim.AdamW(
        [
            {"params": weights, "weight_decay": DECAY},
            {"params": others, "weight_decay": 0.0},
            {"params": [model[0].scale], "weight_decay": 0.0, "lr": 6.0 * RATE},
        ],
        lr=RATE,
    )
    own_optimizer = optimizers.adam(weight_decay=DECAY)
    moments = network.new_moments()
    for step in range(N_STEPS):
        rows = np.arange(step * N_ROWS, (step + 1) * N_ROWS)
        gradient = network.loss_and_gradient(table, rows)[1]
        losses = network.train(
            table, own_optimizer, moments, rows, np.array([0, N_ROWS]), np.array([RATE])
        )
        torch_optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(model(X[rows]), y[rows])
        value.backward()
        # Our epsilon stands beside the deviation before the correction of the bias.
        for group in torch_optimizer.param_groups:
            group["eps"] = 1e-8 / np.sqrt(1 - 0.999 ** (step + 1))
        torch_optimizer.step()
        assert losses[0, 0] == pytest.approx(value.item(), rel=1e-9)
        theirs = [parameter.grad.numpy() for parameter in torch_parameters(model)]
        assert norm_relative(own(network.plan, gradient), theirs) < 1e-9
    theirs = [parameter.detach().numpy() for parameter in torch_parameters(model)]
    assert norm_relative(own(network.plan, network.parameters), theirs) < 1e-9
