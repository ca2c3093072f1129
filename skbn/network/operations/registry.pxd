from skbn.network.operation cimport Operation
from skbn.network.run cimport Batch, Memory

ctypedef void (*PassFunction)(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil

ctypedef void (*UpdateFunction)(
    const Operation* operation, const Memory* memory, Batch* batch, Py_ssize_t n_tracked,
) noexcept nogil

# The functions of a kind of operations; NULL for a function that the kind does not have.
cdef struct Functions:
    PassFunction forward
    PassFunction backward
    PassFunction infer
    UpdateFunction update

cdef const Functions* functions_of(int kind) noexcept nogil
