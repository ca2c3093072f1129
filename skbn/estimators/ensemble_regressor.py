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

    The members differ in the periodic embedding of the columns [2]_, in their initial weights, and
    in the rows that they hold out. The ensemble predicts the mean of their predictions. Use it
    where accuracy matters more than time: a single :class:`MLPWithBatchNormRegressor` takes a third
    of its time, and has ``coefs_`` and ``to_sklearn``.

    Parameters
    ----------
    estimator : MLPWithBatchNormRegressor or None, default=None
        The member to clone; None stands for ``MLPWithBatchNormRegressor()``. The ensemble
        sets its `periodic_embedding` and `random_state`, and does not use its `verbose` and
        `warm_start`. Its solver must not be 'lbfgs', which has no epochs.

    periodic_embeddings : array-like of (float or None), default=(None, 1.0, 2.5)
        One member for each entry: the constant c of its periodic embedding, or None for a member
        without one. Members of equal entries differ by their seeds and their held-out rows.

    n_jobs : int or None, default=None
        Threads that train the members side by side, each with one thread of the BLAS. The fitted
        ensemble does not depend on the number. None is the number that the cores,
        ``OMP_NUM_THREADS`` and threadpoolctl allow, or that ``joblib.parallel_config`` sets; -1 is
        all cores. In a worker of joblib,
        as in a search that runs in parallel, None is one thread, and a number is at most the number
        of threads that joblib leaves to the worker.

    random_state : int, RandomState instance or None, default=None
        Determines the seeds of the members: their initial weights, the order of their rows, and the
        rows that they hold out.

    verbose : bool, default=False
        Whether to print the mean loss of the members after every epoch and, of a planned schedule,
        how many seconds are left.

    Attributes
    ----------
    estimators_ : list of MLPWithBatchNormRegressor
        The fitted members. Their predictions are not clipped.

    loss_curve_ : list of float
        Mean over the members of their training losses in each epoch.

    learning_rate_curve_ : list of float
        Learning rate of the first mini-batch of each epoch, in the first member.

    best_loss_ : float or None
        Least mean loss of an epoch; None with ``early_stopping=True`` of the members.

    validation_scores_ : list of float or None
        Score on the validation rows of all members after the epochs `validation_epochs_`; None
        without validation rows.

    validation_loss_curve_ : list of float or None
        Mean loss (without the penalty) on the validation rows of all members after the epochs
        `validation_epochs_`; None without validation rows.

    validation_epochs_ : list of int or None
        The epochs of these scores, counted from 1.

    best_validation_score_ : float or None
        The best of those scores.

    n_iter_ : int
        Epochs of the last call.

    n_epochs_ : int
        Epochs at most of the last ``fit``, after 'auto'.

    n_outputs_ : int
        Number of outputs of each member.

    n_features_in_ : int
        Number of columns of `X`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where `X` had string names.

    See Also
    --------
    MLPWithBatchNormRegressor : The network of one member.
    MLPEnsembleWithBatchNormClassifier : The same ensemble for classes.

    Notes
    -----
    From 1,000 rows on each member holds out its own random tenth of the rows (`early_stopping` and
    `validation_fraction` of `estimator`), so every row trains most of the members [1]_. The
    held-out rows of all members, each predicted by its own member, make one pool. The pool chooses
    one checkpoint for all members: the last, unless the best one is better by more than half
    a standard error. With `scoring` other than 'loss' the score is the mean of the members' scores
    on their own rows. Where `X_val` is given, no row is held out, and the pool is the mean of the
    members' raw outputs for `X_val`, not clipped. With ``shuffle=False`` all members hold out the
    last rows, and the pool is their mean, too.

    No prediction of a member is outside the range of the targets that the ensemble was trained on,
    so one member that goes astray on an unusual row does not spoil the mean.

    Callbacks are set on the ensemble, and called in the thread that called ``fit``. The ensemble
    itself takes `sample_weight` and the validation rows, and hands them to all members. Metadata
    requests set on `estimator` are ignored: set them on the ensemble.

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
            Training rows, at least two with batch norm. Need not be scaled.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets, in any unit.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the rows, in the losses; moderate ones in batch statistics too.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation rows for all members. None: each member holds out rows of its own.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights, in score and loss.

        Returns
        -------
        self : MLPEnsembleWithBatchNormRegressor

        Raises
        ------
        ValueError
            If the data are not finite or do not fit each other, if there are too few rows, or
            if the loss of a member stops being finite. The ensemble is then as before the call.

        Warns
        -----
        ConvergenceWarning
            If the loss still improves after `max_iter` epochs of a schedule without a plan.
        UserWarning
            On Ctrl-C, which ends the training of all members. Each member keeps the weights of its
            last complete block of mini-batches. If `X_val` is given and the members do not use it.
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

        Members go on by themselves: no checkpoint is chosen. The range of the targets grows by the
        new targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. A single row is normalized by the running statistics.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the rows.
        X_val, y_val, sample_weight_val : default=None
            Validation rows, as in ``fit``: each call adds to `validation_scores_` and
            `validation_loss_curve_`.

        Returns
        -------
        self : MLPEnsembleWithBatchNormRegressor

        Raises
        ------
        ValueError
            As ``fit``.
        """
        given_validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, given_validation, incremental=True)

    def predict_members(self, X: MatrixLike) -> Floats:
        """Predictions of each member, whose differences tell how sure the ensemble is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        y : ndarray of shape (n_members, n_samples) or (n_members, n_samples, n_outputs)
            In the order of ``estimators_``, clipped to the range of the training targets.

        Raises
        ------
        ValueError
            If `X` is not what was fitted on, or if an output is not a finite number.
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
        """Targets that are predicted as they are: the mean of the members' predictions."""
        return RealTargets(
            type(self).__name__, "squared_error", self.n_outputs_, is_normalized=False
        )

    def _pooled_targets(self, fits):
        return fits[0].targets

    def _target_attributes(self, targets, rows):
        # Plain members keep rows of weight 0, which say nothing of the targets.
        y = rows.targets if rows.sample_weight is None else rows.targets[rows.sample_weight > 0.0]
        if "_target_range" in vars(self):
            y = np.concatenate([y, self._target_range])
        return {"_target_range": np.stack([y.min(axis=0), y.max(axis=0)])}

    def _check_target_attributes(self):
        shape = (2, self.estimators_[0].n_outputs_)
        check_numbers("_target_range", self._target_range, shape)
