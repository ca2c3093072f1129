"""A recurrent layer, one direction of it: forward, backward and at inference.

In a plan it is an operation of kind RECURRENT with its parts behind it (``Part``): the linear
map of the inputs and that of the state before, and up to three batch norms (Cooijmans et al.
2017, "Recurrent batch normalization", equations 6 to 8; Laurent et al. 2016 have the first
alone):

    a_t = N_x(x_t W_x),  u_t = N_h(h_{t-1} W_h),  z_t = a_t + u_t + b
    LSTM: c_t = s(f) c_{t-1} + s(i) tanh(g),  h_t = s(o) tanh(N_c(c_t))
    GRU:  h_t = (1 - s(z)) n + s(z) h_{t-1},  n = tanh(a^n_t + s(r) (u^n_t + b^n))
    tanh: h_t = tanh(z_t)

with i, f, g, o (r, z, n) the columns of z_t, and h_0 = c_0 = 0. So at the first step u is 0 and
its batch has no variance: N_h gives 0 there, forward and backward. b is the beta of N_x where
there is one; N_h has none, which b makes redundant, but for b^n, which is the GRU's own.

The steps of all sequences are packed (``skbn.kernels.sequences``). A backward direction reads
every sequence from its own end; its steps, and so its statistics, are counted from there.

What the backward pass needs again is kept in the state memory, in columns of packed rows.
At inference nothing is: there the state memory has the rows of one step.

In training the inputs of all steps are one product, and so are the gradients of W_x, W_h and of
the inputs: only the products with h_{t-1} and back are step by step.
"""

from cython cimport floating
from libc.string cimport memcpy, memset

from skbn.kernels.activations cimport TANH, activation_backward, activation_forward
from skbn.kernels.batchnorm cimport batchnorm_combine
from skbn.kernels.blas cimport gemm
from skbn.kernels.cells cimport (
    GRU_CELL, LSTM_CELL, gru_backward, gru_forward, lstm_backward, lstm_forward,
    lstm_output_backward, lstm_output_forward,
)
from skbn.kernels.linear cimport linear_backward, linear_forward
from skbn.kernels.sequences cimport sequences_reverse_step, sequences_write_step
from skbn.network.normalization cimport (
    AFFINE, LATER_DY, norm_backward_step, norm_invstd, norm_mean, norm_shared_backward,
    norm_shared_statistics, norm_statistics,
)
from skbn.network.operation cimport (
    CELL_NORM, INPUT_MAP, INPUT_NORM, NO_PART, RECURRENT, RECURRENT_MAP, RECURRENT_NORM,
)


# An operation with its parts, and where it keeps what, in columns of the state memory.
cdef struct Layer:
    const Operation* input_map
    const Operation* input_norm         # NULL for none, as below
    const Operation* recurrent_map
    const Operation* recurrent_norm
    const Operation* cell_norm
    int cell
    bint reversed
    bint beside                         # another direction has the other columns of y
    Py_ssize_t d                        # units
    Py_ssize_t width                    # of all gates: d times their number
    Py_ssize_t inputs                   # (n_in) of x in the order of this direction, reversed
    Py_ssize_t a                        # (width) x_t W_x
    Py_ssize_t u                        # (width) h_{t-1} W_h; none if it is added to the gates
    Py_ssize_t gates                    # (width); a itself where that is not normalized
    Py_ssize_t c                        # (d) LSTM: c; GRU: the recurrent part of n
    Py_ssize_t tanh_c                   # (d) LSTM
    Py_ssize_t h                        # (d) outputs, where y has two directions
    Py_ssize_t dh                       # (d) their gradient
    Py_ssize_t previous                 # (d) h_{t-1} in the rows of step t
    Py_ssize_t n_columns


cdef Py_ssize_t recurrent_parts(const Operation* operation, Py_ssize_t n_behind) noexcept nogil:
    """How many parts stand behind an operation, of `n_behind` operations there are."""
    cdef Py_ssize_t n = 0
    while n < n_behind and operation[n + 1].part != NO_PART:
        n += 1
    return n


