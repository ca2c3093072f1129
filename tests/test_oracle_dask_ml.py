"""dask-ml's wrappers around the estimators: blocks one after the other, and lazy predictions."""

import numpy as np
import pytest
from test_ensemble import KINDS, REGRESSOR, data, ensemble

da = pytest.importorskip("dask.array")
pytest.importorskip("distributed")
wrappers = pytest.importorskip("dask_ml.wrappers")

from skbn import (  # noqa: E402
    BatchNormTransformer,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
)

NETWORK = {"hidden_layer_sizes": (12, 8), "random_state": 0}
# Rows of each block.
COUNTS = (150, 200, 50)


def collections(*arrays):
    return [da.from_array(array, chunks=(COUNTS, *array.shape[1:])) for array in arrays]


def blocks(*arrays):
    edges = np.cumsum(COUNTS)[:-1]
    return zip(*(np.split(array, edges) for array in arrays), strict=True)


@pytest.mark.parametrize("kind", KINDS)
def test_incremental_is_a_stream_of_the_blocks(kind, client):
    X, y = data(kind)
    network, calls = (
        (MLPWithBatchNormRegressor(**NETWORK), {})
        if kind is REGRESSOR
        else (MLPWithBatchNormClassifier(**NETWORK), {"classes": [0, 1, 2]})
    )
    dX, dy = collections(X, y)
    fitted = wrappers.Incremental(network, shuffle_blocks=False).fit(dX, dy, **calls)
    # `fit` goes through the blocks once, and each further call once more.
    fitted.partial_fit(dX, dy, **calls)
    for _ in range(2):
        for rows, targets in blocks(X, y):
            network.partial_fit(rows, targets, **calls)
    assert fitted.estimator_.t_ == network.t_ > 0
    np.testing.assert_array_equal(fitted.estimator_._parameters, network._parameters)
    np.testing.assert_array_equal(fitted.estimator_._statistics, network._statistics)
    np.testing.assert_array_equal(fitted.predict(dX).compute(), network.predict(X))


def test_incremental_needs_the_classes(client):
    X, y = data(KINDS[0])
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        wrappers.Incremental(MLPWithBatchNormClassifier(**NETWORK)).fit(*collections(X, y))


@pytest.mark.parametrize(
    ("estimator", "methods"),
    [
        (MLPWithBatchNormClassifier(n_epochs=4, **NETWORK), ["predict", "predict_proba"]),
        (MLPWithBatchNormRegressor(n_epochs=4, **NETWORK), ["predict"]),
        (ensemble(KINDS[0]), ["predict", "predict_proba"]),
        (BatchNormTransformer(), ["transform"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_lazy_predictions_are_the_predictions(estimator, methods, client):
    X, y = data(KINDS[0])
    wrapped = wrappers.ParallelPostFit(estimator).fit(X, y)
    (dX,) = collections(X)
    for method in methods:
        lazy = getattr(wrapped, method)(dX)
        assert isinstance(lazy, da.Array)
        assert lazy.chunks[0] == COUNTS
        local = getattr(wrapped.estimator, method)(X)
        assert lazy.dtype == local.dtype
        # The last bits of a product of matrices depend on the number of rows.
        np.testing.assert_allclose(lazy.compute(), local, rtol=1e-5, atol=1e-6)
