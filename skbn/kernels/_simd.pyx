"""How the kernels were compiled.

Some loops are compiled for several instruction sets (``simd.h``). This file tells which set these
loops use, and whether this is a debug build.
"""

cdef extern from *:
    """
    #include "simd.h"

    static const char* skbn_level(void) {
    #if defined(SKBN_SIMD_TARGET)
        return SKBN_SIMD_TARGET + sizeof "arch=" - 1;
    #elif defined(SKBN_CHOOSES)
        if (__builtin_cpu_supports("x86-64-v4")) return "x86-64-v4";
        if (__builtin_cpu_supports("x86-64-v3")) return "x86-64-v3";
        return "baseline";
    #else
        return "baseline";
    #endif
    }

    static int skbn_chooses(void) {
    #if defined(SKBN_CHOOSES)
        return 1;
    #else
        return 0;
    #endif
    }

    static int skbn_is_debug_build(void) {
    #if defined(SKBN_DEBUG)
        return 1;
    #else
        return 0;
    #endif
    }

    static int skbn_is_supported(int level) {
    #if defined(__x86_64__) && SKBN_KNOWS_LEVELS
        if (level == 4) return __builtin_cpu_supports("x86-64-v4") != 0;
        if (level == 3) return __builtin_cpu_supports("x86-64-v3") != 0;
    #endif
        return level < 3;
    }
    """
    const char* _level "skbn_level"()
    bint _chooses "skbn_chooses"()
    bint _is_debug_build "skbn_is_debug_build"()
    bint _is_supported "skbn_is_supported"(int level)


def level():
    """The level in use: ``"x86-64-v4"`` (AVX-512), ``"x86-64-v3"`` (AVX2) or ``"baseline"``."""
    return _level().decode()


def is_built_for_one_level():
    """Whether each loop has one version, so that there is no choice at run time."""
    return not _chooses()


def is_debug_build():
    """Whether all files were compiled with Cython's checks and without optimization."""
    return _is_debug_build()


def supported():
    """The levels that this processor supports, as names that ``SKBN_SIMD`` takes."""
    names = ["baseline"]
    if _is_supported(3):
        names.append("avx2")
    if _is_supported(4):
        names.append("avx512")
    return names
