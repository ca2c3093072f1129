"""Recurrent cells that normalize the parts of their pre-activations, in float32.

A cell of ``skbn.kernels.cells`` takes pre-activations. A cell of this file takes two parts of the
pre-activations, and normalizes both parts itself (as in ``normalized_sum``). The part a comes from
the inputs, and the part u comes from the state before:

    z = N_a(a) + N_u(u),    N(x) = gamma (x - mean) invstd + beta.

In the backward pass of a time step, some rows have a next step. The next step has left its part of
the gradient of these rows, and the backward pass adds this part. All of this takes one pass over
the gates. The loops are in cell_loops.h, for processors that have loops of fused layers
(``skbn.kernels.layer``). The array functions of this file exist so that tests can call the loops.

The file also has the sums of the batch norms of the parts. These are sums of deviations from the
first row: in float32 over at most 16 rows, and in float64 over all rows. Their error is the error
of the moments in ``layer``.
"""

from skbn.kernels.layer cimport (
    COLUMN_ARRAYS, CellPart, LayerColumns, layer_columns, layer_gradient_sums, layer_loops,
    layer_moments, layer_set_gradient, layer_set_norm,
)
from skbn.kernels.moments cimport MOMENT_SCRATCH
from skbn.kernels.pointers cimport matrix_pointer

import numpy as np

from skbn.kernels._operands import as_real


def _vector(x, d, dtype):
    x = np.array(as_real("norm", x, dtype))
    if x.shape != (d,):
        raise ValueError(f"a vector of shape {x.shape} does not fit {d} columns")
    return x


cdef class _Part:
    # A part of pre-activations with its normalization, and the memory of both.
    cdef CellPart part
    cdef object arrays

    def __init__(self, x, norm):
        cdef const float[:, ::1] rows
        cdef double[::1] memory
        cdef const double[::1] mean, invstd
        cdef const float[::1] gamma, beta
        cdef LayerColumns columns
        self.part.x = self.part.hi = self.part.scale = self.part.shift = NULL
        if x is None:
            return
        rows = x
        self.part.x = &rows[0, 0]
        self.arrays = [x]
        if norm is None:
            return
        d = x.shape[1]
        mean = _vector(norm[0], d, np.float64)
        invstd = _vector(norm[1], d, np.float64)
        gamma = _vector(norm[2], d, np.float32)
        beta = _vector(norm[3], d, np.float32)
        memory = np.empty(COLUMN_ARRAYS * d)
        columns = layer_columns(&memory[0], d)
        layer_set_norm(&columns, &mean[0], &invstd[0], &gamma[0], &beta[0], d, d)
        self.part.hi, self.part.scale, self.part.shift = columns.hi, columns.scale, columns.shift
        self.arrays.append(memory)


def _matrices(n_gates, n_required, **matrices):
    # C-ordered copies in float32, which kernels may change. The first n_required matrices must not
    # be None. A matrix whose name begins with "gates" or "part" has the columns of all gates. A
    # matrix whose name ends in "later" may have the first rows only.
    if layer_loops() == NULL:
        raise ValueError("there are no loops of fused cells for this processor")
    results, shape = [], None
    for name, x in matrices.items():
        if x is None and len(results) < n_required:
            raise ValueError(f"{name} must be a matrix, got None")
        if x is not None:
            x = np.array(as_real(name, x, np.float32), order="C")
            gates = n_gates if name.startswith(("gates", "part")) else 1
            if x.ndim != 2 or x.size == 0 or x.shape[1] % gates:
                raise ValueError(f"{name} must have shape (n, {gates} d), got {x.shape}")
            found = x.shape[0], x.shape[1] // gates
            shape = found if shape is None else shape
            if found[1] != shape[1] or not (
                found[0] == shape[0] or name.endswith("later") and found[0] < shape[0]
            ):
                raise ValueError(f"{name} has shape {x.shape}, which does not fit {shape}")
        results.append(x)
    return results


