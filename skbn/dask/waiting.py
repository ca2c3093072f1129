"""Waiting for futures of any client."""

import threading
from collections.abc import Sequence

from distributed import Future

__all__ = ["Changes"]


class Changes:
    """Tells when any of some futures has finished since the last question.

    ``distributed.wait`` knows no client but the current one, and a client becomes the current one
    by a setting that all threads of this process share.

    Parameters
    ----------
    futures : sequence of Future
    """

    def __init__(self, futures: Sequence[Future]) -> None:
        self._changed = threading.Event()
        for future in futures:
            future.add_done_callback(lambda _: self._changed.set())

    def wait(self, seconds: float) -> None:
        """Return when a future has finished, was canceled or is lost, or after some seconds."""
        self._changed.wait(seconds)
        self._changed.clear()
