"""A fit that fails leaves an estimator as it was."""

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
