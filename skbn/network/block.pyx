"""The one loop of every network: mini-batches forward, loss, backward, step.

The loop runs a block of mini-batches without the GIL. Work that needs Python (printing, schedules,
stopping, Ctrl-C) happens between two blocks.
"""

from cython cimport floating
from libc.math cimport isfinite
from libc.stdint cimport uint64_t, uintptr_t
from libc.string cimport memset

from skbn.kernels.blas cimport dot
from skbn.kernels.gather cimport gather_rows
from skbn.kernels.losses cimport loss_forward_backward
from skbn.kernels.optimizers cimport Optimizer, optimizer_begin, optimizer_step
from skbn.network.batch cimport batch_begin
from skbn.network.chain cimport chain_backward, chain_forward, chain_update
from skbn.network.memory cimport RunMemory, RunSource
from skbn.network.run cimport TRAINING, Batch, Memory, Source, Sums

import numpy as np


cdef extern from "subnormal.h":
    uint64_t flush_subnormals "skbn_flush_subnormals"() noexcept nogil
    void restore_subnormals "skbn_restore_subnormals"(uint64_t before) noexcept nogil


# Mirrors ``skbn.network.plan.SEGMENT``: parameters that lie side by side and have equal factors.
cdef struct Segment:
    Py_ssize_t start
    Py_ssize_t stop
    double rate             # factor on the learning rate
    double decay            # factor on the L2 penalty and on the weight decay


cdef class Objective:
    """The function that training minimizes: a loss of the outputs and an L2 penalty.

    Parameters
    ----------
    loss : int
        Code of the loss.
    parameter : float
        Parameter of the loss: the quantile of "quantile". Other losses ignore it.
    alpha : float, default=0.0
        The penalty is ``alpha / 2 ||W||^2``, divided by the total weight of a batch.
    seed : int, default=0
        Seed of the masks of dropout.
    frozen : bool, default=False
        Whether batch norm normalizes by the running statistics, which stay as they are. The
        gradient then takes the statistics as constants.
    """

    cdef int loss
    cdef double parameter
    cdef double alpha
    cdef uint64_t seed
    cdef bint frozen

    def __init__(
        self, int loss, double parameter, double alpha=0.0, long long seed=0, bint frozen=False
    ):
        self.loss, self.parameter, self.alpha = loss, parameter, alpha
        self.seed, self.frozen = seed, frozen


cdef double _penalty(
    floating* gradient, const Memory* memory, const Batch* batch, const Segment[::1] segments,
    double alpha,
) noexcept nogil:
    # The gradient begins as the gradient of the penalty, or as zeros. If the operations replace the
    # gradient of weights, nothing is written to it here. Several processes add up their penalties,
    # so each process counts only its share of the penalty.
    cdef const floating* parameters = <const floating*> memory.parameters
    cdef Py_ssize_t s, i
    cdef double factor, penalty = 0.0
    cdef floating rate
    for s in range(segments.shape[0]):
        factor = alpha * segments[s].decay
        if factor > 0.0:
            factor = factor / batch.total_weight * (batch.own_weight / batch.total_weight)
            rate = <floating> factor
            for i in range(segments[s].start, segments[s].stop):
                gradient[i] = rate * parameters[i]
            penalty += 0.5 * factor * dot(parameters + segments[s].start,
                                          parameters + segments[s].start,
                                          <int> (segments[s].stop - segments[s].start))
        elif batch.adds or segments[s].decay == 0.0:
            memset(gradient + segments[s].start, 0,
                   (segments[s].stop - segments[s].start) * sizeof(floating))
    return penalty


cdef void _add_up(
    floating* gradient, double* losses, const Memory* memory, const Sums* sums,
) noexcept nogil:
    # Sums of the losses and of the gradients over all processes.
    cdef double* values = memory.exchange
    cdef Py_ssize_t i, n = memory.n_parameters
    for i in range(n):
        values[i] = gradient[i]
    values[n], values[n + 1] = losses[0], losses[1]
    sums.add(sums.context, values, n + 2)
    for i in range(n):
        gradient[i] = <floating> values[i]
    losses[0], losses[1] = values[n], values[n + 1]


