"""Moments of two sets of rows made one, and exponential running averages of moments.

All statistics are float64.

Shapes: means, variances and weights (d,); the pairs of ``moments_merge_pairs`` (2, d).

References
----------
Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance: analysis and
recommendations", The American Statistician 37(3), 242-247.
Ioffe and Szegedy (2015), "Batch normalization", Algorithm 2.
"""

from skbn.kernels.pairs cimport add_to_pair

from skbn.kernels._operands import check_share


cdef void moments_merge(
    double* mean, double* var, double* weight,
    const double* batch_mean, const double* batch_var, const double* batch_weight,
    Py_ssize_t d,
) noexcept nogil:
    """Exact moments of the union of two disjoint sets of rows (Chan et al., equation 2.1).

    The rows so far have the weight w, and the rows of the batch have the weight w_b. With
    f = w_b / (w + w_b) and delta = mean_b - mean,

        mean' = mean + f delta,  var' = (1 - f) var + f var_b + f (1 - f) delta^2.

    The second equation is computed as var' = var + f ((var_b - var) + delta^2 (1 - f)).
    """
    cdef Py_ssize_t j
    cdef double total, fraction, delta
    for j in range(d):
        if batch_weight[j] == 0.0:
            continue
        if weight[j] == 0.0:
            mean[j] = batch_mean[j]
            var[j] = batch_var[j]
            weight[j] = batch_weight[j]
            continue
        total = weight[j] + batch_weight[j]
        fraction = batch_weight[j] / total
        delta = batch_mean[j] - mean[j]
        mean[j] += fraction * delta
        var[j] += fraction * ((batch_var[j] - var[j]) + delta * delta * (weight[j] / total))
        weight[j] = total


cdef void moments_merge_pairs(
    double* mean, double* var, double* weight,
    const double* batch_mean, const double* batch_var, const double* batch_weight,
    Py_ssize_t d,
) noexcept nogil:
    """Moments as from ``moments_merge``, with means and variances that are pairs of doubles.

    ``mean`` and ``var`` hold 2 d values each: first the d numbers, then the d parts that were
    lost when the numbers were rounded. So the moments after a million merges of one row each are
    about as exact as the moments of one batch of the same million rows.
    """
    cdef Py_ssize_t j
    cdef double total, fraction, delta, change
    for j in range(d):
        if batch_weight[j] == 0.0:
            continue
        if weight[j] == 0.0:
            mean[j] = batch_mean[j]
            mean[d + j] = batch_mean[d + j]
            var[j] = batch_var[j]
            var[d + j] = batch_var[d + j]
            weight[j] = batch_weight[j]
            continue
        total = weight[j] + batch_weight[j]
        fraction = batch_weight[j] / total
        delta = (batch_mean[j] - mean[j]) + (batch_mean[d + j] - mean[d + j])
        change = (batch_var[j] - var[j]) + (batch_var[d + j] - var[d + j])
        change = fraction * (change + delta * delta * (weight[j] / total))
        add_to_pair(mean + j, mean + d + j, fraction * delta)
        add_to_pair(var + j, var + d + j, change)
        weight[j] = total


cdef void moments_update_running(
    double* running_mean, double* running_var,
    const double* batch_mean, const double* batch_var,
    Py_ssize_t d,
    double momentum,
) noexcept nogil:
    """Exponential running averages: running' = running + momentum (batch - running)."""
    cdef Py_ssize_t j
    for j in range(d):
        running_mean[j] += momentum * (batch_mean[j] - running_mean[j])
        running_var[j] += momentum * (batch_var[j] - running_var[j])


def _check_statistics(*arrays):
    if len({array.shape[0] for array in arrays}) != 1:
        raise ValueError("statistics must have one length, got "
                         + ", ".join(str(array.shape[0]) for array in arrays))


cdef int _check_totals(name, const double[::1] weight) except -1:
    # The comparison is written so that NaN is refused too: NaN >= 0 is false.
    cdef Py_ssize_t j
    for j in range(weight.shape[0]):
        if not weight[j] >= 0.0:
            raise ValueError(f"{name} must be >= 0, got {weight[j]} in column {j}")
    return 0


