"""Prints requirements of pyproject.toml, one a line, for ``pip install -r`` or ``-c``.

``requirements.py NAME...`` prints the requirements of the extras with these names. So the tools
of an extra can be installed without building the package. ``requirements.py --oldest`` prints the
oldest version of each dependency, from ``numpy>=2.0`` the line ``numpy==2.0``, and
``requirements.py --build`` the requirements of the build.
"""

import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def requirements(names):
    content = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    project = content["project"]
    if names == ["--build"]:
        return content["build-system"]["requires"]
    if names == ["--oldest"]:
        return [floor.replace(">=", "==") for floor in project["dependencies"]]
    return [line for name in names for line in project["optional-dependencies"][name]]


if __name__ == "__main__":
    print(*requirements(sys.argv[1:]), sep="\n")
