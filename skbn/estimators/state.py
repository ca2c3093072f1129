"""Fitted state that comes from elsewhere: a file, another version, somebody's hands.

Kernels take it by its shapes, and predictions by its numbers: what is damaged must be an error,
not a crash and not another prediction.
"""

import numpy as np

# Changed whenever the same attributes mean something else. A state of another number is refused.
STATE_FORMAT = 5


def refuse_other_format(name, state):
    """Refuse a fitted state that another version has written.

    Parameters
    ----------
    name : str
        Of the class.
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
    """Refuse what is no array of finite float64 of a shape, none of them below `least`.

    Raises
    ------
    ValueError
        Naming the attribute.
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
    """Refuse a count that is another than the network's.

    Raises
    ------
    ValueError
        Naming the attribute.
    """
    if value != expected:
        raise ValueError(
            f"The fitted state is damaged: {name} is {value!r}, but the network has {expected}."
        )


def records(name, stored, layout):
    """Records of a layout from their bytes, as a state stores them.

    Raises
    ------
    ValueError
        Naming the attribute.
    """
    if (
        not isinstance(stored, np.ndarray)
        or stored.dtype != np.uint8
        or stored.ndim != 1
        or stored.size % layout.itemsize
    ):
        raise ValueError(f"The fitted state is damaged: {name} is no vector of records.")
    return np.frombuffer(stored.tobytes(), layout).copy()
