"""The part of the docstrings that the recurrent classifier and regressor share.

What means the same to perceptrons is taken from theirs.
"""

from skbn.estimators.docstrings import ATTRIBUTES, REFERENCES, SHARED, entries

# Parameters in the order of the signature; None: as the perceptrons'.
PARAMETERS = {
    "hidden_layer_sizes": """
    hidden_layer_sizes : array-like of shape (n_layers - 2,), default=(100,)
        Units of each recurrent layer, in each direction.
""",
    "cell": """
    cell : {'lstm', 'gru', 'tanh'}, default='lstm'
        Long short-term memory [8]_, gated recurrent unit [9]_ (the reset gate behind the
        recurrent product, as in PyTorch), or ``h = tanh(z)``.
""",
    "bidirectional": """
    bidirectional : bool, default=False
        Whether every layer also reads the sequences from their end, by units of its own. Of a
        shorter sequence the real part alone is reversed.
""",
    "solver": """
    solver : {'lbfgs', 'sgd', 'adam', 'rmsprop'}, default='adam'
        The optimizer: L-BFGS on all sequences at once (for small data, and with
        ``max_grad_norm=None`` only); stochastic gradient descent with momentum; Adam [3]_; or
        RMSProp with momentum [5]_.
""",
    "alpha": None,
    "batch_size": """
    batch_size : int or 'auto', default='auto'
        Sequences of a mini-batch. 'auto' is a fiftieth of them, rounded to a power of 2, at least
        32 and at most 128. A last mini-batch of fewer than 8 sequences joins the one before it
        under batch norm. With batch norm at least 2; but in 'full' the noise of each step's
        statistics goes on to the next, so of fewer than 8 it learns little or nothing.
""",
    "learning_rate": None,
    "learning_rate_init": """
    learning_rate_init : float or 'auto', default='auto'
        The (initial, for 'one_cycle' the highest) learning rate. 'auto' is {planned_rate} for
        Adam with 'cosine' or 'one_cycle', and 0.001 otherwise and in ``partial_fit``.
""",
    "power_t": None,
    "max_iter": """
    max_iter : int or 'auto', default='auto'
        Epochs at most, or iterations of L-BFGS. 'auto' is {planned_epochs} for Adam with 'cosine'
        or 'one_cycle', and 200 otherwise.
""",
    "shuffle": None,
    "random_state": """
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the order of the sequences, those set aside for validation
        and what `dropout` drops. An int gives the same bits in every run on one machine with one
        thread count.
""",
    "tol": None,
    "verbose": None,
    "warm_start": None,
    "momentum": None,
    "nesterovs_momentum": None,
    "early_stopping": None,
    "validation_fraction": None,
    "beta_1, beta_2": None,
    "epsilon": None,
    "n_iter_no_change": None,
    "max_fun": None,
    "batch_norm": """
    batch_norm : {'full', 'input'} or None, default='full'
        What is normalized [1]_: with 'full' [6]_ the contribution of the inputs to the
        pre-activations, that of the state before, each by itself, and the state of an LSTM in
        front of the output gate; with 'input' [7]_ the first alone; or nothing.
""",
    "time_statistics": """
    time_statistics : {'per_step', 'shared'}, default='per_step'
        Whether statistics are taken across the batch for each time step by itself, or, of the
        contribution of the inputs, across the batch and all time steps. Those of the states are
        per step in any case: how a step was normalized decides what the next one sees. gamma and
        beta are the same at all time steps.
""",
    "bn_momentum": None,
    "bn_epsilon": None,
    "bn_gamma_init": """
    bn_gamma_init : float, default=0.1
        Where every gamma starts. At 1 a tanh would saturate from the first step on, and no
        gradient would reach the steps before [6]_.
""",
    "normalize_input": """
    normalize_input : {'standard', 'smooth_clip'} or None, default='smooth_clip'
        Whether each feature is standardized in front of the network, by the exact (weighted)
        moments of all real steps of the training sequences. A constant feature is only centered.
        ``'smooth_clip'``: what comes of that, t, is then t / sqrt(1 + (t / 3)^2), which lies
        between -3 and 3 [4]_: a huge number to predict from moves a prediction no further than a
        large one. In training it does move its feature's mean and deviation: where there are
        numbers beyond some hundred deviations, clip them in front.
""",
    "dropout": """
    dropout : float, default=0.0
        Share of the outputs of each recurrent layer, at each time step, that is dropped at random
        in training on their way to the next layer, in [0, 1). Never on the way to the next step.
""",
    "weight_decay": None,
    "max_grad_norm": """
    max_grad_norm : float or None, default=1.0
        Euclidean norm that the gradient of a mini-batch is scaled down to where it is longer
        [10]_.
""",
    "init_scale": None,
    "dtype": None,
}

OWN_ATTRIBUTES = {
    "coefs_": """
    coefs_ : list of ndarray of shape (n_in, n_out)
        Of each layer, in each direction: weights of the inputs, shape (n_in, g * units), and of
        the state before, (units, g * units), with the g gates side by side (LSTM: i, f, g, o;
        GRU: r, z, n). Then those of the outputs. Views: writing to them changes the network.
""",
    "intercepts_": """
    intercepts_ : list of ndarray of shape (n_out,)
        Those of the same maps. Of the inputs' contribution 0 and read-only under batch norm,
        where beta does their work; of the state's 0 and read-only, but for the candidate of a
        GRU, shape (units,).
""",
    "gammas_, betas_": """
    gammas_, betas_ : list of ndarray of shape (d,)
        Trained scale and shift: of each layer, in each direction, those of the inputs'
        contribution, with 'full' those of the state's (whose beta would be redundant: 0 and
        read-only), and of an LSTM those of its state.
""",
    "running_means_, running_vars_": """
    running_means_, running_vars_ : list of ndarray of shape (n_steps, d), float64
        Statistics that predictions are normalized by, of the same normalizations, step by step; a
        direction that reads backwards counts from the end. (1, d) where they are shared. The
        variances are biased.
""",
    "input_mean_, input_var_": """
    input_mean_, input_var_ : ndarray of shape (n_features,), float64
        Moments of the real steps of the training sequences. Not with ``normalize_input=None``.
""",
    "n_features_in_": """
    n_features_in_ : int
        Features of a time step; for two-dimensional `X` the number of time steps.
""",
    "feature_names_in_": """
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a two-dimensional `X`, where they are strings.
""",
}

NOTES = """
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

    Batch statistics are weighted by `sample_weight`, a weight for each sequence. Those that reach a
    step are counted whatever their weight, if it is not 0.
"""

OWN_REFERENCES = """
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
"""


def texts(planned_rate, planned_epochs):
    """The shared parts by the name of their place in a docstring."""
    shared, attributes = entries(SHARED), entries(ATTRIBUTES)
    parameters = [own or shared[name] for name, own in PARAMETERS.items()]
    numbers = {"{planned_rate}": f"{planned_rate:g}", "{planned_epochs}": str(planned_epochs)}
    parameters = "\n\n".join(text.strip("\n") for text in parameters)
    for place, number in numbers.items():
        parameters = parameters.replace(place, number)
    return {
        "{shared}": parameters,
        "{attributes}": "\n\n".join(
            OWN_ATTRIBUTES.get(name, text).strip("\n") for name, text in attributes.items()
        ),
        "{notes}": NOTES,
        "{references}": f"{REFERENCES.rstrip()}\n{OWN_REFERENCES.lstrip(chr(10))}",
    }