def merge(
    double[::1] mean, double[::1] var, double[::1] weight,
    const double[::1] batch_mean, const double[::1] batch_var, const double[::1] batch_weight,
):
    """Merge the moments of a batch into the moments of earlier rows, exactly and in place.

    Parameters
    ----------
    mean, var, weight : ndarray of shape (d,), float64, C-ordered
        Mean, biased variance and total weight of the earlier rows; changed in place.
    batch_mean, batch_var, batch_weight : ndarray of shape (d,), float64, C-ordered
        Mean, biased variance and total weight of the batch. A column of weight 0 changes
        nothing.

    Raises
    ------
    ValueError
        If the lengths differ, or a weight is negative or NaN.

    References
    ----------
    Chan, Golub and LeVeque (1983), equation 2.1.
    """
    _check_statistics(mean, var, weight, batch_mean, batch_var, batch_weight)
    _check_totals("weight", weight)
    _check_totals("batch_weight", batch_weight)
    if mean.shape[0] > 0:
        moments_merge(&mean[0], &var[0], &weight[0], &batch_mean[0], &batch_var[0],
                      &batch_weight[0], mean.shape[0])


def merge_pairs(
    double[:, ::1] mean, double[:, ::1] var, double[::1] weight,
    const double[:, ::1] batch_mean, const double[:, ::1] batch_var,
    const double[::1] batch_weight,
):
    """Merge moments as ``merge`` does, with means and variances that are pairs of doubles.

    Row 0 of a pair is a number, and row 1 is the part that was lost when the number was rounded.
    The sum of both rows is the value. The rounding error then does not grow with the number of
    merges.

    Parameters
    ----------
    mean, var : ndarray of shape (2, d), float64, C-ordered
        Mean and biased variance of the earlier rows; changed in place.
    weight : ndarray of shape (d,), float64, C-ordered
        Total weight of the earlier rows; changed in place.
    batch_mean, batch_var : ndarray of shape (2, d), float64, C-ordered
        Mean and biased variance of the batch.
    batch_weight : ndarray of shape (d,), float64, C-ordered
        Total weight of the batch. A column of weight 0 changes nothing.

    Raises
    ------
    ValueError
        If the shapes differ, or a weight is negative or NaN.

    References
    ----------
    Chan, Golub and LeVeque (1983), equation 2.1; the pairs are Knuth's two-sum, "The Art of
    Computer Programming", volume 2, section 4.2.2.
    """
    cdef Py_ssize_t d = weight.shape[0], i
    cdef Py_ssize_t[4] rows = [mean.shape[0], var.shape[0], batch_mean.shape[0],
                               batch_var.shape[0]]
    _check_statistics(weight, batch_weight, mean[0], var[0], batch_mean[0], batch_var[0])
    _check_totals("weight", weight)
    _check_totals("batch_weight", batch_weight)
    for i in range(4):
        if rows[i] != 2:
            raise ValueError(f"a pair of statistics has 2 rows, got {rows[i]}")
    if d > 0:
        moments_merge_pairs(&mean[0, 0], &var[0, 0], &weight[0], &batch_mean[0, 0],
                            &batch_var[0, 0], &batch_weight[0], d)


def update_running(
    double[::1] running_mean, double[::1] running_var,
    const double[::1] batch_mean, const double[::1] batch_var,
    double momentum,
):
    """Update exponential running averages in place.

    ``running = (1 - momentum) * running + momentum * batch``. So `momentum` is the weight of
    the **newest** batch, as in PyTorch. The ``momentum`` of Keras is ``1 - momentum``.

    Parameters
    ----------
    running_mean, running_var : ndarray of shape (d,), float64, C-ordered
        Running averages; changed in place.
    batch_mean, batch_var : ndarray of shape (d,), float64, C-ordered
        Mean and variance of the newest batch.
    momentum : float
        Weight of the newest batch, in [0, 1].

    Raises
    ------
    ValueError
        If the lengths differ, or `momentum` is not in [0, 1].
    """
    check_share("momentum", momentum)
    _check_statistics(running_mean, running_var, batch_mean, batch_var)
    if running_mean.shape[0] > 0:
        moments_update_running(&running_mean[0], &running_var[0], &batch_mean[0],
                               &batch_var[0], running_mean.shape[0], momentum)
