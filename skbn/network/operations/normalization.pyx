"""A batch norm of a network: the statistics of a batch, time step by time step.

A feed-forward network has one time step. In a recurrent network each step s has its own statistics,
over the rows of a batch at that step. There are two exceptions.

First, few sequences may reach a step. Only the first ``n_own`` steps have their own statistics. A
later step is normalized by the statistics of step ``n_own - 1``. These statistics then depend on
fewer rows than they normalize. Let p_i be the share of row i in the statistics. Let S and T be the
sums of dy and of dy xhat over *all* rows that the statistics normalize, at step ``n_own - 1`` and
at later steps. Then

    dx_i = gamma invstd (dy_i - p_i (S + xhat_i T)),

and p_i = 0 for the rows of later steps. The backward pass goes backward in time, so it knows the
sums of the later steps when it reaches step ``n_own - 1``.

Second, statistics may be shared over time. All steps then have the same statistics, over all rows
of all steps.

The scratch memory keeps all numbers from the forward pass to the update of the running statistics.

If the plan has a place for the numbers of the columns (``skbn.network.fusion``), the loops of
``skbn.kernels.layer`` compute the sums over rows without weights: over a few rows in float32, and
over all rows in float64.
"""

from cython cimport floating
from libc.float cimport DBL_EPSILON, FLT_EPSILON
from libc.string cimport memcpy, memset

from skbn.kernels.batchnorm cimport batchnorm_backward, batchnorm_gradient_sums, inverse_std
from skbn.kernels.layer cimport (
    LayerColumns, layer_columns, layer_gradient_sums, layer_loops, layer_moments,
    layer_set_gradient,
)
from skbn.kernels.merging cimport moments_merge, moments_update_running
from skbn.kernels.moments cimport (
    moments_of_batch, moments_of_weighted, moments_without_rounding,
)
from skbn.kernels.pointers cimport pointer
from skbn.network.run cimport Batch


# LEAST_SEQUENCES: a time step that fewer sequences reach has no statistics of its own, unless all
# sequences reach it.
cpdef enum:
    LEAST_SEQUENCES = 8

# FAR: the square of the largest difference of a batch mean and the running mean, in standard
# deviations, for which one message gives the variance over processes. The sum of variance and
# epsilon then has 12 digits. ROUNDING: a larger share of the squared difference is a variance
# between processes.
cdef double FAR = 1e4
cdef double ROUNDING = 1e-13


def scratch_of(n_steps):
    """Doubles of scratch for a unit of a batch norm of `n_steps` time steps."""
    return STATISTICS + 3 * n_steps


def columns_of(row):
    """The place for the numbers of the columns in the scratch memory of a batch norm."""
    return row["scratch"] + MOMENTS * row["n_out"]


cdef Py_ssize_t _rows_with(const double* weights, Py_ssize_t n, Py_ssize_t wanted) noexcept nogil:
    # The smallest number of first rows among which `wanted` rows have a weight; n + 1 if there are
    # too few.
    cdef Py_ssize_t i = 0, found = 0
    if weights == NULL:
        return wanted
    while found < wanted:
        if i == n:
            return n + 1
        found += weights[i] > 0.0
        i += 1
    return i


cdef void norm_set_own_steps(Steps* steps, const double* weights) noexcept nogil:
    """Set the number of leading steps that have statistics of their own.

    Statistics of few rows are poor. The variance of m rows has a relative standard deviation of
    sqrt(2 / (m - 1)). Normalized rows lie within sqrt(m - 1) of 0, and two rows always become -1
    and 1. The second step always has its own statistics if two sequences reach it: at the first
    step the contribution of the state before is 0 in all rows, and has no variance.

    `weights` are the weights of the packed sequences, or NULL. Sequences of weight 0 are not
    counted. So a step that only such sequences reach has no statistics of its own.
    """
    cdef Py_ssize_t least = _rows_with(weights, steps.n, LEAST_SEQUENCES)
    if least > steps.n:
        # If there are fewer sequences in all, every sequence that has a weight must reach a step.
        least = steps.n
        while weights != NULL and least > 1 and not weights[least - 1] > 0.0:
            least -= 1
    steps.n_own = 1
    while steps.n_own < steps.n_steps and steps.counts[steps.n_own] >= least:
        steps.n_own += 1
    if (steps.n_own == 1 and steps.n_steps > 1
            and steps.counts[1] >= _rows_with(weights, steps.n, 2)):
        steps.n_own = 2


