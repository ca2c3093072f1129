"""Tensors as input: those of the CPU are taken, others are refused in words."""

import numpy as np
import pytest

from skbn import BatchNormTransformer, MLPWithBatchNormRegressor

torch = pytest.importorskip("torch")


def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4)).astype(np.float32)
    return X, X[:, 0]


def network():
    return MLPWithBatchNormRegressor(tol=10.0, random_state=0)


def test_tensors_of_the_cpu():
    # scikit-learn's validation makes float64 arrays of them.
    X, y = data()
    wide = X.astype(np.float64)
    ours = network().fit(torch.from_numpy(X), torch.from_numpy(y))
    np.testing.assert_array_equal(
        ours.predict(torch.from_numpy(X)), network().fit(wide, y).predict(wide)
    )
    np.testing.assert_array_equal(
        BatchNormTransformer().fit_transform(torch.from_numpy(X)),
        BatchNormTransformer().fit_transform(wide),
    )


def test_tensors_elsewhere_are_refused():
    X, y = data()
    away = torch.from_numpy(X).to("meta")
    with pytest.raises(TypeError, match="copy the tensor to host memory"):
        network().fit(away, y)
    with pytest.raises(TypeError, match="copy the tensor to host memory"):
        BatchNormTransformer().fit(away)
