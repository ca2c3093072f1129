"""Multi-layer perceptrons with batch normalization: classifier and regressor."""

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import check_array, column_or_1d

from skbn.estimators.base import BaseMLPWithBatchNorm, unchanged_on_failure
from skbn.estimators.columns import column_moments, merged
from skbn.estimators.parameters import shares_documentation
from skbn.estimators.running_moments import divisor
from skbn.network import views


@shares_documentation
class MLPWithBatchNormClassifier(ClassifierMixin, BaseMLPWithBatchNorm):
    """Multi-layer perceptron classifier with batch normalization.

    Minimizes the log loss by stochastic gradient descent. Parameters, methods and attributes
    are those of :class:`sklearn.neural_network.MLPClassifier` where both have them. The short
    name ``skbn.MLPWithBatchNorm`` is this class.

    Parameters
    ----------
    {shared}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    {attributes}

    See Also
    --------
    MLPWithBatchNormRegressor : The same network for real targets.
    BatchNormTransformer : Batch normalization of columns as a step of a pipeline.

    Notes
    -----
    The initial weights are Glorot's [2]_. Batch statistics are weighted by `sample_weight`: a
    weight of 2 is the row twice. Rows of weight 0 are left out before anything is drawn.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skbn import MLPWithBatchNormClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> clf = MLPWithBatchNormClassifier(tol=0.01, random_state=0)
    >>> clf.fit(X_train, y_train).score(X_test, y_test) > 0.95
    True
    """

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        batch_norm="before",
        bn_momentum=0.1,
        bn_epsilon=1e-5,
        normalize_input="standard",
        dtype="float32",
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.batch_norm = batch_norm
        self.bn_momentum = bn_momentum
        self.bn_epsilon = bn_epsilon
        self.normalize_input = normalize_input
        self.dtype = dtype

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, at least two with batch norm. Need not be scaled.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or 0 and 1 for each label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the rows, in the loss and in all statistics.

        Returns
        -------
        self : MLPWithBatchNormClassifier

        Raises
        ------
        ValueError
            If the data are not finite or do not fit each other, if there are too few rows, or
            if the loss stops being finite. The estimator is then as before the call.

        Warns
        -----
        ConvergenceWarning
            If the loss still improves after `max_iter` epochs.
        UserWarning
            On Ctrl-C; the model is that of the last complete block of mini-batches.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train for one epoch on the given rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows. A single row is normalized by the running statistics.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels; not all of them need to occur.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the rows.
        classes : array-like of shape (n_classes,), default=None
            All class labels. Needed in the first call.

        Returns
        -------
        self : MLPWithBatchNormClassifier

        Raises
        ------
        ValueError
            As ``fit``, and for a class that is not in `classes`.
        """
        with unchanged_on_failure(self):
            _check_partial_fit_first_call(self, classes)
            return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X):
        """Most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        z, _ = self._raw_outputs(X)
        if self._is_multilabel:
            return (z > 0).astype(int)
        if self.n_outputs_ > 1:
            return self.classes_[z.argmax(axis=1)]
        # With one class there is nothing to decide.
        return self.classes_[np.minimum(z[:, 0] > 0, len(self.classes_) - 1).astype(int)]

    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; for multi-label targets of each label by itself.
            float32 for float32 `X`, float64 otherwise.
        """
        z, dtype = self._raw_outputs(X)
        if self._is_multilabel:
            probabilities = expit(z)
        elif self.n_outputs_ > 1:
            probabilities = softmax(z, axis=1)
        elif len(self.classes_) == 1:
            probabilities = np.ones_like(z)
        else:
            probabilities = np.hstack([expit(-z), expit(z)])
        return probabilities.astype(dtype, copy=False)

    def predict_log_proba(self, X):
        """Logarithm of the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
        """
        probabilities = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(probabilities, out=probabilities)

    def _encode(self, y, sample_weight, fresh, incremental):
        if issparse(y):
            y = y.toarray()
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        try:
            check_classification_targets(y)
        except ValueError as error:
            raise ValueError(
                f"{error} For a continuous target there is MLPWithBatchNormRegressor."
            ) from None
        present = unique_labels(y)
        if fresh and not incremental:
            self.classes_ = present
        elif incremental:
            if len(np.setdiff1d(present, self.classes_)):
                raise ValueError(
                    "`y` has classes not in `self.classes_`. "
                    f"`self.classes_` has {self.classes_}. 'y' has {present}."
                )
        elif set(present) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {present}"
            )
        if fresh:
            self._is_multilabel = type_of_target(y).startswith("multilabel")
        if y.ndim == 2:
            return y
        codes = np.searchsorted(self.classes_, y)
        # One column: the number of the class for a softmax, 0 or 1 for a logistic output.
        return codes.reshape(-1, 1)

    def _count_outputs(self, targets):
        if self._is_multilabel:
            return targets.shape[1]
        return len(self.classes_) if len(self.classes_) > 2 else 1

    def _out_activation(self):
        return "logistic" if self._is_multilabel or len(self.classes_) <= 2 else "softmax"

    def _loss_name(self):
        return f"{self._out_activation()}_log_loss"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@shares_documentation
class MLPWithBatchNormRegressor(RegressorMixin, BaseMLPWithBatchNorm):
    """Multi-layer perceptron regressor with batch normalization.

    Minimizes the squared error by stochastic gradient descent. Parameters, methods and
    attributes are those of :class:`sklearn.neural_network.MLPRegressor` where both have them.

    Parameters
    ----------
    loss : {'squared_error'}, default='squared_error'
        The loss: half the squared error, a mean over outputs where it is reported.

    {shared}

    normalize_target : bool, default=True
        Whether the network learns the standardized target. Predictions are in the target's own
        unit; `loss_curve_` and `tol` in the standardized one.

    Attributes
    ----------
    {attributes}

    See Also
    --------
    MLPWithBatchNormClassifier : The same network for classes.
    BatchNormTransformer : Batch normalization of columns as a step of a pipeline.

    Notes
    -----
    The initial weights are Glorot's [2]_. Batch statistics are weighted by `sample_weight`: a
    weight of 2 is the row twice. Rows of weight 0 are left out before anything is drawn.

    With ``normalize_target=True`` the moments of the target are merged over calls of
    ``partial_fit``, and the output layer is rescaled with them so that no prediction changes
    by it (van Hasselt et al. 2016, "Learning values across many orders of magnitude",
    Proposition 1).

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from sklearn.model_selection import train_test_split
    >>> from skbn import MLPWithBatchNormRegressor
    >>> X, y = make_friedman1(1000, random_state=0)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> reg = MLPWithBatchNormRegressor(learning_rate_init=0.01, tol=0.01, random_state=0)
    >>> reg.fit(X_train, y_train).score(X_test, y_test) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **BaseMLPWithBatchNorm._parameter_constraints,
        "loss": [StrOptions({"squared_error"})],
        "normalize_target": ["boolean"],
    }

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        batch_norm="before",
        bn_momentum=0.1,
        bn_epsilon=1e-5,
        normalize_input="standard",
        normalize_target=True,
        dtype="float32",
    ):
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.batch_norm = batch_norm
        self.bn_momentum = bn_momentum
        self.bn_epsilon = bn_epsilon
        self.normalize_input = normalize_input
        self.normalize_target = normalize_target
        self.dtype = dtype

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, at least two with batch norm. Need not be scaled.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the rows, in the loss and in all statistics.

        Returns
        -------
        self : MLPWithBatchNormRegressor

        Raises
        ------
        ValueError
            If the data are not finite or do not fit each other, if there are too few rows, or
            if the loss stops being finite. The estimator is then as before the call.

        Warns
        -----
        ConvergenceWarning
            If the loss still improves after `max_iter` epochs.
        UserWarning
            On Ctrl-C; the model is that of the last complete block of mini-batches.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Train for one epoch on the given rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows. A single row is normalized by the running statistics.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the rows.

        Returns
        -------
        self : MLPWithBatchNormRegressor

        Raises
        ------
        ValueError
            As ``fit``, and for another number of outputs than before.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X):
        """Predicted targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the target's own unit; float32 for float32 `X`, float64 otherwise.
        """
        z, dtype = self._raw_outputs(X)
        if self._target_moments is not None:
            mean, var, weight = self._target_moments
            z = z * divisor(mean, var, weight, epsilon=0.0) + mean
        z = z.astype(dtype, copy=False)
        return z.ravel() if self.n_outputs_ == 1 else z

    def _encode(self, y, sample_weight, fresh, incremental):
        y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        y = y.reshape(len(y), -1)
        if not fresh and y.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y has {y.shape[1]} output(s), but {type(self).__name__} was fitted with "
                f"{self.n_outputs_}."
            )
        if fresh:
            self._target_moments = None
        if not self.normalize_target:
            return y
        previous = self._target_moments
        self._target_moments = merged(previous, column_moments(y, sample_weight))
        if previous is not None:
            self._rescale_outputs(previous, self._target_moments)
        return (y - self._target_moments[0]) / divisor(*self._target_moments, epsilon=0.0)

    def _rescale_outputs(self, previous, current):
        # z s + m = z' s' + m' for every row where W' = W s / s', b' = (b s + m - m') / s'.
        s, s_new = divisor(*previous, epsilon=0.0), divisor(*current, epsilon=0.0)
        self._parameters = self._parameters.copy()
        weight = views.weights(self._plan, self._parameters)[-1]
        bias = views.biases(self._plan, self._parameters)[-1]
        weight *= s / s_new
        bias[:] = (bias * s + previous[0] - current[0]) / s_new

    def _count_outputs(self, targets):
        return targets.shape[1]

    def _out_activation(self):
        return "identity"

    def _loss_name(self):
        return self.loss

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
