"""What ``to_torch`` and ``from_torch`` refuse, and how they say so."""

import re

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from test_one_look import assert_old_or_new

from skbn import (
    BatchNormTransformer,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
)
from skbn.network.plan import ACTIVATION, POOLING

torch = pytest.importorskip("torch")

from torch_modules import SMALL, assert_same_state, fitted, table, targets  # noqa: E402

from skbn.torch import export, from_torch, to_torch  # noqa: E402


@pytest.fixture(scope="module")
def model():
    return fitted("three classes")


@pytest.fixture
def state(model):
    return {name: tensor.clone() for name, tensor in to_torch(model).state_dict().items()}


def test_other_estimators():
    sequences = np.random.default_rng(0).standard_normal((20, 3, 2))
    rnn = RNNWithBatchNormClassifier(max_iter=1).fit(sequences, np.arange(20) % 2)
    for other in (rnn, MLPClassifier(), None):
        with pytest.raises(TypeError, match=rf"MLPWithBatchNorm.*got {type(other).__name__}"):
            to_torch(other)
        with pytest.raises(TypeError, match=rf"model is a {type(other).__name__}"):
            from_torch({}, other)
    with pytest.raises(TypeError, match="model is a BatchNormTransformer"):
        from_torch({}, BatchNormTransformer())


@pytest.mark.parametrize(
    "cls", [MLPWithBatchNormClassifier, MLPEnsembleWithBatchNormRegressor, BatchNormTransformer]
)
def test_estimators_that_are_not_fitted(cls):
    with pytest.raises(NotFittedError):
        to_torch(cls())
    if cls is not BatchNormTransformer:
        with pytest.raises(NotFittedError):
            from_torch({}, cls())


def test_transformers_with_statistics_of_time_steps():
    sequences = np.random.default_rng(0).standard_normal((20, 3, 2))
    with pytest.raises(ValueError, match="time_statistics='shared'"):
        to_torch(BatchNormTransformer().fit(sequences))
    to_torch(BatchNormTransformer(time_statistics="shared").fit(sequences))


def test_operations_and_activations_without_a_layer(model, monkeypatch):
    plan = model._plan.copy()
    plan["kind"][plan["kind"] == ACTIVATION] = POOLING
    with pytest.raises(ValueError, match="operation 'pooling'"):
        export._layers(plan, torch.float32)
    monkeypatch.delitem(export.LAYERS, "silu")
    with pytest.raises(ValueError, match="activation 'silu'"):
        to_torch(model)


def test_damaged_states():
    damaged = fitted("three classes")
    damaged.coefs_[1][0, 0] = np.nan
    with pytest.raises(ValueError, match="weights are not finite"):
        to_torch(damaged)
    ensemble = MLPEnsembleWithBatchNormRegressor(MLPWithBatchNormRegressor(**SMALL))
    ensemble.fit(table(), targets("one target", table()))
    ensemble.estimators_[1].coefs_[1][0, 0] = np.nan
    with pytest.raises(ValueError, match="weights are not finite"):
        to_torch(ensemble)


@pytest.mark.parametrize(
    ("factor", "what"), [(1e-60, "The factor of a column"), (1e60, "The center of a column")]
)
def test_columns_beyond_float32(factor, what):
    X = (table() + 1.0) * factor
    y = targets("three classes", table())
    model = fitted("three classes", X, y)
    with pytest.raises(ValueError, match=rf"{what} .*torch.float32.*dtype='float64'"):
        to_torch(model)
    to_torch(fitted("three classes", X, y, dtype="float64"))


@pytest.mark.parametrize("factor", [1e60, 1e-60])
def test_targets_beyond_float32(factor):
    y = factor * targets("one target", table())
    with pytest.raises(ValueError, match="The target has a number"):
        to_torch(fitted("one target", y=y))
    to_torch(fitted("one target", y=y, dtype="float64"))


def test_predictions_in_training_mode(model):
    module = to_torch(model).train()
    x = torch.from_numpy(table())
    module(x)
    for predict in (module.predict, module.predict_proba):
        with pytest.raises(RuntimeError, match=re.escape("module.eval()")):
            predict(x)
    ensemble = MLPEnsembleWithBatchNormRegressor(MLPWithBatchNormRegressor(**SMALL))
    module = to_torch(ensemble.fit(table(), targets("one target", table()))).train()
    with pytest.raises(RuntimeError, match=re.escape("module.eval()")):
        module.predict(x)


def test_integers(model):
    with pytest.raises(TypeError, match=r"tensor of torch\.int64"):
        to_torch(model)(torch.from_numpy(table().astype(int)))


@pytest.mark.parametrize("shape", [(5, 1), (5, 6), (7,), (2, 5, 7)])
def test_rows_of_another_shape(model, shape):
    with pytest.raises(ValueError, match=rf"the shape {re.escape(str(shape))}, .* 7 columns"):
        to_torch(model)(torch.zeros(shape))


def test_no_state(model):
    for wrong in ([], None, model):
        with pytest.raises(TypeError, match=f"got {type(wrong).__name__}"):
            from_torch(wrong, model)


def test_names(model, state):
    del state["hidden.1.norm.bias"]
    with pytest.raises(ValueError, match=r"'hidden\.1\.norm\.bias' is missing"):
        from_torch(state, model)
    state["more"] = torch.zeros(1)
    with pytest.raises(ValueError, match="is missing, and 'more' is not known"):
        from_torch(state, model)