cdef Layer _layer(const Operation* operation, Py_ssize_t n_parts) noexcept nogil:
    cdef Layer layer
    cdef Py_ssize_t k
    memset(&layer, 0, sizeof(Layer))
    for k in range(1, n_parts + 1):
        if operation[k].part == INPUT_MAP:
            layer.input_map = operation + k
        elif operation[k].part == INPUT_NORM:
            layer.input_norm = operation + k
        elif operation[k].part == RECURRENT_MAP:
            layer.recurrent_map = operation + k
        elif operation[k].part == RECURRENT_NORM:
            layer.recurrent_norm = operation + k
        elif operation[k].part == CELL_NORM:
            layer.cell_norm = operation + k
    layer.cell = operation.cell
    layer.reversed = operation.direction == 1
    layer.beside = operation.n_directions == 2
    layer.d = layer.recurrent_map.n_in
    layer.width = layer.recurrent_map.n_out
    k = operation.state
    layer.inputs = k
    if layer.reversed:
        k += operation.n_in
    layer.a = k
    k += layer.width
    layer.gates = layer.a
    if layer.input_norm != NULL:
        layer.gates = k
        k += layer.width
    layer.u = -1
    if layer.recurrent_norm != NULL or layer.cell == GRU_CELL:
        layer.u = k
        k += layer.width
    layer.c = k
    if layer.cell == LSTM_CELL or layer.cell == GRU_CELL:
        k += layer.d
    layer.tanh_c = k
    if layer.cell == LSTM_CELL:
        k += layer.d
    layer.h = k
    layer.dh = k + layer.d
    if layer.beside:
        k += 2 * layer.d
    layer.previous = k
    layer.n_columns = k + layer.d - operation.state
    return layer


def state_columns(const Operation[::1] plan):
    """Columns of state memory of each operation of a plan, a list of int; 0 but for RECURRENT."""
    cdef Py_ssize_t o, n_parts
    columns = []
    for o in range(plan.shape[0]):
        if plan[o].kind == RECURRENT:
            n_parts = recurrent_parts(&plan[o], plan.shape[0] - 1 - o)
            columns.append(_layer(&plan[o], n_parts).n_columns)
        else:
            columns.append(0)
    return columns


cdef inline const floating* _vector(const floating* parameters, Py_ssize_t offset) noexcept nogil:
    if offset < 0:
        return NULL
    return parameters + offset


cdef void _combine(
    floating* y, double* scratch,
    const Operation* norm, const floating* x, const floating* parameters,
    Py_ssize_t n, Py_ssize_t first, Py_ssize_t d, Py_ssize_t step,
    Py_ssize_t y_row_stride, Py_ssize_t x_row_stride, bint add,
) noexcept nogil:
    # Columns `first` to first + d of a normalized part, written to y or added.
    batchnorm_combine(
        y, <floating*> (scratch + norm.scratch + AFFINE * norm.n_out), x + first,
        norm_mean(scratch + norm.scratch, norm, step) + first,
        norm_invstd(scratch + norm.scratch, norm, step) + first,
        parameters + norm.gamma + first,
        _vector(parameters, norm.beta if norm.beta < 0 else norm.beta + first),
        n, d, y_row_stride, x_row_stride, add,
    )


cdef inline Py_ssize_t _n_own(
    const Operation* norm, const Steps* steps, bint frozen,
) noexcept nogil:
    # Steps with statistics of their own: all that were ever seen, where the running ones serve.
    return norm.n_steps if frozen else min(steps.n_own, norm.n_steps)


cdef inline bint _is_shared(const Operation* norm) noexcept nogil:
    return norm.shared != 0


cdef void _prepare_norm(
    double* scratch,
    const Operation* norm, const floating* x, const double* statistics,
    const double* sample_weight, const Steps* steps,
    Py_ssize_t step, bint frozen,
) noexcept nogil:
    # The statistics of a step, unless those of an earlier one serve.
    if step < _n_own(norm, steps, frozen):
        norm_statistics(scratch + norm.scratch, norm, x, statistics, sample_weight,
                        steps.counts[step], step, frozen, True)


