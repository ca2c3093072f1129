"""One run of `benchmarks.claims`: pictures, a plain network, a fit or a stream of mini-batches.

Everything that helps training and is not batch norm is switched off in `PLAIN`, so that two runs
whose settings differ by ``batch_norm`` differ by batch norm alone.
"""

import warnings
from functools import lru_cache
from time import process_time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from benchmarks.data import arrays
from skbn import MLPWithBatchNormClassifier

# A constant learning rate; no momentum, penalty, decay, held-out rows, temperature, trained input
# factors or embedding; the inputs as they are given.
PLAIN = {
    "learning_rate": "constant",
    "momentum": 0.0,
    "nesterovs_momentum": False,
    "alpha": 0.0,
    "weight_decay": 0.0,
    "early_stopping": False,
    "calibrate": False,
    "normalize_input": None,
    "trained_input_scale": False,
    "periodic_embedding": None,
}
# The two sides of each comparison, by the name that tables and figures have for them.
SIDES = {"with batch norm": "before", "without": None}

DIGITS, FASHION = "digits", "fashion_mnist"
# A score below it is chance, or nearly: both sets have ten classes.
CHANCE = 0.2
# What the errors say of a loss, of outputs, that are not finite.
NON_FINITE = ("non-finite", "not a finite number")
# Mini-batches of one call of `partial_fit` at most: their rows are copied.
STEPS_OF_A_CALL = 200


def settings(layers, activation, solver, batch_norm, rate, **others):
    """The settings of a run, as JSON has them."""
    return {
        "layers": layers,
        "units": 100,
        "activation": activation,
        "solver": solver,
        "batch_norm": batch_norm,
        "rate": rate,
        **others,
    }


def network(run, **parameters):
    """The unfitted classifier of a run."""
    return MLPWithBatchNormClassifier(
        (run["units"],) * run["layers"],
        run["activation"],
        solver=run["solver"],
        batch_norm=run["batch_norm"],
        learning_rate_init=run["rate"],
        batch_size=run["batch_size"],
        init_scale=run.get("init_scale", 1.0),
        random_state=run["seed"],
        **PLAIN,
        **parameters,
    )


@lru_cache(maxsize=2)
def pixels(directory, name):
    """X_train, X_test, y_train, y_test of a set, X between 0 and 1; digits have no test rows."""
    if name == DIGITS:
        X, y = load_digits(return_X_y=True)
        return X / 16.0, X[:0], y, y[:0]
    stored = arrays(directory, name)
    flat = [stored[f"X_{part}"].reshape(len(stored[f"X_{part}"]), -1) for part in ("train", "test")]
    return *flat, stored["y_train"], stored["y_test"]


def pictures(directory, run):
    """Rows of a run, float32: X_train, X_test, y_train, y_test.

    The seed of the run draws the training rows, and of digits the split too. Pixels lie between 0
    and 1; unless the run asks for ``"inputs": "pixels"``, the mean and the deviation of all
    training pixels (one number each) then become 0 and 1.
    """
    X, X_test, y, y_test = pixels(directory, run["data"])
    order = np.random.default_rng(run["seed"]).permutation(len(X))
    train = order[: run["train_rows"]]
    if run["data"] == DIGITS:
        X_test, y_test = X[order[run["train_rows"] :]], y[order[run["train_rows"] :]]
    X_test, y_test = X_test[: run["test_rows"]], y_test[: run["test_rows"]]
    unit = 255.0 if X.dtype == np.uint8 else 1.0
    X_train, X_test = ((part / unit).astype(np.float32) for part in (X[train], X_test))
    if run.get("inputs") != "pixels":
        mean, deviation = X_train.mean(), X_train.std()
        X_train, X_test = (X_train - mean) / deviation, (X_test - mean) / deviation
    return X_train, X_test, y[train], y_test


def trained(model, call, *data, **named):
    """Call `fit` or `partial_fit`; processor seconds, and whether the loss stayed finite."""
    begin = process_time()
    fitted = finite(getattr(model, call), *data, **named)
    return process_time() - begin, fitted is not None


def finite(call, *data, **named):
    """What a call returns; None where a loss or an output is not finite."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            return call(*data, **named)
        except ValueError as error:
            if not any(words in str(error) for words in NON_FINITE):
                raise
            return None


def fit(run, directory):
    """Train for the epochs of a run; test accuracy, last training loss, processor seconds.

    A run whose loss stopped being finite has no score, and counts as chance in the summaries.
    """
    X_train, X_test, y_train, y_test = pictures(directory, run)
    epochs = run["epochs"]
    model = network(run, max_iter=epochs, n_iter_no_change=epochs + 1, tol=0.0)
    seconds, is_finite = trained(model, "fit", X_train, y_train)
    result = {"seconds": seconds, "finite": is_finite, "score": None, "loss": None}
    if is_finite:
        score = finite(model.score, X_test, y_test)
        result |= {"score": score, "finite": score is not None, "loss": float(model.loss_)}
    return result


def stream(run, directory):
    """Train step by step; yields step, model, data and processor seconds at each recorded step.

    ``run["points"]`` are the steps. Ends early where the loss stops being finite.
    """
    data = pictures(directory, run)
    X_train, _, y_train, _ = data
    classes = np.unique(y_train)
    model = network(run, bn_momentum=run.get("bn_momentum", 0.1))
    rng = np.random.default_rng([run["seed"], 1])
    order = np.empty(0, np.intp)
    step = seconds = 0
    for point in run["points"]:
        while step < point:
            steps = min(STEPS_OF_A_CALL, point - step)
            while len(order) < steps * run["batch_size"]:
                order = np.append(order, rng.permutation(len(y_train)))
            rows, order = np.split(order, [steps * run["batch_size"]])
            used, is_finite = trained(
                model, "partial_fit", X_train[rows], y_train[rows], classes=classes
            )
            if not is_finite:
                return
            seconds += used
            step += steps
        yield step, model, data, seconds


def score_of(result):
    """The score of a run; chance where the loss stopped being finite."""
    return 0.1 if result["score"] is None else result["score"]


def is_lost(result):
    """Whether a run ended without a finite loss, or at chance."""
    return score_of(result) < CHANCE
