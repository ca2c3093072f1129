"""The ensemble of perceptrons with batch normalization, for classes."""

from copy import copy
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from skbn.estimators.annotations import Floats, MatrixLike, fit_context
from skbn.estimators.classification import NetworkClassifierMixin
from skbn.estimators.ensemble import BaseMLPEnsembleWithBatchNorm, all_rows
from skbn.estimators.mlp_classifier import MLPWithBatchNormClassifier


class MLPEnsembleWithBatchNormClassifier(NetworkClassifierMixin, BaseMLPEnsembleWithBatchNorm):
    """A few perceptrons with batch normalization that see the columns differently, for classes.

    The members differ in the periodic embedding of the columns [2]_, in their initial weights, and
    in the rows that they hold out. The ensemble predicts by the mean of their raw outputs. Use it
    where accuracy matters more than time: a single :class:`MLPWithBatchNormClassifier` takes a
    third of its time, and has ``coefs_`` and ``to_sklearn``.

    Parameters
    ----------
    estimator : MLPWithBatchNormClassifier or None, default=None
        The member to clone; None stands for ``MLPWithBatchNormClassifier()``. The ensemble
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
    estimators_ : list of MLPWithBatchNormClassifier
        The fitted members. All have one temperature, which differs from
        the ensemble's `temperature_`.

    classes_ : ndarray of shape (n_classes,)
        The class labels: of the rows of positive weight, or as ``partial_fit`` was given them.

    temperature_ : float
        At least 1; the larger, the closer probabilities are to the class prior. Only where
        probabilities are calibrated (`calibrate` of `estimator`); ``partial_fit`` keeps it. It is
        for the mean of the members' raw outputs, and lower than the temperature of one member.

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
    MLPWithBatchNormClassifier : The network of one member.
    MLPEnsembleWithBatchNormRegressor : The same ensemble for real targets.

    Notes
    -----
    From 200 rows on each member holds out its own random tenth of the rows (`early_stopping` and
    `validation_fraction` of `estimator`), so every row trains most of the members [1]_. The
    held-out rows of all members, each predicted by its own member, make one pool. The pool chooses
    one checkpoint for all members: the last, unless the best one is better by more than half
    a standard error. The pool also gives one temperature [3]_. With `scoring` other than 'loss' the
    score is the mean of the members' scores on their own rows. Where `X_val` is given, no row is
    held out, and the pool is the mean of the members' raw outputs for `X_val`. With
    ``shuffle=False`` all members hold out the last rows, and the pool is their mean, too.

    Callbacks are set on the ensemble, and called in the thread that called ``fit``. The ensemble
    itself takes `sample_weight` and the validation rows, and hands them to all members. Metadata
    requests set on `estimator` are ignored: set them on the ensemble.

    References
    ----------
    .. [1] Lakshminarayanan, Pritzel and Blundell (2017), "Simple and scalable predictive
       uncertainty estimation using deep ensembles", section 2.
    .. [2] Holzmüller, Grinsztajn and Steinwart (2024), "Better by default: strong pre-tuned MLPs
       and boosted trees on tabular data", section 3, https://arxiv.org/abs/2407.04491.
    .. [3] Guo, Pleiss, Sun and Weinberger (2017), "On calibration of modern neural networks",
       section 4.2.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skbn import MLPEnsembleWithBatchNormClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> clf = MLPEnsembleWithBatchNormClassifier(random_state=0).fit(X_train, y_train)
    >>> clf.score(X_test, y_test) > 0.97
    True
    >>> clf.predict_members(X_test).shape
    (3, 450, 10)
    """

    if TYPE_CHECKING:
        estimators_: list[MLPWithBatchNormClassifier]

    _kind = MLPWithBatchNormClassifier

    _parameter_constraints: dict = {
        **BaseMLPEnsembleWithBatchNorm._parameter_constraints,
        "estimator": [MLPWithBatchNormClassifier, None],
    }

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: MatrixLike,
        y: MatrixLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: MatrixLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train the members side by side.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, at least two with batch norm. Need not be scaled.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or 0 and 1 for each label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the rows, in the losses; moderate ones in batch statistics too.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation rows for all members. None: each member holds out rows of its own.
        y_val : array-like of shape (n_val,) or (n_val, n_labels), default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights, in score and loss.

        Returns
        -------
        self : MLPEnsembleWithBatchNormClassifier

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
        y: MatrixLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: MatrixLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train each member for one epoch on the given rows.

        Members go on by themselves: no checkpoint is chosen, and the temperature stays as it is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. A single row is normalized by the running statistics.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels; not all of them need to occur.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the rows.
        classes : array-like of shape (n_classes,), default=None
            All class labels. Needed in the first call.
        X_val, y_val, sample_weight_val : default=None
            Validation rows, as in ``fit``: each call adds to `validation_scores_` and
            `validation_loss_curve_`.

        Returns
        -------
        self : MLPEnsembleWithBatchNormClassifier

        Raises
        ------
        ValueError
            As ``fit``, and for a class that is not in `classes`.
        """
        given_validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, given_validation, incremental=True, classes=classes)

    def predict_members(self, X: MatrixLike) -> Floats:
        """Probabilities of each member, whose differences tell how sure the ensemble is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        probabilities : ndarray of shape (n_members, n_samples, n_classes)
            In the order of ``estimators_`` and ``classes_``, as the members predict them.

        Raises
        ------
        ValueError
            If `X` is not what was fitted on, or if an output is not a finite number.
        NotFittedError
            If nothing was fitted before.
        """
        fitted = self._look()
        outputs, dtype = fitted._outputs_of_members(X)
        return np.stack(
            [
                member._targets.probabilities(z, dtype)
                for member, z in zip(fitted.estimators_, outputs, strict=True)
            ]
        )

    def _raw_outputs(self, X):
        outputs, dtype = self._outputs_of_members(X)
        return sum(outputs) / len(outputs), dtype

    @property
    def _targets(self):
        return self._kind_of_targets.held_by(self)

    def _pooled_targets(self, fits):
        targets = copy(fits[0].targets)
        targets.estimator_name = type(self).__name__
        if not fits[0].call.incremental:
            is_calibrated = any(fit.calibrates for fit in fits)
            targets.set_prior(all_rows(fits[0]) if is_calibrated else None)
        elif self.__sklearn_is_fitted__():
            # A stream keeps the temperature of the ensemble, which is not a member's.
            targets.take_temperature(self._targets)
        return targets

    def _target_attributes(self, targets, rows):
        return targets.attributes()

    def _check_target_attributes(self):
        self._targets.check(self.estimators_[0]._loss)
