from skbn.network.run cimport Memory, Source

cdef class RunMemory:
    cdef Memory memory
    cdef object arrays      # what the pointers of `memory` point into

cdef class RunSource:
    cdef Source source
    cdef object arrays

cdef void* address_of(object array, char kind, str name) except? NULL
