"""Row-major matrix products over the BLAS that SciPy carries.

The only file that calls BLAS: a change of its integer type or its provider ends here.
BLAS is column-major. A row-major matrix is the column-major matrix of its transpose in
the same memory, so ``C = A B`` is asked for as ``C' = B' A'``: the operands change places.
"""

from cython cimport floating
from libc.limits cimport INT_MAX
from scipy.linalg.cython_blas cimport (
    daxpy, ddot, dgemm, dgemv, saxpy, sdot, sgemm, sgemv,
)

import numpy as np

from skbn.kernels._operands import as_contiguous


cdef void gemm(
    floating* c, int ldc,
    const floating* a, int lda,
    const floating* b, int ldb,
    int m, int n, int k,
    bint transpose_a, bint transpose_b,
    floating alpha, floating beta,
) noexcept nogil:
    """C := alpha op(A) op(B) + beta C with op(A) of shape (m, k), op(B) of shape (k, n)."""
    cdef char operation_a = b"T" if transpose_a else b"N"
    cdef char operation_b = b"T" if transpose_b else b"N"
    if floating is float:
        sgemm(&operation_b, &operation_a, &n, &m, &k, &alpha, <float*> b, &ldb,
              <float*> a, &lda, &beta, c, &ldc)
    else:
        dgemm(&operation_b, &operation_a, &n, &m, &k, &alpha, <double*> b, &ldb,
              <double*> a, &lda, &beta, c, &ldc)


cdef void gemv(
    floating* y,
    const floating* a, int lda,
    const floating* x,
    int m, int n,
    bint transpose,
    floating alpha, floating beta,
) noexcept nogil:
    """y := alpha op(A) x + beta y with A of shape (m, n)."""
    cdef char operation = b"N" if transpose else b"T"
    cdef int one = 1
    if floating is float:
        sgemv(&operation, &n, &m, &alpha, <float*> a, &lda, <float*> x, &one, &beta, y, &one)
    else:
        dgemv(&operation, &n, &m, &alpha, <double*> a, &lda, <double*> x, &one, &beta, y, &one)


cdef void axpy(floating* y, const floating* x, int size, floating alpha) noexcept nogil:
    """y := alpha x + y."""
    cdef int one = 1
    if floating is float:
        saxpy(&size, &alpha, <float*> x, &one, y, &one)
    else:
        daxpy(&size, &alpha, <double*> x, &one, y, &one)


cdef floating dot(const floating* x, const floating* y, int size) noexcept nogil:
    """The sum of x y."""
    cdef int one = 1
    if floating is float:
        return sdot(&size, <float*> x, &one, <float*> y, &one)
    else:
        return ddot(&size, <double*> x, &one, <double*> y, &one)


def _check_countable(*sizes):
    if max(sizes) > INT_MAX:
        raise ValueError(f"{max(sizes)} entries along an axis are more than BLAS can count")


def _product_matrices(a, b, transpose_a, transpose_b):
    # Copies only where memory is not C-ordered: op() is BLAS's own and moves nothing.
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


def matmul(a, b, bint transpose_a=False, bint transpose_b=False, double alpha=1.0):
    """Matrix product ``alpha op(A) op(B)`` (BLAS ``gemm``).

    Parameters
    ----------
    a : ndarray of shape (m, k), or (k, m) with ``transpose_a``
        Left factor, float32 or float64.
    b : ndarray of shape (k, n), or (n, k) with ``transpose_b``
        Right factor, of the dtype of `a`.
    transpose_a, transpose_b : bool, default=False
        Whether the factor is transposed first. Nothing is copied for it.
    alpha : float, default=1.0
        Factor of the product.

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
        _matmul(c, a, b, transpose_a, transpose_b, alpha)
    return c


def _matmul(
    floating[:, ::1] c, const floating[:, ::1] a, const floating[:, ::1] b,
    bint transpose_a, bint transpose_b, double alpha,
):
    cdef int k = <int> (a.shape[0] if transpose_a else a.shape[1])
    gemm(
        &c[0, 0], <int> c.shape[1], &a[0, 0], <int> a.shape[1], &b[0, 0], <int> b.shape[1],
        <int> c.shape[0], <int> c.shape[1], k, transpose_a, transpose_b, <floating> alpha, 0,
    )


def matvec(a, x, bint transpose=False, double alpha=1.0):
    """Matrix-vector product ``alpha op(A) x`` (BLAS ``gemv``).

    Parameters
    ----------
    a : ndarray of shape (m, n)
        The matrix, float32 or float64.
    x : ndarray of shape (n,), or (m,) with ``transpose``
        The vector, of the dtype of `a`.
    transpose : bool, default=False
        Whether the matrix is transposed first.
    alpha : float, default=1.0
        Factor of the product.

    Returns
    -------
    y : ndarray of shape (m,), or (n,) with ``transpose``

    Raises
    ------
    ValueError
        If the shapes do not fit, or the dtypes differ.
    """
    a = as_contiguous(a)
    x = as_contiguous(x)
    if a.ndim != 2 or x.ndim != 1:
        raise ValueError(f"A and x must have 2 and 1 dimensions, got {a.ndim} and {x.ndim}")
    rows, columns = a.shape[::-1] if transpose else a.shape
    if columns != x.shape[0]:
        raise ValueError(f"op(A) has {columns} columns and x has {x.shape[0]} entries")
    _check_countable(rows, columns)
    y = np.zeros(rows, dtype=a.dtype)
    if min(a.shape) > 0:
        _matvec(y, a, x, transpose, alpha)
    return y


def _matvec(
    floating[::1] y, const floating[:, ::1] a, const floating[::1] x,
    bint transpose, double alpha,
):
    gemv(&y[0], &a[0, 0], <int> a.shape[1], &x[0], <int> a.shape[0], <int> a.shape[1],
         transpose, <floating> alpha, 0)


def add_scaled(floating[::1] y, const floating[::1] x, double alpha):
    """Add ``alpha x`` to `y` in place (BLAS ``axpy``).

    Parameters
    ----------
    y : ndarray of shape (size,), C-ordered
        Changed in place.
    x : ndarray of shape (size,), C-ordered
        What is added, of the dtype of `y`.
    alpha : float
        Factor of `x`.

    Raises
    ------
    ValueError
        If the sizes or dtypes differ.
    """
    if y.shape[0] != x.shape[0]:
        raise ValueError(f"y has {y.shape[0]} entries and x has {x.shape[0]}")
    _check_countable(x.shape[0])
    if y.shape[0] > 0:
        axpy(&y[0], &x[0], <int> y.shape[0], <floating> alpha)


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
