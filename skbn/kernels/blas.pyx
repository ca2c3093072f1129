"""Row-major matrix products by the BLAS of SciPy.

No other file calls BLAS. So another integer type or another provider of BLAS changes this file
only.

BLAS takes column-major matrices. The memory of a row-major matrix A is also the memory of a
column-major matrix, which is the transpose A'. So ``C = A B`` is computed as ``C' = B' A'``: the
operands change places.
"""

from cython cimport floating
from libc.limits cimport INT_MAX
from scipy.linalg.cython_blas cimport ddot, dgemm, sdot, sgemm

import numpy as np

from skbn.kernels._operands import as_contiguous


cdef void gemm(
    floating* c, int ldc,
    const floating* a, int lda,
    const floating* b, int ldb,
    int m, int n, int k,
    bint transpose_a, bint transpose_b,
    floating beta,
) noexcept nogil:
    """C := op(A) op(B) + beta C with op(A) of shape (m, k), op(B) of shape (k, n)."""
    cdef floating alpha = 1
    cdef char operation_a = b"T" if transpose_a else b"N"
    cdef char operation_b = b"T" if transpose_b else b"N"
    if floating is float:
        sgemm(&operation_b, &operation_a, &n, &m, &k, &alpha, <float*> b, &ldb,
              <float*> a, &lda, &beta, c, &ldc)
    else:
        dgemm(&operation_b, &operation_a, &n, &m, &k, &alpha, <double*> b, &ldb,
              <double*> a, &lda, &beta, c, &ldc)


cdef floating dot(const floating* x, const floating* y, int size) noexcept nogil:
    """The inner product sum_i x_i y_i."""
    cdef int one = 1
    if floating is float:
        return sdot(&size, <float*> x, &one, <float*> y, &one)
    else:
        return ddot(&size, <double*> x, &one, <double*> y, &one)


def _check_countable(*sizes):
    if max(sizes) > INT_MAX:
        raise ValueError(f"{max(sizes)} entries along an axis are more than BLAS can count")


def _product_matrices(a, b, transpose_a, transpose_b):
    # The operands in C order, and m, n, k. Only an operand that is not C-ordered is copied. BLAS
    # applies op() itself, without a copy.
    a = as_contiguous(a)
    b = as_contiguous(b)
    if a.ndim != 2 or b.ndim != 2:
        raise ValueError(f"A and B must be matrices, got {a.ndim} and {b.ndim} dimensions")
    m, k = a.shape[::-1] if transpose_a else a.shape
    k_b, n = b.shape[::-1] if transpose_b else b.shape
    if k != k_b:
        raise ValueError(f"op(A) has {k} columns and op(B) has {k_b} rows")
    _check_countable(m, n, k)
    return a, b, m, n, k


def matmul(a, b, bint transpose_a=False, bint transpose_b=False):
    """Matrix product ``op(A) op(B)`` (BLAS ``gemm``).

    Parameters
    ----------
    a : ndarray of shape (m, k), or (k, m) with ``transpose_a``
        Left factor, float32 or float64.
    b : ndarray of shape (k, n), or (n, k) with ``transpose_b``
        Right factor, of the dtype of `a`.
    transpose_a, transpose_b : bool, default=False
        Whether the factor is transposed first. Transposing copies nothing.

    Returns
    -------
    c : ndarray of shape (m, n)

    Raises
    ------
    ValueError
        If the shapes do not fit, or the dtypes differ.
    """
    a, b, m, n, k = _product_matrices(a, b, transpose_a, transpose_b)
    c = np.zeros((m, n), dtype=a.dtype)
    if min(m, n, k) > 0:
        _matmul(c, a, b, transpose_a, transpose_b)
    return c


def _matmul(
    floating[:, ::1] c, const floating[:, ::1] a, const floating[:, ::1] b,
    bint transpose_a, bint transpose_b,
):
    cdef int k = <int> (a.shape[0] if transpose_a else a.shape[1])
    gemm(
        &c[0, 0], <int> c.shape[1], &a[0, 0], <int> a.shape[1], &b[0, 0], <int> b.shape[1],
        <int> c.shape[0], <int> c.shape[1], k, transpose_a, transpose_b, 0,
    )


def inner(const floating[::1] x, const floating[::1] y):
    """Inner product of two vectors (BLAS ``dot``).

    Parameters
    ----------
    x, y : ndarray of shape (size,), C-ordered
        Vectors of one dtype.

    Returns
    -------
    product : float

    Raises
    ------
    ValueError
        If the sizes or dtypes differ.
    """
    if y.shape[0] != x.shape[0]:
        raise ValueError(f"x has {x.shape[0]} entries and y has {y.shape[0]}")
    _check_countable(x.shape[0])
    if x.shape[0] == 0:
        return 0.0
    return dot(&x[0], &y[0], <int> x.shape[0])