cdef void _loss_and_gradient(
    floating* gradient, double* losses, const Memory* memory, Batch* batch,
    Objective objective, const Segment[::1] segments,
) noexcept nogil:
    # losses[0] = the weighted mean loss, losses[1] = the penalty; `gradient` of their sum.
    cdef const Source* source = batch.source
    cdef const floating* outputs
    cdef floating* targets = <floating*> memory.targets
    cdef Py_ssize_t k = memory.plan[memory.n_operations - 1].n_out
    gather_rows(targets, <const floating*> source.y, batch.rows, NULL, NULL, False, batch.n,
                source.n_targets, source.n_targets, 1)
    chain_forward(memory, batch, 0, memory.n_operations)
    outputs = (<const floating*> memory.work
               + memory.plan[memory.n_operations - 1].y * memory.capacity)
    losses[0] = loss_forward_backward(<floating*> batch.dy, outputs, targets, batch.weights,
                                      batch.n, k, batch.total_weight, objective.loss,
                                      objective.parameter)
    # Without a penalty the operations replace the gradient of weights, if they can. This saves two
    # passes over the longest part of the gradient.
    batch.adds = objective.alpha > 0.0 or not memory.replaces
    losses[1] = _penalty(gradient, memory, batch, segments, objective.alpha)
    chain_backward(memory, batch)
    if batch.sums != NULL:
        _add_up(gradient, losses, memory, batch.sums)


cdef void _begin(
    Batch* batch, const Memory* memory, const Source* source, const Py_ssize_t* rows,
    Py_ssize_t n, Objective objective, const Sums* sums, const double* totals,
) noexcept nogil:
    batch_begin(batch, memory, source, rows, 0, n, TRAINING)
    batch.seed = objective.seed
    batch.frozen = memory.normalized and (batch.frozen or objective.frozen)
    if sums == NULL:
        return
    batch.sums = sums
    batch.total_weight, batch.statistics_total = totals[1], totals[2]
    batch.frozen = memory.normalized and (objective.frozen or totals[0] < 2.0)


cdef void _add_up_totals(
    double[:, ::1] totals, const Source* source, const Py_ssize_t[::1] rows,
    const Py_ssize_t[::1] bounds, const Sums* sums,
) noexcept nogil:
    # For each batch, over all processes: the number of its rows, and the sums of their weights in
    # the loss and in the statistics. One message has the totals of all batches.
    cdef Py_ssize_t b, i
    for b in range(totals.shape[0]):
        totals[b, 0] = totals[b, 1] = totals[b, 2] = bounds[b + 1] - bounds[b]
        if source.sample_weight != NULL:
            totals[b, 1] = totals[b, 2] = 0.0
            for i in range(bounds[b], bounds[b + 1]):
                totals[b, 1] += source.sample_weight[rows[i]]
                totals[b, 2] += source.statistics_weight[rows[i]]
    sums.add(sums.context, &totals[0, 0], 3 * totals.shape[0])


cdef void _run(
    double* losses, const Memory* memory, Batch* batch, Objective objective,
    const Segment[::1] segments,
) noexcept nogil:
    if memory.is_double:
        _loss_and_gradient(<double*> memory.gradient, losses, memory, batch, objective, segments)
    else:
        _loss_and_gradient(<float*> memory.gradient, losses, memory, batch, objective, segments)


cdef void _step(
    floating* parameters, floating* moments, const Memory* memory, Optimizer* optimizer,
    const Segment[::1] segments, double learning_rate,
) noexcept nogil:
    cdef floating* gradient = <floating*> memory.gradient
    cdef Py_ssize_t s, start
    optimizer_begin(optimizer, gradient, memory.n_parameters)
    for s in range(segments.shape[0]):
        start = segments[s].start
        optimizer_step(parameters + start, moments + start,
                       moments + memory.n_parameters + start, gradient + start,
                       segments[s].stop - start, learning_rate * segments[s].rate,
                       segments[s].decay, optimizer)


