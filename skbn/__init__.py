"""Batch normalization for scikit-learn."""

from skbn.estimators.mlp import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor

MLPWithBatchNorm = MLPWithBatchNormClassifier

__all__ = ["MLPWithBatchNorm", "MLPWithBatchNormClassifier", "MLPWithBatchNormRegressor"]
