"""Rows: the data of the user, after checks, in the form that a network takes."""

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn import config_context, get_config
from sklearn.base import is_regressor
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_consistent_length,
    validate_data,
)

from skbn.estimators.arguments import checker_of, in_the_name_of
from skbn.estimators.class_weights import weights_by_class

# Up to this number of entries in a table the time of scikit-learn's checks is noticeable.
SMALL_TABLE = 1_000_000

# Up to this size a mask of the finite numbers is faster than the sum of all numbers.
FEW_NUMBERS = 10_000


@dataclass
class Rows:
    """Rows of checked data: `X`, targets of shape (n, n_targets), weights or None.

    `X` is a table or `Sequences`. Both have a shape and a dtype, and both give rows by a mask or
    by row numbers.

    Attributes
    ----------
    numbers : ndarray of shape (n,), intp, or None
        The positions of these rows in `X`, which may have more rows. ``None``: `X` has exactly
        these rows.
    """

    X: object
    targets: np.ndarray
    sample_weight: np.ndarray | None = None
    numbers: np.ndarray | None = None

    @property
    def n(self):
        return len(self.targets)

    @property
    def own_X(self):
        """`X` with these rows alone: a copy, if `X` has more rows."""
        return self.X if self.numbers is None else self.X[self.numbers]

    def taken(self, numbers):
        """A copy of the rows with these numbers. `self.numbers` must be None."""
        weight = None if self.sample_weight is None else self.sample_weight[numbers]
        return Rows(self.X[numbers], self.targets[numbers], weight)

    def marked(self, numbers):
        """The rows with these numbers, in order. A dense table is not copied."""
        if not isinstance(self.X, np.ndarray):
            return self.taken(numbers)
        weight = None if self.sample_weight is None else self.sample_weight[numbers]
        return Rows(self.X, self.targets[numbers], weight, numbers)

    def in_place(self, values):
        """`values` of these rows, at the positions of the rows in `X`; 0 at other positions."""
        if self.numbers is None or values is None:
            return values
        placed = np.zeros((self.X.shape[0], *values.shape[1:]), values.dtype)
        placed[self.numbers] = values
        return placed


def as_table(X):
    """Checked data as a table that kernels can read.

    A dense table is aligned. A sparse table is CSR without duplicates; its arrays are contiguous,
    and its indices have one dtype.
    """
    if not issparse(X):
        return X if X.flags.aligned else np.require(X, requirements=["ALIGNED"])
    X = X.tocsr()
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    index = np.result_type(X.indices, X.indptr)
    arrays = [
        np.require(array, dtype, requirements=["C", "ALIGNED"])
        for array, dtype in ((X.data, X.dtype), (X.indices, index), (X.indptr, index))
    ]
    if arrays[0] is not X.data or arrays[1] is not X.indices or arrays[2] is not X.indptr:
        # Set by hand: SciPy's constructor would choose another dtype for the indices.
        X = X.copy()
        X.data, X.indices, X.indptr = arrays
    return X


def checked_data(estimator, *data, **checks):
    """The result of scikit-learn's ``validate_data``, with the checks that all tables need."""
    checks |= {"accept_sparse": ["csr", "csc"], "dtype": (np.float64, np.float32)}
    with numpy_alone():
        return validate_data(estimator, *data, **checks)


def checked_targets(estimator, y, name="y"):
    """Targets as ``validate_data`` returns them. This function checks targets without a table."""
    with numpy_alone():
        return check_array(
            y,
            accept_sparse="csr",
            ensure_2d=False,
            dtype=None,
            input_name=name,
            estimator=estimator,
        )


def numpy_alone():
    """A context in which checks of scikit-learn return NumPy arrays.

    With the setting ``array_api_dispatch`` the checks would return tensors unchanged. The kernels
    work on memory of this process. So tensors become arrays, or raise an error with the reason.
    """
    if not get_config()["array_api_dispatch"]:
        return nullcontext()
    return config_context(array_api_dispatch=False)