cdef inline Py_ssize_t _statistics_step(
    const Operation* norm, const Steps* steps, Py_ssize_t step, bint frozen,
) noexcept nogil:
    return min(step, _n_own(norm, steps, frozen) - 1)


cdef void recurrent_forward(
    floating* work, floating* state, double* scratch,
    const Operation* operation, const floating* parameters, const double* statistics,
    const double* sample_weight, const Steps* steps,
    Py_ssize_t n_parts, Py_ssize_t capacity, Py_ssize_t state_capacity,
    const Pass* mode,
) noexcept nogil:
    """The steps of all sequences, one after the other; `mode` of NULL is inference."""
    cdef Layer layer = _layer(operation, n_parts)
    cdef Py_ssize_t d = layer.d, width = layer.width, n_in = operation.n_in
    cdef Py_ssize_t s, m, row, before
    cdef bint keeps = mode != NULL
    cdef bint frozen = mode == NULL or mode.frozen
    cdef const floating* x = work + operation.x * capacity
    cdef floating* y = work + operation.y * capacity
    cdef floating* inputs = state + layer.inputs * state_capacity
    cdef floating* a = state + layer.a * state_capacity
    cdef floating* u = NULL if layer.u < 0 else state + layer.u * state_capacity
    cdef floating* gates = state + layer.gates * state_capacity
    cdef floating* c = state + layer.c * state_capacity
    cdef floating* tanh_c = state + layer.tanh_c * state_capacity
    cdef floating* h = state + layer.h * state_capacity if layer.beside else y
    cdef floating* h_step
    cdef const floating* h_before
    cdef const floating* W_x = parameters + layer.input_map.weights
    cdef const floating* W_h = parameters + layer.recurrent_map.weights
    cdef const floating* bias = _vector(parameters, layer.input_map.bias)
    cdef bint rolls_h = not keeps and layer.beside
    if keeps:
        if layer.reversed:
            for s in range(steps.n_steps):
                sequences_reverse_step(inputs + steps.starts[s] * n_in, x, steps, s, n_in, n_in)
            x = inputs
        linear_forward(a, x, W_x, bias, steps.n_rows, n_in, width)
        if layer.input_norm != NULL and _is_shared(layer.input_norm):
            norm_shared_statistics(scratch + layer.input_norm.scratch, layer.input_norm, a,
                                   statistics, sample_weight, steps, frozen)
    elif layer.input_norm != NULL and _is_shared(layer.input_norm):
        norm_statistics(scratch + layer.input_norm.scratch, layer.input_norm, a, statistics,
                        NULL, 0, 0, True, True)
    for s in range(steps.n_steps):
        m = steps.counts[s]
        row = steps.starts[s] if keeps else 0
        before = 0
        if s > 0 and keeps:
            before = steps.starts[s - 1]
        if not keeps:
            if layer.reversed:
                sequences_reverse_step(inputs, x, steps, s, n_in, n_in)
                linear_forward(a, inputs, W_x, bias, m, n_in, width)
            else:
                linear_forward(a, x + steps.starts[s] * n_in, W_x, bias, m, n_in, width)
        h_step = h + (0 if rolls_h else steps.starts[s]) * d
        h_before = NULL
        if s > 0:
            h_before = h + (0 if rolls_h else steps.starts[s - 1]) * d
        if layer.input_norm != NULL:
            if not _is_shared(layer.input_norm):
                _prepare_norm(scratch, layer.input_norm, a + row * width, statistics,
                              sample_weight, steps, s, frozen)
            _combine(gates + row * width, scratch, layer.input_norm, a + row * width, parameters,
                     m, 0, width, _statistics_step(layer.input_norm, steps, s, frozen),
                     width, width, False)
        _recurrent_part(gates + row * width, NULL if u == NULL else u + row * width, c + row * d,
                        scratch, &layer, h_before, W_h, parameters, statistics, sample_weight,
                        steps, s, frozen)
        if layer.cell == LSTM_CELL:
            lstm_forward(gates + row * width, c + row * d, NULL if s == 0 else c + before * d, m,
                         d)
            if layer.cell_norm == NULL:
                memcpy(tanh_c + row * d, c + row * d, m * d * sizeof(floating))
            else:
                _prepare_norm(scratch, layer.cell_norm, c + row * d, statistics, sample_weight,
                              steps, s, frozen)
                _combine(tanh_c + row * d, scratch, layer.cell_norm, c + row * d, parameters, m,
                         0, d, _statistics_step(layer.cell_norm, steps, s, frozen), d, d, False)
            lstm_output_forward(h_step, tanh_c + row * d, gates + row * width, m, d)
        elif layer.cell == GRU_CELL:
            gru_forward(h_step, gates + row * width, c + row * d, h_before, m, d)
        else:
            activation_forward(gates + row * width, gates + row * width, m * d, TANH)
            memcpy(h_step, gates + row * width, m * d * sizeof(floating))
        if layer.beside:
            sequences_write_step(y + (d if layer.reversed else 0), h_step, steps, s, d, 2 * d,
                                 layer.reversed)


