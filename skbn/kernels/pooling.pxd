from cython cimport floating

from skbn.kernels.sequences cimport Steps

cdef enum Pooling:
    LAST_STEP = 0
    MEAN = 1
    MAX = 2
    MEAN_MAX = 3

cdef void pooling_forward(
    floating* y, const floating* x, const Steps* steps, Py_ssize_t n_in, Py_ssize_t n_directions,
    Py_ssize_t pooling,
) noexcept nogil

cdef void pooling_backward(
    floating* dx, const floating* dy, const floating* x, const floating* y, const Steps* steps,
    Py_ssize_t n_in, Py_ssize_t n_directions, Py_ssize_t pooling,
) noexcept nogil
