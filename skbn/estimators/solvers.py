"""Optimizer, schedule, size of mini-batches and L-BFGS, from the parameters of an estimator.

The functions read the parameters of an estimator and do not change the estimator.
"""

import warnings

import numpy as np
import scipy.optimize
from sklearn.base import is_classifier
from sklearn.utils.fixes import parse_version, sp_version
from sklearn.utils.optimize import _check_optimize_result

from skbn.estimators.scoring import n_held_out
from skbn.network import aligned
from skbn.network import optimizer as optimizers
from skbn.network.optimizer import Training
from skbn.network.processes import ONE_PROCESS
from skbn.training import schedules
from skbn.training.epochs import INTERRUPTED

# The fewest held-out rows of early_stopping="auto", and the fewest rows of a regressor from which
# rows are held out: docs/defaults.rst.
FEWEST_HELD_OUT, FEWEST_FOR_REGRESSION = 20, 1000

# The planned schedules, which plan the learning rate of the whole fit.
PLANNED = {"cosine": schedules.Cosine, "one_cycle": schedules.OneCycle}

# The length of a planned schedule for Adam: the fewest epochs, and the fewest steps, which are
# fewer for a small table. A classifier of a tiny table has no held-out rows, which would show that
# the network has learned its rows by heart. So such a classifier gets the fewest epochs.
FEWEST_EPOCHS = 20
FEWEST_STEPS, FEWEST_STEPS_OF_SMALL, SMALL_TABLE = 2500, 1000, 1000
TINY_TABLE = 200

# The learning rate and the epochs of 'auto', if the estimator's plan for Adam does not apply.
CONSTANT_RATE, EPOCHS_WITHOUT_ADAM = 0.001, 200
PLAIN_BATCH = 200
STEPS_OF_AN_EPOCH = 50
BATCHES = (32, 128)

# Several processes exchange numbers in each step, so they take larger mini-batches, if the fewest
# epochs still have the fewest steps. docs/decisions.rst has the measurements.
LARGEST_OF_PROCESSES = 4096


def check_solver(estimator):
    """Refuse parameters that L-BFGS would have to ignore.

    Raises
    ------
    ValueError
        The message names the parameter.
    """
    if estimator.solver != "lbfgs":
        return
    for name, off in (("dropout", 0.0), ("weight_decay", 0.0), ("max_grad_norm", None)):
        value = getattr(estimator, name)
        if value not in (off, "auto"):
            raise ValueError(
                f"{name}={value} cannot be used with solver='lbfgs', which minimizes one fixed "
                f"function: set {name}={off}"
            )


def is_plain(estimator):
    """Whether a new network is plain: trained exactly as scikit-learn trains its own network.

    A network is plain if the parameters switch off all normalization (``from_sklearn`` sets them
    so), and if the network computes in float64 or, like scikit-learn, in the dtype of `X`.
    """
    plain = estimator._plain_parameters
    return (
        plain is not None
        and all(
            getattr(estimator, name, plain[name]) == plain[name]
            for name in plain.keys() - {"dtype"}
        )
        and estimator.dtype != "float32"
    )


def early_stopping(estimator, rows, given, call):
    """How validation rows take part in a call: False, True or ``"auto"``.

    ``"auto"``: a planned training ends with the best of its checkpoints.

    Parameters
    ----------
    estimator : estimator
    rows : Rows
        Rows to train on or to hold out.
    given : Rows or None
        Validation rows that the caller gave.
    call : Call

    Raises
    ------
    ValueError
        If ``partial_fit`` has ``early_stopping=True`` but no validation rows.
    """
    is_given = given is not None
    if estimator.solver == "lbfgs":
        if is_given:
            warnings.warn(
                "X_val is given, but solver='lbfgs' has no epochs to score it after: it is not "
                "used",
                stacklevel=6,
            )
        return False  # as in scikit-learn
    asked = estimator.early_stopping
    if asked != "auto":
        asked = bool(asked)  # NumPy's bool becomes Python's
    elif not _has_checkpoints(estimator, rows, given, call):
        asked = False
    if asked is True and call.incremental and not is_given:
        raise ValueError(
            "partial_fit does not support early_stopping=True without validation data: "
            "give X_val and y_val"
        )
    if is_given and not asked and not call.incremental:
        warnings.warn(
            f"X_val is given, but early_stopping={estimator.early_stopping!r} does not use it here:"
            " validation_scores_ and validation_loss_curve_ are recorded, and training does not "
            "end by them",
            stacklevel=6,
        )
    return asked


