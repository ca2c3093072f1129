"""Rows through a plan without a backward pass: inference, and the collection of statistics."""

from cpython.exc cimport PyErr_CheckSignals
from libc.string cimport memcpy

from skbn.network.batch cimport batch_begin
from skbn.network.chain cimport chain_forward, chain_update
from skbn.network.memory cimport FLOAT32, FLOAT64, SIZES, RunMemory, RunSource, address_of
from skbn.network.operation cimport INPUTS, NO_PART, RECURRENT, Operation
from skbn.network.run cimport COLLECTING, INFERENCE, Batch, Memory


cdef inline size_t _itemsize(const Memory* memory) noexcept nogil:
    return sizeof(double) if memory.is_double else sizeof(float)


cdef inline char* _work(const Memory* memory, Py_ssize_t column) noexcept nogil:
    return <char*> memory.work + column * memory.capacity * _itemsize(memory)


cdef const Operation* _last(const Memory* memory) noexcept nogil:
    # The last operation of the chain, whose parts may stand behind it.
    cdef const Operation* last = memory.plan + memory.n_operations - 1
    while last.part != NO_PART:
        last -= 1
    return last


cdef char* _matrix(object array, const Memory* memory) except? NULL:
    return <char*> address_of(array, FLOAT64 if memory.is_double else FLOAT32, "outputs")


def infer(outputs, RunMemory memory, RunSource source, rows, Py_ssize_t n):
    """Outputs of all operations for n rows, in batches of ``memory.most_rows``.

    Parameters
    ----------
    outputs : ndarray of shape (n, d), C-ordered, dtype of the network
        Written.
    memory : RunMemory
        Its plan is run.
    source : RunSource
        The rows.
    rows : ndarray of shape (n,), intp, or None
        Row numbers. ``None``: all rows of the source, in order. For sequences the numbers must be
        given: at most ``memory.most_rows``, the longest sequence first.
    n : int
    """
    cdef const Memory* places = &memory.memory
    cdef const Operation* last = _last(places)
    cdef size_t size = last.n_out * _itemsize(places)
    cdef char* y = _matrix(outputs, places)
    cdef const Py_ssize_t* numbers = <const Py_ssize_t*> address_of(rows, SIZES, "rows")
    cdef const Py_ssize_t* chosen
    cdef Py_ssize_t start = 0, m
    cdef Batch batch
    with nogil:
        while start < n:
            m = min(places.most_rows, n - start)
            chosen = NULL
            if numbers != NULL:
                chosen = numbers + start
            batch_begin(&batch, places, &source.source, chosen, start, m, INFERENCE)
            chain_forward(places, &batch, 0, places.n_operations)
            memcpy(y + start * size, _work(places, last.y), m * size)
            start += m


def advance(outputs, inputs, RunMemory memory, RunSource source, Py_ssize_t first):
    """Inference from the input of operation `first` through the rest of the plan.

    Parameters
    ----------
    outputs : ndarray of shape (n, d_out), C-ordered, dtype of the network
        Written.
    inputs : ndarray of shape (n, d_in), C-ordered, dtype of the network
        Values of the input of operation `first`.
    memory : RunMemory
    source : RunSource
        Not read. A batch needs a source.
    first : int
        Number of the operation.
    """
    cdef const Memory* places = &memory.memory
    cdef const Operation* last = _last(places)
    cdef size_t size_in = places.plan[first].n_in * _itemsize(places)
    cdef size_t size_out = last.n_out * _itemsize(places)
    cdef const char* x = _matrix(inputs, places)
    cdef char* y = _matrix(outputs, places)
    cdef Py_ssize_t start = 0, m, n = len(inputs)
    cdef Batch batch
    with nogil:
        while start < n:
            m = min(places.most_rows, n - start)
            batch_begin(&batch, places, &source.source, NULL, 0, m, INFERENCE)
            memcpy(_work(places, places.plan[first].x), x + start * size_in, m * size_in)
            chain_forward(places, &batch, first, places.n_operations)
            memcpy(y + start * size_out, _work(places, last.y), m * size_out)
            start += m


def collect_sequences(
    RunMemory memory, RunSource source, const Py_ssize_t[::1] rows, Py_ssize_t[::1] no_starts,
):
    """Exact statistics of all batch norms of a recurrent network: all sequences are one batch.

    Parameters
    ----------
    memory : RunMemory
        Its statistics change. The state memory has room for one step of all sequences. The work
        memory has room for one step, too, or for all steps.
    source : RunSource
        The sequences, and their weights in the statistics.
    rows : ndarray of shape (n,), intp
        Numbers of the sequences.
    no_starts : ndarray of shape (n_steps + 1,), intp, or None
        If zeros are given, all operations go through a step together, and the work memory has the
        rows of one step. ``None``: each operation goes through all steps before the next operation.

    Returns
    -------
    n_own : int
        Leading time steps that have statistics of their own.
    """
    cdef const Memory* places = &memory.memory
    cdef Batch batch
    cdef Py_ssize_t o, s, first, last = 0, n_steps
    batch_begin(&batch, places, &source.source, &rows[0], 0, rows.shape[0], COLLECTING)
    n_steps = batch.packed.n_steps
    for o in range(places.n_operations):
        if places.plan[o].part == NO_PART:
            last = o
    if no_starts is not None:
        batch.packed.starts = &no_starts[0]
        stages = [(0, places.n_operations)]
    else:
        # The outputs of the highest layer are not needed.
        batch.unread = places.plan[last].y
        stages = [(o, o + 1) for o in range(places.n_operations) if places.plan[o].part == NO_PART]
    for first, last in stages:
        # The loop goes step by step, so that Ctrl-C can be handled between two steps. Operations
        # without steps, such as dropout (which drops nothing here), go over the rows of all steps
        # at once.
        by_step = places.plan[first].kind in (INPUTS, RECURRENT)
        for s in range(n_steps if by_step else 1):
            batch.first_step, batch.last_step = s, s + 1
            PyErr_CheckSignals()
            if no_starts is not None:
                batch.n_rows = batch.packed.counts[s]
            with nogil:
                chain_forward(places, &batch, first, last)
    with nogil:
        chain_update(places, &batch, 0)
    return batch.packed.n_own
