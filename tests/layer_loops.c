/* Every version of the loops of a fused layer that this compiler makes, against plain loops in double.

   tests/test_layer_loops.py compiles and runs this file. By hand, for ARM64 on another processor:

       aarch64-linux-gnu-gcc -O3 -Iskbn/kernels tests/layer_loops.c -o /tmp/loops -lm
       qemu-aarch64 -L /usr/aarch64-linux-gnu /tmp/loops
*/
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "layer_versions.h"

enum { MOST = 128 };
static double worst = 0.0;

static float uniform(void) {
    static uint64_t state = 88172645463325252ull;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (float) ((double) (state >> 11) * (2.0 / 9007199254740992.0) - 1.0);
}

static float* uniforms(long size) {
    float* result = malloc((size_t) size * sizeof(float));
    for (long i = 0; i < size; i++) result[i] = uniform();
    return result;
}

static void expect(double expected, double found) {
    double error = fabs(expected - found) / (1.0 + fabs(expected));
    if (!(error <= worst)) worst = error;
}

static void forward(const struct skbn_layer_loops* loops, long m, long n, long k) {
    const long ld = (n + loops->lanes - 1) / loops->lanes * loops->lanes;
    float *a = uniforms(m * k), *b = uniforms(k * n), *transposed = uniforms(k * n);
    float *c = uniforms(m * n), *packed = uniforms(k * (ld + loops->panel_width));
    float *z = uniforms(m * ld), *y = uniforms(m * n), *side = uniforms(m * ld), *dw = uniforms(k * n);
    double first[MOST] = {0}, second[MOST] = {0};
    float shift[MOST], hi[MOST], scale[MOST];
    struct skbn_epilogue moments = {
        .kind = SKBN_MOMENTS, .c_row = ld, .n = n, .first = first, .second = second, .shift = shift};
    struct skbn_epilogue stored = {.kind = SKBN_STORED, .c_row = n, .n = n};
    for (long p = 0; p < k; p++)
        for (long j = 0; j < n; j++) transposed[j * k + p] = b[p * n + j];
    loops->product(z, a, k, b, n, 0, packed, m, n, k, &moments);
    loops->product(c, a, k, transposed, k, 1, packed, m, n, k, &stored);
    for (long j = 0; j < n; j++) {
        double sum = 0.0, squares = 0.0;
        for (long i = 0; i < m; i++) {
            double expected = 0.0, t = (double) z[i * ld + j] - z[j];
            for (long p = 0; p < k; p++) expected += (double) a[i * k + p] * b[p * n + j];
            expect(expected, z[i * ld + j]);
            expect(expected, c[i * n + j]);
            sum += t;
            squares += t * t;
        }
        expect(sum, first[j]);
        expect(squares, second[j]);
    }
    for (long j = 0; j < ld; j++) {
        hi[j] = 0.1f;
        scale[j] = 2.0f;
        shift[j] = 0.3f;
    }
    loops->activated(SKBN_SMOOTH, y, n, side, z, hi, scale, shift, m, n);
    /* Both ways: once in the place of what was there, and once added to it. */
    loops->weight_gradient(dw, a, k, z, ld, m, k, n, 0);
    loops->weight_gradient(dw, a, k, z, ld, m, k, n, 1);
    for (long j = 0; j < n; j++) {
        for (long i = 0; i < m; i++) {
            double t = ((double) z[i * ld + j] - hi[j]) * scale[j] + shift[j], s = 1.0 / (1.0 + exp(-t));
            expect(t * s, y[i * n + j]);
            expect(s * (1.0 + t * (1.0 - s)), side[i * ld + j]);
        }
        for (long p = 0; p < k; p++) {
            double expected = 0.0;
            for (long i = 0; i < m; i++) expected += (double) a[i * k + p] * z[i * ld + j];
            expect(2.0 * expected, dw[p * n + j]);
        }
    }
    free(a), free(b), free(transposed), free(c), free(packed), free(z), free(y), free(side), free(dw);
}

static void backward(const struct skbn_layer_loops* loops, long m, long n, long k, int activation) {
    /* From a layer of k units above to a layer of n units below, by the product and by the pass. */
    const long ld = (n + loops->lanes - 1) / loops->lanes * loops->lanes;
    float *dz = uniforms(m * k), *weights = uniforms(n * k), *dy = uniforms(m * n);
    float *side = uniforms(m * ld), *z = uniforms(m * ld), *packed = uniforms(k * (ld + loops->panel_width));
    float *g = uniforms(m * ld), *passed = uniforms(m * ld), *hi = uniforms(ld);
    double first[2][MOST] = {{0}}, second[2][MOST] = {{0}};
    struct skbn_epilogue e = {
        .kind = SKBN_GRADIENT, .activation = activation, .c_row = ld, .n = ld, .first = first[0],
        .second = second[0], .shift = hi, .side = side, .side_row = ld, .z = z};
    for (long i = 0; i < m; i++)
        for (long j = 0; j < n; j++) {
            double expected = 0.0;
            for (long p = 0; p < k; p++) expected += (double) dz[i * k + p] * weights[j * k + p];
            dy[i * n + j] = (float) expected;
        }
    loops->product(g, dz, k, weights, k, 1, packed, m, n, k, &e);
    e.first = first[1];
    e.second = second[1];
    loops->gradient_sums(passed, dy, n, &e, m, n);
    for (long j = 0; j < n; j++) {
        double sum = 0.0, sum_z = 0.0;
        for (long i = 0; i < m; i++) {
            const double derivative = activation == SKBN_SMOOTH ? side[i * ld + j]
                : activation == SKBN_RECTIFIED ? side[i * ld + j] > 0.0f : 1.0;
            const double expected = derivative * dy[i * n + j];
            expect(expected, g[i * ld + j]);
            expect(expected, passed[i * ld + j]);
            sum += expected;
            sum_z += expected * ((double) z[i * ld + j] - hi[j]);
        }
        for (int way = 0; way < 2; way++) {
            expect(sum, first[way][j]);
            expect(sum_z, second[way][j]);
        }
    }
    free(dz), free(weights), free(dy), free(side), free(z), free(packed), free(g), free(passed), free(hi);
}

static int check(const struct skbn_layer_loops* loops) {
    worst = 0.0;
    for (long m = 1; m < 30; m += 4)
        for (long n = 1; n < 100; n += 7)
            for (long k = 1; k < 40; k += 9) {
                forward(loops, m, n, k);
                for (int activation = SKBN_IDENTITY; activation <= SKBN_SMOOTH; activation++)
                    backward(loops, m, n, k, activation);
            }
    /* More rows than the gradient of weights takes at a time. */
    forward(loops, 600, 5, 3);
    printf("%d lanes: largest error %.1e\n", loops->lanes, worst);
    return worst > 1e-5;
}

int main(void) {
    int failed = 0;
    if (skbn_layer_loops() == 0) puts("no loops for this processor");
#if defined(SKBN_HAS_AVX512)
    if (__builtin_cpu_supports("x86-64-v4")) failed |= check(&skbn_avx512_loops);
#endif
#if defined(SKBN_HAS_AVX2)
    if (__builtin_cpu_supports("x86-64-v3")) failed |= check(&skbn_avx2_loops);
#endif
#if defined(SKBN_HAS_ARM64)
    failed |= check(&skbn_arm64_loops);
#endif
    return failed;
}
