"""The part of the docstrings that the classifier and the regressor share, written once."""

import inspect

SHARED = """
    hidden_layer_sizes : array-like of shape (n_layers - 2,), default=(128, 128, 128)
        Units of each hidden layer.

    activation : {'identity', 'logistic', 'tanh', 'relu', 'silu', 'gelu'}, default='silu'
        Activation function of the hidden layers. 'silu' is ``x * logistic(x)``, 'gelu' the
        exact ``x * Phi(x)``: smooth relatives of 'relu' that leave no unit dead.

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

    learning_rate : {'constant', 'invscaling', 'adaptive', 'cosine', 'one_cycle'}, \
            default='one_cycle'
        Schedule of the learning rate. For ``solver='sgd'``: 'invscaling',
        ``learning_rate_init / (t + 1) ** power_t`` after t rows; 'adaptive', divided by 5 each
        time the loss stops improving. For Adam and RMSProp too: 'cosine', from
        `learning_rate_init` to 0 along half a cosine, which often ends at a better score than a
        constant one; 'one_cycle', up to `learning_rate_init` for 30 % of the epochs and down
        again, for few epochs at a high rate. These two run for `max_iter` epochs whatever the
        training loss does; ``partial_fit`` takes them for 'constant'.

    learning_rate_init : float or 'auto', default='auto'
        The (initial, for 'one_cycle' the highest) learning rate. 'auto' is 0.03 for Adam with
        'cosine' or 'one_cycle', and 0.001 otherwise and in ``partial_fit``.

    power_t : float, default=0.5
        Exponent of ``learning_rate='invscaling'``.

    max_iter : int or 'auto', default='auto'
        Epochs at most, or iterations of L-BFGS. 'auto' is 25 for Adam with 'cosine' or
        'one_cycle', and 200 otherwise, which may be too few for L-BFGS.

    shuffle : bool, default=True
        Whether the rows are shuffled in each epoch.

    random_state : int, RandomState instance or None, default=None
        Determines the initial weights and the order of the rows. Weights are drawn in the
        order of scikit-learn's networks. An int gives the same bits in every run on one
        machine with one thread count.

    tol : float, default=1e-4
        When the loss has not improved by at least this for `n_iter_no_change` epochs, training
        ends (or the learning rate falls, with ``learning_rate='adaptive'``). Neither means
        anything to 'cosine' and 'one_cycle', unless training stops early.

    verbose : bool, default=False
        Whether to print the loss of every epoch.

    warm_start : bool, default=False
        Whether ``fit`` goes on from the parameters of the previous call (the optimizer starts
        anew).

    momentum : float, default=0.9
        Momentum of ``solver='sgd'`` and ``'rmsprop'``, in [0, 1]. Not the momentum of the
        running statistics, which is `bn_momentum`.

    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's, for ``solver='sgd'``.

    early_stopping : bool or 'auto', default=False
        Whether training ends when the score on validation rows (accuracy, R2) has not improved
        by `tol` for `n_iter_no_change` epochs, and the best epoch is restored: weights, gamma,
        beta and statistics. 'auto' does so for more than 10,000 rows or where `X_val` is given.

    validation_fraction : float, default=0.1
        Share of the rows set aside for it where no `X_val` is given.

    beta_1, beta_2 : float, default=0.9, 0.95
        Decay of the first and second moment estimates of ``solver='adam'``, in [0, 1). That of
        the squared gradient of ``solver='rmsprop'`` is `beta_2`.

    epsilon : float, default=1e-8
        Numerical stability of ``solver='adam'`` and ``'rmsprop'``. Not the epsilon of batch
        norm, which is `bn_epsilon`.

    n_iter_no_change : int, default=10
        Epochs without an improvement of `tol` that end training.

    max_fun : int, default=15000
        Evaluations of the loss at most with ``solver='lbfgs'``.

    batch_norm : {'before', 'after'} or None, default='before'
        Whether hidden layers are normalized *before* their activation [1]_ (they then have no
        intercept, which the batch mean would remove) or *after* it, or not at all.

    bn_momentum : float, default=0.1
        Weight of the **newest** batch in the running statistics, in (0, 1], as in PyTorch
        (Keras's ``momentum`` is one minus it). The first batch sets them. ``fit`` replaces
        them at its end by the exact ones; ``partial_fit`` keeps them.

    bn_epsilon : float, default=1e-5
        Added to the variances that are divided by.

    normalize_input : {'standard', 'smooth_clip'} or None, default='smooth_clip'
        Whether the columns of `X` are standardized in front of the network, by the exact
        (weighted) moments of the training rows. Constant columns are only centered.
        ``'smooth_clip'``: what comes of that, t, is then t / sqrt(1 + (t / 3)^2), which lies
        between -3 and 3 [4]_: a huge number to predict from moves a prediction no
        further than a large one, and those of a column harm no other column. In training they
        do move the column's own mean and deviation: beyond some hundred deviations put a
        ``RobustScaler`` or ``QuantileTransformer`` in front. scikit-learn cannot express the
        clip: for ``to_sklearn`` take ``'standard'``, and an `activation` that it has.

    dropout : float, default=0.0
        Share of the outputs of each hidden layer that is dropped at random in training, in
        [0, 1): against overfitting.

    weight_decay : float, default=0.0
        Decoupled decay: before each step weights (never intercepts, gamma or beta) shrink by
        ``learning_rate * weight_decay``. With Adam this is AdamW, where `alpha` would be
        divided by the gradient's size. Not with ``solver='lbfgs'``, nor is `dropout`.

    max_grad_norm : float or None, default=None
        Euclidean norm that the gradient of a mini-batch is scaled down to where it is longer:
        keeps one bad batch from throwing the weights far away.

    init_scale : float, default=1.0
        Factor on the initial weights (not on intercepts): to see how little a network with
        batch norm depends on them.

    dtype : {'float32', 'float64'} or None, default='float32'
        What the network computes in; None follows the dtype of `X`.
"""

