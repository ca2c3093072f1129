from skbn.network.operation cimport Operation
from skbn.network.run cimport Batch, Memory

cdef void forward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil

cdef void backward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil
