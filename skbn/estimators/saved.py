"""The state of an estimator as pickle, joblib and skops store it, and the way back.

A stored state has three entries beside the attributes of the estimator: ``_state_format``,
``_skbn_version`` (the version that saved it) and ``_checksum``.
"""

import inspect
from functools import cache

from skbn.estimators.checksum import checksum
from skbn.estimators.state import STATE_FORMAT, refuse_changes, refuse_unreadable_format
from skbn.estimators.transaction import draft_of
from skbn.estimators.upgrades import UPGRADES
from skbn.versions import __version__


class SavedState:
    """Mixin of all estimators, in front of ``BaseEstimator``: saves and loads a state.

    An estimator gives ``_fitted_attribute`` and ``_check_loaded()``, which checks a fitted state
    after loading. It may extend ``_to_saved(state)`` and ``_from_saved(state)``, which change the
    form of attributes in a dictionary of their own.
    """

    # The attribute that a fitted estimator has, and no other.
    _fitted_attribute: str

    def __copy__(self):
        # Without this method a copy would go through the stored form, and would be checked.
        return draft_of(self)

    def __getstate__(self):
        state = self._to_saved(dict(super().__getstate__()))
        if self._fitted_attribute not in state:
            state["_state_format"] = STATE_FORMAT
        state["_skbn_version"] = __version__
        state["_checksum"] = checksum(state)
        return state

    def __setstate__(self, state):
        state = opened(type(self), state)
        if self._fitted_attribute not in state:
            del state["_state_format"]
        super().__setstate__(self._from_saved(state))
        if self._fitted_attribute in state:
            self._check_loaded()

    def _to_saved(self, state):
        return state

    def _from_saved(self, state):
        return state


def opened(cls, state):
    """The attributes in a stored state, in the present format and with all parameters.

    Parameters
    ----------
    cls : class
        The class of the estimator.
    state : dict
        A stored state of any format. It does not change.

    Returns
    -------
    state : dict

    Raises
    ------
    ValueError
        If no upgrade leads from the format to the present format, or if the checksum is wrong.
    """
    name, state = cls.__name__, dict(state)
    found = _format_of(state)
    refuse_unreadable_format(name, found, state.get("_skbn_version"))
    refuse_changes(name, found, state)
    for entry in ("_skbn_version", "_checksum"):
        state.pop(entry, None)
    for number in range(found, STATE_FORMAT):
        state = UPGRADES[number](state)
    return parameter_defaults(cls) | state | {"_state_format": STATE_FORMAT}


def _format_of(state):
    # Up to format 5 an ensemble and an estimator that is not fitted had no number.
    unnumbered = not state.keys() & {"_plan", "_moments", "_checksum"}
    return state.get("_state_format", 5 if unnumbered else None)


@cache
def parameter_defaults(cls):
    """The defaults of the constructor of a class, by name.

    A subclass may take some of its parameters by ``**keywords``, which have no defaults.
    """
    parameters = inspect.signature(cls.__init__).parameters
    return {
        name: parameters[name].default
        for name in cls._get_param_names()
        if name in parameters and parameters[name].default is not inspect.Parameter.empty
    }


def rebuilt(cls, state):
    """An estimator of a class from its stored state."""
    estimator = cls.__new__(cls)
    estimator.__setstate__(state)
    return estimator
