"""One direction of a recurrent layer: forward, backward and at inference.

In a plan a layer is an operation of kind RECURRENT with its parts behind it (``Part``): the linear
map of the inputs, the linear map of the state before, and up to three batch norms (Cooijmans et al.
2017, "Recurrent batch normalization", equations 6 to 8; Laurent et al. 2016 use only the batch norm
of the inputs):

    a_t = N_x(x_t W_x),  u_t = N_h(h_{t-1} W_h),  z_t = a_t + u_t + b
    LSTM: c_t = s(f) c_{t-1} + s(i) tanh(g),  h_t = s(o) tanh(N_c(c_t))
    GRU:  h_t = (1 - s(z)) n + s(z) h_{t-1},  n = tanh(a^n_t + s(r) (u^n_t + b^n))
    tanh: h_t = tanh(z_t)

with i, f, g, o (r, z, n) the columns of z_t, and h_0 = c_0 = 0. So at the first step u is 0 in all
rows and has no variance. There N_h gives 0, forward and backward. If there is an N_x, b is the beta
of N_x. N_h has no beta, because b makes it redundant. Only the GRU has a bias of its own here, b^n,
because the reset gate multiplies it.

The steps of all sequences are packed (``skbn.kernels.sequences``). A backward direction reads each
sequence from the end of the sequence. The steps of this direction, and their statistics, are
counted from there.

The state memory keeps the values that the backward pass needs, in columns of packed rows. At
inference, and while exact statistics are collected, nothing is kept: the state memory has the rows
of one step.

In training one product computes x_t W_x for all steps. One product each computes the gradients of
W_x, of W_h and of the inputs. Only the products with W_h in the forward pass and with its transpose
in the backward pass are step by step.

If the plan has places for packed weights (``skbn.network.fusion``), our own loops compute the
products. W_x, W_h and their transposes are then packed once for each batch and not once for each
time step. A product then is fast with few rows too. So the products with W_x are step by step, and
one product computes the gradients of a few steps, while their operands are still in the caches.
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
from skbn.kernels.layer cimport (
    ADDED, STORED, Ahead, CellPart, Epilogue, LayerColumns, layer_loops, layer_set_norm,
)
from skbn.kernels.normalized_sum cimport batchnorm_combine
from skbn.kernels.sequences cimport Steps, sequences_reverse_step, sequences_write_step
from skbn.network.operation cimport (
    CELL_NORM, INPUT_MAP, INPUT_NORM, NO_PART, RECURRENT, RECURRENT_MAP, RECURRENT_NORM,
)
from skbn.network.operations.normalization cimport (
    AFFINE, LATER_DY, norm_backward_step, norm_columns, norm_invstd, norm_mean, norm_shared_add,
    norm_shared_backward, norm_shared_begin, norm_shared_end, norm_statistics, norm_var,
)
from skbn.network.run cimport INFERENCE, TRAINING


# Our own products finish the backward pass of so many rows at a time. The rows are so few that
# their gradients are still in the caches, and so many that a pass over the gradient of the weights
# pays.
cdef enum:
    FINISHED_ROWS = 128

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
    Py_ssize_t gates                    # (width); a itself if a is not normalized
    Py_ssize_t c                        # (d) LSTM: c; GRU: the recurrent part of n
    Py_ssize_t tanh_c                   # (d) LSTM
    Py_ssize_t h                        # (d) outputs, where y has two directions
    Py_ssize_t dh                       # (d) their gradient
    Py_ssize_t previous                 # (d) h_{t-1} in the rows of step t
    Py_ssize_t n_columns


cdef Py_ssize_t _parts_of(const Operation* operation, Py_ssize_t n_behind) noexcept nogil:
    # How many parts of an operation stand behind it, among the `n_behind` operations behind it.
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
    """Columns of state memory of each operation of a plan, a list of int; 0 if not RECURRENT."""
    cdef Py_ssize_t o, n_parts
    columns = []
    for o in range(plan.shape[0]):
        if plan[o].kind == RECURRENT:
            n_parts = _parts_of(&plan[o], plan.shape[0] - 1 - o)
            columns.append(_layer(&plan[o], n_parts).n_columns)
        else:
            columns.append(0)
    return columns


cdef inline bint _is_packed(const Operation* map) noexcept nogil:
    # Plans have places for packed weights in float32, if the processor has the loops.
    return map.packed >= 0


cdef inline float* _packed(
    const Operation* map, const Memory* memory, bint transposed,
) noexcept nogil:
    # The packed W, with the packed W' behind it.
    cdef Py_ssize_t lanes = layer_loops().lanes
    cdef float* place = <float*> (memory.scratch + map.packed)
    return place + (map.n_in * ((map.n_out + lanes - 1) // lanes * lanes) if transposed else 0)


cdef void _pack(
    const floating* parameters, const Operation* map, const Memory* memory, bint transposed,
) noexcept nogil:
    # Packs W or W' for the products of this batch, if the plan has a place for packed weights.
    cdef Py_ssize_t k = map.n_out if transposed else map.n_in
    cdef Py_ssize_t n = map.n_in if transposed else map.n_out
    if floating is float:
        if _is_packed(map):
            layer_loops().pack(_packed(map, memory, transposed), parameters + map.weights,
                               map.n_out, k, n, transposed)


cdef void _product(
    floating* c, const floating* a, const floating* parameters, const Operation* map,
    const Memory* memory, Py_ssize_t m, bint transposed, bint add, const Ahead* ahead=NULL,
) noexcept nogil:
    # C = A W or, if `transposed`, C = A W' over m rows, written or added to C. By packed weights or
    # BLAS.
    cdef Py_ssize_t k = map.n_out if transposed else map.n_in
    cdef Py_ssize_t n = map.n_in if transposed else map.n_out
    cdef Epilogue e
    if floating is float:
        if _is_packed(map):
            e.kind = ADDED if add else STORED
            e.c_row = e.n = n
            if ahead == NULL:
                layer_loops().product_packed(c, a, k, _packed(map, memory, transposed), m, n, k,
                                             &e)
            else:
                layer_loops().product_ahead(c, a, k, _packed(map, memory, transposed), m, n, k, &e,
                                            ahead)
            return
    gemm(c, <int> n, a, <int> k, parameters + map.weights, <int> map.n_out, <int> m, <int> n,
         <int> k, False, transposed, <floating> add)


cdef void _add_weight_gradient(
    floating* gradient, const floating* x, const floating* dz, const Operation* map, Py_ssize_t m,
) noexcept nogil:
    # dW += x' dz over m rows. Our own product reads whole vectors, so it may read up to a vector
    # behind the last row of dz. Further columns of the state memory stand there.
    cdef Py_ssize_t n_in = map.n_in, n_out = map.n_out
    if floating is float:
        if _is_packed(map):
            layer_loops().weight_gradient(gradient + map.weights, x, n_in, dz, n_out, m, n_in,
                                          n_out, True)
            return
    gemm(gradient + map.weights, <int> n_out, x, <int> n_in, dz, <int> n_out,
         <int> n_in, <int> n_out, <int> m, True, False, <floating> 1)


cdef inline bint _is_computed_again(const Layer* layer) noexcept nogil:
    # Whether the backward pass computes x_t W_x again, so that `a` has the rows of one step only.
    # For few inputs the product takes less time than writing and reading memory for all steps.
    return (_is_packed(layer.input_map) and layer.input_norm != NULL
            and not layer.input_norm.shared and 4 * layer.n_in <= layer.d)


cdef void _input_part(
    floating* a, const floating* x, const floating* parameters, const Operation* map,
    const Memory* memory, Py_ssize_t m,
) noexcept nogil:
    # x W_x + b over m rows.
    cdef Py_ssize_t i, width = map.n_out
    if map.bias >= 0:
        for i in range(m):
            memcpy(a + i * width, parameters + map.bias, width * sizeof(floating))
    _product(a, x, parameters, map, memory, m, False, map.bias >= 0)


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
    # Number of steps with statistics of their own. If the running statistics serve, this is all
    # steps.
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
    const floating* parameters,
) noexcept nogil:
    # The statistics of x_t W_x over all steps. If `x` is NULL, `a` holds the products of all steps.
    # Otherwise `a` has the rows of one step, and the products are computed step by step.
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
            # All steps of a sequence count alike, so a backward direction need not reverse them
            # here.
            _input_part(a, x + steps.starts[s] * layer.n_in, parameters, layer.input_map, memory, m)
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
    cdef const floating* x_step
    cdef floating* a_step
    cdef const Operation* norm = layer.input_norm
    cdef bint rolls_h
    # Shared statistics need the products of all steps first.
    cdef bint at_once = keeps and (not _is_packed(layer.input_map)
                                   or (norm != NULL and norm.shared))
    cdef bint again = _is_computed_again(&layer)
    if operation.y == batch.unread:
        y = NULL
    # Whether h has the rows of one step.
    rolls_h = not keeps and (layer.beside or y == NULL)
    h = y
    if layer.beside:
        h = state + layer.h * capacity
    elif y == NULL:
        # Only the backward pass uses this memory otherwise, for h_{t-1}.
        h = state + layer.previous * capacity
    if batch.first_step == 0:
        _pack(parameters, layer.input_map, memory, False)
        if steps.n_steps > 1:
            _pack(parameters, layer.recurrent_map, memory, False)
    if keeps and layer.reversed:
        for s in range(steps.n_steps):
            sequences_reverse_step(inputs + steps.starts[s] * n_in, x, steps, s, n_in, n_in)
        x = inputs
    if at_once:
        _input_part(a, x, parameters, layer.input_map, memory, steps.n_rows)
    if norm != NULL and norm.shared and batch.first_step == 0:
        _set_shared_statistics(a, <const floating*> NULL if keeps else x, &layer, memory, batch,
                               parameters)
    for s in range(batch.first_step, batch.last_step):
        m = steps.counts[s]
        row = steps.starts[s] if keeps else 0
        before = 0
        if s > 0 and keeps:
            before = steps.starts[s - 1]
        a_step = a + (0 if again else row) * width
        if not at_once:
            x_step = x + steps.starts[s] * n_in
            if layer.reversed and not keeps:
                sequences_reverse_step(inputs, x, steps, s, n_in, n_in)
                x_step = inputs
            _input_part(a_step, x_step, parameters, layer.input_map, memory, m)
        h_step = h + (0 if rolls_h else steps.starts[s]) * d
        h_before = NULL
        if s > 0:
            h_before = h + (0 if rolls_h else steps.starts[s - 1]) * d
        if norm != NULL and not norm.shared:
            _set_statistics(memory.scratch, norm, a_step, memory.statistics, batch, s)
        if _is_packed(layer.input_map):
            _own_cell(h_step, a_step, gates + row * width,
                      NULL if u == NULL else u + row * width, c + row * d,
                      NULL if s == 0 else c + before * d, tanh_c + row * d, h_before, &layer,
                      memory, batch, s)
            _write_step(y, h_step, &layer, steps, s)
            continue
        if norm != NULL:
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
        _write_step(y, h_step, &layer, steps, s)


cdef void _write_step(
    floating* y, const floating* h, const Layer* layer, const Steps* steps, Py_ssize_t step,
) noexcept nogil:
    # Writes the outputs of a step beside the outputs of another direction.
    if layer.beside and y != NULL:
        sequences_write_step(y + (layer.d if layer.reversed else 0), h, steps, step, layer.d,
                             2 * layer.d, layer.reversed)


cdef CellPart _cell_part(
    const floating* x, const floating* parameters, const Operation* norm, const Memory* memory,
    const Batch* batch, Py_ssize_t step,
) noexcept nogil:
    # A part of the pre-activations of a step. If `norm` is NULL, the part is not normalized.
    cdef CellPart part
    cdef LayerColumns columns
    cdef double* scratch
    if floating is float:
        part.x, part.hi, part.scale, part.shift = x, NULL, NULL, NULL
        if norm != NULL:
            scratch = memory.scratch + norm.scratch
            step = _statistics_step(norm, batch, step)
            columns = norm_columns(scratch, norm)
            layer_set_norm(&columns, norm_mean(scratch, norm, step),
                           norm_invstd(scratch, norm, step), parameters + norm.gamma,
                           _vector(parameters, norm.beta), norm.n_out, norm.n_out)
            part.hi, part.scale, part.shift = columns.hi, columns.scale, columns.shift
    return part


cdef void _own_cell(
    floating* h, floating* a, floating* gates, floating* u, floating* c, const floating* c_before,
    floating* tanh_c, const floating* h_before, const Layer* layer, const Memory* memory,
    const Batch* batch, Py_ssize_t step,
) noexcept nogil:
    # A step from x_t W_x to its outputs by our own loops, which also normalize the parts of the
    # pre-activations. At the first step `h_before` is NULL.
    cdef const floating* parameters = <const floating*> memory.parameters
    cdef Py_ssize_t d = layer.d, m = batch.steps.counts[step]
    cdef CellPart of_a, of_u, of_c
    cdef Ahead ahead
    if floating is float:
        of_a = _cell_part(a, parameters, layer.input_norm, memory, batch, step)
        of_u.x = of_u.scale = NULL
        if h_before == NULL:
            _set_no_statistics(layer.recurrent_norm, memory)
        else:
            # If nothing is normalized, `gates` is `a`.
            u = gates if u == NULL else u
            # The memory of the next step, which stands behind, will be written, so it is asked for.
            ahead.at[0], ahead.at[1], ahead.at[2] = a + m * layer.width, NULL, NULL
            if _is_computed_again(layer):
                ahead.at[0] = NULL
            if gates != a:
                ahead.at[1] = gates + m * layer.width
            if u != gates:
                ahead.at[2] = u + m * layer.width
            ahead.bytes = batch.steps.counts[step + 1] * layer.width * sizeof(float)
            if batch.mode != TRAINING:
                ahead.bytes = 0
            _product(u, h_before, parameters, layer.recurrent_map, memory, m, False, u == a,
                     &ahead)
            if u != a:
                if layer.recurrent_norm != NULL:
                    _set_statistics(memory.scratch, layer.recurrent_norm, u, memory.statistics,
                                    batch, step)
                of_u = _cell_part(u, parameters, layer.recurrent_norm, memory, batch, step)
        if layer.cell == GRU_CELL:
            layer_loops().gru_forward(h, gates, c, h_before, &of_a, &of_u,
                                      parameters + layer.recurrent_map.bias, m, d)
        elif layer.cell == LSTM_CELL:
            layer_loops().lstm_forward(gates, c, c_before, &of_a, &of_u, m, d)
            if layer.cell_norm != NULL:
                _set_statistics(memory.scratch, layer.cell_norm, c, memory.statistics, batch, step)
            of_c = _cell_part(c, parameters, layer.cell_norm, memory, batch, step)
            layer_loops().lstm_output(h, tanh_c, gates, &of_c, m, d)
        else:
            layer_loops().tanh_forward(h, gates, &of_a, &of_u, m, d)


cdef void _set_no_statistics(const Operation* norm, const Memory* memory) noexcept nogil:
    # At the first step h W_h is 0 in all rows and has no variance. All statistics are set to 0.
    cdef double* scratch
    cdef Py_ssize_t size
    if norm != NULL:
        scratch = memory.scratch + norm.scratch
        size = norm.n_out * sizeof(double)
        memset(norm_mean(scratch, norm, 0), 0, size)
        memset(norm_var(scratch, norm, 0), 0, size)
        memset(norm_invstd(scratch, norm, 0), 0, size)


cdef void _recurrent_part(
    floating* gates, floating* u, floating* candidate, const floating* h_before,
    const Layer* layer, const Memory* memory, const Batch* batch, Py_ssize_t step,
) noexcept nogil:
    # Adds N_h(h_{t-1} W_h) to the pre-activations of a step. The columns for the candidate n of a
    # GRU are not added, but written with their bias to `candidate`. At the first step `h_before` is
    # NULL.
    cdef Py_ssize_t d = layer.d, width = layer.width, m = batch.steps.counts[step]
    cdef Py_ssize_t added = width - d if layer.cell == GRU_CELL else width
    cdef const Operation* norm = layer.recurrent_norm
    cdef const floating* parameters = <const floating*> memory.parameters
    cdef double* scratch = memory.scratch
    cdef const floating* bias = _vector(parameters, layer.recurrent_map.bias)
    cdef Py_ssize_t i, j, source
    if h_before == NULL:
        _set_no_statistics(norm, memory)
        if layer.cell == GRU_CELL:
            for i in range(m):
                for j in range(d):
                    candidate[i * d + j] = bias[j]
        return
    if u == NULL:
        _product(gates, h_before, parameters, layer.recurrent_map, memory, m, False, True)
        return
    _product(u, h_before, parameters, layer.recurrent_map, memory, m, False, False)
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
    # Adds to the gradient of the parameters, from the gradient dy of the outputs. The memory of dy
    # is overwritten. The backward pass calls the direction that stands last in the plan first. This
    # direction writes dx, and the other direction adds to dx.
    cdef Layer layer = _layer(operation, _n_parts(operation, memory))
    cdef Py_ssize_t d = layer.d, n_in = layer.n_in
    cdef const Steps* steps = batch.steps
    cdef Py_ssize_t capacity = memory.state_capacity
    cdef const floating* work = <const floating*> memory.work
    cdef const floating* parameters = <const floating*> memory.parameters
    cdef floating* state = <floating*> memory.state
    cdef double* scratch = memory.scratch
    # The gradient of the inputs is not needed.
    cdef floating* dx = NULL if operation.x == memory.plan.y else <floating*> batch.spare
    cdef Py_ssize_t s, last = steps.n_steps, at_once = steps.n_rows
    cdef const floating* h = work + operation.y * memory.capacity
    cdef floating* dh = dy
    if _is_packed(layer.input_map) and not (layer.input_norm != NULL and layer.input_norm.shared):
        at_once = FINISHED_ROWS
    if layer.beside:
        h = state + layer.h * capacity
        dh = state + layer.dh * capacity
        for s in range(steps.n_steps):
            _gather_step(dh + steps.starts[s] * d, dy + (d if layer.reversed else 0), steps, s, d,
                         2 * d, layer.reversed)
    if steps.n_steps > 1:
        _pack(parameters, layer.recurrent_map, memory, True)
    if dx != NULL:
        _pack(parameters, layer.input_map, memory, True)
    _forget_later_steps(scratch, layer.input_norm)
    _forget_later_steps(scratch, layer.recurrent_norm)
    _forget_later_steps(scratch, layer.cell_norm)
    for s in range(steps.n_steps - 1, -1, -1):
        _backward_step(dh, h, &layer, memory, batch, s)
        if layer.u >= 0 and layer.input_norm != NULL and not layer.input_norm.shared:
            _input_norm_backward(state, work + operation.x * memory.capacity, &layer, memory,
                                 batch, s)
        if s == 0 or steps.starts[last] - steps.starts[s] >= at_once:
            _finish_steps(dx, h, operation, &layer, memory, batch, s, last)
            last = s
    if layer.direction == 0:
        # Direction 0 is the last direction of a layer that the backward pass calls.
        batch.spare = dy
        batch.dy = dx
    if dx != NULL and layer.reversed:
        for s in range(steps.n_steps):
            sequences_write_step(dx, state + layer.inputs * capacity + steps.starts[s] * n_in,
                                 steps, s, n_in, n_in, True)


cdef void _input_norm_backward(
    floating* state, const floating* x, const Layer* layer, const Memory* memory,
    const Batch* batch, Py_ssize_t step,
) noexcept nogil:
    # `gates` holds the gradient of the normalized a of a step. The gradient of a overwrites it.
    cdef const Operation* norm = layer.input_norm
    cdef const floating* parameters = <const floating*> memory.parameters
    cdef Py_ssize_t start = batch.steps.starts[step], m = batch.steps.counts[step]
    cdef floating* gates = state + layer.gates * memory.state_capacity + start * layer.width
    cdef floating* a = state + layer.a * memory.state_capacity
    if not _is_computed_again(layer):
        a += start * layer.width
    else:
        # The forward pass has packed W_x.
        if layer.reversed:
            x = state + layer.inputs * memory.state_capacity
        _input_part(a, x + start * layer.n_in, parameters, layer.input_map, memory, m)
    norm_backward_step(gates, memory.scratch + norm.scratch, <floating*> memory.gradient, gates,
                       norm, <const floating*> a, parameters, batch.statistics_weights, m, step,
                       _n_own(norm, batch), batch.frozen)


cdef void _finish_steps(
    floating* dx, const floating* h, const Operation* operation, const Layer* layer,
    const Memory* memory, const Batch* batch, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    # Computes the gradients of the weights and of the inputs for the steps from `first` to `last` -
    # 1, from the gradients that `_backward_step` has left.
    cdef Py_ssize_t d = layer.d, width = layer.width, n_in = layer.n_in
    cdef const Steps* steps = batch.steps
    cdef Py_ssize_t capacity = memory.state_capacity, start = steps.starts[first]
    cdef Py_ssize_t n = steps.starts[last] - start, later, s, j
    cdef const floating* parameters = <const floating*> memory.parameters
    cdef floating* gradient = <floating*> memory.gradient
    cdef floating* dbias
    cdef floating* state = <floating*> memory.state
    cdef double* scratch = memory.scratch
    cdef const floating* x = <const floating*> memory.work + operation.x * memory.capacity
    cdef floating* inputs = state + layer.inputs * capacity
    cdef floating* a = state + layer.a * capacity
    cdef floating* gates = state + layer.gates * capacity
    cdef floating* du = gates
    cdef floating* previous = state + layer.previous * capacity
    cdef const Operation* norm = layer.input_norm
    if layer.u >= 0:
        du = state + layer.u * capacity
    # du holds the gradient of h_{t-1} W_h of these steps. Step 0 has no such gradient.
    later = max(start, steps.counts[0])
    if steps.counts[last - 1] == steps.counts[0]:
        # All sequences reach these steps, so the row of h_{t-1} stands counts[0] rows before the
        # row of h_t.
        h += (later - steps.counts[0]) * d
    else:
        for s in range(max(first, 1), last):
            memcpy(previous + steps.starts[s] * d, h + steps.starts[s - 1] * d,
                   steps.counts[s] * d * sizeof(floating))
        h = previous + later * d
    if start + n > later:
        _add_weight_gradient(gradient, h, <const floating*> (du + later * width),
                             layer.recurrent_map, start + n - later)
    if norm != NULL and norm.shared:
        norm_shared_backward(gates, scratch + norm.scratch, gradient, norm, a, parameters,
                             batch.statistics_weights, steps, batch.frozen)
    elif norm != NULL and layer.u < 0:
        # `gates` was also the gradient of h_{t-1} W_h, so only here may it become the gradient of
        # a.
        for s in range(last - 1, first - 1, -1):
            _input_norm_backward(state, x, layer, memory, batch, s)
    gates += start * width
    if layer.reversed:
        x = inputs
    _add_weight_gradient(gradient, x + start * n_in, <const floating*> gates, layer.input_map, n)
    if layer.input_map.bias >= 0:
        dbias = gradient + layer.input_map.bias
        for s in range(n):
            for j in range(width):
                dbias[j] += gates[s * width + j]
    if dx != NULL:
        _product((inputs if layer.reversed else dx) + start * n_in, <const floating*> gates,
                 parameters, layer.input_map, memory, n, True,
                 layer.beside and not layer.reversed)


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


cdef void _lstm_backward(
    floating* dc, floating* gates, floating* dh, const floating* dh_later, const floating* c,
    const floating* c_before, const floating* dc_later, const Layer* layer, const Memory* memory,
    const Batch* batch, Py_ssize_t step,
) noexcept nogil:
    # From the gradient of h_t to the gradients of the pre-activations and of c_{t-1}. The first
    # `later` rows have a next step, and its parts of the gradients (`dh_later`, `dc_later`) are
    # added.
    cdef const Operation* norm = layer.cell_norm
    cdef Py_ssize_t d = layer.d, m = batch.steps.counts[step], later = batch.steps.counts[step + 1]
    cdef Py_ssize_t i
    cdef bint own = False
    if floating is float:
        own = _is_packed(layer.input_map)
        if own and norm == NULL:
            layer_loops().lstm_backward(dc, gates, c_before, dh, dh_later, dc_later, later, m, d)
            return
        if own:
            layer_loops().lstm_output_backward(dc, gates, dh, dh_later, later, m, d)
    if not own:
        for i in range(later * d):
            dh[i] += dh_later[i]
        lstm_output_backward(dc, gates, dh, m, d)
    if norm != NULL:
        norm_backward_step(dc, memory.scratch + norm.scratch, <floating*> memory.gradient, dc, norm,
                           c, <const floating*> memory.parameters, batch.statistics_weights, m,
                           step, _n_own(norm, batch), batch.frozen)
    if floating is float:
        if own:
            layer_loops().lstm_backward(dc, gates, c_before, NULL, NULL, dc_later, later, m, d)
            return
    for i in range(later * d):
        dc[i] += dc_later[i]
    lstm_backward(dc, gates, c_before, m, d)


cdef bint _own_gru_backward(
    floating* dh, floating* gates, floating* candidate, const floating* h_before,
    const floating* dh_later, const Layer* layer, Py_ssize_t later, Py_ssize_t m,
) noexcept nogil:
    # The backward pass of a GRU by our own loops. Returns whether these loops have done it.
    if floating is float:
        if _is_packed(layer.input_map):
            layer_loops().gru_backward(dh, gates, candidate, h_before, dh_later, later, m, layer.d)
            return True
    return False


cdef void _backward_step(
    floating* dh_all, const floating* h, const Layer* layer, const Memory* memory,
    const Batch* batch, Py_ssize_t s,
) noexcept nogil:
    # From the gradient of h_s to three gradients. `gates` receives the gradient of the
    # pre-activations of step s. `u`, if there is one, receives the gradient of h_{s-1} W_h. The
    # parts of the gradients of h_{s-1} and c_{s-1} that come from step s overwrite dh and tanh_c of
    # step s.
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
    cdef const floating* a
    cdef Py_ssize_t k
    cdef Ahead ahead
    cdef const Operation* norm = layer.recurrent_norm
    if layer.u >= 0:
        u = state + layer.u * capacity + row * width
    if s > 0:
        h_before = h + steps.starts[s - 1] * d
        c_before = state + layer.c * capacity + steps.starts[s - 1] * d
    # The next step has written its part of the gradient for each sequence that reaches it.
    if layer.cell == LSTM_CELL:
        _lstm_backward(dc, gates, dh, dh_later, c, c_before, dc_later, layer, memory, batch, s)
    elif layer.cell != GRU_CELL or not _own_gru_backward(dh, gates, c, h_before, dh_later, layer,
                                                         later, m):
        for i in range(later * d):
            dh[i] += dh_later[i]
        if layer.cell == GRU_CELL:
            gru_backward(dh, gates, c, h_before, m, d)
    if layer.cell == GRU_CELL:
        for i in range(m):
            for j in range(d):
                gradient[layer.recurrent_map.bias + j] += gates[i * width + 2 * d + j]
    elif layer.cell != LSTM_CELL:
        # For a plain cell the gates are the outputs.
        activation_backward(gates, dh, gates, gates, m * d, TANH)
    if s > 0:
        if norm != NULL:
            norm_backward_step(u, scratch + norm.scratch, gradient, gates, norm, u, parameters,
                               sample_weight, m, s, _n_own(norm, batch), frozen)
        elif u != gates:
            memcpy(u, gates, m * width * sizeof(floating))
        # For a GRU the direct part is in dh already.
        # The memory of the step before, which stands in front, is needed next, so it is asked for.
        k = steps.counts[s - 1] * width
        a = state + layer.a * capacity + row * width
        ahead.at[0], ahead.at[1], ahead.at[2] = a - k, NULL, NULL
        if _is_computed_again(layer):
            ahead.at[0] = NULL
        if gates != a:
            ahead.at[1] = gates - k
        if u != gates:
            ahead.at[2] = u - k
        ahead.bytes = k * sizeof(floating)
        _product(dh, <const floating*> u, parameters, layer.recurrent_map, memory, m, True,
                 layer.cell == GRU_CELL, &ahead)
    if layer.cell == GRU_CELL:
        # The gradients of the recurrent parts of n are replaced by the gradients of the inputs'
        # parts of n.
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
