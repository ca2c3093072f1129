"""Recurrent cells, one time step: from pre-activations to the next state, and back.

A long short-term memory has the gates i, f, g, o, in the order of PyTorch. With s the logistic
function,

    c = s(f) c_previous + s(i) tanh(g),    h = s(o) tanh(N(c))

where N is a batch normalization or the identity. Separate functions compute the state and the
output, because N stands between them.

A gated recurrent unit has the gates r, z, n. The pre-activation of n is a + s(r) u, where u is the
recurrent part:

    h = (1 - s(z)) n + s(z) h_previous,    n = tanh(a + s(r) u)

The plain cell, h = tanh(z), is the activation tanh of ``skbn.kernels.activations``.

Shapes: ``gates`` (n, 4 d) or (n, 3 d), with the gates of a row side by side; everything else (n,
d). A forward pass replaces the pre-activations in ``gates`` by the gates. A backward pass replaces
the gates by the gradients of the pre-activations. So the gates of a time step need one buffer.

References
----------
Hochreiter and Schmidhuber (1997), "Long short-term memory"; Gers, Schmidhuber and Cummins
(2000), "Learning to forget" (the gate f).
Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder" (the GRU; r is
applied behind the recurrent product, as in cuDNN and PyTorch).
Cooijmans et al. (2017), "Recurrent batch normalization", equations 6 to 8 (where N stands).
"""

from cython cimport floating

from skbn.kernels.exponential cimport hyperbolic_tangent, logistic
from skbn.kernels.pointers cimport matrix_pointer

import numpy as np

from skbn.kernels._operands import as_floating, as_real

# Name in the estimators' parameters -> code in a plan; how many gates a unit has.
CELLS = {"tanh": TANH_CELL, "lstm": LSTM_CELL, "gru": GRU_CELL}
GATES = {"tanh": 1, "lstm": 4, "gru": 3}


cdef extern from *:
    """
    #include "simd.h"
    #define LSTM(T) (T*, T*, const T*, Py_ssize_t, Py_ssize_t)
    #define GRU_FORWARD(T) (T*, T*, const T*, const T*, Py_ssize_t, Py_ssize_t)
    #define GRU_BACKWARD(T) (T*, T*, T*, const T*, Py_ssize_t, Py_ssize_t)
    SKBN_CLONE_BOTH(void, skbn_lstm_forward, LSTM)
    SKBN_CLONE_BOTH(void, skbn_lstm_output_forward, LSTM)
    SKBN_CLONE_BOTH(void, skbn_lstm_output_backward, LSTM)
    SKBN_CLONE_BOTH(void, skbn_lstm_backward, LSTM)
    SKBN_CLONE_BOTH(void, skbn_gru_forward, GRU_FORWARD)
    SKBN_CLONE_BOTH(void, skbn_gru_backward, GRU_BACKWARD)
    """


cdef void lstm_forward "skbn_lstm_forward"(
    floating* gates, floating* c, const floating* c_previous, Py_ssize_t n, Py_ssize_t d,
) noexcept nogil:
    """gates = s(i), s(f), tanh(g), s(o); c = f c_previous + i g.

    `c_previous` may be NULL, which is 0, or c itself.
    """
    cdef Py_ssize_t i, j
    cdef floating* row
    cdef floating* state
    for i in range(n):
        row = gates + i * 4 * d
        for j in range(2 * d):
            row[j] = logistic(row[j])
        for j in range(2 * d, 3 * d):
            row[j] = hyperbolic_tangent(row[j])
        for j in range(3 * d, 4 * d):
            row[j] = logistic(row[j])
        state = c + i * d
        if c_previous == NULL:
            for j in range(d):
                state[j] = row[j] * row[2 * d + j]
        else:
            for j in range(d):
                state[j] = row[d + j] * c_previous[i * d + j] + row[j] * row[2 * d + j]


cdef void lstm_output_forward "skbn_lstm_output_forward"(
    floating* h, floating* tanh_c, const floating* gates, Py_ssize_t n, Py_ssize_t d,
) noexcept nogil:
    """tanh_c holds N(c) on entry, and tanh(N(c)) on return; h = o tanh_c."""
    cdef Py_ssize_t i, j
    cdef const floating* o
    for i in range(n * d):
        tanh_c[i] = hyperbolic_tangent(tanh_c[i])
    for i in range(n):
        o = gates + i * 4 * d + 3 * d
        for j in range(d):
            h[i * d + j] = o[j] * tanh_c[i * d + j]


