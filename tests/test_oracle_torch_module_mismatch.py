"""Modules, targets and rows that do not belong to the model: errors, and no other predictions."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from skbn import (
    BatchNormTransformer,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
)

torch = pytest.importorskip("torch")

from skbn.torch import from_torch, to_torch  # noqa: E402

IRIS, SPECIES = load_iris(return_X_y=True)
SMALL = {"hidden_layer_sizes": (5,), "n_epochs": 2, "random_state": 0}


def test_a_module_with_other_classes():
    model = MLPWithBatchNormClassifier(**SMALL).fit(IRIS, SPECIES)
    renamed = MLPWithBatchNormClassifier(**SMALL).fit(IRIS, np.array(["c", "b", "a"])[SPECIES])
    with pytest.raises(ValueError, match="The classes of the module are"):
        from_torch(to_torch(model), renamed)


def test_a_module_with_other_activations():
    model = MLPWithBatchNormClassifier(**SMALL).fit(IRIS, SPECIES)
    other = MLPWithBatchNormClassifier(**SMALL, activation="tanh").fit(IRIS, SPECIES)
    with pytest.raises(ValueError, match="The activations of the module are"):
        from_torch(to_torch(model), other)


@pytest.mark.parametrize("shape", [(4,), (4, 1), (2,), (4, 3), (4, 2, 1)])
def test_targets_of_another_shape(shape):
    y = np.column_stack([IRIS[:, 0], -3.0 * IRIS[:, 1]])
    module = to_torch(MLPWithBatchNormRegressor(**SMALL).fit(IRIS, y))
    assert module.normalized_target(torch.from_numpy(y[:4])).shape == (4, 2)
    with pytest.raises(ValueError, match="y has the shape"):
        module.normalized_target(torch.zeros(shape))


def test_targets_and_rows_that_are_no_floating_point_tensors():
    module = to_torch(MLPWithBatchNormRegressor(**SMALL).fit(IRIS, IRIS[:, 0]))
    for y in (torch.tensor([1000000001]), np.ones(3)):
        with pytest.raises(TypeError, match="give a tensor of floating-point numbers"):
            module.normalized_target(y)
    with pytest.raises(TypeError, match="x is a ndarray: give a tensor"):
        module.predict(IRIS)


@pytest.mark.parametrize("shape", [(50, 3, 3), (50, 4, 3), (3,)])
def test_rows_of_a_transformer_have_two_dimensions(shape):
    X = np.random.default_rng(0).standard_normal((50, 3, 3)) * [1.0, 10.0, 100.0]
    transformer = BatchNormTransformer(time_statistics="shared").fit(X)
    module = to_torch(transformer)
    with pytest.raises(ValueError, match="must have two dimensions"):
        module(torch.zeros(shape, dtype=torch.float64))
    x = torch.from_numpy(X)
    found = module(x.flatten(0, 1)).view_as(x).detach().numpy()
    np.testing.assert_allclose(found, transformer.transform(X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e6])
def test_an_ensemble_of_a_target_far_from_0(offset):
    y = 3.0 * IRIS[:, 0] + IRIS[:, 1] ** 2 + offset
    model = MLPEnsembleWithBatchNormRegressor(
        MLPWithBatchNormRegressor(n_epochs=5), random_state=0
    ).fit(IRIS, y)
    expected = model.predict(IRIS)
    # Some predictions lie at the ends of the range of the targets.
    assert (model.predict_members(IRIS) == model._target_range[1]).any()
    with torch.inference_mode():
        found = to_torch(model).predict(torch.from_numpy(IRIS)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * y.std())


def test_a_factor_that_float32_holds_with_few_digits():
    # The reciprocal of a spread near 1e42 is no normal number of float32: it keeps three digits.
    X = (IRIS - np.median(IRIS, axis=0)) * 1e42
    model = MLPWithBatchNormClassifier(**SMALL, normalize_input="robust").fit(X, SPECIES)
    with pytest.raises(ValueError, match=r"The factor of a column has a number that leaves"):
        to_torch(model)
