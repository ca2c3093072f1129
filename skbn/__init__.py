"""Batch normalization for scikit-learn."""

from skbn.versions import __version__, show_versions

__all__ = [
    "__version__",
    "show_versions",
]
