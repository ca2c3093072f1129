/* The loops of a fused layer, compiled once for each instruction set: layer_versions.h includes
   this file with SKBN_LANES (numbers of one vector) and SKBN_LEVEL(name) defined. docs/layers.rst
   is the page for a newcomer: the tile, the packing, the epilogue.

   Everything is float32 and row-major. LD(d) is d rounded up to whole vectors. A *panel* is up to
   MOST_VECTORS vectors of columns side by side; its constants and sums stay in registers.
*/
#define vec SKBN_LEVEL(vec)
#define ivec SKBN_LEVEL(ivec)
#define half SKBN_LEVEL(half)
#define wide SKBN_LEVEL(wide)
#define LANES SKBN_LANES
#define INLINE static inline __attribute__((always_inline))
/* Vector registers: 32 in AVX-512 and on ARM64, 16 in AVX2. A tile leaves some for its factors. */
#if SKBN_LANES == 16
    #define MOST_VECTORS 4
#else
    #define MOST_VECTORS 2
#endif

typedef float vec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int ivec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef float half __attribute__((vector_size(LANES * 2), aligned(4), may_alias));
typedef double wide __attribute__((vector_size(LANES * 4), aligned(8), may_alias));

#define EACH_VECTOR _Pragma("GCC unroll 4") for (int v = 0; v < vectors; v++)
#define EACH_ROW _Pragma("GCC unroll 12") for (int i = 0; i < rows; i++)
#define AT(pointer) (*(vec*) (pointer))
#define CONST_AT(pointer) (*(const vec*) (pointer))

/* The smaller and the larger of two numbers. NaN in the second operand stays NaN. */
#if SKBN_LANES == 16 && defined(SKBN_HAS_AVX512)
    #define MIN(a, b) ((vec) _mm512_min_ps((__m512) (a), (__m512) (b)))
    #define MAX(a, b) ((vec) _mm512_max_ps((__m512) (a), (__m512) (b)))
#elif SKBN_LANES == 8 && defined(SKBN_HAS_AVX2)
    #define MIN(a, b) ((vec) _mm256_min_ps((__m256) (a), (__m256) (b)))
    #define MAX(a, b) ((vec) _mm256_max_ps((__m256) (a), (__m256) (b)))
#else
    #define PICK(mask, a, b) ((vec) (((ivec) (a) & (ivec) (mask)) | ((ivec) (b) & ~(ivec) (mask))))
    #define MIN(a, b) PICK((a) < (b), a, b)
    #define MAX(a, b) PICK((a) > (b), a, b)
#endif

INLINE vec SKBN_LEVEL(broadcast)(float x) { return (vec) {0} + x; }
#define broadcast SKBN_LEVEL(broadcast)

/* The first `have` numbers of a vector: rows of any length end in one. */
#define FIRST(have) ((ivec) {0, 1, 2, 3, 4, 5, 6, 7} < (int) (have))
INLINE vec SKBN_LEVEL(load_part)(const float* x, long have) {
#if SKBN_LANES == 16 && defined(SKBN_HAS_AVX512)
    return (vec) _mm512_maskz_loadu_ps((__mmask16) ((1u << have) - 1), x);
#elif SKBN_LANES == 8 && defined(SKBN_HAS_AVX2)
    return (vec) _mm256_maskload_ps(x, (__m256i) FIRST(have));
#else
    vec result = {0};
    memcpy(&result, x, have * sizeof(float));
    return result;
#endif
}
INLINE void SKBN_LEVEL(store_part)(float* y, vec x, long have) {
#if SKBN_LANES == 16 && defined(SKBN_HAS_AVX512)
    _mm512_mask_storeu_ps(y, (__mmask16) ((1u << have) - 1), (__m512) x);
#elif SKBN_LANES == 8 && defined(SKBN_HAS_AVX2)
    _mm256_maskstore_ps(y, (__m256i) FIRST(have), (__m256) x);
#else
    memcpy(y, &x, have * sizeof(float));
#endif
}
#define load_part SKBN_LEVEL(load_part)
#define store_part SKBN_LEVEL(store_part)

INLINE void SKBN_LEVEL(add_to_doubles)(double* sums, vec x) {
    half parts[2];
    memcpy(parts, &x, sizeof x);
    *(wide*) sums += __builtin_convertvector(parts[0], wide);
    *(wide*) (sums + LANES / 2) += __builtin_convertvector(parts[1], wide);
}
#define add_to_doubles SKBN_LEVEL(add_to_doubles)

