"""Make the array that recurrent estimators take from a list of arrays, or from a long table.

The recurrent estimators take one array of shape (n_sequences, n_steps, n_features), with NaN
behind the end of shorter sequences. The functions of this module make this array. They import NumPy
alone. Of a data frame they use the columns, and of a column the method ``to_numpy()``, which pandas
and polars have.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["from_long_frame", "padded"]


def padded(sequences: Iterable[ArrayLike]) -> NDArray[np.floating[Any]]:
    """Put sequences of different length into one array, with NaN behind the end of shorter ones.

    Parameters
    ----------
    sequences : iterable of array-like of shape (n_steps_i, n_features) or (n_steps_i,)
        The sequences: arrays, nested lists or data frames, with one row for each time step. A
        one-dimensional sequence has one feature.

    Returns
    -------
    X : ndarray of shape (n_sequences, n_steps, n_features)
        The sequences in the given order. `n_steps` is the length of the longest sequence. The dtype
        is float32 if all sequences are float32, and float64 otherwise.

    Raises
    ------
    ValueError
        If there is no sequence; if a sequence has no step, no feature, another number of features
        than the first sequence, or values that are not numbers; if data frames have other columns
        than the first one, or another order of columns; if all features of the last step of a
        sequence are NaN, because the sequence would then seem to end at an earlier step.

    See Also
    --------
    from_long_frame : Make the array from a table with one row for each sequence and time.

    Notes
    -----
    NaN before the last step stays in the array. The recurrent estimators refuse such gaps, so fill
    them first.

    Examples
    --------
    >>> from skbn.sequences import padded
    >>> padded([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]])
    array([[[ 1.,  2.],
            [ 3.,  4.]],
    <BLANKLINE>
           [[ 5.,  6.],
            [nan, nan]]])
    """
    if hasattr(sequences, "columns"):
        raise ValueError(
            "sequences is one data frame, where a list of arrays is expected: "
            "skbn.sequences.from_long_frame takes a table of many sequences."
        )
    sequences = list(sequences)
    _check_same_columns(sequences)
    arrays = [_as_steps(number, one) for number, one in enumerate(sequences)]
    if not arrays:
        raise ValueError("There is no sequence: the list is empty.")
    n_features = arrays[0].shape[1]
    for number, one in enumerate(arrays):
        if one.shape[1] != n_features:
            raise ValueError(
                f"Sequence {number} has {one.shape[1]} features, but sequence 0 has {n_features}. "
                "The shape of a sequence is (n_steps, n_features)."
            )
        if np.isnan(one[-1]).all():
            raise ValueError(
                f"Sequence {number} ends with NaN, which would be read as an earlier end: leave "
                "out its last steps, or fill them."
            )
    dtype = np.result_type(*{one.dtype for one in arrays})
    n_steps = max(len(one) for one in arrays)
    X = np.full((len(arrays), n_steps, n_features), np.nan, dtype)
    for row, one in zip(X, arrays, strict=True):
        row[: len(one)] = one
    return X


def from_long_frame(
    frame: Any, id: Any, time: Any, *, columns: Sequence[Any] | str | None = None
) -> tuple[NDArray[np.floating[Any]], NDArray[Any]]:
    """Make an array of sequences from a long table with one row for each sequence and time.

    Parameters
    ----------
    frame : pandas or polars DataFrame
        The table. Its rows may be in any order.
    id : str
        Name of the column that identifies the sequence of each row.
    time : str
        Name of the column with the time of each row: numbers or dates. The times decide the order
        of the rows of a sequence. The distances between times do not count: after a gap in time
        the next row is the next step.
    columns : list of str or str, default=None
        Names of the columns with the features. None: all columns but `id` and `time`, in the order
        of the table.

    Returns
    -------
    X : ndarray of shape (n_sequences, n_steps, n_features)
        The sequences in the order of `ids`, with NaN behind the end of shorter sequences. The dtype
        is float32 if all columns are float32, and float64 otherwise.
    ids : ndarray of shape (n_sequences,)
        The sorted ids. Use them to align the targets of another table with the sequences. Ids that
        are dates with a time zone become dates in UTC without a time zone.

    Raises
    ------
    ValueError
        If the table has no row; if the table does not have a column, or a column is named twice; if
        ids or times are missing, or have a type without an order; if an id has the same time twice;
        if features are not numbers; if all features of the last step of a sequence are missing,
        because the sequence would then seem to end at an earlier step.

    See Also
    --------
    padded : Make the array from a list of arrays.

    Notes
    -----
    Missing values before the last step become NaN. The recurrent estimators refuse such gaps, so
    fill them first. Each row of the array has as many steps as the longest sequence. So one
    sequence of a million steps among many short sequences makes an array that takes much memory.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbn.sequences import from_long_frame
    >>> frame = pd.DataFrame(
    ...     {"patient": ["b", "a", "b"], "day": [2, 1, 1], "pulse": [80.0, 61.0, 75.0]}
    ... )
    >>> X, ids = from_long_frame(frame, "patient", "day")
    >>> X[:, :, 0]
    array([[61., nan],
           [75., 80.]])
    >>> ids.tolist()
    ['a', 'b']
    """
    columns = _checked_columns(frame, id, time, columns)
    codes, ids = _numbered(_values_of(frame, id), id)
    times = _as_times(frame, time)
    values = _as_matrix(frame, columns)
    order = np.lexsort((times, codes))
    codes, times, values = codes[order], times[order], values[order]
    is_twice = (codes[1:] == codes[:-1]) & (times[1:] == times[:-1])
    if is_twice.any():
        first = np.argmax(is_twice)
        raise ValueError(
            f"{np.sum(is_twice)} row(s) have the id and the time of another row, the first at "
            f"{id}={ids[codes[first]]!s}, {time}={times[first]!s}: a sequence has one row for "
            "each time."
        )
    lengths = np.bincount(codes, minlength=len(ids))
    ends = np.cumsum(lengths)
    is_open = np.isnan(values[ends - 1]).all(axis=1)
    if is_open.any():
        raise ValueError(
            f"The last row of {np.sum(is_open)} id(s), the first of them "
            f"{ids[np.argmax(is_open)]!s}, has no value, which would be read as an earlier end: "
            "leave out these rows, or fill them."
        )
    X = np.full((len(ids), lengths.max(), len(columns)), np.nan, values.dtype)
    X[codes, np.arange(len(codes)) - (ends - lengths)[codes]] = values
    return X, ids


def _check_same_columns(sequences):
    # scikit-learn compares the names of features, too: columns in another order are other features.
    frames = [(n, list(one.columns)) for n, one in enumerate(sequences) if hasattr(one, "columns")]
    for number, names in frames[1:]:
        first, expected = frames[0]
        if names != expected and len(names) == len(expected):
            raise ValueError(
                f"Sequence {number} has the columns {names}, but sequence {first} has {expected}: "
                "all data frames need the same columns in the same order."
            )


def _as_steps(number, sequence):
    # One sequence as floating-point numbers of shape (n_steps, n_features).
    name = f"Sequence {number}"
    if np.ma.isMaskedArray(sequence):
        raise ValueError(f"{name} is a masked array: fill its masked entries first.")
    if hasattr(sequence, "columns"):
        # Column by column: a frame of numbers and truth values would become an array of objects.
        names = list(sequence.columns)
        if len(set(names)) < len(names):
            raise ValueError(f"{name} has two columns of the same name.")
        steps = _as_matrix(sequence, names, f"{name}: ") if names else np.empty((len(sequence), 0))
    else:
        try:
            steps = np.asarray(sequence)
        except ValueError:
            raise ValueError(f"{name} is no array: its rows have different lengths.") from None
        dtype = steps.dtype
        steps = _as_floating(steps)
        if steps is None:
            raise ValueError(f"{name} does not hold numbers (its type: {dtype}): convert it.")
    if steps.ndim == 1:
        steps = steps[:, np.newaxis]
    if steps.ndim != 2:
        raise ValueError(
            f"{name} has {steps.ndim} dimensions. The shape of a sequence is (n_steps, n_features) "
            "or (n_steps,)."
        )
    if 0 in steps.shape:
        raise ValueError(f"{name} has the shape {steps.shape}: no step, or no feature.")
    return steps


def _as_floating(values):
    # float32 stays. Other numbers and truth values become float64. None if there are no numbers.
    if values.dtype.kind not in "biuf":
        return None
    return values if values.dtype == np.float32 else values.astype(np.float64)


def _checked_columns(frame, id, time, columns):
    # A lazy table has no length, and a table of pyarrow has no dtypes.
    if not all(hasattr(frame, name) for name in ("__len__", "columns", "dtypes")):
        raise ValueError(f"frame is no pandas or polars DataFrame but a {type(frame).__name__}.")
    names = list(frame.columns)
    if columns is None:
        columns = [name for name in names if name not in (id, time)]
    else:
        is_one = isinstance(columns, str) or not np.iterable(columns)
        columns = [columns] if is_one else list(columns)
    used = [id, time, *columns]
    missing = [name for name in used if name not in names]
    if missing:
        raise ValueError(f"The table has no column {missing}; its columns are {names}.")
    twice = sorted({str(name) for name in used if names.count(name) + used.count(name) > 2})
    if twice:
        raise ValueError(f"Columns {twice} are there twice, or are named twice.")
    if not columns:
        raise ValueError(f"The table has no column beside {id!r} and {time!r}.")
    if len(frame) == 0:
        raise ValueError("The table has no row.")
    return columns


def _values_of(frame, name):
    # A column as an array. pandas would turn numbers with missing values into objects.
    column = frame[name]
    dtype = getattr(column, "dtype", None)
    if not isinstance(dtype, np.dtype):
        kind = getattr(dtype, "kind", None)
        if kind in ("b", "i", "u", "f") and column.isna().any():
            return column.to_numpy(dtype=np.float64, na_value=np.nan)
        if kind == "M":
            # Dates with a time zone become UTC. The unit stays, since nanoseconds end in 2262.
            unit = getattr(getattr(dtype, "pyarrow_dtype", dtype), "unit", "us")
            return column.to_numpy(dtype=f"datetime64[{unit}]")
    return np.asarray(column.to_numpy())


def _numbered(values, name):
    # The number of each row's id among the sorted ids, and the sorted ids.
    if values.dtype.kind == "O":
        # Python's dictionaries are faster than sorting objects with NumPy.
        try:
            found = list(dict.fromkeys(values.tolist()))
            _check_present(any(map(_is_missing, found)), name)
            found.sort()
        except TypeError as error:
            raise ValueError(f"The ids in column {name!r} have no order: {error}.") from error
        numbers = {value: number for number, value in enumerate(found)}
        codes = np.fromiter(map(numbers.__getitem__, values), np.intp, len(values))
        ids = np.empty(len(found), object)
        ids[:] = found
        return codes, ids
    _check_present(_has_missing(values), name)
    ids, codes = np.unique(values, return_inverse=True)
    return codes, ids


def _as_times(frame, name):
    times = _values_of(frame, name)
    if times.dtype.kind not in "biufmM":
        raise ValueError(
            f"The times in column {name!r} are neither numbers nor dates of NumPy: convert them, "
            "for instance by pandas.to_datetime."
        )
    _check_present(_has_missing(times), name)
    return times


def _as_matrix(frame, columns, where=""):
    arrays = {name: _as_floating(_values_of(frame, name)) for name in columns}
    others = [name for name, values in arrays.items() if values is None]
    if others:
        types = ", ".join(dict.fromkeys(str(frame[name].dtype) for name in others))
        raise ValueError(
            f"{where}Columns {others} do not hold numbers (their types: {types}): convert or "
            "encode them, or leave them out."
        )
    return np.stack(list(arrays.values()), axis=1)


def _has_missing(values):
    if values.dtype.kind == "f":
        return np.isnan(values).any()
    return values.dtype.kind in "mM" and np.isnat(values).any()


def _is_missing(value):
    # True for None, NaN, NaT and pandas.NA; pandas.NA raises TypeError as a truth value.
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:
        return True


def _check_present(is_missing, name):
    if is_missing:
        raise ValueError(f"Values are missing in column {name!r}: leave out these rows.")