cdef void _recurrent_part(
    floating* gates, floating* u, floating* candidate, double* scratch,
    const Layer* layer, const floating* h_before, const floating* W_h,
    const floating* parameters, const double* statistics, const double* sample_weight,
    const Steps* steps, Py_ssize_t step, bint frozen,
) noexcept nogil:
    # Adds N_h(h_{t-1} W_h) to the pre-activations of a step, or, for the candidate of a GRU,
    # writes it with its bias to `candidate`. `h_before` of NULL is the first step.
    cdef Py_ssize_t d = layer.d, width = layer.width, m = steps.counts[step]
    cdef Py_ssize_t added = width - d if layer.cell == GRU_CELL else width
    cdef const Operation* norm = layer.recurrent_norm
    cdef const floating* bias = _vector(parameters, layer.recurrent_map.bias)
    cdef Py_ssize_t i, j, source
    if h_before == NULL:
        if norm != NULL:
            # What is 0 in all rows has no variance.
            memset(norm_mean(scratch + norm.scratch, norm, 0), 0, width * sizeof(double))
            memset(norm_mean(scratch + norm.scratch, norm, 0) + norm.n_steps * width, 0,
                   width * sizeof(double))
            memset(norm_invstd(scratch + norm.scratch, norm, 0), 0, width * sizeof(double))
        if layer.cell == GRU_CELL:
            for i in range(m):
                for j in range(d):
                    candidate[i * d + j] = bias[j]
        return
    if u == NULL:
        gemm(gates, <int> width, h_before, <int> d, W_h, <int> width,
             <int> m, <int> width, <int> d, False, False, <floating> 1, <floating> 1)
        return
    linear_forward(u, h_before, W_h, <const floating*> NULL, m, d, width)
    if norm != NULL:
        _prepare_norm(scratch, norm, u, statistics, sample_weight, steps, step, frozen)
        source = _statistics_step(norm, steps, step, frozen)
        _combine(gates, scratch, norm, u, parameters, m, 0, added, source, width, width, True)
        if layer.cell == GRU_CELL:
            _combine(candidate, scratch, norm, u, parameters, m, added, d, source, d, width,
                     False)
    else:
        for i in range(m):
            for j in range(added):
                gates[i * width + j] += u[i * width + j]
            for j in range(d):
                candidate[i * d + j] = u[i * width + added + j]
    if layer.cell == GRU_CELL:
        for i in range(m):
            for j in range(d):
                candidate[i * d + j] += bias[j]


