"""Every version of the loops of a fused layer, also those that this processor does not choose."""

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def errors(compiler, tmp_path, *run):
    """The largest error of each version, by its lanes."""
    program = tmp_path / "loops"
    subprocess.run(
        [compiler, "-O2", "-fno-math-errno", "-fno-trapping-math", f"-I{ROOT}/skbn/kernels",
         str(ROOT / "tests" / "layer_loops.c"), "-o", str(program), "-lm"],
        check=True, timeout=300,
    )  # fmt: skip
    done = subprocess.run([*run, str(program)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"^(\d+) lanes: largest error (\S+)$", done.stdout, re.MULTILINE)
    return {int(lanes): float(error) for lanes, error in found}


def makes_versions(compiler):
    """Whether a compiler is GCC 12 or later, or clang 22 or later."""
    macros = subprocess.run(
        [compiler, "-dM", "-E", "-x", "c", "/dev/null"], capture_output=True, text=True, check=True
    ).stdout
    clang = re.search(r"__clang_major__ (\d+)", macros)
    if clang is not None:
        return int(clang[1]) >= 22
    return int(re.search(r"__GNUC__ (\d+)", macros)[1]) >= 12


@pytest.mark.skipif(platform.system() != "Linux", reason="the levels are for Linux")
@pytest.mark.parametrize("compiler", ["gcc", "clang", "clang-19", "clang-22"])
def test_the_versions_of_this_processor(tmp_path, compiler):
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    found = errors(compiler, tmp_path)
    if not makes_versions(compiler):
        # On x86-64 an older compiler makes no version. On ARM64 clang needs no levels.
        assert platform.machine() != "x86_64" or not found
        return
    flags = Path("/proc/cpuinfo").read_text()
    for flag, lanes in (("avx512f", 16), ("avx2", 8)):
        assert (lanes in found) or platform.machine() != "x86_64" or flag not in flags


@pytest.mark.skipif(
    shutil.which("aarch64-linux-gnu-gcc-12") is None or shutil.which("qemu-aarch64") is None,
    reason="there is no cross-compiler for ARM64, or no emulator to run what it makes",
)
def test_the_version_for_arm64(tmp_path):
    run = "qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"
    assert list(errors("aarch64-linux-gnu-gcc-12", tmp_path, *run)) == [4]
