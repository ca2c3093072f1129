"""Hidden layers that no machine can hold are an error, before any memory is asked for."""

import tracemalloc

import numpy as np
import pytest
from rnns import sequences

from skbn import (
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
from skbn.estimators import memory

TABLE = np.random.default_rng(0).standard_normal((40, 3))
SEQUENCES = sequences(40)
Y = (TABLE[:, 0] > 0).astype(int)
CASES = [
    (MLPWithBatchNormClassifier, TABLE),
    (MLPWithBatchNormRegressor, TABLE),
    (RNNWithBatchNormClassifier, SEQUENCES),
    (RNNWithBatchNormRegressor, SEQUENCES),
]
ABSURD = [
    10**12,
    (10**30,),
    (10**9, 10**9),
    (2**31, 2**32 + 1),
    (2**32, 2**32),
    (2**63 - 1,),
    (8, 10**10, 8),
    np.array([10**12]),
]


def refused(estimator, X, match, **options):
    """The largest number of bytes that was in use while a fit was refused."""
    tracemalloc.start()
    try:
        for fit, keywords in ((estimator.fit, {}), (estimator.partial_fit, options)):
            with pytest.raises(ValueError, match=match):
                fit(X, Y, **keywords)
            assert not hasattr(estimator, "n_features_in_")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def options_of(cls):
    return {"classes": [0, 1]} if hasattr(cls, "predict_proba") else {}


@pytest.mark.parametrize(("cls", "X"), CASES)
@pytest.mark.parametrize("sizes", ABSURD, ids=str)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_more_weights_than_can_be_counted(cls, X, sizes, batch_norm):
    estimator = cls(hidden_layer_sizes=sizes)
    if not batch_norm:
        estimator.set_params(batch_norm=None)
    match = r"hidden_layer_sizes=.* is too large: with 3 features and 1 outputs it makes .*BLAS"
    assert refused(estimator, X, match, **options_of(cls)) < 2**24


@pytest.mark.parametrize(("cls", "X"), CASES)
def test_more_than_the_machine_has(monkeypatch, cls, X):
    # Of 4 bytes: five arrays of parameters alone need more.
    monkeypatch.setattr(memory, "physical_memory", lambda: 10**6)
    estimator = cls(hidden_layer_sizes=(300, 300), batch_size=2)
    match = r"hidden_layer_sizes=\(300, 300\) .* parameters, .* GB of memory"
    assert refused(estimator, X, match, **options_of(cls)) < 2**20
    # Few parameters, and many rows at once, of which backward passes need all layers.
    estimator.set_params(hidden_layer_sizes=(16,) * 20, batch_size=40)
    monkeypatch.setattr(memory, "physical_memory", lambda: 160_000)
    assert refused(estimator, X, "in batches of 40 rows needs", **options_of(cls)) < 2**20
    monkeypatch.setattr(memory, "physical_memory", lambda: np.inf)
    assert estimator.set_params(hidden_layer_sizes=(4,)).partial_fit(X, Y, **options_of(cls))


def test_what_the_machine_tells(monkeypatch):
    assert memory.physical_memory() > 2**28
    monkeypatch.delattr(memory.os, "sysconf", raising=False)
    assert memory.physical_memory() == np.inf
