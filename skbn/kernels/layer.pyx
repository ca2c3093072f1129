"""A hidden layer in one piece: linear map, batch norm and activation, in float32.

    z = x W,    xhat = (z - mean) invstd,    y = f(gamma xhat + beta)

or without batch norm y = f(z + b), where f is the identity, relu or silu. The file computes the
same as ``linear``, ``batchnorm`` and ``activations``, with three passes over memory fewer. While
the numbers of the product are in registers, the sums for the moments are taken. One pass normalizes
and activates. While the numbers of the backward product are in registers, they are multiplied by
the derivative of the activation below, and both sums for the gradient of the batch norm below are
taken. The loops are in layer_loops.h; ``docs/layers.rst`` explains them.

Rows are padded: a row of d numbers takes ld places, where ld is d rounded up to whole vectors of
the processor. The padding of z is 0. The padding of the results is never read.

Moments
-------
A tile of a product has up to 12 rows. The deviations of these rows from the first row of the batch,
and the squares of the deviations, are summed up in float32. The sums of the tiles are summed up in
float64. With eps the precision of float32 and D the distance of the first row from the mean, the
error of the variance v is at most about 8 eps (v + D^2). The first row is one of the n rows, so D^2
<= n v. If float32 cannot hold a square, the moments are computed anew in float64.

References
----------
Ioffe and Szegedy (2015), "Batch normalization: accelerating deep network training by reducing
internal covariate shift", Algorithm 1.
Goto and van de Geijn (2008), "Anatomy of high-performance matrix multiplication" (tiles and
panels).
"""

from libc.math cimport isfinite
from libc.string cimport memset

from skbn.kernels.batchnorm cimport inverse_std
from skbn.kernels.moments cimport MOMENT_SCRATCH, moments_of_batch

import numpy as np

from skbn.kernels._operands import as_real, check_at_least_zero

cdef extern from "layer_versions.h":
    const LayerLoops* _layer_loops "skbn_layer_loops"() noexcept nogil

# Names of the fused activations -> their codes in layer.h.
FUSED = {"identity": IDENTITY_LOOP, "relu": RECTIFIED, "silu": SMOOTH}

# A variance below this number may lack squares that were too small for float32.
cdef double LEAST_VARIANCE = 1e-30

cdef const LayerLoops* LOOPS = _layer_loops()


cdef const LayerLoops* layer_loops() noexcept nogil:
    return LOOPS


def lanes():
    """Numbers of one vector of this processor; 0 if there are no fused layers for the processor."""
    return LOOPS.lanes if LOOPS != NULL else 0


def panel_width():
    """The largest number of columns of a product that are computed side by side."""
    return LOOPS.panel_width if LOOPS != NULL else 0


cdef LayerColumns layer_columns(double* memory, Py_ssize_t ld) noexcept nogil:
    """The arrays in a memory of ``COLUMN_ARRAYS ld`` doubles."""
    cdef LayerColumns columns
    columns.first, columns.second = memory, memory + ld
    columns.hi = <float*> (memory + 2 * ld)
    columns.scale = <float*> (memory + 3 * ld)
    columns.shift = <float*> (memory + 4 * ld)
    columns.constant = <float*> (memory + 5 * ld)
    columns.linear = <float*> (memory + 6 * ld)
    return columns


cdef void layer_clear_sums(const LayerColumns* columns, Py_ssize_t ld) noexcept nogil:
    """Both sums are 0: epilogues add to them."""
    memset(columns.first, 0, 2 * ld * sizeof(double))


cdef void layer_moments(
    double* batch_mean, double* batch_var, double* scratch,
    const LayerColumns* columns, const float* z, Py_ssize_t n, Py_ssize_t d, Py_ssize_t ld,
) noexcept nogil:
    """Mean and biased variance of z from the sums of the epilogue MOMENTS.

    With t = z - h of the first row h: mean = h + sum t / n, var = sum t^2 / n - (sum t / n)^2.
    ``scratch`` has MOMENT_SCRATCH d values.
    """
    cdef Py_ssize_t j
    cdef double t
    cdef bint is_exact = True
    for j in range(d):
        t = columns.first[j] / n
        batch_mean[j] = columns.hi[j] + t
        batch_var[j] = max(columns.second[j] / n - t * t, 0.0)
        if not (LEAST_VARIANCE < batch_var[j] and isfinite(batch_var[j])):
            is_exact = False
    # In a column without variance all rows are equal to the first row. The float64 moments are
    # exact for such a column.
    if not is_exact:
        moments_of_batch(batch_mean, batch_var, scratch, z, n, d, ld, 1)


