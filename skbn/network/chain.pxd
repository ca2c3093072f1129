from skbn.network.run cimport Batch, Memory

cdef void chain_forward(
    const Memory* memory, Batch* batch, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil

cdef void chain_backward(const Memory* memory, Batch* batch) noexcept nogil

cdef void chain_update(const Memory* memory, Batch* batch, Py_ssize_t n_tracked) noexcept nogil
