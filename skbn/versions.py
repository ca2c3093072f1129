"""The version of skbn, and those of everything it runs on."""

from importlib.metadata import PackageNotFoundError, version

import sklearn

try:
    __version__ = version("skbn")
except PackageNotFoundError:  # built in place, not installed
    __version__ = "unknown"


def show_versions():
    """Print what a report of a problem should hold.

    The version of skbn, then what :func:`sklearn.show_versions` prints: system, Python,
    dependencies and the thread pools in use.

    Examples
    --------
    >>> import skbn
    >>> skbn.show_versions()  # doctest: +SKIP
    """
    print(f"\nskbn: {__version__}")
    sklearn.show_versions()
