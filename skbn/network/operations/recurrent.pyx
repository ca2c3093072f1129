"""A recurrent layer, one direction of it: forward, backward and at inference.

In a plan a layer is an operation of kind RECURRENT with its parts behind it (``Part``): the linear
map of the inputs, the linear map of the state before, and up to three batch norms (Cooijmans et
al. 2017, "Recurrent batch normalization", equations 6 to 8; Laurent et al. 2016 have the first
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

The state memory keeps the values that the backward pass needs, in columns of packed rows. At
inference, and while exact statistics are collected, nothing is kept: the state memory has the rows
of one step.

In training the inputs of all steps are one product, and so are the gradients of W_x, W_h and of
the inputs: only the products with h_{t-1} and back are step by step.
"""

from cython cimport floating
from libc.float cimport DBL_EPSILON, FLT_EPSILON
from libc.string cimport memcpy, memset

from skbn.kernels.activations cimport TANH, activation_backward, activation_forward
from skbn.kernels.blas cimport gemm
from skbn.kernels.cells cimport (
    GRU_CELL, LSTM_CELL, gru_backward, gru_forward, lstm_backward, lstm_forward,
    lstm_output_backward, lstm_output_forward,
)
from skbn.kernels.linear cimport linear_forward, linear_parameter_gradients
from skbn.kernels.normalized_sum cimport batchnorm_combine
from skbn.kernels.sequences cimport Steps, sequences_reverse_step, sequences_write_step
from skbn.network.operation cimport (
    CELL_NORM, INPUT_MAP, INPUT_NORM, NO_PART, RECURRENT, RECURRENT_MAP, RECURRENT_NORM,
)
from skbn.network.operations.normalization cimport (
    AFFINE, LATER_DY, norm_backward_step, norm_invstd, norm_mean, norm_shared_add,
    norm_shared_backward, norm_shared_begin, norm_shared_end, norm_statistics,
)
from skbn.network.run cimport INFERENCE, TRAINING


# An operation with its parts, and the places of its values, in columns of the state memory.
cdef struct Layer:
    const Operation* input_map
    const Operation* input_norm         # NULL for none, as below
    const Operation* recurrent_map
    const Operation* recurrent_norm
    const Operation* cell_norm
    int cell
    int direction
    bint reversed
    bint beside                         # y has columns of another direction, too
    Py_ssize_t n_in                     # columns of x
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


cdef Py_ssize_t _parts_of(const Operation* operation, Py_ssize_t n_behind) noexcept nogil:
    # How many parts stand behind an operation; `n_behind` operations do.
    cdef Py_ssize_t n = 0
    while n < n_behind and operation[n + 1].part != NO_PART:
        n += 1
    return n


cdef inline Py_ssize_t _n_parts(const Operation* operation, const Memory* memory) noexcept nogil:
    return _parts_of(operation, memory.plan + memory.n_operations - 1 - operation)


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
    layer.direction = operation.direction
    layer.reversed = operation.direction == 1
    layer.n_in = operation.n_in
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
            n_parts = _parts_of(&plan[o], plan.shape[0] - 1 - o)
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


cdef inline bint _is_frozen(const Batch* batch) noexcept nogil:
    return batch.mode == INFERENCE or batch.frozen


cdef inline Py_ssize_t _n_own(const Operation* norm, const Batch* batch) noexcept nogil:
    # Steps with statistics of their own: all steps, where the running statistics serve.
    return norm.n_steps if _is_frozen(batch) else min(batch.steps.n_own, norm.n_steps)


cdef void _set_statistics(
    double* scratch,
    const Operation* norm, const floating* x, const double* statistics, const Batch* batch,
    Py_ssize_t step,
) noexcept nogil:
    # The statistics of a step, unless the statistics of an earlier step serve.
    if step < _n_own(norm, batch):
        norm_statistics(scratch + norm.scratch, norm, x, statistics, batch.statistics_weights,
                        batch.steps.counts[step], step, _is_frozen(batch), True)


cdef inline Py_ssize_t _statistics_step(
    const Operation* norm, const Batch* batch, Py_ssize_t step,
) noexcept nogil:
    return min(step, _n_own(norm, batch) - 1)


