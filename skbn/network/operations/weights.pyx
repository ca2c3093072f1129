"""The weights of a linear map whose inputs may have trained factors s: W, or s W.

s W is in the scratch memory of the operation. The backward pass needs s W only for the gradient of
x. Afterwards the gradient of s W overwrites s W.
"""

from cython cimport floating
from libc.string cimport memset

from skbn.kernels.input_scale cimport input_scale_backward, input_scale_forward


cdef const floating* effective_weights(
    const floating* parameters, const Operation* operation, const Memory* memory,
) noexcept nogil:
    """The weights that rows are multiplied by: W, or s W, which is written to the scratch."""
    cdef floating* scaled
    if operation.scale < 0:
        return parameters + operation.weights
    scaled = <floating*> (memory.scratch + operation.scratch)
    input_scale_forward(scaled, parameters + operation.weights, parameters + operation.scale,
                        operation.n_in, operation.n_out)
    return scaled


cdef const floating* forward_weights(
    const floating* parameters, const Operation* operation, const Memory* memory,
) noexcept nogil:
    """The effective weights that the forward pass has left in the memory."""
    if operation.scale < 0:
        return parameters + operation.weights
    return <const floating*> (memory.scratch + operation.scratch)


cdef floating* weights_gradient_begin(
    floating* gradient, const Operation* operation, const Memory* memory, bint adds,
) noexcept nogil:
    """The memory to which the gradient of the effective weights is added (if `adds`) or written."""
    cdef floating* scaled
    if operation.scale < 0:
        return gradient + operation.weights
    scaled = <floating*> (memory.scratch + operation.scratch)
    if adds:
        memset(scaled, 0, operation.n_in * operation.n_out * sizeof(floating))
    return scaled


cdef void weights_gradient_end(
    floating* gradient, const Operation* operation, const Memory* memory, bint adds,
) noexcept nogil:
    """The gradient of W and s from the gradient of the effective weights."""
    cdef const floating* parameters = <const floating*> memory.parameters
    if operation.scale >= 0:
        if not adds:
            memset(gradient + operation.weights, 0,
                   operation.n_in * operation.n_out * sizeof(floating))
        input_scale_backward(gradient + operation.weights, gradient + operation.scale,
                             <const floating*> (memory.scratch + operation.scratch),
                             parameters + operation.weights, parameters + operation.scale,
                             operation.n_in, operation.n_out)
