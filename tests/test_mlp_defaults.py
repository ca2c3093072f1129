"""What "auto" stands for in the perceptrons, and what an embedding begins with."""

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor
from skbn.estimators.periodic import draw_embedding
from skbn.network import views
from skbn.network.network import Network
from skbn.network.plan import feed_forward

BOTH = [MLPWithBatchNormClassifier, MLPWithBatchNormRegressor]


@pytest.mark.parametrize("cls", BOTH)
def test_the_defaults(cls):
    defaults = {
        "hidden_layer_sizes": (80, 80, 80),
        "activation": "silu",
        "batch_size": "auto",
        "learning_rate": "one_cycle",
        "learning_rate_init": "auto",
        "n_epochs": "auto",
        "max_iter": 200,
        "early_stopping": "auto",
        "validation_fraction": 0.1,
        "scoring": None,
        "beta_2": 0.95,
        "batch_norm": "before",
        "normalize_input": "auto",
        "trained_input_scale": True,
        "periodic_embedding": 1.0,
        "weight_decay": "auto",
        "dropout": 0.0,
    }
    parameters = cls().get_params()
    assert {name: parameters[name] for name in defaults} == defaults
    assert parameters.get("calibrate", "auto") == "auto"


@pytest.mark.parametrize("cls", BOTH)
def test_weight_decay(cls):
    make = make_classification if cls is MLPWithBatchNormClassifier else make_regression
    X, y = make(200, random_state=0)

    def first_weights(**parameters):
        return cls(hidden_layer_sizes=(5,), n_epochs=3, random_state=0, **parameters).fit(X, y)

    automatic = first_weights().coefs_[0]
    np.testing.assert_array_equal(automatic, first_weights(weight_decay=0.1).coefs_[0])
    assert (automatic != first_weights(weight_decay=0.0).coefs_[0]).any()
    # L-BFGS minimizes a function, which has no decay.
    first_weights(solver="lbfgs", max_iter=500)
    with pytest.raises(ValueError, match=r"weight_decay=0\.1 cannot be used with solver='lbfgs'"):
        first_weights(solver="lbfgs", weight_decay=0.1)


@pytest.mark.parametrize("constant", [1.0, 2.5])
def test_the_first_embedding(constant):
    n_columns, n_embedded = 100, 60
    plan = feed_forward([n_columns, 4, 1], "silu", "before", embedded=[(10, n_embedded)])
    network = Network.initial(plan, "squared_error", np.float64)
    draw_embedding(network, constant, np.random.RandomState(0))
    (values,) = views.embeddings(plan, network.parameters)
    frequencies, phases, rest = values[:, :16], values[:, 16:32], values[:, 32:]
    # p counts all columns of the table: 2 pi c / sqrt(100).
    deviation = 2.0 * np.pi * constant / 10.0
    assert frequencies.std() == pytest.approx(deviation, rel=0.08)
    assert abs(frequencies.mean()) < 0.1 * deviation
    assert 0.97 * np.pi < phases.max() <= np.pi
    assert -np.pi <= phases.min() < -0.97 * np.pi
    assert 0.24 < rest.max() <= 0.25
    assert -0.25 <= rest.min() < -0.24
