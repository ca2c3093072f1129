"""The ensembles of perceptrons, whose members train on different workers of a Dask cluster."""

import numpy as np
from distributed import Client
from sklearn.utils import check_random_state

from skbn.dask.classification import DaskClassifier
from skbn.dask.estimator import DaskEstimator, local_alone
from skbn.dask.gang import run_on_workers, running_workers
from skbn.dask.model import DaskModel, with_client
from skbn.dask.placement import computed, together
from skbn.dask.regression import DaskRegressor
from skbn.data_parallel import fit_members, refuse_callbacks
from skbn.estimators.ensemble_classifier import MLPEnsembleWithBatchNormClassifier
from skbn.estimators.ensemble_regressor import MLPEnsembleWithBatchNormRegressor


class DaskEnsemble(DaskModel):
    """Mixin of the ensembles for Dask; not to be used by itself."""

    def _refuse_unsupported(self):
        refuse_callbacks(self)
        if isinstance(self.estimator, DaskEstimator):
            raise TypeError(
                f"estimator must be a local perceptron, not a {type(self.estimator).__name__}: the "
                "members train on arrays of a worker. Use its to_local()."
            )

    def _fitted_on_workers(self, client, blocks):
        ensemble = self._unfitted_local()
        if not isinstance(ensemble.random_state, (int, np.integer)):
            seed = check_random_state(ensemble.random_state).randint(np.iinfo(np.int32).max)
            ensemble.set_params(random_state=seed)
        # Each worker has all rows: they go from worker to worker, and not through this process.
        with computed(client, blocks) as futures:
            workers = running_workers(client)[: len(ensemble.periodic_embeddings)]
            arguments = dict.fromkeys(workers, (ensemble, *futures))
            return run_on_workers(client, _fitted_members, arguments)


def _fitted_members(communicator, ensemble, *blocks):
    return fit_members(ensemble, *together(blocks), communicator=communicator)


class DaskMLPEnsembleWithBatchNormClassifier(  # type: ignore[misc] # fit takes no validation rows
    DaskClassifier, DaskEnsemble, MLPEnsembleWithBatchNormClassifier
):
    """:class:`~skbn.MLPEnsembleWithBatchNormClassifier` for collections of Dask.

    The members train on different workers, each on all rows
    (:func:`skbn.data_parallel.fit_members`). So a worker must have room for all rows. The fitted
    ensemble is the ensemble of :class:`~skbn.MLPEnsembleWithBatchNormClassifier`.

    The parameters are the parameters of :class:`~skbn.MLPEnsembleWithBatchNormClassifier`, and
    `client`. `n_jobs` is the number of threads on each worker: one in the workers of a usual
    cluster, which are daemons. `verbose` prints in the process of the first worker. Callbacks are
    not supported.

    Parameters
    ----------
    client : distributed.Client, default=None
        The connection to the cluster. None: the current client. The client is not stored in files,
        and copies share the client.

    See Also
    --------
    skbn.MLPEnsembleWithBatchNormClassifier : The same for data in the memory of this process, with
        the fitted attributes that this class has, too.
    DaskMLPWithBatchNormClassifier : One perceptron, for more rows than one worker has room for.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_digits
    >>> from skbn import MLPWithBatchNormClassifier
    >>> from skbn.dask import DaskMLPEnsembleWithBatchNormClassifier
    >>> client = Client(processes=False, dashboard_address=None)
    >>> X, y = (da.from_array(part, chunks=600) for part in load_digits(return_X_y=True))
    >>> member = MLPWithBatchNormClassifier(n_epochs=5)
    >>> clf = DaskMLPEnsembleWithBatchNormClassifier(member, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9
    True
    >>> client.close()
    """

    _local_class = MLPEnsembleWithBatchNormClassifier
    _parameter_constraints = {
        **MLPEnsembleWithBatchNormClassifier._parameter_constraints,
        "client": [Client, None],
    }

    __init__ = with_client(MLPEnsembleWithBatchNormClassifier.__init__)
    partial_fit = local_alone(MLPEnsembleWithBatchNormClassifier.partial_fit)
    predict_members = local_alone(MLPEnsembleWithBatchNormClassifier.predict_members)


class DaskMLPEnsembleWithBatchNormRegressor(  # type: ignore[misc] # fit takes no validation rows
    DaskRegressor, DaskEnsemble, MLPEnsembleWithBatchNormRegressor
):
    """:class:`~skbn.MLPEnsembleWithBatchNormRegressor` for collections of Dask.

    The members train on different workers, each on all rows
    (:func:`skbn.data_parallel.fit_members`). So a worker must have room for all rows. The fitted
    ensemble is the ensemble of :class:`~skbn.MLPEnsembleWithBatchNormRegressor`.

    The parameters are the parameters of :class:`~skbn.MLPEnsembleWithBatchNormRegressor`, and
    `client`. `n_jobs` is the number of threads on each worker: one in the workers of a usual
    cluster, which are daemons. `verbose` prints in the process of the first worker. Callbacks are
    not supported.

    Parameters
    ----------
    client : distributed.Client, default=None
        The connection to the cluster. None: the current client. The client is not stored in files,
        and copies share the client.

    See Also
    --------
    skbn.MLPEnsembleWithBatchNormRegressor : The same for data in the memory of this process, with
        the fitted attributes that this class has, too.
    DaskMLPWithBatchNormRegressor : One perceptron, for more rows than one worker has room for.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import make_friedman1
    >>> from skbn.dask import DaskMLPEnsembleWithBatchNormRegressor
    >>> client = Client(processes=False, dashboard_address=None)
    >>> X, y = (da.from_array(part, chunks=500) for part in make_friedman1(2000, random_state=0))
    >>> reg = DaskMLPEnsembleWithBatchNormRegressor(random_state=0).fit(X, y)
    >>> reg.score(X, y) > 0.9
    True
    >>> client.close()
    """

    _local_class = MLPEnsembleWithBatchNormRegressor
    _parameter_constraints = {
        **MLPEnsembleWithBatchNormRegressor._parameter_constraints,
        "client": [Client, None],
    }

    __init__ = with_client(MLPEnsembleWithBatchNormRegressor.__init__)
    partial_fit = local_alone(MLPEnsembleWithBatchNormRegressor.partial_fit)
    predict_members = local_alone(MLPEnsembleWithBatchNormRegressor.predict_members)
