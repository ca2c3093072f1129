"""A linear map: y = x W + b, by the matrix products of the BLAS.

Its inputs may have trained factors s: then W is s W of the parameters W, in the scratch memory. The
backward pass needs s W for the gradient of x alone, and puts the gradient of s W in its place.
"""

from cython cimport floating
from libc.string cimport memset

from skbn.kernels.input_scale cimport input_scale_backward, input_scale_forward
from skbn.kernels.linear cimport (
    linear_data_gradient, linear_forward, linear_parameter_gradients,
)
from skbn.network.operation cimport INPUTS

import numpy as np


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


cdef const floating* _forward_weights(
    const floating* parameters, const Operation* operation, const Memory* memory,
) noexcept nogil:
    # The effective weights of the forward pass, which are still there.
    if operation.scale < 0:
        return parameters + operation.weights
    return <const floating*> (memory.scratch + operation.scratch)


cdef floating* weights_gradient_begin(
    floating* gradient, const Operation* operation, const Memory* memory,
) noexcept nogil:
    """Where the gradient of the effective weights is added up."""
    cdef floating* scaled
    if operation.scale < 0:
        return gradient + operation.weights
    scaled = <floating*> (memory.scratch + operation.scratch)
    memset(scaled, 0, operation.n_in * operation.n_out * sizeof(floating))
    return scaled


cdef void weights_gradient_end(
    floating* gradient, const Operation* operation, const Memory* memory,
) noexcept nogil:
    """The gradient of W and s from the gradient of the effective weights."""
    cdef const floating* parameters = <const floating*> memory.parameters
    if operation.scale >= 0:
        input_scale_backward(gradient + operation.weights, gradient + operation.scale,
                             <const floating*> (memory.scratch + operation.scratch),
                             parameters + operation.weights, parameters + operation.scale,
                             operation.n_in, operation.n_out)


cdef void _forward(
    floating* work, const Operation* operation, const Memory* memory, const Batch* batch,
) noexcept nogil:
    cdef const floating* parameters = <const floating*> memory.parameters
    cdef const floating* bias = NULL
    if operation.bias >= 0:
        bias = parameters + operation.bias
    linear_forward(work + operation.y * memory.capacity, work + operation.x * memory.capacity,
                   effective_weights(parameters, operation, memory), bias, batch.n_rows,
                   operation.n_in, operation.n_out)


cdef void _backward(
    floating* work, const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    cdef const floating* parameters = <const floating*> memory.parameters
    cdef floating* gradient = <floating*> memory.gradient
    cdef const floating* dy = <const floating*> batch.dy
    cdef const floating* x = work + operation.x * memory.capacity
    cdef floating* dx = <floating*> batch.spare
    cdef floating* dbias = NULL
    if operation.bias >= 0:
        dbias = gradient + operation.bias
    # Nobody needs the gradient of the inputs.
    if memory.plan.kind == INPUTS and operation.x == memory.plan.y:
        dx = NULL
    else:
        linear_data_gradient(dx, dy, _forward_weights(parameters, operation, memory),
                             batch.n_rows, operation.n_in, operation.n_out)
    linear_parameter_gradients(weights_gradient_begin(gradient, operation, memory), dbias, dy, x,
                               batch.n_rows, operation.n_in, operation.n_out)
    weights_gradient_end(gradient, operation, memory)
    batch.spare = batch.dy
    batch.dy = dx


cdef void forward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    if memory.is_double:
        _forward(<double*> memory.work, operation, memory, batch)
    else:
        _forward(<float*> memory.work, operation, memory, batch)


cdef void backward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    if memory.is_double:
        _backward(<double*> memory.work, operation, memory, batch)
    else:
        _backward(<float*> memory.work, operation, memory, batch)


def sizes(row):
    """Elements of the weights and, of a map that has them, of the intercept and the factors.

    Where inputs have factors, the scratch memory holds s W and, for rows of a sparse table, one row
    of outputs.
    """
    n_weights = row["n_in"] * row["n_out"]
    result = {"weights": n_weights}
    if row["bias"] >= 0:
        result["bias"] = row["n_out"] - row["first_biased"]
    if row["scale"] >= 0:
        result |= {"scale": row["n_in"], "scratch": n_weights + row["n_out"]}
    return result


def fold(maps, row, arrays):
    """A new map, behind the affine map that waits for it."""
    maps.add_linear(arrays["scale"][:, np.newaxis] * arrays["weights"], arrays["bias"])