cdef void layer_set_norm(
    const LayerColumns* columns,
    const double* batch_mean, const double* batch_invstd, const float* gamma, const float* beta,
    Py_ssize_t d, Py_ssize_t ld,
) noexcept nogil:
    """y = (z - hi) scale + shift is the batch norm, as in ``batchnorm_forward``.

    `beta` may be NULL, which means 0.
    """
    cdef Py_ssize_t j
    cdef double slope
    for j in range(d):
        slope = batch_invstd[j] * gamma[j]
        columns.hi[j] = <float> batch_mean[j]
        columns.scale[j] = <float> slope
        columns.shift[j] = <float> ((0.0 if beta == NULL else beta[j])
                                    - (batch_mean[j] - columns.hi[j]) * slope)
    for j in range(d, ld):
        columns.hi[j] = columns.scale[j] = columns.shift[j] = 0.0


cdef void layer_set_bias(
    const LayerColumns* columns, const float* bias, Py_ssize_t d, Py_ssize_t ld,
) noexcept nogil:
    """Set `columns` so that y = (z - hi) scale + shift is z + b."""
    cdef Py_ssize_t j
    for j in range(d):
        columns.hi[j], columns.scale[j], columns.shift[j] = 0.0, 1.0, bias[j]
    for j in range(d, ld):
        columns.hi[j] = columns.scale[j] = columns.shift[j] = 0.0


cdef void layer_gradient_sums(
    double* sum_dy, double* sum_dy_xhat,
    const LayerColumns* columns, const double* batch_mean, const double* batch_invstd,
    Py_ssize_t d,
) noexcept nogil:
    """The sums of g and of g xhat from the sums of g and of g (z - hi) in `columns`.

    With mean = hi + lo: sum g xhat = (sum g (z - hi) - lo sum g) invstd.
    """
    cdef Py_ssize_t j
    cdef double lo
    for j in range(d):
        lo = batch_mean[j] - columns.hi[j]
        sum_dy[j] = columns.first[j]
        sum_dy_xhat[j] = (columns.second[j] - lo * columns.first[j]) * batch_invstd[j]


cdef void layer_set_gradient(
    const LayerColumns* columns,
    const double* sum_dy, const double* sum_dy_xhat,
    const double* batch_mean, const double* batch_invstd, const float* gamma, double share,
    Py_ssize_t d, Py_ssize_t ld,
) noexcept nogil:
    """dz = scale g - (constant + linear (z - hi)): ``batchnorm_backward`` for rows of one share."""
    cdef Py_ssize_t j
    cdef double slope, linear
    for j in range(d):
        slope = gamma[j] * batch_invstd[j]
        linear = slope * sum_dy_xhat[j] * batch_invstd[j]
        columns.scale[j] = <float> slope
        columns.linear[j] = <float> (share * linear)
        columns.constant[j] = <float> (
            share * (slope * sum_dy[j] - (batch_mean[j] - columns.hi[j]) * linear)
        )
    for j in range(d, ld):
        columns.scale[j] = columns.linear[j] = columns.constant[j] = 0.0


