"""The fixed normalization of the columns in front of a network.

Two kinds are known by moments, which merge over calls of ``partial_fit``: ``standard``, and
``smooth_clip``, which draws in numbers far out. The third, ``robust``, is known by quartiles of the
rows that a network begins with, and draws in, too.
"""

import numpy as np
from scipy.sparse import issparse

from skbn.estimators.columns import divisor, merged
from skbn.estimators.quartiles import center_and_spread
from skbn.estimators.state import check_numbers
from skbn.kernels.gather import gather
from skbn.network.table import Table

MOMENTS = ("input_mean_", "input_var_", "_input_weight")
QUARTILES = ("input_center_", "input_spread_")

# The kinds, beside None -> the attributes that the estimator has, and whether inputs are drawn in.
INPUT_KINDS = {
    "standard": (MOMENTS, False),
    "smooth_clip": (MOMENTS, True),
    "robust": (QUARTILES, True),
}

# The attributes of a kind -> the attributes of other kinds, which an estimator must not have.
STRANGERS = {names: {*MOMENTS, *QUARTILES}.difference(names) for names in ((), MOMENTS, QUARTILES)}

INPUT_ATTRIBUTES = (*MOMENTS, *QUARTILES, "_input_kind")


def set_input_map(estimator, rows, call):
    """Set the normalization of the inputs of a draft, or merge the moments of `rows` into it.

    Parameters
    ----------
    estimator : estimator
        A draft; its attributes change.
    rows : Rows
        The rows to train on.
    call : Call
    """
    previous = None
    if call.fresh:
        kind = estimator.normalize_input
        if kind == "auto":
            kind = estimator._auto_input_kind(rows, call.incremental)
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
        moments = merged(previous, estimator._input_moments(rows))
        estimator.input_mean_, estimator.input_var_, estimator._input_weight = moments


def input_normalization(estimator):
    """The numbers subtracted from the inputs, their factors, and whether inputs are drawn in.

    The first two are None where inputs are not normalized.

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
        # NaN is in no interval. A number too large would go through the clip without a trace.
        if not (np.isfinite(center).all() and spread.min() >= 0.0 and spread.max() < np.inf):
            _check_values(names, values, center.shape)
        with np.errstate(divide="ignore"):
            return center, np.where(spread > 0.0, 1.0 / spread, 0.0), is_clipped
    return values[0], 1.0 / divisor(*values, epsilon=0.0), is_clipped


def check_inputs(estimator, n_features):
    """Refuse attributes of the normalization of the inputs that are damaged.

    Raises
    ------
    ValueError
        Naming the attribute.
    """
    names, values, _ = _attributes_of(estimator)
    _check_values(names, values, (n_features,))


def _attributes_of(estimator):
    """The names of the attributes of its kind, the arrays, and whether inputs are drawn in."""
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
    # A mean and a median may be below 0.
    for name, array, least in zip(names, values, (-np.inf, 0.0, 0.0), strict=False):
        check_numbers(name, array, shape, least)


def input_table(X, mean, invstd, clipped, y=None, sample_weight=None):
    """Checked data as the table that a network takes.

    Dense rows are normalized when they are gathered. Of a sparse table t_ij = (x_ij - m_j) s_j,
    whose zeros are at z_j = -m_j s_j, a network takes the affine part by itself; through the
    smooth clip f the zeros are at f(z_j), so its entries are f(t_ij) - f(z_j), less -f(z_j).
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
    """t / sqrt(1 + (t / 3)^2) of a vector, float64."""
    return gather(values.reshape(1, -1), dtype=float, clipped=True)[0]
