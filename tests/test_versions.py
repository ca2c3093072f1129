"""The version, and the report of versions."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest
import sklearn

import skbn
from skbn.kernels import _simd


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
    assert lines[2] == f"instruction set of its loops: {_simd.level()}"
    stripped = [line.strip() for line in lines]
    assert f"sklearn: {sklearn.__version__}" in stripped
    assert f"numpy: {np.__version__}" in stripped


@pytest.mark.parametrize(("is_debug_build", "word"), [(True, "yes"), (False, "no")])
def test_a_debug_build_is_told(monkeypatch, capsys, is_debug_build, word):
    monkeypatch.setattr(_simd, "is_debug_build", lambda: is_debug_build)
    skbn.show_versions()
    assert capsys.readouterr().out.split("\n")[3] == f"debug build: {word}"


def test_the_level_in_use_is_one_that_the_processor_has():
    names = {"baseline": "baseline", "x86-64-v3": "avx2", "x86-64-v4": "avx512"}
    assert names[_simd.level()] in _simd.supported()


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not sys.platform.startswith("linux"), reason="reads /proc"
)
def test_the_levels_are_those_of_the_kernel():
    flags = Path("/proc/cpuinfo").read_text().split("flags", 1)[1].split("\n", 1)[0].split()
    levels = _simd.supported()
    if "avx2" in levels:
        assert {"avx2", "fma", "bmi2"} <= set(flags)
    if "avx512" in levels:
        assert {"avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512cd"} <= set(flags)
