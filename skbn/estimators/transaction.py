"""A fit that fails leaves an estimator as it was, and one that succeeds changes it at once."""

from contextlib import contextmanager


@contextmanager
def unchanged_on_failure(estimator):
    """Give an estimator its attributes back if the block raises.

    Arrays of the fitted state are never written to in place by a fit (it works on copies), so
    the references are enough.
    """
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def draft_of(estimator):
    """A shallow copy to be fitted, whose state `publish` gives to the estimator."""
    draft = object.__new__(type(estimator))
    vars(draft).update(vars(estimator))
    return draft


def publish(estimator, draft):
    """Give an estimator the state of its draft, in one step.

    Whoever predicts with it in another thread sees the network of before or that of after.
    """
    gone = vars(estimator).keys() - vars(draft).keys()
    vars(estimator).update(vars(draft))
    for name in gone:
        vars(estimator).pop(name, None)
