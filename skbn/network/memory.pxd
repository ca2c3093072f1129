from skbn.network.run cimport Memory, Source

# The kinds of numbers that pointers lead to: letters of Python's module ``struct``.
cdef enum:
    FLOAT32 = 102       # f
    FLOAT64 = 100       # d
    SIZES = 110         # n: Py_ssize_t

cdef class RunMemory:
    cdef Memory memory
    cdef object arrays      # the pointers of `memory` point into these arrays

cdef class RunSource:
    cdef Source source
    cdef object arrays

cdef void* address_of(object array, char kind, str name) except? NULL