/* 1 / (1 + exp(-x)), the exponential as in exponential.pxd: 2^n times the Taylor polynomial of
   degree 6 of exp(r), |r| <= log(2) / 2, whose relative error is below 1.3e-7. Below -87 the result
   is 0, as there: x times a small number would not be small for every x. NaN stays NaN. */
INLINE vec SKBN_LEVEL(logistic)(vec x) {
    vec t = MIN(broadcast(87.0f), MAX(broadcast(-87.0f), -x));
    vec shifted = t * 1.44269504088896341f + 12582912.0f;
    vec n = shifted - 12582912.0f;
    vec r = t - n * 0.693359375f;
    r = r - n * -2.12194440054690583e-4f;
    vec power = (vec) (((ivec) shifted + 127) << 23);
    vec p = r * (1.0f / 720.0f) + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return (vec) ((ivec) (1.0f / (1.0f + power * p)) & ~(ivec) (x < -87.0f));
}
#define logistic SKBN_LEVEL(logistic)

/* dy times the derivative of an activation. The relu passes dy on where its output is not 0. */
INLINE vec SKBN_LEVEL(times_derivative)(vec dy, vec side, int activation) {
    if (activation == SKBN_SMOOTH) return dy * side;
    if (activation == SKBN_RECTIFIED) return (vec) ((ivec) dy & (ivec) (side > 0.0f));
    return dy;
}
#define times_derivative SKBN_LEVEL(times_derivative)

static inline long SKBN_LEVEL(padded)(long d) { return (d + LANES - 1) / LANES * LANES; }
#define padded SKBN_LEVEL(padded)

/* Vectors of the next panel of a matrix that has so many left: panels are as equal as can be. */
static inline int SKBN_LEVEL(panel_vectors)(long left) {
    long panels = (left + MOST_VECTORS - 1) / MOST_VECTORS;
    return (int) ((left + panels - 1) / panels);
}
#define panel_vectors SKBN_LEVEL(panel_vectors)

/* ------------------------------------------------------------------------------- the tile
   C (m, n) = A B. A's element (i, p) is at a[i * a_row + p * a_step], so A may be transposed. Rows
   of a panel of B are b_row apart. A tile holds `rows` rows of a panel of C in registers: for each
   p it loads the panel's vectors of B once, and multiplies them by one number of each row of A.
   The numbers of an element of C are added up in the order of p whatever the shape of the tile, so
   equal rows of A give equal rows of C. */
typedef struct skbn_epilogue SKBN_LEVEL(epilogue);
#define epilogue SKBN_LEVEL(epilogue)

