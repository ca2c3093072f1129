"""Recurrent networks with batch normalization per time step: classifier and regressor."""

from sklearn.base import _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from skbn.estimators.base import has_partial_fit
from skbn.estimators.classification import ClassTargets
from skbn.estimators.docstrings import shares_documentation
from skbn.estimators.docstrings_rnn import texts
from skbn.estimators.recurrent import BaseRNNWithBatchNorm
from skbn.estimators.regression import RealTargets

TEXTS = texts(BaseRNNWithBatchNorm._planned_rate, BaseRNNWithBatchNorm._planned_epochs)


@shares_documentation(TEXTS)
class RNNWithBatchNormClassifier(ClassTargets, BaseRNNWithBatchNorm):
    """Recurrent network with batch normalization per time step, for classes of sequences.

    Long short-term memory, gated recurrent units or plain units; the class follows from the
    last state. Statistics are taken across the batch for each time step, never across time steps
    unless that is asked for. Minimizes the log loss by stochastic gradient descent or L-BFGS.

    Parameters
    ----------
    {shared}

    class_weight : dict, list of dict, 'balanced' or None, default=None
        Weights of the classes, multiplied into `sample_weight`, statistics included; 'balanced'
        is ``n_samples / (n_classes * np.bincount(y))``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels: of the sequences of positive weight, or as ``partial_fit`` was given them.

    {attributes}

    See Also
    --------
    RNNWithBatchNormRegressor : The same network for real targets.
    MLPWithBatchNormClassifier : A multi-layer perceptron with batch normalization.
    BatchNormTransformer : Batch normalization of sequences as a step of a pipeline.

    Notes
    -----
    {notes}

    References
    ----------
    {references}

    Examples
    --------
    Which of two frequencies do noisy waves of different length have?

    >>> import numpy as np
    >>> from skbn import RNNWithBatchNormClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(0, 2, 300)
    >>> phase = rng.uniform(0, 6, (300, 1))
    >>> X = np.sin((0.5 + 0.3 * y[:, np.newaxis]) * np.arange(30) + phase)
    >>> X += 0.3 * rng.standard_normal(X.shape)
    >>> X[np.arange(30) >= rng.integers(15, 31, (300, 1))] = np.nan
    >>> clf = RNNWithBatchNormClassifier(hidden_layer_sizes=(20,), random_state=0)
    >>> clf.fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **BaseRNNWithBatchNorm._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        cell="lstm",
        *,
        bidirectional=False,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="one_cycle",
        learning_rate_init="auto",
        power_t=0.5,
        max_iter="auto",
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
        beta_2=0.95,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        batch_norm="full",
        time_statistics="per_step",
        bn_momentum=0.1,
        bn_epsilon=1e-5,
        bn_gamma_init=0.1,
        normalize_input="smooth_clip",
        dropout=0.0,
        weight_decay=0.0,
        max_grad_norm=1.0,
        class_weight=None,
        init_scale=1.0,
        dtype="float32",
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.bidirectional = bidirectional
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
        self.time_statistics = time_statistics
        self.bn_momentum = bn_momentum
        self.bn_epsilon = bn_epsilon
        self.bn_gamma_init = bn_gamma_init
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
        X : array-like of shape (n_samples, n_steps, n_features) or (n_samples, n_steps)
            Training sequences, at least two with batch norm; of two dimensions with one feature.
            Behind the last step of a shorter one all is NaN. Need not be scaled.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or 0 and 1 for each label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the sequences, in the loss and in all statistics.
        X_val : array-like of the form of `X`, default=None
            Validation sequences, for `early_stopping`. None: a part of `X` is set aside.
        y_val : array-like of the form of `y`, default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights, in score and loss.

        Returns
        -------
        self : RNNWithBatchNormClassifier

        Raises
        ------
        ValueError
            If the data are not finite but for NaN behind the end of a sequence, or do not fit each
            other, if there are too few sequences, or if the loss stops being finite. The estimator
            is then as before the call.

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
        """Train for one epoch on the given sequences.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_steps, n_features) or (n_samples, n_steps)
            Training sequences. A single one is normalized by the running statistics. Three
            dimensions may have more steps than before.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or 0 and 1 for each label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the sequences.
        classes : array-like of shape (n_classes,), default=None
            All class labels. Needed in the first call.
        X_val, y_val, sample_weight_val : default=None
            Validation sequences, as in ``fit``: each call adds to `validation_scores_` and
            `validation_loss_curve_`. The epoch to stop at is the caller's to choose.

        Returns
        -------
        self : RNNWithBatchNormClassifier

        Raises
        ------
        ValueError
            As ``fit``, and for a class that is not in `classes`.
        """
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=True, classes=classes)


@shares_documentation(TEXTS)
class RNNWithBatchNormRegressor(RealTargets, BaseRNNWithBatchNorm):
    """Recurrent network with batch normalization per time step, for targets of sequences.

    Long short-term memory, gated recurrent units or plain units; the target follows from the
    last state. Statistics are taken across the batch for each time step, never across time steps
    unless that is asked for. Minimizes a loss by stochastic gradient descent or L-BFGS.

    Parameters
    ----------
    loss : {'squared_error', 'poisson', 'absolute_error'}, default='squared_error'
        Half the squared error; half the Poisson deviance of a mean that is the exponential of
        the network's output; or the absolute error.

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
    RNNWithBatchNormClassifier : The same network for classes.
    MLPWithBatchNormRegressor : A multi-layer perceptron with batch normalization.
    BatchNormTransformer : Batch normalization of sequences as a step of a pipeline.

    Notes
    -----
    {notes}

    References
    ----------
    {references}

    Examples
    --------
    The frequency of noisy waves:

    >>> import numpy as np
    >>> from skbn import RNNWithBatchNormRegressor
    >>> rng = np.random.default_rng(0)
    >>> y = rng.uniform(0.3, 1.0, 300)
    >>> phase = rng.uniform(0, 6, (300, 1))
    >>> X = np.sin(y[:, np.newaxis] * np.arange(20) + phase)
    >>> X += 0.1 * rng.standard_normal(X.shape)
    >>> reg = RNNWithBatchNormRegressor(hidden_layer_sizes=(20,), random_state=0)
    >>> reg.fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **BaseRNNWithBatchNorm._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson", "absolute_error"})],
        "normalize_target": ["boolean"],
    }

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        cell="lstm",
        *,
        bidirectional=False,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="one_cycle",
        learning_rate_init="auto",
        power_t=0.5,
        max_iter="auto",
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
        beta_2=0.95,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        batch_norm="full",
        time_statistics="per_step",
        bn_momentum=0.1,
        bn_epsilon=1e-5,
        bn_gamma_init=0.1,
        normalize_input="smooth_clip",
        normalize_target=True,
        dropout=0.0,
        weight_decay=0.0,
        max_grad_norm=1.0,
        init_scale=1.0,
        dtype="float32",
    ):
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.bidirectional = bidirectional
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
        self.time_statistics = time_statistics
        self.bn_momentum = bn_momentum
        self.bn_epsilon = bn_epsilon
        self.bn_gamma_init = bn_gamma_init
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
        X : array-like of shape (n_samples, n_steps, n_features) or (n_samples, n_steps)
            Training sequences, at least two with batch norm; of two dimensions with one feature.
            Behind the last step of a shorter one all is NaN. Need not be scaled.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the sequences, in the loss and in all statistics.
        X_val : array-like of the form of `X`, default=None
            Validation sequences, for `early_stopping`. None: a part of `X` is set aside.
        y_val : array-like of the form of `y`, default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights, in score and loss.

        Returns
        -------
        self : RNNWithBatchNormRegressor

        Raises
        ------
        ValueError
            If the data are not finite but for NaN behind the end of a sequence, or do not fit each
            other, if there are too few sequences, or if the loss stops being finite. The estimator
            is then as before the call.

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
        """Train for one epoch on the given sequences.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_steps, n_features) or (n_samples, n_steps)
            Training sequences. A single one is normalized by the running statistics. Three
            dimensions may have more steps than before.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the sequences.
        X_val, y_val, sample_weight_val : default=None
            Validation sequences, as in ``fit``: each call adds to `validation_scores_` and
            `validation_loss_curve_`. The epoch to stop at is the caller's to choose.

        Returns
        -------
        self : RNNWithBatchNormRegressor

        Raises
        ------
        ValueError
            As ``fit``, and for another number of outputs than before.
        """
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=True)
