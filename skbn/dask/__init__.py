"""Estimators for data on a Dask cluster. Needs the extra ``dask``."""

try:
    import dask.array  # noqa: F401
    import distributed  # noqa: F401
except ImportError as error:
    raise ImportError('skbn.dask needs Dask: pip install "skbn[dask]"') from error

from skbn.dask.mlp import DaskMLPWithBatchNormClassifier, DaskMLPWithBatchNormRegressor
from skbn.dask.transformer import DaskBatchNormTransformer

__all__ = [
    "DaskBatchNormTransformer",
    "DaskMLPWithBatchNormClassifier",
    "DaskMLPWithBatchNormRegressor",
]
