"""Fitted estimators in skops files: they ask for no type but their own."""

import warnings

import numpy as np
import pytest
import skops.io as skops
from sklearn.exceptions import ConvergenceWarning

from skbn import (
    BatchNormTransformer,
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)


@pytest.mark.parametrize(
    "estimator",
    [
        BatchNormTransformer(),
        BatchNormTransformer(momentum=0.1),
        MLPWithBatchNormClassifier(max_iter=2),
        MLPWithBatchNormRegressor(max_iter=2, early_stopping=True),
        RNNWithBatchNormClassifier((5,), max_iter=2),
        RNNWithBatchNormRegressor("squared_error", (5,), max_iter=2, early_stopping=True),
        MLPEnsembleWithBatchNormClassifier(MLPWithBatchNormClassifier((5,), max_iter=2)),
        MLPEnsembleWithBatchNormRegressor(MLPWithBatchNormRegressor(max_iter=2)),
    ],
    ids=repr,
)
def test_one_trusted_type(estimator):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 4)), rng.integers(0, 3, 60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(X, y)
    stored = skops.dumps(estimator)
    untrusted = skops.get_untrusted_types(data=stored)
    assert untrusted == [f"{type(estimator).__module__}.{type(estimator).__name__}"]
    loaded = skops.loads(stored, trusted=untrusted)
    if hasattr(estimator, "transform"):
        np.testing.assert_array_equal(loaded.transform(X), estimator.transform(X))
        loaded.partial_fit(X)
    else:
        np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))
        if "early_stopping" in loaded.get_params():
            loaded.set_params(early_stopping=False)
        loaded.partial_fit(X, y)
