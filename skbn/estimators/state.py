"""Checks of a fitted state that comes from a file, from another version, or from a user's changes.

Kernels trust the shapes of the state, and predictions trust its numbers. So a damaged state must
raise an error, and must not cause a crash or a wrong prediction.
"""

import numpy as np

from skbn.estimators.checksum import checksum
from skbn.estimators.upgrades import UPGRADES
from skbn.versions import __version__

# Changes whenever the same attributes get another meaning, or a parameter is removed. The functions
# in ``upgrades.py`` lead from earlier formats to this one.
STATE_FORMAT = 6

# The first format with a checksum.
CHECKED_FORMAT = 6


def refuse_unreadable_format(name, found, version=None):
    """Refuse a state in a file if its format is later than the present one, or too old.

    Parameters
    ----------
    name : str
        Name of the class.
    found : object
        The number of the format; None: the state has none.
    version : str, default=None
        The version of skbn that saved the state, as far as the state has it.

    Raises
    ------
    ValueError
    """
    if type(found) is int and min(UPGRADES) <= found <= STATE_FORMAT:
        return
    is_later = type(found) is int and found > STATE_FORMAT
    saved_by = f" and was saved by skbn {version}" if isinstance(version, str) else ""
    words = "no format number" if found is None else f"the format {found!r}"
    raise ValueError(
        f"The state of this {name} has {words}{saved_by}, but this version of skbn, {__version__}, "
        f"reads the formats {min(UPGRADES)} to {STATE_FORMAT}: "
        + (
            "a later version saved it, so load it with that version or a later one."
            if is_later
            else "fit it again, or load it with the version that saved it."
        )
    )


def refuse_changes(name, found, state):
    """Refuse a stored state that has changed since it was saved.

    Parameters
    ----------
    name : str
        Name of the class.
    found : int
        The format of the state.
    state : dict
        The stored state.

    Raises
    ------
    ValueError
    """
    expected = checksum(state) if found >= CHECKED_FORMAT else None
    if state.get("_checksum") != expected:
        raise ValueError(
            f"The state of this {name} is damaged: its checksum is not the checksum of the state "
            f"that skbn {state.get('_skbn_version')} saved. Load another copy of the file, or fit "
            "again."
        )


def refuse_other_format(name, state):
    """Refuse attributes in memory that do not have the present format.

    Parameters
    ----------
    name : str
        Name of the class.
    state : dict
        The attributes of a fitted estimator.

    Raises
    ------
    ValueError
    """
    found = state.get("_state_format")
    if found != STATE_FORMAT:
        words = "no format number" if found is None else f"the format {found!r}"
        raise ValueError(
            f"The fitted state of this {name} has {words}, but this version of skbn computes with "
            f"the format {STATE_FORMAT}: fit it again."
        )


def check_numbers(name, values, shape, least=-np.inf):
    """Refuse values that are not an array of this shape of finite float64, all >= `least`.

    Raises
    ------
    ValueError
        The message names the attribute.
    """
    if not isinstance(values, np.ndarray) or values.dtype != np.float64 or values.shape != shape:
        kind = getattr(values, "dtype", type(values).__name__)
        raise ValueError(
            f"The fitted state is damaged: {name} is of {kind} and shape {np.shape(values)}, "
            f"instead of float64 and {shape}."
        )
    if not (np.isfinite(values).all() and (least == -np.inf or (values >= least).all())):
        what = "not finite" if not np.isfinite(values).all() else f"below {least:g}"
        raise ValueError(f"The fitted state is damaged: {name} has numbers that are {what}.")


def check_count(name, value, expected):
    """Refuse a count that differs from the count of the network.

    Raises
    ------
    ValueError
        The message names the attribute.
    """
    if value != expected:
        raise ValueError(
            f"The fitted state is damaged: {name} is {value!r}, but the network has {expected}."
        )


def records(name, stored, layout):
    """The records of a layout from the bytes that a state stores.

    Raises
    ------
    ValueError
        The message names the attribute.
    """
    if (
        not isinstance(stored, np.ndarray)
        or stored.dtype != np.uint8
        or stored.ndim != 1
        or stored.size % layout.itemsize
    ):
        raise ValueError(f"The fitted state is damaged: {name} is no vector of records.")
    return np.frombuffer(stored.tobytes(), layout).copy()
