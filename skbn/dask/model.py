"""Base of the models for Dask: a fit on the workers, and lazy predictions."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from dask.delayed import Delayed
from distributed import Client, rejoin, secede
from scipy.sparse import issparse

from skbn.dask.collections import aligned_blocks, map_rows, row_of_zeros, whole_rows
from skbn.dask.estimator import DaskEstimator

CLIENT = inspect.Parameter(
    "client", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Client | None
)


def with_client(constructor: Callable[..., None]) -> Callable[..., None]:
    """The constructor of a local estimator with the parameter `client` behind its parameters."""

    def __init__(self, *args, client=None, **parameters):
        constructor(self, *args, **parameters)
        self.client = client

    signature = inspect.signature(constructor)
    # scikit-learn, editors and the documentation read the parameters from here.
    __init__.__signature__ = signature.replace(parameters=[*signature.parameters.values(), CLIENT])
    __init__.__annotations__ = constructor.__annotations__ | {"client": Client | None}
    return __init__


class DaskModel(DaskEstimator):
    """Mixin of models for Dask, in front of the local model; not to be used by itself.

    A model gives ``_refuse_unsupported()``, and ``_fitted_on_workers(client, blocks)``: the local
    model, fitted by the workers to blocks of rows from `aligned_blocks`.
    """

    if TYPE_CHECKING:

        def _refuse_unsupported(self) -> None: ...
        def _fitted_on_workers(self, client: Client, blocks: list[dict[str, Delayed]]) -> Any: ...

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the model on the workers that hold the rows.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features), or dask DataFrame
            Training rows. Each block stays on the worker that has computed it. The columns need not
            be scaled. Blocks may have no rows.
        y : dask array, Series or DataFrame of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : dask array or dask Series of shape (n_samples,), default=None
            Weights of the rows, >= 0.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            If `X`, `y` or `sample_weight` is no collection of Dask; if the client is asynchronous.
        ValueError
            If there is no client; if a parameter is not supported on a cluster; if the rows of `X`,
            `y` and `sample_weight` differ. For the reasons of ``fit`` of the local estimator, with
            an error of a worker. The estimator is then as before the call.
        RuntimeError
            If a worker is lost, or if the tasks are canceled.
        InvalidParameterError
            If a parameter of the constructor is out of its range.
        """
        self._validate_params()
        self._refuse_unsupported()
        X, y = whole_rows(X, "X", 2, 2), whole_rows(y, "y", 1, 2)
        if sample_weight is not None:
            sample_weight = whole_rows(sample_weight, "sample_weight", 1, 1)
        blocks = aligned_blocks(X=X, y=y, sample_weight=sample_weight)
        client = self._client()
        with _beside_other_tasks():
            fitted = self._fitted_on_workers(client, blocks)
        self._take(fitted)
        return self

    def _lazily(self, name: str, X: Any, **options: Any) -> Any:
        """The lazy result of a method of the local model for a collection."""
        local = self._look().to_local()
        X = whole_rows(X, "X", 2, 2)
        method = _Method(name, options)
        return map_rows(method, local, X, method(local, row_of_zeros(X, local.n_features_in_))[:0])

    def _fetched(self, *collections: Any) -> list[Any]:
        """The numbers of collections, or of arrays, in the memory of this process."""
        # Dask warns if arrays and DataFrames are computed in one call.
        fetched = [self._computed(one) for one in collections]
        return [one if one is None or issparse(one) else np.asarray(one) for one in fetched]


class _Method:
    """The result of a method of a model for a block of rows."""

    def __init__(self, name, options):
        self.name, self.options = name, options

    def __call__(self, model, X):
        result = getattr(model, self.name)(X, **self.options)
        # Predicted labels are sparse if the targets were.
        return result.toarray() if issparse(result) else result


@contextmanager
def _beside_other_tasks() -> Iterator[None]:
    """If this is a task of a worker, give its thread to other tasks during the block.

    Otherwise the tasks of a fit would wait for the thread of the task that fits.
    """
    try:
        secede()
        is_task = True
    # Not a task, or a task that has given its thread away before.
    except (ValueError, KeyError):
        is_task = False
    try:
        yield
    finally:
        if is_task:
            rejoin()
