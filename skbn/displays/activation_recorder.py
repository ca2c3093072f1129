"""A callback that records the inputs of activations while a network is trained."""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_scalar

from skbn.estimators.annotations import MatrixLike
from skbn.estimators.hidden_layers import inputs_of_activations, number_of_layer
from skbn.estimators.mlp import BaseMLPWithBatchNorm

# The quantiles of figure 1 of Ioffe and Szegedy (2015).
QUANTILES = (0.15, 0.5, 0.85)


@dataclass
class ActivationRecord:
    """The record of one training, made by an :class:`ActivationRecorder`.

    Attributes
    ----------
    layer : int
        Number of the hidden layer with the units, counted from 0.

    units : tuple of int
        Numbers of the units, counted from 0.

    epochs : list of int
        The epochs after which values were recorded, counted from 1.

    rows_seen : list of int
        Number of training rows seen after these epochs (``t_``). A row counts once in each epoch.

    quantiles : list of ndarray of shape (n_units, 3)
        For each recorded epoch the 15, 50 and 85 % quantiles of the inputs of the activation of
        each unit.

    means, stds : list of ndarray of shape (n_layers,)
        For each recorded epoch the mean and the standard deviation of the inputs of the activations
        of each hidden layer, over all rows and units.
    """

    layer: int
    units: tuple
    epochs: list = field(default_factory=list)
    rows_seen: list = field(default_factory=list)
    quantiles: list = field(default_factory=list)
    means: list = field(default_factory=list)
    stds: list = field(default_factory=list)
    # Training loss of the last of the epochs, by which a later state of the network is known.
    _loss: float | None = field(default=None, init=False, repr=False, compare=False)