cdef void recurrent_backward(
    floating* dx, floating* gradient, floating* dy, floating* state, double* scratch,
    const Operation* operation, const floating* parameters, const floating* work,
    const double* sample_weight, const Steps* steps,
    Py_ssize_t n_parts, Py_ssize_t capacity,
    const Pass* mode,
) noexcept nogil:
    """Adds to `gradient` from the outputs' gradient `dy`, whose memory it uses.

    dx, unless it is NULL, is written by the direction that comes last in the plan, which is the
    first to be called, and added to by the other. It must not be dy.
    """
    cdef Layer layer = _layer(operation, n_parts)
    cdef Py_ssize_t d = layer.d, width = layer.width, n_in = operation.n_in
    cdef Py_ssize_t n_rows = steps.n_rows, n_first = steps.counts[0]
    cdef Py_ssize_t s, row
    cdef const floating* x = work + operation.x * capacity
    cdef floating* inputs = state + layer.inputs * capacity
    cdef floating* a = state + layer.a * capacity
    cdef floating* gates = state + layer.gates * capacity
    cdef floating* previous = state + layer.previous * capacity
    cdef const floating* h = work + operation.y * capacity
    cdef floating* dh = dy
    cdef floating* du = gates
    cdef const Operation* norm = layer.input_norm
    cdef bint adds = layer.beside and not layer.reversed
    if layer.u >= 0:
        du = state + layer.u * capacity
    if layer.beside:
        h = state + layer.h * capacity
        dh = state + layer.dh * capacity
        for s in range(steps.n_steps):
            _gather_step(dh + steps.starts[s] * d, dy + (d if layer.reversed else 0), steps, s, d,
                         2 * d, layer.reversed)
    _forget_later_steps(scratch, layer.input_norm)
    _forget_later_steps(scratch, layer.recurrent_norm)
    _forget_later_steps(scratch, layer.cell_norm)
    for s in range(steps.n_steps - 1, -1, -1):
        _backward_step(dh, gradient, state, scratch, &layer, h, parameters, sample_weight, steps,
                       s, capacity, mode.frozen)
    # du holds the gradient of h_{t-1} W_h for every step by now, but for the first.
    for s in range(1, steps.n_steps):
        memcpy(previous + steps.starts[s] * d, h + steps.starts[s - 1] * d,
               steps.counts[s] * d * sizeof(floating))
    if n_rows > n_first:
        gemm(gradient + layer.recurrent_map.weights, <int> width,
             <const floating*> (previous + n_first * d), <int> d,
             <const floating*> (du + n_first * width), <int> width,
             <int> d, <int> width, <int> (n_rows - n_first), True, False, <floating> 1,
             <floating> 1)
    # gates holds the gradient of a's normalized form; it becomes that of a.
    if norm != NULL and _is_shared(norm):
        norm_shared_backward(gates, scratch + norm.scratch, gradient, norm, a, parameters,
                             sample_weight, steps, mode.frozen)
    elif norm != NULL:
        for s in range(steps.n_steps - 1, -1, -1):
            row = steps.starts[s] * width
            norm_backward_step(gates + row, scratch + norm.scratch, gradient, gates + row, norm,
                               a + row, parameters, sample_weight, steps.counts[s], s,
                               _n_own(norm, steps, mode.frozen), mode.frozen)
    linear_backward(<floating*> NULL, gradient + layer.input_map.weights,
                    NULL if layer.input_map.bias < 0 else gradient + layer.input_map.bias,
                    gates, <const floating*> inputs if layer.reversed else x,
                    parameters + layer.input_map.weights, n_rows, n_in, width)
    if dx == NULL:
        return
    gemm(inputs if layer.reversed else dx, <int> n_in, <const floating*> gates, <int> width,
         parameters + layer.input_map.weights, <int> width,
         <int> n_rows, <int> n_in, <int> width, False, True, <floating> 1,
         <floating> (1 if adds else 0))
    if layer.reversed:
        for s in range(steps.n_steps):
            sequences_write_step(dx, inputs + steps.starts[s] * n_in, steps, s, n_in, n_in, True)


cdef void _forget_later_steps(double* scratch, const Operation* norm) noexcept nogil:
    if norm != NULL:
        memset(scratch + norm.scratch + LATER_DY * norm.n_out, 0,
               2 * norm.n_out * sizeof(double))


