"""The [source] links of the kernels: viewcode reads Python files only, so it is given the .pyx."""

import importlib
import re
from pathlib import Path

DEFINITION = re.compile(r"^(def|class) (\w+)")


def setup(app):
    app.connect("viewcode-find-source", find_source)
    return {"parallel_read_safe": True}


def find_source(app, name):
    """Source and places of the definitions of a Cython module; None for any other module."""
    file = getattr(importlib.import_module(name), "__file__", None) or ""
    if not file or file.endswith(".py"):
        return None
    source = Path(file).with_name(name.rpartition(".")[2] + ".pyx")
    if not source.is_file():
        return None
    text = source.read_text(encoding="utf-8")
    return text, definitions(text)


def definitions(text):
    """``{name: (kind, first line, last line)}`` of the functions and classes that Python sees.

    Lines are counted from 1. A definition ends before the next line at the left margin that is
    neither blank nor a closing bracket.
    """
    lines = text.splitlines()
    found = {}
    for first, line in enumerate(lines, 1):
        match = DEFINITION.match(line)
        if match is None:
            continue
        last = first
        for number, later in enumerate(lines[first:], first + 1):
            if later.strip():
                if not later.startswith((" ", "\t", ")")):
                    break
                last = number
        found[match[2]] = (match[1], first, last)
    return found
