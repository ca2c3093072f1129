"""A checkout whose extensions are not built: what to do about it.

Nothing is imported here that has to be built, and nothing is looked at while all imports succeed.
"""

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path


def unbuilt_modules(package):
    """The modules of a package folder that have a Cython source and no extension for this Python.

    An installed package has none, for it has no Cython sources.
    """
    return [
        ".".join(source.relative_to(package.parent).with_suffix("").parts)
        for source in sorted(package.rglob("*.pyx"))
        if not any(source.with_suffix(suffix).exists() for suffix in EXTENSION_SUFFIXES)
    ]


def explain(error):
    """Raise an error that says what to do, if `error` comes of extensions that are not built."""
    package = Path(__file__).resolve().parent
    is_ours = (error.name or "").split(".")[0] == package.name
    unbuilt = unbuilt_modules(package) if is_ours else []
    if unbuilt:
        raise ImportError(
            f"{package} is a checkout in which {unbuilt[0]} is not built for this Python: start "
            'Python in another directory to use an installed skbn, or run "pip install -e ." in '
            f"{package.parent} to build this one."
        ) from error
