from skbn.network.run cimport Batch, Memory, Source

cdef void batch_begin(
    Batch* batch, const Memory* memory, const Source* source, const Py_ssize_t* rows,
    Py_ssize_t first, Py_ssize_t n, int mode,
) noexcept nogil
