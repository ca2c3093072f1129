"""A file imports only from its own floor and from floors below it.

kernels (0) < network (1) < training (2) < estimators (3) < displays, sequences and others (4) <
skbn itself (5). Only import lines are read; nothing is imported.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {
    "skbn.kernels": 0,
    "skbn.network": 1,
    "skbn.training": 2,
    "skbn.estimators": 3,
    "skbn.displays": 4,
    "skbn.dask": 4,
    "skbn.data_parallel": 3,
    "skbn.onnx": 4,
    "skbn.sequences": 4,
    "skbn.torch": 4,
    "skbn.versions": 3,
    "skbn.unbuilt": 4,
    "skbn": 5,
}
# Beside the floors: training sees any network through what it is handed.
FORBIDDEN = {
    "skbn.kernels": ("sklearn",),
    "skbn.network": ("sklearn",),
    "skbn.training": ("sklearn", "skbn.kernels"),
}
FILES = sorted(
    path for suffix in ("py", "pyx", "pxd") for path in (ROOT / "skbn").rglob(f"*.{suffix}")
)
IMPORT = re.compile(
    r"^\s*(?:from\s+(?P<origin>[.\w]+)\s+c?import\s+(?P<names>\([^)]*\)|[^\n]*)"
    r"|c?import\s+(?P<modules>[^\n]*))",
    re.MULTILINE,
)


def module_of(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return module.removesuffix(".__init__")


def part_of(module):
    """The entry of FLOORS that a module of the package belongs to."""
    for part in FLOORS:
        if part != "skbn" and (module == part or module.startswith(part + ".")):
            return part
    return "skbn"


def imports_of(text, module="skbn"):
    """Full names of all that is imported, ``from a import b`` as ``a.b``."""
    text = re.sub(r"\\\n", " ", text)
    text = re.sub(r"#[^\n]*", "", text)
    text = re.sub(r'("""|\'\'\').*?\1', "", text, flags=re.DOTALL)
    for match in IMPORT.finditer(text):
        origin = match["origin"]
        for name in re.split(r"\s*,\s*", (match["names"] or match["modules"]).strip("() \t\n,")):
            name = re.split(r"\s+", name.strip())[0]
            if origin is None:
                yield name
            elif origin.startswith("."):
                up = len(origin) - len(origin.lstrip("."))
                package = ".".join(module.split(".")[:-up])
                yield f"{package}.{origin.lstrip('.')}.{name}".replace("..", ".")
            else:
                yield f"{origin}.{name}"


def climbs_of(text, module):
    """The imports that a module must not have."""
    part = part_of(module)
    climbs = []
    for name in imports_of(text, module):
        inside = name == "skbn" or name.startswith("skbn.")
        forbidden = any(
            name == other or name.startswith(other + ".") for other in FORBIDDEN.get(part, ())
        )
        if forbidden or (inside and FLOORS[part_of(name)] > FLOORS[part]):
            climbs.append(name)
    return climbs


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_import_climbs(path):
    assert climbs_of(path.read_text(encoding="utf-8"), module_of(path)) == []


def test_one_file_talks_to_blas():
    talking = [
        path.relative_to(ROOT / "skbn").as_posix()
        for path in FILES
        if "cython_blas" in path.read_text(encoding="utf-8")
    ]
    assert talking == ["kernels/blas.pyx"]


def test_every_file_is_on_a_floor():
    tops = [path.name for path in FILES if part_of(module_of(path)) == "skbn"]
    assert set(tops) == {"__init__.py", "__init__.pxd"}


@pytest.mark.parametrize(
    ("module", "line", "climbs"),
    [
        ("skbn.kernels.blas", "from skbn.network.plan cimport run", True),
        ("skbn.kernels.blas", "from skbn import network", True),
        ("skbn.kernels.blas", "import skbn.network", True),
        ("skbn.kernels.blas", "import numpy, skbn.network as n", True),
        ("skbn.kernels.blas", "from skbn.kernels.moments cimport (\n    a,\n    b,\n)", False),
        ("skbn.kernels.blas", "import sklearn", True),
        ("skbn.network.block", "cimport skbn.training.x", True),
        ("skbn.network.block", "    from skbn.training import x", True),
        ("skbn.network.block", "from ..training import x", True),
        ("skbn.network.block", "from . import plan", False),
        ("skbn.network.block", "from skbn.kernels cimport blas", False),
        ("skbn.training.loop", "from sklearn.utils import shuffle", True),
        ("skbn.training.loop", "from skbn.kernels import losses", True),
        ("skbn.training.loop", "from skbn.network import block", False),
        ("skbn.training.loop", "# from sklearn.utils import shuffle", False),
        ("skbn.training.loop", '"""import sklearn"""', False),
        ("skbn.estimators.mlp_classifier", "from sklearn.base import BaseEstimator", False),
        ("skbn.estimators.mlp_classifier", "from skbn.training import x, y", False),
        ("skbn.estimators.mlp_classifier", "from skbn.displays import x", True),
        ("skbn.estimators.mlp_classifier", "from skbn import MLPWithBatchNorm", True),
        ("skbn.estimators.sequences", "from skbn.sequences import padded", True),
        ("skbn.displays.curve", "from skbn.estimators import mlp_classifier", False),
        ("skbn", "from skbn.estimators.mlp_classifier import MLPWithBatchNorm", False),
    ],
)
def test_climbs_are_found(module, line, climbs):
    assert bool(climbs_of(line + "\n", module)) == climbs
