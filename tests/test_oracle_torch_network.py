"""Ten training steps of whole networks with PyTorch's, from the same weights and batches.

Accounted for: PyTorch's running variance is unbiased (n / (n - 1) of ours); its Adam adds
epsilon after the bias correction, so its epsilon at step t is ours / sqrt(1 - beta_2^t); its
clipping adds 1e-6 to the norm.
"""

from itertools import pairwise

import numpy as np
import pytest
from networks import random_network, random_table

from skbn.network import optimizer as optimizers
from skbn.network import views

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

N_STEPS, N_ROWS, MOMENTUM = 10, 24, 0.1
UNITS = {"softmax_log_loss": [5, 8, 7, 3], "squared_error": [5, 8, 7, 2]}
ACTIVATIONS = {
    "identity": torch.nn.Identity,
    "logistic": torch.nn.Sigmoid,
    "tanh": torch.nn.Tanh,
    "relu": torch.nn.ReLU,
    "silu": torch.nn.SiLU,
    "gelu": torch.nn.GELU,
    "mish": torch.nn.Mish,
    "leaky_relu": torch.nn.LeakyReLU,
}


def torch_network(network, units, activation, batch_norm):
    """The same layers, with copies of the same weights."""
    dtype = torch.float64 if network.parameters.dtype == np.float64 else torch.float32
    modules = []
    last = len(units) - 2
    for layer, (n_in, n_out) in enumerate(pairwise(units)):
        hidden = layer != last
        linear = torch.nn.Linear(n_in, n_out, bias=not (hidden and batch_norm == "before"))
        modules.append(linear)
        if hidden and batch_norm == "before":
            modules.append(torch.nn.BatchNorm1d(n_out, momentum=MOMENTUM))
        if hidden:
            modules.append(ACTIVATIONS[activation]())
        if hidden and batch_norm == "after":
            modules.append(torch.nn.BatchNorm1d(n_out, momentum=MOMENTUM))
    model = torch.nn.Sequential(*modules).to(dtype)
    copy_parameters(network, model)
    return model


def copy_parameters(network, model):
    with torch.no_grad():
        for parameter, values in zip(torch_parameters(model), own_parameters(network), strict=True):
            parameter.copy_(torch.from_numpy(values.T.copy()))


def of_type(model, kind):
    return [module for module in model if isinstance(module, kind)]


def torch_parameters(model):
    linears = of_type(model, torch.nn.Linear)
    norms = of_type(model, torch.nn.BatchNorm1d)
    return (
        [linear.weight for linear in linears]
        + [linear.bias for linear in linears if linear.bias is not None]
        + [norm.weight for norm in norms]
        + [norm.bias for norm in norms]
    )


def per_layer(plan, flat):
    """A flat vector of parameters or gradients in the order of `torch_parameters`."""
    return (
        views.weights(plan, flat)
        + [bias for bias in views.biases(plan, flat) if bias.flags.writeable]
        + views.gammas(plan, flat)
        + views.betas(plan, flat)
    )


def own_parameters(network):
    return per_layer(network.plan, network.parameters)


def torch_loss(loss, outputs, y):
    if loss == "softmax_log_loss":
        return torch.nn.functional.cross_entropy(outputs, y[:, 0].long())
    if loss == "absolute_error":
        return outputs.shape[1] * torch.nn.functional.l1_loss(outputs, y)
    if loss == "poisson":
        # Half the deviance: with what depends on the targets alone.
        mean = torch.nn.functional.poisson_nll_loss(outputs, y, log_input=True, full=False)
        return outputs.shape[1] * (mean + (torch.xlogy(y, y) - y).mean())
    # Half the squared error summed over the outputs.
    return 0.5 * outputs.shape[1] * torch.nn.functional.mse_loss(outputs, y)


