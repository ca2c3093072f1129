"""One fit of a model, with its scores and times."""

import warnings
from time import perf_counter

import numpy as np
from sklearn.metrics import accuracy_score, r2_score
from threadpoolctl import threadpool_limits

from benchmarks.probabilities import all_classes, brier_scores, class_prior, log_losses


def measured(model, is_classification, seed, X_train, X_test, y_train, y_test, n_classes=None):
    """A fit of a model on one thread: its scores and times, or its error.

    Parameters
    ----------
    model : Model
    n_classes : int or None
        Number of classes of the whole table. The training rows need not have all classes.

    Returns
    -------
    result : dict
        Accuracy or R2, seconds, the shape of the training rows; for classes also the results of
        `probability_scores`. If the fit failed, only the error.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # This imports the modules of the model first. So their threads are limited too, and the
            # time of the imports is not counted.
            model.build(is_classification, seed)
            with threadpool_limits(1):
                begin = perf_counter()
                estimator = model.build(is_classification, seed).fit(X_train, y_train)
                fitted = perf_counter()
                prediction = estimator.predict(X_test)
                end = perf_counter()
                score = accuracy_score if is_classification else r2_score
                scores = {"score": float(score(y_test, prediction))}
                if is_classification:
                    probabilities = estimator.predict_proba(X_test)
                    probabilities = all_classes(probabilities, estimator.classes_, n_classes)
                    scores |= probability_scores(probabilities, y_train, y_test)
        except Exception as error:  # a model may fail with any error, and the other models go on
            return {"error": f"{type(error).__name__}: {error}"}
    return scores | {
        "fit_seconds": fitted - begin,
        "predict_seconds": end - fitted,
        "rows": len(y_train),
        "columns": X_train.shape[1],
    }


def probability_scores(probabilities, y_train, y_test):
    """Log loss and Brier score, the log loss of the class prior of the training rows, and the gap.

    ``excess`` is the log loss minus the log loss of the prior, and ``excess_error`` is the standard
    error of ``excess`` over the test rows.
    """
    losses = log_losses(y_test, probabilities)
    prior = class_prior(y_train, len(y_test), probabilities.shape[1])
    prior_losses = log_losses(y_test, prior)
    excess = losses - prior_losses
    result = {
        "log_loss": losses.mean(),
        "brier": brier_scores(y_test, probabilities).mean(),
        "prior_log_loss": prior_losses.mean(),
        "excess": excess.mean(),
        "excess_error": excess.std(ddof=1) / np.sqrt(len(excess)) if len(excess) > 1 else np.nan,
    }
    result = {name: float(value) for name, value in result.items()}
    if not np.isfinite(result["log_loss"]):
        raise ValueError("probabilities are not numbers")
    return result