def checked_table(estimator, X, y="no_validation", *, smallest=1, fresh=False):
    """Check a table, and targets if there are targets.

    scikit-learn's checks set ``n_features_in_`` and ``feature_names_in_`` if `fresh` is true.

    For a few rows, as in a service or a stream, scikit-learn's checks take longer than the network.
    So this function skips the checks if they would return the same arrays without a warning. A
    large table is always checked.

    Raises
    ------
    ValueError
        If the data are not finite, do not fit an earlier call, or have fewer than `smallest` rows.
    """
    needs_no_check = not fresh and _table_needs_no_check(estimator, X, smallest)
    if isinstance(y, str) and y == "no_validation":
        if needs_no_check:
            return X
        X = checked_data(estimator, X, ensure_min_samples=smallest, reset=fresh)
        return as_table(X)
    if needs_no_check and y is not None:
        if not targets_need_no_check(y, X.shape[0]):
            y = checked_targets(estimator, y)
            check_consistent_length(X, y)
        return X, y
    if targets_need_no_check(y, n_rows_of(X)):
        X = checked_data(estimator, X, ensure_min_samples=smallest, reset=fresh)
    else:
        X, y = checked_data(
            estimator, X, y, multi_output=True, ensure_min_samples=smallest, reset=fresh
        )
    return as_table(X), y


def n_rows_of(X):
    """The number of rows of unchecked data; 0 if the data have no shape."""
    shape = getattr(X, "shape", None)
    return shape[0] if isinstance(shape, tuple) and shape else 0


def _table_needs_no_check(estimator, X, smallest):
    return is_known_form(estimator, X, 2, smallest) and _are_finite(X)


def _are_finite(X):
    """Whether all numbers are surely finite. False if their sum is not: a check then decides."""
    if X.size <= FEW_NUMBERS:
        return bool(np.isfinite(X).all())
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(X.sum()))


def is_known_form(estimator, X, n_dimensions, smallest):
    """Whether scikit-learn's checks could refuse `X` only for numbers that are not finite.

    The checks would return the same array without a warning. False for large arrays, which are
    always checked.
    """
    return (
        type(X) is np.ndarray
        and X.dtype in (np.float64, np.float32)
        and X.ndim == n_dimensions
        and 0 < X.size <= SMALL_TABLE
        and X.shape[0] >= smallest
        and X.shape[-1] == estimator.n_features_in_
        and X.flags.aligned
        # scikit-learn's checks warn if the fitted data had names.
        and not hasattr(estimator, "feature_names_in_")
    )


def targets_need_no_check(y, n):
    """Whether scikit-learn's checks would return the same `y`, for `n` checked rows."""
    return (
        type(y) is np.ndarray
        and y.ndim in (1, 2)
        and y.shape[0] == n
        and y.size > 0
        and (y.dtype.kind in "biuU" or (y.dtype.kind == "f" and bool(np.isfinite(y).all())))
    )


def training_rows(estimator, targets, X, y, sample_weight, call):
    """Checked rows to train `estimator` on.

    Rows of weight 0 are left out before any random number is drawn. A network that is plain (see
    ``solvers.is_plain``) keeps these rows, as scikit-learn does.

    Parameters
    ----------
    estimator : estimator
        Checks `X`. Its parameter `class_weight` is used, if it has one.
    targets : ClassTargets or RealTargets
        Encode `y`.
    X, y, sample_weight : array-like
        Data from the user.
    call : Call
        The task of the call.

    Returns
    -------
    rows : Rows

    Raises
    ------
    ValueError
        If the data are not finite, do not fit each other or an earlier call, or are too few.
    """
    keep_all, processes = estimator._is_plain, call.processes
    # Each of several processes may have one row.
    smallest = 1 if processes.is_parallel else call.smallest
    takes_negative = keep_all and not processes.is_parallel
    with processes.agreement():
        X, y = estimator._checked_rows(X, y, smallest=smallest, fresh=call.fresh)
        if sample_weight is not None:
            sample_weight = _checked_weight(
                sample_weight, X, ensure_non_negative=not takes_negative
            )
    if processes.is_parallel:
        _refuse_different_forms(estimator, X, y, sample_weight, call)
    if sample_weight is not None and not keep_all:
        with processes.agreement():
            X, y, sample_weight = _of_positive_weight(estimator, X, y, sample_weight, smallest)
    class_weight = weights_by_class(estimator, targets, y, call)
    if class_weight is not None:
        with processes.agreement():
            if sample_weight is None:
                sample_weight = class_weight
                _refuse_endless("class_weight", sample_weight)
            else:
                with np.errstate(over="ignore"):
                    sample_weight = sample_weight * class_weight
                _refuse_endless("sample_weight times class_weight", sample_weight)
            if not keep_all:
                X, y, sample_weight = _of_positive_weight(estimator, X, y, sample_weight, smallest)
    rows = Rows(X, targets.encode(y, call.incremental), sample_weight)
    if processes.is_parallel and call.count(rows) < call.smallest:
        raise ValueError(
            f"Found array with {call.count(rows)} sample(s) in all processes together while a "
            f"minimum of {call.smallest} is required by {type(estimator).__name__}."
        )
    return rows


