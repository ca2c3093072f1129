"""Multi-layer perceptrons with batch normalization: classifier and regressor."""

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
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


def has_partial_fit(estimator):
    """Whether the solver trains on mini-batches; used by ``available_if``."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


@shares_documentation
class MLPWithBatchNormClassifier(ClassifierMixin, BaseMLPWithBatchNorm):
    """Multi-layer perceptron classifier with batch normalization.

    Minimizes the log loss by stochastic gradient descent or L-BFGS. Parameters, methods and
    attributes
    are those of :class:`sklearn.neural_network.MLPClassifier` where both have them. The short
    name ``skbn.MLPWithBatchNorm`` is this class.

    Parameters
    ----------
    {shared}

    class_weight : dict, list of dict, 'balanced' or None, default=None
        Weights of the classes, multiplied into `sample_weight`, statistics included; 'balanced'
        is ``n_samples / (n_classes * np.bincount(y))``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels of the rows of positive weight.

    {attributes}

    See Also
    --------
    MLPWithBatchNormRegressor : The same network for real targets.
    BatchNormTransformer : Batch normalization of columns as a step of a pipeline.

    Notes
    -----
    The initial weights are Glorot's [2]_. Batch statistics are weighted by `sample_weight`: a
    weight of 2 is the row twice. Rows of weight 0 are left out before anything is drawn, but in
    scikit-learn's mode (``from_sklearn``), which keeps them.

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

    _parameter_constraints: dict = {
        **BaseMLPWithBatchNorm._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }

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
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        batch_norm="before",
        bn_momentum=0.1,
        bn_epsilon=1e-5,
        normalize_input="standard",
        dropout=0.0,
        weight_decay=0.0,
        max_grad_norm=None,
        class_weight=None,
        init_scale=1.0,
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
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.batch_norm = batch_norm
        self.bn_momentum = bn_momentum
        self.bn_epsilon = bn_epsilon
        self.normalize_input = normalize_input
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.class_weight = class_weight
        self.init_scale = init_scale
        self.dtype = dtype

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, at least two with batch norm. Need not be scaled.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or 0 and 1 for each label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the rows, in the loss and in all statistics.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation rows, for `early_stopping`. None: a part of `X` is set aside.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights, in score and loss.

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
            On Ctrl-C; the model is that of the last complete block of mini-batches. If `X_val`
            is given without `early_stopping`.
        """
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=False)

    @available_if(has_partial_fit)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X,
        y,
        sample_weight=None,
        classes=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
    ):
        """Train for one epoch on the given rows.

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
            `validation_loss_curve_`. The rows to stop at are the caller's to choose.

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
            validation = (X_val, y_val, sample_weight_val)
            return self._fit(X, y, sample_weight, validation, incremental=True)

    def predict(self, X):
        """Most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        z, _ = self._raw_outputs(X)
        codes = self._predicted_codes(z)
        return codes if self._is_multilabel else self.classes_[codes]

    def _predicted_codes(self, z):
        if self._is_multilabel:
            return (z > 0).astype(int)
        if self.n_outputs_ > 1:
            return z.argmax(axis=1)
        # With one class there is nothing to decide.
        return np.minimum(z[:, 0] > 0, len(self.classes_) - 1).astype(int)

    def _score_outputs(self, z, rows):
        targets = rows.targets if self._is_multilabel else rows.targets[:, 0]
        return accuracy_score(targets, self._predicted_codes(z), sample_weight=rows.sample_weight)

    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
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
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
        """
        probabilities = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(probabilities, out=probabilities)

    def _class_weight(self, y, incremental):
        if self.class_weight is None:
            return None
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not supported by partial_fit, which does not see all "
                "rows: give the weights as a dict"
            )
        weight = compute_sample_weight(self.class_weight, y)
        if not (np.isfinite(weight) & (weight >= 0)).all():
            raise ValueError(f"class_weight must be >= 0 and finite, got {self.class_weight}")
        return weight

    def _encode(self, y, fresh, incremental):
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
        is_multilabel = type_of_target(y).startswith("multilabel")
        if fresh:
            self._is_multilabel = is_multilabel
        elif is_multilabel != self._is_multilabel or (
            is_multilabel and y.shape[1] != self.n_outputs_
        ):
            raise ValueError(
                f"y has shape {y.shape}, which does not fit the targets of the previous call: "
                + (f"{self.n_outputs_} labels" if self._is_multilabel else "one class a row")
            )
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

    _plain_parameters = {"batch_norm": None, "normalize_input": None, "dtype": "float64"}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@shares_documentation
