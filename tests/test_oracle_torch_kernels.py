"""The kernels against PyTorch: the same arithmetic where nobody here wrote the other side.

What differs by definition is accounted for here and nowhere hidden: PyTorch's running
variance is unbiased, its mean squared error has no 1/2 and averages over the outputs, its
Poisson loss lacks what depends on the targets alone, its Adam adds epsilon after the bias
correction, and its clipping adds 1e-6 to the norm. Its recurrent cells have two biases, one
with the inputs and one with the state; ours take pre-activations, with both in them.
"""

import numpy as np
import pytest
from strategies import each_precision

from skbn.kernels import (
    activations,
    batchnorm,
    cells,
    layer,
    linear,
    losses,
    optimizers,
    periodic,
    pooling,
    sequences,
)

torch = pytest.importorskip("torch")
functional = torch.nn.functional

weightings = pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])


def tensor(array, requires_grad=False):
    return torch.tensor(np.asarray(array), requires_grad=requires_grad)


def batch(precision, n=30, d=5, seed=0):
    """Rows off center, the gradient of their outputs, and the parameters."""
    rng = np.random.default_rng(seed)
    x = 3.0 + 2.0 * rng.standard_normal((n, d))
    dy = rng.standard_normal((n, d))
    gamma, beta = rng.standard_normal((2, d))
    return [array.astype(precision.dtype) for array in (x, dy, gamma, beta)]


def torch_batchnorm(x, dy, gamma, beta, of_row=slice(None), **options):
    """Output and the gradients of x, gamma and beta, of the rows `of_row` of x."""
    x, gamma, beta = (tensor(array, requires_grad=True) for array in (x, gamma, beta))
    y = functional.batch_norm(
        x[of_row], None, None, weight=gamma, bias=beta, training=True, **options
    )
    y.backward(tensor(dy))
    return [result.detach().numpy() for result in (y, x.grad, gamma.grad, beta.grad)]


@each_precision
@pytest.mark.parametrize(("n", "d"), [(2, 1), (2, 7), (30, 5), (300, 2)])
@pytest.mark.parametrize("epsilon", [1e-5, 0.1])
def test_batchnorm_in_training(precision, n, d, epsilon):
    x, dy, gamma, beta = batch(precision, n, d)
    y, mean, _, invstd = batchnorm.forward(x, gamma, beta, epsilon)
    gradients = batchnorm.backward(dy, x, gamma, mean, invstd)
    expected = torch_batchnorm(x, dy, gamma, beta, eps=epsilon)
    for actual, wanted in zip((y, *gradients), expected, strict=True):
        precision.assert_close(actual, wanted, scale=10)


@each_precision
def test_weighted_batchnorm_is_that_of_repeated_rows(precision):
    x, dy, gamma, beta = batch(precision)
    weight = np.arange(len(x)) % 4
    of_row = np.repeat(np.arange(len(x)), weight)
    y, mean, _, invstd = batchnorm.forward(x, gamma, beta, sample_weight=weight)
    weighted_dy = dy * weight[:, np.newaxis].astype(precision.dtype)
    gradients = batchnorm.backward(weighted_dy, x, gamma, mean, invstd, weight)
    expected = torch_batchnorm(x, dy[of_row], gamma, beta, of_row)
    for actual, wanted in zip((y[of_row], *gradients), expected, strict=True):
        precision.assert_close(actual, wanted, scale=10)


@each_precision
@pytest.mark.parametrize("momentum", [0.1, 1.0])
def test_running_statistics_and_inference(precision, momentum):
    layer = torch.nn.BatchNorm1d(5, momentum=momentum, dtype=tensor(batch(precision)[0]).dtype)
    running_mean, running_var = np.zeros(5), np.ones(5)
    for seed, n in enumerate((4, 17, 30)):
        x, _, gamma, beta = batch(precision, n=n, seed=seed)
        layer(tensor(x))
        _, mean, var, _ = batchnorm.forward(x, gamma, beta)
        unbiased = var * n / (n - 1)
        batchnorm.update_running(running_mean, running_var, mean, unbiased, momentum)
        precision.assert_close(running_mean, layer.running_mean.numpy())
        precision.assert_close(running_var, layer.running_var.numpy())
    with torch.no_grad():
        layer.weight.copy_(tensor(gamma))
        layer.bias.copy_(tensor(beta))
        expected = layer.eval()(tensor(x)).numpy()
    y = batchnorm.infer(x, gamma, beta, running_mean, running_var, layer.eps)
    precision.assert_close(y, expected, scale=10)


