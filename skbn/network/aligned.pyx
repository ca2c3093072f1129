"""Arrays that begin at a cache line.

The large arrays of NumPy begin 16 bytes behind the beginning of a cache line. Its small arrays
begin anywhere. Then every read or write of a vector register of 64 bytes touches two lines, and a
step of Adam takes two to three times as long.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uintptr_t

import math

import numpy as np

cdef enum:
    LINE = 64


cdef uintptr_t _address(object array) except? 0:
    # The address is read without the objects that NumPy makes for it. Making them would be a
    # noticeable part of the time of a prediction of one row.
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_SIMPLE)
    cdef uintptr_t address = <uintptr_t> view.buf
    PyBuffer_Release(&view)
    return address


cdef object _in_line(object make, object shape, object dtype):
    dtype = np.dtype(dtype)
    cdef Py_ssize_t n = math.prod(shape) if isinstance(shape, tuple) else shape
    cdef Py_ssize_t per_line = LINE // <Py_ssize_t> dtype.itemsize
    memory = make(n + per_line, dtype)
    cdef Py_ssize_t behind = <Py_ssize_t> (_address(memory) % LINE)
    cdef Py_ssize_t start = (LINE - behind) % LINE // <Py_ssize_t> dtype.itemsize
    memory = memory[start : start + n]
    return memory.reshape(shape) if isinstance(shape, tuple) else memory


def empty(shape, dtype):
    """An array in C order whose first number lies at the beginning of a cache line.

    `shape` is a tuple, or an int; the numbers of `dtype` fill a line evenly.
    """
    return _in_line(np.empty, shape, dtype)


def zeros(shape, dtype):
    """An array as from ``empty``, filled with zeros."""
    return _in_line(np.zeros, shape, dtype)


def copy(array):
    """A copy that begins at a cache line."""
    copied = empty(array.shape, array.dtype)
    copied[...] = array
    return copied


def moved(array):
    """The array itself if it begins at a cache line, and otherwise a copy that does."""
    return array if is_aligned(array) else copy(array)


def is_aligned(array):
    """Whether an array begins at a cache line; an empty one begins anywhere."""
    return array.size == 0 or array.ctypes.data % LINE == 0


def rounded_up(n, dtype):
    """The smallest number of elements that is at least n and fills whole cache lines."""
    per_line = LINE // np.dtype(dtype).itemsize
    return -(-n // per_line) * per_line