cdef void _gather_step(
    floating* y, const floating* x, const Steps* steps, Py_ssize_t step, Py_ssize_t d,
    Py_ssize_t x_row_stride, bint reverse,
) noexcept nogil:
    cdef Py_ssize_t i
    if reverse:
        sequences_reverse_step(y, x, steps, step, d, x_row_stride)
        return
    for i in range(steps.counts[step]):
        memcpy(y + i * d, x + (steps.starts[step] + i) * x_row_stride, d * sizeof(floating))


cdef void _backward_step(
    floating* dh_all, floating* gradient, floating* state, double* scratch,
    const Layer* layer, const floating* h, const floating* parameters,
    const double* sample_weight, const Steps* steps,
    Py_ssize_t s, Py_ssize_t capacity, bint frozen,
) noexcept nogil:
    # From the gradient of h_s to that of the pre-activations of step s, in `gates`; to that of
    # h_{s-1} W_h, in `u` where there is one; and to what of it goes back to h_{s-1} and c_{s-1},
    # which takes the place of dh and tanh_c of step s.
    cdef Py_ssize_t d = layer.d, width = layer.width, i, j
    cdef Py_ssize_t m = steps.counts[s], later = steps.counts[s + 1]
    cdef Py_ssize_t row = steps.starts[s]
    cdef floating* dh = dh_all + row * d
    cdef const floating* dh_later = dh_all + steps.starts[s + 1] * d
    cdef floating* gates = state + layer.gates * capacity + row * width
    cdef floating* u = gates
    cdef floating* c = state + layer.c * capacity + row * d
    cdef floating* dc = state + layer.tanh_c * capacity + row * d
    cdef const floating* dc_later = state + layer.tanh_c * capacity + steps.starts[s + 1] * d
    cdef const floating* c_before = NULL
    cdef const floating* h_before = NULL
    cdef const Operation* norm = layer.recurrent_norm
    if layer.u >= 0:
        u = state + layer.u * capacity + row * width
    if s > 0:
        h_before = h + steps.starts[s - 1] * d
        c_before = state + layer.c * capacity + steps.starts[s - 1] * d
    # What the next step had of each sequence that reaches it.
    for i in range(later * d):
        dh[i] += dh_later[i]
    if layer.cell == LSTM_CELL:
        lstm_output_backward(dc, gates, dh, m, d)
        if layer.cell_norm != NULL:
            norm_backward_step(dc, scratch + layer.cell_norm.scratch, gradient, dc,
                               layer.cell_norm, c, parameters, sample_weight, m, s,
                               _n_own(layer.cell_norm, steps, frozen), frozen)
        for i in range(later * d):
            dc[i] += dc_later[i]
        lstm_backward(dc, gates, c_before, m, d)
    elif layer.cell == GRU_CELL:
        gru_backward(dh, gates, c, h_before, m, d)
        for i in range(m):
            for j in range(d):
                gradient[layer.recurrent_map.bias + j] += gates[i * width + 2 * d + j]
    else:
        # The gates are the outputs.
        activation_backward(gates, dh, gates, gates, m * d, TANH)
    if s > 0:
        if norm != NULL:
            norm_backward_step(u, scratch + norm.scratch, gradient, gates, norm, u, parameters,
                               sample_weight, m, s, _n_own(norm, steps, frozen), frozen)
        elif u != gates:
            memcpy(u, gates, m * width * sizeof(floating))
        # Of a GRU the direct part is in dh already.
        gemm(dh, <int> d, <const floating*> u, <int> width,
             parameters + layer.recurrent_map.weights, <int> width,
             <int> m, <int> d, <int> width, False, True, <floating> 1,
             <floating> (1 if layer.cell == GRU_CELL else 0))
    if layer.cell == GRU_CELL:
        # From the gradients of the recurrent parts to those of the inputs' parts.
        for i in range(m):
            for j in range(d):
                gates[i * width + 2 * d + j] = c[i * d + j]
