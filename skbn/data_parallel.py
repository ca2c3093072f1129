"""Data-parallel training: several processes train one perceptron, each on rows of its own.

The statistics of batch norm are the statistics of the rows of all processes ("synchronized" batch
norm), and so are the gradients. The fitted network is therefore the network that one process would
train on the same mini-batches, up to rounding.
"""

from numbers import Integral
from typing import Any, Protocol, TypeVar
from zlib import crc32

from numpy.typing import ArrayLike, NDArray

from skbn.estimators import alike
from skbn.estimators.annotations import MatrixLike
from skbn.estimators.ensemble import BaseMLPEnsembleWithBatchNorm
from skbn.estimators.mlp import BaseMLPWithBatchNorm
from skbn.network.processes import Processes

__all__ = ["Communicator", "fit", "fit_members"]

Perceptron = TypeVar("Perceptron", bound=BaseMLPWithBatchNorm)
Ensemble = TypeVar("Ensemble", bound=BaseMLPEnsembleWithBatchNorm)


class Communicator(Protocol):
    """The connection between the processes. ``MPI.COMM_WORLD`` of mpi4py has this form.

    Attributes
    ----------
    rank : int
        The number of this process, counted from 0.
    size : int
        The number of processes.
    """

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def Allreduce(self, sendbuf: NDArray[Any], recvbuf: NDArray[Any]) -> None:
        """Write the sum of the arrays `sendbuf` of all processes to `recvbuf` in each process.

        Parameters
        ----------
        sendbuf, recvbuf : ndarray of float64, int64 or uint8
            Contiguous arrays of one shape and dtype. All processes get the same bits.
        """


def fit(
    estimator: Perceptron,
    X: MatrixLike,
    y: MatrixLike,
    sample_weight: ArrayLike | None = None,
    *,
    communicator: Communicator,
) -> Perceptron:
    """Fit a perceptron to the rows of several processes. All processes call this function.

    Each mini-batch takes rows of all processes, in proportion to their numbers of rows.
    `batch_size` is the number of rows of the whole mini-batch. ``"auto"`` is up to 4096 rows here,
    because each step costs some messages. With ``shuffle=True`` each process shuffles its own
    rows. Each process holds out its share of the validation rows.

    Parameters
    ----------
    estimator : MLPWithBatchNormClassifier or MLPWithBatchNormRegressor
        Has the same parameters in all processes, and is fitted in place. For ``warm_start`` all
        processes give the same fitted network. The first process determines the random numbers,
        and prints if `verbose` is true. ``normalize_input="auto"`` is ``"smooth_clip"``, because
        quartiles of different rows do not merge.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The rows of this process, at least one.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets of these rows. A class may be missing in a process.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of these rows, >= 0, at least one of them positive. Either all processes give
        weights, or none.
    communicator : Communicator
        The connection between the processes, for example ``mpi4py.MPI.COMM_WORLD``.

    Returns
    -------
    estimator : object
        `estimator` itself. All processes have the same fitted network.

    Raises
    ------
    TypeError
        If `estimator` is no perceptron of this package, or `communicator` is no communicator.
    ValueError
        If a parameter is not supported in several processes: ``solver="lbfgs"``,
        ``normalize_input="robust"``, a scorer as `scoring`, callbacks. For the reasons of the
        ``fit`` of the estimator. If the estimators of the processes differ. An error about the
        parameters or the rows of one process is raised in all processes.
    KeyboardInterrupt
        On Ctrl-C, also in the middle of the training: a network that one process leaves early would
        not be the network of the others.

    Notes
    -----
    An error that only one process has, such as too little memory or Ctrl-C, leaves the other
    processes waiting. ``mpiexec python -m mpi4py script.py`` then ends them all.

    References
    ----------
    Goyal et al. (2017), "Accurate, large minibatch SGD: training ImageNet in 1 hour",
    https://arxiv.org/abs/1706.02677, for data-parallel training.

    Peng et al. (2018), "MegDet: a large mini-batch object detector",
    https://arxiv.org/abs/1711.07240, for batch norm over several processes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skbn import MLPWithBatchNormClassifier
    >>> from skbn.data_parallel import fit
    >>> class OneProcess:
    ...     rank, size = 0, 1
    ...     def Allreduce(self, sendbuf, recvbuf):
    ...         recvbuf[...] = sendbuf
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = MLPWithBatchNormClassifier(n_epochs=5, random_state=0)
    >>> clf = fit(clf, X, y, communicator=OneProcess())
    >>> clf.score(X, y) > 0.9
    True
    """
    return _fitted(estimator, X, y, sample_weight, communicator, refuse_unsupported)


