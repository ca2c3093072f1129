"""Batch norm of a layer of a feed-forward network: one time step.

A batch norm that is fused with a relu has RELU as its activation. Then one kernel normalizes and
activates, and the backward pass multiplies dy by the derivative of the relu.
"""

from cython cimport floating

from skbn.kernels.activations cimport RELU
from skbn.kernels.batchnorm cimport batchnorm_forward
from skbn.network.operations.normalization cimport (
    AFFINE, norm_add_parameter_gradients, norm_add_up_gradient_sums, norm_add_up_statistics,
    norm_data_gradient, norm_gradient_sums, norm_invstd, norm_mean, norm_no_statistics,
    norm_statistics,
    norm_update_running, norm_without_statistics,
)

import numpy as np

from skbn.kernels import merging, moments
from skbn.network.operations.normalization import scratch_of


cdef void _forward(
    floating* work, const Operation* operation, const Memory* memory, const Batch* batch,
    bint frozen,
) noexcept nogil:
    cdef const floating* parameters = <const floating*> memory.parameters
    cdef const floating* x = work + operation.x * memory.capacity
    cdef double* scratch = memory.scratch + operation.scratch
    if batch.n_rows > 0 or frozen:
        norm_statistics(scratch, operation, x, memory.statistics, batch.statistics_weights,
                        batch.n_rows, 0, frozen, False)
    else:
        # This process has no row of the batch.
        norm_no_statistics(scratch, operation)
    if batch.sums != NULL and not frozen:
        norm_add_up_statistics(scratch, operation, batch)
    batchnorm_forward(work + operation.y * memory.capacity,
                      <floating*> (scratch + AFFINE * operation.n_out), x,
                      norm_mean(scratch, operation, 0), norm_invstd(scratch, operation, 0),
                      parameters + operation.gamma, parameters + operation.beta,
                      batch.n_rows, operation.n_out, operation.activation == RELU)


cdef void _backward(
    floating* dy, const Operation* operation, const Memory* memory, const Batch* batch,
) noexcept nogil:
    # dx overwrites dy.
    cdef const floating* work = <const floating*> memory.work
    cdef const floating* x = work + operation.x * memory.capacity
    cdef const floating* y = NULL
    cdef double* scratch = memory.scratch + operation.scratch
    if operation.activation == RELU:
        y = work + operation.y * memory.capacity
    norm_gradient_sums(scratch, dy, operation, x, y, batch.n_rows, 0)
    norm_add_parameter_gradients(<floating*> memory.gradient, scratch, operation)
    if batch.frozen:
        norm_without_statistics(scratch, operation)
    elif batch.sums != NULL:
        norm_add_up_gradient_sums(scratch, operation, batch)
    norm_data_gradient(dy, scratch, operation, dy, x, <const floating*> memory.parameters,
                       batch.statistics_weights, batch.n_rows, 0, batch.statistics_total)


cdef void forward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    if memory.is_double:
        _forward(<double*> memory.work, operation, memory, batch, batch.frozen)
    else:
        _forward(<float*> memory.work, operation, memory, batch, batch.frozen)


cdef void infer(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    if memory.is_double:
        _forward(<double*> memory.work, operation, memory, batch, True)
    else:
        _forward(<float*> memory.work, operation, memory, batch, True)


cdef void backward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    if memory.is_double:
        _backward(<double*> batch.dy, operation, memory, batch)
    else:
        _backward(<float*> batch.dy, operation, memory, batch)


cdef void update(
    const Operation* operation, const Memory* memory, Batch* batch, Py_ssize_t n_tracked,
) noexcept nogil:
    norm_update_running(memory.statistics, operation, memory.scratch + operation.scratch,
                        batch.packed.n_own, n_tracked)


def sizes(row):
    """Sizes of gamma, of beta if there is one, of the running statistics and of the scratch."""
    result = {
        "gamma": row["n_out"],
        "statistics": 2 * row["n_steps"] * row["n_out"],
        "scratch": scratch_of(row["n_steps"]) * row["n_out"],
    }
    if row["beta"] >= 0:
        result["beta"] = row["n_out"]
    return result


def collect(blocks, d):
    """Exact mean and biased variance of the input, over blocks of rows.

    Parameters
    ----------
    blocks : iterable of (x, weight)
        Rows of the input, shape (n, d), and their weights, shape (n,), or None.
    d : int

    Returns
    -------
    mean, var, weight : ndarray of shape (d,), float64
        The weight is the total weight of the rows.
    """
    mean, var, weight = (np.zeros(d) for _ in range(3))
    for x, block_weight in blocks:
        if block_weight is None:
            block_mean, block_var = moments.batch_moments(x)
            total = np.full(d, float(len(x)))
        else:
            block_mean, block_var, total = moments.weighted_moments(x, block_weight)
        merging.merge(mean, var, weight, block_mean, block_var, total)
    return mean, var, weight


def fold(maps, row, arrays):
    """The affine map of the running statistics: y = s x + c."""
    var = arrays["var"]
    # As in inference, the output of a unit without variance is beta.
    invstd = np.where(var > 0.0, 1.0 / np.sqrt(var + row["epsilon"]), 0.0)
    scale = arrays["gamma"].astype(np.float64) * invstd
    maps.add_affine(scale, arrays["beta"] - arrays["mean"] * scale)