INLINE void SKBN_LEVEL(tile)(
    const int rows, const int vectors, float* c, const float* a, long a_row, long a_step,
    const float* b, long b_row, long k, const epilogue* e, long first_row, long column
) {
    vec sum[12][4];
    EACH_ROW EACH_VECTOR sum[i][v] = (vec) {0};
    for (long p = 0; p < k; p++) {
        vec from_b[4];
        EACH_VECTOR from_b[v] = CONST_AT(b + v * LANES);
        EACH_ROW {
            float from_a = a[i * a_row];
            EACH_VECTOR sum[i][v] += from_b[v] * from_a;
        }
        a += a_step;
        b += b_row;
    }
    const long ld = e->c_row;
    if (e->kind == SKBN_MOMENTS) {
        /* About the first row: sums of a tile's rows in float32, the sums of tiles in float64. */
        EACH_VECTOR {
            float* shift = e->shift + column + v * LANES;
            if (first_row == 0) AT(shift) = sum[0][v];
            vec h = CONST_AT(shift), first = {0}, second = {0};
            EACH_ROW {
                vec t = sum[i][v] - h;
                first += t;
                second += t * t;
                AT(c + i * ld + v * LANES) = sum[i][v];
            }
            add_to_doubles(e->first + column + v * LANES, first);
            add_to_doubles(e->second + column + v * LANES, second);
        }
    } else if (e->kind == SKBN_GRADIENT) {
        /* C is the gradient of a layer's output: times the derivative of its activation, with the
           two sums of the gradient of batch norm. */
        const long at = first_row * ld + column;
#define SIDE CONST_AT(e->side + at + i * ld + v * LANES)
#define TIMES_DERIVATIVE(activation) \
        EACH_VECTOR EACH_ROW sum[i][v] = times_derivative(sum[i][v], SIDE, activation)
        if (e->activation == SKBN_SMOOTH) TIMES_DERIVATIVE(SKBN_SMOOTH);
        if (e->activation == SKBN_RECTIFIED) TIMES_DERIVATIVE(SKBN_RECTIFIED);
#undef TIMES_DERIVATIVE
#undef SIDE
        EACH_VECTOR {
            const long place = column + v * LANES;
            vec h = CONST_AT(e->shift + place), first = {0}, second = {0};
            EACH_ROW {
                vec g = sum[i][v];
                first += g;
                second += g * (CONST_AT(e->z + at + i * ld + v * LANES) - h);
                AT(c + i * ld + v * LANES) = g;
            }
            add_to_doubles(e->first + place, first);
            add_to_doubles(e->second + place, second);
        }
    } else {
        EACH_VECTOR {
            long have = e->n - column - v * LANES;
            EACH_ROW {
                float* to = c + i * ld + v * LANES;
                vec t = sum[i][v];
                if (have >= LANES) {
                    if (e->kind == SKBN_ADDED) t += CONST_AT(to);
                    AT(to) = t;
                } else {
                    if (e->kind == SKBN_ADDED) t += load_part(to, have);
                    store_part(to, t, have);
                }
            }
        }
    }
}

typedef void (*SKBN_LEVEL(tile_function))(
    float*, const float*, long, long, const float*, long, long, const epilogue*, long, long);
#define tile_function SKBN_LEVEL(tile_function)
#define TILE(rows, vectors) \
    static __attribute__((noinline)) void SKBN_LEVEL(tile_##rows##_##vectors)( \
        float* c, const float* a, long a_row, long a_step, const float* b, long b_row, long k, \
        const epilogue* e, long first_row, long column) \
    { SKBN_LEVEL(tile)(rows, vectors, c, a, a_row, a_step, b, b_row, k, e, first_row, column); }
#define T(rows, vectors) SKBN_LEVEL(tile_##rows##_##vectors)
TILE(1, 1) TILE(2, 1) TILE(4, 1) TILE(8, 1) TILE(12, 1) TILE(1, 2) TILE(2, 2) TILE(4, 2)
#if MOST_VECTORS == 4
TILE(8, 2) TILE(12, 2) TILE(1, 3) TILE(2, 3) TILE(4, 3) TILE(8, 3)
TILE(1, 4) TILE(2, 4) TILE(4, 4) TILE(6, 4)
/* By vectors: the rows of tiles, largest first, and the tiles. */
static const int SKBN_LEVEL(tile_rows)[5][5] = {
    {0}, {12, 8, 4, 2, 1}, {12, 8, 4, 2, 1}, {8, 4, 2, 1}, {6, 4, 2, 1}};
static const tile_function SKBN_LEVEL(tiles)[5][5] = {
    {0},
    {T(12, 1), T(8, 1), T(4, 1), T(2, 1), T(1, 1)},
    {T(12, 2), T(8, 2), T(4, 2), T(2, 2), T(1, 2)},
    {T(8, 3), T(4, 3), T(2, 3), T(1, 3)}, {T(6, 4), T(4, 4), T(2, 4), T(1, 4)}};
#else
TILE(6, 2)
static const int SKBN_LEVEL(tile_rows)[3][5] = {{0}, {12, 8, 4, 2, 1}, {6, 4, 2, 1}};
static const tile_function SKBN_LEVEL(tiles)[3][5] = {
    {0}, {T(12, 1), T(8, 1), T(4, 1), T(2, 1), T(1, 1)}, {T(6, 2), T(4, 2), T(2, 2), T(1, 2)}};
#endif
#undef T
#undef TILE

/* A panel of C, all m rows: column `column` of C is the first of the panel. */
static void SKBN_LEVEL(panel)(
    int vectors, float* c, const float* a, long a_row, long a_step, const float* b, long b_row,
    long m, long k, const epilogue* e, long column
) {
    int size = 0;
    for (long i = 0; i < m;) {
        while (SKBN_LEVEL(tile_rows)[vectors][size] > m - i) size++;
        SKBN_LEVEL(tiles)[vectors][size](c + i * e->c_row + column, a + i * a_row, a_row, a_step, b,
                                         b_row, k, e, i, column);
        i += SKBN_LEVEL(tile_rows)[vectors][size];
    }
}

