"""Training goes on in PyTorch and in skbn, from the same networks, by the same steps.

Accounted for: PyTorch's running variance averages unbiased variances (n / (n - 1) of ours); its
Adam adds epsilon after the bias correction, so its epsilon at step t is ours / sqrt(1 - beta_2^t).
"""

import numpy as np
import pytest

from skbn import MLPEnsembleWithBatchNormClassifier, MLPWithBatchNormClassifier

torch = pytest.importorskip("torch")

from torch_modules import (  # noqa: E402
    SMALL,
    assert_same_predictions,
    fitted,
    norm_relative,
    table,
    targets,
)

from skbn.torch import from_torch, to_torch  # noqa: E402
from skbn.torch.tensors import arrays_of  # noqa: E402

functional = torch.nn.functional

N_STEPS, N_ROWS = 4, 75
RATE, DECAY, MOMENTUM = 0.01, 0.3, 0.2
QUANTILE = 0.8
STEPS = [slice(step * N_ROWS, (step + 1) * N_ROWS) for step in range(N_STEPS)]


def half_deviance(z, y):
    return torch.exp(z) - y * z + torch.xlogy(y, y) - y


def pinball(z, y):
    return torch.maximum(QUANTILE * (y - z), (QUANTILE - 1.0) * (y - z))


# The loss that skbn trains, a mean over the rows and a sum over the outputs, in PyTorch's words.
LOSSES = {
    "softmax": functional.cross_entropy,
    "logistic": lambda z, y: z.shape[1] * functional.binary_cross_entropy_with_logits(z, y),
    "squared_error": lambda z, y: 0.5 * z.shape[1] * functional.mse_loss(z, y),
    "absolute_error": lambda z, y: z.shape[1] * functional.l1_loss(z, y),
    "poisson": lambda z, y: half_deviance(z, y).sum(dim=1).mean(),
    "quantile": lambda z, y: pinball(z, y).sum(dim=1).mean(),
}
CASES = [
    ("softmax", "three classes"),
    ("logistic", "two classes"),
    ("logistic", "labels"),
    ("squared_error", "two targets"),
    ("absolute_error", "two targets"),
    ("poisson", "counts"),
    ("quantile", "two targets"),
]


def start(loss, kind, **parameters):
    """A network, rows, targets for skbn, and targets for PyTorch."""
    X, y = table(), targets(kind, table())
    parameters = {"bn_momentum": MOMENTUM, "dtype": "float64", "alpha": 0.0} | parameters
    if loss not in ("softmax", "logistic"):
        # partial_fit adapts the moments of normalized targets to the new rows.
        y = y if loss == "poisson" else (y - y.mean(axis=0)) / y.std(axis=0)
        parameters = {"normalize_target": False, "quantile": QUANTILE} | parameters | {"loss": loss}
    model = fitted(kind, y=y, **parameters)
    numbers = np.searchsorted(model.classes_, y) if y.dtype.kind == "U" else y.astype(float)
    if kind == "two classes":
        numbers = numbers.reshape(-1, 1).astype(float)
    return model, X, y, torch.from_numpy(numbers)


def optimizer_of(module, solver):
    groups = module.parameter_groups(RATE, weight_decay=DECAY if solver == "adam" else 0.0)
    if solver == "adam":
        return torch.optim.AdamW(groups, betas=(0.9, 0.95))
    return torch.optim.SGD(groups, momentum=0.9, nesterov=True)


def torch_steps(module, optimizer, loss, X, y):
    for step, rows in enumerate(STEPS):
        if isinstance(optimizer, torch.optim.AdamW):
            for group in optimizer.param_groups:
                group["eps"] = 1e-8 / np.sqrt(1.0 - 0.95 ** (step + 1))
        optimizer.zero_grad()
        LOSSES[loss](module(torch.from_numpy(X[rows])), y[rows]).backward()
        optimizer.step()


def our_steps(model, solver, X, y):
    model.set_params(
        solver=solver,
        learning_rate_init=RATE,
        weight_decay=DECAY if solver == "adam" else 0.0,
        momentum=0.9,
        nesterovs_momentum=True,
        batch_size=N_ROWS,
    )
    for rows in STEPS:
        model.partial_fit(X[rows], y[rows])
    return model


def split(arrays):
    """The parameters, the running means and the running variances, each as one vector."""
    parts = [
        [array for name, array in arrays.items() if name.endswith(end) == wanted]
        for end, wanted in ((("_mean", "_var"), False), ("_mean", True), ("_var", True))
    ]
    return [np.concatenate([np.empty(0), *map(np.ravel, part)]) for part in parts]