def _has_checkpoints(estimator, rows, given, call):
    if call.incremental or estimator.learning_rate not in PLANNED:
        return False
    # A few heavy rows carry no more information than a few rows.
    if given is not None:
        return call.effective_count(given) >= FEWEST_HELD_OUT
    if not is_classifier(estimator) and call.count(rows) < FEWEST_FOR_REGRESSION:
        return False
    n_effective = call.effective_count(rows)
    return n_held_out(n_effective, estimator.validation_fraction) >= FEWEST_HELD_OUT


def new_training(estimator, network, random_state):
    """A new optimizer. If there is dropout, the seed of the dropout masks is drawn."""
    return Training(
        new_optimizer(estimator),
        network.new_moments(),
        estimator.alpha,
        _dropout_seed(estimator, random_state),
    )


def new_optimizer(estimator):
    """The record of a new optimizer."""
    common = {
        "weight_decay": weight_decay(estimator),
        "max_grad_norm": max_grad_norm(estimator),
    }
    if estimator.solver == "sgd":
        return optimizers.sgd(
            momentum=estimator.momentum, nesterov=estimator.nesterovs_momentum, **common
        )
    if estimator.solver == "rmsprop":
        return optimizers.rmsprop(
            decay=estimator.beta_2,
            momentum=estimator.momentum,
            epsilon=estimator.epsilon,
            **common,
        )
    return optimizers.adam(
        beta_1=estimator.beta_1, beta_2=estimator.beta_2, epsilon=estimator.epsilon, **common
    )


NO_SEED = 0


def _dropout_seed(estimator, random_state):
    # Without dropout no number is drawn, so the order of rows does not change.
    return 1 + random_state.randint(2**31 - 2) if estimator.dropout > 0 else NO_SEED


def resumed_training(estimator, random_state):
    """A copy of the optimizer of the earlier call, for ``partial_fit``.

    As in scikit-learn, momentum and betas keep their earlier values, and the penalty follows the
    present parameters. If dropout is switched on in a stream, a seed is drawn.
    """
    optimizer = estimator._optimizer.copy()
    seed = estimator._dropout_seed
    if seed == NO_SEED:
        seed = _dropout_seed(estimator, random_state)
    optimizer["weight_decay"] = weight_decay(estimator)
    optimizer["max_grad_norm"] = max_grad_norm(estimator)
    return Training(optimizer, aligned.copy(estimator._moments), estimator.alpha, seed)


def weight_decay(estimator):
    """The weight decay; ``'auto'`` is resolved."""
    if estimator.weight_decay != "auto":
        return estimator.weight_decay
    return 0.0 if estimator.solver == "lbfgs" else estimator._auto_weight_decay


def max_grad_norm(estimator):
    """The largest norm of a gradient; infinity if there is no limit."""
    return np.inf if estimator.max_grad_norm is None else estimator.max_grad_norm


def schedule_settings(estimator, incremental):
    """The schedule of a new optimizer, as plain values: its kind, rate and exponent.

    ``partial_fit`` uses a constant rate instead of a planned schedule. As in scikit-learn,
    'invscaling' and 'adaptive' belong to SGD, because Adam and RMSProp scale their own steps.
    """
    kind = estimator.learning_rate
    is_kept = not incremental if kind in PLANNED else estimator.solver == "sgd"
    return {
        "kind": kind if is_kept else "constant",
        "learning_rate_init": learning_rate_init(estimator, incremental),
        "power_t": float(estimator.power_t),
    }


def learning_rate_init(estimator, incremental=False):
    """The learning rate; ``'auto'`` is resolved."""
    if estimator.learning_rate_init != "auto":
        return float(estimator.learning_rate_init)
    return estimator._planned_rate if is_planned(estimator) and not incremental else CONSTANT_RATE


def n_epochs(estimator, n_rows, processes=ONE_PROCESS):
    """The maximum number of epochs of ``fit``: the planned epochs, otherwise ``max_iter``.

    Parameters
    ----------
    estimator : estimator
    n_rows : int
        Number of training rows.
    processes : OneProcess or Processes, default=ONE_PROCESS
        The processes that train the network together.
    """
    if estimator.learning_rate not in PLANNED:
        return estimator.max_iter
    if estimator.n_epochs != "auto":
        return estimator.n_epochs
    planned = EPOCHS_WITHOUT_ADAM
    if is_planned(estimator):
        planned = estimator._planned_epochs or _enough_epochs(estimator, n_rows, processes)
    return min(planned, estimator.max_iter)