def fit_members(
    ensemble: Ensemble,
    X: MatrixLike,
    y: MatrixLike,
    sample_weight: ArrayLike | None = None,
    *,
    communicator: Communicator,
) -> Ensemble:
    """Fit an ensemble whose members train in several processes. All processes call this function.

    Each process trains some members, on all rows. The processes exchange predictions for held-out
    rows at each checkpoint. The fitted ensemble is the ensemble that one process would fit, up to
    rounding.

    Parameters
    ----------
    ensemble : MLPEnsembleWithBatchNormClassifier or MLPEnsembleWithBatchNormRegressor
        Has the same parameters in all processes, with an integer as `random_state`, and is fitted
        in place.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        All rows, the same in each process.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets of all rows.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of all rows, >= 0.
    communicator : Communicator
        The connection between the processes, which are at most as many as the members.

    Returns
    -------
    ensemble : object
        `ensemble` itself, with all members in each process.

    Raises
    ------
    TypeError
        If `ensemble` is no ensemble of this package, or `communicator` is no communicator.
    ValueError
        If `random_state` is no integer, so that the processes would draw different seeds; if the
        ensemble has callbacks; if there are more processes than members. For the reasons of the
        ``fit`` of the ensemble. If the ensembles or the rows of the processes differ. An error of
        one process is raised in all processes.
    """
    return _fitted(ensemble, X, y, sample_weight, communicator, _refuse_unsupported_members)


def _fitted(estimator, X, y, sample_weight, communicator, refuse):
    processes = Processes(communicator)
    # What one process refuses, all processes refuse. Otherwise the others would wait for it.
    with processes.agreement():
        refuse(estimator)
        estimator._validate_params()
    _refuse_other_estimators(estimator, processes)
    no_validation_rows = None, None, None
    return estimator._fit(
        X, y, sample_weight, no_validation_rows, incremental=False, processes=processes
    )


def _refuse_other_estimators(estimator, processes):
    def state():
        of_class = {"the class": type(estimator)}
        # The first process determines the random numbers of a perceptron. All else must be equal in
        # all processes, and so must the seeds of the members.
        if isinstance(estimator, BaseMLPWithBatchNorm):
            parameters = estimator.get_params()
            ignored = "verbose", "random_state"
        else:
            # No perceptron is the same as the default perceptron.
            template = estimator._template()
            of_class["the class of the members"] = type(template)
            parameters = estimator.get_params(deep=False) | {
                f"estimator__{name}": value for name, value in template.get_params().items()
            }
            ignored = "verbose", "estimator__random_state"
        state = {name: (alike.name_of(kind),) * 2 for name, kind in of_class.items()}
        for name, value in parameters.items():
            if name != "estimator" and not name.endswith(ignored):
                text = getattr(value, "__qualname__", repr(value))
                state[f"the parameter {name}"] = alike.plain(value), text
        goes_on = getattr(estimator, "warm_start", False) and estimator.__sklearn_is_fitted__()
        crc = crc32(estimator._parameters.tobytes() if goes_on else b"")
        state["the fitted network that warm_start continues"] = crc, crc
        classes = getattr(estimator, "classes_", None) if goes_on else None
        state["classes_ of the fitted network"] = alike.plain(classes), str(classes)
        return state

    alike.refuse_differences(processes, state, "estimator")


def refuse_unsupported(estimator: Any) -> None:
    """Refuse an estimator that several processes cannot train.

    Raises
    ------
    TypeError
        If `estimator` is no perceptron.
    ValueError
        If a parameter is not supported. The message names the parameter.
    """
    if not isinstance(estimator, BaseMLPWithBatchNorm):
        raise TypeError(
            "Several processes train an MLPWithBatchNormClassifier or MLPWithBatchNormRegressor, "
            f"not {type(estimator).__name__}."
        )
    if estimator.solver == "lbfgs":
        raise ValueError(
            "solver='lbfgs' is not supported in several processes, which train on mini-batches: "
            "use 'adam', 'sgd' or 'rmsprop'."
        )
    if estimator.normalize_input == "robust":
        raise ValueError(
            "normalize_input='robust' is not supported in several processes, because the quartiles "
            "of their rows do not merge: use 'auto', 'smooth_clip' or 'standard'."
        )
    if estimator.scoring not in (None, "loss"):
        raise ValueError(
            f"scoring={estimator.scoring!r} is not supported in several processes, because a "
            "scorer needs the validation rows of all processes: use None or 'loss'."
        )
    refuse_callbacks(estimator)


def _refuse_unsupported_members(ensemble):
    if not isinstance(ensemble, BaseMLPEnsembleWithBatchNorm):
        raise TypeError(
            "The members of an MLPEnsembleWithBatchNormClassifier or "
            "MLPEnsembleWithBatchNormRegressor train in several processes, not the members of "
            f"{type(ensemble).__name__}."
        )
    if not isinstance(ensemble.random_state, Integral):
        raise ValueError(
            f"random_state={ensemble.random_state!r} would give each process other seeds: give an "
            "integer."
        )
    refuse_callbacks(ensemble)


def refuse_callbacks(estimator: Any) -> None:
    """Refuse an estimator with callbacks.

    Raises
    ------
    ValueError
        If the estimator has any callback.
    """
    if getattr(estimator, "_skl_callbacks", None):
        raise ValueError("Callbacks are not supported in several processes.")