cdef void _set_shared_statistics(
    floating* a, const floating* x, const Layer* layer, const Memory* memory, const Batch* batch,
    const floating* W_x,
) noexcept nogil:
    # The statistics of x_t W_x over all steps. `x` of NULL: a holds the products of all steps;
    # otherwise a has the rows of one step, and the products are taken step by step.
    cdef const Operation* norm = layer.input_norm
    cdef double* scratch = memory.scratch + norm.scratch
    cdef const Steps* steps = batch.steps
    cdef Py_ssize_t s, row, m
    if _is_frozen(batch):
        norm_statistics(scratch, norm, a, memory.statistics, NULL, 0, 0, True, True)
        return
    norm_shared_begin(scratch, norm)
    for s in range(steps.n_steps):
        m = steps.counts[s]
        row = 0
        if x == NULL:
            row = steps.starts[s]
        else:
            # All steps of a sequence count alike, so that a backward direction needs no order of
            # its own here.
            linear_forward(a, x + steps.starts[s] * layer.n_in, W_x, <const floating*> NULL, m,
                           layer.n_in, layer.width, layer.n_in)
        norm_shared_add(scratch, norm, a + row * layer.width, batch.statistics_weights, m)
    norm_shared_end(scratch, norm, FLT_EPSILON if floating is float else DBL_EPSILON)


cdef void _forward(
    floating* work, const Operation* operation, const Memory* memory, const Batch* batch,
) noexcept nogil:
    # The steps of all sequences, one after the other.
    cdef Layer layer = _layer(operation, _n_parts(operation, memory))
    cdef Py_ssize_t d = layer.d, width = layer.width, n_in = layer.n_in
    cdef const Steps* steps = batch.steps
    cdef Py_ssize_t s, m, row, before, capacity = memory.state_capacity
    # At inference and while statistics are collected, the state memory has the rows of one step.
    cdef bint keeps = batch.mode == TRAINING
    cdef const floating* parameters = <const floating*> memory.parameters
    cdef floating* state = <floating*> memory.state
    cdef const floating* x = work + operation.x * memory.capacity
    cdef floating* y = work + operation.y * memory.capacity
    cdef floating* inputs = state + layer.inputs * capacity
    cdef floating* a = state + layer.a * capacity
    cdef floating* u = NULL if layer.u < 0 else state + layer.u * capacity
    cdef floating* gates = state + layer.gates * capacity
    cdef floating* c = state + layer.c * capacity
    cdef floating* tanh_c = state + layer.tanh_c * capacity
    cdef floating* h
    cdef floating* h_step
    cdef const floating* h_before
    cdef const floating* W_x = parameters + layer.input_map.weights
    cdef const floating* bias = _vector(parameters, layer.input_map.bias)
    cdef const Operation* norm = layer.input_norm
    cdef bint rolls_h
    if operation.y == batch.unread:
        y = NULL
    # Whether h has the rows of one step.
    rolls_h = not keeps and (layer.beside or y == NULL)
    h = y
    if layer.beside:
        h = state + layer.h * capacity
    elif y == NULL:
        # The backward pass alone needs h_{t-1} in rows of its own.
        h = state + layer.previous * capacity
    if keeps:
        if layer.reversed:
            for s in range(steps.n_steps):
                sequences_reverse_step(inputs + steps.starts[s] * n_in, x, steps, s, n_in, n_in)
            x = inputs
        linear_forward(a, x, W_x, bias, steps.n_rows, n_in, width, n_in)
    if norm != NULL and norm.shared and batch.first_step == 0:
        _set_shared_statistics(a, <const floating*> NULL if keeps else x, &layer, memory, batch,
                               W_x)
    for s in range(batch.first_step, batch.last_step):
        m = steps.counts[s]
        row = steps.starts[s] if keeps else 0
        before = 0
        if s > 0 and keeps:
            before = steps.starts[s - 1]
        if not keeps:
            if layer.reversed:
                sequences_reverse_step(inputs, x, steps, s, n_in, n_in)
                linear_forward(a, inputs, W_x, bias, m, n_in, width, n_in)
            else:
                linear_forward(a, x + steps.starts[s] * n_in, W_x, bias, m, n_in, width, n_in)
        h_step = h + (0 if rolls_h else steps.starts[s]) * d
        h_before = NULL
        if s > 0:
            h_before = h + (0 if rolls_h else steps.starts[s - 1]) * d
        if norm != NULL:
            if not norm.shared:
                _set_statistics(memory.scratch, norm, a + row * width, memory.statistics, batch, s)
            _combine(gates + row * width, memory.scratch, norm, a + row * width, parameters, m, 0,
                     width, _statistics_step(norm, batch, s), width, width, False)
        _recurrent_part(gates + row * width, NULL if u == NULL else u + row * width, c + row * d,
                        h_before, &layer, memory, batch, s)
        if layer.cell == LSTM_CELL:
            lstm_forward(gates + row * width, c + row * d, NULL if s == 0 else c + before * d, m,
                         d)
            if layer.cell_norm == NULL:
                memcpy(tanh_c + row * d, c + row * d, m * d * sizeof(floating))
            else:
                _set_statistics(memory.scratch, layer.cell_norm, c + row * d, memory.statistics,
                                batch, s)
                _combine(tanh_c + row * d, memory.scratch, layer.cell_norm, c + row * d,
                         parameters, m, 0, d, _statistics_step(layer.cell_norm, batch, s), d, d,
                         False)
            lstm_output_forward(h_step, tanh_c + row * d, gates + row * width, m, d)
        elif layer.cell == GRU_CELL:
            gru_forward(h_step, gates + row * width, c + row * d, h_before, m, d)
        else:
            activation_forward(gates + row * width, gates + row * width, m * d, TANH)
            memcpy(h_step, gates + row * width, m * d * sizeof(floating))
        if layer.beside and y != NULL:
            sequences_write_step(y + (d if layer.reversed else 0), h_step, steps, s, d, 2 * d,
                                 layer.reversed)