cdef void lstm_output_backward "skbn_lstm_output_backward"(
    floating* dc, floating* gates, const floating* dh, Py_ssize_t n, Py_ssize_t d,
) noexcept nogil:
    """From dh to the gradients of N(c) and of o's pre-activation.

    `dc` holds tanh_c on entry, and dN(c) = dh o (1 - tanh_c^2) on return. In `gates`, dz_o = dh
    tanh_c o (1 - o) replaces o.
    """
    cdef Py_ssize_t i, j
    cdef floating tangent, gate
    cdef floating* o
    cdef floating* row
    for i in range(n):
        o = gates + i * 4 * d + 3 * d
        row = dc + i * d
        for j in range(d):
            tangent = row[j]
            gate = o[j]
            row[j] = dh[i * d + j] * gate * (1 - tangent * tangent)
            o[j] = dh[i * d + j] * tangent * gate * (1 - gate)


cdef void lstm_backward "skbn_lstm_backward"(
    floating* dc, floating* gates, const floating* c_previous, Py_ssize_t n, Py_ssize_t d,
) noexcept nogil:
    """From dc to dc_previous = dc f, in place, and the gradients of the pre-activations.

    dz_i = dc g i (1 - i), dz_f = dc c_previous f (1 - f) and dz_g = dc i (1 - g^2) replace the
    gates. `c_previous` may be NULL, which is 0.
    """
    cdef Py_ssize_t k, j
    cdef floating i, f, g, change
    cdef floating* row
    cdef floating* state
    for k in range(n):
        row = gates + k * 4 * d
        state = dc + k * d
        if c_previous == NULL:
            for j in range(d):
                row[d + j] = 0
        else:
            for j in range(d):
                f = row[d + j]
                change = state[j]
                state[j] = change * f
                row[d + j] = change * c_previous[k * d + j] * f * (1 - f)
                i = row[j]
                g = row[2 * d + j]
                row[j] = change * g * i * (1 - i)
                row[2 * d + j] = change * i * (1 - g * g)
            continue
        for j in range(d):
            i = row[j]
            g = row[2 * d + j]
            row[j] = state[j] * g * i * (1 - i)
            row[2 * d + j] = state[j] * i * (1 - g * g)


cdef void gru_forward "skbn_gru_forward"(
    floating* h, floating* gates, const floating* u, const floating* h_previous,
    Py_ssize_t n, Py_ssize_t d,
) noexcept nogil:
    """gates = s(r), s(z), tanh(a + r u); h = (1 - z) n + z h_previous.

    `h_previous` may be NULL, which is 0, or h itself.
    """
    cdef Py_ssize_t i, j
    cdef floating* row
    cdef floating* state
    cdef const floating* recurrent
    for i in range(n):
        row = gates + i * 3 * d
        recurrent = u + i * d
        state = h + i * d
        for j in range(2 * d):
            row[j] = logistic(row[j])
        for j in range(d):
            row[2 * d + j] = hyperbolic_tangent(row[2 * d + j] + row[j] * recurrent[j])
        if h_previous == NULL:
            for j in range(d):
                state[j] = (1 - row[d + j]) * row[2 * d + j]
        else:
            for j in range(d):
                state[j] = ((1 - row[d + j]) * row[2 * d + j]
                            + row[d + j] * h_previous[i * d + j])


