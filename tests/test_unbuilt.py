"""What ``import skbn`` says in a checkout whose extensions are not built."""

import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MESSAGE = "is not built for this Python: start Python in another directory"


@pytest.fixture
def checkout(tmp_path):
    """The sources alone."""
    built = shutil.ignore_patterns("*.so", "*.pyd", "*.c", "__pycache__")
    shutil.copytree(ROOT / "skbn", tmp_path / "skbn", ignore=built)
    return tmp_path


def last_line_of(statement, folder):
    """The error of a statement in a Python that is started in a folder."""
    # Isolated from the environment, whose PYTHONPATH may have a built one.
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); {statement}"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True)
    assert done.returncode == 1, done.stdout
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "statement", ["import skbn", "from skbn.kernels import batchnorm", "import skbn.network.plan"]
)
def test_it_says_what_to_do(checkout, statement):
    line = last_line_of(statement, checkout)
    assert line.startswith(f"ImportError: {checkout / 'skbn'} is a checkout in which skbn.")
    assert MESSAGE in line
    assert f'run "pip install -e ." in {checkout} to build' in line


def test_extensions_of_another_python_are_none(checkout):
    for source in (checkout / "skbn").rglob("*.pyx"):
        source.with_suffix(".cpython-27-x86_64-linux-gnu.so").touch()
    assert MESSAGE in last_line_of("import skbn", checkout)


@pytest.mark.parametrize("missing", ["numpy", "scipy", "sklearn"])
def test_an_error_that_has_another_cause_is_not_hidden(checkout, missing):
    line = last_line_of(f"sys.modules[{missing!r}] = None; import skbn", checkout)
    assert line.startswith("ModuleNotFoundError")
    assert missing in line
    assert MESSAGE not in line


def test_a_broken_extension_is_not_hidden(checkout):
    for source in (checkout / "skbn").rglob("*.pyx"):
        source.with_suffix(EXTENSION_SUFFIXES[0]).write_bytes(b"no library")
    line = last_line_of("import skbn", checkout)
    assert line.startswith("ImportError")
    assert MESSAGE not in line
