"""The ensemble of perceptrons with batch normalization, for real targets."""

from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from skbn.estimators.annotations import Floats, MatrixLike, fit_context
from skbn.estimators.ensemble import BaseMLPEnsembleWithBatchNorm
from skbn.estimators.mlp_regressor import MLPWithBatchNormRegressor
from skbn.estimators.real_targets import RealTargets
from skbn.estimators.regression import NetworkRegressorMixin
from skbn.estimators.state import check_numbers


class MLPEnsembleWithBatchNormRegressor(NetworkRegressorMixin, BaseMLPEnsembleWithBatchNorm):
    """A few perceptrons with batch normalization that see the columns differently, for numbers.

    The ensemble trains several perceptrons, its members, and predicts the mean of their
    predictions. The members differ in the periodic embedding of the columns [2]_, in their initial
    weights, and in the rows that they hold out. Use the ensemble where accuracy matters more than
    time. A single :class:`MLPWithBatchNormRegressor` takes a third of the time, and has ``coefs_``
    and ``to_sklearn``.

    Parameters
    ----------
    estimator : MLPWithBatchNormRegressor or None, default=None
        The perceptron that is cloned for each member. None: ``MLPWithBatchNormRegressor()``. The
        ensemble sets the parameters `periodic_embedding` and `random_state` of each member, and
        does not use the parameters `verbose` and `warm_start`. The solver must not be 'lbfgs',
        because L-BFGS has no epochs.

    periodic_embeddings : array-like of (float or None), default=(None, 1.0, 2.5)
        The constant c of the periodic embedding of each member (see `periodic_embedding` of the
        perceptron), or None for a member without an embedding. There is one member for each entry.
        Members with equal entries differ by their seeds and their held-out rows.

    n_jobs : int or None, default=None
        Number of threads that train the members side by side. Each thread uses one thread of the
        BLAS. The fitted ensemble does not depend on `n_jobs`. None: the number that
        ``joblib.parallel_config`` sets, or else the number that the cores, ``OMP_NUM_THREADS`` and
        threadpoolctl allow. -1: all cores. In a worker of joblib (for example in a search that runs
        in parallel) None is one thread, and a number is limited to the threads that joblib leaves
        to the worker.

    random_state : int, RandomState instance or None, default=None
        Determines the seed of each member, and so its initial weights, the order of its rows and
        the rows that it holds out.

    verbose : bool, default=False
        Whether to print the mean loss of the members after every epoch. Under the schedules
        'one_cycle' and 'cosine' the remaining seconds are printed, too.

    Attributes
    ----------
    estimators_ : list of MLPWithBatchNormRegressor
        The fitted members. The ensemble clips the predictions of the members to the range of the
        training targets; the members themselves do not clip.

    loss_curve_ : list of float
        Training loss of each epoch, the mean over the members.

    learning_rate_curve_ : list of float
        Learning rate of the first mini-batch of each epoch in the first member.

    best_loss_ : float or None
        Smallest mean training loss of an epoch. None if the members have ``early_stopping=True``.

    validation_scores_ : list of float or None
        Scores on the validation rows of all members after the epochs `validation_epochs_`. None
        without validation rows.

    validation_loss_curve_ : list of float or None
        Losses on the validation rows, without the penalty, after the epochs `validation_epochs_`:
        the mean over the members. None without validation rows.

    validation_epochs_ : list of int or None
        The epochs after which the validation rows were scored, counted from 1. None without
        validation rows.

    best_validation_score_ : float or None
        Best score on the validation rows. None without validation rows.

    kept_epoch_ : int
        The epoch whose networks predict, counted from 1 and the same for all members. It is the
        last epoch of `loss_curve_`, unless early stopping has kept the networks of an earlier
        epoch. An incomplete epoch, which Ctrl-C has ended, is not counted.

    n_iter_ : int
        Number of epochs of the last call.

    n_epochs_ : int
        Maximum number of epochs of the last call, after 'auto' is resolved.

    n_outputs_ : int
        Number of outputs of each member.

    n_features_in_ : int
        Number of columns of `X`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of `X`. Exists if all names are strings.

    See Also
    --------
    MLPWithBatchNormRegressor : The network of one member.
    MLPEnsembleWithBatchNormClassifier : The same ensemble for classes.

    Notes
    -----
    Each member holds out its own random tenth of the rows, if there are at least 1,000 rows
    (parameters `early_stopping` and `validation_fraction` of `estimator`). So every row trains most
    of the members [1]_. Each member predicts its own held-out rows, and the predictions of all
    members together make one pool. The pool chooses one checkpoint for all members: the last
    checkpoint, unless the best checkpoint is better by more than half a standard error.

    The pool differs in three cases. With `scoring` other than 'loss' the score is the mean of the
    members' scores on their own rows. If `X_val` is given, no row is held out, and the pool is the
    mean of the members' raw outputs for `X_val`, which are not clipped. With ``shuffle=False`` all
    members hold out the last rows, and the pool is the mean of the members' raw outputs for these
    rows.

    Each prediction of a member is clipped to the range of the targets that the ensemble was trained
    on. So one member that goes astray on an unusual row does not spoil the mean.

    Set callbacks on the ensemble; they are called in the thread that called ``fit``. The ensemble
    takes `sample_weight` and the validation rows, and gives them to all members. Set metadata
    requests on the ensemble, too: requests that are set on `estimator` are ignored.

    References
    ----------
    .. [1] Lakshminarayanan, Pritzel and Blundell (2017), "Simple and scalable predictive
       uncertainty estimation using deep ensembles", section 2.
    .. [2] Holzmüller, Grinsztajn and Steinwart (2024), "Better by default: strong pre-tuned MLPs
       and boosted trees on tabular data", section 3, https://arxiv.org/abs/2407.04491.

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from sklearn.model_selection import train_test_split
    >>> from skbn import MLPEnsembleWithBatchNormRegressor
    >>> X, y = make_friedman1(1000, random_state=0)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> reg = MLPEnsembleWithBatchNormRegressor(random_state=0).fit(X_train, y_train)
    >>> reg.score(X_test, y_test) > 0.9
    True
    >>> reg.predict_members(X_test).shape
    (3, 250)
    """

    if TYPE_CHECKING:
        estimators_: list[MLPWithBatchNormRegressor]

    _kind = MLPWithBatchNormRegressor

    _parameter_constraints: dict = {
        **BaseMLPEnsembleWithBatchNorm._parameter_constraints,
        "estimator": [MLPWithBatchNormRegressor, None],
    }

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train the members side by side.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, at least two with batch norm. The columns need not be scaled.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets, in any unit.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0, for the losses. Moderate weights also count in batch
            statistics (see the notes of the perceptron).
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation rows for all members. None: each member holds out its own rows.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Targets of the validation rows.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows, for the score and the loss.

        Returns
        -------
        self : MLPEnsembleWithBatchNormRegressor

        Raises
        ------
        ValueError
            If the data are not finite or do not fit each other, if there are too few rows, or if
            the loss of a member stops being finite and there is no earlier epoch to go back to. The
            ensemble is then as before the call.

        Warns
        -----
        ConvergenceWarning
            If the loss still improves after `max_iter` epochs under a schedule other than
            'one_cycle' and 'cosine'. If the loss stops being finite and `early_stopping` goes back
            to an earlier epoch.
        UserWarning
            On Ctrl-C: the training of all members ends, and each member keeps the weights of its
            last complete block of mini-batches. If `X_val` is given but `early_stopping` of the
            members does not use it. If ``shuffle=False`` and the mini-batches are unlike the whole,
            with batch norm.
        """
        given_validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, given_validation, incremental=False)

    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train each member for one epoch on the given rows.

        Each member continues by itself. No checkpoint is chosen. The new targets may widen the
        range to which predictions are clipped.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. With batch norm a single row is normalized by the running statistics.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0.
        X_val, y_val, sample_weight_val : default=None
            Validation rows, as in ``fit``. Each call adds one entry to `validation_scores_` and to
            `validation_loss_curve_`.

        Returns
        -------
        self : MLPEnsembleWithBatchNormRegressor

        Raises
        ------
        ValueError
            For the reasons of ``fit``, and if `y` has another number of outputs than before.
        """
        given_validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, given_validation, incremental=True)

    def predict_members(self, X: MatrixLike) -> Floats:
        """Predictions of each member; their differences tell how sure the ensemble is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        y : ndarray of shape (n_members, n_samples) or (n_members, n_samples, n_outputs)
            Members are in the order of ``estimators_``. Predictions are clipped to the range of the
            training targets.

        Raises
        ------
        ValueError
            If `X` does not have the form of the rows that were fitted, or if an output is not a
            finite number.
        NotFittedError
            If nothing was fitted before.
        """
        fitted = self._look()
        predictions, dtype = fitted._predictions_of_members(X)
        return np.stack([fitted._targets.decode(one, dtype) for one in predictions])

    def _raw_outputs(self, X):
        predictions, dtype = self._predictions_of_members(X)
        return sum(predictions) / len(predictions), dtype

    def _predictions_of_members(self, X):
        """Predictions of each member in float64, clipped to the range of the training targets."""
        outputs, dtype = self._outputs_of_members(X)
        least, most = self._target_range
        predictions = []
        for member, z in zip(self.estimators_, outputs, strict=True):
            z = member._targets.decode(z, np.float64).reshape(z.shape)
            predictions.append(np.clip(z, least, most, out=z))
        return predictions, dtype

    @property
    def _targets(self):
        """Targets without a normalization: raw outputs are the mean of the members' predictions."""
        return RealTargets(
            type(self).__name__, "squared_error", self.n_outputs_, is_normalized=False
        )

    def _pooled_targets(self, fits, is_calibrated):
        return fits[0].targets

    def _target_attributes(self, targets, rows):
        # Plain members keep rows of weight 0. Such rows must not widen the range of the targets.
        y = rows.targets if rows.sample_weight is None else rows.targets[rows.sample_weight > 0.0]
        if "_target_range" in vars(self):
            y = np.concatenate([y, self._target_range])
        return {"_target_range": np.stack([y.min(axis=0), y.max(axis=0)])}

    def _check_target_attributes(self):
        shape = (2, self.estimators_[0].n_outputs_)
        check_numbers("_target_range", self._target_range, shape)
