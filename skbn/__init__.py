"""Batch normalization for scikit-learn."""

from skbn.estimators.transformer import BatchNormTransformer

__all__ = ["BatchNormTransformer"]
