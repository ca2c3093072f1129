"""Scores of predicted probabilities: log loss and Brier score, and the class prior to compare with.

Classes are numbered from 0. The functions of scores return a number for each row. The mean of these
numbers is the score.
"""

import numpy as np


def all_classes(probabilities, classes, n_classes):
    """Probabilities of classes 0 to `n_classes` - 1, from an estimator that has seen `classes`."""
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

    With two classes the score is twice the default result of
    :func:`sklearn.metrics.brier_score_loss`. So one formula serves tables with two classes and with
    more classes.
    """
    differences = probabilities.astype(np.float64)
    differences[np.arange(len(y)), y] -= 1.0
    return np.square(differences).sum(axis=1)
