"""Estimators in scikit-learn's manners."""

from skbn.estimators.transformer import BatchNormTransformer

__all__ = ["BatchNormTransformer"]
