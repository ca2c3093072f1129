"""Pointers to optional arrays."""

from cython cimport floating


cdef inline const floating* pointer(const floating[::1] vector) noexcept:
    """The first element of a vector; NULL for ``None`` and for an empty one."""
    if vector is None or vector.shape[0] == 0:
        return NULL
    return &vector[0]
