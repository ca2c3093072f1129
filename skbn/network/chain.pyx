"""The operations of a plan, one after the other: forward, backward, running statistics.

The registry says which functions an operation has. The parts of a recurrent operation or of a
periodic embedding stand behind it. It does their work, so the forward and the backward pass skip
them.
"""

from skbn.network.operation cimport NO_PART
from skbn.network.operations.registry cimport Functions, functions_of
from skbn.network.run cimport INFERENCE


cdef void chain_forward(
    const Memory* memory, Batch* batch, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """Operations `first` to `last` - 1, in the mode of the batch."""
    cdef Py_ssize_t o
    cdef const Functions* functions
    for o in range(first, last):
        if memory.plan[o].part != NO_PART:
            continue
        functions = functions_of(memory.plan[o].kind)
        if batch.mode == INFERENCE:
            functions.infer(memory.plan + o, memory, batch)
        else:
            functions.forward(memory.plan + o, memory, batch)


cdef void chain_backward(const Memory* memory, Batch* batch) noexcept nogil:
    """The gradient of all parameters, from the gradient of the outputs in ``batch.dy``."""
    cdef Py_ssize_t o
    cdef const Functions* functions
    for o in range(memory.n_operations - 1, -1, -1):
        functions = functions_of(memory.plan[o].kind)
        if memory.plan[o].part == NO_PART and functions.backward != NULL:
            functions.backward(memory.plan + o, memory, batch)


cdef void chain_update(const Memory* memory, Batch* batch, Py_ssize_t n_tracked) noexcept nogil:
    """Update the running statistics by the last forward pass. The first forward pass sets them.

    `n_tracked` leading time steps had statistics before: in a feed-forward network one at most.
    """
    cdef Py_ssize_t o
    cdef const Functions* functions
    for o in range(memory.n_operations):
        functions = functions_of(memory.plan[o].kind)
        if functions.update != NULL:
            functions.update(memory.plan + o, memory, batch, n_tracked)
