"""Weights of rows by their classes, from the parameter ``class_weight``."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.class_weight import compute_sample_weight

from skbn.estimators.arguments import in_the_name_of


def weights_by_class(estimator, targets, y, call):
    """The weights of the rows by their classes, or None.

    Parameters
    ----------
    estimator : estimator
        Its parameter `class_weight` is read, if it has this parameter.
    targets : ClassTargets or RealTargets
        The targets. They know all classes in a call of ``partial_fit``.
    y : ndarray or sparse matrix
        Classes or labels from the user.
    call : Call

    Returns
    -------
    weights : ndarray of shape (n_samples,) or None

    Raises
    ------
    ValueError
        If `class_weight` does not fit `y`, or has a weight that is negative or not finite.
    """
    class_weight = getattr(estimator, "class_weight", None)
    if class_weight is None:
        return None
    if call.incremental and class_weight == "balanced":
        raise ValueError(
            "class_weight='balanced' is not supported by partial_fit, which does not see all "
            "rows: give the weights as a dict"
        )
    _check_list(type(estimator).__name__, class_weight, y)
    if not call.processes.is_parallel:
        return _checked_weight(class_weight, y, targets.classes if call.incremental else None)
    counts = _counts_over(call.processes, y)
    with call.processes.agreement():
        if class_weight == "balanced":
            return _balanced(counts, y)
        return _checked_weight(class_weight, y, counts[0][0])


def _checked_weight(class_weight, y, classes):
    n = y.shape[0]
    if classes is not None:
        y = _behind_all_classes(classes, y)
        if y is None:
            return None
    with in_the_name_of("class_weight", instead_of="class_weight"):
        weight = compute_sample_weight(class_weight, y)[-n:]
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError(f"class_weight must be >= 0 and finite, got {class_weight}")
    return weight


def _check_list(estimator_name, class_weight, y):
    if not isinstance(class_weight, list):
        return
    if not all(isinstance(weights, dict) for weights in class_weight):
        raise InvalidParameterError(
            f"The 'class_weight' parameter of {estimator_name} must be a dict, a list of "
            f"dicts, 'balanced' or None. Got {class_weight!r} instead."
        )
    if y.ndim == 1 or y.shape[1] == 1:
        raise ValueError(
            "class_weight is a list of dicts, which is for several labels a row, but y has one "
            "class a row: give one dict of its classes"
        )


def _counts_over(processes, y):
    # For each column of targets: the classes of all processes, and the rows of each class.
    counts = processes.gathered(
        lambda: [np.unique(column, return_counts=True) for column in _columns(y)]
    )
    result = []
    for of_column in zip(*counts, strict=True):
        labels = np.concatenate([classes for classes, _ in of_column])
        classes, places = np.unique(labels, return_inverse=True)
        n = np.bincount(places, np.concatenate([numbers for _, numbers in of_column]))
        result.append((classes, n))
    return result


def _balanced(counts, y):
    # With n rows, n_c of them of class c, and k classes, the weight of the class is n / (k n_c).
    # The weights of several labels are multiplied, as in scikit-learn.
    weight = np.ones(y.shape[0])
    for (classes, n), column in zip(counts, _columns(y), strict=True):
        weight *= (n.sum() / (len(n) * n))[np.searchsorted(classes, column)]
    return weight


def _columns(y):
    y = y.toarray() if issparse(y) else y
    return y.reshape(len(y), -1).T


def _behind_all_classes(classes, y):
    # scikit-learn refuses weights of classes that do not occur, but a call of partial_fit, and a
    # process, need not have rows of every class. So one row of each class is put in front of `y`.
    # The weights in a dict do not depend on the numbers of rows.
    if y.ndim == 2 and y.shape[1] > 1:
        y = y.toarray() if issparse(y) else y
        return np.vstack([np.zeros_like(y[:1]), np.ones_like(y[:1]), y])
    y = np.ravel(y)
    # Unknown classes have no weights. The encoding of `y` refuses them later.
    return np.concatenate([classes, y]) if np.isin(y, classes).all() else None
