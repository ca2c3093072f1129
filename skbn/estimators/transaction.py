"""A consistent copy of an estimator, and a change of an estimator in one step.

Threads that predict, and callbacks, read an estimator while it is fitted. So a fit works on a
draft. At the end the changed attributes replace the dictionary of the estimator in one step.
"""

from contextlib import contextmanager


def draft_of(estimator):
    """A shallow copy with the attributes of one moment, for reading or for fitting."""
    draft = object.__new__(type(estimator))
    draft.__dict__ = vars(estimator).copy()
    return draft


@contextmanager
def fitted_draft(estimator):
    """A draft of an estimator, which is published at the end of the block.

    If the block raises, the estimator does not change.
    """
    draft = draft_of(estimator)
    before = vars(draft).copy()
    yield draft
    publish(estimator, before, vars(draft))


@contextmanager
def published(estimator, draft, before):
    """Publish the state of a fitted draft; if the block raises, restore the earlier state.

    Parameters
    ----------
    estimator : estimator
        The estimator to change.
    draft : estimator
        The fitted draft.
    before : dict
        The attributes of the draft at its beginning.
    """
    after = vars(draft).copy()
    try:
        publish(estimator, before, after)
        yield
    except BaseException:
        publish(estimator, after, before)
        raise


def publish(estimator, before, after):
    """Apply the changes of a draft, from `before` to `after`, to an estimator in one step.

    Another thread that reads the estimator sees all changes or none, also after Ctrl-C. Parameters
    and attributes that the draft did not change keep their present values, because a callback may
    have set them in the meantime.
    """
    now = vars(estimator).copy()
    changed = {
        name: value
        for name, value in after.items()
        if name not in before or before[name] is not value
    }
    if any(now.get(name) is not before.get(name) for name in changed):
        # Another fit was published in the meantime. Its attributes must not stay beside the new
        # ones.
        parameters = estimator.get_params(deep=False)
        changed = {name: value for name, value in after.items() if name not in parameters}
        gone = now.keys() - after.keys() - parameters.keys()
    else:
        gone = before.keys() - after.keys()
    changed = now | changed
    for name in gone:
        changed.pop(name, None)
    # One assignment, which neither another thread nor Ctrl-C can interrupt.
    estimator.__dict__ = changed
