"""The error of a checkout whose extensions are not built, which says what to do.

This file imports nothing that has to be built. The folder is searched only after an import has
failed.
"""

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path


def unbuilt_modules(package: Path) -> list[str]:
    """Names of the modules that have a Cython source, and no extension for this Python.

    Parameters
    ----------
    package : pathlib.Path
        The folder of a package. An installed package has no Cython sources, so its list is empty.

    Returns
    -------
    names : list of str
        Such as "skbn.kernels.blas".
    """
    return [
        ".".join(source.relative_to(package.parent).with_suffix("").parts)
        for source in sorted(package.rglob("*.pyx"))
        if not any(source.with_suffix(suffix).exists() for suffix in EXTENSION_SUFFIXES)
    ]


def explain(error: ImportError) -> None:
    """Raise an error that says what to do, if `error` has its cause in missing extensions.

    Parameters
    ----------
    error : ImportError
        The error of an import.

    Raises
    ------
    ImportError
        If a module of this package was not found, and an extension is not built. The function
        returns after any other `error`.
    """
    package = Path(__file__).resolve().parent
    is_ours = (error.name or "").split(".")[0] == package.name
    unbuilt = unbuilt_modules(package) if is_ours else []
    if unbuilt:
        raise ImportError(
            f"{package} is a checkout in which {unbuilt[0]} is not built for this Python: start "
            'Python in another directory to use an installed skbn, or run "pip install -e ." in '
            f"{package.parent} to build this one."
        ) from error
