"""What setup.py says when something to compile with is missing, and what it has built.

Nothing is compiled here.
"""

import importlib
import runpy
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest
from setuptools import Distribution
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, PlatformError

from skbn.kernels import _simd

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def command(tmp_path):
    """The build command, a compiler that is there, and headers that are there."""
    command = runpy.run_path(str(ROOT / "setup.py"))["BuildExtensions"](Distribution())
    (tmp_path / "Python.h").touch()
    command.compiler = SimpleNamespace(compiler_so=[sys.executable], include_dirs=[str(tmp_path)])
    command.extensions = []
    return command


def test_nothing_is_missing(command):
    command.build_extensions()


def test_missing_compiler(command):
    command.compiler.compiler_so = ["/nonexistent/gcc", "-pthread"]
    with pytest.raises(PlatformError) as raised:
        command.build_extensions()
    check_message(raised, "the C compiler '/nonexistent/gcc' was not found")


def test_missing_headers(command, monkeypatch, tmp_path):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "include"))
    command.compiler.include_dirs = []
    with pytest.raises(PlatformError) as raised:
        command.build_extensions()
    check_message(raised, "Python's headers (Python.h) were not found in " + str(tmp_path))


def test_compiler_that_fails(command, monkeypatch):
    def fail(self):
        raise CompileError("command 'gcc' failed with exit code 1")

    monkeypatch.setattr(build_ext, "build_extensions", fail)
    with pytest.raises(CompileError) as raised:
        command.build_extensions()
    check_message(raised, "the C compiler failed (command 'gcc' failed with exit code 1)")


def check_message(raised, problem):
    first, *remedies = str(raised.value).splitlines()
    assert problem in first
    systems = [line.split(":")[0] for line in remedies[:-1]]
    assert systems == ["Debian, Ubuntu", "Fedora", "macOS", "Windows", "conda"]
    for line in remedies[:-1]:  # the README has the same remedies
        assert line.split(":", 1)[1].strip() in README, line
    assert "'Troubleshooting' in README.md" in remedies[-1]
    assert "\n## Troubleshooting\n" in README


@pytest.mark.parametrize(("value", "debug"), [("", False), ("0", False), ("1", True)])
def test_debug_build(monkeypatch, value, debug):
    monkeypatch.setenv("SKBN_DEBUG", value)
    namespace = runpy.run_path(str(ROOT / "setup.py"))
    for check in ("boundscheck", "initializedcheck", "nonecheck", "overflowcheck"):
        assert namespace["DIRECTIVES"][check] is debug
    # What show_versions() tells is read off this.
    assert (
        any(option.endswith("DSKBN_DEBUG") for option in namespace["compile_arguments"]()) == debug
    )


@pytest.mark.parametrize(("value", "sanitized"), [("", False), ("0", False), ("1", True)])
def test_sanitizers(monkeypatch, value, sanitized):
    monkeypatch.setenv("SKBN_SANITIZE", value)
    for debug in ("0", "1"):
        monkeypatch.setenv("SKBN_DEBUG", debug)
        namespace = runpy.run_path(str(ROOT / "setup.py"))
        options = namespace["compile_arguments"]()
        if sys.platform != "win32":
            assert ("-fsanitize=address,undefined" in options) is sanitized
            # A finding must not be overlooked.
            assert ("-fno-sanitize-recover=all" in options) is sanitized


@pytest.mark.skipif(_simd.level() == "baseline", reason="one version of each loop")
@pytest.mark.skipif(shutil.which("readelf") is None, reason="needs readelf")
@pytest.mark.parametrize(
    ("kernel", "loops"),
    [
        ("activations", 28),
        ("affine", 6),
        ("batchnorm", 6),
        ("cells", 12),
        ("gather", 4),
        ("input_scale", 4),
        ("losses", 4),
        ("moments", 6),
        ("normalized_sum", 2),
        ("optimizers", 8),
        ("periodic", 6),
    ],
)
def test_loops_have_a_version_for_each_instruction_set(kernel, loops):
    # They hang on names that Cython gives to C functions: a declaration that names none would
    # go unnoticed otherwise.
    module = importlib.import_module(f"skbn.kernels.{kernel}")
    table = subprocess.run(
        ["readelf", "--syms", "--wide", module.__file__], capture_output=True, text=True, check=True
    ).stdout
    if "skbn_" not in table:
        pytest.skip("stripped of its names")
    chosen = [line for line in table.splitlines() if " IFUNC " in line]
    if not chosen and _simd.is_built_for_one_level():
        pytest.skip("built for one level")
    assert len(chosen) == loops
