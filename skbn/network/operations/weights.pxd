from cython cimport floating

from skbn.network.operation cimport Operation
from skbn.network.run cimport Memory

cdef const floating* effective_weights(
    const floating* parameters, const Operation* operation, const Memory* memory,
) noexcept nogil

cdef const floating* forward_weights(
    const floating* parameters, const Operation* operation, const Memory* memory,
) noexcept nogil

cdef floating* weights_gradient_begin(
    floating* gradient, const Operation* operation, const Memory* memory, bint adds,
) noexcept nogil

cdef void weights_gradient_end(
    floating* gradient, const Operation* operation, const Memory* memory, bint adds,
) noexcept nogil
