"""Inventories of other projects, from text files, so that a build needs no network.

``docs/_inventories/NAME.txt`` begins with the address of the documentation of a project. Each other
line names one object: its kind, its name, and, where no pattern below has it, its page:

    https://docs.python.org/3/
    class os.PathLike library/os.html#os.PathLike

A line that begins with ``#`` is a comment. A reference to a name that stands in no file is an error
of the build (``nitpicky``), which says what to add to which file.
"""

import builtins
import sys
import zlib
from pathlib import Path

# Where a project keeps the page of an object, if it has a rule. `name` is the full name, `owner`
# the class of a method, an attribute or a property.
PATTERNS = {
    "joblib": {"": "generated/{name}.html#{name}"},
    "matplotlib": {"": "api/_as_gen/{name}.html#{name}"},
    "numpy": {"": "reference/generated/{name}.html#{name}"},
    "pandas": {"": "reference/api/{name}.html#{name}"},
    "scipy": {"": "reference/generated/{name}.html#{name}"},
    "sklearn": {
        "": "modules/generated/{name}.html#{name}",
        "method": "modules/generated/{owner}.html#{name}",
    },
    "torch": {"": "generated/{name}.html#{name}"},
}
# What a reference may call an object, and the kind to write into a file.
ROLES = {
    "class": "class",
    "exc": "exception",
    "func": "function",
    "meth": "method",
    "mod": "module",
}
KINDS = {"attribute", "class", "data", "exception", "function", "method", "module", "property"}


class BadInventory(ValueError):
    """What is wrong with a file, with its line."""


def read(path):
    """The address of a project and its objects, a list of (kind, name, page)."""
    path = Path(path)
    address, objects = None, []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if address is None:
            address = words[0]
            continue
        if len(words) not in (2, 3) or words[0] not in KINDS:
            raise BadInventory(f"{path}:{number}: expected 'kind name [page]', got {line!r}")
        objects.append((*words[:2], words[2] if len(words) == 3 else page(path, number, *words)))
    if address is None:
        raise BadInventory(f"{path}: the first line must be the address of the project")
    return address, objects


def page(path, number, kind, name):
    """The page of an object by the rule of its project."""
    patterns = PATTERNS.get(path.stem, {})
    pattern = patterns.get(kind, patterns.get(""))
    if pattern is None:
        raise BadInventory(f"{path}:{number}: {path.stem} has no rule for pages; name the page")
    return pattern.format(name=name, owner=name.rpartition(".")[0])


def write(path, project, objects):
    """Write Sphinx's format (version 2) of the objects; the same bytes for the same objects."""
    lines = [f"{name} py:{kind} 1 {page} -\n" for kind, name, page in sorted(objects)]
    header = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
    header += "# The remainder of this file is compressed using zlib.\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.encode() + zlib.compress("".join(lines).encode()))


def mapping(source, target):
    """Sphinx's ``intersphinx_mapping``: each file of `source` as an inventory in `target`."""
    projects = {}
    for path in sorted(Path(source).glob("*.txt")):
        address, objects = read(path)
        inventory = Path(target) / f"{path.stem}.inv"
        write(inventory, path.stem, objects)
        projects[path.stem] = (address, str(inventory))
    return projects


def setup(app):
    app.connect("warn-missing-reference", say_what_to_do)
    return {"parallel_read_safe": True}


def say_what_to_do(app, domain, node):
    """Tell for a name of another project which line is missing in which file."""
    from sphinx.util import logging

    project = node["reftarget"].partition(".")[0]
    if domain is None or domain.name != "py":
        return None
    if project in sys.stdlib_module_names or hasattr(builtins, project):
        project = "python"
    elif project not in PATTERNS:  # a name of this package, or no full name
        return None
    kind = ROLES.get(node["reftype"], "KIND")
    line = f"{kind} {node['reftarget']}" + ("" if project in PATTERNS else " PAGE#ANCHOR")
    logging.getLogger(__name__).warning(
        "%s is in no inventory. Add the line %r to docs/_inventories/%s.txt, and build with -E "
        "(docs/contributing.rst, Documentation).",
        node["reftarget"], line, project, location=node, type="ref", subtype=node["reftype"],
    )  # fmt: skip
    return True
