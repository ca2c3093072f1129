"""The version, and the report of versions."""

from importlib.metadata import PackageNotFoundError, version

import numpy as np
import sklearn

import skbn


def test_version_is_that_of_the_installation():
    try:
        installed = version("skbn")
    except PackageNotFoundError:
        installed = "unknown"
    assert skbn.__version__ == installed


def test_show_versions(capsys):
    skbn.show_versions()
    lines = capsys.readouterr().out.split("\n")
    assert lines[1] == f"skbn: {skbn.__version__}"
    stripped = [line.strip() for line in lines]
    assert f"sklearn: {sklearn.__version__}" in stripped
    assert f"numpy: {np.__version__}" in stripped
