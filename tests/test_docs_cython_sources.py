"""The [source] links of the kernels lead to their definitions in the .pyx files."""

import importlib
import inspect
import re

import pytest
from docs_extensions import ROOT, load

cython_sources = load("cython_sources")
KERNELS = sorted(
    f"skbn.kernels.{path.stem}"
    for path in (ROOT / "skbn" / "kernels").glob("*.pyx")
    if not path.stem.startswith("_")
)


@pytest.mark.parametrize("name", KERNELS)
def test_every_function_of_a_kernel_has_its_place(name):
    source, places = cython_sources.find_source(None, name)
    lines = source.splitlines()
    module = importlib.import_module(name)
    own = [
        key
        for key, value in vars(module).items()
        if getattr(value, "__module__", None) == name and inspect.getdoc(value) and key in places
    ]
    public = [key for key in own if not key.startswith("_")]
    assert public
    for key in public:
        kind, first, last = places[key]
        assert kind == "def"
        assert re.match(rf"def {key}\(", lines[first - 1])
        assert first < last <= len(lines)
        # Up to the next definition at the left margin, with all of its own body.
        assert all(not line or line[0] in " )" for line in lines[first:last])
        assert lines[last - 1].strip()
    documented = re.findall(
        rf"currentmodule:: {name}\n.*?:nosignatures:\n\n((?:   \w+\n)+)",
        (ROOT / "docs" / "api" / "kernels.rst").read_text(encoding="utf-8"),
        re.S,
    )
    for key in " ".join(documented).split():
        found, where = cython_sources.find_source(None, getattr(module, key).__module__)
        assert key in where
        assert found.splitlines()[where[key][1] - 1].startswith(f"def {key}(")


def test_definitions():
    text = (
        "cdef int hidden(int a) nogil:\n    return a\n\n\n"
        "def plain(x, double y=1e-5):\n    if x:\n\n        return y\n    return x\n\n\n"
        "def long(\n    x,\n):\n    return x\n\n"
        "# a comment\n"
        "class Thing:\n    def method(self):\n        pass\n"
    )
    assert cython_sources.definitions(text) == {
        "plain": ("def", 5, 9),
        "long": ("def", 12, 15),
        "Thing": ("class", 18, 20),
    }


@pytest.mark.parametrize("name", ["skbn.versions", "json", "math", "sys"])
def test_other_modules_are_left_to_viewcode(name):
    assert cython_sources.find_source(None, name) is None