def own_steps(const Py_ssize_t[::1] counts, const double[::1] weights=None):
    """How many steps have their own statistics, from the number of sequences that reach each step.

    `weights` are the weights of the sequences, the longest first.
    """
    cdef Steps steps
    steps.n = counts[0]
    steps.n_steps = counts.shape[0]
    steps.counts = &counts[0]
    norm_set_own_steps(&steps, pointer(weights))
    return steps.n_own


cdef double* norm_mean(double* scratch, const Operation* operation, Py_ssize_t step) noexcept nogil:
    """The batch mean of a time step, (n_out,)."""
    return scratch + (STATISTICS + step) * operation.n_out


cdef double* norm_var(double* scratch, const Operation* operation, Py_ssize_t step) noexcept nogil:
    """The biased variance of a time step, (n_out,)."""
    return scratch + (STATISTICS + operation.n_steps + step) * operation.n_out


cdef double* norm_invstd(
    double* scratch, const Operation* operation, Py_ssize_t step,
) noexcept nogil:
    """The reciprocal standard deviation of a time step, (n_out,)."""
    return scratch + (STATISTICS + 2 * operation.n_steps + step) * operation.n_out


cdef inline bint _has_columns(
    const Operation* operation, const double* sample_weight,
) noexcept nogil:
    return operation.columns >= 0 and sample_weight == NULL


cdef LayerColumns norm_columns(double* scratch, const Operation* operation) noexcept nogil:
    """The numbers of the columns, for our own loops: COLUMN_ARRAYS d doubles in all."""
    return layer_columns(scratch + operation.columns - operation.scratch, operation.n_out)


cdef void _from_running(
    double* scratch, const Operation* operation, const double* statistics, Py_ssize_t step,
) noexcept nogil:
    cdef Py_ssize_t d = operation.n_out
    cdef const double* running = statistics + operation.statistics + step * d
    memcpy(norm_mean(scratch, operation, step), running, d * sizeof(double))
    memcpy(norm_var(scratch, operation, step), running + operation.n_steps * d,
           d * sizeof(double))


cdef void _moments(
    double* mean, double* var, double* scratch,
    const Operation* operation, const floating* x, const double* sample_weight, Py_ssize_t n,
) noexcept nogil:
    cdef Py_ssize_t d = operation.n_out
    cdef LayerColumns columns
    if floating is float:
        if _has_columns(operation, sample_weight):
            columns = norm_columns(scratch, operation)
            layer_loops().column_moments(columns.first, columns.second, columns.hi, x, n, d)
            layer_moments(mean, var, scratch + MOMENTS * d, &columns, x, n, d, d)
            return
    if sample_weight == NULL:
        moments_of_batch(mean, var, scratch + MOMENTS * d, x, n, d, d, 1)
    else:
        moments_of_weighted(mean, var, scratch + WEIGHT * d, scratch + MOMENTS * d, x,
                            sample_weight, n, d, d, 1)


cdef void norm_statistics(
    double* scratch,
    const Operation* operation, const floating* x, const double* statistics,
    const double* sample_weight,
    Py_ssize_t n, Py_ssize_t step,
    bint frozen, bint repeated,
) noexcept nogil:
    """Statistics of the n rows of a step; if `frozen`, the running statistics.

    `repeated` says that there is a normalization at each time step, so that gradients pass through
    many normalizations. A variance that comes from rounding alone would multiply the gradient by a
    large factor at each step. Such a variance is set to 0.
    """
    cdef Py_ssize_t d = operation.n_out
    cdef double* mean = norm_mean(scratch, operation, step)
    cdef double* var = norm_var(scratch, operation, step)
    if frozen:
        _from_running(scratch, operation, statistics, step)
    else:
        _moments(mean, var, scratch, operation, x, sample_weight, n)
        if repeated:
            moments_without_rounding(var, mean, d,
                                     FLT_EPSILON if floating is float else DBL_EPSILON)
    inverse_std(norm_invstd(scratch, operation, step), var, d, operation.epsilon)


