/* Loops compiled for several instruction sets. The version for the processor is chosen when the
   extension is loaded.

   GCC 12 and clang 22 on x86-64 Linux compile all versions of a function, and the choice among the
   versions, for the attribute target_clones. The attribute stands on a declaration of the C
   functions that Cython makes from a function of a fused type. The C function for float is called
   __pyx_fuse_0<name>, and the C function for double is called __pyx_fuse_1<name>. clang before
   version 22 wants the attribute on the definition, too, which Cython writes. The choice at run
   time needs glibc: musl has no indirect functions. On other platforms, or if SKBN_SIMD (an option
   of setup.py) asks for one level, there is one version.
*/
#ifndef SKBN_SIMD_H
#define SKBN_SIMD_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The exponentials and the sums of two doubles need every operation rounded as it is written. */
#if defined(__FAST_MATH__)
    #error "skbn's kernels must not be compiled with -ffast-math: NaN and rounding would be lost"
#endif
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 2
    #error "skbn's kernels need SSE2: compile with -msse2 -mfpmath=sse"
#endif

/* Compilers that know the levels of x86-64, and have the shuffles of layer_versions.h. */
#if defined(__clang__)
    #define SKBN_KNOWS_LEVELS (__clang_major__ >= 22)
#elif defined(__GNUC__)
    #define SKBN_KNOWS_LEVELS (__GNUC__ >= 12)
#else
    #define SKBN_KNOWS_LEVELS 0
#endif

/* __GLIBC__ comes with the headers above. clang defines __gnu_linux__ for musl, too. */
#if defined(SKBN_SIMD_TARGET)
    #define SKBN_CLONES __attribute__((target(SKBN_SIMD_TARGET)))
#elif defined(SKBN_SIMD_BASELINE)
    #define SKBN_CLONES
#elif SKBN_KNOWS_LEVELS && defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__)
    #define SKBN_CLONES \
        __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
    #define SKBN_CHOOSES 1
#else
    #define SKBN_CLONES
#endif

/* Declares both versions of a function; SIGNATURE is a macro of the type of its data. */
#define SKBN_CLONE_BOTH(result, name, SIGNATURE) \
    SKBN_CLONES static result __pyx_fuse_0##name SIGNATURE(float); \
    SKBN_CLONES static result __pyx_fuse_1##name SIGNATURE(double);

#if defined(__GNUC__) || defined(__clang__)
    #define SKBN_PREFETCH(address) __builtin_prefetch((const char*) (address))
#else
    #define SKBN_PREFETCH(address)
#endif

/* 2^n from n + 3 * 2^22 (float) or n + 3 * 2^51 (double): such a sum holds n in its last bits. */
static inline float skbn_exp2_of_single(float shifted) {
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127u) << 23;
    memcpy(&shifted, &bits, sizeof bits);
    return shifted;
}

static inline double skbn_exp2_of_double(double shifted) {
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023u) << 52;
    memcpy(&shifted, &bits, sizeof bits);
    return shifted;
}

#endif