def make_optimizers(solver, model, learning_rate):
    if solver == "adam":
        return optimizers.adam(), torch.optim.Adam(model.parameters(), lr=learning_rate)
    if solver == "rmsprop":
        # Before a batch norm some gradients are 0 but for rounding, which is divided by at least
        # epsilon: 1e-8 would leave it at the size of the tolerance.
        own = optimizers.rmsprop(decay=0.95, momentum=0.9, epsilon=1e-6)
        return own, torch.optim.RMSprop(
            model.parameters(), lr=learning_rate, alpha=0.95, eps=1e-6, momentum=0.9
        )
    own = optimizers.sgd(momentum=0.9, nesterov=solver == "nesterov")
    return own, torch.optim.SGD(
        model.parameters(), lr=learning_rate, momentum=0.9, nesterov=solver == "nesterov"
    )


def norm_relative(actual, desired):
    """Largest difference over the largest value, over lists of arrays."""
    actual = np.concatenate([np.ravel(a) for a in actual])
    desired = np.concatenate([np.ravel(d) for d in desired])
    return np.abs(actual - desired).max() / np.abs(desired).max()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("solver", ["sgd", "nesterov", "adam", "rmsprop"])
@pytest.mark.parametrize("loss", list(UNITS))
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("batch_norm", ["before", "after", None])
def test_ten_steps(batch_norm, activation, loss, solver, dtype):
    # Momentum makes the steps of RMSProp ten times as long.
    units, learning_rate = UNITS[loss], 0.001 if solver == "rmsprop" else 0.01
    network = random_network(units, activation, batch_norm, loss, dtype=dtype, scale=0.5)
    model = torch_network(network, units, activation, batch_norm)
    table = random_table(N_STEPS * N_ROWS, units, loss, dtype=dtype, normalized=False)
    own_optimizer, torch_optimizer = make_optimizers(solver, model, learning_rate)
    moments = network.new_moments()
    exact = dtype == np.float64
    # A value that a rounding takes to the other side of the kink of leaky_relu has another slope.
    tolerance = 1e-9 if exact else 3e-5 if activation == "leaky_relu" else 1e-5
    # Adam and RMSProp divide gradients near 0 by their own size, so in float32 they take
    # parameters apart that differ by a rounding: there every step starts from the same ones.
    follows = exact or solver not in ("adam", "rmsprop")

    for step in range(N_STEPS):
        if not follows:
            copy_parameters(network, model)
        rows = np.arange(step * N_ROWS, (step + 1) * N_ROWS)
        gradient = network.loss_and_gradient(table, rows)[1]
        losses = network.train(
            table, own_optimizer, moments, rows, np.array([0, N_ROWS]), np.array([learning_rate])
        )

        for group in torch_optimizer.param_groups:
            if solver == "adam":
                group["eps"] = 1e-8 / np.sqrt(1 - 0.999 ** (step + 1))
        torch_optimizer.zero_grad()
        loss_value = torch_loss(
            loss, model(torch.from_numpy(table.X[rows])), torch.from_numpy(table.y[rows])
        )
        loss_value.backward()
        torch_optimizer.step()

        assert losses[0, 0] == pytest.approx(loss_value.item(), rel=tolerance)
        assert (
            norm_relative(
                per_layer(network.plan, gradient),
                [parameter.grad.numpy().T for parameter in torch_parameters(model)],
            )
            < tolerance
        )

    if follows:
        assert (
            norm_relative(
                own_parameters(network),
                [parameter.detach().numpy().T for parameter in torch_parameters(model)],
            )
            < tolerance
        )
    assert_same_running_statistics(network, model, tolerance)