def test_a_module_of_other_layers(model):
    other = fitted("three classes", hidden_layer_sizes=(9, 8))
    with pytest.raises(ValueError, match=r"hidden\.1\.linear\.weight has the shape \(8, 9\)"):
        from_torch(to_torch(other), model)
    other = fitted("three classes", hidden_layer_sizes=(9,))
    with pytest.raises(ValueError, match="that the module was made from"):
        from_torch(to_torch(other), model)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(7, dtype=torch.int64), "of torch.int64, but the model has floating-point"),
        (torch.zeros(7, dtype=torch.complex64), "of torch.complex64"),
        (torch.zeros(7, dtype=torch.bool), "of torch.bool"),
        (torch.full((7,), torch.nan), "not finite"),
        (torch.full((7,), torch.inf), "not finite"),
        (torch.full((7,), -1e-9), "negative"),
        (torch.full((7,), 1.0)[:6], r"the shape \(6,\), but the model has \(7,\)"),
    ],
)
def test_tensors(model, state, value, message):
    state["hidden.1.norm.running_var"] = value
    with pytest.raises(ValueError, match=rf"hidden\.1\.norm\.running_var .*{message}"):
        from_torch(state, model)


@pytest.mark.parametrize("value", ["text", np.array(["text"]), np.array([None]), object()])
def test_no_tensors(model, state, value):
    state["hidden.1.norm.bias"] = value
    with pytest.raises(TypeError, match=r"hidden\.1\.norm\.bias is no tensor"):
        from_torch(state, model)


def test_a_tensor_without_numbers(model, state):
    state["hidden.1.norm.bias"] = state["hidden.1.norm.bias"].to("meta")
    with pytest.raises(TypeError, match=r"hidden\.1\.norm\.bias is no tensor"):
        from_torch(state, model)


def test_counts(model, state):
    state["hidden.1.norm.num_batches_tracked"] = torch.tensor(-1)
    with pytest.raises(ValueError, match="num_batches_tracked has a negative number"):
        from_torch(state, model)
    state["hidden.1.norm.num_batches_tracked"] = torch.tensor(2.0)
    with pytest.raises(ValueError, match="the model has integers there"):
        from_torch(state, model)


def test_numbers_beyond_the_dtype_of_the_network(model, state):
    state["output.bias"] = torch.full((3,), 1e60, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"output\.bias .* leaves the range of float32"):
        from_torch(state, model)


@pytest.mark.parametrize("temperature", [0.99, 101.0])
def test_temperatures_out_of_range(model, state, temperature):
    state["decode.temperature"] = torch.tensor(temperature)
    with pytest.raises(
        ValueError, match=rf"decode\.temperature is {temperature:g}, .* from 1 to 100"
    ):
        from_torch(state, model)


def test_a_new_temperature(model, state):
    state["decode.temperature"] = torch.tensor(2.5)
    state["decode.prior"][0] = -1.5
    back = from_torch(state, model)
    assert back.temperature_ == 2.5
    assert back._prior_outputs[0] == -1.5
    assert model.temperature_ != 2.5
    assert model._prior_outputs[0] != -1.5


@pytest.mark.parametrize(
    "name",
    ["normalize.center", "normalize.center_rest", "normalize.factor", "embed.columns"],
)
def test_another_normalization_of_the_inputs(model, state, name):
    state[name][0] += 1
    with pytest.raises(ValueError, match=rf"{name} is not the {name} of to_torch\(model\)"):
        from_torch(state, model)


@pytest.mark.parametrize("name", ["decode.scale", "decode.shift", "decode.shift_rest"])
def test_another_normalization_of_the_target(name):
    model = fitted("one target")
    state = to_torch(model).state_dict()
    state[name] = state[name] + 1.0
    with pytest.raises(ValueError, match=rf"{name} is not the {name} of to_torch\(model\)"):
        from_torch(state, model)


def test_another_slope_and_another_range():
    model = fitted("constant counts")
    state = to_torch(model).state_dict()
    state["decode.slope"] = 1.0 - state["decode.slope"]
    with pytest.raises(ValueError, match=r"decode\.slope is not"):
        from_torch(state, model)
    ensemble = MLPEnsembleWithBatchNormRegressor(MLPWithBatchNormRegressor(**SMALL))
    ensemble.fit(table(), targets("one target", table()))
    state = to_torch(ensemble).state_dict()
    state["target_range"] = state["target_range"] * 2.0
    with pytest.raises(ValueError, match="target_range is not"):
        from_torch(state, ensemble)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("network", ["float32", "float64"])
def test_rounded_numbers_do_not_change_the_model(network, dtype):
    # Columns and targets of moderate size, which float16 can hold.
    y = targets("one target", table()) / 1e3
    X = np.delete(table(), [4, 6], axis=1)
    model = MLPWithBatchNormRegressor(**SMALL, dtype=network).fit(X, y)
    rounded = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in to_torch(model).state_dict().items()
    }
    assert_same_state(from_torch(rounded, model), model)


def test_a_mapping_of_arrays(model, state):
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    for array in arrays.values():
        array.flags.writeable = False
    assert_same_state(from_torch(arrays, model), model)


def test_the_state_is_read_once():
    def numbers(module):
        return [tensor.tolist() for tensor in module.state_dict().values()]

    X, y = table(50)[:, :1], np.arange(50) % 2
    small = {"hidden_layer_sizes": (2,), "n_epochs": 1, "batch_norm": None}
    old, new = (fitted("two classes", X, y, **small, random_state=seed) for seed in (0, 1))
    state = to_torch(old).state_dict()
    assert_old_or_new(old, new, lambda model: numbers(to_torch(model)))
    assert_old_or_new(old, new, lambda model: from_torch(state, model).loss_curve_)
    old, new = (BatchNormTransformer().fit(X) for X in (table(), 2.0 * table()))
    assert_old_or_new(old, new, lambda model: numbers(to_torch(model)))
