"""Masked arrays are refused wherever they enter: scikit-learn's checks would drop the mask."""

import numpy as np
import pytest

from skbn import (
    BatchNormTransformer,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)

NETWORKS = [
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
]
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 1}


def masked(values):
    return np.ma.masked_array(values, mask=np.zeros(np.shape(values), bool))


def data_for(cls):
    X = np.random.default_rng(0).standard_normal((20, 3, 2) if cls in NETWORKS[2:] else (20, 3))
    return {"X": X, "y": np.arange(20) % 2, "sample_weight": np.ones(20)}


@pytest.mark.parametrize("cls", NETWORKS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", ["X", "y", "sample_weight", "X_val", "y_val", "sample_weight_val"])
def test_training(cls, method, name):
    data = data_for(cls)
    data |= {f"{key}_val": value for key, value in data.items()}
    if method == "partial_fit" and hasattr(cls, "predict_proba"):
        data["classes"] = [0, 1]
    model = cls(**SMALL, early_stopping=method == "fit")
    getattr(model, method)(**data)
    data[name] = masked(data[name])
    with pytest.raises(ValueError, match=rf"^{name} is a masked array"):
        getattr(model, method)(**data)


@pytest.mark.parametrize("cls", NETWORKS)
def test_predictions(cls):
    data = data_for(cls)
    model = cls(**SMALL).fit(**data)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(model, method):
            getattr(model, method)(data["X"])
            with pytest.raises(ValueError, match=r"^X is a masked array"):
                getattr(model, method)(masked(data["X"]))
    model.score(**data)
    for name in data:
        with pytest.raises(ValueError, match=f"^{name} is a masked array"):
            model.score(**data | {name: masked(data[name])})


@pytest.mark.parametrize("shape", [(20, 3), (20, 4, 3)])
def test_transformer(shape):
    X = np.random.default_rng(0).standard_normal(shape)
    transformer = BatchNormTransformer(time_statistics="shared").fit(X)
    for method in (
        "fit", "partial_fit", "partial_fit_transform", "transform", "inverse_transform",
        "fit_transform",
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"^X is a masked array"):
            getattr(transformer, method)(masked(X))
    for method in ("fit", "partial_fit", "partial_fit_transform"):
        with pytest.raises(ValueError, match=r"^sample_weight is a masked array"):
            getattr(transformer, method)(X, sample_weight=masked(np.ones(20)))
