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

    The ensemble trains several perceptrons, its members, and predicts by the mean of their raw
    outputs. The members differ in the periodic embedding of the columns [2]_, in their initial
    weights, and in the rows that they hold out. Use the ensemble where accuracy matters more than
    time. A single :class:`MLPWithBatchNormClassifier` takes a third of the time, and has ``coefs_``
    and ``to_sklearn``.

    Parameters
    ----------
    estimator : MLPWithBatchNormClassifier or None, default=None
        The perceptron that is cloned for each member. None: ``MLPWithBatchNormClassifier()``. The
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
    estimators_ : list of MLPWithBatchNormClassifier
        The fitted members. All members have the same `temperature_`, which is at least as high as
        the `temperature_` of the ensemble.

    classes_ : ndarray of shape (n_classes,)
        The class labels. ``fit`` finds them in the rows of positive weight; ``partial_fit`` takes
        them from its parameter `classes`.

    temperature_ : float
        Temperature of the calibrated probabilities, at least 1. The higher the temperature, the
        closer the probabilities are to the shares of the classes in the training rows. This
        attribute exists only if the probabilities are calibrated (parameter `calibrate` of
        `estimator`). ``partial_fit`` keeps the temperature. The temperature applies to the mean of
        the members' raw outputs, and is at most the temperature of a single member.

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
    MLPWithBatchNormClassifier : The network of one member.
    MLPEnsembleWithBatchNormRegressor : The same ensemble for real targets.

    Notes
    -----
    Each member holds out its own random tenth of the rows, if there are at least 200 rows
    (parameters `early_stopping` and `validation_fraction` of `estimator`). So every row trains most
    of the members [1]_. Each member predicts its own held-out rows, and the predictions of all
    members together make one pool. The pool chooses one checkpoint for all members: the last
    checkpoint, unless the best checkpoint is better by more than half a standard error. The pool
    also gives one temperature for the ensemble [3]_.

    The pool differs in three cases. With `scoring` other than 'loss' the score is the mean of the
    members' scores on their own rows. If `X_val` is given, no row is held out, and the pool is the
    mean of the members' raw outputs for `X_val`. With ``shuffle=False`` all members hold out the
    last rows, and the pool is the mean of the members' raw outputs for these rows.

    Set callbacks on the ensemble; they are called in the thread that called ``fit``. The ensemble
    takes `sample_weight` and the validation rows, and gives them to all members. Set metadata
    requests on the ensemble, too: requests that are set on `estimator` are ignored.

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
            Training rows, at least two with batch norm. The columns need not be scaled.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels. For several labels per row: 0 or 1 for each label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0, for the losses. Moderate weights also count in batch
            statistics (see the notes of the perceptron).
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation rows for all members. None: each member holds out its own rows.
        y_val : array-like of shape (n_val,) or (n_val, n_labels), default=None
            Targets of the validation rows.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows, for the score and the loss.

        Returns
        -------
        self : MLPEnsembleWithBatchNormClassifier

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
        y: MatrixLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: MatrixLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train each member for one epoch on the given rows.

        Each member continues by itself. No checkpoint is chosen, and the temperature stays the
        same.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. With batch norm a single row is normalized by the running statistics.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels. Not all classes need to occur in one call. For several labels per row: 0
            or 1 for each label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0.
        classes : array-like of shape (n_classes,), default=None
            All class labels. The first call needs them.
        X_val, y_val, sample_weight_val : default=None
            Validation rows, as in ``fit``. Each call adds one entry to `validation_scores_` and to
            `validation_loss_curve_`.

        Returns
        -------
        self : MLPEnsembleWithBatchNormClassifier

        Raises
        ------
        ValueError
            For the reasons of ``fit``, and if `y` has a class that is not in `classes`.
        """
        given_validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, given_validation, incremental=True, classes=classes)

    def predict_members(self, X: MatrixLike) -> Floats:
        """Probabilities that each member predicts; their differences tell how sure the ensemble is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        probabilities : ndarray of shape (n_members, n_samples, n_classes)
            Members are in the order of ``estimators_``, and classes in the order of ``classes_``.

        Raises
        ------
        ValueError
            If `X` does not have the form of the rows that were fitted, or if an output is not a
            finite number.
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

    def _pooled_targets(self, fits, is_calibrated):
        targets = copy(fits[0].targets)
        targets.estimator_name = type(self).__name__
        if not fits[0].call.incremental:
            targets.set_prior(all_rows(fits[0]) if is_calibrated else None)
        elif self.__sklearn_is_fitted__():
            # A stream keeps the temperature of the ensemble. The members have another temperature.
            targets.take_temperature(self._targets)
        return targets

    def _target_attributes(self, targets, rows):
        return targets.attributes()

    def _check_target_attributes(self):
        self._targets.check(self.estimators_[0]._loss)