def _padded(d):
    if LOOPS == NULL:
        raise ValueError("there are no loops of fused layers for this processor")
    return -(-d // LOOPS.lanes) * LOOPS.lanes


def _with_padding(x, fill=0.0):
    # A matrix with rows as the loops expect them.
    result = np.full((x.shape[0], _padded(x.shape[1])), fill, np.float32)
    result[:, : x.shape[1]] = x
    return result


def _as_matrix(name, x, columns=None, rows=None):
    x = as_real(name, x, np.float32)
    if x.ndim != 2 or x.size == 0 or columns not in (None, x.shape[1]) or (
        rows not in (None, x.shape[0])
    ):
        wanted = f"({rows or 'n'}, {columns or 'd'})"
        raise ValueError(f"{name} must have shape {wanted} without an empty axis, got {x.shape}")
    return x


def _as_vector(name, x, d):
    x = as_real(name, x, np.float32)
    if x.shape != (d,):
        raise ValueError(f"{name} must have shape {(d,)}, got {x.shape}")
    return x


def _code(activation):
    if activation not in FUSED:
        raise ValueError(f"activation must be one of {sorted(FUSED)}, got {activation!r}")
    return FUSED[activation]


def product(a, b, bint transpose_b=False, bint packed=False):
    """Matrix product ``A op(B)`` by the loops of this file.

    Parameters
    ----------
    a : array-like of shape (m, k)
        Cast to float32.
    b : array-like of shape (k, n), or (n, k) with ``transpose_b``
        Cast to float32.
    transpose_b : bool, default=False
        Whether B is transposed.
    packed : bool, default=False
        Whether B is packed as a whole before the product, and not panel by panel during the
        product. A packed B can serve many products.

    Returns
    -------
    c : ndarray of shape (m, n), float32

    Raises
    ------
    ValueError
        If shapes do not fit, an axis is empty, or the processor has no loops.
    """
    a = _as_matrix("a", a)
    b = _as_matrix("b", b, *((a.shape[1], None) if transpose_b else (None, a.shape[1])))
    n = b.shape[0] if transpose_b else b.shape[1]
    c = np.zeros((a.shape[0], n), np.float32)
    # This refuses a processor without loops, before the pointers to the loops are used.
    ld = _padded(n)
    buffer = np.empty(a.shape[1] * max(ld, LOOPS.panel_width), np.float32)
    _product(c, a, b, buffer, transpose_b, packed)
    return c


def _product(
    float[:, ::1] c, const float[:, ::1] a, const float[:, ::1] b, float[::1] buffer,
    bint transposed, bint packed,
):
    cdef long m = a.shape[0], n = c.shape[1], k = a.shape[1]
    cdef Epilogue e
    e.kind, e.c_row, e.n = STORED, n, n
    with nogil:
        if packed:
            LOOPS.pack(&buffer[0], &b[0, 0], b.shape[1], k, n, transposed)
            LOOPS.product_packed(&c[0, 0], &a[0, 0], k, &buffer[0], m, n, k, &e)
        else:
            LOOPS.product(&c[0, 0], &a[0, 0], k, &b[0, 0], b.shape[1], transposed, &buffer[0], m,
                          n, k, &e)


def forward(x, weights, gamma, beta, activation, double epsilon=1e-5):
    """A layer with batch norm, normalized by the statistics of the batch.

    Parameters
    ----------
    x : array-like of shape (n, n_in)
        The batch, n >= 2. All operands are cast to float32.
    weights : array-like of shape (n_in, d)
    gamma, beta : array-like of shape (d,)
        Scale and shift of the normalized numbers.
    activation : {"identity", "relu", "silu"}
        Applied to the normalized numbers.
    epsilon : float, default=1e-5
        Added to the variance.

    Returns
    -------
    y : ndarray of shape (n, d), float32
    z : ndarray of shape (n, d), float32
        The product ``x @ weights``.
    side : ndarray of shape (n, d), float32
        The values of the activation that the backward pass needs: for silu the derivatives, for
        relu `y`.
    batch_mean, batch_var, batch_invstd : ndarray of shape (d,), float64
        As from ``batchnorm.forward``.

    Raises
    ------
    ValueError
        If shapes do not fit, there is one row, the activation is not fused, or the processor has
        no loops.
    """
    check_at_least_zero("epsilon", epsilon)
    x = _as_matrix("x", x)
    weights = _as_matrix("weights", weights, rows=x.shape[1])
    if x.shape[0] < 2:
        raise ValueError("a batch of 1 row has no variance to normalize by")
    n, d = x.shape[0], weights.shape[1]
    gamma, beta = _as_vector("gamma", gamma, d), _as_vector("beta", beta, d)
    code = _code(activation)
    ld = _padded(d)
    y, side = np.empty((n, d), np.float32), np.zeros((n, ld), np.float32)
    z = np.empty((n, ld), np.float32)
    mean, var, invstd = np.empty(d), np.empty(d), np.empty(d)
    scratch = np.empty((COLUMN_ARRAYS + MOMENT_SCRATCH) * ld)
    buffer = np.empty(x.shape[1] * LOOPS.panel_width, np.float32)
    _forward(y, z, side, mean, var, invstd, scratch, buffer, x, weights, gamma, beta, code, epsilon)
    return y, z[:, :d].copy(), y if activation == "relu" else side[:, :d].copy(), mean, var, invstd


def _forward(
    float[:, ::1] y, float[:, ::1] z, float[:, ::1] side, double[::1] mean, double[::1] var,
    double[::1] invstd, double[::1] scratch, float[::1] buffer, const float[:, ::1] x,
    const float[:, ::1] weights, const float[::1] gamma, const float[::1] beta, int activation,
    double epsilon,
):
    cdef long n = x.shape[0], n_in = x.shape[1], d = y.shape[1], ld = z.shape[1]
    cdef LayerColumns columns = layer_columns(&scratch[0], ld)
    cdef Epilogue e
    e.kind, e.c_row, e.n = MOMENTS, ld, ld
    e.first, e.second, e.shift = columns.first, columns.second, columns.hi
    with nogil:
        layer_clear_sums(&columns, ld)
        LOOPS.product(&z[0, 0], &x[0, 0], n_in, &weights[0, 0], d, False, &buffer[0], n, d, n_in,
                      &e)
        layer_moments(&mean[0], &var[0], &scratch[COLUMN_ARRAYS * ld], &columns, &z[0, 0], n, d,
                      ld)
        inverse_std(&invstd[0], &var[0], d, epsilon)
        layer_set_norm(&columns, &mean[0], &invstd[0], &gamma[0], &beta[0], d, ld)
        LOOPS.activated(activation, &y[0, 0], d, &side[0, 0], &z[0, 0], columns.hi, columns.scale,
                        columns.shift, n, d)


def linear_forward(x, weights, bias, activation):
    """A layer without batch norm: ``y = f(x @ weights + bias)``.

    Parameters
    ----------
    x : array-like of shape (n, n_in)
        The batch. All operands are cast to float32.
    weights : array-like of shape (n_in, d)
    bias : array-like of shape (d,)
    activation : {"identity", "relu", "silu"}

    Returns
    -------
    y, side : ndarray of shape (n, d), float32
        As from ``forward``.

    Raises
    ------
    ValueError
        If shapes do not fit, the activation is not fused, or the processor has no loops.
    """
    z = product(x, weights)
    n, d = z.shape
    bias = _as_vector("bias", bias, d)
    code = _code(activation)
    y, side = np.empty((n, d), np.float32), np.zeros((n, _padded(d)), np.float32)
    _linear_forward(y, side, _with_padding(z), np.empty(COLUMN_ARRAYS * _padded(d)), bias, code)
    return y, y if activation == "relu" else side[:, :d].copy()


def _linear_forward(
    float[:, ::1] y, float[:, ::1] side, const float[:, ::1] z, double[::1] scratch,
    const float[::1] bias, int activation,
):
    cdef long n = y.shape[0], d = y.shape[1], ld = z.shape[1]
    cdef LayerColumns columns = layer_columns(&scratch[0], ld)
    with nogil:
        layer_set_bias(&columns, &bias[0], d, ld)
        LOOPS.activated(activation, &y[0, 0], d, &side[0, 0], &z[0, 0], columns.hi, columns.scale,
                        columns.shift, n, d)


def activation_gradient(dy, z, side, batch_mean, activation, weights=None):
    """Gradient behind the activation of a layer, with the sums for its batch norm.

    Parameters
    ----------
    dy : array-like of shape (n, d), or (n, d_above) with ``weights``
        Gradient of the loss with respect to the output of the layer. If ``weights`` are given, with
        respect to the product of the layer above.
    z, side : array-like of shape (n, d)
        As from ``forward``.
    batch_mean : array-like of shape (d,)
        Rounded to float32 and subtracted from z.
    activation : {"identity", "relu", "silu"}
    weights : array-like of shape (d, d_above), default=None
        Weights of the layer above. The gradient of the output is then ``dy @ weights.T``, and is
        never written to memory.

    Returns
    -------
    g : ndarray of shape (n, d), float32
        The gradient times the derivative of the activation.
    sum_g, sum_g_z : ndarray of shape (d,), float64
        Sums over the rows of g and of ``g * (z - batch_mean)``.

    Raises
    ------
    ValueError
        If shapes do not fit, the activation is not fused, or the processor has no loops.
    """
    z = _as_matrix("z", z)
    n, d = z.shape
    side = _as_matrix("side", side, d, n)
    hi = _as_vector("batch_mean", batch_mean, d)
    code = _code(activation)
    ld = _padded(d)
    g, sums, shift = np.empty((n, ld), np.float32), np.zeros((2, ld)), np.zeros(ld, np.float32)
    shift[:d] = hi
    if weights is not None:
        weights = _as_matrix("weights", weights, rows=d)
        dy = _as_matrix("dy", dy, weights.shape[1], n)
        buffer = np.empty(weights.shape[1] * LOOPS.panel_width, np.float32)
    else:
        dy = _as_matrix("dy", dy, d, n)
        buffer = None
    _activation_gradient(g, sums, dy, _with_padding(z), _with_padding(side), shift, weights, buffer,
                         d, code)
    return g[:, :d].copy(), sums[0, :d].copy(), sums[1, :d].copy()


def _activation_gradient(
    float[:, ::1] g, double[:, ::1] sums, const float[:, ::1] dy, const float[:, ::1] z,
    const float[:, ::1] side, float[::1] shift, const float[:, ::1] weights, float[::1] buffer,
    long d, int activation,
):
    cdef long n = g.shape[0], ld = g.shape[1], d_above = dy.shape[1]
    cdef Epilogue e
    e.kind, e.activation, e.c_row, e.n = GRADIENT, activation, ld, ld
    e.first, e.second, e.shift = &sums[0, 0], &sums[1, 0], &shift[0]
    e.side, e.side_row, e.z = &side[0, 0], ld, &z[0, 0]
    if weights is None:
        LOOPS.gradient_sums(&g[0, 0], &dy[0, 0], d_above, &e, n, d)
    else:
        LOOPS.product(&g[0, 0], &dy[0, 0], d_above, &weights[0, 0], d_above, True, &buffer[0], n,
                      d, d_above, &e)


def data_gradient(g, z, sum_g, sum_g_z, gamma, batch_mean, batch_invstd, share=None):
    """Gradient of z through the batch norm, from the results of ``activation_gradient``.

    Parameters
    ----------
    g, z : array-like of shape (n, d)
    sum_g, sum_g_z : array-like of shape (d,)
        The sums of ``activation_gradient``.
    gamma : array-like of shape (d,)
    batch_mean, batch_invstd : array-like of shape (d,)
        As from ``forward``.
    share : array-like of shape (n,), default=None
        Share of each row in the statistics. ``None``: 1 / n.

    Returns
    -------
    dz : ndarray of shape (n, d), float32
    dgamma, dbeta : ndarray of shape (d,), float64

    Raises
    ------
    ValueError
        If shapes do not fit, or the processor has no loops.
    """
    z = _as_matrix("z", z)
    n, d = z.shape
    g = _as_matrix("g", g, d, n)
    columns = [as_real("a vector of columns", column, np.float64)
               for column in (sum_g, sum_g_z, batch_mean, batch_invstd)]
    for column in columns:
        if column.shape != (d,):
            raise ValueError(f"expected shape {(d,)} for {d} columns, got {column.shape}")
    gamma = _as_vector("gamma", gamma, d)
    if share is not None:
        share = _as_vector("share", share, n)
    dz, scratch = _with_padding(g), np.zeros((COLUMN_ARRAYS + 2) * _padded(d))
    sums = np.empty((2, d))
    _data_gradient(dz, sums, scratch, _with_padding(z), *columns, gamma, share)
    return dz[:, :d].copy(), sums[1], sums[0]


def _data_gradient(
    float[:, ::1] dz, double[:, ::1] sums, double[::1] scratch, const float[:, ::1] z,
    const double[::1] sum_g, const double[::1] sum_g_z, const double[::1] mean,
    const double[::1] invstd, const float[::1] gamma, const float[::1] share,
):
    cdef long n = dz.shape[0], ld = dz.shape[1], d = gamma.shape[0], j
    cdef LayerColumns columns = layer_columns(&scratch[0], ld)
    cdef const float* shares = NULL
    if share is not None:
        shares = &share[0]
    with nogil:
        for j in range(d):
            columns.first[j], columns.second[j] = sum_g[j], sum_g_z[j]
            columns.hi[j] = <float> mean[j]
        layer_gradient_sums(&sums[0, 0], &sums[1, 0], &columns, &mean[0], &invstd[0], d)
        layer_set_gradient(&columns, &sums[0, 0], &sums[1, 0], &mean[0], &invstd[0], &gamma[0],
                           1.0 / n if shares == NULL else 1.0, d, ld)
        LOOPS.data_gradient(&dz[0, 0], &z[0, 0], columns.hi, columns.scale, columns.constant,
                            columns.linear, shares, n, ld)


def weight_gradient(x, dz):
    """Gradient of the weights of a layer: ``x.T @ dz``.

    Parameters
    ----------
    x : array-like of shape (n, n_in)
        Cast to float32.
    dz : array-like of shape (n, d)
        Cast to float32.

    Returns
    -------
    dweights : ndarray of shape (n_in, d), float32

    Raises
    ------
    ValueError
        If shapes do not fit, an axis is empty, or the processor has no loops.
    """
    x = _as_matrix("x", x)
    dz = _as_matrix("dz", dz, rows=x.shape[0])
    dweights = np.zeros((x.shape[1], dz.shape[1]), np.float32)
    _weight_gradient(dweights, x, _with_padding(dz))
    return dweights


def _weight_gradient(float[:, ::1] dweights, const float[:, ::1] x, const float[:, ::1] dz):
    with nogil:
        LOOPS.weight_gradient(&dweights[0, 0], &x[0, 0], x.shape[1], &dz[0, 0], dz.shape[1],
                              x.shape[0], x.shape[1], dweights.shape[1], True)
