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

    Long short-term memory, gated recurrent units or plain units; the target follows from the
    last state, or from the mean or maximum of all states. Statistics are taken across the batch
    for each time step, never across time steps unless that is asked for. Minimizes a loss by
    stochastic gradient descent or L-BFGS.

    Parameters
    ----------
    loss : {'squared_error', 'poisson', 'absolute_error', 'quantile'}, default='squared_error'
        Half the squared error; half the Poisson deviance of a mean that is the exponential of
        the network's output, for counts and other targets >= 0; the absolute error, which
        outliers in the target do not dominate; or the pinball loss, whose minimum is the
        `quantile` of the target. All but the deviance are reported as a mean over outputs.

    hidden_layer_sizes : array-like of shape (n_layers - 2,), default=(100,)
        Units of each recurrent layer, in each direction.

    cell : {'lstm', 'gru', 'tanh'}, default='lstm'
        Long short-term memory [8]_, gated recurrent unit [9]_ (the reset gate behind the
        recurrent product, as in PyTorch), or ``h = tanh(z)``.

    bidirectional : bool or 'auto', default='auto'
        Whether every layer also reads the sequences from their end, by units of its own. Of a
        shorter sequence the real part alone is reversed. 'auto' is False where `pooling` is 'last',
        and True otherwise.

    pooling : {'last', 'mean', 'max', 'mean_max'}, default='mean_max'
        How the states of the highest layer become the inputs of the output layer. 'last': the
        state after the last step. 'mean', 'max': mean or maximum of each unit over the real steps
        of a sequence, both directions included. 'mean_max': the means and the maxima side by side,
        twice as many inputs.

    solver : {'lbfgs', 'sgd', 'adam', 'rmsprop'}, default='adam'
        The optimizer: L-BFGS on all sequences at once (for small data, and with
        ``max_grad_norm=None`` only); stochastic gradient descent with momentum; Adam [3]_; or
        RMSProp with momentum [5]_.

    alpha : float, default=0.0001
        Strength of the L2 penalty on the weights (never on intercepts, gamma or beta), divided
        by the batch's total weight when added to the loss.

    batch_size : int or 'auto', default='auto'
        Sequences of a mini-batch. 'auto' is a fiftieth of them, rounded to a power of 2, at least
        32 and at most 128. A last mini-batch of fewer than 8 sequences joins the one before it
        under batch norm. With batch norm at least 2; but in 'full' the noise of each step's
        statistics goes on to the next, so of fewer than 8 it learns little or nothing.

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
        The (initial, for 'one_cycle' the highest) learning rate. 'auto' is 0.01 for
        Adam with 'cosine' or 'one_cycle', and 0.001 otherwise and in ``partial_fit``.

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
        Determines the initial weights, the order of the sequences, those set aside for validation
        and what `dropout` drops. An int gives the same bits in every run on one machine with one
        thread count.

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

    early_stopping : bool or 'auto', default=False
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
        Epochs of a planned schedule, ``learning_rate='cosine'`` or ``'one_cycle'``. 'auto' is
        for Adam 100 in one direction and 70 in both, and 200 for SGD and RMSProp, but at most
        `max_iter`; a number is taken as it is. Other schedules, and L-BFGS, have `max_iter` alone.

    scoring : str, callable or None, default=None
        The score on validation rows: 'loss' (minus the log loss after the temperature, or minus the
        trained loss), or a scorer of scikit-learn, which gets the weights of the rows where they
        have some. None is 'loss' where 'auto' of `early_stopping` looks at checkpoints, otherwise
        accuracy or R2. Without validation rows there is no score.

    batch_norm : {'full', 'input'} or None, default='full'
        What is normalized [1]_: with 'full' [6]_ the contribution of the inputs to the
        pre-activations, that of the state before, each by itself, and the state of an LSTM in
        front of the output gate; with 'input' [7]_ the first alone; or nothing.

    time_statistics : {'per_step', 'shared'}, default='per_step'
        Whether statistics are taken across the batch for each time step by itself, or, of the
        contribution of the inputs, across the batch and all time steps. Those of the states are
        per step in any case: how a step was normalized decides what the next one sees. gamma and
        beta are the same at all time steps.

    bn_momentum : float, default=0.1
        Weight of the **newest** batch in the running statistics, in (0, 1], as in PyTorch
        (Keras's ``momentum`` is one minus it). The first batch sets them. ``fit`` replaces
        them at its end by the exact ones; ``partial_fit`` keeps them.

    bn_epsilon : float, default=1e-5
        Added to the variances that are divided by.

    bn_gamma_init : float, default=0.1
        Where every gamma starts. At 1 a tanh would saturate from the first step on, and no
        gradient would reach the steps before [6]_.

    normalize_input : {'auto', 'smooth_clip', 'standard'} or None, default='auto'
        Whether each feature is standardized in front of the network, by the exact (weighted)
        moments of all real steps of the training sequences. A constant feature is only centered.
        'smooth_clip', which is 'auto': what comes of that, t, is then t / sqrt(1 + (t / 3)^2),
        which lies between -3 and 3 [4]_: a huge number to predict from moves a prediction no
        further than a large one. In training it does move its feature's mean and deviation: where
        there are numbers beyond some hundred deviations, clip them in front.

    dropout : float, default=0.0
        Share of the outputs of each recurrent layer, at each time step, that is dropped at random
        in training on their way to the next layer, in [0, 1). Never on the way to the next step. Of
        the highest layer the outputs of `pooling` are dropped.

    weight_decay : float, default=0.0
        Decoupled decay: before each step weights (never intercepts, gamma or beta) shrink by
        ``learning_rate * weight_decay``. With Adam this is AdamW, where `alpha` would be
        divided by the gradient's size. Not with ``solver='lbfgs'``, nor is `dropout`.

    max_grad_norm : float or None, default=1.0
        Euclidean norm that the gradient of a mini-batch is scaled down to where it is longer
        [10]_.

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
        Of each layer, in each direction: weights of the inputs, shape (n_in, g * units), and of
        the state before, (units, g * units), with the g gates side by side (LSTM: i, f, g, o;
        GRU: r, z, n). Then those of the outputs. Views: writing to them changes the network.

    intercepts_ : list of ndarray of shape (n_out,)
        Those of the same maps. Of the inputs' contribution 0 and read-only under batch norm,
        where beta does their work; of the state's 0 and read-only, but for the candidate of a
        GRU, shape (units,).

    gammas_ : list of ndarray of shape (d,)
        Trained scales. Each layer has one array in each direction for the contribution of the
        inputs, with ``batch_norm='full'`` one for the contribution of the state, and an LSTM one
        for its cell state.

    betas_ : list of ndarray of shape (d,)
        Trained shifts, in the order of `gammas_`. The shift of the contribution of the state would
        be redundant: it is 0 and read-only.

    running_means_ : list of ndarray of shape (n_steps, d), float64
        Means that predictions are normalized by, in the order of `gammas_`, step by step. A
        direction that reads backwards counts from the end. The shape is (1, d) where time steps
        share their statistics.

    running_vars_ : list of ndarray of shape (n_steps, d), float64
        Biased variances that predictions are normalized by, in the form of `running_means_`.

    input_mean_ : ndarray of shape (n_features,), float64
        Mean of each feature over the real steps of the training sequences. Not with
        ``normalize_input=None``.

    input_var_ : ndarray of shape (n_features,), float64
        Biased variance of each feature over the real steps of the training sequences. Not with
        ``normalize_input=None``.

    n_features_in_ : int
        Features of a time step; for two-dimensional `X` the number of time steps.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a two-dimensional `X`, where they are strings.

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
    RNNWithBatchNormClassifier : The same network for classes.
    MLPWithBatchNormRegressor : A multi-layer perceptron with batch normalization.
    BatchNormTransformer : Batch normalization of sequences as a step of a pipeline.

    Notes
    -----
    Sequences of different length are filled up with NaN behind their end. They are sorted by
    length and packed step by step, so a step that is not there takes no part in any statistic,
    state or loss, and costs nothing.

    Fewer than 8 sequences of a mini-batch (or less than all, if it is smaller) give a time step no
    statistics of its own: it is normalized by those of the last step that enough sequences reach.
    So are, in predictions, steps beyond the longest training sequence. At the end of ``fit`` the
    statistics are replaced by the exact ones of all training sequences.

    Where a mini-batch has no variance at a step (the first rows of pictures are black) the
    normalized value is 0, and so is the gradient that comes back through it.

    Weights of the inputs and the outputs are Glorot's [2]_ at first, those of the state
    orthogonal in each gate; the forget gate of an LSTM starts with a bias of 1.

    A weight of 2 is the sequence twice: in the loss always, in batch statistics where weights are
    moderate. Weights are moderate where none is larger than twice the mean weight, or further
    above it than three standard deviations; where all sequences are one mini-batch, where none is
    larger than four times the mean weight. Otherwise every sequence counts alike in batch
    statistics. Sequences that reach a step are counted whatever their weight, if it is not 0.

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
            Training sequences, at least two with batch norm; of two dimensions with one feature.
            Behind the last step of a shorter one all is NaN. Need not be scaled.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the sequences, in the loss; moderate ones in batch statistics too
            (see Notes).
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
