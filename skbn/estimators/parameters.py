"""The part of the docstrings that the classifier and the regressor share, written once."""

import inspect

SHARED = """
    hidden_layer_sizes : array-like of shape (n_layers - 2,), default=(100,)
        Units of each hidden layer.

    activation : {'identity', 'logistic', 'tanh', 'relu'}, default='relu'
        Activation function of the hidden layers.

    solver : {'sgd', 'adam'}, default='adam'
        The optimizer: stochastic gradient descent with momentum, or Adam [3]_.

    alpha : float, default=0.0001
        Strength of the L2 penalty on the weights (never on intercepts, gamma or beta), divided
        by the batch's total weight when added to the loss.

    batch_size : int or 'auto', default='auto'
        Rows of a mini-batch; 'auto' is ``min(200, n_samples)``. A last mini-batch of one row
        joins the one before it under batch norm. With batch norm at least 2.

    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Schedule of the learning rate of ``solver='sgd'``: 'constant'; 'invscaling',
        ``learning_rate_init / (t + 1) ** power_t`` after t rows; 'adaptive', divided by 5 each
        time the loss stops improving.

    learning_rate_init : float, default=0.001
        The (initial) learning rate.

    power_t : float, default=0.5
        Exponent of ``learning_rate='invscaling'``.

    max_iter : int, default=200
        Epochs at most.

    shuffle : bool, default=True
        Whether the rows are shuffled in each epoch.

    random_state : int, RandomState instance or None, default=None
        Determines the initial weights and the order of the rows. Weights are drawn in the
        order of scikit-learn's networks. An int gives the same bits in every run on one
        machine with one thread count.

    tol : float, default=1e-4
        When the loss has not improved by at least this for `n_iter_no_change` epochs, training
        ends (or the learning rate falls, with ``learning_rate='adaptive'``).

    verbose : bool, default=False
        Whether to print the loss of every epoch.

    warm_start : bool, default=False
        Whether ``fit`` goes on from the parameters of the previous call (the optimizer starts
        anew).

    momentum : float, default=0.9
        Momentum of ``solver='sgd'``, in [0, 1]. Not the momentum of the running statistics,
        which is `bn_momentum`.

    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.

    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the first and second moment estimates of ``solver='adam'``, in [0, 1).

    epsilon : float, default=1e-8
        Numerical stability of ``solver='adam'``. Not the epsilon of batch norm, which is
        `bn_epsilon`.

    n_iter_no_change : int, default=10
        Epochs without an improvement of `tol` that end training.

    batch_norm : {'before', 'after'} or None, default='before'
        Whether hidden layers are normalized *before* their activation [1]_ (they then have no
        intercept, which the batch mean would remove) or *after* it, or not at all.

    bn_momentum : float, default=0.1
        Weight of the **newest** batch in the running statistics, in (0, 1], as in PyTorch
        (Keras's ``momentum`` is one minus it). The first batch sets them. ``fit`` replaces
        them at its end by the exact ones; ``partial_fit`` keeps them.

    bn_epsilon : float, default=1e-5
        Added to the variances that are divided by.

    normalize_input : {'standard'} or None, default='standard'
        Whether the columns of `X` are standardized in front of the network, by the exact
        (weighted) moments of the training rows. Constant columns are only centered.

    dtype : {'float32', 'float64'} or None, default='float32'
        What the network computes in; None follows the dtype of `X`.
"""

ATTRIBUTES = """
    loss_ : float
        Loss of the last epoch.

    best_loss_ : float
        Least loss of an epoch.

    loss_curve_ : list of float
        Mean training loss of each epoch, penalty included.

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

    input_mean_, input_var_ : ndarray of shape (n_features_in_,), float64
        Moments of the training rows. Only with ``normalize_input='standard'``.

    n_features_in_ : int
        Number of columns of `X`.

    feature_names_in_ : ndarray of shape (n_features_in_,)
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
"""


def shares_documentation(cls):
    """Class decorator: fill ``{shared}``, ``{attributes}`` and ``{references}`` of a docstring."""
    if cls.__doc__ is not None:  # None under python -OO
        doc = inspect.cleandoc(cls.__doc__)
        for name, text in (
            ("{shared}", SHARED),
            ("{attributes}", ATTRIBUTES),
            ("{references}", REFERENCES),
        ):
            doc = doc.replace(name, inspect.cleandoc(text))
        cls.__doc__ = doc
    return cls
