"""The version of skbn, and those of everything it runs on."""

from importlib.metadata import PackageNotFoundError, version

import sklearn

from skbn.kernels import _simd

try:
    __version__ = version("skbn")
except PackageNotFoundError:  # built in place, not installed
    __version__ = "unknown"


def show_versions():
    """Print what a report of a problem should hold.

    The version of skbn, the instruction set of its loops, and whether it is a debug build, which
    is many times slower; then what :func:`sklearn.show_versions` prints: system, Python,
    dependencies, and the BLAS libraries with their threads (that of SciPy does the products of
    the networks).

    Examples
    --------
    >>> import skbn
    >>> skbn.show_versions()  # doctest: +SKIP
    """
    print(f"\nskbn: {__version__}")
    print(f"instruction set of its loops: {_simd.level()}")
    print(f"debug build: {'yes' if _simd.is_debug_build() else 'no'}")
    sklearn.show_versions()
