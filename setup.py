"""The build of the Cython extensions. All metadata is in pyproject.toml.

Three environment variables change the build.

``SKBN_DEBUG=1`` switches Cython's checks on (bounds, ``None``, overflow) and the optimization of
the compiler off. The same tests then run on checked kernels.

``SKBN_SANITIZE=1`` builds with GCC's address and undefined-behaviour sanitizers, which watch the
loops over pointers. The libraries of the sanitizers must be loaded before Python:
docs/contributing.rst says how.

``SKBN_SIMD=baseline``, ``SKBN_SIMD=avx2`` or ``SKBN_SIMD=avx512`` builds the loops for one
instruction set. Without this variable GCC on x86-64 Linux builds the loops for all three
instruction sets, and the processor chooses one at run time.
"""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, PlatformError

DEBUG = os.environ.get("SKBN_DEBUG", "0") not in ("", "0")

SANITIZE = os.environ.get("SKBN_SANITIZE", "0") not in ("", "0")
# The first finding ends the process, so no finding is lost in the output of the tests.
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"] if SANITIZE else []

LEVELS = {
    "": [],
    "baseline": ["-DSKBN_SIMD_BASELINE"],
    "avx2": ['-DSKBN_SIMD_TARGET="arch=x86-64-v3"', "-DSKBN_SIMD_AVX2"],
    "avx512": ['-DSKBN_SIMD_TARGET="arch=x86-64-v4"', "-DSKBN_SIMD_AVX512"],
}

DIRECTIVES = {
    "language_level": 3,
    "binding": True,
    "boundscheck": DEBUG,
    "initializedcheck": DEBUG,
    "nonecheck": DEBUG,
    "overflowcheck": DEBUG,
    "wraparound": False,
    "cdivision": True,
    "freethreading_compatible": True,
}

HELP = (
    "skbn's kernels are compiled from C when it is installed from source, and {problem}.\n"
    "Debian, Ubuntu:  apt-get install gcc python3-dev\n"
    "Fedora:          dnf install gcc python3-devel\n"
    "macOS:           xcode-select --install\n"
    "Windows:         the Visual Studio Build Tools with 'Desktop development with C++'\n"
    "conda:           conda install c-compiler python\n"
    "See 'Troubleshooting' in README.md."
)


class BuildExtensions(build_ext):
    """``build_ext`` on all cores, with errors that say what is missing to compile."""

    def finalize_options(self):
        super().finalize_options()
        if self.parallel is None:
            self.parallel = True

    def build_extensions(self):
        compiler = getattr(self.compiler, "compiler_so", None)
        if compiler and shutil.which(compiler[0]) is None:
            raise PlatformError(
                HELP.format(problem=f"the C compiler {compiler[0]!r} was not found")
            )
        include = Path(sysconfig.get_path("include"))
        searched = [include, *map(Path, self.compiler.include_dirs)]
        if not any((folder / "Python.h").is_file() for folder in searched):
            raise PlatformError(
                HELP.format(problem=f"Python's headers (Python.h) were not found in {include}")
            )
        try:
            super().build_extensions()
        except CompileError as error:
            raise CompileError(HELP.format(problem=f"the C compiler failed ({error})")) from error


def compile_arguments():
    level = os.environ.get("SKBN_SIMD", "")
    if level not in LEVELS:
        raise PlatformError(f"SKBN_SIMD must be one of {', '.join(LEVELS)[2:]}, got {level!r}")
    if sys.platform == "win32":
        return ["/Od", "/DSKBN_DEBUG"] if DEBUG else ["/O2"]
    if DEBUG:
        return ["-O1", "-g", "-DSKBN_DEBUG", *SANITIZERS, *LEVELS[level]]
    # No code reads errno or the flags of floating point exceptions. Without errno the compiler
    # vectorizes sqrt, and without the flags comparisons. NaN and infinity keep their meaning.
    # Debug information would double the time and the size of the build.
    optimized = ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"]
    return [*optimized, *SANITIZERS, *LEVELS[level]]


def extensions():
    """The extensions, translated to C.

    All extensions are built anew if the last build had other settings.
    """
    settings = repr((DIRECTIVES, compile_arguments()))
    stamp = Path("build", "settings")
    changed = not stamp.is_file() or stamp.read_text() != settings
    headers = [path.as_posix() for path in sorted(Path("skbn/kernels").glob("*.h"))]
    libraries = [] if sys.platform == "win32" else ["m"]
    modules = [
        Extension(
            ".".join(path.with_suffix("").parts),
            [path.as_posix()],
            libraries=libraries,
            include_dirs=["skbn/kernels"],
            extra_compile_args=compile_arguments(),
            extra_link_args=SANITIZERS,
            depends=[stamp.as_posix(), *headers],
        )
        for path in sorted(Path("skbn").rglob("*.pyx"))
    ]
    modules = cythonize(modules, compiler_directives=DIRECTIVES, force=changed)
    if changed:
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(settings)
    return modules


if __name__ == "__main__":
    setup(ext_modules=extensions(), cmdclass={"build_ext": BuildExtensions})
