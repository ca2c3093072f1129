"""Pointers to optional arrays."""

from cython cimport floating

from skbn.kernels.gather cimport input_floating
from skbn.kernels.sparse_linear cimport index_t


cdef inline const floating* pointer(const floating[::1] vector) noexcept:
    """The first element of a vector; NULL for ``None`` and for an empty vector."""
    if vector is None or vector.shape[0] == 0:
        return NULL
    return &vector[0]


cdef inline const floating* matrix_pointer(const floating[:, ::1] matrix) noexcept:
    """The first element of a matrix; NULL for ``None`` and for an empty matrix."""
    if matrix is None or matrix.shape[0] == 0 or matrix.shape[1] == 0:
        return NULL
    return &matrix[0, 0]


cdef inline const Py_ssize_t* size_pointer(const Py_ssize_t[::1] sizes) noexcept:
    """The first of an array of sizes; NULL if there are no sizes."""
    if sizes.shape[0] == 0:
        return NULL
    return &sizes[0]


cdef inline const index_t* index_pointer(const index_t[::1] indices) noexcept:
    """The first index of a sparse table; NULL for a dense table, which has no indices."""
    if indices.shape[0] == 0:
        return NULL
    return &indices[0]


cdef inline const input_floating* table_pointer(const input_floating[:, :] X) noexcept:
    """The first element of a table, or of the data of a sparse table; NULL for an empty table."""
    if X.shape[0] == 0 or X.shape[1] == 0:
        return NULL
    return &X[0, 0]
