/* The arguments of the loops of a fused layer, and the struct of pointers to the loops.
   layer_loops.h and cell_loops.h have the loops. layer_versions.h compiles the loops for several
   instruction sets. The sums are float64, and all other numbers are float32.
*/
#ifndef SKBN_LAYER_H
#define SKBN_LAYER_H

/* What happens to a tile of a product before it leaves the registers. */
enum {
    SKBN_STORED,        /* C = the product */
    SKBN_ADDED,         /* C += the product */
    SKBN_MOMENTS,       /* C = the product; sums of C - C_0 and of its square, C_0 the first row */
    SKBN_GRADIENT       /* C = the product times f'; sums of C and of C (z - hi) */
};
/* Activations that are fused. The side values of RECTIFIED (relu) are its outputs. The side values
   of SMOOTH (silu) are its derivatives. */
enum { SKBN_IDENTITY, SKBN_RECTIFIED, SKBN_SMOOTH };

struct skbn_epilogue {
    int kind;
    int activation;         /* of GRADIENT */
    long c_row;             /* numbers from one row of C to the next */
    long n;                 /* columns of C that STORED and ADDED write */
    double* first;          /* (c_row,) the two sums, which are added to */
    double* second;
    float* shift;           /* (c_row,) MOMENTS: receives C_0; GRADIENT: hi */
    const float* side;      /* GRADIENT: side values, rows side_row apart */
    long side_row;
    const float* z;         /* GRADIENT: (m, c_row) */
};

/* Memory that is needed soon: a product asks for its cache lines on the way. */
struct skbn_ahead {
    const void* at[3];      /* NULL: none */
    long bytes;             /* of each */
};

/* A part of the pre-activations of a recurrent cell, (x - hi) scale + shift: x W normalized. */
struct skbn_cell_part {
    const float* x;
    const float* hi;
    const float* scale;     /* NULL: the part is x, and hi and shift are not read */
    const float* shift;
};

struct skbn_layer_loops {
    int lanes;
    int panel_width;        /* columns of a panel at most */
    void (*pack)(float* to, const float* b, long b_row, long k, long n, int transposed);
    void (*product_packed)(float* c, const float* a, long a_row, const float* packed, long m,
                           long n, long k, const struct skbn_epilogue* e);
    void (*product_ahead)(float* c, const float* a, long a_row, const float* packed, long m, long n,
                          long k, const struct skbn_epilogue* e, const struct skbn_ahead* ahead);
    void (*product)(float* c, const float* a, long a_row, const float* b, long b_row,
                    int transposed, float* buffer, long m, long n, long k,
                    const struct skbn_epilogue* e);
    void (*weight_gradient)(float* dw, const float* x, long x_row, const float* dz, long dz_row,
                            long m, long n_in, long n_out, int adds);
    void (*activated)(int activation, float* y, long y_row, float* side, const float* z,
                      const float* hi, const float* scale, const float* shift, long n, long d);
    void (*gradient_sums)(float* g, const float* dy, long dy_row, const struct skbn_epilogue* e,
                          long n, long d);
    void (*data_gradient)(float* g, const float* z, const float* hi, const float* slope,
                          const float* constant, const float* linear, const float* shares, long n,
                          long ld);
    /* Of cell_loops.h: rows without padding. */
    void (*lstm_forward)(float* gates, float* c, const float* c_previous,
                         const struct skbn_cell_part* a, const struct skbn_cell_part* u, long n,
                         long d);
    void (*lstm_output)(float* h, float* tanh_c, const float* gates, const struct skbn_cell_part* c,
                        long n, long d);
    void (*gru_forward)(float* h, float* gates, float* candidate, const float* h_previous,
                        const struct skbn_cell_part* a, const struct skbn_cell_part* u,
                        const float* bias, long n, long d);
    void (*tanh_forward)(float* h, float* gates, const struct skbn_cell_part* a,
                         const struct skbn_cell_part* u, long n, long d);
    void (*lstm_output_backward)(float* dc, float* gates, const float* dh, const float* dh_later,
                                 long later, long n, long d);
    void (*lstm_backward)(float* dc, float* gates, const float* c_previous, const float* dh,
                          const float* dh_later, const float* dc_later, long later, long n, long d);
    void (*gru_backward)(float* dh, float* gates, float* candidate, const float* h_previous,
                         const float* dh_later, long later, long n, long d);
    void (*column_moments)(double* first, double* second, float* shift, const float* x, long n,
                           long d);
    void (*column_gradient_sums)(double* first, double* second, const float* dy, const float* x,
                                 const float* hi, long n, long d);
    void (*column_gradient)(float* dx, const float* dy, const float* x, const float* hi,
                            const float* slope, const float* constant, const float* linear, long n,
                            long d);
};

#endif