def lstm(part_a, part_u=None, c_previous=None, a_norm=None, u_norm=None):
    """The gates and the next state of a long short-term memory.

    Parameters
    ----------
    part_a : array-like of shape (n, 4 * d)
        The inputs' part of the pre-activations of i, f, g, o; all operands are cast to float32.
    part_u : array-like of shape (n, 4 * d), default=None
        The state's part. ``None``: 0.
    c_previous : array-like of shape (n, d), default=None
        The state before. ``None``: 0.
    a_norm, u_norm : tuple of four arrays of shape (4 * d,), default=None
        Mean, reciprocal standard deviation, gamma and beta of a part. ``None``: the part is not
        normalized.

    Returns
    -------
    gates : ndarray of shape (n, 4 * d), float32
    c : ndarray of shape (n, d), float32

    Raises
    ------
    ValueError
        If shapes do not fit, or the processor has no loops.
    """
    part_a, part_u, c_previous = _matrices(
        4, 1, part_a=part_a, part_u=part_u, c_previous=c_previous
    )
    cdef _Part a = _Part(part_a, a_norm)
    cdef _Part u = _Part(part_u, u_norm)
    gates = np.empty_like(part_a)
    c = np.empty((len(gates), gates.shape[1] // 4), np.float32)
    cdef float[:, ::1] gates_view = gates, c_view = c
    cdef const float[:, ::1] previous_view = c_previous
    layer_loops().lstm_forward(&gates_view[0, 0], &c_view[0, 0], matrix_pointer(previous_view),
                               &a.part, &u.part, c.shape[0], c.shape[1])
    return gates, c


def lstm_output(gates, c, norm=None):
    """The output of a long short-term memory.

    Parameters
    ----------
    gates : array-like of shape (n, 4 * d)
        As from ``lstm``.
    c : array-like of shape (n, d)
        The state of the memory.
    norm : tuple of four arrays of shape (d,), default=None
        The normalization of the state, as in ``lstm``.

    Returns
    -------
    h, tanh_c : ndarray of shape (n, d), float32

    Raises
    ------
    ValueError
        If shapes do not fit, or the processor has no loops.
    """
    gates, c = _matrices(4, 2, gates=gates, c=c)
    cdef _Part part = _Part(c, norm)
    h, tanh_c = np.empty_like(c), np.empty_like(c)
    cdef float[:, ::1] h_view = h, tanh_view = tanh_c
    cdef const float[:, ::1] gates_view = gates
    layer_loops().lstm_output(&h_view[0, 0], &tanh_view[0, 0], &gates_view[0, 0], &part.part,
                              c.shape[0], c.shape[1])
    return h, tanh_c


def gru(part_a, part_u=None, bias=0.0, h_previous=None, a_norm=None, u_norm=None):
    """The gates and the next state of a gated recurrent unit.

    Parameters
    ----------
    part_a : array-like of shape (n, 3 * d)
        The inputs' part of the pre-activations of r, z, n.
    part_u : array-like of shape (n, 3 * d), default=None
        The state's part. ``None``: 0.
    bias : array-like of shape (d,), or float, default=0.0
        Added to the state's part of n.
    h_previous : array-like of shape (n, d), default=None
        The state before. ``None``: 0.
    a_norm, u_norm : tuple of four arrays of shape (3 * d,), default=None
        As in ``lstm``.

    Returns
    -------
    gates : ndarray of shape (n, 3 * d), float32
    candidate : ndarray of shape (n, d), float32
        The state's part of n, as the backward pass needs it.
    h : ndarray of shape (n, d), float32

    Raises
    ------
    ValueError
        If shapes do not fit, or the processor has no loops.
    """
    part_a, part_u, h_previous = _matrices(
        3, 1, part_a=part_a, part_u=part_u, h_previous=h_previous
    )
    cdef _Part a = _Part(part_a, a_norm)
    cdef _Part u = _Part(part_u, u_norm)
    gates = np.empty_like(part_a)
    d = gates.shape[1] // 3
    candidate, h = np.empty((len(gates), d), np.float32), np.empty((len(gates), d), np.float32)
    cdef float[:, ::1] gates_view = gates, candidate_view = candidate, h_view = h
    cdef const float[:, ::1] previous_view = h_previous
    cdef const float[::1] bias_view = _vector(np.broadcast_to(bias, (d,)), d, np.float32)
    layer_loops().gru_forward(&h_view[0, 0], &gates_view[0, 0], &candidate_view[0, 0],
                              matrix_pointer(previous_view), &a.part, &u.part, &bias_view[0],
                              h.shape[0], d)
    return gates, candidate, h


def tanh(part_a, part_u=None, a_norm=None, u_norm=None):
    """The output of a plain cell.

    Parameters
    ----------
    part_a : array-like of shape (n, d)
        The inputs' part of the pre-activations.
    part_u : array-like of shape (n, d), default=None
        The state's part. ``None``: 0.
    a_norm, u_norm : tuple of four arrays of shape (d,), default=None
        As in ``lstm``.

    Returns
    -------
    h : ndarray of shape (n, d), float32

    Raises
    ------
    ValueError
        If shapes do not fit, or the processor has no loops.
    """
    part_a, part_u = _matrices(1, 1, part_a=part_a, part_u=part_u)
    cdef _Part a = _Part(part_a, a_norm)
    cdef _Part u = _Part(part_u, u_norm)
    h, gates = np.empty_like(part_a), np.empty_like(part_a)
    cdef float[:, ::1] h_view = h, gates_view = gates
    layer_loops().tanh_forward(&h_view[0, 0], &gates_view[0, 0], &a.part, &u.part, h.shape[0],
                               h.shape[1])
    return h


cdef Py_ssize_t _n_later(object later):
    return 0 if later is None else len(later)


def lstm_output_gradient(dh, gates, tanh_c, dh_later=None):
    """Gradient of ``lstm_output`` if a batch norm stands between state and output.

    Parameters
    ----------
    dh : array-like of shape (n, d)
        Gradient of the loss with respect to `h`.
    gates : array-like of shape (n, 4 * d)
        As given to ``lstm_output``.
    tanh_c : array-like of shape (n, d)
        The `tanh_c` that ``lstm_output`` returned.
    dh_later : array-like of shape (m, d), m <= n, default=None
        The gradient that the next time step adds to the first rows of `dh`.

    Returns
    -------
    dc : ndarray of shape (n, d), float32
        Gradient with respect to the normalized state.
    gates : ndarray of shape (n, 4 * d), float32
        The gates, with the gradient of the pre-activation of o in the place of o.

    Raises
    ------
    ValueError
        If shapes do not fit, or the processor has no loops.
    """
    dh, gates, dc, dh_later = _matrices(4, 3, dh=dh, gates=gates, tanh_c=tanh_c, dh_later=dh_later)
    cdef float[:, ::1] dc_view = dc, gates_view = gates
    cdef const float[:, ::1] dh_view = dh, later_view = dh_later
    layer_loops().lstm_output_backward(&dc_view[0, 0], &gates_view[0, 0], &dh_view[0, 0],
                                       matrix_pointer(later_view), _n_later(dh_later), dc.shape[0],
                                       dc.shape[1])
    return dc, gates


def lstm_gradient(dc, gates, c_previous=None, dc_later=None, dh=None, dh_later=None):
    """Gradient of ``lstm``, or of ``lstm`` and ``lstm_output`` together.

    Parameters
    ----------
    dc : array-like of shape (n, d)
        Gradient of the loss with respect to `c`; if `dh` is given, the hyperbolic tangent of `c`.
    gates : array-like of shape (n, 4 * d)
        As from ``lstm_output_gradient``; if `dh` is given, as from ``lstm``.
    c_previous : array-like of shape (n, d), default=None
        As given to ``lstm``.
    dc_later, dh_later : array-like of shape (m, d), m <= n, default=None
        The gradients that the next time step adds to the first rows of `dc` and `dh`. Give both, or
        none, or `dc_later` without `dh`.
    dh : array-like of shape (n, d), default=None
        Gradient with respect to the output of a state that is not normalized.

    Returns
    -------
    dz : ndarray of shape (n, 4 * d), float32
    dc_previous : ndarray of shape (n, d), float32
        The gradient of `c` if there is no state before.

    Raises
    ------
    ValueError
        If shapes do not fit, or the processor has no loops.
    """
    dc, gates, c_previous, dc_later, dh, dh_later = _matrices(
        4, 2, dc=dc, gates=gates, c_previous=c_previous, dc_later=dc_later, dh=dh,
        dh_later=dh_later,
    )
    if dh is not None and _n_later(dc_later) != _n_later(dh_later):
        raise ValueError("dc_later and dh_later must have the same rows")
    cdef float[:, ::1] dc_view = dc, gates_view = gates
    cdef const float[:, ::1] previous_view = c_previous, dc_later_view = dc_later
    cdef const float[:, ::1] dh_view = dh, dh_later_view = dh_later
    layer_loops().lstm_backward(&dc_view[0, 0], &gates_view[0, 0], matrix_pointer(previous_view),
                                matrix_pointer(dh_view), matrix_pointer(dh_later_view),
                                matrix_pointer(dc_later_view), _n_later(dc_later), dc.shape[0],
                                dc.shape[1])
    return gates, dc


def gru_gradient(dh, gates, candidate, h_previous=None, dh_later=None):
    """Gradient of ``gru``.

    Parameters
    ----------
    dh : array-like of shape (n, d)
        Gradient of the loss with respect to `h`.
    gates : array-like of shape (n, 3 * d)
    candidate : array-like of shape (n, d)
        As from ``gru``.
    h_previous : array-like of shape (n, d), default=None
        As given to ``gru``.
    dh_later : array-like of shape (m, d), m <= n, default=None
        The gradient that the next time step adds to the first rows of `dh`.

    Returns
    -------
    dz : ndarray of shape (n, 3 * d), float32
        Gradients of the pre-activations of r and z, and the gradient of `candidate` in the place of
        n.
    da : ndarray of shape (n, d), float32
        Gradient of the input's part of the pre-activation of n.
    dh_previous : ndarray of shape (n, d), float32
        The direct part of the gradient, without the gradient that comes through the
        pre-activations.

    Raises
    ------
    ValueError
        If shapes do not fit, or the processor has no loops.
    """
    dh, gates, candidate, h_previous, dh_later = _matrices(
        3, 3, dh=dh, gates=gates, candidate=candidate, h_previous=h_previous, dh_later=dh_later
    )
    cdef float[:, ::1] dh_view = dh, gates_view = gates, candidate_view = candidate
    cdef const float[:, ::1] previous_view = h_previous, later_view = dh_later
    layer_loops().gru_backward(&dh_view[0, 0], &gates_view[0, 0], &candidate_view[0, 0],
                               matrix_pointer(previous_view), matrix_pointer(later_view),
                               _n_later(dh_later), dh.shape[0], dh.shape[1])
    return gates, candidate, dh


def norm_moments(x):
    """Mean and biased variance of the columns of a part.

    Parameters
    ----------
    x : array-like of shape (n, d)

    Returns
    -------
    mean, var : ndarray of shape (d,), float64

    Raises
    ------
    ValueError
        If `x` is not a matrix or is empty, or the processor has no loops.
    """
    x, = _matrices(1, 1, x=x)
    n, d = x.shape
    mean, var = np.empty(d), np.empty(d)
    cdef const float[:, ::1] x_view = x
    cdef double[::1] mean_view = mean, var_view = var
    cdef double[::1] memory = np.empty((COLUMN_ARRAYS + MOMENT_SCRATCH) * d)
    cdef LayerColumns columns = layer_columns(&memory[0], d)
    layer_loops().column_moments(columns.first, columns.second, columns.hi, &x_view[0, 0], n, d)
    layer_moments(&mean_view[0], &var_view[0], &memory[COLUMN_ARRAYS * d], &columns, &x_view[0, 0],
                  n, d, d)
    return mean, var


def norm_gradient(dy, x, mean, invstd, gamma):
    """Gradients of the batch norm of a part.

    Parameters
    ----------
    dy : array-like of shape (n, d)
        Gradient of the loss with respect to the normalized part.
    x : array-like of shape (n, d)
        The part.
    mean, invstd, gamma : array-like of shape (d,)

    Returns
    -------
    dx : ndarray of shape (n, d), float32
    dgamma, dbeta : ndarray of shape (d,), float64

    Raises
    ------
    ValueError
        If shapes do not fit, or the processor has no loops.
    """
    dy, x = _matrices(1, 2, dy=dy, x=x)
    n, d = x.shape
    cdef const double[::1] mean_view = _vector(mean, d, np.float64)
    cdef const double[::1] invstd_view = _vector(invstd, d, np.float64)
    cdef const float[::1] gamma_view = _vector(gamma, d, np.float32)
    dgamma, dbeta = np.empty(d), np.empty(d)
    cdef double[::1] dgamma_view = dgamma, dbeta_view = dbeta
    cdef float[:, ::1] dx = dy
    cdef const float[:, ::1] x_view = x
    cdef double[::1] memory = np.empty(COLUMN_ARRAYS * d)
    cdef LayerColumns columns = layer_columns(&memory[0], d)
    cdef Py_ssize_t j
    for j in range(d):
        columns.hi[j] = <float> mean_view[j]
    layer_loops().column_gradient_sums(columns.first, columns.second, &dx[0, 0], &x_view[0, 0],
                                       columns.hi, n, d)
    layer_gradient_sums(&dbeta_view[0], &dgamma_view[0], &columns, &mean_view[0], &invstd_view[0],
                        d)
    layer_set_gradient(&columns, &dbeta_view[0], &dgamma_view[0], &mean_view[0], &invstd_view[0],
                       &gamma_view[0], 1.0 / n, d, d)
    layer_loops().column_gradient(&dx[0, 0], &dx[0, 0], &x_view[0, 0], columns.hi, columns.scale,
                                  columns.constant, columns.linear, n, d)
    return dy, dgamma, dbeta
