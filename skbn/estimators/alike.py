"""Whether the processes of one fit give the same estimator and the same rows.

Each process computes a dictionary of what must be equal. The processes compare the dictionaries,
and all of them raise the same error if two differ.
"""

import re
from collections.abc import Mapping, Sequence, Set
from functools import partial
from numbers import Number
from types import CodeType, MethodType
from zlib import crc32

import numpy as np
from scipy.sparse import issparse

# The checksum of an array goes through its rows in blocks of about so many bytes. So a table that
# is mapped from a file is not copied as a whole.
BLOCK_BYTES = 2**23

# Of longer arrays in parameters, such as the rows that a scorer holds, the checksum counts.
LONG = 1000


def refuse_differences(processes, state, things):
    """Refuse processes that differ. All processes call this function.

    Parameters
    ----------
    processes : OneProcess or Processes
        The processes.
    state : callable
        Returns what must be equal: a dictionary of names, in the order of the comparison. Each
        value is a pair of a plain value to compare and a text for the message.
    things : str
        What all processes must give, for the message.

    Raises
    ------
    ValueError
        If a value of a process differs from the value of the first process. The message has the
        first of the names.
    """
    states = processes.gathered(state)
    names = dict.fromkeys(name for of_process in states for name in of_process)
    absent = None, "nothing"
    for name in names:
        first, text = states[0].get(name, absent)
        for rank, of_process in enumerate(states):
            value, other_text = of_process.get(name, absent)
            if value != first:
                # Two functions may have one name.
                another = "another " if other_text == text else ""
                raise ValueError(
                    f"All processes must give the same {things}, but {name} differs: {text} in "
                    f"process 0, {another}{other_text} in process {rank}."
                )


def refuse_other_rows(processes, X, y, sample_weight):
    """Refuse processes that give other rows than the first process.

    Parameters
    ----------
    processes : OneProcess or Processes
        The processes. One process alone has nothing to compare.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        The checked table of this process.
    y : ndarray or sparse matrix
        The checked targets.
    sample_weight : array-like, or None
        The checked weights.

    Raises
    ------
    ValueError
        If the rows differ. The message names the first difference.
    """
    if not processes.is_parallel:
        return

    def state():
        weight = None if sample_weight is None else np.asarray(sample_weight, np.float64)
        plain_state = {
            "whether X is sparse": issparse(X),
            "the dtype of X": str(X.dtype),
            "the shape of X": X.shape,
            "the shape of y": y.shape,
            "whether y is sparse": issparse(y),
            "whether there are weights": weight is not None,
        }
        checksums = {"X": checksum(X, X.dtype), "y": checksum(y)}
        if weight is not None:
            checksums["sample_weight"] = checksum(weight)
        return {name: (value, value) for name, value in plain_state.items()} | {
            name: (crc, f"the checksum {crc:08x}") for name, crc in checksums.items()
        }

    refuse_differences(processes, state, "rows")


def checksum(values, dtype=np.float64):
    """The CRC-32 of an array or of a sparse matrix: equal for equal numbers in equal places.

    Parameters
    ----------
    values : ndarray or sparse matrix
        Numbers, or labels of any kind, whose texts count.
    dtype : dtype, default=np.float64
        Numbers of a dense array count in this dtype.

    Returns
    -------
    crc : int
    """
    if issparse(values):
        values = values.tocsr()
        crc = 0
        for part in (values.data, values.indices, values.indptr):
            crc = crc32(checksum(part).to_bytes(4, "little"), crc)
        return crc
    values = np.atleast_1d(values)
    are_numbers = values.dtype.kind in "biuf"
    n = max(1, BLOCK_BYTES // (8 * max(1, values[:1].size)))  # 8 bytes of a float64
    crc = 0
    for start in range(0, len(values), n):
        block = values[start : start + n]
        if are_numbers:
            crc = crc32(np.ascontiguousarray(block, dtype), crc)
        else:
            texts = map(str, block.ravel().tolist())
            # The texts of labels may differ in length alone, so an end marks each of them.
            crc = crc32("".join(f"{text}\0" for text in texts).encode(errors="surrogatepass"), crc)
    return crc


def plain(value, within=()):
    """A value that is equal for equal parameters, and that can be pickled.

    Numbers of NumPy are numbers of Python. Sequences and short arrays are tuples, dictionaries are
    sets of pairs. A function is its name and its code, because two lambdas have equal names. Any
    other object is its class and its attributes.

    Parameters
    ----------
    value : object
        A parameter of an estimator.
    within : tuple of int
        The ids of the objects that hold `value`. An object that holds itself has no end otherwise.

    Returns
    -------
    value : object
        Hashable.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value != value:
        return "nan"  # which is not equal to itself as a number
    if value is None or isinstance(value, (str, bytes, Number)):
        return value
    if id(value) in within:
        return "itself"

    def inner(part):
        return plain(part, (*within, id(value)))

    if isinstance(value, CodeType):
        return value.co_code, value.co_names, inner(value.co_consts)
    if isinstance(value, MethodType):
        return inner(value.__func__), inner(value.__self__)
    if isinstance(value, partial):
        return "partial", inner(value.func), inner(value.args), inner(value.keywords)
    if hasattr(value, "__qualname__"):
        return value.__module__, value.__qualname__, inner(getattr(value, "__code__", None))
    if isinstance(value, Mapping):
        return frozenset((inner(key), inner(part)) for key, part in value.items())
    if isinstance(value, Set):
        return frozenset(map(inner, value))
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        return (array.shape, checksum(array)) if array.size > LONG else inner(array.tolist())
    if isinstance(value, Sequence):
        return tuple(map(inner, value))
    if hasattr(value, "__dict__"):
        return name_of(type(value)), inner(vars(value))
    # Without an address, which differs between equal objects.
    return name_of(type(value)), re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def name_of(kind):
    """The full name of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"
