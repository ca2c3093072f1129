/* The loops of recurrent cells and of their batch norms, for each instruction set: layer_loops.h
   includes this file. Rows have no padding here: the last vector of a row is loaded and stored in
   part. cells.pyx has the equations of the cells, batchnorm.pyx the equations of batch norm. */

INLINE vec SKBN_LEVEL(load)(const float* x, long have) {
    return have >= LANES ? CONST_AT(x) : load_part(x, have);
}
INLINE void SKBN_LEVEL(store)(float* y, vec x, long have) {
    if (have >= LANES) AT(y) = x;
    else store_part(y, x, have);
}
#define load SKBN_LEVEL(load)
#define store SKBN_LEVEL(store)

/* Calls a function of (j, have) for the vectors of a row: all whole ones have the same code. */
#define EACH_COLUMN(d, call) do { \
    long j = 0; \
    for (; j + LANES <= d; j += LANES) call(j, LANES); \
    if (j < d) call(j, d - j); \
} while (0)

/* -expm1(-2 |x|) / (2 + expm1(-2 |x|)) with the sign of x; expm1 as in exponential.pxd. Beyond
   -43.5 and 43.5 the result is -1 and 1. NaN stays NaN. */
INLINE vec SKBN_LEVEL(tangent)(vec x) {
    const int magnitude = 0x7fffffff;
    vec t = MAX(broadcast(-87.0f), (vec) ((ivec) x & magnitude) * -2.0f);
    vec shifted = t * 1.44269504088896341f + 12582912.0f;
    vec n = shifted - 12582912.0f;
    vec r = t - n * 0.693359375f;
    r = r - n * -2.12194440054690583e-4f;
    vec power = (vec) (((ivec) shifted + 127) << 23);
    vec p = r * (1.0f / 5040.0f) + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    vec e = (power - 1.0f) + power * (r + r * r * p);
    e = -e / (2.0f + e);
    return (vec) (((ivec) e & magnitude) | ((ivec) x & ~magnitude));
}
#define tangent SKBN_LEVEL(tangent)

typedef struct skbn_cell_part SKBN_LEVEL(cell_part);
#define cell_part SKBN_LEVEL(cell_part)

/* A vector of a part of pre-activations, at an element of its matrix and at a column. */
INLINE vec SKBN_LEVEL(part_at)(const cell_part* part, long element, long column, long have) {
    vec x = load(part->x + element, have);
    if (part->scale == 0) return x;
    return (x - load(part->hi + column, have)) * load(part->scale + column, have)
        + load(part->shift + column, have);
}
#define part_at SKBN_LEVEL(part_at)

/* The sum of both parts. If the second part is 0, its x is NULL. */
INLINE vec SKBN_LEVEL(sum_at)(
    const cell_part* a, const cell_part* u, long element, long column, long have
) {
    vec z = part_at(a, element, column, have);
    if (u->x != 0) z += part_at(u, element, column, have);
    return z;
}
#define sum_at SKBN_LEVEL(sum_at)

static void SKBN_LEVEL(lstm_forward)(
    float* gates, float* c, const float* c_previous, const cell_part* a_of, const cell_part* u_of,
    long n, long d
) {
    /* The compiler knows that stores to the gates cannot change these copies. */
    const cell_part a = *a_of, u = *u_of;
    for (long k = 0; k < n; k++) {
        const long row = k * 4 * d;
#define GATE(gate, j, have) sum_at(&a, &u, row + gate * d + j, gate * d + j, have)
#define CELL(j, have) do { \
    vec i = logistic(GATE(0, j, have)), f = logistic(GATE(1, j, have)); \
    vec g = tangent(GATE(2, j, have)), o = logistic(GATE(3, j, have)); \
    vec state = i * g; \
    if (c_previous != 0) state += f * load(c_previous + k * d + j, have); \
    store(gates + row + j, i, have); \
    store(gates + row + d + j, f, have); \
    store(gates + row + 2 * d + j, g, have); \
    store(gates + row + 3 * d + j, o, have); \
    store(c + k * d + j, state, have); \
} while (0)
        EACH_COLUMN(d, CELL);
#undef CELL
    }
}

static void SKBN_LEVEL(lstm_output)(
    float* h, float* tanh_c, const float* gates, const cell_part* c_of, long n, long d
) {
    const cell_part c = *c_of;
    for (long k = 0; k < n; k++) {
#define CELL(j, have) do { \
    vec t = tangent(part_at(&c, k * d + j, j, have)); \
    store(tanh_c + k * d + j, t, have); \
    store(h + k * d + j, t * load(gates + (4 * k + 3) * d + j, have), have); \
} while (0)
        EACH_COLUMN(d, CELL);
#undef CELL
    }
}