def adamw(model, learning_rate, weight_decay):
    """PyTorch's AdamW with the decay on weights alone."""
    weights = [linear.weight for linear in of_type(model, torch.nn.Linear)]
    others = [p for p in torch_parameters(model) if all(p is not weight for weight in weights)]
    groups = [
        {"params": weights, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate)


@pytest.mark.parametrize("max_grad_norm", [0.05, 1.0, np.inf])
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "poisson"])
@pytest.mark.parametrize("batch_norm", ["before", None])
def test_ten_steps_with_decay_clipping_and_other_losses(
    batch_norm, loss, weight_decay, max_grad_norm
):
    units, learning_rate = UNITS["squared_error"], 0.01
    network = random_network(units, "silu", batch_norm, loss, scale=0.5)
    model = torch_network(network, units, "silu", batch_norm)
    table = random_table(N_STEPS * N_ROWS, units, loss, normalized=False)
    own_optimizer = optimizers.adam(weight_decay=weight_decay, max_grad_norm=max_grad_norm)
    torch_optimizer = adamw(model, learning_rate, weight_decay)
    losses = network.train(
        table,
        own_optimizer,
        network.new_moments(),
        np.arange(table.n_rows),
        N_ROWS * np.arange(N_STEPS + 1),
        np.full(N_STEPS, learning_rate),
    )
    for step in range(N_STEPS):
        rows = slice(step * N_ROWS, (step + 1) * N_ROWS)
        torch_optimizer.zero_grad()
        outputs = model(torch.from_numpy(table.X[rows]))
        value = torch_loss(loss, outputs, torch.from_numpy(table.y[rows]))
        value.backward()
        norm = torch.linalg.vector_norm(torch.cat([p.grad.ravel() for p in model.parameters()]))
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm * (1 + 1e-6 / norm.item()))
        for group in torch_optimizer.param_groups:
            group["eps"] = 1e-8 / np.sqrt(1 - 0.999 ** (step + 1))
        torch_optimizer.step()
        assert losses[step, 0] == pytest.approx(value.item(), rel=1e-9)
    desired = [parameter.detach().numpy().T for parameter in torch_parameters(model)]
    assert norm_relative(own_parameters(network), desired) < 1e-9
    assert_same_running_statistics(network, model, 1e-9)


def assert_same_running_statistics(network, model, tolerance):
    norms = of_type(model, torch.nn.BatchNorm1d)
    means = views.running_means(network.plan, network.statistics)
    variances = views.running_vars(network.plan, network.statistics)
    # Ours starts from the first batch, PyTorch's from 0 and 1: after N_STEPS its start still
    # has the weight left = (1 - m)^N, which ours has given to the first batch.
    assert len(norms) == len(means)
    for norm, mean, var in zip(norms, means, variances, strict=True):
        first_mean, first_var = norm.first_batch
        left = (1 - MOMENTUM) ** N_STEPS
        desired_mean = norm.running_mean.numpy().astype(np.float64) + left * first_mean
        desired_var = norm.running_var.numpy().astype(np.float64) - left
        desired_var = desired_var * (N_ROWS - 1) / N_ROWS + left * first_var
        np.testing.assert_allclose(mean[0], desired_mean, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(var[0], desired_var, rtol=tolerance, atol=tolerance)


@pytest.fixture(autouse=True)
def _record_first_batches(monkeypatch):
    # What the first batch looked like to each BatchNorm1d, in float64 and biased.
    forward = torch.nn.BatchNorm1d.forward

    def recording(self, x):
        if not hasattr(self, "first_batch"):
            values = x.detach().numpy().astype(np.float64)
            self.first_batch = values.mean(axis=0), values.var(axis=0)
        return forward(self, x)

    monkeypatch.setattr(torch.nn.BatchNorm1d, "forward", recording)


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_inference(batch_norm):
    units = UNITS["softmax_log_loss"]
    network = random_network(units, "tanh", batch_norm, "softmax_log_loss")
    model = torch_network(network, units, "tanh", batch_norm).eval()
    with torch.no_grad():
        for norm, mean, var in zip(
            of_type(model, torch.nn.BatchNorm1d),
            views.running_means(network.plan, network.statistics),
            views.running_vars(network.plan, network.statistics),
            strict=True,
        ):
            norm.running_mean.copy_(torch.from_numpy(mean[0]))
            norm.running_var.copy_(torch.from_numpy(var[0]))
        table = random_table(50, units, "softmax_log_loss", normalized=False)
        desired = model(torch.from_numpy(table.X)).numpy()
    np.testing.assert_allclose(network.infer(table), desired, rtol=1e-12, atol=1e-12)
