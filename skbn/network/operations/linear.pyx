"""A linear map: y = x W + b, by the matrix products of the BLAS."""

from cython cimport floating

from skbn.kernels.linear cimport linear_backward, linear_forward
from skbn.network.operation cimport INPUTS


cdef void _forward(
    floating* work, const Operation* operation, const Memory* memory, const Batch* batch,
) noexcept nogil:
    cdef const floating* parameters = <const floating*> memory.parameters
    cdef const floating* bias = NULL
    if operation.bias >= 0:
        bias = parameters + operation.bias
    linear_forward(work + operation.y * memory.capacity, work + operation.x * memory.capacity,
                   parameters + operation.weights, bias, batch.n_rows, operation.n_in,
                   operation.n_out)


cdef void _backward(
    floating* work, const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    cdef floating* gradient = <floating*> memory.gradient
    cdef floating* dx = <floating*> batch.spare
    cdef floating* dbias = NULL
    if operation.bias >= 0:
        dbias = gradient + operation.bias
    # Nobody needs the gradient of the inputs.
    if memory.plan.kind == INPUTS and operation.x == memory.plan.y:
        dx = NULL
    linear_backward(dx, gradient + operation.weights, dbias, <const floating*> batch.dy,
                    work + operation.x * memory.capacity,
                    <const floating*> memory.parameters + operation.weights,
                    batch.n_rows, operation.n_in, operation.n_out)
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
    """Elements of the weights and, of a map that has one, of the intercept."""
    result = {"weights": row["n_in"] * row["n_out"]}
    if row["bias"] >= 0:
        result["bias"] = row["n_out"] - row["first_biased"]
    return result


def fold(maps, row, arrays):
    """A new map, behind the affine map that waits for it."""
    maps.add_linear(arrays["weights"], arrays["bias"])