/* candidate = u of n + bias. */
static void SKBN_LEVEL(gru_forward)(
    float* h, float* gates, float* candidate, const float* h_previous, const cell_part* a_of,
    const cell_part* u_of, const float* bias, long n, long d
) {
    const cell_part a = *a_of, u = *u_of;
    for (long k = 0; k < n; k++) {
        const long row = k * 3 * d;
#define CELL(j, have) do { \
    vec r = logistic(GATE(0, j, have)), z = logistic(GATE(1, j, have)), v = load(bias + j, have); \
    if (u.x != 0) v += part_at(&u, row + 2 * d + j, 2 * d + j, have); \
    vec t = tangent(part_at(&a, row + 2 * d + j, 2 * d + j, have) + r * v); \
    vec state = (1.0f - z) * t; \
    if (h_previous != 0) state += z * load(h_previous + k * d + j, have); \
    store(gates + row + j, r, have); \
    store(gates + row + d + j, z, have); \
    store(gates + row + 2 * d + j, t, have); \
    store(candidate + k * d + j, v, have); \
    store(h + k * d + j, state, have); \
} while (0)
        EACH_COLUMN(d, CELL);
#undef CELL
    }
}

static void SKBN_LEVEL(tanh_forward)(
    float* h, float* gates, const cell_part* a_of, const cell_part* u_of, long n, long d
) {
    const cell_part a = *a_of, u = *u_of;
    for (long k = 0; k < n; k++) {
        const long row = k * d;
#define CELL(j, have) do { \
    vec t = tangent(GATE(0, j, have)); \
    store(gates + row + j, t, have); \
    store(h + row + j, t, have); \
} while (0)
        EACH_COLUMN(d, CELL);
#undef CELL
#undef GATE
    }
}

/* The gradient of N(c) from the gradient of h, where `t` is tanh N(c). */
INLINE vec SKBN_LEVEL(output_gradient)(
    float* o_place, vec t, const float* dh, const float* dh_later, long have
) {
    vec g = load(dh, have), o = load(o_place, have);
    if (dh_later != 0) g += load(dh_later, have);
    store(o_place, g * t * o * (1.0f - o), have);
    return g * o * (1.0f - t * t);
}
#define output_gradient SKBN_LEVEL(output_gradient)

/* The first `later` rows have a next step, which has left its part of their gradient. */
static void SKBN_LEVEL(lstm_output_backward)(
    float* dc, float* gates, const float* dh, const float* dh_later, long later, long n, long d
) {
    for (long k = 0; k < n; k++) {
#define CELL(j, have) \
    store(dc + k * d + j, \
          output_gradient(gates + (4 * k + 3) * d + j, load(dc + k * d + j, have), dh + k * d + j, \
                          k < later ? dh_later + k * d + j : 0, have), have)
        EACH_COLUMN(d, CELL);
#undef CELL
    }
}

/* If `dh` is NULL, dc holds the gradient of c, and `gates` has the gradient of o already. Otherwise
   dc holds tanh c, and no batch norm stands between c and the output. */
static void SKBN_LEVEL(lstm_backward)(
    float* dc, float* gates, const float* c_previous, const float* dh, const float* dh_later,
    const float* dc_later, long later, long n, long d
) {
    for (long k = 0; k < n; k++) {
        float* row = gates + k * 4 * d;
#define CELL(j, have) do { \
    vec i = load(row + j, have), g = load(row + 2 * d + j, have); \
    vec state = load(dc + k * d + j, have); \
    if (dh != 0) \
        state = output_gradient(row + 3 * d + j, state, dh + k * d + j, \
                                k < later ? dh_later + k * d + j : 0, have); \
    if (k < later) state += load(dc_later + k * d + j, have); \
    store(row + j, state * g * i * (1.0f - i), have); \
    store(row + 2 * d + j, state * i * (1.0f - g * g), have); \
    vec f_change = {0}; \
    if (c_previous != 0) { \
        vec f = load(row + d + j, have); \
        f_change = state * load(c_previous + k * d + j, have) * f * (1.0f - f); \
        state *= f; \
    } \
    store(row + d + j, f_change, have); \
    store(dc + k * d + j, state, have); \
} while (0)
        EACH_COLUMN(d, CELL);
#undef CELL
    }
}

