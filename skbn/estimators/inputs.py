"""The fixed normalization of the columns in front of a network.

There are three kinds. ``standard`` and ``smooth_clip`` use means and variances, which merge over
calls of ``partial_fit``. ``robust`` uses the median and the quartiles of the first rows of a
network. ``smooth_clip`` and ``robust`` also apply the smooth clip, which moves outliers towards the
center.
"""

from functools import partial, reduce

import numpy as np
from scipy.sparse import issparse

from skbn.estimators.columns import divisor, merged
from skbn.estimators.quartiles import center_and_spread
from skbn.estimators.state import check_numbers
from skbn.kernels.gather import gather
from skbn.network.table import Table

MOMENTS = ("input_mean_", "input_var_", "_input_weight")
QUARTILES = ("input_center_", "input_spread_")

# Kind -> the attributes that the estimator has, and whether inputs are clipped. None is no kind.
INPUT_KINDS = {
    "standard": (MOMENTS, False),
    "smooth_clip": (MOMENTS, True),
    "robust": (QUARTILES, True),
}

# Attributes of a kind -> attributes of other kinds, which an estimator must not have beside them.
STRANGERS = {names: {*MOMENTS, *QUARTILES}.difference(names) for names in ((), MOMENTS, QUARTILES)}

INPUT_ATTRIBUTES = (*MOMENTS, *QUARTILES, "_input_kind")


def set_input_map(estimator, rows, call):
    """Set the normalization of the inputs of a draft, or merge in the moments of `rows`.

    Parameters
    ----------
    estimator : estimator
        A draft, whose attributes change.
    rows : Rows
        The training rows.
    call : Call
    """
    previous = None
    if call.fresh:
        kind = estimator.normalize_input
        if kind == "auto":
            kind = estimator._auto_input_kind(rows, call)
        estimator._input_kind = kind
        if kind == "robust":
            values = center_and_spread(rows.X, rows.sample_weight, rows.numbers)
            if call.incremental and not values[1].any():
                raise ValueError(
                    "normalize_input='robust' takes the quartiles of the rows of the first call of "
                    f"partial_fit, and all columns are constant in these {rows.n} row(s): give "
                    "more rows, or take 'smooth_clip'."
                )
            estimator.input_center_, estimator.input_spread_ = values
    elif hasattr(estimator, "input_mean_"):
        previous = estimator.input_mean_, estimator.input_var_, estimator._input_weight
    if estimator._input_kind in ("standard", "smooth_clip"):
        of_processes = call.processes.gathered(lambda: estimator._input_moments(rows))
        merge = partial(merged, name="X") if call.fresh else merged
        moments = reduce(merge, of_processes, previous)
        estimator.input_mean_, estimator.input_var_, estimator._input_weight = moments


def input_normalization(estimator):
    """The centers that are subtracted from the inputs, the factors, and whether inputs are clipped.

    Centers and factors are None if inputs are not normalized.

    Raises
    ------
    ValueError
        If the attributes of a fitted estimator are damaged.
    """
    names, values, is_clipped = _attributes_of(estimator)
    if not values:
        return None, None, False
    if estimator._input_kind == "robust":
        center, spread = values
        # Comparisons with NaN are false. After the clip a damaged number would not be noticed.
        if not (np.isfinite(center).all() and spread.min() >= 0.0 and spread.max() < np.inf):
            _check_values(names, values, center.shape)
        with np.errstate(divide="ignore"):
            return center, np.where(spread > 0.0, 1.0 / spread, 0.0), is_clipped
    return values[0], 1.0 / divisor(*values, epsilon=0.0), is_clipped


def check_inputs(estimator, n_features):
    """Refuse damaged attributes of the normalization of the inputs.

    Raises
    ------
    ValueError
        The message names the attribute.
    """
    names, values, _ = _attributes_of(estimator)
    _check_values(names, values, (n_features,))


def _attributes_of(estimator):
    """The names and the arrays of the normalization, and whether inputs are clipped."""
    kind = estimator._input_kind
    if kind is not None and not (isinstance(kind, str) and kind in INPUT_KINDS):
        raise ValueError(f"The fitted state is damaged: _input_kind is {kind!r}.")
    names, is_clipped = ((), False) if kind is None else INPUT_KINDS[kind]
    strangers = vars(estimator).keys() & STRANGERS[names]
    if strangers:
        raise ValueError(
            f"The fitted state is damaged: _input_kind is {kind!r}, but it has {min(strangers)}."
        )
    values = [getattr(estimator, name, None) for name in names]
    for name, array in zip(names, values, strict=True):
        if getattr(array, "dtype", None) != np.float64 or array.shape != values[0].shape:
            raise ValueError(
                f"The fitted state is damaged: {name} is no array of float64 of the shape of "
                "the others of its kind."
            )
    return names, values, is_clipped


def _check_values(names, values, shape):
    # A mean and a median may be negative. The other numbers may not.
    for name, array, least in zip(names, values, (-np.inf, 0.0, 0.0), strict=False):
        check_numbers(name, array, shape, least)


def input_table(X, mean, invstd, clipped, y=None, sample_weight=None):
    """Checked data as the table that a network takes.

    Dense rows are normalized when they are gathered. In a sparse table an entry x_ij becomes
    t_ij = (x_ij - m_j) s_j, and a zero becomes z_j = -m_j s_j. Without the smooth clip the network
    applies this affine map itself, and the table stays sparse. With the smooth clip f an entry
    becomes f(t_ij) and a zero becomes f(z_j). So the stored entries are f(t_ij) - f(z_j), zeros
    stay 0, and the network subtracts the mean -f(z_j).
    """
    if mean is not None and mean.shape != X.shape[1:]:
        raise ValueError(
            f"The fitted state is damaged: the inputs have {X.shape[1]} columns, but they are "
            f"normalized by {mean.size} numbers."
        )
    if clipped and issparse(X):
        zeros = -mean * invstd
        at_entries = (X.data - mean[X.indices]) * invstd[X.indices]
        X = X.copy()
        X.data = smooth_clip(at_entries) - smooth_clip(zeros)[X.indices]
        mean, invstd, clipped = -smooth_clip(zeros), np.ones_like(invstd), False
    return Table(X, y, sample_weight, mean, invstd, clipped)


def smooth_clip(values):
    """The smooth clip t / sqrt(1 + (t / 3)^2) of a vector, in float64."""
    return gather(values.reshape(1, -1), dtype=float, clipped=True)[0]