def assert_same_network(ours, module, before, tolerance=1e-9):
    """Equal networks after steps from `before`, up to the factor of the running variances."""
    theirs = {name: module.state_dict()[name].numpy() for name in arrays_of(ours)}
    parameters, means, variances = split(arrays_of(ours))
    desired, desired_means, unbiased = split(theirs)
    assert norm_relative(parameters, desired) < tolerance
    assert norm_relative(parameters, split(before)[0]) > 1e-4
    if not len(means):
        return
    assert norm_relative(means, desired_means) < tolerance
    left = (1.0 - MOMENTUM) ** N_STEPS * split(before)[2]
    assert norm_relative(variances, left + (unbiased - left) * (N_ROWS - 1) / N_ROWS) < tolerance


@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize(("loss", "kind"), CASES)
def test_steps_on_both_sides(loss, kind, solver, batch_norm):
    model, X, y, theirs = start(loss, kind, batch_norm=batch_norm)
    before = {name: array.copy() for name, array in arrays_of(model).items()}
    module = to_torch(model).train()
    ours = our_steps(from_torch(module, model), solver, X, y)
    torch_steps(module, optimizer_of(module, solver), loss, X, theirs)
    assert_same_network(ours, module, before)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_training_goes_on_with_a_new_optimizer(solver):
    model, X, y, theirs = start("softmax", "three classes")
    model.partial_fit(X, y)
    module = to_torch(model).train()
    torch_steps(module, optimizer_of(module, solver), "softmax", X, theirs)
    # Trained in skbn, in PyTorch, and then in both.
    model._n_without_improvement = 3
    back = from_torch(module.state_dict(), model)
    assert not hasattr(back, "_optimizer")
    assert back._n_without_improvement == 0
    assert back._n_batches_tracked == model._n_batches_tracked + N_STEPS
    before = {name: array.copy() for name, array in arrays_of(back).items()}
    ours = our_steps(back, solver, X, y)
    torch_steps(module, optimizer_of(module, solver), "softmax", X, theirs)
    assert_same_network(ours, module, before)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("loss", "kind"), CASES)
def test_predictions_after_training_in_pytorch(loss, kind, dtype):
    is_real = loss not in ("softmax", "logistic")
    model, X, _, y = start(loss, kind, dtype=dtype, **{"normalize_target": True} if is_real else {})
    module = to_torch(model).train()
    y = y if y.dtype == torch.int64 else y.to(module.output.weight.dtype)
    torch_steps(module, optimizer_of(module, "adam"), loss, X, y)
    module.eval()
    back = from_torch(module, model)
    assert_same_predictions(module, back, X, 1e-6 if dtype == "float64" else 1e-5)
    assert norm_relative(back._parameters, model._parameters) > 1e-3
    again = from_torch(module.state_dict(), back)
    np.testing.assert_array_equal(again._parameters, back._parameters)


def test_a_float32_network_trained_in_float64_comes_back():
    model, X, _, y = start("softmax", "three classes", dtype="float32")
    module = to_torch(model).double().train()
    torch_steps(module, optimizer_of(module, "adam"), "softmax", X, y)
    back = from_torch(module, model)
    assert back._parameters.dtype == np.float32
    assert_same_predictions(module.eval().float(), back, X, 1e-5)


def test_an_ensemble_trained_in_pytorch_comes_back():
    X, y = table(), targets("three classes", table())
    numbers = torch.from_numpy(np.searchsorted(["a", "b", "c"], y))
    mlp = MLPWithBatchNormClassifier(**SMALL, dtype="float64")
    model = MLPEnsembleWithBatchNormClassifier(mlp, random_state=0).fit(X, y)
    module = to_torch(model).train()
    for member in module.members:
        torch_steps(member, optimizer_of(member, "adam"), "softmax", X, numbers)
    module.decode.temperature.fill_(2.5)
    back = from_torch(module, model)
    assert back.temperature_ == 2.5
    assert back.best_loss_ == np.inf
    assert_same_predictions(module.eval(), back, X, 1e-6)
    assert norm_relative(back.predict_proba(X), model.predict_proba(X)) > 1e-2
    back.partial_fit(X, y)
    assert len(back.loss_curve_) == len(model.loss_curve_) + 1


