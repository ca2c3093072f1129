"""Training with frozen statistics, against a module of PyTorch after ``eval()``."""

import numpy as np
import pytest
from networks import random_network, random_table
from test_oracle_torch_network import (
    make_optimizers,
    norm_relative,
    of_type,
    own_parameters,
    per_layer,
    torch_loss,
    torch_network,
    torch_parameters,
)

from skbn import MLPWithBatchNormClassifier
from skbn.network import views
from skbn.network.network import Network

torch = pytest.importorskip("torch")

N_STEPS, N_ROWS, RATE = 5, 12, 0.01


def evaluating(network, units, activation, batch_norm):
    """A module with the weights and the running statistics of a network, after ``eval()``."""
    model = torch_network(network, units, activation, batch_norm).eval()
    for norm, mean, var in zip(
        of_type(model, torch.nn.BatchNorm1d),
        views.running_means(network.plan, network.statistics),
        views.running_vars(network.plan, network.statistics),
        strict=True,
    ):
        norm.running_mean.copy_(torch.from_numpy(mean[0]))
        norm.running_var.copy_(torch.from_numpy(var[0]))
    return model


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "silu"])
@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_steps(batch_norm, activation, solver):
    units, loss = [5, 8, 7, 3], "softmax_log_loss"
    network = random_network(units, activation, batch_norm, loss, scale=0.5)
    network.is_frozen = True
    model = evaluating(network, units, activation, batch_norm)
    table = random_table(N_STEPS * N_ROWS, units, loss, normalized=False)
    own_optimizer, torch_optimizer = make_optimizers(solver, model, RATE)
    moments = network.new_moments()
    for step in range(N_STEPS):
        rows = np.arange(step * N_ROWS, (step + 1) * N_ROWS)
        gradient = network.loss_and_gradient(table, rows)[1]
        losses = network.train(
            table, own_optimizer, moments, rows, np.array([0, N_ROWS]), np.array([RATE])
        )
        for group in torch_optimizer.param_groups:
            if solver == "adam":
                group["eps"] = 1e-8 / np.sqrt(1 - 0.999 ** (step + 1))
        torch_optimizer.zero_grad()
        outputs = model(torch.from_numpy(table.X[rows]))
        value = torch_loss(loss, outputs, torch.from_numpy(table.y[rows]))
        value.backward()
        torch_optimizer.step()
        assert losses[0, 0] == pytest.approx(value.item(), rel=1e-10)
        of_torch = [parameter.grad.numpy().T for parameter in torch_parameters(model)]
        assert norm_relative(per_layer(network.plan, gradient), of_torch) < 1e-10
    desired = [parameter.detach().numpy().T for parameter in torch_parameters(model)]
    assert norm_relative(own_parameters(network), desired) < 1e-9


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_partial_fit(batch_norm):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 4)) * [1.0, 10.0, 0.1, 1.0] + 5.0
    y = (X[:, 0] > 5.0).astype(int) + (X[:, 2] > 5.1)
    mlp = MLPWithBatchNormClassifier(
        (8, 6),
        solver="sgd",
        momentum=0.0,
        learning_rate_init=0.1,
        alpha=0.0,
        weight_decay=0.0,
        batch_size=50,
        batch_norm=batch_norm,
        normalize_input="standard",
        trained_input_scale=False,
        periodic_embedding=None,
        early_stopping=False,
        n_epochs=5,
        dtype="float64",
        random_state=0,
    ).fit(X[:200], y[:200])
    network = Network(mlp._plan, mlp._loss, mlp._parameters.copy(), mlp._statistics.copy())
    model = evaluating(network, [4, 8, 6, 3], "silu", batch_norm)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    mlp.set_params(bn_frozen=True)
    # The new rows have other moments, which must not change the normalization of the inputs.
    mean, var = mlp.input_mean_.copy(), mlp.input_var_.copy()
    for rows in (slice(200, 250), slice(250, 300)):
        new_X = X[rows] * 2.0
        mlp.partial_fit(new_X, y[rows])
        optimizer.zero_grad()
        outputs = model(torch.from_numpy((new_X - mean) / np.sqrt(var)))
        loss = torch.nn.functional.cross_entropy(outputs, torch.from_numpy(y[rows]))
        loss.backward()
        optimizer.step()
        assert mlp.loss_ == pytest.approx(loss.item(), rel=1e-9)
    of_skbn = Network(mlp._plan, mlp._loss, mlp._parameters, mlp._statistics)
    desired = [parameter.detach().numpy().T for parameter in torch_parameters(model)]
    assert norm_relative(own_parameters(of_skbn), desired) < 1e-9