class MLPWithBatchNormRegressor(RegressorMixin, BaseMLPWithBatchNorm):
    """Multi-layer perceptron regressor with batch normalization.

    Minimizes a loss by stochastic gradient descent or L-BFGS. Parameters, methods and
    attributes are those of :class:`sklearn.neural_network.MLPRegressor` where both have them.

    Parameters
    ----------
    loss : {'squared_error', 'poisson', 'absolute_error'}, default='squared_error'
        Half the squared error; half the Poisson deviance of a mean that is the exponential of
        the network's output, for counts and other targets >= 0; or the absolute error, which
        outliers in the target do not dominate. The first and the last are a mean over outputs
        where they are reported.

    {shared}

    normalize_target : bool, default=True
        Whether the network learns the standardized target (with ``loss='poisson'`` the target
        divided by its mean). Predictions are in the target's own
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
    weight of 2 is the row twice. Rows of weight 0 are left out before anything is drawn, but in
    scikit-learn's mode (``from_sklearn``), which keeps them.

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
        "loss": [StrOptions({"squared_error", "poisson", "absolute_error"})],
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
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        batch_norm="before",
        bn_momentum=0.1,
        bn_epsilon=1e-5,
        normalize_input="standard",
        normalize_target=True,
        dropout=0.0,
        weight_decay=0.0,
        max_grad_norm=None,
        init_scale=1.0,
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
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.batch_norm = batch_norm
        self.bn_momentum = bn_momentum
        self.bn_epsilon = bn_epsilon
        self.normalize_input = normalize_input
        self.normalize_target = normalize_target
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.init_scale = init_scale
        self.dtype = dtype

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, at least two with batch norm. Need not be scaled.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the rows, in the loss and in all statistics.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation rows, for `early_stopping`. None: a part of `X` is set aside.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights, in score and loss.

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
            On Ctrl-C; the model is that of the last complete block of mini-batches. If `X_val`
            is given without `early_stopping`.
        """
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=False)

    @available_if(has_partial_fit)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None
    ):
        """Train for one epoch on the given rows.

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
            `validation_loss_curve_`. The rows to stop at are the caller's to choose.

        Returns
        -------
        self : MLPWithBatchNormRegressor

        Raises
        ------
        ValueError
            As ``fit``, and for another number of outputs than before.
        """
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=True)

    def predict(self, X):
        """Predicted targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the target's own unit; float32 for float32 `X`, float64 otherwise.
        """
        z, dtype = self._raw_outputs(X)
        z = self._predictions(z).astype(dtype, copy=False)
        return z.ravel() if self.n_outputs_ == 1 else z

    def _predictions(self, z):
        scale, shift = self._output_affine()
        z = z * scale + shift
        return np.exp(z) if self._loss == "poisson" else z

    def _score_outputs(self, z, rows):
        prediction = self._predictions(z)
        if not np.isfinite(prediction).all():
            return np.nan
        return r2_score(rows.targets, prediction, sample_weight=rows.sample_weight)

    def _encode(self, y, fresh, incremental):
        y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        y = y.reshape(len(y), -1)
        if not fresh and y.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y has {y.shape[1]} output(s), but {type(self).__name__} was fitted with "
                f"{self.n_outputs_}."
            )
        loss = self.loss if fresh else self._loss
        if loss == "poisson" and (y < 0).any():
            raise ValueError("loss='poisson' needs targets >= 0, got a negative one")
        return y

    def _update_moments(self, rows, fresh):
        super()._update_moments(rows, fresh)
        previous = None if fresh else self._target_moments
        if fresh:
            self._target_moments = None
        if not (self.normalize_target if fresh else previous is not None):
            return
        scale, shift = (1.0, 0.0) if previous is None else self._affine_of(previous)
        self._target_moments = merged(previous, column_moments(rows.targets, rows.sample_weight))
        if previous is not None:
            self._rescale_outputs(scale, shift)

    def _affine_of(self, moments):
        """Scale and shift from the normalized target, or its logarithm, to the target."""
        mean, var, weight = moments
        if self._loss == "poisson":
            # The target is divided by its mean; all of it 0, by 1.
            return np.ones_like(mean), np.log(np.where(mean > 0, mean, 1.0))
        return divisor(mean, var, weight, epsilon=0.0), mean

    def _output_affine(self):
        if self._target_moments is None:
            return 1.0, 0.0
        return self._affine_of(self._target_moments)

    def _normalized_targets(self, targets):
        scale, shift = self._output_affine()
        return targets / np.exp(shift) if self._loss == "poisson" else (targets - shift) / scale

    def _rescale_outputs(self, scale, shift):
        # z s + m = z' s' + m' for every row where W' = W s / s', b' = (b s + m - m') / s'.
        new_scale, new_shift = self._output_affine()
        self._parameters = self._parameters.copy()
        weight = views.weights(self._plan, self._parameters)[-1]
        bias = views.biases(self._plan, self._parameters)[-1]
        weight *= scale / new_scale
        bias[:] = (bias * scale + shift - new_shift) / new_scale

    def _count_outputs(self, targets):
        return targets.shape[1]

    def _out_activation(self):
        return "exp" if self.loss == "poisson" else "identity"

    def _loss_name(self):
        return self.loss

    _plain_parameters = {
        "batch_norm": None,
        "normalize_input": None,
        "normalize_target": False,
        "dtype": "float64",
    }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