def given_validation_rows(estimator, targets, X, y, sample_weight):
    """Check the validation rows that the caller gave, after the training rows were checked.

    Raises
    ------
    ValueError
        For the reasons of `training_rows`, with the name of the wrong argument; if only one of `X`
        and `y` is given; if there are too few rows for a score.
    """
    if X is None or y is None:
        raise ValueError("X_val and y_val belong together: give both or none")
    # R2 of one row is not defined.
    smallest = 2 if is_regressor(estimator) else 1
    with in_the_name_of("X_val", instead_of="X"):
        X = checker_of(estimator, X, "X_val")._checked_rows(X, smallest=smallest)
    n = X.shape[0]
    with in_the_name_of("y_val", instead_of="y"):
        if not targets_need_no_check(y, n):
            y = checked_targets(estimator, y, "y_val")
        if y.shape[0] != n:
            raise ValueError(f"y_val has {y.shape[0]} rows, but X_val has {n}.")
        encoded = targets.encode(y, incremental=True, validation=True)
    if sample_weight is not None:
        sample_weight = _checked_weight(sample_weight, X, True, name="sample_weight_val")
    return Rows(X, encoded, sample_weight)


def _checked_weight(sample_weight, X, ensure_non_negative, name="sample_weight"):
    n = X.shape[0]
    if not weights_need_no_check(sample_weight, n):
        # `X` need not be an array, so the check gets an array of the same length.
        with in_the_name_of(name, instead_of="sample_weight"):
            sample_weight = _check_sample_weight(
                sample_weight,
                np.empty(n),
                dtype=np.float64,
                ensure_non_negative=ensure_non_negative,
            )
            # The check of scikit-learn 1.7 passes weights that are all zero.
            if not sample_weight.any():
                raise ValueError("Sample weights must contain at least one non-zero number.")
    _refuse_endless(name, sample_weight)
    return sample_weight


def weights_need_no_check(sample_weight, n):
    """Whether scikit-learn's check would return the same weights, for `n` rows."""
    return (
        type(sample_weight) is np.ndarray
        and sample_weight.dtype == np.float64
        and sample_weight.shape == (n,)
        and sample_weight.flags.c_contiguous
        # Comparisons with NaN are false.
        and sample_weight.min() >= 0.0
        and 0.0 < sample_weight.max() < np.inf
    )


def _refuse_endless(name, sample_weight):
    # Weighted means are divided by the sum of the weights.
    with np.errstate(over="ignore", invalid="ignore"):
        total = sample_weight.sum()
    if not np.isfinite(total):
        raise ValueError(
            f"{name} has a sum beyond the largest float64: divide them all by the largest"
        )


def _refuse_different_forms(estimator, X, y, sample_weight, call):
    names = getattr(estimator, "feature_names_in_", None)
    form = {
        "the number of features": X.shape[1],
        "the feature names": None if names is None else names.tolist(),
        "the dtype of X": X.dtype.name,
        "whether X is sparse": issparse(X),
        "the shape of the targets of a row": y.shape[1:],
        "whether y is sparse": issparse(y),
        "whether the targets are numbers": y.dtype.kind in "biufc",
        "whether there are weights": sample_weight is not None,
    }
    forms = call.processes.gathered(lambda: form)
    for name, of_first in forms[0].items():
        for rank, other in enumerate(forms):
            if other[name] != of_first:
                raise ValueError(
                    "The rows of all processes must have one form, but "
                    f"{name} differs: {of_first} in process 0, {other[name]} in process {rank}."
                )


def _of_positive_weight(estimator, X, y, sample_weight, smallest):
    present = sample_weight > 0
    if present.all():
        return X, y, sample_weight
    if np.count_nonzero(present) < smallest or not present.any():
        raise ValueError(
            f"Found array with {np.count_nonzero(present)} sample(s) of positive weight "
            f"(shape={X.shape}) while a minimum of {smallest} is required by "
            f"{type(estimator).__name__}."
        )
    return X[present], y[present], sample_weight[present]