static void SKBN_LEVEL(gru_backward)(
    float* dh, float* gates, float* candidate, const float* h_previous, const float* dh_later,
    long later, long n, long d
) {
    for (long k = 0; k < n; k++) {
        float* row = gates + k * 3 * d;
#define CELL(j, have) do { \
    vec r = load(row + j, have), z = load(row + d + j, have), t = load(row + 2 * d + j, have); \
    vec v = load(candidate + k * d + j, have), g = load(dh + k * d + j, have), before = {0}; \
    if (k < later) g += load(dh_later + k * d + j, have); \
    if (h_previous != 0) before = load(h_previous + k * d + j, have); \
    vec da = g * (1.0f - z) * (1.0f - t * t); \
    store(row + j, da * v * r * (1.0f - r), have); \
    store(row + d + j, g * (before - t) * z * (1.0f - z), have); \
    store(row + 2 * d + j, da * r, have); \
    store(candidate + k * d + j, da, have); \
    store(dh + k * d + j, g * z, have); \
} while (0)
        EACH_COLUMN(d, CELL);
#undef CELL
    }
}

/* Sums over rows. Up to SUMMED_ROWS rows are summed in float32, and these sums are added up in
   float64. Rows are read in the order of the memory. */
#define SUMMED_ROWS 16
INLINE void SKBN_LEVEL(add_part)(double* sums, vec x, long have) {
    double buffer[LANES] = {0};
    if (have >= LANES) {
        add_to_doubles(sums, x);
        return;
    }
    memcpy(buffer, sums, have * sizeof(double));
    add_to_doubles(buffer, x);
    memcpy(sums, buffer, have * sizeof(double));
}
#define add_part SKBN_LEVEL(add_part)
#define EACH_ROWS \
    memset(first, 0, d * sizeof(double)); \
    memset(second, 0, d * sizeof(double)); \
    for (long start = 0, stop; start < n; start = stop) { \
        stop = start + SUMMED_ROWS < n ? start + SUMMED_ROWS : n; \
        EACH_COLUMN(d, COLUMN); \
    }

/* The sums of x - x_0 and of its square, x_0 the first row, which `shift` receives. */
static void SKBN_LEVEL(column_moments)(
    double* first, double* second, float* shift, const float* x, long n, long d
) {
#define COLUMN(j, have) do { \
    const vec h = load(x + j, have); \
    vec s1 = {0}, s2 = {0}; \
    for (long i = start; i < stop; i++) { \
        vec t = load(x + i * d + j, have) - h; \
        s1 += t; \
        s2 += t * t; \
    } \
    add_part(first + j, s1, have); \
    add_part(second + j, s2, have); \
} while (0)
    EACH_ROWS
#undef COLUMN
    memcpy(shift, x, d * sizeof(float));
}

/* The sums of dy and of dy (x - hi). */
static void SKBN_LEVEL(column_gradient_sums)(
    double* first, double* second, const float* dy, const float* x, const float* hi, long n, long d
) {
#define COLUMN(j, have) do { \
    const vec h = load(hi + j, have); \
    vec s1 = {0}, s2 = {0}; \
    for (long i = start; i < stop; i++) { \
        vec t = load(dy + i * d + j, have); \
        s1 += t; \
        s2 += t * (load(x + i * d + j, have) - h); \
    } \
    add_part(first + j, s1, have); \
    add_part(second + j, s2, have); \
} while (0)
    EACH_ROWS
#undef COLUMN
}

/* dx = slope dy - (constant + linear (x - hi)); dx may be dy or x. */
static void SKBN_LEVEL(column_gradient)(
    float* dx, const float* dy, const float* x, const float* hi, const float* slope,
    const float* constant, const float* linear, long n, long d
) {
#define COLUMN(j, have) do { \
    const vec h = load(hi + j, have), s = load(slope + j, have), c = load(constant + j, have); \
    const vec l = load(linear + j, have); \
    for (long i = 0; i < n; i++) { \
        vec t = c + l * (load(x + i * d + j, have) - h); \
        store(dx + i * d + j, s * load(dy + i * d + j, have) - t, have); \
    } \
} while (0)
    EACH_COLUMN(d, COLUMN);
#undef COLUMN
}
#undef SUMMED_ROWS
#undef EACH_ROWS
#undef load
#undef store
#undef EACH_COLUMN
#undef tangent
#undef cell_part
#undef part_at
#undef sum_at
#undef output_gradient
#undef add_part
