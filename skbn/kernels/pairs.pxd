"""Sums of two doubles, for float64 results that many additions must not make less exact.

The value of a pair is ``high + low`` with ``|low|`` at most half a unit in the last place of
``high``.

References
----------
Knuth, "The Art of Computer Programming", volume 2, section 4.2.2: the two-sum.
"""


cdef inline void add_to_pair(double* high, double* low, double change) noexcept nogil:
    """Add ``change`` to the pair ``high + low``.

    The sum ``low + change`` is rounded. The addition of this sum to ``high`` is exact: the new
    ``low`` is the rounding error of the new ``high``.
    """
    cdef double step = low[0] + change
    cdef double total = high[0] + step
    cdef double part = total - high[0]
    low[0] = (high[0] - (total - part)) + (step - part)
    high[0] = total