def _enough_epochs(estimator, n_rows, processes):
    if is_classifier(estimator) and n_rows < TINY_TABLE:
        return FEWEST_EPOCHS
    n_steps = FEWEST_STEPS if n_rows >= SMALL_TABLE else FEWEST_STEPS_OF_SMALL
    steps_of_an_epoch = int(np.ceil(n_rows / rows_per_step(estimator, n_rows, processes)))
    return max(FEWEST_EPOCHS, int(np.ceil(n_steps / steps_of_an_epoch)))


def is_planned(estimator):
    """Whether the planned rate and epochs of the estimator apply. They were chosen for Adam."""
    return estimator.learning_rate in PLANNED and estimator.solver == "adam"


def schedule_of(settings, n_epochs):
    """The schedule with these settings. A planned schedule takes `n_epochs` epochs."""
    rate = settings["learning_rate_init"]
    if settings["kind"] in PLANNED:
        return PLANNED[settings["kind"]](rate, n_epochs)
    if settings["kind"] == "invscaling":
        return schedules.InverseScaling(rate, settings["power_t"])
    if settings["kind"] == "adaptive":
        return schedules.Adaptive(rate)
    return schedules.Constant(rate)


def batch_size(estimator, n_rows, normalized, processes=ONE_PROCESS):
    """Number of rows in a mini-batch. `normalized`: the network has batch norm.

    Raises
    ------
    ValueError
        If batch norm would get mini-batches of one row.
    """
    if estimator.batch_size == "auto":
        return rows_per_step(estimator, n_rows, processes)
    if estimator.batch_size == 1 and normalized and n_rows > 1:
        raise ValueError(
            "batch_size=1 leaves batch norm no variance to normalize by: use at least 2, "
            "or batch_norm=None"
        )
    if estimator.batch_size > n_rows:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            stacklevel=7,
        )
    return rows_per_step(estimator, n_rows)


def rows_per_step(estimator, n_rows, processes=ONE_PROCESS):
    """Number of rows of one step: a mini-batch, or all rows for L-BFGS."""
    if estimator.solver == "lbfgs":
        return n_rows
    if estimator.batch_size != "auto":
        return min(estimator.batch_size, n_rows)
    if estimator._is_plain:
        return min(PLAIN_BATCH, n_rows)
    smallest, largest = BATCHES
    # The nearest power of 2, on a logarithmic scale.
    power = min(max(2 ** round(np.log2(n_rows / STEPS_OF_AN_EPOCH)), smallest), largest)
    if processes.is_parallel:
        rows = 2 ** round(np.log2(n_rows * FEWEST_EPOCHS / FEWEST_STEPS))
        power = max(power, min(rows, LARGEST_OF_PROCESSES))
    return min(power, n_rows)


def minimize(estimator, network, table):
    """Run L-BFGS on all rows as one batch, with batch statistics; changes the parameters.

    Ctrl-C ends the run with a warning, and sets the best parameters up to then.

    Returns
    -------
    n_iter : int
    loss : float
        The loss that scikit-learn reports.
    """
    best_loss, best = np.inf, network.parameters.copy()
    n_iter = 0

    def loss_and_gradient(parameters):
        nonlocal best_loss, best
        network.parameters[:] = parameters
        losses, gradient = network.loss_and_gradient(table, alpha=estimator.alpha)
        # The gradient belongs to the sum over the outputs. scikit-learn combines this gradient with
        # the mean of the squared error. For a plain network this function does the same.
        loss = network.loss_value(losses)[0] if estimator._is_plain else losses.sum()
        if loss < best_loss:
            best_loss, best = loss, network.parameters.copy()
        return loss, gradient.astype(np.float64)

    def iteration_ended(parameters):
        nonlocal n_iter
        n_iter += 1

    try:
        result = scipy.optimize.minimize(
            loss_and_gradient,
            network.parameters.astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=iteration_ended,
            options={
                "maxfun": estimator.max_fun,
                "maxiter": estimator.max_iter,
                "gtol": estimator.tol,
                **printing(estimator.verbose),
            },
        )
    except KeyboardInterrupt:
        network.parameters[:] = best
        warnings.warn(INTERRUPTED, stacklevel=6)
    else:
        network.parameters[:] = result.x
        n_iter = _check_optimize_result("lbfgs", result, estimator.max_iter)
    losses, _ = network.loss_and_gradient(table, alpha=estimator.alpha)
    return n_iter, float(network.loss_value(losses)[0])


def printing(verbose):
    """Options under which L-BFGS prints its progress, as in scikit-learn.

    From SciPy 1.15 on they have no effect, and from SciPy 1.16 on they are deprecated.
    """
    return {} if sp_version >= parse_version("1.15") else {"iprint": 1 if verbose else -1}