/* ---------------------------------------------------------------------------- the packing
   The panel of B from column `column` on, row after row without gaps, with zeros behind the n
   columns that B has. B's element (p, j) is b[p * b_row + j], or b[j * b_row + p] if transposed. */
static void SKBN_LEVEL(pack_panel)(
    float* to, const float* b, long b_row, long k, long n, long column, long width, int transposed
) {
    long have = n - column < width ? n - column : width, p = 0, j = 0;
    if (!transposed) {
        for (; p < k; p++) {
            for (j = 0; j + LANES <= have; j += LANES)
                AT(to + p * width + j) = CONST_AT(b + p * b_row + column + j);
            if (j < width) {
                AT(to + p * width + j) = load_part(b + p * b_row + column + j, have - j);
            }
        }
        return;
    }
    /* In squares of 8 by 8: a row of B is a column of the panel. */
    for (; p + 8 <= k; p += 8)
        for (j = 0; j + 8 <= have; j += 8)
            skbn_transpose_square(to + p * width + j, width, b + (column + j) * b_row + p, b_row);
    long squares = have / 8 * 8;
    for (j = 0; j < width; j++)
        for (long q = j < squares ? p : 0; q < k; q++)
            to[q * width + j] = j < have ? b[(column + j) * b_row + q] : 0.0f;
}

/* All panels of B, one behind the other: k * LD(n) numbers. */
static void SKBN_LEVEL(pack)(
    float* to, const float* b, long b_row, long k, long n, int transposed
) {
    for (long column = 0; column < n;) {
        long width = LANES * panel_vectors((padded(n) - column) / LANES);
        SKBN_LEVEL(pack_panel)(to, b, b_row, k, n, column, width, transposed);
        to += k * width;
        column += width;
    }
}

/* C = A B with B packed before. Between the tiles, the cache lines of `ahead` are asked for, so
   that the loops behind the product do not wait for memory. A request fills the second cache. */
static void SKBN_LEVEL(product_ahead)(
    float* c, const float* a, long a_row, const float* packed, long m, long n, long k,
    const epilogue* e, const struct skbn_ahead* ahead
) {
    enum { LINE = 64 };
    long column = 0, done = 0, rows;
    while (column < n) {
        const int vectors = panel_vectors((padded(n) - column) / LANES);
        const long width = vectors * LANES;
        for (long i = 0; i < m; i += rows) {
            const long most = SKBN_LEVEL(tile_rows)[vectors][0];
            rows = most < m - i ? most : m - i;
            SKBN_LEVEL(panel)(vectors, c + i * e->c_row, a + i * a_row, a_row, 1, packed, width,
                              rows, k, e, column);
            long share = ahead->bytes * (column * m + width * (i + rows)) / (padded(n) * m);
            for (; done < share; done += LINE)
                for (int r = 0; r < 3; r++)
                    if (ahead->at[r] != 0)
                        __builtin_prefetch((const char*) ahead->at[r] + done, 0, 2);
        }
        packed += k * width;
        column += width;
    }
}

/* C = A B with B packed before. */
static void SKBN_LEVEL(product_packed)(
    float* c, const float* a, long a_row, const float* packed, long m, long n, long k,
    const epilogue* e
) {
    for (long column = 0; column < n;) {
        int vectors = panel_vectors((padded(n) - column) / LANES);
        SKBN_LEVEL(panel)(vectors, c, a, a_row, 1, packed, vectors * LANES, m, k, e, column);
        packed += k * vectors * LANES;
        column += vectors * LANES;
    }
}

/* C = A B, B or its transpose packed panel by panel into `buffer`, k * panel_width numbers. */
static void SKBN_LEVEL(product)(
    float* c, const float* a, long a_row, const float* b, long b_row, int transposed, float* buffer,
    long m, long n, long k, const epilogue* e
) {
    for (long column = 0; column < n;) {
        int vectors = panel_vectors((padded(n) - column) / LANES);
        SKBN_LEVEL(pack_panel)(buffer, b, b_row, k, n, column, vectors * LANES, transposed);
        SKBN_LEVEL(panel)(vectors, c, a, a_row, 1, buffer, vectors * LANES, m, k, e, column);
        column += vectors * LANES;
    }
}

