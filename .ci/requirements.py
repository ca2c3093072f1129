"""Prints requirements of pyproject.toml, one a line, for ``pip install -r`` or ``-c``.

``requirements.py NAME...`` prints the requirements of the extras with these names. So the tools
of an extra can be installed without building the package. ``requirements.py --oldest NAME...``
prints the oldest version of each dependency and of the packages of these extras, from
``numpy>=2.0`` the line ``numpy==2.0``. ``requirements.py --build`` prints the requirements of the
build.
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def requirements(names):
    content = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    project = content["project"]
    if names == ["--build"]:
        return content["build-system"]["requires"]
    oldest = names[:1] == ["--oldest"]
    lines = list(project["dependencies"]) if oldest else []
    for name in names[oldest:]:
        lines += project["optional-dependencies"][name]
    # Constraints have no extras in brackets.
    return [re.sub(r"\[.*\]", "", line).replace(">=", "==") for line in lines] if oldest else lines


if __name__ == "__main__":
    print(*requirements(sys.argv[1:]), sep="\n")
