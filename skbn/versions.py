"""The version of skbn, and a report of the versions of all that skbn runs on."""

from importlib.metadata import PackageNotFoundError, version

import sklearn

from skbn.kernels import _simd

try:
    __version__: str = version("skbn")
except PackageNotFoundError:  # The extensions are built in place, and skbn is not installed.
    __version__ = "unknown"


def show_versions() -> None:
    """Print the versions that a report of a problem should contain.

    The first lines are the version of skbn, the instruction set that its compiled loops use, and
    whether this is a debug build. A debug build checks more and is many times slower.

    The other lines come from :func:`sklearn.show_versions`: the system, Python, the versions of
    the dependencies, and the BLAS libraries with their numbers of threads. skbn multiplies
    matrices by the BLAS of SciPy.

    Examples
    --------
    >>> import skbn
    >>> skbn.show_versions()  # doctest: +SKIP
    """
    print(f"\nskbn: {__version__}")
    print(f"instruction set of its loops: {_simd.level()}")
    print(f"debug build: {'yes' if _simd.is_debug_build() else 'no'}")
    sklearn.show_versions()
