"""scikit-learn's callbacks (1.9 and later): everything of ours that knows them.

The interface is experimental upstream. On older versions ``set_callbacks`` is not offered and
nothing here does anything.
"""

from contextlib import contextmanager

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn 1.7 and 1.8

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """In the place of scikit-learn's, without ``set_callbacks``."""


class FitCallbacks:
    """The calls of one fit: one task for the fit, one for each epoch.

    Parameters
    ----------
    estimator : estimator
        The one that is fitted.
    max_epochs : int
        How many tasks there are at most.
    X, y : array-like
        What ``fit`` was given.
    metadata : dict
        The other data that ``fit`` was given.
    """

    def __init__(self, estimator, max_epochs, X, y, metadata):
        self.estimator = estimator
        self.data = {"X": X, "y": y, "metadata": metadata}
        self.context = None
        if hasattr(estimator, "_init_callback_context"):
            self.context = estimator._init_callback_context(max_subtasks=max_epochs)
            self.context.call_on_fit_task_begin(estimator=estimator, **self.data)

    def epochs(self, reconstruct):
        """The hook of ``run_epochs``; `reconstruct` gives the attributes to predict with.

        It is called only by callbacks that ask for a fitted estimator, and has to give copies.
        """

        @contextmanager
        def epoch_hook():
            if self.context is None:
                yield lambda: False
                return
            epoch = self.context.subcontext(task_name="epoch")
            epoch.call_on_fit_task_begin(estimator=self.estimator, **self.data)
            yield lambda: epoch.call_on_fit_task_end(
                estimator=self.estimator, **self.data, reconstruction_attributes=reconstruct
            )

        return epoch_hook

    def end(self):
        """The fit is over."""
        if self.context is not None:
            self.context.call_on_fit_task_end(
                estimator=self.estimator, **self.data, reconstruction_attributes={}
            )
