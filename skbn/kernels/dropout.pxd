from cython cimport floating
from libc.stdint cimport uint64_t

cdef uint64_t dropout_key(uint64_t seed, uint64_t step, uint64_t operation) noexcept nogil

cdef void dropout_apply(
    floating* y, const floating* x, Py_ssize_t size, double rate, uint64_t key,
) noexcept nogil
