"""The perceptrons with batch normalization, trained by all workers of a Dask cluster together."""

from typing import Any

from distributed import Client

from skbn.dask.classification import DaskClassifier
from skbn.dask.estimator import local_alone
from skbn.dask.gang import run_on_workers
from skbn.dask.model import DaskModel, with_client
from skbn.dask.placement import blocks_of_workers, computed, together
from skbn.dask.regression import DaskRegressor
from skbn.data_parallel import fit, refuse_unsupported
from skbn.estimators.mlp_classifier import MLPWithBatchNormClassifier
from skbn.estimators.mlp_regressor import MLPWithBatchNormRegressor


class DaskPerceptron(DaskModel):
    """Mixin of the perceptrons for Dask; not to be used by itself."""

    def hidden_activations(self, X: Any, layer: int = -1) -> Any:
        """Outputs of a hidden layer, as the network computes them for a prediction, lazily.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features), or dask DataFrame
            The rows.
        layer : int, default=-1
            Number of the hidden layer, counted from 0. A negative number counts from the last
            hidden layer.

        Returns
        -------
        activations : dask array of shape (n_samples, n_units)
            Nothing is computed yet.

        Raises
        ------
        IndexError
            If the network has no such hidden layer.
        TypeError
            If `X` is no collection of Dask; if `layer` is not an integer.
        ValueError
            If `X` has other features than the fitted rows.
        NotFittedError
            If nothing was fitted before.
        """
        return self._lazily("hidden_activations", X, layer=layer)

    def _refuse_unsupported(self):
        refuse_unsupported(self)

    def _fitted_on_workers(self, client, blocks):
        estimator = self.to_local() if self.warm_start else self._unfitted_local()
        with computed(client, blocks) as futures:
            of_workers = blocks_of_workers(client, futures)
            arguments = {worker: (estimator, *parts) for worker, parts in of_workers.items()}
            return run_on_workers(client, _fitted_together, arguments)


def _fitted_together(communicator, estimator, *blocks):
    return fit(estimator, *together(blocks), communicator=communicator)


class DaskMLPWithBatchNormClassifier(  # type: ignore[misc] # fit takes no validation rows
    DaskClassifier, DaskPerceptron, MLPWithBatchNormClassifier
):
    """:class:`~skbn.MLPWithBatchNormClassifier` for collections of Dask.

    Each worker trains on the blocks of rows that it holds. In each step the workers add up their
    statistics for batch norm and their gradients (:func:`skbn.data_parallel.fit`). So the network
    is the network that one process would train on the same mini-batches, up to rounding.

    The parameters are the parameters of :class:`~skbn.MLPWithBatchNormClassifier`, and `client`.
    These parameters have another meaning or fewer values:

    - `batch_size` is the number of rows of a mini-batch over all workers. ``"auto"`` is up to 4096
      rows.
    - ``normalize_input="auto"`` is ``"smooth_clip"``, and ``"robust"`` is not supported, because
      quartiles do not merge.
    - `verbose` prints in the process of the first worker.
    - ``solver="lbfgs"``, a scorer as `scoring`, and callbacks are not supported.

    Parameters
    ----------
    client : distributed.Client, default=None
        The connection to the cluster. None: the current client. The client is not stored in files,
        and copies share the client.

    See Also
    --------
    skbn.MLPWithBatchNormClassifier : The same for data in the memory of this process, with the
        fitted attributes that this class has, too.

    Notes
    -----
    A fit holds its workers until its end. Another fit of this package or of XGBoost on the same
    workers waits. If a worker is lost, the fit ends with an error.

    A worker trains on the rows that Dask has computed there, and needs memory for these rows twice.
    Persist the rows before (arrays by ``X, y = client.persist([X, y])``, a DataFrame as a whole by
    ``table = table.persist()``). Then the rows are computed once, and an integer as `random_state`
    gives the same network in each fit on the same workers.

    Validation rows are always held out from the rows of each worker: ``fit`` has no argument for
    other validation rows.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_digits
    >>> from skbn.dask import DaskMLPWithBatchNormClassifier
    >>> client = Client(processes=False, dashboard_address=None)
    >>> X, y = (da.from_array(part, chunks=600) for part in load_digits(return_X_y=True))
    >>> clf = DaskMLPWithBatchNormClassifier(n_epochs=10, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9
    True
    >>> clf.predict(X)
    dask.array<_of_block, shape=(1797,), dtype=int64, chunksize=(600,), chunktype=numpy.ndarray>
    >>> clf.to_local()
    MLPWithBatchNormClassifier(n_epochs=10, random_state=0)
    >>> client.close()
    """

    _local_class = MLPWithBatchNormClassifier
    _parameter_constraints = {
        **MLPWithBatchNormClassifier._parameter_constraints,
        "client": [Client, None],
    }

    __init__ = with_client(MLPWithBatchNormClassifier.__init__)
    partial_fit = local_alone(MLPWithBatchNormClassifier.partial_fit)


class DaskMLPWithBatchNormRegressor(  # type: ignore[misc] # fit takes no validation rows
    DaskRegressor, DaskPerceptron, MLPWithBatchNormRegressor
):
    """:class:`~skbn.MLPWithBatchNormRegressor` for collections of Dask.

    Each worker trains on the blocks of rows that it holds. In each step the workers add up their
    statistics for batch norm and their gradients (:func:`skbn.data_parallel.fit`). So the network
    is the network that one process would train on the same mini-batches, up to rounding.

    The parameters are the parameters of :class:`~skbn.MLPWithBatchNormRegressor`, and `client`. The
    same parameters as in :class:`DaskMLPWithBatchNormClassifier` have another meaning or fewer
    values.

    Parameters
    ----------
    client : distributed.Client, default=None
        The connection to the cluster. None: the current client. The client is not stored in files,
        and copies share the client.

    See Also
    --------
    skbn.MLPWithBatchNormRegressor : The same for data in the memory of this process, with the
        fitted attributes that this class has, too.

    Notes
    -----
    A fit holds its workers until its end. Another fit of this package or of XGBoost on the same
    workers waits. If a worker is lost, the fit ends with an error. The notes of
    :class:`DaskMLPWithBatchNormClassifier` hold here, too.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import make_friedman1
    >>> from skbn.dask import DaskMLPWithBatchNormRegressor
    >>> client = Client(processes=False, dashboard_address=None)
    >>> X, y = (da.from_array(part, chunks=500) for part in make_friedman1(2000, random_state=0))
    >>> reg = DaskMLPWithBatchNormRegressor(random_state=0).fit(X, y)
    >>> reg.score(X, y) > 0.9
    True
    >>> client.close()
    """

    _local_class = MLPWithBatchNormRegressor
    _parameter_constraints = {
        **MLPWithBatchNormRegressor._parameter_constraints,
        "client": [Client, None],
    }

    __init__ = with_client(MLPWithBatchNormRegressor.__init__)
    partial_fit = local_alone(MLPWithBatchNormRegressor.partial_fit)
