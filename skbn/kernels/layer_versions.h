/* The loops of a fused layer, compiled for each instruction set, and the choice among them.

   layer_loops.h is written with the vector types of GCC and clang. Both compile it on x86-64 Linux
   for AVX-512 and for AVX2, and the processor chooses. On ARM64 there is one version. Elsewhere,
   and where SKBN_SIMD asks for the baseline, there is none, and skbn_layer_loops() is NULL: the
   parts of a layer are then operations of their own, on the products of the BLAS.
*/
#ifndef SKBN_LAYER_VERSIONS_H
#define SKBN_LAYER_VERSIONS_H

#include <string.h>
#include "layer.h"
#include "simd.h"

#if defined(__x86_64__) && defined(SKBN_CHOOSES)
    #define SKBN_HAS_AVX2 1
    #define SKBN_HAS_AVX512 1
#elif defined(__x86_64__) && SKBN_KNOWS_LEVELS && defined(SKBN_SIMD_AVX512)
    #define SKBN_HAS_AVX512 1
#elif defined(__x86_64__) && SKBN_KNOWS_LEVELS && defined(SKBN_SIMD_AVX2)
    #define SKBN_HAS_AVX2 1
#elif defined(__aarch64__) && !defined(SKBN_SIMD_BASELINE) \
    && (SKBN_KNOWS_LEVELS || defined(__clang__))
    #define SKBN_HAS_ARM64 1
#endif

#if defined(__x86_64__) && (defined(SKBN_HAS_AVX2) || defined(SKBN_HAS_AVX512))
    #include <immintrin.h>
#endif

#if defined(SKBN_HAS_AVX512) || defined(SKBN_HAS_AVX2) || defined(SKBN_HAS_ARM64)
typedef float skbn_eight __attribute__((vector_size(32), aligned(4), may_alias));

/* to_vu = from_uv for u, v < 8; rows `to_row` and `from_row` apart. Pairs, then fours, then eights
   of two rows are interleaved. A macro: each version below has the instructions of its level. */
#define SKBN_INTERLEAVED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#define skbn_transpose_square(to, to_row, from, from_row) do { \
    skbn_eight r[8], t[8]; \
    for (int u = 0; u < 8; u++) r[u] = *(const skbn_eight*) ((from) + u * (from_row)); \
    for (int u = 0; u < 8; u += 2) { \
        t[u] = SKBN_INTERLEAVED(r[u], r[u + 1], 0, 8, 1, 9, 4, 12, 5, 13); \
        t[u + 1] = SKBN_INTERLEAVED(r[u], r[u + 1], 2, 10, 3, 11, 6, 14, 7, 15); \
    } \
    for (int u = 0; u < 8; u += 4) \
        for (int w = 0; w < 2; w++) { \
            r[u + 2 * w] = SKBN_INTERLEAVED(t[u + w], t[u + 2 + w], 0, 1, 8, 9, 4, 5, 12, 13); \
            r[u + 2 * w + 1] = \
                SKBN_INTERLEAVED(t[u + w], t[u + 2 + w], 2, 3, 10, 11, 6, 7, 14, 15); \
        } \
    for (int u = 0; u < 4; u++) { \
        *(skbn_eight*) ((to) + u * (to_row)) = \
            SKBN_INTERLEAVED(r[u], r[u + 4], 0, 1, 2, 3, 8, 9, 10, 11); \
        *(skbn_eight*) ((to) + (u + 4) * (to_row)) = \
            SKBN_INTERLEAVED(r[u], r[u + 4], 4, 5, 6, 7, 12, 13, 14, 15); \
    } \
} while (0)
#endif

/* The target of all functions up to SKBN_END_TARGET. Both compilers halve vectors of 512 bits where
   they are not told otherwise. */
#define SKBN_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
    #define SKBN_TARGET(...) \
        SKBN_PRAGMA(clang attribute push(__attribute__((__VA_ARGS__)), apply_to = function))
    #define SKBN_BEGIN_AVX512 SKBN_TARGET(target("arch=x86-64-v4"), min_vector_width(512))
    #define SKBN_BEGIN_AVX2 SKBN_TARGET(target("arch=x86-64-v3"))
    #define SKBN_END_TARGET SKBN_PRAGMA(clang attribute pop)
#else
    #define SKBN_TARGET(options) SKBN_PRAGMA(GCC push_options) SKBN_PRAGMA(GCC target(options))
    #define SKBN_BEGIN_AVX512 SKBN_TARGET("arch=x86-64-v4,prefer-vector-width=512")
    #define SKBN_BEGIN_AVX2 SKBN_TARGET("arch=x86-64-v3")
    #define SKBN_END_TARGET SKBN_PRAGMA(GCC pop_options)
#endif

#if defined(SKBN_HAS_AVX512)
    SKBN_BEGIN_AVX512
    #define SKBN_LANES 16
    #define SKBN_LEVEL(name) skbn_avx512_##name
    #include "layer_loops.h"
    SKBN_END_TARGET
#endif
#if defined(SKBN_HAS_AVX2)
    SKBN_BEGIN_AVX2
    #define SKBN_LANES 8
    #define SKBN_LEVEL(name) skbn_avx2_##name
    #include "layer_loops.h"
    SKBN_END_TARGET
#endif
#if defined(SKBN_HAS_ARM64)
    #define SKBN_LANES 4
    #define SKBN_LEVEL(name) skbn_arm64_##name
    #include "layer_loops.h"
#endif

/* The loops for this processor; NULL: there are none. */
static const struct skbn_layer_loops* skbn_layer_loops(void) {
#if defined(SKBN_HAS_AVX512)
    if (__builtin_cpu_supports("x86-64-v4")) return &skbn_avx512_loops;
#endif
#if defined(SKBN_HAS_AVX2)
    if (__builtin_cpu_supports("x86-64-v3")) return &skbn_avx2_loops;
#endif
#if defined(SKBN_HAS_ARM64)
    return &skbn_arm64_loops;
#endif
    return 0;
}

#endif
