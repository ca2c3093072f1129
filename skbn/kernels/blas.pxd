from cython cimport floating

cdef void gemm(
    floating* c, int ldc,
    const floating* a, int lda,
    const floating* b, int ldb,
    int m, int n, int k,
    bint transpose_a, bint transpose_b,
    floating beta,
) noexcept nogil

cdef floating dot(const floating* x, const floating* y, int size) noexcept nogil