cdef void _recurrent_part(
    floating* gates, floating* u, floating* candidate, const floating* h_before,
    const Layer* layer, const Memory* memory, const Batch* batch, Py_ssize_t step,
) noexcept nogil:
    # Adds N_h(h_{t-1} W_h) to the pre-activations of a step, or, for the candidate of a GRU,
    # writes it with its bias to `candidate`. `h_before` of NULL is the first step.
    cdef Py_ssize_t d = layer.d, width = layer.width, m = batch.steps.counts[step]
    cdef Py_ssize_t added = width - d if layer.cell == GRU_CELL else width
    cdef const Operation* norm = layer.recurrent_norm
    cdef const floating* parameters = <const floating*> memory.parameters
    cdef const floating* W_h = parameters + layer.recurrent_map.weights
    cdef double* scratch = memory.scratch
    cdef const floating* bias = _vector(parameters, layer.recurrent_map.bias)
    cdef Py_ssize_t i, j, source
    if h_before == NULL:
        if norm != NULL:
            # h W_h is 0 in all rows, and has no variance.
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
             <int> m, <int> width, <int> d, False, False, <floating> 1)
        return
    linear_forward(u, h_before, W_h, <const floating*> NULL, m, d, width, d)
    if norm != NULL:
        _set_statistics(scratch, norm, u, memory.statistics, batch, step)
        source = _statistics_step(norm, batch, step)
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