def train(
    double[:, ::1] losses, RunMemory memory, RunSource source, Objective objective,
    const Segment[::1] segments, Optimizer[::1] optimizer, uintptr_t moments, batches,
    const double[::1] learning_rates, counts, sums=None,
):
    """Train on mini-batches; called by ``Network.train``.

    Parameters
    ----------
    losses : ndarray of shape (n_batches, 2)
        Mean loss and penalty of each batch; written.
    memory : RunMemory
        The parameters and statistics in it change.
    source : RunSource
        The rows.
    objective : Objective
        The function that is minimized.
    segments : ndarray of dtype `SEGMENT`
        The parts of the parameters, in their order and without gaps.
    optimizer : ndarray of shape (1,), dtype `OPTIMIZER`
        Changed: the count of steps.
    moments : int
        Address of the optimizer's two moments, each as long as the parameters.
    batches : pair of ndarray of intp
        Row numbers, and bounds: batch b is ``rows[bounds[b]:bounds[b + 1]]``.
    learning_rates : ndarray of shape (n_batches,)
        Learning rate of each batch.
    counts : pair of ndarray of shape (1,), int64
        Numbers of batches and of time steps that the running statistics have seen; changed.
    sums : pair of int, default=None
        Address of a C function ``add(context, values, n)``, and its context. The function replaces
        n float64 numbers by their sums over the processes that train this network together. All
        processes give as many mini-batches.

    Returns
    -------
    n_batches : int
        Number of batches that were trained on. It is less than the number of given batches if the
        loss of the next batch is not finite.
    """
    cdef const Py_ssize_t[::1] rows = batches[0]
    cdef const Py_ssize_t[::1] bounds = batches[1]
    cdef long long[::1] n_batches_tracked = counts[0]
    cdef long long[::1] n_steps_tracked = counts[1]
    cdef Py_ssize_t b = 0
    cdef uint64_t control
    cdef Batch batch
    cdef Sums over_processes
    cdef const Sums* sums_pointer = NULL
    cdef void* moments_pointer = <void*> moments
    cdef double[:, ::1] totals = None
    cdef const double* of_batch = NULL
    # One of several processes may have no rows.
    cdef const Py_ssize_t* first_row = &rows[0] if rows.shape[0] > 0 else NULL
    if sums is not None:
        over_processes.add = (
            <void (*)(void*, double*, Py_ssize_t) noexcept nogil> <uintptr_t> sums[0]
        )
        over_processes.context = <void*> <uintptr_t> sums[1]
        sums_pointer = &over_processes
        totals = np.empty((bounds.shape[0] - 1, 3))
        memory.make_room_for_sums()
    with nogil:
        # Moments and gradients that fade away become subnormal numbers, which are slow. Nothing in
        # the block raises, so the only way out is its end.
        control = flush_subnormals()
        if sums_pointer != NULL and bounds.shape[0] > 1:
            _add_up_totals(totals, &source.source, rows, bounds, sums_pointer)
        while b < bounds.shape[0] - 1:
            if sums_pointer != NULL:
                of_batch = &totals[b, 0]
            _begin(&batch, &memory.memory, &source.source, first_row + bounds[b],
                   bounds[b + 1] - bounds[b], objective, sums_pointer, of_batch)
            batch.step = optimizer[0].step
            _run(&losses[b, 0], &memory.memory, &batch, objective, segments)
            if not isfinite(losses[b, 0] + losses[b, 1]):
                break
            if memory.memory.is_double:
                _step(<double*> memory.memory.parameters, <double*> moments_pointer,
                      &memory.memory, &optimizer[0], segments, learning_rates[b])
            else:
                _step(<float*> memory.memory.parameters, <float*> moments_pointer,
                      &memory.memory, &optimizer[0], segments, learning_rates[b])
            if memory.memory.normalized and not batch.frozen:
                chain_update(&memory.memory, &batch, n_steps_tracked[0])
                n_batches_tracked[0] += 1
                n_steps_tracked[0] = max(n_steps_tracked[0], batch.packed.n_own)
            b += 1
        restore_subnormals(control)
    return b


def loss_and_gradient(
    double[:, ::1] losses, RunMemory memory, RunSource source, Objective objective,
    const Segment[::1] segments, const Py_ssize_t[::1] rows, long long step,
):
    """Loss of one batch, and its gradient in the memory; called by ``Network.loss_and_gradient``.
    """
    cdef Batch batch
    with nogil:
        _begin(&batch, &memory.memory, &source.source, &rows[0], rows.shape[0], objective, NULL,
               NULL)
        batch.step = step
        _run(&losses[0, 0], &memory.memory, &batch, objective, segments)
