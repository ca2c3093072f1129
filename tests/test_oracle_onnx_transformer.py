"""The transformer as an ONNX graph."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine

from skbn import BatchNormTransformer

graphs = pytest.importorskip("onnx_graphs")
types = pytest.importorskip("skl2onnx.common.data_types")

WINE, _ = load_wine(return_X_y=True)
DIGITS = load_digits().data.reshape(-1, 8, 8)


def assert_transforms_alike(model, X, atol, **keywords):
    (transformed,) = graphs.run(graphs.converted(model, X, **keywords), X)
    assert transformed.dtype == X.dtype
    np.testing.assert_allclose(transformed, model.transform(X), rtol=0, atol=atol)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"momentum": 0.3, "batch_size": 50},
        {"gamma": np.linspace(-2.0, 2.0, 13), "beta": np.linspace(3.0, -1.0, 13)},
        {"epsilon": 2.0, "gamma": 3.0, "beta": -1.0},
        {"epsilon": 0.0},
    ],
    ids=str,
)
def test_parameters(parameters):
    model = BatchNormTransformer(**parameters).fit(WINE)
    assert_transforms_alike(model, WINE, 1e-13)
    assert_transforms_alike(model, WINE.astype(np.float32), 1e-5)


@pytest.mark.parametrize(("dtype", "offset"), [(np.float32, 1e6), (np.float64, 1e12)])
def test_columns_far_from_zero(dtype, offset):
    X = (WINE + offset).astype(dtype)
    model = BatchNormTransformer().fit(X)
    assert_transforms_alike(model, X, 1e-5)


@pytest.mark.parametrize("dtype", graphs.DTYPES)
def test_constant_columns_and_missing_entries(dtype):
    X = WINE.astype(dtype)
    X[:, 3] = 1e6
    X[::3, 5] = np.nan
    X[:, 7] = np.nan
    model = BatchNormTransformer(beta=0.5).fit(X)
    new = X.copy()
    new[0, 3] += 2.0  # a new value of the constant column is not blown up
    assert_transforms_alike(model, new, 1e-5)
    assert np.isnan(model.transform(new)[:, 7]).all()


@pytest.mark.parametrize("dtype", graphs.DTYPES)
@pytest.mark.parametrize("n_steps", [8, 5, 1])
def test_statistics_of_each_time_step(dtype, n_steps):
    X = DIGITS.astype(dtype)
    X[:, 2, 1] = np.nan  # another number of entries than in other columns
    model = BatchNormTransformer(gamma=np.linspace(1.0, 2.0, 8), beta=1.0).fit(X)
    assert_transforms_alike(model, X[:, :n_steps], 1e-5)


@pytest.mark.parametrize("dtype", graphs.DTYPES)
def test_statistics_of_all_time_steps(dtype):
    X = DIGITS.astype(dtype)
    model = BatchNormTransformer(time_statistics="shared").fit(X)
    assert_transforms_alike(model, X, 1e-5)
    assert_transforms_alike(model, X[:, 0], 1e-5)
    # The type of the inputs may leave the number of steps open.
    kind = types.FloatTensorType if dtype == np.float32 else types.DoubleTensorType
    graph = graphs.converted(model, X, initial_types=[("X", kind([None, None, 8]))])
    for n_steps in (3, 8):
        (transformed,) = graphs.run(graph, X[:, :n_steps])
        np.testing.assert_allclose(transformed, model.transform(X[:, :n_steps]), atol=1e-5)


def test_types_that_do_not_fit():
    per_step = BatchNormTransformer().fit(DIGITS)
    for shape in ([None, None, 8], [None, 9, 8], [None, 8]):
        with pytest.raises(ValueError, match="statistics for each of 8 time steps"):
            graphs.converted(per_step, DIGITS, initial_types=[("X", types.DoubleTensorType(shape))])
    plain = BatchNormTransformer().fit(WINE)
    with pytest.raises(ValueError, match="3 dimensions"):
        graphs.converted(plain, WINE, initial_types=[("X", types.DoubleTensorType([None, 2, 13]))])
    with pytest.raises(ValueError, match="12 features"):
        graphs.converted(plain, WINE[:, 1:])


@pytest.mark.parametrize("version", [graphs.OPSET, graphs.NEWEST_OPSET])
def test_versions_of_the_operators(version):
    model = BatchNormTransformer().fit(WINE)
    assert_transforms_alike(model, WINE, 1e-12, version=version)


@pytest.mark.parametrize("n_rows", [0, 1, 1000])
def test_any_number_of_rows(n_rows):
    model = BatchNormTransformer().fit(WINE)
    (transformed,) = graphs.run(graphs.converted(model, WINE), np.resize(WINE, (n_rows, 13)))
    assert transformed.shape == (n_rows, 13)