cdef void _backward(
    floating* dy, const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil:
    # Adds to the gradient of the parameters from the outputs' gradient dy, whose memory it uses.
    # dx is written by the direction that comes last in the plan, which is the first to be called,
    # and added to by the other.
    cdef Layer layer = _layer(operation, _n_parts(operation, memory))
    cdef Py_ssize_t d = layer.d, width = layer.width, n_in = layer.n_in
    cdef const Steps* steps = batch.steps
    cdef Py_ssize_t capacity = memory.state_capacity
    cdef const floating* work = <const floating*> memory.work
    cdef const floating* parameters = <const floating*> memory.parameters
    cdef floating* gradient = <floating*> memory.gradient
    cdef floating* state = <floating*> memory.state
    cdef double* scratch = memory.scratch
    # Nobody needs the gradient of the inputs.
    cdef floating* dx = NULL if operation.x == memory.plan.y else <floating*> batch.spare
    cdef Py_ssize_t n_rows = steps.n_rows, n_first = steps.counts[0]
    cdef Py_ssize_t s, row
    cdef const floating* x = work + operation.x * memory.capacity
    cdef floating* inputs = state + layer.inputs * capacity
    cdef floating* a = state + layer.a * capacity
    cdef floating* gates = state + layer.gates * capacity
    cdef floating* previous = state + layer.previous * capacity
    cdef const floating* h = work + operation.y * memory.capacity
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
        _backward_step(dh, h, &layer, memory, batch, s)
    # du holds the gradient of h_{t-1} W_h for every step by now, but for the first.
    for s in range(1, steps.n_steps):
        memcpy(previous + steps.starts[s] * d, h + steps.starts[s - 1] * d,
               steps.counts[s] * d * sizeof(floating))
    if n_rows > n_first:
        gemm(gradient + layer.recurrent_map.weights, <int> width,
             <const floating*> (previous + n_first * d), <int> d,
             <const floating*> (du + n_first * width), <int> width,
             <int> d, <int> width, <int> (n_rows - n_first), True, False,
             <floating> 1)
    # gates holds the gradient of the normalized a. It becomes the gradient of a.
    if norm != NULL and norm.shared:
        norm_shared_backward(gates, scratch + norm.scratch, gradient, norm, a, parameters,
                             batch.statistics_weights, steps, batch.frozen)
    elif norm != NULL:
        for s in range(steps.n_steps - 1, -1, -1):
            row = steps.starts[s] * width
            norm_backward_step(gates + row, scratch + norm.scratch, gradient, gates + row, norm,
                               a + row, parameters, batch.statistics_weights,
                               steps.counts[s], s, _n_own(norm, batch), batch.frozen)
    linear_parameter_gradients(
        gradient + layer.input_map.weights,
        NULL if layer.input_map.bias < 0 else gradient + layer.input_map.bias,
        gates, <const floating*> inputs if layer.reversed else x, n_rows, n_in, width,
        n_in,
    )
    if layer.direction == 0:
        # The last of the directions of a layer.
        batch.spare = dy
        batch.dy = dx
    if dx == NULL:
        return
    gemm(inputs if layer.reversed else dx, <int> n_in, <const floating*> gates, <int> width,
         parameters + layer.input_map.weights, <int> width,
         <int> n_rows, <int> n_in, <int> width, False, True,
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
    floating* dh_all, const floating* h, const Layer* layer, const Memory* memory,
    const Batch* batch, Py_ssize_t s,
) noexcept nogil:
    # From the gradient of h_s to three gradients: of the pre-activations of step s, in `gates`; of
    # h_{s-1} W_h, in `u` where there is one; and of h_{s-1} and c_{s-1}, as far as step s gives
    # them, in the place of dh and tanh_c of step s.
    cdef Py_ssize_t d = layer.d, width = layer.width, capacity = memory.state_capacity, i, j
    cdef const Steps* steps = batch.steps
    cdef const double* sample_weight = batch.statistics_weights
    cdef const floating* parameters = <const floating*> memory.parameters
    cdef floating* gradient = <floating*> memory.gradient
    cdef floating* state = <floating*> memory.state
    cdef double* scratch = memory.scratch
    cdef bint frozen = batch.frozen
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
    # The next step has written its part of the gradient for each sequence that reaches it.
    for i in range(later * d):
        dh[i] += dh_later[i]
    if layer.cell == LSTM_CELL:
        lstm_output_backward(dc, gates, dh, m, d)
        if layer.cell_norm != NULL:
            norm_backward_step(dc, scratch + layer.cell_norm.scratch, gradient, dc,
                               layer.cell_norm, c, parameters, sample_weight, m, s,
                               _n_own(layer.cell_norm, batch), frozen)
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
                               sample_weight, m, s, _n_own(norm, batch), frozen)
        elif u != gates:
            memcpy(u, gates, m * width * sizeof(floating))
        # For a GRU the direct part is in dh already.
        gemm(dh, <int> d, <const floating*> u, <int> width,
             parameters + layer.recurrent_map.weights, <int> width,
             <int> m, <int> d, <int> width, False, True,
             <floating> (1 if layer.cell == GRU_CELL else 0))
    if layer.cell == GRU_CELL:
        # From the gradients of the recurrent parts to the gradients of the inputs' parts.
        for i in range(m):
            for j in range(d):
                gates[i * width + 2 * d + j] = c[i * d + j]


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
        _backward(<double*> batch.dy, operation, memory, batch)
    else:
        _backward(<float*> batch.dy, operation, memory, batch)
