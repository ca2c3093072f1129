"""One look at an estimator, and one step to change it.

Others read an estimator while it is fitted: threads that predict, callbacks. So a fit works on a
draft, and what it has changed there replaces the estimator's dictionary as a whole.
"""

from contextlib import contextmanager


def draft_of(estimator):
    """A shallow copy with the attributes of one moment, to read from or to be fitted."""
    draft = object.__new__(type(estimator))
    draft.__dict__ = vars(estimator).copy()
    return draft


@contextmanager
def fitted_draft(estimator):
    """A draft of an estimator, published at the end of the block.

    If the block raises, nothing has happened to the estimator.
    """
    draft = draft_of(estimator)
    before = vars(draft).copy()
    yield draft
    publish(estimator, before, vars(draft))


@contextmanager
def published(estimator, draft, before):
    """An estimator with the state of its fitted draft; if the block raises, without it again.

    Parameters
    ----------
    estimator : estimator
        The one to be changed.
    draft : estimator
        Fitted.
    before : dict
        The attributes that the draft began with.
    """
    after = vars(draft).copy()
    try:
        publish(estimator, before, after)
        yield
    except BaseException:
        publish(estimator, after, before)
        raise


def publish(estimator, before, after):
    """Change an estimator as its draft was changed, from `before` to `after`, in one step.

    Whoever reads the estimator in another thread sees all of the change or none, and so does
    Ctrl-C. Parameters and attributes that the draft left alone stay as they are now: a callback
    may have set them since.
    """
    now = vars(estimator).copy()
    changed = {
        name: value
        for name, value in after.items()
        if name not in before or before[name] is not value
    }
    if any(now.get(name) is not before.get(name) for name in changed):
        # Another fit has been published meanwhile: what it set must not stay beside this one's.
        parameters = estimator.get_params(deep=False)
        changed = {name: value for name, value in after.items() if name not in parameters}
        gone = now.keys() - after.keys() - parameters.keys()
    else:
        gone = before.keys() - after.keys()
    changed = now | changed
    for name in gone:
        changed.pop(name, None)
    # Neither another thread nor Ctrl-C comes between: it is one assignment.
    estimator.__dict__ = changed