/* dW (n_in, n_out) += x' dz over m rows, or = if not `adds`. The rows of dz end in whole vectors,
   so nothing is packed. The rows are taken SUMMED at a time, so that their part of x and dz stays
   in the first caches. */
static void SKBN_LEVEL(weight_gradient)(
    float* dw, const float* x, long x_row, const float* dz, long dz_row, long m, long n_in,
    long n_out, int adds
) {
    enum { SUMMED = 256 };
    epilogue e = {.kind = adds ? SKBN_ADDED : SKBN_STORED, .c_row = n_out, .n = n_out};
    if (m == 0 && !adds) memset(dw, 0, (size_t) (n_in * n_out) * sizeof(float));
    for (long start = 0; start < m; start += SUMMED) {
        long rows = m - start < SUMMED ? m - start : SUMMED;
        for (long column = 0; column < n_out;) {
            int vectors = panel_vectors((padded(n_out) - column) / LANES);
            SKBN_LEVEL(panel)(vectors, dw, x + start * x_row, 1, x_row,
                              dz + start * dz_row + column, dz_row, n_in, rows, &e, column);
            column += vectors * LANES;
        }
        e.kind = SKBN_ADDED;
    }
}

/* -------------------------------------------------------------------------- passes over a layer */

/* y = f((z - hi) scale + shift). y has d columns, rows y_row apart, and may be z. Of silu the
   derivative is kept in `side`, unless it is NULL. */
INLINE void SKBN_LEVEL(activated_vectors)(
    const int vectors, const int activation, const int keeps, float* y, long y_row, float* side,
    const float* z, const float* hi, const float* scale, const float* shift, long n, long ld,
    long have
) {
    vec h[4], a[4], b[4];
    EACH_VECTOR {
        h[v] = CONST_AT(hi + v * LANES);
        a[v] = CONST_AT(scale + v * LANES);
        b[v] = CONST_AT(shift + v * LANES);
    }
    for (long i = 0; i < n; i++)
        EACH_VECTOR {
            vec t = (CONST_AT(z + i * ld + v * LANES) - h[v]) * a[v] + b[v];
            if (activation == SKBN_RECTIFIED) t = (vec) ((ivec) t & ~(ivec) (t < 0.0f));
            if (activation == SKBN_SMOOTH) {
                vec s = logistic(t), u = t * s;
                if (keeps) AT(side + i * ld + v * LANES) = s + u * (1.0f - s);
                t = u;
            }
            float* to = y + i * y_row + v * LANES;
            if (vectors > 1 || have >= LANES) AT(to) = t;
            else store_part(to, t, have);
        }
}
static void SKBN_LEVEL(activated)(
    int activation, float* y, long y_row, float* side, const float* z, const float* hi,
    const float* scale, const float* shift, long n, long d
) {
    const long ld = padded(d);
#define VECTORS(count, kind, keeps, column, have) \
    SKBN_LEVEL(activated_vectors)(count, kind, keeps, y + column, y_row, side + column, \
                                  z + column, hi + column, scale + column, shift + column, n, ld, \
                                  have)
    for (long j = 0; j < ld;) {
        long have = y_row >= ld ? LANES : d - j;
        /* Four vectors of an activation without much arithmetic share the loop. */
        if (activation != SKBN_SMOOTH && j + 4 * LANES <= (y_row >= ld ? ld : d)) {
            if (activation == SKBN_RECTIFIED) VECTORS(4, SKBN_RECTIFIED, 0, j, LANES);
            else VECTORS(4, SKBN_IDENTITY, 0, j, LANES);
            j += 4 * LANES;
            continue;
        }
        if (activation == SKBN_RECTIFIED) VECTORS(1, SKBN_RECTIFIED, 0, j, have);
        else if (activation == SKBN_IDENTITY) VECTORS(1, SKBN_IDENTITY, 0, j, have);
        else if (side != 0) VECTORS(1, SKBN_SMOOTH, 1, j, have);
        else VECTORS(1, SKBN_SMOOTH, 0, j, have);
        j += LANES;
    }
#undef VECTORS
}