@each_precision
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("identity", torch.nn.Identity()),
        ("logistic", torch.sigmoid),
        ("tanh", torch.tanh),
        ("relu", torch.relu),
        ("silu", functional.silu),
        ("gelu", functional.gelu),
        ("mish", functional.mish),
        ("leaky_relu", functional.leaky_relu),
    ],
)
def test_activations(precision, name, function):
    x, dy, *_ = batch(precision)
    # Both sides of 0, and 0 itself, where relu's derivative is a convention.
    x[0] -= x[0]
    x[1::2] *= -1
    y = activations.forward(x, name)
    x_tensor = tensor(x, requires_grad=True)
    expected = function(x_tensor)
    expected.backward(tensor(dy))
    precision.assert_close(y, expected.detach().numpy())
    precision.assert_close(activations.backward(dy, x, y, name), x_tensor.grad.numpy())


@each_precision
@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 3), (300, 2)])
def test_periodic_embedding(precision, n, m):
    rng = np.random.default_rng(0)
    x, w, b, W2, b2, dy = (
        rng.standard_normal(shape).astype(precision.dtype)
        for shape in ((n, m), (m, 16), (m, 16), (m, 16, 3), (m, 3), (n, 4 * m))
    )
    parts = [tensor(part, requires_grad=True) for part in (w, b, W2, b2)]
    columns = []
    for j, (w_j, b_j, W2_j, b2_j) in enumerate(zip(*parts, strict=True)):
        column = tensor(x[:, j : j + 1])
        columns += [functional.linear(torch.cos(column * w_j + b_j), W2_j.T, b2_j), column]
    expected = torch.cat(columns, dim=1)
    expected.backward(tensor(dy))
    parameters = np.hstack([part.reshape(m, -1) for part in (w, b, W2, b2)])
    gradient = np.hstack([part.grad.numpy().reshape(m, -1) for part in parts])
    precision.assert_close(periodic.forward(x, parameters), expected.detach().numpy(), scale=16)
    precision.assert_close(periodic.backward(dy, x, parameters), gradient, scale=16 + n)


def cross_entropy(z, y):
    return functional.cross_entropy(z, y, reduction="none")


def logistic_cross_entropy(z, y):
    return functional.binary_cross_entropy_with_logits(z, y, reduction="none").sum(dim=1)


def half_squared_error(z, y):
    return functional.mse_loss(z, y, reduction="none").sum(dim=1) / 2


def absolute_error(z, y):
    return functional.l1_loss(z, y, reduction="none").sum(dim=1)


def half_poisson_deviance(z, y):
    # In float64: the mean and the target, large both, take each other's digits.
    z, y = z.double(), y.double()
    loss = functional.poisson_nll_loss(z, y, log_input=True, full=False, reduction="none")
    return (loss + torch.xlogy(y, y) - y).sum(dim=1)


@each_precision
@weightings
@pytest.mark.parametrize("spread", [1.0, 30.0])
@pytest.mark.parametrize(
    ("door", "of_rows"),
    [
        (losses.softmax_log_loss, cross_entropy),
        (losses.logistic_log_loss, logistic_cross_entropy),
        (losses.squared_error, half_squared_error),
        (losses.absolute_error, absolute_error),
        (losses.poisson, half_poisson_deviance),
    ],
)
def test_losses(precision, weighted, spread, door, of_rows):
    rng = np.random.default_rng(0)
    if door is losses.poisson:
        spread = min(spread, 5.0)  # float32 holds no mean of e^90
    z = (spread * rng.standard_normal((20, 4))).astype(precision.dtype)
    y = rng.integers(0, 2, size=(20, 4)).astype(precision.dtype)
    if door is losses.softmax_log_loss:
        y = rng.integers(0, 4, size=20)
    weight = rng.integers(0, 4, size=20).astype(np.float64) if weighted else None
    loss, dz = door(z, y, weight)
    z_tensor = tensor(z, requires_grad=True)
    share = np.full(20, 1 / 20) if weight is None else weight / np.sum(weight)
    expected = torch.sum(tensor(share) * of_rows(z_tensor, tensor(y)))
    expected.backward()
    precision.assert_close(loss, expected.item())
    precision.assert_close(dz, z_tensor.grad.numpy())