cdef void gru_backward "skbn_gru_backward"(
    floating* dh, floating* gates, floating* u, const floating* h_previous,
    Py_ssize_t n, Py_ssize_t d,
) noexcept nogil:
    """From dh to dh z, the direct part of dh_previous, and to the gradients of the inputs.

    With da = dh (1 - z) (1 - n^2), the gradients dz_r = da u r (1 - r), dz_z = dh (h_previous - n)
    z (1 - z) and **du = da r** replace r, z and n in `gates`. So `gates` holds the gradients of the
    recurrent parts of r, z and n. The gradient da replaces u. `h_previous` may be NULL, which is 0.
    """
    cdef Py_ssize_t i, j
    cdef floating r, z, candidate, previous, da
    cdef floating* row
    cdef floating* recurrent
    cdef floating* state
    for i in range(n):
        row = gates + i * 3 * d
        recurrent = u + i * d
        state = dh + i * d
        for j in range(d):
            r = row[j]
            z = row[d + j]
            candidate = row[2 * d + j]
            previous = 0 if h_previous == NULL else h_previous[i * d + j]
            da = state[j] * (1 - z) * (1 - candidate * candidate)
            row[j] = da * recurrent[j] * r * (1 - r)
            row[d + j] = state[j] * (previous - candidate) * z * (1 - z)
            row[2 * d + j] = da * r
            recurrent[j] = da
            state[j] = state[j] * z


def _as_step(name, gates, n_gates, optional=(), **states):
    # Copies of one dtype, because the kernels work in place. An optional operand may be None.
    gates = np.array(as_floating(name, gates), order="C")
    if gates.ndim != 2 or gates.shape[1] % n_gates or 0 in gates.shape:
        raise ValueError(f"{name} must have shape (n, {n_gates} d), got {gates.shape}")
    shape = gates.shape[0], gates.shape[1] // n_gates
    results = [gates]
    for state_name, state in states.items():
        if state is not None or state_name not in optional:
            state = np.array(as_real(state_name, state, gates.dtype))
            if state.shape != shape:
                raise ValueError(f"{state_name} must have shape {shape}, got {state.shape}")
        results.append(state)
    return results


