"""Multi-layer perceptrons with batch normalization: classifier and regressor."""

from sklearn.base import _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from skbn.estimators.base import has_partial_fit
from skbn.estimators.classification import ClassTargets
from skbn.estimators.docstrings import shares_documentation
from skbn.estimators.perceptron import BaseMLPWithBatchNorm
from skbn.estimators.regression import RealTargets


@shares_documentation()
class MLPWithBatchNormClassifier(ClassTargets, BaseMLPWithBatchNorm):
    """Multi-layer perceptron classifier with batch normalization.

    Minimizes the log loss by stochastic gradient descent or L-BFGS. Parameters, methods and
    attributes are those of :class:`sklearn.neural_network.MLPClassifier` where both have them.
    The short name ``skbn.MLPWithBatchNorm`` is this class.

    Parameters
    ----------
    {shared}

    class_weight : dict, list of dict, 'balanced' or None, default=None
        Weights of the classes, multiplied into `sample_weight`, statistics included; 'balanced'
        is ``n_samples / (n_classes * np.bincount(y))``. Rows set aside for validation carry
        theirs into the score; a given `X_val` is scored by `sample_weight_val` alone.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels: of the rows of positive weight, or as ``partial_fit`` was given them.

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
    >>> clf = MLPWithBatchNormClassifier(random_state=0)
    >>> clf.fit(X_train, y_train).score(X_test, y_test) > 0.95
    True
    """

    _parameter_constraints: dict = {
        **BaseMLPWithBatchNorm._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }

    _plain_parameters = {"batch_norm": None, "normalize_input": None, "dtype": "float64"}

    def __init__(
        self,
        hidden_layer_sizes=(128, 128, 128),
        activation="silu",
        *,
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
        batch_norm="before",
        bn_momentum=0.1,
        bn_epsilon=1e-5,
        normalize_input="smooth_clip",
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
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=True, classes=classes)


@shares_documentation()
class MLPWithBatchNormRegressor(RealTargets, BaseMLPWithBatchNorm):
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
    >>> reg = MLPWithBatchNormRegressor(random_state=0)
    >>> reg.fit(X_train, y_train).score(X_test, y_test) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **BaseMLPWithBatchNorm._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson", "absolute_error"})],
        "normalize_target": ["boolean"],
    }

    _plain_parameters = {
        "batch_norm": None,
        "normalize_input": None,
        "normalize_target": False,
        "dtype": "float64",
    }

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(128, 128, 128),
        activation="silu",
        *,
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
        batch_norm="before",
        bn_momentum=0.1,
        bn_epsilon=1e-5,
        normalize_input="smooth_clip",
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
