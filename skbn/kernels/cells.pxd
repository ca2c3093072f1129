from cython cimport floating

cdef enum Cell:
    TANH_CELL = 0
    LSTM_CELL = 1
    GRU_CELL = 2

cdef void lstm_forward "skbn_lstm_forward"(
    floating* gates, floating* c, const floating* c_previous, Py_ssize_t n, Py_ssize_t d,
) noexcept nogil

cdef void lstm_output_forward "skbn_lstm_output_forward"(
    floating* h, floating* tanh_c, const floating* gates, Py_ssize_t n, Py_ssize_t d,
) noexcept nogil

cdef void lstm_output_backward "skbn_lstm_output_backward"(
    floating* dc, floating* gates, const floating* dh, Py_ssize_t n, Py_ssize_t d,
) noexcept nogil

cdef void lstm_backward "skbn_lstm_backward"(
    floating* dc, floating* gates, const floating* c_previous, Py_ssize_t n, Py_ssize_t d,
) noexcept nogil

cdef void gru_forward "skbn_gru_forward"(
    floating* h, floating* gates, const floating* u, const floating* h_previous,
    Py_ssize_t n, Py_ssize_t d,
) noexcept nogil

cdef void gru_backward "skbn_gru_backward"(
    floating* dh, floating* gates, floating* u, const floating* h_previous,
    Py_ssize_t n, Py_ssize_t d,
) noexcept nogil