cdef double _weight_of(const double* sample_weight, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef double total = 0.0
    if sample_weight == NULL:
        return n
    for i in range(n):
        total += sample_weight[i]
    return total


cdef void norm_shared_begin(double* scratch, const Operation* operation) noexcept nogil:
    """Begin statistics of all steps together, which are merged step by step."""
    memset(scratch + LATER_DY * operation.n_out, 0, operation.n_out * sizeof(double))


cdef void norm_shared_add(
    double* scratch,
    const Operation* operation, const floating* x, const double* sample_weight, Py_ssize_t n,
) noexcept nogil:
    """Merge the statistics of the n rows of a step into the statistics of the steps before."""
    cdef Py_ssize_t d = operation.n_out, j
    # The moments of a step go into the memory of the gradient sums of the backward pass.
    cdef double* step_mean = scratch + SUM_DY * d
    cdef double* step_var = scratch + SUM_DY_XHAT * d
    cdef double* weight = scratch + LATER_DY * d
    cdef double* step_weight = scratch + LATER_DY_XHAT * d
    cdef double total = _weight_of(sample_weight, n)
    _moments(step_mean, step_var, scratch, operation, x, sample_weight, n)
    for j in range(d):
        step_weight[j] = total
    moments_merge(norm_mean(scratch, operation, 0), norm_var(scratch, operation, 0), weight,
                  step_mean, step_var, step_weight, d)


cdef void norm_shared_end(
    double* scratch, const Operation* operation, double rounding,
) noexcept nogil:
    """The statistics that all steps are normalized by; `rounding` is the epsilon of the dtype."""
    cdef double* var = norm_var(scratch, operation, 0)
    moments_without_rounding(var, norm_mean(scratch, operation, 0), operation.n_out, rounding)
    inverse_std(norm_invstd(scratch, operation, 0), var, operation.n_out, operation.epsilon)


cdef void norm_gradient_sums(
    double* scratch, floating* dy,
    const Operation* operation, const floating* x, const floating* y,
    Py_ssize_t n, Py_ssize_t step,
) noexcept nogil:
    """The sums of dy and of dy xhat over n rows, into the scratch memory.

    If `y` is not NULL, `y` is the output of a fused relu, and dy is multiplied by the derivative of
    the relu.
    """
    cdef Py_ssize_t d = operation.n_out, j
    cdef const double* mean = norm_mean(scratch, operation, step)
    cdef LayerColumns columns
    if floating is float:
        if operation.columns >= 0:
            columns = norm_columns(scratch, operation)
            for j in range(d):
                columns.hi[j] = <float> mean[j]
            layer_loops().column_gradient_sums(columns.first, columns.second, dy, x, columns.hi, n,
                                               d)
            layer_gradient_sums(scratch + SUM_DY * d, scratch + SUM_DY_XHAT * d, &columns, mean,
                                norm_invstd(scratch, operation, step), d)
            return
    batchnorm_gradient_sums(scratch + SUM_DY * d, scratch + SUM_DY_XHAT * d,
                            <floating*> (scratch + AFFINE * d), dy, y, x, mean,
                            norm_invstd(scratch, operation, step), n, d)


cdef void norm_add_parameter_gradients(
    floating* gradient, const double* scratch, const Operation* operation,
) noexcept nogil:
    """Add the sums of dy xhat to the gradient of gamma, the sums of dy to the gradient of beta."""
    cdef Py_ssize_t d = operation.n_out, j
    cdef const double* sum_dy = scratch + SUM_DY * d
    cdef const double* sum_dy_xhat = scratch + SUM_DY_XHAT * d
    for j in range(d):
        gradient[operation.gamma + j] += <floating> sum_dy_xhat[j]
    if operation.beta >= 0:
        for j in range(d):
            gradient[operation.beta + j] += <floating> sum_dy[j]


cdef void norm_no_statistics(double* scratch, const Operation* operation) noexcept nogil:
    """Set the statistics of no rows: zeros, which add nothing to the sums over processes."""
    memset(norm_mean(scratch, operation, 0), 0, operation.n_out * sizeof(double))
    memset(norm_var(scratch, operation, 0), 0, operation.n_out * sizeof(double))


cdef void norm_add_up_statistics(
    double* scratch, const Operation* operation, const double* statistics, const Batch* batch,
) noexcept nogil:
    """Statistics of the rows of all processes, from the statistics of the rows of each.

    A process has rows of total weight w, mean m and variance v. All processes have a number s near
    the mean: the running mean. With W = sum w, the mean M and the variance V over all processes are

        D = sum w (m - s) / W,   M = s + D,   V = sum w v / W + (sum w (m - s)^2 / W - D^2).

    So one message has the three sums. The variance within the processes, the first term of V, is
    exact. The variance between the processes, in brackets, has a rounding error of about D^2 times
    the precision of a double. If this is too much beside V + epsilon, as it may be in the first
    batch, a second message has the sums for s + D instead of s. A variance between the processes
    that may be rounding alone is 0. So a unit whose values are all equal has no variance, and one
    process alone has its own variance. All processes see the same sums and decide alike.
    """
    cdef Py_ssize_t d = operation.n_out, j
    cdef double* mean = norm_mean(scratch, operation, 0)
    cdef double* var = norm_var(scratch, operation, 0)
    # The three sums stand side by side in memory.
    cdef double* sums = scratch + MOMENTS * d
    cdef double* squares = sums + d
    cdef double* within = squares + d
    # Only recurrent networks have gradient sums of later steps.
    cdef double* near = scratch + LATER_DY * d
    cdef double own = batch.own_statistics, total = batch.statistics_total, difference, between
    cdef int _message
    cdef bint is_far
    memcpy(near, statistics + operation.statistics, d * sizeof(double))
    for _message in range(2):
        is_far = False
        for j in range(d):
            difference = mean[j] - near[j]
            sums[j] = own * difference
            squares[j] = own * (difference * difference)
            within[j] = own * var[j]
        batch.sums.add(batch.sums.context, sums, 3 * d)
        for j in range(d):
            difference = sums[j] / total
            near[j] += difference
            difference *= difference
            between = squares[j] / total - difference
            if between < ROUNDING * difference:
                between = 0.0
            squares[j] = within[j] / total + between
            # Written so that NaN is far, too.
            is_far = is_far or not difference <= FAR * (squares[j] + operation.epsilon)
        if not is_far:
            break
    memcpy(mean, near, d * sizeof(double))
    memcpy(var, squares, d * sizeof(double))
    inverse_std(norm_invstd(scratch, operation, 0), var, d, operation.epsilon)


cdef void norm_add_up_gradient_sums(
    double* scratch, const Operation* operation, const Batch* batch,
) noexcept nogil:
    """The sums of dy and of dy xhat over the rows of all processes."""
    # The two sums stand side by side in memory.
    batch.sums.add(batch.sums.context, scratch + SUM_DY * operation.n_out, 2 * operation.n_out)


cdef void norm_data_gradient(
    floating* dx, double* scratch,
    const Operation* operation, const floating* dy, const floating* x,
    const floating* parameters, const double* sample_weight,
    Py_ssize_t n, Py_ssize_t step,
    double total_weight,
) noexcept nogil:
    """dx from the sums in `scratch`; dx may be dy or x."""
    cdef Py_ssize_t d = operation.n_out
    cdef LayerColumns columns
    if floating is float:
        if _has_columns(operation, sample_weight):
            # The columns hold the rounded means already, because the sums are of the same rows.
            columns = norm_columns(scratch, operation)
            layer_set_gradient(&columns, scratch + SUM_DY * d, scratch + SUM_DY_XHAT * d,
                               norm_mean(scratch, operation, step),
                               norm_invstd(scratch, operation, step), parameters + operation.gamma,
                               1.0 / total_weight, d, d)
            layer_loops().column_gradient(dx, dy, x, columns.hi, columns.scale, columns.constant,
                                          columns.linear, n, d)
            return
    batchnorm_backward(dx, <floating*> (scratch + AFFINE * d), dy, x,
                       norm_mean(scratch, operation, step), norm_invstd(scratch, operation, step),
                       parameters + operation.gamma, scratch + SUM_DY * d, sample_weight, n, d,
                       total_weight)


cdef void norm_without_statistics(double* scratch, const Operation* operation) noexcept nogil:
    """Set the sums to 0: statistics that do not depend on the rows add nothing to dx."""
    memset(scratch + SUM_DY * operation.n_out, 0, 2 * operation.n_out * sizeof(double))


cdef void norm_backward_step(
    floating* dx, double* scratch, floating* gradient, floating* dy,
    const Operation* operation, const floating* x, const floating* parameters,
    const double* sample_weight,
    Py_ssize_t n, Py_ssize_t step, Py_ssize_t n_own,
    bint frozen,
) noexcept nogil:
    """The backward pass of a time step, called for the last step first; dx may be dy or x.

    The sums of later steps (``LATER_DY``) must be 0 at the last step.
    """
    cdef Py_ssize_t d = operation.n_out, j
    cdef double* sums = scratch + SUM_DY * d
    cdef double* later = scratch + LATER_DY * d
    # If the rows have no share in the statistics, their weights may all be 0, so 1 serves as the
    # total.
    cdef double total_weight = 1.0
    norm_gradient_sums(scratch, dy, operation, x, <floating*> NULL, n, min(step, n_own - 1))
    norm_add_parameter_gradients(gradient, scratch, operation)
    if frozen or step >= n_own:
        for j in range(2 * d):
            later[j] += sums[j]
        norm_without_statistics(scratch, operation)
    else:
        total_weight = _weight_of(sample_weight, n)
        if step == n_own - 1:
            for j in range(2 * d):
                sums[j] += later[j]
    norm_data_gradient(dx, scratch, operation, dy, x, parameters, sample_weight, n,
                       min(step, n_own - 1), total_weight)


cdef void norm_shared_backward(
    floating* dy, double* scratch, floating* gradient,
    const Operation* operation, const floating* x, const floating* parameters,
    const double* sample_weight, const Steps* steps,
    bint frozen,
) noexcept nogil:
    """The backward pass of all steps together; dy becomes dx."""
    cdef Py_ssize_t d = operation.n_out, s, start, j
    cdef double* sums = scratch + SUM_DY * d
    cdef double* later = scratch + LATER_DY * d
    cdef double total = 0.0
    memset(later, 0, 2 * d * sizeof(double))
    for s in range(steps.n_steps):
        start = steps.starts[s] * d
        norm_gradient_sums(scratch, dy + start, operation, x + start, <floating*> NULL,
                           steps.counts[s], 0)
        norm_add_parameter_gradients(gradient, scratch, operation)
        for j in range(2 * d):
            later[j] += sums[j]
        total += _weight_of(sample_weight, steps.counts[s])
    memcpy(sums, later, 2 * d * sizeof(double))
    if frozen:
        norm_without_statistics(scratch, operation)
    for s in range(steps.n_steps):
        start = steps.starts[s] * d
        norm_data_gradient(dy + start, scratch, operation, dy + start, x + start, parameters,
                           sample_weight, steps.counts[s], 0, total)


cdef void norm_update_running(
    double* statistics,
    const Operation* operation, double* scratch,
    Py_ssize_t n_own, Py_ssize_t n_tracked,
) noexcept nogil:
    """Exponential update of the running statistics of the `n_own` steps that have new ones.

    `n_tracked` leading steps had running statistics before. The first statistics of a step set its
    running statistics. Later steps without any statistics so far take the statistics of the last
    step that has statistics.
    """
    cdef Py_ssize_t d = operation.n_out, s, last
    cdef double* mean = statistics + operation.statistics
    cdef double* var = mean + operation.n_steps * d
    n_own = min(n_own, operation.n_steps)
    last = min(max(n_own, n_tracked), operation.n_steps) - 1
    for s in range(n_own):
        if s < n_tracked:
            moments_update_running(mean + s * d, var + s * d, norm_mean(scratch, operation, s),
                                   norm_var(scratch, operation, s), d, operation.momentum)
        else:
            memcpy(mean + s * d, norm_mean(scratch, operation, s), d * sizeof(double))
            memcpy(var + s * d, norm_var(scratch, operation, s), d * sizeof(double))
    for s in range(last + 1, operation.n_steps):
        memcpy(mean + s * d, mean + last * d, d * sizeof(double))
        memcpy(var + s * d, var + last * d, d * sizeof(double))
