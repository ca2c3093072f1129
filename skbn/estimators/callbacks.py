"""Support of scikit-learn's callbacks (scikit-learn 1.9 and later).

The interface is experimental in scikit-learn. With older versions estimators have no
``set_callbacks``, and this module does nothing.
"""

from contextlib import contextmanager

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn 1.7 and 1.8

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Replaces the class of scikit-learn, without ``set_callbacks``."""


class FitCallbacks:
    """The calls of the callbacks in one fit: one task for the fit, and one for each epoch.

    Parameters
    ----------
    estimator : estimator
        The estimator that is fitted.
    max_epochs : int
        Maximum number of tasks for epochs.
    X, y : array-like
        The data of ``fit``.
    metadata : dict
        The other arguments of ``fit``.
    """

    def __init__(self, estimator, max_epochs, X, y, metadata):
        self.estimator = estimator
        self.data = {"X": X, "y": y, "metadata": metadata}
        self.context = None
        if hasattr(estimator, "_init_callback_context"):
            self.context = estimator._init_callback_context(max_subtasks=max_epochs)
            self.context.call_on_fit_task_begin(estimator=estimator, **self.data)

    def epochs(self, reconstruct):
        """The hook of ``run_epochs``. `reconstruct` returns the attributes for predictions.

        Only callbacks that need a fitted estimator call `reconstruct`, which must return copies.
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
        """Tell the callbacks that the fit is over."""
        if self.context is not None:
            self.context.call_on_fit_task_end(
                estimator=self.estimator, **self.data, reconstruction_attributes={}
            )
