from cython cimport floating

cdef void input_scale_forward "skbn_input_scale_forward"(
    floating* scaled,
    const floating* weights, const floating* scale,
    Py_ssize_t n_in, Py_ssize_t n_out,
) noexcept nogil

cdef void input_scale_backward "skbn_input_scale_backward"(
    floating* dweights, floating* dscale,
    const floating* dscaled, const floating* weights, const floating* scale,
    Py_ssize_t n_in, Py_ssize_t n_out,
) noexcept nogil
