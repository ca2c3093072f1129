"""A linear map: y = x W + b, by the matrix products of the BLAS.

The inputs may have trained factors s. Then s W replaces W (``weights.pyx``). The rows of x are
padded if the operation below is a fused layer.
"""

from cython cimport floating

from skbn.kernels.linear cimport (
    linear_data_gradient, linear_forward, linear_parameter_gradients,
)
from skbn.network.operation cimport INPUTS, LAYER
from skbn.network.operations.layer cimport layer_data_gradient
from skbn.network.operations.weights cimport (
    effective_weights, forward_weights, weights_gradient_begin, weights_gradient_end,
)

import numpy as np


cdef inline Py_ssize_t _x_stride(const Operation* operation) noexcept nogil:
    return operation.n_in if operation.x_stride < 0 else operation.x_stride


cdef void _forward(
    floating* work, const Operation* operation, const Memory* memory, const Batch* batch,
) noexcept nogil:
    cdef const floating* parameters = <const floating*> memory.parameters
    cdef const floating* bias = NULL
    if operation.bias >= 0:
        bias = parameters + operation.bias
    linear_forward(work + operation.y * memory.capacity, work + operation.x * memory.capacity,
                   effective_weights(parameters, operation, memory), bias, batch.n_rows,
                   operation.n_in, operation.n_out, _x_stride(operation))


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
    # The gradient of the inputs is not needed.
    if memory.plan.kind == INPUTS and operation.x == memory.plan.y:
        dx = NULL
    elif floating is float and (operation - 1).kind == LAYER:
        layer_data_gradient(operation, memory, batch, dy, operation.n_out,
                            forward_weights(parameters, operation, memory))
    else:
        linear_data_gradient(dx, dy, forward_weights(parameters, operation, memory),
                             batch.n_rows, operation.n_in, operation.n_out)
    linear_parameter_gradients(weights_gradient_begin(gradient, operation, memory, batch.adds),
                               dbias, dy, x, batch.n_rows, operation.n_in, operation.n_out,
                               _x_stride(operation), batch.adds)
    weights_gradient_end(gradient, operation, memory, batch.adds)
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
    """Sizes of the weights, and of the intercept and the factors if the map has them.

    If the inputs have factors, the scratch memory holds s W. For a sparse table it also holds one
    row of outputs.
    """
    n_weights = row["n_in"] * row["n_out"]
    result = {"weights": n_weights}
    if row["bias"] >= 0:
        result["bias"] = row["n_out"] - row["first_biased"]
    if row["scale"] >= 0:
        result |= {"scale": row["n_in"], "scratch": n_weights + row["n_out"]}
    return result


def fold(maps, row, arrays):
    """Add a linear map, and merge the affine map that waits for it."""
    maps.add_linear(arrays["scale"][:, np.newaxis] * arrays["weights"], arrays["bias"])
