from cython cimport floating

from skbn.network.operation cimport Operation
from skbn.network.run cimport Batch, Memory

cdef void forward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil

cdef void backward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil

cdef const floating* effective_weights(
    const floating* parameters, const Operation* operation, const Memory* memory,
) noexcept nogil

cdef floating* weights_gradient_begin(
    floating* gradient, const Operation* operation, const Memory* memory,
) noexcept nogil

cdef void weights_gradient_end(
    floating* gradient, const Operation* operation, const Memory* memory,
) noexcept nogil