/* g = dy f', with the sums of g and of g (z - hi). This is the epilogue SKBN_GRADIENT for a dy that
   is not the product of a layer above. dy has d columns, rows dy_row apart; g may be dy. */
static void SKBN_LEVEL(gradient_sums)(
    float* g, const float* dy, long dy_row, const epilogue* e, long n, long d
) {
    enum { SUMMED = 8 };
    const long ld = e->c_row;
    for (long j = 0; j < ld; j += LANES) {
        const vec h = CONST_AT(e->shift + j);
        const long have = d - j;
        for (long start = 0; start < n; start += SUMMED) {
            vec first = {0}, second = {0};
            const long stop = start + SUMMED < n ? start + SUMMED : n;
            for (long i = start; i < stop; i++) {
                const float* from = dy + i * dy_row + j;
                const float* side = e->side + i * e->side_row + j;
                vec t = have >= LANES ? CONST_AT(from) : load_part(from, have);
                if (e->activation != SKBN_IDENTITY)
                    t = times_derivative(t, have >= LANES ? CONST_AT(side) : load_part(side, have),
                                         e->activation);
                first += t;
                second += t * (CONST_AT(e->z + i * ld + j) - h);
                AT(g + i * ld + j) = t;
            }
            add_to_doubles(e->first + j, first);
            add_to_doubles(e->second + j, second);
        }
    }
}

/* dz = slope g - share (constant + linear (z - hi)), in place; `shares` of the rows, or NULL: 1. */
static void SKBN_LEVEL(data_gradient)(
    float* g, const float* z, const float* hi, const float* slope, const float* constant,
    const float* linear, const float* shares, long n, long ld
) {
    for (long j = 0; j < ld; j += LANES) {
        const vec h = CONST_AT(hi + j), s = CONST_AT(slope + j), c = CONST_AT(constant + j);
        const vec l = CONST_AT(linear + j);
        if (shares == 0)
            for (long i = 0; i < n; i++) {
                vec* at = &AT(g + i * ld + j);
                *at = s * *at - (c + l * (CONST_AT(z + i * ld + j) - h));
            }
        else
            for (long i = 0; i < n; i++) {
                vec* at = &AT(g + i * ld + j);
                *at = s * *at - shares[i] * (c + l * (CONST_AT(z + i * ld + j) - h));
            }
    }
}

#include "cell_loops.h"

static const struct skbn_layer_loops SKBN_LEVEL(loops) = {
    .lanes = LANES,
    .panel_width = LANES * MOST_VECTORS,
    .pack = SKBN_LEVEL(pack),
    .product_packed = SKBN_LEVEL(product_packed),
    .product_ahead = SKBN_LEVEL(product_ahead),
    .product = SKBN_LEVEL(product),
    .weight_gradient = SKBN_LEVEL(weight_gradient),
    .activated = SKBN_LEVEL(activated),
    .gradient_sums = SKBN_LEVEL(gradient_sums),
    .data_gradient = SKBN_LEVEL(data_gradient),
    .lstm_forward = SKBN_LEVEL(lstm_forward),
    .lstm_output = SKBN_LEVEL(lstm_output),
    .gru_forward = SKBN_LEVEL(gru_forward),
    .tanh_forward = SKBN_LEVEL(tanh_forward),
    .lstm_output_backward = SKBN_LEVEL(lstm_output_backward),
    .lstm_backward = SKBN_LEVEL(lstm_backward),
    .gru_backward = SKBN_LEVEL(gru_backward),
    .column_moments = SKBN_LEVEL(column_moments),
    .column_gradient_sums = SKBN_LEVEL(column_gradient_sums),
    .column_gradient = SKBN_LEVEL(column_gradient),
};

#undef vec
#undef ivec
#undef half
#undef wide
#undef LANES
#undef INLINE
#undef MOST_VECTORS
#undef EACH_VECTOR
#undef EACH_ROW
#undef AT
#undef CONST_AT
#undef MIN
#undef MAX
#undef PICK
#undef FIRST
#undef broadcast
#undef load_part
#undef store_part
#undef add_to_doubles
#undef logistic
#undef times_derivative
#undef padded
#undef panel_vectors
#undef epilogue
#undef tile_function
#undef SKBN_LANES
#undef SKBN_LEVEL
