"""Checks of a fitted state that comes from a file, from another version, or from a user's changes.

Kernels trust the shapes of the state, and predictions trust its numbers. So a damaged state must
raise an error, and must not cause a crash or a wrong prediction.
"""

import numpy as np

# Changes whenever the same attributes get another meaning. A state with another number is refused.
STATE_FORMAT = 5


def refuse_other_format(name, state):
    """Refuse a fitted state with the format of another version.

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
        found = "no format number" if found is None else f"the format {found}"
        raise ValueError(
            f"The fitted state of this {name} has {found}, but this version of skbn reads the "
            f"format {STATE_FORMAT}: fit it again, or load it with the version that saved it."
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
