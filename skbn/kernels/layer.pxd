cdef extern from "layer.h":
    enum:
        STORED "SKBN_STORED"
        ADDED "SKBN_ADDED"
        MOMENTS "SKBN_MOMENTS"
        GRADIENT "SKBN_GRADIENT"
    enum:
        IDENTITY_LOOP "SKBN_IDENTITY"
        RECTIFIED "SKBN_RECTIFIED"
        SMOOTH "SKBN_SMOOTH"

    ctypedef struct Epilogue "struct skbn_epilogue":
        int kind
        int activation
        long c_row
        long n
        double* first
        double* second
        float* shift
        const float* side
        long side_row
        const float* z

    ctypedef struct Ahead "struct skbn_ahead":
        const void* at[3]
        long bytes

    ctypedef struct CellPart "struct skbn_cell_part":
        const float* x
        const float* hi
        const float* scale
        const float* shift

    ctypedef struct LayerLoops "struct skbn_layer_loops":
        int lanes
        int panel_width
        void (*pack)(
            float* to, const float* b, long b_row, long k, long n, int transposed,
        ) noexcept nogil
        void (*product_packed)(
            float* c, const float* a, long a_row, const float* packed, long m, long n, long k,
            const Epilogue* e,
        ) noexcept nogil
        void (*product_ahead)(
            float* c, const float* a, long a_row, const float* packed, long m, long n, long k,
            const Epilogue* e, const Ahead* ahead,
        ) noexcept nogil
        void (*product)(
            float* c, const float* a, long a_row, const float* b, long b_row, int transposed,
            float* buffer, long m, long n, long k, const Epilogue* e,
        ) noexcept nogil
        void (*weight_gradient)(
            float* dw, const float* x, long x_row, const float* dz, long dz_row, long m, long n_in,
            long n_out, int adds,
        ) noexcept nogil
        void (*activated)(
            int activation, float* y, long y_row, float* side, const float* z, const float* hi,
            const float* scale, const float* shift, long n, long d,
        ) noexcept nogil
        void (*gradient_sums)(
            float* g, const float* dy, long dy_row, const Epilogue* e, long n, long d,
        ) noexcept nogil
        void (*data_gradient)(
            float* g, const float* z, const float* hi, const float* slope, const float* constant,
            const float* linear, const float* shares, long n, long ld,
        ) noexcept nogil
        void (*lstm_forward)(
            float* gates, float* c, const float* c_previous, const CellPart* a, const CellPart* u,
            long n, long d,
        ) noexcept nogil
        void (*lstm_output)(
            float* h, float* tanh_c, const float* gates, const CellPart* c, long n, long d,
        ) noexcept nogil
        void (*gru_forward)(
            float* h, float* gates, float* candidate, const float* h_previous, const CellPart* a,
            const CellPart* u, const float* bias, long n, long d,
        ) noexcept nogil
        void (*tanh_forward)(
            float* h, float* gates, const CellPart* a, const CellPart* u, long n, long d,
        ) noexcept nogil
        void (*lstm_output_backward)(
            float* dc, float* gates, const float* dh, const float* dh_later, long later, long n,
            long d,
        ) noexcept nogil
        void (*lstm_backward)(
            float* dc, float* gates, const float* c_previous, const float* dh,
            const float* dh_later, const float* dc_later, long later, long n, long d,
        ) noexcept nogil
        void (*gru_backward)(
            float* dh, float* gates, float* candidate, const float* h_previous,
            const float* dh_later, long later, long n, long d,
        ) noexcept nogil
        void (*column_moments)(
            double* first, double* second, float* shift, const float* x, long n, long d,
        ) noexcept nogil
        void (*column_gradient_sums)(
            double* first, double* second, const float* dy, const float* x, const float* hi, long n,
            long d,
        ) noexcept nogil
        void (*column_gradient)(
            float* dx, const float* dy, const float* x, const float* hi, const float* slope,
            const float* constant, const float* linear, long n, long d,
        ) noexcept nogil

# Numbers of the columns of a layer: COLUMN_ARRAYS arrays, one behind the other. Each array has ld
# doubles or floats and takes the room of ld doubles.
cdef enum:
    COLUMN_ARRAYS = 7

cdef struct LayerColumns:
    double* first           # the two sums of an epilogue
    double* second
    float* hi               # the means, rounded to float32
    float* scale            # gamma invstd
    float* shift
    float* constant
    float* linear

# The loops for this processor; NULL: it has none.
cdef const LayerLoops* layer_loops() noexcept nogil

cdef LayerColumns layer_columns(double* memory, Py_ssize_t ld) noexcept nogil

cdef void layer_clear_sums(const LayerColumns* columns, Py_ssize_t ld) noexcept nogil

cdef void layer_moments(
    double* batch_mean, double* batch_var, double* scratch,
    const LayerColumns* columns, const float* z, Py_ssize_t n, Py_ssize_t d, Py_ssize_t ld,
) noexcept nogil

cdef void layer_set_norm(
    const LayerColumns* columns,
    const double* batch_mean, const double* batch_invstd, const float* gamma, const float* beta,
    Py_ssize_t d, Py_ssize_t ld,
) noexcept nogil

cdef void layer_set_bias(
    const LayerColumns* columns, const float* bias, Py_ssize_t d, Py_ssize_t ld,
) noexcept nogil

cdef void layer_gradient_sums(
    double* sum_dy, double* sum_dy_xhat,
    const LayerColumns* columns, const double* batch_mean, const double* batch_invstd,
    Py_ssize_t d,
) noexcept nogil

cdef void layer_set_gradient(
    const LayerColumns* columns,
    const double* sum_dy, const double* sum_dy_xhat,
    const double* batch_mean, const double* batch_invstd, const float* gamma, double share,
    Py_ssize_t d, Py_ssize_t ld,
) noexcept nogil
