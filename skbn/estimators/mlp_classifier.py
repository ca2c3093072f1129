"""The multi-layer perceptron with batch normalization, for classes."""

from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Options, StrOptions

from skbn.estimators.annotations import (
    Activation,
    ClassWeight,
    LayerSizes,
    LearningRate,
    MatrixLike,
    RandomState,
    Scoring,
    Solver,
    available_if,
    fit_context,
)
from skbn.estimators.base import has_partial_fit
from skbn.estimators.classification import NetworkClassifierMixin
from skbn.estimators.mlp import PLAIN_PARAMETERS, BaseMLPWithBatchNorm


class MLPWithBatchNormClassifier(NetworkClassifierMixin, BaseMLPWithBatchNorm):
    """Multi-layer perceptron classifier with batch normalization.

    A feed-forward network for tables. Training minimizes the log loss by stochastic gradient
    descent or L-BFGS. Parameters, methods and attributes that
    :class:`sklearn.neural_network.MLPClassifier` also has mean the same here, but some defaults
    differ. ``skbn.MLPWithBatchNorm`` is a short name of this class.

    Parameters
    ----------
    hidden_layer_sizes : array-like of shape (n_layers - 2,), default=(80, 80, 80)
        Number of units of each hidden layer.

    activation : str, default='silu'
        Activation function of the hidden layers. 'identity', 'logistic', 'tanh' and 'relu' are the
        functions of scikit-learn. 'silu' is ``x * logistic(x)``. 'gelu' is the exact
        ``x * Phi(x)``, with the normal distribution function Phi. 'mish' is
        ``x * tanh(log(1 + exp(x)))``. 'silu', 'gelu' and 'mish' are smooth relatives of 'relu' that
        leave no unit dead. 'leaky_relu' is 'relu' with the slope 0.01 below zero.

    solver : {'lbfgs', 'sgd', 'adam', 'rmsprop'}, default='adam'
        The optimizer. 'lbfgs': L-BFGS on all rows at once, for small data; the batch statistics are
        then the statistics of all rows. 'sgd': stochastic gradient descent with momentum. 'adam':
        Adam [3]_. 'rmsprop': RMSProp with momentum [5]_; scikit-learn has no RMSProp, so
        ``to_sklearn`` replaces 'rmsprop' by 'adam'.

    alpha : float, default=0.0001
        Strength of the L2 penalty on the weights. Intercepts, gamma and beta have no penalty. The
        penalty is divided by the total weight of the mini-batch before it is added to the loss.

    batch_size : int or 'auto', default='auto'
        Number of rows in a mini-batch. 'auto': a fiftieth of the training rows, rounded to a power
        of 2, at least 32 and at most 128; in scikit-learn's mode (see ``from_sklearn``)
        ``min(200, n_samples)``. With ``n_epochs='auto'`` the number of steps is planned for Adam,
        so larger mini-batches take more epochs and more time. Batch norm needs mini-batches of at
        least 2 rows. With batch norm a last mini-batch of one row joins the mini-batch before it.

    learning_rate : str, default='one_cycle'
        How the learning rate changes during training. 'one_cycle': the rate rises to
        `learning_rate_init` during the first 30 % of the epochs, and then falls to almost 0; this
        schedule suits few epochs at a high rate. 'cosine': the rate falls from `learning_rate_init`
        to 0 along half a cosine, which often ends at a better score than a constant rate.
        'one_cycle' and 'cosine' are the planned schedules: they run for `n_epochs` epochs whatever
        the training loss does, and ``partial_fit`` uses a constant rate instead. 'constant': the
        rate is `learning_rate_init` throughout. 'invscaling', for ``solver='sgd'``: the rate is
        ``learning_rate_init / (t + 1) ** power_t`` after t rows. 'adaptive', for ``solver='sgd'``:
        the rate is divided by 5 each time the loss stops improving. Adam and RMSProp use a constant
        rate under 'invscaling' and 'adaptive'.

    learning_rate_init : float or 'auto', default='auto'
        The highest learning rate for ``learning_rate='one_cycle'``, and the initial learning rate
        for other schedules. 'auto': 0.03 for Adam with 'one_cycle' or 'cosine'; 0.001 otherwise,
        and in ``partial_fit``. The value 0.001, copied from scikit-learn's default, would be a
        thirtieth of the highest rate of the default schedule.

    power_t : float, default=0.5
        Exponent of the schedule ``learning_rate='invscaling'``.

    max_iter : int, default=200
        Maximum number of epochs, or of iterations for ``solver='lbfgs'``, which may need more than
        200. Under a planned schedule (``learning_rate='one_cycle'`` or ``'cosine'``) `n_epochs` is
        the number of epochs. `max_iter` then limits ``n_epochs='auto'``: a larger `max_iter` does
        not lengthen the training, and a number given as `n_epochs` is not limited.

    shuffle : bool, default=True
        Whether the rows are shuffled in each epoch. Rows in the order of time, or sorted by class,
        make mini-batches that are unlike the whole table. Shuffle such rows if the network has
        batch norm.

    random_state : int, RandomState instance or None, default=None
        Determines all random numbers: the initial weights, the order of the rows, the held-out rows
        and the units that `dropout` drops. Weights are drawn in the order of scikit-learn's
        networks. An int gives the same bits in every run on one machine with one thread count.

    tol : float, default=1e-4
        Smallest decrease of the training loss that counts as an improvement. Training ends when the
        loss has not improved by `tol` for more than `n_iter_no_change` epochs; under
        ``learning_rate='adaptive'`` the learning rate falls instead. With ``early_stopping=True``
        `tol` is about the score on the validation rows. The schedules 'one_cycle' and 'cosine' run
        to their last epoch and ignore `tol`. L-BFGS ends when no entry of its projected gradient is
        larger than `tol`.

    verbose : bool, default=False
        Whether to print the loss of every epoch. Under the schedules 'one_cycle' and 'cosine' the
        remaining seconds are printed, too.

    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the previous call. The optimizer starts anew.

    momentum : float, default=0.9
        Momentum of ``solver='sgd'`` and ``solver='rmsprop'``, in [0, 1]. The momentum of the
        running statistics of batch norm is another parameter, `bn_momentum`.

    nesterovs_momentum : bool, default=True
        Whether ``solver='sgd'`` uses Nesterov's momentum.

    early_stopping : bool or 'auto', default='auto'
        Whether validation rows end the training or choose the network. The validation rows are
        `X_val`, or a share of the rows (`validation_fraction`) that is held out and not trained on
        later. False: no row is held out. True: the network after the epoch with the best score is
        kept; under schedules other than 'one_cycle' and 'cosine' the training also ends when the
        score has not improved by `tol` for more than `n_iter_no_change` epochs. 'auto': under
        'one_cycle' and 'cosine' the network after the last epoch is kept, unless one of seven
        earlier checkpoints (after 30, 40, ..., 90 % of the epochs) is better by more than two
        standard errors. 'auto' needs at least 20 validation rows, and a regressor without `X_val`
        needs at least 1,000 rows. Otherwise, and under other schedules, 'auto' is the same as
        False.

    validation_fraction : float, default=0.1
        Share of the rows that is held out for validation if no `X_val` is given, in [0, 1). Under
        ``early_stopping='auto'`` the classes have the same shares in the held-out rows as in all
        rows, and the only row of a class is always trained on; with ``shuffle=False`` the last rows
        are held out instead. Under ``early_stopping=True`` the rows are drawn as in scikit-learn:
        two classes keep their shares, and more classes need not keep them.

    beta_1 : float, default=0.9
        Decay rate of the running mean of the gradient (the first moment) for ``solver='adam'``, in
        [0, 1).

    beta_2 : float, default=0.95
        Decay rate of the running mean of the squared gradient (the second moment) for
        ``solver='adam'`` and ``solver='rmsprop'``, in [0, 1).

    epsilon : float, default=1e-8
        Small number that keeps ``solver='adam'`` and ``solver='rmsprop'`` from dividing by 0. The
        epsilon of batch norm is another parameter, `bn_epsilon`.

    n_iter_no_change : int, default=10
        Maximum number of epochs in a row without an improvement by `tol`; one more ends the
        training. The schedules 'one_cycle' and 'cosine' run to their last epoch and ignore this
        parameter.

    max_fun : int, default=15000
        Maximum number of evaluations of the loss for ``solver='lbfgs'``.

    n_epochs : int or 'auto', default='auto'
        Number of epochs of the schedules ``learning_rate='one_cycle'`` and ``'cosine'``. 'auto':
        for Adam the smallest number of epochs, at least 20, that makes 2,500 steps, or 1,000 steps
        with fewer than 1,000 training rows; a classifier with fewer than 200 training rows gets 20
        epochs. For SGD and RMSProp 'auto' is 200. 'auto' never exceeds `max_iter`. An int: exactly
        this number of epochs, even above `max_iter`. For other schedules and for L-BFGS `max_iter`
        alone counts.

    scoring : str, callable or None, default=None
        The score on the validation rows. 'loss': minus the log loss after calibration (see
        `calibrate`) for a classifier, minus the trained loss for a regressor. A name or a callable:
        a scorer of scikit-learn; the scorer gets the weights of the rows, if the rows have weights.
        None: 'loss' if ``early_stopping='auto'`` chooses among checkpoints, otherwise the accuracy
        of a classifier and R2 of a regressor (the negative pinball loss for ``loss='quantile'``).
        ``early_stopping='auto'`` compares checkpoints by standard errors under 'loss' alone; under
        another score the best checkpoint is kept. Without validation rows there is no score.

    batch_norm : {'before', 'after'} or None, default='before'
        Where batch normalization stands in the hidden layers. 'before': in front of the activation
        [1]_; the hidden layers then have no intercept, because subtracting the batch mean would
        remove it. 'after': behind the activation. None: the network has no batch normalization.

    bn_momentum : float, default=0.1
        Weight of the **newest** batch in the running statistics of batch norm, in (0, 1], as in
        PyTorch. Keras's ``momentum`` is one minus this weight. The first batch sets the running
        statistics. At its end ``fit`` replaces the running statistics by the exact statistics of
        the training rows; ``partial_fit`` keeps the running statistics.

    bn_epsilon : float, default=1e-5
        Small number that batch norm adds to each variance before it divides by the standard
        deviation.

    bn_frozen : bool, default=False
        Whether training normalizes by the running statistics and leaves the running statistics as
        they are, like a module of PyTorch after ``eval()``. gamma, beta and the weights are
        trained. The normalization of the inputs and of a regressor's targets stays, too. True
        needs a fitted network: it serves ``partial_fit``, and ``fit`` with ``warm_start=True``.

    normalize_input : {'auto', 'robust', 'smooth_clip', 'standard'} or None, default='auto'
        Fixed normalization of the columns of `X` in front of the network. 'auto': 'robust' for
        ``fit`` on a dense `X`; 'smooth_clip' for a sparse `X`, and for a network that begins with
        ``partial_fit``. 'robust': a number x becomes t = (x - m) / (q75 - q25), with the median m
        and the quartiles q25 and q75 of the training rows. The smooth clip then turns t into t /
        sqrt(1 + (t / 3)^2), which lies between -3 and 3 [4]_. If the quartiles are equal, t is 2 (x
        - m) / (max - min), and a constant column becomes 0. Huge numbers do no harm under 'robust',
        neither in training nor later, unless most numbers of the column are equal. 'standard': the
        mean of the column is subtracted, and the result is divided by the standard deviation;
        ``to_sklearn`` can convert 'standard' and None alone. 'smooth_clip': 'standard', followed by
        the smooth clip; a sparse `X` stays sparse. Under 'standard' and 'smooth_clip' a constant
        column is only centered. None: no normalization. Later calls keep the kind of normalization.
        The medians and quartiles of 'robust' stay as they are; means and variances are merged with
        the means and variances of the new rows. So in a stream (``partial_fit``) the means and
        variances are of all rows seen, and lag behind columns that drift: put a
        ``BatchNormTransformer(momentum=...)`` in front.

    trained_input_scale : bool, default=True
        Whether each input of the first layer has a trained factor. The factors start at 1. They are
        trained at 6 times the learning rate and without weight decay, so columns that do not matter
        fade [4]_.

    periodic_embedding : float or None, default=1.0
        Constant c of the periodic embedding of the columns [4]_; None: no embedding. The embedding
        turns the normalized number x of a column into four inputs of the first layer: three numbers
        ``V cos(w x + b) + a``, and x. Each column has its own w and b (16 numbers each), V (3 by
        16) and a. All are trained without weight decay. The initial w are drawn with the standard
        deviation ``2 pi c / sqrt(n_features)``. A larger c shows the network finer detail of a
        column. Columns of one or two values have no embedding, and neither has a network that
        begins with ``partial_fit``. A sparse `X` has no embedding either, also if a
        ``ColumnTransformer`` made it sparse: its ``sparse_threshold=0`` keeps the table dense.

    dropout : float, default=0.0
        Share of the outputs of each hidden layer that is set to 0 at random in training, in [0, 1).
        Dropout works against overfitting.

    weight_decay : float or 'auto', default='auto'
        Rate of the decoupled weight decay: before each step the weights are multiplied by
        ``1 - learning_rate * weight_decay``. Intercepts, gamma, beta, embeddings and the factors of
        `trained_input_scale` do not decay. Adam with weight decay is AdamW: Adam divides the
        gradient of the penalty `alpha` by the size of the gradient, but not the weight decay.
        'auto': 0.1, and 0 for ``solver='lbfgs'``, which accepts neither another weight decay nor
        `dropout`.

    max_grad_norm : float or None, default=None
        Largest Euclidean norm of the gradient of a mini-batch. A longer gradient is scaled down to
        this norm, which keeps one bad batch from throwing the weights far away. None: no limit,
        which ``solver='lbfgs'`` needs.

    init_scale : float, default=1.0
        Factor on the initial weights, but not on the initial intercepts. Factors other than 1 show
        how little a network with batch norm depends on its initial weights.

    dtype : {'float32', 'float64'} or None, default='float32'
        Floating-point type that the network computes in. None: the dtype of `X`.

    class_weight : dict, list of dict, 'balanced' or None, default=None
        Weights of the classes, which multiply `sample_weight`. A dict maps classes to weights; a
        list has one dict for each label. 'balanced': the weights are
        ``n_samples / (n_classes * np.bincount(y))``. None: all classes have the weight 1. Held-out
        validation rows keep the weights of their classes in the score. For a given `X_val`
        `sample_weight_val` alone counts. ``partial_fit`` does not accept 'balanced'.

    calibrate : {'auto', False}, default='auto'
        Whether the probabilities are calibrated on the validation rows of `early_stopping`. 'auto':
        a temperature is fitted, if the validation rows count as at least 20 rows of equal weight.
        Raw outputs z (the outputs before softmax or the logistic function) become
        ``p + (z - p) / temperature_``. Here p are the raw outputs that give the shares of the
        classes in the training rows. The temperature minimizes the sum of the log loss and a small
        penalty. ``predict`` gives the most probable class after calibration. On noisy tables
        ``predict`` then gives a rare class less often. If a score of rare classes matters (F1,
        recall), set `class_weight`, use another threshold (``TunedThresholdClassifierCV``) or set
        ``calibrate=False``. False: no temperature is fitted.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels. ``fit`` finds them in the rows of positive weight; ``partial_fit`` takes
        them from its parameter `classes`.

    loss_ : float
        Training loss of the last epoch; after ``solver='lbfgs'`` the loss at the end.

    best_loss_ : float or None
        Smallest training loss of an epoch. None with ``early_stopping=True``. Does not exist after
        ``solver='lbfgs'``.

    loss_curve_ : list of float
        Mean training loss of each epoch, including the penalty. This attribute and the other curves
        and scores do not exist after ``solver='lbfgs'``, which has no epochs.

    learning_rate_curve_ : list of float
        Learning rate of the first mini-batch of each epoch. The schedules 'one_cycle' and 'cosine'
        also change the rate within an epoch.

    validation_scores_ : list of float or None
        Scores on the validation rows after the epochs `validation_epochs_`. None without validation
        rows.

    validation_loss_curve_ : list of float or None
        Losses on the validation rows, without the penalty, after the epochs `validation_epochs_`.
        None without validation rows.

    validation_epochs_ : list of int or None
        The epochs after which the validation rows were scored, counted from 1. They are the
        checkpoints under ``early_stopping='auto'``, and otherwise all epochs. None without
        validation rows.

    best_validation_score_ : float or None
        Best score on the validation rows. Under ``early_stopping='auto'`` it is the best score of
        the last call. None without validation rows.

    kept_epoch_ : int
        The epoch whose network predicts, counted from 1. It is the last epoch of `loss_curve_`,
        unless `early_stopping` has kept the network of an earlier epoch. An incomplete epoch, which
        Ctrl-C has ended, is not counted.

    temperature_ : float
        Temperature of the calibrated probabilities, at least 1. The higher the temperature, the
        closer the probabilities are to the shares of the classes in the training rows. This
        attribute exists only if the probabilities are calibrated (see `calibrate`). ``partial_fit``
        keeps the temperature.

    t_ : int
        Number of rows (or sequences) seen in training. A row counts once in each epoch. 0 after
        ``solver='lbfgs'``.

    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of each layer. The arrays are views: writing to them changes the network. A column
        of `X` with a periodic embedding has four rows in the first array.

    intercepts_ : list of ndarray of shape (n_out,)
        Intercepts of each layer. With ``batch_norm='before'`` the intercepts of the hidden layers
        are 0 and read-only, because the shifts `betas_` take their place.

    gammas_ : list of ndarray of shape (d,)
        Trained scales (gamma) of each hidden layer with batch norm.

    betas_ : list of ndarray of shape (d,)
        Trained shifts (beta) of each hidden layer with batch norm.

    running_means_ : list of ndarray of shape (d,), float64
        Means by which batch norm normalizes in predictions, one array for each hidden layer.

    running_vars_ : list of ndarray of shape (d,), float64
        Biased variances by which batch norm normalizes in predictions, one array for each hidden
        layer.

    input_center_ : ndarray of shape (`n_features_in_`,), float64
        Median of each column of the training rows. Exists under ``normalize_input='robust'``.

    input_spread_ : ndarray of shape (`n_features_in_`,), float64
        Distance of the quartiles of each column of the training rows; half of the distance of the
        largest and the smallest number, if the quartiles are equal. Exists under
        ``normalize_input='robust'``.

    input_mean_ : ndarray of shape (`n_features_in_`,), float64
        Mean of each column of the training rows. Exists under ``normalize_input='standard'`` and
        ``'smooth_clip'``.

    input_var_ : ndarray of shape (`n_features_in_`,), float64
        Biased variance of each column of the training rows. Exists under
        ``normalize_input='standard'`` and ``'smooth_clip'``.

    input_scale_ : ndarray of shape (n_in,)
        Trained factor of each of the n_in inputs of the first layer. ``coefs_[0]`` does not contain
        these factors. All are 1 with ``trained_input_scale=False``.

    embedded_columns_ : ndarray of int
        Numbers of the columns of `X` that have a periodic embedding. Each of these columns has four
        rows in ``coefs_[0]``, and each other column has one row.

    n_features_in_ : int
        Number of columns of `X`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of `X`. Exists if all names are strings.

    batch_size_ : int
        Number of rows in a mini-batch in the last call, after 'auto' is resolved. Does not exist
        after ``solver='lbfgs'``.

    n_epochs_ : int
        Maximum number of epochs of the last call, after 'auto' is resolved. Does not exist after
        ``solver='lbfgs'``.

    learning_rate_init_ : float
        The learning rate `learning_rate_init` of the last call, after 'auto' is resolved: the
        highest rate for 'one_cycle', and the initial rate for other schedules. Does not exist after
        ``solver='lbfgs'``.

    n_iter_ : int
        Number of epochs of the last call, or of iterations after ``solver='lbfgs'``.

    n_layers_ : int
        Number of layers. The inputs and the outputs count as layers.

    n_outputs_ : int
        Number of outputs.

    out_activation_ : str
        Name of the function that turns the network's raw outputs into predictions.

    See Also
    --------
    MLPWithBatchNormRegressor : The same network for real targets.
    BatchNormTransformer : Batch normalization of columns as a step of a pipeline.

    Notes
    -----
    The initial weights are drawn as Glorot and Bengio proposed [2]_.

    A row of weight 2 counts like two equal rows: always in the loss, and in batch statistics if the
    weights are moderate. Weights are moderate if no weight is larger than twice the mean weight,
    and no weight is further above the mean weight than three standard deviations. If all rows are
    one mini-batch, weights are moderate if no weight is larger than four times the mean weight. If
    weights are not moderate, every row counts alike in batch statistics, except that rows lighter
    than a hundredth of the mean weight count less. The reason is that a heavy row would be
    normalized by itself. Rows of weight 0 are left out before any random number is drawn.
    scikit-learn's mode (``from_sklearn``) keeps them.

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
        "calibrate": [StrOptions({"auto"}), Options(bool, {False}), Options(np.bool_, {np.False_})],
    }

    _plain_parameters = {**PLAIN_PARAMETERS, "calibrate": False}

    def __init__(
        self,
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
        bn_frozen: bool = False,
        normalize_input: Literal["auto", "robust", "smooth_clip", "standard"] | None = "auto",
        trained_input_scale: bool = True,
        periodic_embedding: float | None = 1.0,
        dropout: float = 0.0,
        weight_decay: float | Literal["auto"] = "auto",
        max_grad_norm: float | None = None,
        class_weight: ClassWeight = None,
        calibrate: Literal["auto", False] = "auto",
        init_scale: float = 1.0,
        dtype: Literal["float32", "float64"] | None = "float32",
    ) -> None:
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
        self.bn_frozen = bn_frozen
        self.normalize_input = normalize_input
        self.trained_input_scale = trained_input_scale
        self.periodic_embedding = periodic_embedding
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.class_weight = class_weight
        self.calibrate = calibrate
        self.init_scale = init_scale
        self.dtype = dtype

    @fit_context(prefer_skip_nested_validation=True)
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
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, at least two with batch norm. The columns need not be scaled.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels. For several labels per row: 0 or 1 for each label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0, for the loss. Moderate weights also count in batch statistics
            (see Notes).
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation rows for `early_stopping`. None: `early_stopping` holds out a part of `X`.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Targets of the validation rows.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows, for the score and the loss.

        Returns
        -------
        self : MLPWithBatchNormClassifier

        Raises
        ------
        ValueError
            If the data are not finite or do not fit each other, if there are too few rows, or if
            the loss stops being finite and there is no earlier epoch to go back to. The estimator
            is then as before the call.

        Warns
        -----
        ConvergenceWarning
            If the loss still improves after `max_iter` epochs under a schedule other than
            'one_cycle' and 'cosine', or after `max_iter` iterations of L-BFGS. If the loss stops
            being finite and `early_stopping` goes back to an earlier epoch.
        UserWarning
            On Ctrl-C: training ends, and the model is the model of the last complete block of
            mini-batches. If `X_val` is given but `early_stopping` does not use it. If
            ``shuffle=False`` and the mini-batches are unlike the whole, with batch norm.
        """
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=False)

    @available_if(has_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
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
        """Train for one epoch on the given rows.

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
            `validation_loss_curve_`. Training does not stop by itself: the caller decides when to
            stop.

        Returns
        -------
        self : MLPWithBatchNormClassifier

        Raises
        ------
        ValueError
            For the reasons of ``fit``, and if `y` has a class that is not in `classes`.
        """
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=True, classes=classes)
