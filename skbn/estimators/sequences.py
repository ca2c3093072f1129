"""Sequences: checks of the data of the user, and the length of each sequence."""

import numpy as np
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_X_y,
    validate_data,
)

from skbn.estimators.rows import (
    checked_targets,
    is_known_form,
    numpy_alone,
    targets_need_no_check,
)

SHAPES = (
    "(n_samples, n_steps, n_features), or (n_samples, n_steps) for one feature; shorter sequences "
    "are filled up with NaN behind their last step"
)


class Sequences:
    """Checked sequences.

    Parameters
    ----------
    values : ndarray of shape (n, n_steps, n_features), C-ordered
        The steps. Values behind the end of a sequence are arbitrary and never read.
    lengths : ndarray of shape (n,), intp
        Number of steps of each sequence, at least 1.
    """

    def __init__(self, values, lengths):
        self.values, self.lengths = values, lengths

    @property
    def shape(self):
        return self.values.shape

    @property
    def dtype(self):
        return self.values.dtype

    def __getitem__(self, chosen):
        return Sequences(self.values[chosen], self.lengths[chosen])

    def steps(self):
        """The real steps of all sequences, shape (n_real, n_features)."""
        n, n_steps, n_features = self.values.shape
        if (self.lengths == n_steps).all():
            return self.values.reshape(n * n_steps, n_features)
        return self.values[np.arange(n_steps) < self.lengths[:, np.newaxis]]


def checked_sequences(estimator, X, y="no_validation", *, smallest=1, fresh=False):
    """Check sequences, and targets if there are targets; sets the attributes of the checks.

    In a two-dimensional array each row is a sequence of one feature. scikit-learn's checks then are
    the checks of a table: `n_features_in_` is the number of steps, and column names are checked. In
    a three-dimensional array `n_features_in_` is the number of features of a step.

    Raises
    ------
    ValueError
        If the data have another number of dimensions, or a shape that does not fit an earlier call;
        if there is infinity, or NaN anywhere but behind the end of a sequence; if a sequence has no
        step; if there are fewer sequences than `smallest`.
    """
    takes_y = not (isinstance(y, str) and y == "no_validation")
    if not fresh and y is not None and _need_no_check(estimator, X, smallest):
        if takes_y and not targets_need_no_check(y, X.shape[0]):
            y = checked_targets(estimator, y)
            check_consistent_length(X, y)
        sequences = _sequences(X)
        return (sequences, y) if takes_y else sequences
    checks = {
        "dtype": (np.float64, np.float32),
        "ensure_all_finite": "allow-nan",
        "ensure_min_samples": smallest,
    }
    if takes_y:
        checks["multi_output"] = True
    n_dimensions = _n_dimensions(X)
    if n_dimensions > 3:
        raise ValueError(
            f"Found array with dim {n_dimensions}, while {type(estimator).__name__} expects "
            f"sequences of shape {SHAPES}."
        )
    if not fresh:
        _check_dimensions(estimator, n_dimensions)
    with numpy_alone():
        if n_dimensions == 3:
            checked = _checked_in_three_dimensions(estimator, X, y, fresh, checks)
        else:
            checked = validate_data(estimator, X, y, reset=fresh, **checks)
    if fresh:
        estimator._n_dimensions = n_dimensions
    if not takes_y:
        return _sequences(checked)
    X, y = checked
    return _sequences(X), y


def _need_no_check(estimator, X, smallest):
    # The same shortcut as for small tables (``rows.checked_table``).
    return is_known_form(estimator, X, estimator._n_dimensions, smallest) and not np.isinf(X).any()


def _sequences(X):
    values = np.require(X if X.ndim == 3 else X[:, :, np.newaxis], requirements=["C", "ALIGNED"])
    return Sequences(values, lengths_of(values))


def _n_dimensions(X):
    try:
        n_dimensions = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
        ragged = n_dimensions == 1 and getattr(X, "dtype", None) == "O" and any(map(np.ndim, X))
    except ValueError:
        ragged = True
    if ragged:
        raise ValueError(
            "X is a list or an array of arrays that do not make one array of numbers. Sequences "
            f"have to be an array of shape {SHAPES}. skbn.sequences.padded(X) makes such an array "
            "from a list of arrays."
        )
    return n_dimensions


def _check_dimensions(estimator, n_dimensions):
    if n_dimensions in (2, 3) and n_dimensions != estimator._n_dimensions:
        raise ValueError(
            f"X has {n_dimensions} dimensions, but {type(estimator).__name__} was fitted on "
            f"{estimator._n_dimensions}. A single sequence of shape (n_steps, n_features) is "
            "X[np.newaxis]. Sequences of one feature can be given as (n_samples, n_steps) or as "
            "(n_samples, n_steps, 1), always in the same way."
        )


def _checked_in_three_dimensions(estimator, X, y, fresh, checks):
    # scikit-learn's check would take the number of steps for the number of features. So the
    # attributes are set here, and the column names of an earlier fit on a table are removed.
    if isinstance(y, str):
        X = checked = check_array(X, allow_nd=True, estimator=estimator, input_name="X", **checks)
    else:
        checked = check_X_y(X, y, allow_nd=True, estimator=estimator, **checks)
        X = checked[0]
    name = type(estimator).__name__
    if 0 in X.shape:
        raise ValueError(
            f"Found array with 0 feature(s) or 0 step(s) (shape={X.shape}) while a minimum of 1 "
            f"is required by {name}."
        )
    if fresh:
        estimator.n_features_in_ = X.shape[2]
        vars(estimator).pop("feature_names_in_", None)
    elif X.shape[2] != estimator.n_features_in_:
        raise ValueError(
            f"X has {X.shape[2]} features, but {name} is expecting {estimator.n_features_in_} "
            "features as input."
        )
    return checked


def lengths_of(values):
    """The number of steps of each sequence: all values behind the last step are NaN.

    Parameters
    ----------
    values : ndarray of shape (n, n_steps, n_features)
        Without infinity.

    Returns
    -------
    lengths : ndarray of shape (n,), intp

    Raises
    ------
    ValueError
        If NaN is anywhere else, or a sequence has no step.
    """
    n, n_steps, _ = values.shape
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isnan(values.sum()):
            return np.full(n, n_steps, np.intp)
    missing = np.isnan(values)
    is_padding = missing.all(axis=2)
    lengths = n_steps - np.argmin(is_padding[:, ::-1], axis=1)
    lengths[is_padding.all(axis=1)] = 0
    if (lengths == 0).any():
        raise ValueError(
            f"Input X contains NaN: sequence {np.argmin(lengths)} has nothing else, and so no step."
        )
    inside = missing.any(axis=2) & (np.arange(n_steps) < lengths[:, np.newaxis])
    if inside.any():
        sequence, step = np.argwhere(inside)[0]
        raise ValueError(
            f"Input X contains NaN inside sequence {sequence}, at step {step} of its "
            f"{lengths[sequence]}. All features of a step have to be NaN where, and only where, it "
            "stands behind the end of a shorter sequence."
        )
    return lengths.astype(np.intp)