class ActivationRecorder:
    """Records the inputs of the activations of a perceptron during training.

    An activation is the nonlinear function of a hidden unit. Its inputs are the outputs of batch
    norm under ``batch_norm="before"``, and otherwise the outputs of the linear map. The rows `X` go
    through the network as in a prediction: batch norm uses running statistics, and dropout drops
    nothing. During ``fit`` the exact statistics of the training rows take the place of the running
    statistics, as at the end of ``fit``. They are computed at the end of each epoch, also of the
    epochs that `every` skips, because scikit-learn hands over the network of every epoch. This
    takes about the time of a prediction of all training rows.

    There are two ways to record. From scikit-learn 1.9 on, a recorder is a callback: call
    ``mlp.set_callbacks(recorder)`` before ``fit``. In every version of scikit-learn, call
    :meth:`record` after each call of ``partial_fit``.

    Each call of ``fit`` begins a new record in `records_`. Clones share their callbacks, so the
    recorder of a grid search has one record for each fit. Records made in other processes
    (``n_jobs`` with joblib's default backend) stay in these processes. A pickled recorder keeps
    its records and `X`. After loading, :meth:`record` begins a new record.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The rows on which the inputs are recorded. Some hundreds of rows suffice. A network in a
        :class:`~sklearn.pipeline.Pipeline` gets rows that earlier steps have transformed, so `X`
        must be transformed, too.

    layer : int, default=-1
        Number of the hidden layer with the units, counted from 0. Negative numbers count from the
        last hidden layer.

    units : int or sequence of int, default=(0,)
        Numbers of the units in the hidden layer `layer` whose quantiles are recorded.

    every : int, default=1
        The callback records after every `every`-th epoch.

    Attributes
    ----------
    records_ : list of ActivationRecord
        One record for each training, in the order in which the trainings began.

    See Also
    --------
    ActivationDriftDisplay : Draws the records.

    References
    ----------
    Ioffe and Szegedy (2015), "Batch normalization: accelerating deep network training by reducing
    internal covariate shift", figure 1 (b, c).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skbn import ActivationRecorder, MLPWithBatchNormClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> recorder = ActivationRecorder(X[:200], units=(0, 1))
    >>> mlp = MLPWithBatchNormClassifier(random_state=0)
    >>> for _ in range(3):
    ...     recorder.record(mlp.partial_fit(X, y, classes=range(10)))
    >>> recorder.records_[-1].epochs
    [1, 2, 3]
    >>> recorder.records_[-1].quantiles[0].shape
    (2, 3)
    """

    def __init__(
        self,
        X: MatrixLike,
        *,
        layer: int = -1,
        units: int | Sequence[int] = (0,),
        every: int = 1,
    ) -> None:
        check_scalar(layer, "layer", Integral)
        check_scalar(every, "every", Integral, min_val=1)
        numbers = tuple(units) if np.iterable(units) else (units,)
        for unit in numbers:
            check_scalar(unit, "a unit", Integral, min_val=0)
        if not numbers:
            raise ValueError("units has no unit: give one at least.")
        self.X = X
        self.layer = layer
        self.units = tuple(int(unit) for unit in numbers)
        self.every = every
        self.records_: list[ActivationRecord] = []
        self._begin()

    def _begin(self):
        # The estimator of each record, and the fits that are going on.
        self._owned, self._fits = [], {}

    def record(self, estimator: BaseMLPWithBatchNorm) -> None:
        """Record the inputs of the activations of a fitted network.

        The values are added to the record of this estimator, whether ``fit`` or this method began
        the record. For an estimator that was fitted anew a new record begins.

        Parameters
        ----------

        estimator : MLPWithBatchNormClassifier or MLPWithBatchNormRegressor
            A fitted network.

        Raises
        ------
        IndexError
            If the network has no such layer or unit.
        NotFittedError
            If nothing was fitted before.
        TypeError
            If `estimator` is no perceptron of this package.
        ValueError
            If the network does not take the rows `X`.
        """
        _check_kind(estimator)
        fitted = estimator._look()
        looked = self._look(fitted)
        owned = [record for owner, record in self._owned if owner() is estimator]
        if not owned or not _goes_on(owned[-1], fitted, looked):
            owned.append(self._new_record(estimator))
        _add(owned[-1], fitted, looked)

    # The hooks of a callback (scikit-learn 1.9 and later).

    def setup(self, estimator: BaseMLPWithBatchNorm, context: Any) -> None:
        """Begin a record; scikit-learn calls this method at the beginning of a fit."""
        _check_kind(estimator)
        # No other context has this `id` while the context is kept.
        self._fits[id(context)] = context, self._new_record(estimator)

    def on_fit_task_begin(self, estimator: BaseMLPWithBatchNorm, context: Any) -> None:
        """Do nothing; scikit-learn calls this method at the beginning of a fit and of an epoch."""

    def on_fit_task_end(
        self,
        estimator: BaseMLPWithBatchNorm,
        context: Any,
        *,
        fitted_estimator: BaseMLPWithBatchNorm,
    ) -> None:
        """Record the epoch; scikit-learn calls this method at the end of an epoch and of a fit."""
        if context.task_name != "epoch" or (context.task_id + 1) % self.every:
            return
        _, record = self._fits[id(context.parent)]
        fitted = fitted_estimator._look()
        _add(record, fitted, self._look(fitted))

    def teardown(self, estimator: BaseMLPWithBatchNorm, context: Any) -> None:
        """Forget the context; scikit-learn calls this method at the end of a fit."""
        self._fits.pop(id(context), None)

    def _new_record(self, estimator):
        # Fits in several threads may begin at once.
        record = ActivationRecord(self.layer, self.units)
        self._owned.append((weakref.ref(estimator), record))
        self.records_.append(record)
        return record

    def _look(self, fitted):
        """The number of the layer, quantiles of units, and means and deviations of layers."""
        chosen = None
        means, stds = [], []
        n_layers = len(fitted.coefs_) - 1
        layer = number_of_layer(self.layer, n_layers)
        for number, inputs in enumerate(inputs_of_activations(fitted, self.X)):
            means.append(inputs.mean(dtype=np.float64))
            stds.append(inputs.std(dtype=np.float64))
            if number == layer:
                chosen = inputs
        n_units = chosen.shape[1]
        if max(self.units) >= n_units:
            raise IndexError(
                f"unit {max(self.units)} is not there: layer {layer} has {n_units} units "
                f"(0 to {n_units - 1})."
            )
        columns = chosen[:, self.units].astype(np.float64)
        return layer, np.quantile(columns, QUANTILES, axis=0).T, np.array(means), np.array(stds)

    def __getstate__(self):
        # Weak references and a fit that is going on cannot be pickled.
        return {name: value for name, value in vars(self).items() if name[0] != "_"}

    def __setstate__(self, state):
        vars(self).update(state)
        self._begin()


def _check_kind(estimator):
    if not isinstance(estimator, BaseMLPWithBatchNorm):
        raise TypeError(
            "ActivationRecorder looks at a MLPWithBatchNormClassifier or a "
            f"MLPWithBatchNormRegressor, got {type(estimator).__name__}. In a Pipeline, set the "
            "callback on the last step; of an ensemble, record one member of estimators_ by hand."
        )


def _goes_on(record, fitted, looked):
    """Whether a fitted network is a later state of the network that a record belongs to."""
    if not record.epochs:
        return True
    losses = getattr(fitted, "loss_curve_", ())
    n = record.epochs[-1]
    is_later = len(losses) > n and losses[n - 1] == record._loss
    return is_later and len(record.means[-1]) == len(looked[2])


def _add(record, fitted, looked):
    record.layer, quantiles, means, stds = looked
    record.quantiles.append(quantiles)
    record.means.append(means)
    record.stds.append(stds)
    record.rows_seen.append(int(fitted.t_))
    record.epochs.append(_n_epochs(fitted))
    losses = getattr(fitted, "loss_curve_", ())
    record._loss = losses[-1] if len(losses) else None


def _n_epochs(fitted):
    # All epochs of the network, including the epochs of earlier calls. L-BFGS has iterations.
    return len(getattr(fitted, "loss_curve_", ())) or int(fitted.n_iter_)
