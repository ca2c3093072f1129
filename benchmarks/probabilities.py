"""What predicted probabilities are worth: log loss, Brier score, and the class prior beside them.

Classes are numbers from 0. All functions give a number for each row, whose mean is the score.
"""

import numpy as np


def all_classes(probabilities, classes, n_classes):
    """Columns for classes 0 to `n_classes` - 1, of an estimator that has seen `classes`."""
    result = np.zeros((len(probabilities), n_classes), probabilities.dtype)
    result[:, np.asarray(classes, np.intp)] = probabilities
    return result


def class_prior(y_train, n_rows, n_classes):
    """The shares of the classes among the training rows, for each of `n_rows` rows."""
    shares = np.bincount(y_train, minlength=n_classes) / len(y_train)
    return np.tile(shares, (n_rows, 1))


def log_losses(y, probabilities):
    """Minus the logarithm of the probability of the true class.

    Probabilities are kept away from 0 and 1 by the epsilon of their dtype, as in
    :func:`sklearn.metrics.log_loss`.
    """
    epsilon = np.finfo(probabilities.dtype).eps
    of_truth = probabilities[np.arange(len(y)), y]
    return -np.log(np.clip(of_truth, epsilon, 1 - epsilon).astype(np.float64))


def brier_scores(y, probabilities):
    """Sum over all classes of the squared difference between probability and truth: 0 to 2.

    With two classes it is twice the number that :func:`sklearn.metrics.brier_score_loss` gives by
    default, so that tables with two and with more classes are told by one formula.
    """
    differences = probabilities.astype(np.float64)
    differences[np.arange(len(y)), y] -= 1.0
    return np.square(differences).sum(axis=1)