@each_precision
def test_weights_of_the_classes_are_weights_of_their_rows(precision):
    rng = np.random.default_rng(1)
    z = rng.standard_normal((20, 3)).astype(precision.dtype)
    y = rng.integers(0, 3, size=20)
    class_weight = np.array([0.5, 2.0, 1.0], precision.dtype)
    loss, _ = losses.softmax_log_loss(z, y, class_weight[y])
    expected = functional.cross_entropy(tensor(z), tensor(y), weight=tensor(class_weight))
    precision.assert_close(loss, expected.item())


@each_precision
def test_mean_squared_error(precision):
    z, y, *_ = batch(precision)
    loss, _ = losses.squared_error(z, y)
    # Over one output, half of it; over d outputs a mean where ours is a sum.
    expected = functional.mse_loss(tensor(z), tensor(y)).item() * z.shape[1] / 2
    precision.assert_close(loss, expected)


STEPS, SIZE, N_WEIGHTS = 20, 12, 7


def assert_follows(precision, optimizer, tensors, ours, before_step=None):
    """Feed both sides the same gradients and compare the parameters after every step.

    `tensors` are the parameters of `optimizer`, one after the other in our flat vector;
    ``ours(parameters, gradient, step)`` is our step.
    """
    rng = np.random.default_rng(0)
    sizes = np.cumsum([t.numel() for t in tensors])[:-1]
    parameters = torch.cat(tensors).detach().numpy().copy()
    for step in range(1, STEPS + 1):
        # Some gradients are 0, as of a unit that is switched off.
        gradient = rng.standard_normal(SIZE) * (rng.uniform(size=SIZE) < 0.8)
        gradient = gradient.astype(precision.dtype)
        for t, part in zip(tensors, np.split(gradient, sizes), strict=True):
            t.grad = tensor(part)
        if before_step is not None:
            before_step(step)
        optimizer.step()
        ours(parameters, gradient, step)
        precision.assert_close(parameters, torch.cat(tensors).detach().numpy(), scale=step)


def start(precision, *sizes):
    rng = np.random.default_rng(7)
    return [
        tensor(rng.standard_normal(size).astype(precision.dtype), requires_grad=True)
        for size in sizes
    ]


