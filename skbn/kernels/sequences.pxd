from cython cimport floating

# The sequences of a batch, sorted by length, the longest first, and packed step by step. The first
# counts[s] sequences have a step s, and the rows of step s begin at row starts[s]. There is no
# padding.
cdef struct Steps:
    Py_ssize_t n                # sequences
    Py_ssize_t n_rows           # of all steps together
    Py_ssize_t n_steps          # of the longest sequence
    Py_ssize_t n_own            # leading steps with statistics of their own
    const Py_ssize_t* counts    # (n_steps + 1,), the last 0
    const Py_ssize_t* starts    # (n_steps + 1,), the last n_rows
    const Py_ssize_t* lengths   # (n,)

cdef void sequences_pack(
    Steps* steps, Py_ssize_t* order, Py_ssize_t* memory,
    const Py_ssize_t* lengths, const Py_ssize_t* rows, Py_ssize_t n, Py_ssize_t longest,
) noexcept nogil

cdef void sequences_reverse_step(
    floating* y, const floating* x, const Steps* steps, Py_ssize_t step, Py_ssize_t d,
    Py_ssize_t x_row_stride,
) noexcept nogil

cdef void sequences_write_step(
    floating* y, const floating* x, const Steps* steps, Py_ssize_t step, Py_ssize_t d,
    Py_ssize_t y_row_stride, bint reverse,
) noexcept nogil

cdef object packing_memory(lengths)

cdef Steps sorted_steps(Py_ssize_t[::1] memory, const Py_ssize_t[::1] lengths) noexcept
