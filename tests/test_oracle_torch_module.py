"""Modules of PyTorch that ``to_torch`` makes predict what the estimators predict."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

from skbn import (
    BatchNormTransformer,
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
)
from skbn.kernels.activations import ACTIVATIONS

torch = pytest.importorskip("torch")

from torch_modules import (  # noqa: E402
    CLASSES,
    SMALL,
    TOLERANCES,
    assert_same_predictions,
    assert_same_state,
    fitted,
    norm_relative,
    table,
    targets,
)

from skbn.torch import from_torch, to_torch  # noqa: E402

DTYPES = sorted(TOLERANCES)
CLASSIFIERS = (MLPWithBatchNormClassifier, MLPEnsembleWithBatchNormClassifier)
REGRESSORS = (MLPWithBatchNormRegressor, MLPEnsembleWithBatchNormRegressor)


def assert_there_and_back(model, X, tolerance):
    module = to_torch(model)
    assert not module.training
    assert_same_predictions(module, model, X, tolerance)
    back = from_torch(module.state_dict(), model)
    assert type(back) is type(model)
    members = zip(
        getattr(back, "estimators_", [back]), getattr(model, "estimators_", [model]), strict=True
    )
    for one, other in members:
        assert_same_state(one, other)
        assert not np.shares_memory(one._parameters, other._parameters)
        assert not np.shares_memory(one._statistics, other._statistics)
    if hasattr(model, "temperature_"):
        assert back.temperature_ == model.temperature_
    np.testing.assert_array_equal(back.predict(X), model.predict(X))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("load", [load_digits, load_breast_cancer])
@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_default_classifiers(cls, load, dtype):
    X, y = load(return_X_y=True)
    y = np.array([f"class {number}" for number in y])
    mlp = MLPWithBatchNormClassifier(dtype=dtype, n_epochs=8, random_state=0)
    model = mlp if cls is MLPWithBatchNormClassifier else cls(mlp, random_state=0)
    model.fit(X, y)
    assert model.temperature_ > 1.0
    assert_there_and_back(model, X, TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("cls", REGRESSORS)
def test_default_regressors(cls, n_outputs, dtype):
    X, y = load_diabetes(return_X_y=True)
    y = y if n_outputs == 1 else np.column_stack([y, y**2])
    mlp = MLPWithBatchNormRegressor(dtype=dtype, n_epochs=8, random_state=0)
    model = mlp if cls is MLPWithBatchNormRegressor else cls(mlp, random_state=0)
    model.fit(X, y)
    # Rows far outside of the table, whose predictions an ensemble clips.
    X = np.vstack([X, 3.0 * X])
    if cls is MLPEnsembleWithBatchNormRegressor:
        predictions = model.predict_members(X)
        assert (predictions == model._target_range[1].squeeze()).any()
    assert_there_and_back(model, X, TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_activations_and_places_of_batch_norm(activation, batch_norm, dtype):
    parameters = {"activation": activation, "batch_norm": batch_norm, "dtype": dtype}
    model = fitted("three classes", dropout=0.2, bn_epsilon=0.1, **parameters)
    assert_there_and_back(model, table(), TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("embedding", [1.0, None])
@pytest.mark.parametrize("normalize_input", ["robust", "smooth_clip", "standard", None])
def test_inputs(normalize_input, embedding, dtype):
    X = table()
    if normalize_input is None:
        X[:, 4] *= 1e-3
    for scaled in (True, False):
        model = fitted(
            "three classes",
            X,
            normalize_input=normalize_input,
            periodic_embedding=embedding,
            trained_input_scale=scaled,
            dtype=dtype,
        )
        outliers = X * np.where(np.arange(len(X)) % 7, 1.0, 50.0)[:, np.newaxis]
        assert_there_and_back(model, outliers, TOLERANCES[dtype])


def test_numbers_beyond_the_end_of_the_smooth_clip():
    model = fitted("three classes", dtype="float32")
    X = table(12)
    X[:, 0] = np.geomspace(1e4, 1e30, 12)
    assert_same_predictions(to_torch(model), model, X, 1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", CLASSES)
def test_classes(kind, dtype):
    assert_there_and_back(fitted(kind, dtype=dtype), table(), TOLERANCES[dtype])
    model = fitted(kind, dtype=dtype, calibrate=False)
    assert not hasattr(model, "temperature_")
    assert_there_and_back(model, table(), TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("normalize_target", [True, False])
@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        ("squared_error", "one target"),
        ("squared_error", "constant target"),
        ("absolute_error", "two targets"),
        ("quantile", "two targets"),
        ("poisson", "counts"),
        ("poisson", "constant counts"),
    ],
)
def test_losses_of_regressors(loss, kind, normalize_target, dtype):
    model = fitted(kind, loss=loss, normalize_target=normalize_target, quantile=0.8, dtype=dtype)
    module, X = to_torch(model), table()
    with torch.inference_mode():
        ours = module.predict(torch.from_numpy(X)).numpy()
    desired = model.predict(X)
    is_zero = (desired == 0.0).all(axis=0)
    np.testing.assert_array_equal(ours[..., is_zero], desired[..., is_zero])
    desired, ours = desired[..., ~is_zero], ours[..., ~is_zero]
    assert norm_relative(ours, desired) < TOLERANCES[dtype]
    assert_same_state(from_torch(module, model), model)


@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_and_targets_far_from_zero(dtype):
    X = table(offset=1e7)
    y = 1e8 + targets("one target", table()) / 1e3
    model = MLPWithBatchNormRegressor(**SMALL, dtype=dtype).fit(X, y)
    with torch.inference_mode():
        predictions = to_torch(model).predict(torch.from_numpy(X)).numpy()
    # In units of the standard deviation of the target.
    assert np.abs(predictions - model.predict(X)).max() / y.std() < TOLERANCES[dtype]
    assert model.predict(X).std() > 0.1 * y.std()


def test_a_module_keeps_offsets_in_float32():
    X = table(offset=1e7)
    model = fitted("three classes", X, dtype="float64")
    module = to_torch(model).float()
    with torch.inference_mode():
        chances = module.predict_proba(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(chances, model.predict_proba(X), atol=1e-5)


def test_a_network_without_hidden_layers_and_a_sparse_table():
    sparse = pytest.importorskip("scipy.sparse")
    X = np.where(np.abs(table()) > 0.5, table(), 0.0)
    model = MLPWithBatchNormClassifier(**SMALL | {"hidden_layer_sizes": ()})
    model.fit(sparse.csr_array(X), targets("three classes", X))
    assert_there_and_back(model, X, 1e-5)


def test_a_stream():
    X, y = table(), targets("two classes", table())
    model = MLPWithBatchNormClassifier(**SMALL, dtype="float64")
    for rows in np.split(np.arange(300), 5):
        model.partial_fit(X[rows], y[rows], classes=["no", "yes"])
    assert to_torch(model).hidden[0].norm.num_batches_tracked == 10 == model._n_batches_tracked
    assert_there_and_back(model, X, 1e-6)


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_units_without_variance_give_beta(batch_norm):
    model = fitted("three classes", batch_norm=batch_norm, dtype="float64")
    model.running_vars_[0][:3] = 0.0
    model.betas_[0][:3] = [0.5, -0.5, 0.25]
    assert_there_and_back(model, table(), 1e-6)


def test_a_single_class_is_predicted_for_any_output():
    model = fitted("one class")
    model.intercepts_[-1][:] = 5.0
    assert_there_and_back(model, table(), 1e-5)


def test_ensembles_of_other_targets():
    for kind in ("labels", "two classes"):
        mlp = MLPWithBatchNormClassifier(**SMALL)
        model = MLPEnsembleWithBatchNormClassifier(mlp, random_state=0)
        model.fit(table(), targets(kind, table()))
        assert_there_and_back(model, table(), 1e-5)
        with torch.inference_mode():
            x = torch.from_numpy(table())
            module = to_torch(model)
            mean = sum(member(x) for member in module.members) / len(module.members)
            np.testing.assert_allclose(module(x), mean, atol=1e-6)
            np.testing.assert_allclose(model._look()._raw_outputs(table())[0], mean, atol=1e-4)


@pytest.mark.parametrize("momentum", [None, 0.1])
@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 3.0])
def test_the_transformer(momentum, epsilon):
    X = table()
    gamma = np.linspace(-1.0, 2.3, X.shape[1])
    model = BatchNormTransformer(
        momentum=momentum, epsilon=epsilon, gamma=gamma, beta=0.5, batch_size=50
    )
    norm = to_torch(model.fit(X))
    assert isinstance(norm, torch.nn.BatchNorm1d)
    assert not norm.training
    assert norm.momentum == momentum
    assert norm.num_batches_tracked == 6
    X[:, 2] = np.arange(len(X))  # the divisor of the constant column is 1
    with torch.inference_mode():
        y = norm(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(y, model.transform(X), rtol=1e-9, atol=1e-9)


def test_the_layers_are_layers_of_pytorch():
    module = to_torch(fitted("three classes", dropout=0.2, bn_momentum=0.3, bn_epsilon=0.1))
    for block in module.hidden:
        assert list(dict(block.named_children())) == ["linear", "norm", "activation", "dropout"]
        assert isinstance(block.linear, torch.nn.Linear)
        assert block.linear.bias is None
        assert isinstance(block.norm, torch.nn.BatchNorm1d)
        assert (block.norm.momentum, block.norm.eps) == (0.3, 0.1)
        assert block.dropout.p == 0.2
    assert module.output.bias is not None
    # In a network without the parts, their places are taken by nn.Identity.
    bare = to_torch(
        fitted(
            "three classes",
            normalize_input=None,
            periodic_embedding=None,
            trained_input_scale=False,
            batch_norm=None,
        )
    )
    for part in (bare.normalize, bare.embed, bare.scale):
        assert isinstance(part, torch.nn.Identity)
    assert all(block.linear.bias is not None for block in bare.hidden)


def test_a_state_dict_goes_into_another_module():
    model, other = (fitted("three classes", random_state=seed) for seed in (0, 1))
    module = to_torch(other)
    module.load_state_dict(to_torch(model).state_dict())
    assert_same_predictions(module, model, table(), 1e-5)


def test_export():
    model = fitted("three classes", dropout=0.2)
    module = to_torch(model)
    x = torch.from_numpy(table())
    rows = torch.export.Dim("rows")
    program = torch.export.export(module, (x,), dynamic_shapes=({0: rows},))
    with torch.inference_mode():
        np.testing.assert_array_equal(program.module()(x[:77]), module(x[:77]))
