"""Arrays that begin at a cache line.

NumPy's large arrays begin 16 bytes behind a line, and its small ones anywhere. Every vector
register of 64 bytes that is read or written then lies in two lines: a step of Adam takes two to
three times as long.
"""

import numpy as np

LINE = 64


def empty(shape, dtype):
    """An array in C order whose first number lies at the beginning of a cache line."""
    return _in_line(np.empty, shape, np.dtype(dtype))


def zeros(shape, dtype):
    """The same, with zeros."""
    return _in_line(np.zeros, shape, np.dtype(dtype))


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
    """The least number of elements, n or more, that fills whole cache lines."""
    per_line = LINE // np.dtype(dtype).itemsize
    return -(-n // per_line) * per_line


def _in_line(make, shape, dtype):
    size = int(np.prod(shape)) * dtype.itemsize
    memory = make(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(dtype).reshape(shape)
