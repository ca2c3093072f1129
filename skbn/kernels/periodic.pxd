from cython cimport floating

# FREQUENCIES: the cosines of a column. EMBEDDED: the numbers that a column becomes.
# COLUMN_PARAMETERS: the parameters of a column, w, b, W2 and b2 side by side.
cpdef enum:
    FREQUENCIES = 16
    EMBEDDED = 4
    COLUMN_PARAMETERS = 83

cdef void periodic_forward "skbn_periodic_forward"(
    floating* y, const floating* x, const floating* parameters,
    Py_ssize_t n, Py_ssize_t m, Py_ssize_t y_stride, Py_ssize_t x_stride,
) noexcept nogil

cdef void periodic_backward "skbn_periodic_backward"(
    floating* gradient, const floating* dy, const floating* x, const floating* parameters,
    Py_ssize_t n, Py_ssize_t m, Py_ssize_t dy_stride, Py_ssize_t x_stride,
) noexcept nogil
