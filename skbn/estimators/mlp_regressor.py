"""The multi-layer perceptron with batch normalization, for real targets."""

from typing import Literal, Self

from numpy.typing import ArrayLike

from skbn.estimators.annotations import (
    Activation,
    LayerSizes,
    LearningRate,
    Loss,
    MatrixLike,
    RandomState,
    Scoring,
    Solver,
    available_if,
    fit_context,
)
from skbn.estimators.base import has_partial_fit
from skbn.estimators.losses import LOSS_CONSTRAINTS
from skbn.estimators.mlp import PLAIN_PARAMETERS, BaseMLPWithBatchNorm
from skbn.estimators.regression import NetworkRegressorMixin


class MLPWithBatchNormRegressor(NetworkRegressorMixin, BaseMLPWithBatchNorm):
    """Multi-layer perceptron regressor with batch normalization.

    Minimizes a loss by stochastic gradient descent or L-BFGS. Parameters, methods and
    attributes are those of :class:`sklearn.neural_network.MLPRegressor` where both have them.

    Parameters
    ----------
    loss : {'squared_error', 'poisson', 'absolute_error', 'quantile'}, default='squared_error'
        Half the squared error; half the Poisson deviance of a mean that is the exponential of
        the network's output, for counts and other targets >= 0; the absolute error, which
        outliers in the target do not dominate; or the pinball loss, whose minimum is the
        `quantile` of the target. All but the deviance are reported as a mean over outputs.

    hidden_layer_sizes : array-like of shape (n_layers - 2,), default=(80, 80, 80)
        Units of each hidden layer.

    activation : str, default='silu'
        Activation function of the hidden layers: 'identity', 'logistic', 'tanh', 'relu', 'silu',
        'gelu', 'mish' or 'leaky_relu'. 'silu' is ``x * logistic(x)``, 'gelu' the
        exact ``x * Phi(x)``, 'mish' ``x * tanh(log(1 + exp(x)))``: smooth relatives of 'relu'
        that leave no unit dead. 'leaky_relu' has the slope 0.01 below zero.

    solver : {'lbfgs', 'sgd', 'adam', 'rmsprop'}, default='adam'
        The optimizer: L-BFGS on all rows at once, whose statistics are then those of all rows
        (for small data); stochastic gradient descent with momentum; Adam [3]_; or RMSProp with
        momentum [5]_. scikit-learn has no RMSProp: ``to_sklearn`` puts 'adam' in its place.

    alpha : float, default=0.0001
        Strength of the L2 penalty on the weights (never on intercepts, gamma or beta), divided
        by the batch's total weight when added to the loss.

    batch_size : int or 'auto', default='auto'
        Rows of a mini-batch. 'auto' is a fiftieth of the rows, rounded to a power of 2, at least
        32 and at most 128; in scikit-learn's mode ``min(200, n_samples)``. A last mini-batch of
        one row joins the one before it under batch norm. With batch norm at least 2.

    learning_rate : str, default='one_cycle'
        Schedule of the learning rate: 'constant', 'invscaling', 'adaptive', 'cosine' or
        'one_cycle'. For ``solver='sgd'``: 'invscaling',
        ``learning_rate_init / (t + 1) ** power_t`` after t rows; 'adaptive', divided by 5 each
        time the loss stops improving. For Adam and RMSProp too: 'cosine', from
        `learning_rate_init` to 0 along half a cosine, which often ends at a better score than a
        constant one; 'one_cycle', up to `learning_rate_init` for 30 % of the epochs and down
        again, for few epochs at a high rate. These two run for `n_epochs` epochs whatever the
        training loss does; ``partial_fit`` takes them for 'constant'.

    learning_rate_init : float or 'auto', default='auto'
        The (initial, for 'one_cycle' the highest) learning rate. 'auto' is 0.03 for Adam with
        'cosine' or 'one_cycle', and 0.001 otherwise and in ``partial_fit``.

    power_t : float, default=0.5
        Exponent of ``learning_rate='invscaling'``.

    max_iter : int, default=200
        Epochs at most, or iterations of L-BFGS, for which 200 may be too few. It bounds `n_epochs`
        where that is 'auto', and never lengthens it.

    shuffle : bool, default=True
        Whether the rows are shuffled in each epoch. Rows in the order of time, or
        sorted by class, make mini-batches that are unlike the whole: with batch norm shuffle
        them.

    random_state : int, RandomState instance or None, default=None
        Determines the initial weights and the order of the rows. Weights are drawn in the
        order of scikit-learn's networks. An int gives the same bits in every run on one
        machine with one thread count.

    tol : float, default=1e-4
        When the loss has not improved by at least this for `n_iter_no_change` epochs, training
        ends (or the learning rate falls, with ``learning_rate='adaptive'``). Neither means
        anything to 'cosine' and 'one_cycle', unless training stops early.

    verbose : bool, default=False
        Whether to print the loss of every epoch and, of a planned schedule, how many seconds are
        left.

    warm_start : bool, default=False
        Whether ``fit`` goes on from the parameters of the previous call (the optimizer starts
        anew).

    momentum : float, default=0.9
        Momentum of ``solver='sgd'`` and ``'rmsprop'``, in [0, 1]. Not the momentum of the
        running statistics, which is `bn_momentum`.

    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's, for ``solver='sgd'``.

    early_stopping : bool or 'auto', default='auto'
        How validation rows take part: a share of the rows that is held out, or `X_val`. Held-out
        rows are not trained on later. 'auto': of a planned schedule, 'cosine' or 'one_cycle', the
        network after the last epoch is kept, unless one of seven earlier checkpoints (after 30, 40,
        ..., 90 % of the epochs) is better by more than two standard errors. Classifiers do so, and
        regressors from 1,000 rows on; with fewer than 20 held-out rows, and otherwise, 'auto' is
        the same as False. True: the epoch with the best score is kept, and without a planned
        schedule training ends when the score has not improved by `tol` for `n_iter_no_change`
        epochs.

    validation_fraction : float, default=0.1
        Share of the rows held out where no `X_val` is given. Classes keep their shares. Under
        'auto' the only row of a class is trained on, and with ``shuffle=False`` the last rows are
        held out.

    beta_1 : float, default=0.9
        Decay of the first moment estimate of ``solver='adam'``, in [0, 1).

    beta_2 : float, default=0.95
        Decay of the second moment estimate of ``solver='adam'``, and of the squared gradient of
        ``solver='rmsprop'``, in [0, 1).

    epsilon : float, default=1e-8
        Numerical stability of ``solver='adam'`` and ``'rmsprop'``. Not the epsilon of batch
        norm, which is `bn_epsilon`.

    n_iter_no_change : int, default=10
        Epochs without an improvement of `tol` that end training.

    max_fun : int, default=15000
        Evaluations of the loss at most with ``solver='lbfgs'``.

    n_epochs : int or 'auto', default='auto'
        Epochs of a planned schedule, ``learning_rate='cosine'`` or ``'one_cycle'``. 'auto' is for
        Adam the least number of epochs, 20 or more, that makes 2,500 steps (1,000 steps for fewer
        than 1,000 training rows). Classifiers on fewer than 200 training rows get 20 epochs. For
        SGD and RMSProp 'auto' is 200 epochs. 'auto' never exceeds `max_iter`; a number is taken as
        it is. Other schedules, and L-BFGS, have `max_iter` alone.

    scoring : str, callable or None, default=None
        The score on validation rows: 'loss' (minus the log loss after the temperature, or minus the
        trained loss), or a scorer of scikit-learn, which gets the weights of the rows where they
        have some. None is 'loss' where 'auto' of `early_stopping` looks at checkpoints, otherwise
        accuracy or R2. Without validation rows there is no score.

    batch_norm : {'before', 'after'} or None, default='before'
        Whether hidden layers are normalized *before* their activation [1]_ (they then have no
        intercept, which the batch mean would remove) or *after* it, or not at all.

    bn_momentum : float, default=0.1
        Weight of the **newest** batch in the running statistics, in (0, 1], as in PyTorch
        (Keras's ``momentum`` is one minus it). The first batch sets them. ``fit`` replaces
        them at its end by the exact ones; ``partial_fit`` keeps them.

    bn_epsilon : float, default=1e-5
        Added to the variances that are divided by.

    normalize_input : {'auto', 'robust', 'smooth_clip', 'standard'} or None, default='auto'
        The fixed normalization of the columns of `X` in front of the network. 'robust': with the
        median m and the quartiles of the training rows, t = (x - m) / (q75 - q25) (2 / (max - min)
        where the quartiles agree, and 0 in a constant column), and then t / sqrt(1 + (t / 3)^2),
        which lies between -3 and 3 [4]_: neither in training nor later does a huge number harm a
        column, unless most numbers of the column are equal. 'smooth_clip': the same with mean and
        deviation, which merge over calls of ``partial_fit`` and keep a sparse `X` sparse; constant
        columns are only centered. 'standard' uses mean and deviation alone; beside None it is what
        ``to_sklearn`` can convert. 'auto' is 'robust' in ``fit`` on a dense `X`, and 'smooth_clip'
        on a sparse `X` and in a new ``partial_fit``. A network keeps its normalization in later
        calls; 'robust' numbers stay, moments are merged.

    trained_input_scale : bool, default=True
        Whether each input of the first layer has a factor, trained from 1 at 6 times the learning
        rate and without decay: columns that do not matter fade [4]_.

    periodic_embedding : float or None, default=1.0
        The constant c of a periodic embedding of each column [4]_. The normalized number x becomes
        four inputs of the first layer: three numbers ``V cos(w x + b) + a``, and x. Each column has
        its own w and b (16 numbers each), V (3 by 16) and a, which are trained without decay; w is
        drawn with the deviation ``2 pi c / sqrt(n_features)``. A larger c sees finer
        detail of a column. Columns of one or two values have none, nor have networks that are
        begun on a sparse `X` or by ``partial_fit``.

    dropout : float, default=0.0
        Share of the outputs of each hidden layer that is dropped at random in training, in
        [0, 1): against overfitting.

    weight_decay : float or 'auto', default='auto'
        Decoupled decay: before each step weights (never intercepts, gamma, beta, embeddings or
        factors) shrink by ``learning_rate * weight_decay``. With Adam this is AdamW, where `alpha`
        would be divided by the gradient's size. 'auto' is 0.1, and 0 with ``solver='lbfgs'``, which
        takes no other, nor `dropout`.

    max_grad_norm : float or None, default=None
        Euclidean norm that the gradient of a mini-batch is scaled down to where it is longer:
        keeps one bad batch from throwing the weights far away.

    init_scale : float, default=1.0
        Factor on the initial weights (not on intercepts): to see how little a network with
        batch norm depends on them.

    dtype : {'float32', 'float64'} or None, default='float32'
        What the network computes in; None follows the dtype of `X`.

    normalize_target : bool, default=True
        Whether the network learns the standardized target (with ``loss='poisson'`` the target
        divided by its mean). Predictions are in the target's own
        unit; `loss_curve_` and `tol` in the standardized one.

    quantile : float, default=0.5
        Which quantile of the target ``loss='quantile'`` predicts, in (0, 1). Other losses ignore
        it. Two estimators, of 0.05 and of 0.95, give an interval that holds about nine targets of
        ten. On validation rows the score is then the negative pinball loss; ``score`` stays R2. A
        warm start and ``partial_fit`` keep the quantile that the network began with.

    Attributes
    ----------
    loss_ : float
        Loss of the last epoch.

    best_loss_ : float or None
        Least loss of an epoch; None with ``early_stopping=True``.

    loss_curve_ : list of float
        Mean training loss of each epoch, penalty included. Like the other curves and scores not
        after ``solver='lbfgs'``, which has no epochs.

    learning_rate_curve_ : list of float
        Learning rate of the first mini-batch of each epoch. 'cosine' and 'one_cycle' change the
        rate within an epoch, too.

    validation_scores_ : list of float or None
        Score on the validation rows after the epochs `validation_epochs_`; None without validation
        rows.

    validation_loss_curve_ : list of float or None
        Loss (without the penalty) on the validation rows after the epochs `validation_epochs_`;
        None without validation rows.

    validation_epochs_ : list of int or None
        The epochs of these scores, counted from 1: the checkpoints, or every epoch.

    best_validation_score_ : float or None
        The best of those scores; under 'auto' of `early_stopping` the best of the last call.

    t_ : int
        Rows trained on.

    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of each layer. Views: writing to them changes the network. An embedded column of
        `X` is four rows of the first.

    intercepts_ : list of ndarray of shape (n_out,)
        Intercepts of each layer. Those of hidden layers are 0 and read-only with
        ``batch_norm='before'``, where beta does their work.

    gammas_ : list of ndarray of shape (d,)
        Trained scale of each normalized hidden layer.

    betas_ : list of ndarray of shape (d,)
        Trained shift of each normalized hidden layer.

    running_means_ : list of ndarray of shape (d,), float64
        Means that predictions are normalized by.

    running_vars_ : list of ndarray of shape (d,), float64
        Biased variances that predictions are normalized by.

    input_center_ : ndarray of shape (`n_features_in_`,), float64
        Median of each column of the training rows, with 'robust' inputs.

    input_spread_ : ndarray of shape (`n_features_in_`,), float64
        Distance of the quartiles of each column of the training rows, with 'robust' inputs.

    input_mean_ : ndarray of shape (`n_features_in_`,), float64
        Mean of each column of the training rows, with 'standard' and 'smooth_clip' inputs.

    input_var_ : ndarray of shape (`n_features_in_`,), float64
        Biased variance of each column of the training rows, with 'standard' and 'smooth_clip'
        inputs.

    input_scale_ : ndarray of shape (n_in,)
        The trained factor of each of the n_in rows of ``coefs_[0]``, which do not contain it; ones
        with ``trained_input_scale=False``.

    embedded_columns_ : ndarray of int
        The columns of `X` that have a periodic embedding. Each has four rows in ``coefs_[0]``, any
        other column has one.

    n_features_in_ : int
        Number of columns of `X`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where `X` had string names.

    batch_size_ : int
        Rows of a mini-batch in the last call, after 'auto'. Not after ``solver='lbfgs'``.

    n_epochs_ : int
        Epochs at most of the last call, after 'auto'. Not after ``solver='lbfgs'``.

    learning_rate_init_ : float
        The (initial, for 'one_cycle' the highest) learning rate of the last call, after 'auto'. Not
        after ``solver='lbfgs'``.

    n_iter_ : int
        Epochs of the last call.

    n_layers_ : int
        Number of layers, input and output included.

    n_outputs_ : int
        Number of outputs.

    out_activation_ : str
        Name of the function that links raw outputs to predictions.

    See Also
    --------
    MLPWithBatchNormClassifier : The same network for classes.
    BatchNormTransformer : Batch normalization of columns as a step of a pipeline.

    Notes
    -----
    The initial weights are Glorot's [2]_. A weight of 2 is the row twice: in the loss always, in
    batch statistics where weights are moderate. Weights are moderate where none is larger than
    twice the mean weight, or further above it than three standard deviations; where all rows are
    one mini-batch, where none is larger than four times the mean weight. Otherwise every row
    counts alike in batch statistics, but for those lighter than a hundredth of the mean: a heavy
    row would be normalized by itself. Rows of weight 0 are left out before anything is drawn, but
    in scikit-learn's mode (``from_sklearn``), which keeps them.

    With ``normalize_target=True`` the moments of the target are merged over calls of
    ``partial_fit``, and the output layer is rescaled with them so that no prediction changes
    by it (van Hasselt et al. 2016, "Learning values across many orders of magnitude",
    Proposition 1).

    References
    ----------
    .. [1] Ioffe and Szegedy (2015), "Batch normalization: accelerating deep network training by
       reducing internal covariate shift", Algorithms 1 and 2, section 3.2.
    .. [2] Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward
       neural networks".
    .. [3] Kingma and Ba (2015), "Adam: a method for stochastic optimization".
    .. [4] Holzmüller, Grinsztajn and Steinwart (2024), "Better by default: strong pre-tuned MLPs
       and boosted trees on tabular data", section 3, https://arxiv.org/abs/2407.04491.
    .. [5] Tieleman and Hinton (2012), "Neural networks for machine learning", Lecture 6.5.

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
        **LOSS_CONSTRAINTS,
        "normalize_target": ["boolean"],
    }

    _plain_parameters = {**PLAIN_PARAMETERS, "normalize_target": False}

    def __init__(
        self,
        loss: Loss = "squared_error",
        hidden_layer_sizes: LayerSizes = (80, 80, 80),
        activation: Activation = "silu",
        *,
        solver: Solver = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: LearningRate = "one_cycle",
        learning_rate_init: float | Literal["auto"] = "auto",
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: RandomState = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool | Literal["auto"] = "auto",
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.95,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        n_epochs: int | Literal["auto"] = "auto",
        scoring: Scoring = None,
        batch_norm: Literal["before", "after"] | None = "before",
        bn_momentum: float = 0.1,
        bn_epsilon: float = 1e-5,
        normalize_input: Literal["auto", "robust", "smooth_clip", "standard"] | None = "auto",
        trained_input_scale: bool = True,
        periodic_embedding: float | None = 1.0,
        normalize_target: bool = True,
        quantile: float = 0.5,
        dropout: float = 0.0,
        weight_decay: float | Literal["auto"] = "auto",
        max_grad_norm: float | None = None,
        init_scale: float = 1.0,
        dtype: Literal["float32", "float64"] | None = "float32",
    ) -> None:
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
        self.n_epochs = n_epochs
        self.scoring = scoring
        self.batch_norm = batch_norm
        self.bn_momentum = bn_momentum
        self.bn_epsilon = bn_epsilon
        self.normalize_input = normalize_input
        self.trained_input_scale = trained_input_scale
        self.periodic_embedding = periodic_embedding
        self.normalize_target = normalize_target
        self.quantile = quantile
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.init_scale = init_scale
        self.dtype = dtype

    @fit_context(prefer_skip_nested_validation=True)
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
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, at least two with batch norm. Need not be scaled.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the rows, in the loss; moderate ones in batch statistics too
            (see Notes).
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
    @fit_context(prefer_skip_nested_validation=True)
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
