"""States of earlier formats, made into states of the present format.

A *state* is the dictionary that an estimator gives to pickle, joblib or skops. A version that
changes the meaning of an attribute, or removes a parameter, raises ``STATE_FORMAT`` and adds a
function here. The function takes a state of the format before, fitted or not, and returns a state
of the next format. It must not change the dictionary that it gets. Functions that stand here stay,
so that files of all these formats can be read.

A new parameter needs no function, if its default means what estimators did before the parameter:
a state without the parameter gets the default.
"""


def from_5(state):
    """Format 6 has a checksum, and an ensemble holds the states of its members.

    The checksum is checked where a state is read. An ensemble of format 5 holds estimators. Format
    6 may hold estimators too, so nothing changes.
    """
    return state


# The number of a format -> the function that makes the next format of it.
UPGRADES = {5: from_5}