def lstm(z, c_previous=None):
    """The gates and the next state of a long short-term memory.

    Parameters
    ----------
    z : ndarray of shape (n, 4 * d)
        Pre-activations of i, f, g, o; float32 or float64.
    c_previous : array-like of shape (n, d), default=None
        The state before. ``None``: 0.

    Returns
    -------
    gates : ndarray of shape (n, 4 * d)
    c : ndarray of shape (n, d)

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.
    """
    gates, c_previous = _as_step("z", z, 4, ["c_previous"], c_previous=c_previous)
    c = np.empty((gates.shape[0], gates.shape[1] // 4), gates.dtype)
    _lstm(gates, c, c_previous)
    return gates, c


def _lstm(floating[:, ::1] gates, floating[:, ::1] c, const floating[:, ::1] c_previous):
    cdef const floating* previous = matrix_pointer(c_previous)
    with nogil:
        lstm_forward(&gates[0, 0], &c[0, 0], previous, c.shape[0], c.shape[1])


def lstm_output(gates, c):
    """The output of a long short-term memory.

    Parameters
    ----------
    gates : ndarray of shape (n, 4 * d)
        As from ``lstm``.
    c : array-like of shape (n, d)
        The state of the memory, normalized or not.

    Returns
    -------
    h : ndarray of shape (n, d)
    tanh_c : ndarray of shape (n, d)

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.
    """
    gates, tanh_c = _as_step("gates", gates, 4, c=c)
    h = np.empty_like(tanh_c)
    _lstm_output(h, tanh_c, gates)
    return h, tanh_c


def _lstm_output(
    floating[:, ::1] h, floating[:, ::1] tanh_c, const floating[:, ::1] gates,
):
    with nogil:
        lstm_output_forward(&h[0, 0], &tanh_c[0, 0], &gates[0, 0], h.shape[0], h.shape[1])


def lstm_output_gradient(dh, gates, tanh_c):
    """Gradient of ``lstm_output``.

    Parameters
    ----------
    dh : array-like of shape (n, d)
        Gradient of the loss with respect to `h`.
    gates : ndarray of shape (n, 4 * d)
        As given to ``lstm_output``.
    tanh_c : array-like of shape (n, d)
        The `tanh_c` that ``lstm_output`` returned.

    Returns
    -------
    dc : ndarray of shape (n, d)
        Gradient with respect to the state that was given.
    gates : ndarray of shape (n, 4 * d)
        The gates, with the gradient of the pre-activation of o in the place of o, as
        ``lstm_gradient`` takes them.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.
    """
    gates, dh, dc = _as_step("gates", gates, 4, dh=dh, tanh_c=tanh_c)
    _lstm_output_gradient(dc, gates, dh)
    return dc, gates


def _lstm_output_gradient(
    floating[:, ::1] dc, floating[:, ::1] gates, const floating[:, ::1] dh,
):
    with nogil:
        lstm_output_backward(&dc[0, 0], &gates[0, 0], &dh[0, 0], dh.shape[0], dh.shape[1])


def lstm_gradient(dc, gates, c_previous=None):
    """Gradient of ``lstm``.

    Parameters
    ----------
    dc : array-like of shape (n, d)
        Gradient of the loss with respect to `c`: the part of the output of this step plus the part
        of the next step.
    gates : ndarray of shape (n, 4 * d)
        The `gates` that ``lstm_output_gradient`` returned.
    c_previous : array-like of shape (n, d), default=None
        As given to ``lstm``.

    Returns
    -------
    dz : ndarray of shape (n, 4 * d)
    dc_previous : ndarray of shape (n, d)
        `dc` itself if there is no state before.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.
    """
    gates, dc, c_previous = _as_step("gates", gates, 4, ["c_previous"],
                                     dc=dc, c_previous=c_previous)
    _lstm_gradient(dc, gates, c_previous)
    return gates, dc


def _lstm_gradient(
    floating[:, ::1] dc, floating[:, ::1] gates, const floating[:, ::1] c_previous,
):
    cdef const floating* previous = matrix_pointer(c_previous)
    with nogil:
        lstm_backward(&dc[0, 0], &gates[0, 0], previous, dc.shape[0], dc.shape[1])


def gru(z, u, h_previous=None):
    """The gates and the next state of a gated recurrent unit.

    Parameters
    ----------
    z : ndarray of shape (n, 3 * d)
        Pre-activations of r and z, and the input's part of the pre-activation of n; float32 or
        float64.
    u : array-like of shape (n, d)
        The recurrent part of the pre-activation of n.
    h_previous : array-like of shape (n, d), default=None
        The state before. ``None``: 0.

    Returns
    -------
    gates : ndarray of shape (n, 3 * d)
    h : ndarray of shape (n, d)

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.
    """
    gates, u, h_previous = _as_step("z", z, 3, ["h_previous"], u=u, h_previous=h_previous)
    h = np.empty_like(u)
    _gru(h, gates, u, h_previous)
    return gates, h


def _gru(
    floating[:, ::1] h, floating[:, ::1] gates, const floating[:, ::1] u,
    const floating[:, ::1] h_previous,
):
    cdef const floating* previous = matrix_pointer(h_previous)
    with nogil:
        gru_forward(&h[0, 0], &gates[0, 0], &u[0, 0], previous, h.shape[0], h.shape[1])


def gru_gradient(dh, gates, u, h_previous=None):
    """Gradient of ``gru``.

    Parameters
    ----------
    dh : array-like of shape (n, d)
        Gradient of the loss with respect to `h`.
    gates : ndarray of shape (n, 3 * d)
        The `gates` that ``gru`` returned.
    u, h_previous : array-like of shape (n, d)
        As given to ``gru``.

    Returns
    -------
    dz : ndarray of shape (n, 3 * d)
        Gradients of the pre-activations of r and z, and the gradient of `u` in the place of n.
    da : ndarray of shape (n, d)
        Gradient of the input's part of the pre-activation of n.
    dh_previous : ndarray of shape (n, d)
        The direct part of the gradient, without the parts that come through `z` and `u`.

    Raises
    ------
    ValueError
        If shapes or dtypes do not fit.
    """
    gates, dh, u, h_previous = _as_step("gates", gates, 3, ["h_previous"],
                                        dh=dh, u=u, h_previous=h_previous)
    _gru_gradient(dh, gates, u, h_previous)
    return gates, u, dh


def _gru_gradient(
    floating[:, ::1] dh, floating[:, ::1] gates, floating[:, ::1] u,
    const floating[:, ::1] h_previous,
):
    cdef const floating* previous = matrix_pointer(h_previous)
    with nogil:
        gru_backward(&dh[0, 0], &gates[0, 0], &u[0, 0], previous, dh.shape[0], dh.shape[1])