def test_a_warm_start_goes_on_from_the_module():
    X, y = table(), targets("three classes", table())
    model = fitted("three classes", dtype="float64", warm_start=True)
    module = to_torch(model)
    with torch.no_grad():
        module.output.bias.copy_(torch.tensor([3.0, -1.0, 0.5]))
    back = from_torch(module, model)
    back.set_params(n_epochs=1, learning_rate_init=1e-9, weight_decay=0.0).fit(X, y)
    np.testing.assert_allclose(back.intercepts_[-1], [3.0, -1.0, 0.5], rtol=1e-5)
    assert len(back.loss_curve_) == len(model.loss_curve_) + 1


def test_a_warm_start_forgets_the_best_loss_of_other_parameters():
    X, y = table(), targets("three classes", table())
    options = {"learning_rate": "constant", "max_iter": 5, "n_iter_no_change": 2, "tol": 1e-9}
    with pytest.warns(match="Maximum iterations"):
        model = fitted("three classes", warm_start=True, early_stopping=False, **options)
    module = to_torch(model)
    with torch.no_grad():
        module.output.weight.mul_(20.0)
    back = from_torch(module, model)
    with pytest.warns(match="Maximum iterations"):
        back.fit(X, y)
    assert min(back.loss_curve_[-5:]) > model.best_loss_


@pytest.mark.parametrize("cls", [torch.optim.SGD, torch.optim.AdamW])
def test_parameter_groups(cls):
    model = fitted("three classes")
    module = to_torch(model)
    groups = cls(module.parameter_groups(0.5, weight_decay=0.25)).param_groups
    found = {
        id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]
    }
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    assert found.keys() == names.keys()
    for key, name in names.items():
        is_weight = name.endswith(("linear.weight", "output.weight"))
        desired = (3.0 if name == "scale.factor" else 0.5, 0.25 if is_weight else 0.0)
        assert found[key] == desired, name


@pytest.mark.parametrize("kind", ["one target", "constant target", "counts", "constant counts"])
def test_normalized_targets(kind):
    model, y = fitted(kind, dtype="float64"), targets(kind, table())
    module = to_torch(model)
    desired = model._targets.for_network(y.reshape(len(y), -1), np.float64, "y")
    np.testing.assert_allclose(
        module.normalized_target(torch.from_numpy(y)), desired, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("batch_norm", ["before", "after"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize(
    ("loss", "kind"), [("softmax", "three classes"), ("squared_error", "two targets")]
)
def test_frozen_statistics_are_those_of_eval(loss, kind, solver, batch_norm):
    # Frozen statistics also keep the moments of the inputs and of the target.
    parameters = {"normalize_input": "standard", "batch_norm": batch_norm}
    if loss == "squared_error":
        parameters["normalize_target"] = True
    model, X, y, theirs = start(loss, kind, **parameters)
    before = {name: array.copy() for name, array in arrays_of(model).items()}
    module = to_torch(model)
    if loss == "squared_error":
        theirs = module.normalized_target(theirs)
    assert not module.training
    ours = from_torch(module, model).set_params(bn_frozen=True)
    our_steps(ours, solver, X, y)
    torch_steps(module, optimizer_of(module, solver), loss, X, theirs)
    desired = {name: module.state_dict()[name].numpy() for name in arrays_of(ours)}
    assert norm_relative(split(arrays_of(ours))[0], split(desired)[0]) < 1e-9
    assert norm_relative(split(desired)[0], split(before)[0]) > 1e-4
    for part in (1, 2):
        np.testing.assert_array_equal(split(arrays_of(ours))[part], split(before)[part])
        np.testing.assert_array_equal(split(desired)[part], split(before)[part])
    assert_same_predictions(module, ours, X, 1e-6)


def test_the_first_batches_of_a_network_may_be_those_of_pytorch():
    X, y = table(), targets("three classes", table())
    model = MLPWithBatchNormClassifier(**SMALL | {"batch_size": 1}, dtype="float64")
    model.partial_fit(X[:1], y[:1], classes=["a", "b", "c"])
    assert (model._n_batches_tracked, model._n_steps_tracked) == (0, 0)
    module = to_torch(model).train()
    numbers = torch.from_numpy(np.searchsorted(["a", "b", "c"], y))
    torch_steps(module, optimizer_of(module, "adam"), "softmax", X, numbers)
    back = from_torch(module, model)
    assert (back._n_batches_tracked, back._n_steps_tracked) == (N_STEPS, 1)