ATTRIBUTES = """
    loss_ : float
        Loss of the last epoch.

    best_loss_ : float or None
        Least loss of an epoch; None with early stopping.

    loss_curve_ : list of float
        Mean training loss of each epoch, penalty included. Like the other curves and scores not
        after ``solver='lbfgs'``, which has no epochs.

    learning_rate_curve_ : list of float
        Learning rate at the start of each epoch.

    validation_scores_, validation_loss_curve_ : list of float or None
        Score and loss (without the penalty) on the validation rows after each epoch; None
        without any.

    best_validation_score_ : float or None
        The best of those scores.

    t_ : int
        Rows trained on.

    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of each layer. Views: writing to them changes the network.

    intercepts_ : list of ndarray of shape (n_out,)
        Intercepts of each layer. Those of hidden layers are 0 and read-only with
        ``batch_norm='before'``, where beta does their work.

    gammas_, betas_ : list of ndarray of shape (d,)
        Trained scale and shift of each normalized hidden layer.

    running_means_, running_vars_ : list of ndarray of shape (d,), float64
        Statistics that predictions are normalized by; the variances are biased.

    input_mean_, input_var_ : ndarray of shape (`n_features_in_`,), float64
        Moments of the training rows. Not with ``normalize_input=None``.

    n_features_in_ : int
        Number of columns of `X`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where `X` had string names.

    n_iter_ : int
        Epochs of the last call.

    n_layers_ : int
        Number of layers, input and output included.

    n_outputs_ : int
        Number of outputs.

    out_activation_ : str
        Name of the function that links raw outputs to predictions.
"""

REFERENCES = """
    .. [1] Ioffe and Szegedy (2015), "Batch normalization: accelerating deep network training by
       reducing internal covariate shift", Algorithms 1 and 2, section 3.2.
    .. [2] Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward
       neural networks".
    .. [3] Kingma and Ba (2015), "Adam: a method for stochastic optimization".
    .. [4] Holzmüller, Grinsztajn and Steinwart (2024), "Better by default: strong pre-tuned MLPs
       and boosted trees on tabular data", section 3, https://arxiv.org/abs/2407.04491.
    .. [5] Tieleman and Hinton (2012), "Neural networks for machine learning", Lecture 6.5.
"""


TEXTS = {"{shared}": SHARED, "{attributes}": ATTRIBUTES, "{references}": REFERENCES}


def entries(text):
    """The entries of a numpydoc section, by what stands in front of their colon."""
    blocks = text.strip("\n").split("\n\n")
    return {block.split(" : ")[0].strip(): block for block in blocks}


def shares_documentation(texts=TEXTS):
    """Class decorator: fill places such as ``{shared}`` in a docstring with these texts."""

    def filled(cls):
        if cls.__doc__ is not None:  # None under python -OO
            doc = inspect.cleandoc(cls.__doc__)
            for place, text in texts.items():
                doc = doc.replace(place, inspect.cleandoc(text))
            cls.__doc__ = doc
        return cls

    return filled