@each_precision
@pytest.mark.parametrize(
    ("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True), (1.0, True)]
)
def test_sgd(precision, momentum, nesterov):
    tensors = start(precision, SIZE)
    velocity = np.zeros(SIZE, precision.dtype)
    assert_follows(
        precision,
        torch.optim.SGD(tensors, lr=0.05, momentum=momentum, nesterov=nesterov),
        tensors,
        lambda parameters, gradient, _: optimizers.sgd(
            parameters, velocity, gradient, 0.05, momentum, nesterov
        ),
    )


def epsilon_after_correction(optimizer, epsilon, beta_2=0.999):
    """Set, before step t, the epsilon with which PyTorch's denominator is ours."""

    def before_step(step):
        for group in optimizer.param_groups:
            group["eps"] = epsilon / np.sqrt(1 - beta_2**step)

    return before_step


@each_precision
@pytest.mark.parametrize("epsilon", [1e-8, 1e-2])
def test_adam(precision, epsilon):
    tensors = start(precision, SIZE)
    first, second = np.zeros((2, SIZE), precision.dtype)
    optimizer = torch.optim.Adam(tensors, lr=0.05)
    assert_follows(
        precision,
        optimizer,
        tensors,
        lambda parameters, gradient, step: optimizers.adam(
            parameters, first, second, gradient, 0.05, step, epsilon=epsilon
        ),
        epsilon_after_correction(optimizer, epsilon),
    )


@each_precision
def test_adamw_decays_the_first_parameters_alone(precision):
    tensors = start(precision, N_WEIGHTS, SIZE - N_WEIGHTS)
    first, second = np.zeros((2, SIZE), precision.dtype)
    groups = [
        {"params": tensors[:1], "weight_decay": 0.3},
        {"params": tensors[1:], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.05)
    assert_follows(
        precision,
        optimizer,
        tensors,
        lambda parameters, gradient, step: optimizers.adamw(
            parameters, first, second, gradient, 0.05, step, 0.3, N_WEIGHTS
        ),
        epsilon_after_correction(optimizer, 1e-8),
    )


@each_precision
@pytest.mark.parametrize("epsilon", [1e-8, 1e-2])
@pytest.mark.parametrize("decay", [0.99, 0.5])
@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_rmsprop(precision, momentum, decay, epsilon):
    tensors = start(precision, SIZE)
    velocity, square_average = np.zeros((2, SIZE), precision.dtype)
    assert_follows(
        precision,
        torch.optim.RMSprop(tensors, lr=0.05, alpha=decay, eps=epsilon, momentum=momentum),
        tensors,
        lambda parameters, gradient, _: optimizers.rmsprop(
            parameters, velocity, square_average, gradient, 0.05, decay, momentum, epsilon
        ),
    )


@each_precision
@pytest.mark.parametrize("max_norm", [0.1, 1.0, 100.0])
def test_clip(precision, max_norm):
    tensors = start(precision, N_WEIGHTS, SIZE - N_WEIGHTS)
    gradient = np.random.default_rng(0).standard_normal(SIZE).astype(precision.dtype)
    for t, part in zip(tensors, np.split(gradient, [N_WEIGHTS]), strict=True):
        t.grad = tensor(part)
    norm = optimizers.clip(gradient, max_norm)
    expected = torch.nn.utils.clip_grad_norm_(tensors, max_norm * (1 + 1e-6 / norm))
    precision.assert_close(norm, expected.item())
    precision.assert_close(gradient, torch.cat([t.grad for t in tensors]).numpy())


def recurrent_cell(precision, kind, previous, n=7, n_in=3, d=4):
    """A cell of PyTorch, inputs, states (h, and c of an LSTM) and the gradients of its results."""
    rng = np.random.default_rng(0)
    x, states, dy = (
        rng.standard_normal(shape).astype(precision.dtype)
        for shape in ((n, n_in), (2, n, d), (2, n, d))
    )
    torch.manual_seed(0)
    return kind(n_in, d, dtype=tensor(x).dtype), x, states if previous else None, dy


def weights_of(cell):
    """Our weights and biases: of the inputs, then of the state."""
    return [
        (weight.detach().numpy().T.copy(), bias.detach().numpy())
        for weight, bias in ((cell.weight_ih, cell.bias_ih), (cell.weight_hh, cell.bias_hh))
    ]


def torch_step(cell, x, states, dy):
    """A step's results, and the gradients of x, of the states and of the parameters."""
    inputs = tensor(x, requires_grad=True)
    is_lstm = isinstance(cell, torch.nn.LSTMCell)
    n_states = 0 if states is None else 2 if is_lstm else 1
    states = [tensor(states[i], requires_grad=True) for i in range(n_states)]
    results = cell(inputs, tuple(states) or None) if is_lstm else (cell(inputs, *states),)
    torch.autograd.backward(results, [tensor(part) for part in dy[: len(results)]])
    parameters = (cell.weight_ih, cell.bias_ih, cell.weight_hh, cell.bias_hh)
    return (
        [result.detach().numpy() for result in results],
        [inputs.grad.numpy(), *(state.grad.numpy() for state in states)],
        [parameter.grad.numpy().T for parameter in parameters],
    )


def pre_activations(x, h, cell):
    (w_x, b_x), (w_h, b_h) = weights_of(cell)
    return linear.forward(x, w_x, b_x), linear.forward(h, w_h, b_h)


def parameter_gradients(x, h, dz_x, dz_h, cell):
    """Gradients of x, of h, and of the four parameters."""
    (w_x, _), (w_h, _) = weights_of(cell)
    dx, *of_inputs = linear.backward(dz_x, x, w_x)
    dh, *of_state = linear.backward(dz_h, h, w_h)
    return dx, dh, [*of_inputs, *of_state]


def assert_all_close(precision, actual, expected):
    for own, other in zip(actual, expected, strict=True):
        precision.assert_close(own, other, scale=20)


each_previous = pytest.mark.parametrize("previous", [False, True], ids=["first", "later"])


@each_precision
@each_previous
def test_lstm_cell(precision, previous):
    cell, x, states, (dh, dc) = recurrent_cell(precision, torch.nn.LSTMCell, previous)
    results, of_inputs, of_parameters = torch_step(cell, x, states, (dh, dc))
    h_previous, c_previous = (np.zeros_like(dh), None) if states is None else states
    gates, c = cells.lstm(sum(pre_activations(x, h_previous, cell)), c_previous)
    h, tanh_c = cells.lstm_output(gates, c)
    assert_all_close(precision, (h, c), results)
    of_output, gates = cells.lstm_output_gradient(dh, gates, tanh_c)
    dz, dc_previous = cells.lstm_gradient(dc + of_output, gates, c_previous)
    dx, dh_previous, own = parameter_gradients(x, h_previous, dz, dz, cell)
    states_gradient = [dh_previous, dc_previous] if previous else []
    assert_all_close(precision, [dx, *states_gradient], of_inputs)
    assert_all_close(precision, own, of_parameters)


@each_precision
@each_previous
def test_gru_cell(precision, previous):
    cell, x, states, dy = recurrent_cell(precision, torch.nn.GRUCell, previous)
    results, of_inputs, of_parameters = torch_step(cell, x, states, dy)
    d = dy.shape[2]
    h_previous = np.zeros_like(dy[0]) if states is None else states[0]
    of_x, of_h = pre_activations(x, h_previous, cell)
    # The state's part of the candidate n, its bias included, stands by itself: r multiplies it.
    z, u = of_x.copy(), of_h[:, 2 * d :]
    z[:, : 2 * d] += of_h[:, : 2 * d]
    gates, h = cells.gru(z, u, h_previous if previous else None)
    assert_all_close(precision, [h], results)
    dz, da, direct = cells.gru_gradient(dy[0], gates, u, h_previous if previous else None)
    dz_x = np.hstack([dz[:, : 2 * d], da])
    dx, dh_previous, own = parameter_gradients(x, h_previous, dz_x, dz, cell)
    assert_all_close(precision, [dx, direct + dh_previous] if previous else [dx], of_inputs)
    assert_all_close(precision, own, of_parameters)


@each_precision
@each_previous
def test_plain_recurrent_cell(precision, previous):
    cell, x, states, dy = recurrent_cell(precision, torch.nn.RNNCell, previous)
    results, of_inputs, of_parameters = torch_step(cell, x, states, dy)
    h_previous = np.zeros_like(dy[0]) if states is None else states[0]
    z = sum(pre_activations(x, h_previous, cell))
    h = activations.forward(z, "tanh")
    assert_all_close(precision, [h], results)
    dz = activations.backward(dy[0], z, h, "tanh")
    dx, dh_previous, own = parameter_gradients(x, h_previous, dz, dz, cell)
    assert_all_close(precision, [dx, dh_previous] if previous else [dx], of_inputs)
    assert_all_close(precision, own, of_parameters)


@each_precision
@pytest.mark.parametrize("lengths", [[3], [2, 5, 1, 2, 5], [1, 1, 1], [4, 7, 6, 2]])
def test_packed_sequences(precision, lengths):
    lengths, rnn = np.array(lengths), torch.nn.utils.rnn
    n, longest = len(lengths), np.max(lengths)
    padded = np.random.default_rng(0).standard_normal((n, longest, 3)).astype(precision.dtype)
    order, counts, starts = sequences.pack(lengths)
    # Sorted beforehand: PyTorch's own order of equally long ones is not said to be stable.
    packed = rnn.pack_padded_sequence(
        tensor(padded[order]), tensor(lengths[order]), batch_first=True
    )
    np.testing.assert_array_equal(counts, packed.batch_sizes)
    x = np.concatenate([padded[order[:count], step] for step, count in enumerate(counts)], axis=0)
    np.testing.assert_array_equal(x, packed.data)
    np.testing.assert_array_equal(starts, np.cumsum(counts) - counts)
    # Back to padded rows: reversed, and the last ones.
    reversed_x = tensor(sequences.reverse(x, lengths[order]))
    unpacked, _ = rnn.pad_packed_sequence(packed._replace(data=reversed_x), batch_first=True)
    for i, (row, length) in enumerate(zip(order, lengths[order], strict=True)):
        np.testing.assert_array_equal(unpacked[i, :length], padded[row, :length][::-1])
        np.testing.assert_array_equal(unpacked[i, length:], 0.0)
    last = pooling.forward(x, lengths[order], "last")
    np.testing.assert_array_equal(last, padded[order, lengths[order] - 1])


@each_precision
def test_last_states_of_two_directions_are_those_of_a_bidirectional_lstm(precision):
    # Its outputs of all steps, of which ours picks what PyTorch returns as last states.
    lengths, d = np.array([6, 6, 3, 2, 1]), 4
    rng = np.random.default_rng(0)
    x = rng.standard_normal((len(lengths), 6, 3)).astype(precision.dtype)
    torch.manual_seed(0)
    layer = torch.nn.LSTM(3, d, batch_first=True, bidirectional=True, dtype=tensor(x).dtype)
    packed = torch.nn.utils.rnn.pack_padded_sequence(tensor(x), lengths, batch_first=True)
    with torch.no_grad():
        outputs, (last, _) = layer(packed)
    expected = np.hstack([last[0].numpy(), last[1].numpy()])
    actual = pooling.forward(outputs.data.numpy(), lengths, "last", 2)
    np.testing.assert_array_equal(actual, expected)


@each_precision
@pytest.mark.parametrize("n_equal", [1, 3])
@pytest.mark.parametrize("with_nan", [False, True])
def test_pooling(precision, n_equal, with_nan):
    """Mean and maximum over time, where `n_equal` steps have the maximum."""
    n_steps, n, d = 9, 40, 7
    rng = np.random.default_rng(n_equal)
    x = rng.standard_normal((n_steps, n, d)).astype(precision.dtype)
    for i, j in np.ndindex(n, d):
        x[rng.permutation(n_steps)[:n_equal], i, j] = np.nan if with_nan and i % 2 else 5.0
    lengths = np.full(n, n_steps)
    dy = rng.standard_normal((n, 2 * d)).astype(precision.dtype)
    given = tensor(x, requires_grad=True)
    expected = torch.cat([given.mean(dim=0), given.max(dim=0).values], dim=1)
    expected.backward(tensor(dy))
    packed = x.reshape(n_steps * n, d)
    y = pooling.forward(packed, lengths, "mean_max")
    dx = pooling.backward(dy, packed, y, lengths, "mean_max")
    precision.assert_close(y, expected.detach().numpy())
    precision.assert_close(dx, given.grad.numpy().reshape(packed.shape))


@pytest.mark.skipif(layer.lanes() == 0, reason="there are no loops of fused layers")
@pytest.mark.parametrize("activation", ["identity", "relu", "silu"])
@pytest.mark.parametrize("sizes", [(16, 5, 3, 2), (100, 20, 100, 2), (57, 64, 65, 33)])
def test_a_layer_in_one_piece(activation, sizes):
    n, n_in, d, d_above = sizes
    rng = np.random.default_rng(n)
    operands = [
        rng.standard_normal((n, n_in)),
        rng.standard_normal((n_in, d)),
        rng.uniform(0.5, 1.5, d),
        rng.standard_normal(d),
        rng.standard_normal((d, d_above)),
    ]
    operands = [array.astype(np.float32) for array in operands]
    dy = rng.standard_normal((n, d_above)).astype(np.float32)
    x, weights, gamma, beta, above = operands
    y, z, side, mean, _, invstd = layer.forward(x, weights, gamma, beta, activation)
    # Sums about the mean rounded to float32, in both functions.
    g, *sums = layer.activation_gradient(dy, z, side, mean, activation, above)
    dz, dgamma, dbeta = layer.data_gradient(g, z, *sums, gamma, mean, invstd)
    results = [
        y,
        layer.product(dz, weights, transpose_b=True),
        layer.weight_gradient(x, dz),
        dgamma,
        dbeta,
        layer.weight_gradient(y, dy),
    ]
    # PyTorch in float64, so that all rounding is ours.
    wide = [tensor(array.astype(np.float64), requires_grad=True) for array in operands]
    x, weights, gamma, beta, above = wide
    normalized = functional.batch_norm(x @ weights, None, None, gamma, beta, training=True)
    function = {"identity": lambda v: v, "relu": torch.relu, "silu": functional.silu}[activation]
    y = function(normalized)
    (y @ above).backward(tensor(dy.astype(np.float64)))
    for actual, expected in zip(results, [y, *(v.grad for v in wide)], strict=True):
        expected = expected.detach().numpy()
        assert np.linalg.norm(actual - expected) < 2e-6 * np.linalg.norm(expected)
