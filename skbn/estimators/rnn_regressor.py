"""The recurrent network with batch normalization per time step, for real targets."""

from typing import Literal, Self

from numpy.typing import ArrayLike

from skbn.estimators.annotations import (
    Cell,
    LayerSizes,
    LearningRate,
    Loss,
    Pooling,
    RandomState,
    Scoring,
    Solver,
    available_if,
    fit_context,
)
from skbn.estimators.base import has_partial_fit
from skbn.estimators.losses import LOSS_CONSTRAINTS
from skbn.estimators.regression import NetworkRegressorMixin
from skbn.estimators.rnn import BaseRNNWithBatchNorm


class RNNWithBatchNormRegressor(NetworkRegressorMixin, BaseRNNWithBatchNorm):
    """Recurrent network with batch normalization per time step, for targets of sequences.

    A network of long short-term memory, gated recurrent units or plain units. The target follows
    from the last state, or from the mean or the maximum of all states. Batch norm takes its
    statistics across the sequences of a mini-batch, separately for each time step;
    ``time_statistics='shared'`` takes them across time steps as well. Training minimizes a loss by
    stochastic gradient descent or L-BFGS.

    Parameters
    ----------
    loss : {'squared_error', 'poisson', 'absolute_error', 'quantile'}, default='squared_error'
        The loss that training minimizes. 'squared_error': half the squared error. 'poisson': half
        the Poisson deviance, for counts and other targets >= 0; the predicted mean is the
        exponential of the network's output. 'absolute_error': the absolute error, which outliers in
        the target do not dominate. 'quantile': the pinball loss, which is smallest at the quantile
        of the target that the parameter `quantile` gives. With several outputs the reported loss is
        the mean over the outputs for 'squared_error', 'absolute_error' and 'quantile', and the sum
        over the outputs for 'poisson'.

    hidden_layer_sizes : array-like of shape (n_layers - 2,), default=(100,)
        Number of units of each recurrent layer in each direction.

    cell : {'lstm', 'gru', 'tanh'}, default='lstm'
        Kind of the recurrent units. 'lstm': long short-term memory [8]_. 'gru': gated recurrent
        units [9]_, with the reset gate behind the recurrent product, as in PyTorch. 'tanh': plain
        units, ``h = tanh(z)``.

    bidirectional : bool or 'auto', default='auto'
        Whether each layer also reads the sequences backwards, with separate units. Only the real
        steps of a shorter sequence are reversed, not the NaN behind its end. 'auto': False if
        `pooling` is 'last', otherwise True.

    pooling : {'last', 'mean', 'max', 'mean_max'}, default='mean_max'
        How the states of the last recurrent layer become the inputs of the output layer. 'last':
        the state after the last step. 'mean': the mean of each unit over the real steps of a
        sequence. 'max': the maximum of each unit over the real steps. 'mean_max': the means and the
        maxima side by side, which are twice as many inputs. The units of both directions are
        pooled.

    solver : {'lbfgs', 'sgd', 'adam', 'rmsprop'}, default='adam'
        The optimizer. 'lbfgs': L-BFGS on all sequences at once, for small data; it needs
        ``max_grad_norm=None``. 'sgd': stochastic gradient descent with momentum. 'adam': Adam [3]_.
        'rmsprop': RMSProp with momentum [5]_.

    alpha : float, default=0.0001
        Strength of the L2 penalty on the weights. Intercepts, gamma and beta have no penalty. The
        penalty is divided by the total weight of the mini-batch before it is added to the loss.

    batch_size : int or 'auto', default='auto'
        Number of sequences in a mini-batch. 'auto': a fiftieth of the training sequences, rounded
        to a power of 2, at least 32 and at most 128. Batch norm needs mini-batches of at least 2
        sequences. With ``batch_norm='full'`` the noise in the statistics of one step is passed on
        to the next step, so a network with mini-batches of fewer than 8 sequences learns little or
        nothing. With batch norm a last mini-batch of fewer than 8 sequences joins the mini-batch
        before it.

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
        for other schedules. 'auto': 0.01 for Adam with 'one_cycle' or 'cosine'; 0.001 otherwise,
        and in ``partial_fit``. The value 0.001, copied from scikit-learn's perceptrons, would be a
        tenth of the highest rate of the default schedule.

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
        Determines all random numbers: the initial weights, the order of the sequences, the held-out
        sequences and the units that `dropout` drops. An int gives the same bits in every run on one
        machine with one thread count.

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

    early_stopping : bool or 'auto', default=False
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
        for Adam 100 if the network reads in one direction, and 70 if it reads in both directions;
        for SGD and RMSProp 200. 'auto' never exceeds `max_iter`. An int: exactly this number of
        epochs, even above `max_iter`. For other schedules and for L-BFGS `max_iter` alone counts.

    scoring : str, callable or None, default=None
        The score on the validation rows. 'loss': minus the log loss after calibration (see
        `calibrate`) for a classifier, minus the trained loss for a regressor. A name or a callable:
        a scorer of scikit-learn; the scorer gets the weights of the rows, if the rows have weights.
        None: 'loss' if ``early_stopping='auto'`` chooses among checkpoints, otherwise the accuracy
        of a classifier and R2 of a regressor (the negative pinball loss for ``loss='quantile'``).
        ``early_stopping='auto'`` compares checkpoints by standard errors under 'loss' alone; under
        another score the best checkpoint is kept. Without validation rows there is no score.

    batch_norm : {'full', 'input'} or None, default='full'
        Which values batch norm normalizes [1]_. The pre-activations of a layer are the sum of two
        contributions: one of the inputs of the step, and one of the state before the step. 'full'
        [6]_: each of the two contributions by itself, and the cell state of an LSTM in front of the
        output gate. 'input' [7]_: the contribution of the inputs alone. None: nothing.

    time_statistics : {'per_step', 'shared'}, default='per_step'
        Whether time steps share the batch statistics of the contribution of the inputs to the
        pre-activations. 'per_step': each time step has its own statistics, taken across the
        mini-batch. 'shared': one set of statistics is taken across the mini-batch and all time
        steps. The statistics of the states are per step in any case, because the normalization of
        one step decides the inputs of the next step. gamma and beta are the same at all time steps.

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

    bn_gamma_init : float, default=0.1
        Initial value of every gamma. With the value 1 a tanh would saturate from the first step on,
        and no gradient would reach earlier steps [6]_.

    normalize_input : {'auto', 'smooth_clip', 'standard'} or None, default='auto'
        Fixed normalization of the features in front of the network. 'auto': 'smooth_clip'.
        'standard': the mean of the feature is subtracted, and the result is divided by the standard
        deviation. Mean and deviation are the exact (weighted) moments of all real steps of the
        training sequences. A constant feature is only centered. 'smooth_clip': 'standard', whose
        result t then becomes t / sqrt(1 + (t / 3)^2), which lies between -3 and 3 [4]_. So in a
        prediction a huge number has no more effect than a large number. A huge number in the
        training sequences still changes the mean and the deviation of its feature: clip numbers
        beyond some hundred deviations before ``fit``. None: no normalization. In a stream
        (``partial_fit``) mean and deviation are of all sequences seen, and lag behind features that
        drift: put a ``BatchNormTransformer(momentum=...)`` in front.

    dropout : float, default=0.0
        Share of the outputs of each recurrent layer that is set to 0 at random in training, at each
        time step, in [0, 1). Only the connections to the next layer are affected, never the
        connections to the next time step. For the last recurrent layer the outputs of `pooling` are
        dropped.

    weight_decay : float, default=0.0
        Rate of the decoupled weight decay: before each step the weights are multiplied by
        ``1 - learning_rate * weight_decay``. Intercepts, gamma and beta do not decay. Adam with
        weight decay is AdamW: Adam divides the gradient of the penalty `alpha` by the size of the
        gradient, but not the weight decay. ``solver='lbfgs'`` accepts neither `weight_decay` nor
        `dropout`.

    max_grad_norm : float or None, default=1.0
        Largest Euclidean norm of the gradient of a mini-batch. A longer gradient is scaled down to
        this norm [10]_. None: no limit, which ``solver='lbfgs'`` needs.

    init_scale : float, default=1.0
        Factor on the initial weights, but not on the initial intercepts. Factors other than 1 show
        how little a network with batch norm depends on its initial weights.

    dtype : {'float32', 'float64'} or None, default='float32'
        Floating-point type that the network computes in. None: the dtype of `X`.

    normalize_target : bool, default=True
        Whether the network learns the standardized target. With ``loss='poisson'`` the target is
        divided by its mean instead. Predictions are in the target's own unit. `loss_curve_` and
        `tol` are in the unit of the normalized target.

    quantile : float, default=0.5
        The quantile of the target that ``loss='quantile'`` predicts, in (0, 1). Other losses ignore
        this parameter. Two estimators with the quantiles 0.05 and 0.95 give an interval that holds
        about nine targets of ten. The default score on validation rows is then the negative pinball
        loss; the method ``score`` stays R2. A warm start and ``partial_fit`` keep the quantile that
        the network began with.

    Attributes
    ----------
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

    t_ : int
        Number of rows (or sequences) seen in training. A row counts once in each epoch. 0 after
        ``solver='lbfgs'``.

    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of the linear maps, with g gates side by side (LSTM: i, f, g, o; GRU: r, z, n). Each
        layer has two arrays in each direction: the weights of the inputs, shape (n_in, g * units),
        and the weights of the state before, shape (units, g * units). The last array has the
        weights of the output layer. The arrays are views: writing to them changes the network.

    intercepts_ : list of ndarray of shape (n_out,)
        Intercepts of the linear maps, in the order of `coefs_`. The intercepts of the inputs are 0
        and read-only under batch norm, because the shifts `betas_` take their place. The intercepts
        of the state are 0 and read-only; for a GRU the candidate has an intercept of shape
        (units,).

    gammas_ : list of ndarray of shape (d,)
        Trained scales (gamma). Each layer has one array in each direction for the contribution of
        the inputs. With ``batch_norm='full'`` each layer has one more array for the contribution of
        the state, and an LSTM has one more for its cell state.

    betas_ : list of ndarray of shape (d,)
        Trained shifts (beta), in the order of `gammas_`. A shift of the contribution of the state
        would be redundant, so it is 0 and read-only.

    running_means_ : list of ndarray of shape (n_steps, d), float64
        Means by which batch norm normalizes in predictions, in the order of `gammas_`. Each array
        has a row for each time step, or one row where time steps share their statistics. A
        direction that reads backwards counts time steps from the end.

    running_vars_ : list of ndarray of shape (n_steps, d), float64
        Biased variances by which batch norm normalizes in predictions, in the form of
        `running_means_`.

    input_mean_ : ndarray of shape (n_features,), float64
        Mean of each feature over the real steps of the training sequences. Does not exist with
        ``normalize_input=None``.

    input_var_ : ndarray of shape (n_features,), float64
        Biased variance of each feature over the real steps of the training sequences. Does not
        exist with ``normalize_input=None``.

    n_features_in_ : int
        Number of features of a time step. For a two-dimensional `X` it is the number of time steps.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a two-dimensional `X`. Exists if all names are strings.

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
    RNNWithBatchNormClassifier : The same network for classes.
    MLPWithBatchNormRegressor : A multi-layer perceptron with batch normalization.
    BatchNormTransformer : Batch normalization of sequences as a step of a pipeline.

    Notes
    -----
    Sequences may have different lengths: fill shorter sequences with NaN behind their end. The
    network sorts the sequences by length and packs them step by step. So a step behind the end of a
    sequence takes no part in any statistic, state or loss, and costs no time.

    A time step has its own statistics if at least 8 sequences of the mini-batch reach it (or all
    sequences of a smaller mini-batch). A time step that fewer sequences reach is normalized by the
    statistics of the last step that enough sequences reach. In predictions the same holds for steps
    beyond the longest training sequence. At the end of ``fit`` the running statistics are replaced
    by the exact statistics of all training sequences.

    If a mini-batch has no variance at a step (the first rows of pictures are black), the normalized
    value is 0, and the gradient that flows back through it is 0.

    The initial weights of the inputs and of the outputs are drawn as Glorot and Bengio proposed
    [2]_. The initial weights of the state are an orthogonal matrix for each gate. The forget gate
    of an LSTM starts with a bias of 1.

    A sequence of weight 2 counts like two equal sequences: always in the loss, and in batch
    statistics if the weights are moderate. Weights are moderate if no weight is larger than twice
    the mean weight, and no weight is further above the mean weight than three standard deviations.
    If all sequences are one mini-batch, weights are moderate if no weight is larger than four times
    the mean weight. If weights are not moderate, every sequence counts alike in batch statistics,
    except that sequences lighter than a hundredth of the mean weight count less. The rule of 8
    sequences counts every sequence whose weight is not 0.

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
    .. [6] Cooijmans, Ballas, Laurent, Gülçehre and Courville (2017), "Recurrent batch
       normalization", equations 6 to 8, sections 3 to 5, https://arxiv.org/abs/1603.09025.
    .. [7] Laurent, Pereyra, Brakel, Zhang and Bengio (2016), "Batch normalized recurrent neural
       networks", https://arxiv.org/abs/1510.01378.
    .. [8] Hochreiter and Schmidhuber (1997), "Long short-term memory"; with the forget gate of
       Gers, Schmidhuber and Cummins (2000).
    .. [9] Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder for
       statistical machine translation".
    .. [10] Pascanu, Mikolov and Bengio (2013), "On the difficulty of training recurrent neural
       networks".

    Examples
    --------
    The regressor predicts the frequency of noisy waves:

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
        **LOSS_CONSTRAINTS,
        "normalize_target": ["boolean"],
    }

    def __init__(
        self,
        loss: Loss = "squared_error",
        hidden_layer_sizes: LayerSizes = (100,),
        cell: Cell = "lstm",
        *,
        bidirectional: bool | Literal["auto"] = "auto",
        pooling: Pooling = "mean_max",
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
        early_stopping: bool | Literal["auto"] = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.95,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        n_epochs: int | Literal["auto"] = "auto",
        scoring: Scoring = None,
        batch_norm: Literal["full", "input"] | None = "full",
        time_statistics: Literal["per_step", "shared"] = "per_step",
        bn_momentum: float = 0.1,
        bn_epsilon: float = 1e-5,
        bn_frozen: bool = False,
        bn_gamma_init: float = 0.1,
        normalize_input: Literal["auto", "smooth_clip", "standard"] | None = "auto",
        normalize_target: bool = True,
        quantile: float = 0.5,
        dropout: float = 0.0,
        weight_decay: float = 0.0,
        max_grad_norm: float | None = 1.0,
        init_scale: float = 1.0,
        dtype: Literal["float32", "float64"] | None = "float32",
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.bidirectional = bidirectional
        self.pooling = pooling
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
        self.time_statistics = time_statistics
        self.bn_momentum = bn_momentum
        self.bn_epsilon = bn_epsilon
        self.bn_frozen = bn_frozen
        self.bn_gamma_init = bn_gamma_init
        self.normalize_input = normalize_input
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
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_steps, n_features) or (n_samples, n_steps)
            Training sequences, at least two with batch norm. A two-dimensional `X` has one feature.
            Fill shorter sequences with NaN behind their last step. The features need not be scaled.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the sequences, >= 0, for the loss. Moderate weights also count in batch
            statistics (see Notes).
        X_val : array-like of the form of `X`, default=None
            Validation sequences for `early_stopping`. None: `early_stopping` holds out a part of
            `X`.
        y_val : array-like of the form of `y`, default=None
            Targets of the validation sequences.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation sequences, for the score and the loss.

        Returns
        -------
        self : RNNWithBatchNormRegressor

        Raises
        ------
        ValueError
            If the data are not finite (NaN behind the end of a sequence is allowed) or do not fit
            each other, if there are too few sequences, or if the loss stops being finite and there
            is no earlier epoch to go back to. The estimator is then as before the call.

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
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch on the given sequences.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_steps, n_features) or (n_samples, n_steps)
            Training sequences. With batch norm a single sequence is normalized by the running
            statistics. A three-dimensional `X` may have more steps than in earlier calls.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the sequences, >= 0.
        X_val, y_val, sample_weight_val : default=None
            Validation sequences, as in ``fit``. Each call adds one entry to `validation_scores_`
            and to `validation_loss_curve_`. Training does not stop by itself: the caller decides
            when to stop.

        Returns
        -------
        self : RNNWithBatchNormRegressor

        Raises
        ------
        ValueError
            For the reasons of ``fit``, and if `y` has another number of outputs than before.
        """
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=True)
