"""Batch normalization of the columns of a collection of Dask."""

from copy import copy as copied
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal, Self

import dask
import numpy as np
from distributed import Client
from numpy.typing import ArrayLike
from sklearn import config_context
from sklearn.utils import check_consistent_length

from skbn.dask.collections import aligned_blocks, is_frame, map_rows, row_of_zeros, whole_rows
from skbn.dask.estimator import DaskEstimator, local_alone
from skbn.estimators.arguments import refuse_masked
from skbn.estimators.transformer import BatchNormTransformer, _warn_of_extremes

# The moments of so many blocks are merged by one task, so that no task waits for all blocks.
MERGED_AT_ONCE = 8


class DaskBatchNormTransformer(
    DaskEstimator,
    BatchNormTransformer,
    auto_wrap_output_keys=None,  # type: ignore[call-arg] # of scikit-learn's TransformerMixin
):
    """:class:`~skbn.BatchNormTransformer` for collections of Dask.

    The workers compute the exact moments of each block of rows, and merge them in a tree (Chan et
    al. 1983). No row leaves its worker, and a block is released as soon as its moments are known.
    So the collection may be larger than the memory of all workers. The statistics are the
    statistics of :class:`~skbn.BatchNormTransformer` on all rows, up to rounding.

    Parameters
    ----------
    momentum : None, default=None
        Must be None. Exponential averages depend on the order of the mini-batches, so they do not
        merge.

    epsilon, gamma, beta, batch_size, time_statistics, copy
        As in :class:`~skbn.BatchNormTransformer`. `batch_size` and `copy` have no effect: each
        block is a mini-batch, and blocks are never overwritten.

    client : distributed.Client, default=None
        The connection to the cluster that :meth:`fit` uses. None: the scheduler that Dask uses for
        any collection, which is the cluster of the current client, or threads of this process
        without a client. The client is not stored in files, and copies share the client.

    Attributes
    ----------
    running_mean_, running_var_, gamma_, beta_, n_samples_seen_, n_features_in_, feature_names_in_
        As in :class:`~skbn.BatchNormTransformer`.

    n_batches_seen_ : int
        Number of blocks with rows.

    See Also
    --------
    skbn.BatchNormTransformer : The same for arrays and DataFrames in the memory of this process.

    References
    ----------
    Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance: analysis
    and recommendations", The American Statistician 37(3), 242-247.

    Examples
    --------
    >>> import dask.array as da
    >>> from skbn.dask import DaskBatchNormTransformer
    >>> X = da.arange(12.0, chunks=6).reshape(6, 2)
    >>> transformer = DaskBatchNormTransformer().fit(X)
    >>> transformer.running_mean_
    array([5., 6.])
    >>> transformer.transform(X)
    dask.array<_of_block, shape=(6, 2), dtype=float64, chunksize=(3, 2), chunktype=numpy.ndarray>
    >>> transformer.to_local()
    BatchNormTransformer()
    """

    def __init__(
        self,
        *,
        momentum: None = None,
        epsilon: float = 1e-5,
        gamma: ArrayLike = 1.0,
        beta: ArrayLike = 0.0,
        batch_size: int | None = None,
        time_statistics: Literal["per_step", "shared"] = "per_step",
        copy: bool = True,
        client: Client | None = None,
    ) -> None:
        super().__init__(
            momentum=momentum,
            epsilon=epsilon,
            gamma=gamma,
            beta=beta,
            batch_size=batch_size,
            time_statistics=time_statistics,
            copy=copy,
        )
        self.client = client

    _local_class = BatchNormTransformer

    _parameter_constraints = {
        **BatchNormTransformer._parameter_constraints,
        "client": [Client, None],
    }

    if TYPE_CHECKING:

        def to_local(self) -> BatchNormTransformer: ...

    def fit(self, X: Any, y: object = None, sample_weight: Any = None) -> Self:
        """Compute new running averages of all rows.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features) or (n_samples, n_steps, n_features), or \
                dask DataFrame
            The rows. The statistics ignore NaN. Blocks may have no rows.

        y : None
            Ignored.

        sample_weight : dask array or dask Series of shape (n_samples,), default=None
            Weights of the rows, >= 0.

        Returns
        -------
        self : DaskBatchNormTransformer

        Raises
        ------
        TypeError
            If `X` or `sample_weight` is no collection of Dask.
        ValueError
            If `momentum` is not None; if `X` has no rows; if `X` and `sample_weight` have other
            rows; for the reasons of :meth:`BatchNormTransformer.fit
            <skbn.BatchNormTransformer.fit>`, with an error of a worker. The transformer is then as
            before the call.
        InvalidParameterError
            If a parameter of the constructor is out of its range.
        """
        self._take(self._fitted_to(X, sample_weight))
        return self

    def partial_fit(self, X: Any, y: object = None, sample_weight: Any = None) -> Self:
        """Add the rows of another collection to the running averages.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features) or (n_samples, n_steps, n_features), or \
                dask DataFrame
            The rows. The statistics ignore NaN.

        y : None
            Ignored.

        sample_weight : dask array or dask Series of shape (n_samples,), default=None
            Weights of the rows, >= 0.

        Returns
        -------
        self : DaskBatchNormTransformer

        Raises
        ------
        TypeError
            If `X` or `sample_weight` is no collection of Dask.
        ValueError
            For the reasons of :meth:`fit`, and if `X` has other features or other time steps than
            the earlier rows.
        InvalidParameterError
            If a parameter of the constructor is out of its range.
        """
        fitted = self._fitted_to(X, sample_weight)
        if hasattr(self, "_moments"):
            fitted = self.to_local().merge(fitted)
        self._take(fitted)
        return self

    # The local method normalizes a mini-batch by its own statistics.
    partial_fit_transform = local_alone(BatchNormTransformer.partial_fit_transform)

    def transform(self, X: Any) -> Any:
        """Normalize rows by the running averages, lazily.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features) or (n_samples, n_steps, n_features), or \
                dask DataFrame
            The rows. The result keeps NaN.

        Returns
        -------
        X_new : dask array or dask DataFrame of the shape of `X`
            Nothing is computed yet.

        Raises
        ------
        NotFittedError
            If nothing was fitted before.
        TypeError
            If `X` is no collection of Dask.
        ValueError
            If `X` has other features or more time steps than the fitted rows. Workers raise the
            other errors of :meth:`BatchNormTransformer.transform
            <skbn.BatchNormTransformer.transform>`.
        """
        return self._mapped(_transformed, X)

    def inverse_transform(self, X: Any) -> Any:
        """Undo :meth:`transform`, lazily.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features) or (n_samples, n_steps, n_features), or \
                dask DataFrame
            Normalized rows. The result keeps NaN.

        Returns
        -------
        X_original : dask array or dask DataFrame of the shape of `X`
            Nothing is computed yet.

        Raises
        ------
        NotFittedError
            If nothing was fitted before.
        TypeError
            If `X` is no collection of Dask.
        ValueError
            If gamma of a feature is 0; if `X` does not fit, as in :meth:`transform`.
        """
        return self._mapped(_transformed_back, X)

    def _fitted_to(self, X, sample_weight):
        """A local transformer that is fitted to the rows of a collection."""
        self._validate_params()
        if self.momentum is not None:
            raise ValueError(
                f"momentum={self.momentum} is not supported on a cluster: exponential running "
                "averages depend on the order of the mini-batches, so they cannot be merged. Use "
                "momentum=None."
            )
        X = whole_rows(X, "X", 2, 3)
        if sample_weight is not None:
            sample_weight = whole_rows(sample_weight, "sample_weight", 1, 1)
        template = self._unfitted_local()
        fit = dask.delayed(_fitted_to_block)
        blocks = aligned_blocks(X=X, sample_weight=sample_weight)
        parts = [fit(template, **block) for block in blocks]
        while len(parts) > 1:
            parts = [
                dask.delayed(_merged)(parts[start : start + MERGED_AT_ONCE])
                for start in range(0, len(parts), MERGED_AT_ONCE)
            ]
        (root,) = parts
        fitted = self._computed(root)
        if fitted is None:
            raise ValueError(
                f"Found array with 0 sample(s) of positive weight while a minimum of 1 is required "
                f"by {type(self).__name__}."
            )
        # The warnings of the workers stay in their logs.
        _warn_of_extremes(fitted._running_moments(), False, stacklevel=4)
        return fitted

    def _mapped(self, function, X):
        local = self._look().to_local()
        # A block may be an input of other tasks, too.
        local.copy = True
        X = whole_rows(X, "X", 2, 3)
        example = function(local, row_of_zeros(X, local.n_features_in_))[:0]
        if is_frame(X):
            example = example.set_index(X._meta.index)
        return map_rows(function, local, X, example)


def _fitted_to_block(template, X, sample_weight=None):
    """A transformer fitted to a block; None if the block has no rows of positive weight."""
    if sample_weight is not None:
        check_consistent_length(X, sample_weight)
        refuse_masked(sample_weight=sample_weight)
        sample_weight = np.asarray(sample_weight)
    if X.shape[0] == 0 or (sample_weight is not None and not sample_weight.any()):
        return None
    return BatchNormTransformer(**template.get_params(deep=False)).fit(
        X, sample_weight=sample_weight
    )


def _merged(parts):
    parts = [part for part in parts if part is not None]
    # The first part is the result of another task, which may be asked for once more.
    return reduce(BatchNormTransformer.merge, parts[1:], copied(parts[0])) if parts else None


def _transformed(transformer, X):
    # The settings of scikit-learn in this thread are not the settings of the caller.
    with config_context(transform_output="default"):
        return _in_the_form_of(X, transformer.transform(X))


def _transformed_back(transformer, X):
    return _in_the_form_of(X, transformer.inverse_transform(X))


def _in_the_form_of(X, rows):
    if not hasattr(X, "columns"):
        return rows
    return type(X)(rows, index=X.index, columns=X.columns)
