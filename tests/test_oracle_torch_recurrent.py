"""Recurrent networks and PyTorch: its modules, and autograd of the equations.

PyTorch has no batch norm within a recurrent layer. What has none is compared with ``LSTM``,
``GRU`` and ``RNN``; what has one with the equations of ``skbn.network.recurrent``, written out
sequence by sequence and differentiated by autograd.

Accounted for: PyTorch's layers have two biases. Ours stands in ``bias_ih``, ``bias_hh`` is 0 but
for the candidate of a GRU, where the reset gate comes between them. Its Adam adds epsilon after
the bias correction, so its epsilon at step t is ours / sqrt(1 - beta_2^t).
"""

from itertools import pairwise

import numpy as np
import pytest
from sequences import CELLS, lengths_of, random_recurrent, random_sequences
from skbn.kernels.pooling import POOLINGS
from test_oracle_torch_network import norm_relative, torch_loss

from skbn.network import optimizer as optimizers
from skbn.network import views

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

TOLERANCE = 1e-9
MODULES = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "tanh": torch.nn.RNN}
N_STEPS = 6

each_cell = pytest.mark.parametrize("cell", CELLS)
each_direction = pytest.mark.parametrize("bidirectional", [False, True])
each_pooling = pytest.mark.parametrize("pooling", POOLINGS)
each_depth = pytest.mark.parametrize("units", [[4, 5, 3], [4, 5, 5, 3]], ids=["one", "two"])


def assert_close(actual, desired):
    """Lists of arrays, each relative to its own largest value."""
    for a, d in zip(actual, desired, strict=True):
        a, d = np.asarray(a), np.asarray(d)
        assert a.shape == d.shape
        if np.any(d):
            assert norm_relative([a], [d]) < TOLERANCE
        else:
            np.testing.assert_allclose(a, 0.0, atol=1e-14)


# Without batch norm: PyTorch's own modules.


class TorchRecurrent(torch.nn.Module):
    """PyTorch's layers and a linear map of their pooled states."""

    def __init__(self, units, cell, bidirectional, pooling="last"):
        super().__init__()
        n_inputs, *hidden, n_outputs = units
        assert len(set(hidden)) == 1
        self.layers = MODULES[cell](
            n_inputs, hidden[0], len(hidden), batch_first=True, bidirectional=bidirectional
        )
        self.n_directions = 2 if bidirectional else 1
        self.pooling = pooling
        n_poolings = 2 if pooling == "mean_max" else 1
        self.head = torch.nn.Linear(n_poolings * self.n_directions * hidden[0], n_outputs)
        self.double()

    def forward(self, X, lengths):
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            X, torch.from_numpy(lengths), batch_first=True, enforce_sorted=False
        )
        outputs, states = self.layers(packed)
        if self.pooling != "last":
            return self.head(self.pooled(outputs, torch.from_numpy(lengths)))
        h = states[0] if isinstance(states, tuple) else states
        return self.head(torch.cat(list(h[-self.n_directions :]), dim=1))

    def pooled(self, outputs, lengths):
        """Mean and maximum of padded outputs, with the padding masked."""
        y = torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)[0]
        is_real = (torch.arange(y.shape[1]) < lengths[:, None])[:, :, None]
        mean = torch.where(is_real, y, 0.0).sum(dim=1) / lengths[:, None]
        maximum = torch.where(is_real, y, -torch.inf).max(dim=1).values
        return {
            "mean": mean,
            "max": maximum,
            "mean_max": torch.cat([mean, maximum], dim=1),
        }[self.pooling]

    def directions(self):
        """The four parameters of each layer and direction, in the order of a plan."""
        for layer in range(self.layers.num_layers):
            for end in ("", "_reverse")[: self.n_directions]:
                yield [
                    getattr(self.layers, f"{name}_l{layer}{end}")
                    for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
                ]


def torch_recurrent(network, units, cell, bidirectional, pooling="last"):
    """PyTorch's layers with copies of a network's weights, and what of them is trained."""
    model = TorchRecurrent(units, cell, bidirectional, pooling)
    weights = views.weights(network.plan, network.parameters)
    biases = views.biases(network.plan, network.parameters)
    with torch.no_grad():
        for k, (weight_ih, bias_ih, weight_hh, bias_hh) in enumerate(model.directions()):
            weight_ih.copy_(torch.from_numpy(weights[2 * k].T.copy()))
            weight_hh.copy_(torch.from_numpy(weights[2 * k + 1].T.copy()))
            bias_ih.copy_(torch.from_numpy(biases[2 * k]))
            bias_hh.zero_()
            if cell == "gru":
                d = weight_hh.shape[1]
                bias_hh[2 * d :] = torch.from_numpy(biases[2 * k + 1])
        model.head.weight.copy_(torch.from_numpy(weights[-1].T.copy()))
        model.head.bias.copy_(torch.from_numpy(biases[-1]))
    for _, _, weight_hh, bias_hh in model.directions():
        if cell == "gru":
            d = weight_hh.shape[1]
            candidate = torch.arange(3 * d) >= 2 * d
            bias_hh.register_hook(lambda gradient, candidate=candidate: gradient * candidate)
        else:
            bias_hh.requires_grad_(False)
    return model


def torch_arrays(model, cell, of):
    """Weights, then the biases that are ours, in the order of the views."""
    weights, biases = [], []
    for weight_ih, bias_ih, weight_hh, bias_hh in model.directions():
        weights += [of(weight_ih).T, of(weight_hh).T]
        biases.append(of(bias_ih))
        if cell == "gru":
            biases.append(of(bias_hh)[2 * weight_hh.shape[1] :])
    return [*weights, of(model.head.weight).T, *biases, of(model.head.bias)]


def own_arrays(plan, flat):
    arrays = (
        views.weights(plan, flat)
        + views.biases(plan, flat)
        + views.gammas(plan, flat)
        + views.betas(plan, flat)
    )
    return [array for array in arrays if array.flags.writeable]


def gradient_of(parameter):
    return parameter.grad.numpy()


def value_of(parameter):
    return parameter.detach().numpy()


def padded(table, rows=slice(None)):
    return torch.from_numpy(np.nan_to_num(table.X[rows]))


def case(units, cell, bidirectional, ragged, loss, n=20, pooling="last"):
    network = random_recurrent(
        units, cell, None, N_STEPS, loss, bidirectional=bidirectional, pooling=pooling, scale=0.5
    )
    table = random_sequences(n, N_STEPS, units[0], loss, units[-1], ragged=ragged, normalized=False)
    return network, torch_recurrent(network, units, cell, bidirectional, pooling), table


@each_cell
@each_direction
@each_depth
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("loss", ["softmax_log_loss", "squared_error"])
@each_pooling
def test_outputs_and_gradients_of_torch_modules(units, cell, bidirectional, ragged, loss, pooling):
    network, model, table = case(units, cell, bidirectional, ragged, loss, pooling=pooling)
    losses, gradient = network.loss_and_gradient(table)
    outputs = model(padded(table), table.lengths)
    value = torch_loss(loss, outputs, torch.from_numpy(table.y))
    value.backward()
    assert losses[0, 0] == pytest.approx(value.item(), rel=TOLERANCE)
    assert_close([network.infer(table)], [value_of(outputs)])
    assert_close(own_arrays(network.plan, gradient), torch_arrays(model, cell, gradient_of))


@each_cell
@each_direction
@pytest.mark.parametrize("ragged", [False, True])
@each_pooling
def test_ten_steps_of_adam(cell, bidirectional, ragged, pooling):
    units, loss, learning_rate, n_steps, n_rows = [4, 5, 5, 3], "softmax_log_loss", 0.01, 10, 16
    network, model, table = case(
        units, cell, bidirectional, ragged, loss, n=n_steps * n_rows, pooling=pooling
    )
    torch_optimizer = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad], lr=learning_rate
    )
    losses = network.train(
        table, optimizers.adam(), network.new_moments(), np.arange(table.n_rows),
        n_rows * np.arange(n_steps + 1), np.full(n_steps, learning_rate),
    )  # fmt: skip
    for step in range(n_steps):
        rows = slice(step * n_rows, (step + 1) * n_rows)
        for group in torch_optimizer.param_groups:
            group["eps"] = 1e-8 / np.sqrt(1 - 0.999 ** (step + 1))
        torch_optimizer.zero_grad()
        outputs = model(padded(table, rows), table.lengths[rows])
        value = torch_loss(loss, outputs, torch.from_numpy(table.y[rows]))
        value.backward()
        torch_optimizer.step()
        assert losses[step, 0] == pytest.approx(value.item(), rel=TOLERANCE)
    assert_close(own_arrays(network.plan, network.parameters), torch_arrays(model, cell, value_of))
    with torch.no_grad():
        outputs = model(padded(table), table.lengths)
    assert_close([network.infer(table)], [outputs.numpy()])


# With batch norm: the equations, one sequence at a time where nothing is normalized.


class Norm:
    """One batch norm: its statistics of a batch, or the running ones."""

    def __init__(self, gamma, beta, running, epsilon):
        self.gamma, self.beta, self.epsilon = gamma, beta, epsilon
        self.running_mean, self.running_var = running
        self.n_steps = len(self.running_mean)
        self.batch = []  # mean and variance of each step that has its own

    def statistics(self, x, weight, step, n_own):
        """Those that rows of a step are normalized by; `n_own` of None: the running ones."""
        if n_own is None:
            step = min(step, self.n_steps - 1)
            return self.running_mean[step], self.running_var[step]
        if step < min(n_own, self.n_steps):
            share = (weight / weight.sum())[:, None]
            mean = (share * x).sum(dim=0)
            self.batch.append((mean, (share * (x - mean) ** 2).sum(dim=0)))
        return self.batch[-1]

    def apply(self, x, mean, var):
        # Without variance there is nothing to scale.
        invstd = torch.where(var == 0.0, 0.0, (var + self.epsilon) ** -0.5)
        y = self.gamma * (x - mean) * invstd
        return y if self.beta is None else y + self.beta

    def __call__(self, x, weight, step, n_own):
        return self.apply(x, *self.statistics(x, weight, step, n_own))

    def next_running(self, momentum, n_tracked):
        """Running statistics after this batch, if `n_tracked` steps had their own before.

        It updates the steps that it has statistics of, sets those that had none, and leaves the
        others, but for those that nobody had any of: these are as the last one.
        """
        n_own = len(self.batch)
        last = min(max(n_own, n_tracked), self.n_steps) - 1
        results = []
        for running, own in zip(
            (self.running_mean, self.running_var), zip(*self.batch, strict=True), strict=True
        ):
            result = running.numpy().copy()
            weight = np.where(np.arange(n_own) < n_tracked, momentum, 1.0)[:, np.newaxis]
            own = torch.stack(list(own)).detach().numpy()
            result[:n_own] = (1 - weight) * result[:n_own] + weight * own
            result[last + 1 :] = result[last]
            results.append(result)
        return results


class Reference:
    """A recurrent network by the equations, from a network's plan and parameters."""

    def __init__(self, network, cell, batch_norm, *, bidirectional, shared, pooling="last"):
        self.pooling, self.cell, self.batch_norm, self.shared = pooling, cell, batch_norm, shared
        self.n_directions = 2 if bidirectional else 1
        self.flat = torch.tensor(network.parameters, requires_grad=True)
        plan = network.plan
        weights, biases, gammas, betas = (
            iter([self._parameter(where) for where in view(plan, np.arange(len(self.flat)))])
            for view in (views.weights, views.biases, views.gammas, views.betas)
        )
        running = zip(
            views.running_means(plan, network.statistics.copy()),
            views.running_vars(plan, network.statistics.copy()),
            strict=True,
        )
        epsilon = float(plan["epsilon"].max())
        self.norms = [
            Norm(gamma, beta, [torch.from_numpy(r) for r in pair], epsilon)
            for gamma, beta, pair in zip(gammas, betas, running, strict=True)
        ]
        weights, biases = list(weights), list(biases)
        self.head = weights.pop(), biases.pop()
        self.maps = list(zip(weights[::2], biases[::2], weights[1::2], biases[1::2], strict=True))

    def _parameter(self, where):
        return self.flat[torch.from_numpy(where.copy())] if where.flags.writeable else None

    def outputs(self, sequences, weight=None, training=True):
        """Raw outputs for a list of tensors, one a sequence, (length, n_features)."""
        n = len(sequences)
        if weight is None:
            weight = torch.ones(n, dtype=torch.float64)
        n_own = own_steps_of([len(x) for x in sequences], weight) if training and n > 1 else None
        norms = iter(self.norms)
        for layer in range(len(self.maps) // self.n_directions):
            forward, *backward = (
                self._direction(
                    [x.flip(0) for x in sequences] if k else sequences,
                    weight, n_own, self.maps[self.n_directions * layer + k], norms,
                )
                for k in range(self.n_directions)
            )  # fmt: skip
            # Each direction's last state, after all it has read.
            last = [torch.cat([h[i][-1] for h in (forward, *backward)]) for i in range(n)]
            sequences = [
                torch.cat([forward[i], *(h[i].flip(0) for h in backward)], dim=1) for i in range(n)
            ]
        pooled = {
            "last": lambda: torch.stack(last),
            "mean": lambda: torch.stack([x.mean(dim=0) for x in sequences]),
            "max": lambda: torch.stack([x.max(dim=0).values for x in sequences]),
            "mean_max": lambda: torch.stack(
                [torch.cat([x.mean(dim=0), x.max(dim=0).values]) for x in sequences]
            ),
        }[self.pooling]()
        W, b = self.head
        return pooled @ W + b

    def _direction(self, sequences, weight, n_own, maps, norms):
        W_x, b_x, W_h, b_h = maps
        N_x = next(norms) if self.batch_norm else None
        N_h = next(norms) if self.batch_norm == "full" else None
        N_c = next(norms) if self.batch_norm == "full" and self.cell == "lstm" else None
        d = W_h.shape[0]
        a = [x @ W_x for x in sequences]
        if self.shared:
            lengths = torch.tensor([len(x) for x in sequences])
            of_all = N_x.statistics(torch.cat(a), weight.repeat_interleave(lengths), 0, n_own and 1)
        h = [torch.zeros(d, dtype=torch.float64)] * len(sequences)
        c = list(h)
        states = [[] for _ in sequences]
        for step in range(max(len(x) for x in sequences)):
            active = [i for i, x in enumerate(sequences) if len(x) > step]
            w = weight[active]
            x_part = torch.stack([a[i][step] for i in active])
            if b_x is not None:
                x_part = x_part + b_x
            elif self.shared:
                x_part = N_x.apply(x_part, *of_all)
            else:
                x_part = N_x(x_part, w, step, n_own)
            h_before = torch.stack([h[i] for i in active])
            h_part = h_before @ W_h
            if N_h is not None:
                h_part = N_h(h_part, w, step, n_own)
            if self.cell == "lstm":
                i_, f, g, o = (x_part + h_part).split(d, dim=1)
                c_new = f.sigmoid() * torch.stack([c[k] for k in active]) + i_.sigmoid() * g.tanh()
                normalized = c_new if N_c is None else N_c(c_new, w, step, n_own)
                h_new = o.sigmoid() * normalized.tanh()
            elif self.cell == "gru":
                r, z, n = x_part.split(d, dim=1)
                r_h, z_h, n_h = h_part.split(d, dim=1)
                z = (z + z_h).sigmoid()
                n = (n + (r + r_h).sigmoid() * (n_h + b_h)).tanh()
                h_new = c_new = (1 - z) * n + z * h_before
            else:
                h_new = c_new = (x_part + h_part).tanh()
            for k, i in enumerate(active):
                h[i], c[i] = h_new[k], c_new[k]
                states[i].append(h_new[k])
        return [torch.stack(s) for s in states]


def own_steps_of(lengths, weight):
    """Leading steps that 8 sequences with a weight reach, or all of them; the second for two."""
    with_weight = [length for length, w in zip(lengths, weight, strict=True) if w > 0]
    counts = [sum(length > step for length in with_weight) for step in range(max(with_weight))]
    least = min(8, counts[0])
    n_own = 1
    while n_own < len(counts) and counts[n_own] >= least:
        n_own += 1
    return 2 if n_own == 1 and len(counts) > 1 and counts[1] > 1 else n_own


def real_parts(table, rows=None):
    """The real steps of each sequence as the network sees them: its columns normalized."""
    rows = range(table.n_rows) if rows is None else rows
    return [
        torch.from_numpy((table.X[i, : table.lengths[i]] - table.input_mean) * table.input_invstd)
        for i in rows
    ]


def reference_loss(loss, outputs, y, weight):
    """The weighted mean of each row's loss, summed over the outputs."""
    if loss == "softmax_log_loss":
        rows = torch.nn.functional.cross_entropy(outputs, y[:, 0].long(), reduction="none")
    elif loss == "logistic_log_loss":
        rows = torch.nn.functional.binary_cross_entropy_with_logits(outputs, y, reduction="none")
        rows = rows.sum(dim=1)
    else:
        rows = 0.5 * ((outputs - y) ** 2).sum(dim=1)
    weight = torch.ones_like(rows) if weight is None else weight
    return (weight * rows).sum() / weight.sum()


# How many sequences reach each step; the fewest that have statistics of their own are 8.
COUNTS = {
    "equal": [12] * N_STEPS,
    "many at each step": [30, 24, 20, 15, 11, 8],
    "few at later steps": [20, 14, 9, 5, 3, 1],
    "few at the second step": [14, 5, 3, 2, 2, 1],
    "one at the second step": [9, 1, 1, 1, 1, 1],
    "four sequences": [4, 4, 3, 2, 2, 1],
}
each_batch = pytest.mark.parametrize("counts", COUNTS.values(), ids=COUNTS.keys())
each_norm = pytest.mark.parametrize(
    ("batch_norm", "shared"),
    [("full", False), ("full", True), ("input", False), ("input", True)],
    ids=["full", "full-shared", "input", "input-shared"],
)


def weight_of(table, rows=slice(None)):
    return None if table.sample_weight is None else torch.from_numpy(table.sample_weight[rows])


def assert_same_loss_and_gradient(network, reference, table, loss):
    losses, gradient = network.loss_and_gradient(table)
    outputs = reference.outputs(real_parts(table), weight_of(table))
    value = reference_loss(loss, outputs, torch.from_numpy(table.y), weight_of(table))
    value.backward()
    assert losses[0, 0] == pytest.approx(value.item(), rel=TOLERANCE)
    desired = reference.flat.grad.numpy()
    assert np.isfinite(desired).all()
    assert_close(own_arrays(network.plan, gradient), own_arrays(network.plan, desired))


@each_cell
@each_norm
@each_direction
@each_batch
@pytest.mark.parametrize("weighted", [False, True])
def test_training_by_the_equations(cell, batch_norm, shared, bidirectional, counts, weighted):
    units, loss = [4, 5, 2], "squared_error"
    options = {"bidirectional": bidirectional, "shared": shared}
    network = random_recurrent(units, cell, batch_norm, N_STEPS, loss, **options)
    table = random_sequences(
        counts[0], N_STEPS, units[0], loss, units[-1], lengths=lengths_of(counts), weighted=weighted
    )
    reference = Reference(network, cell, batch_norm, **options)
    assert_same_loss_and_gradient(network, reference, table, loss)


@each_cell
@pytest.mark.parametrize(
    ("batch_norm", "shared"),
    [("full", False), ("full", True), ("input", False), ("input", True), (None, False)],
)
@each_direction
@pytest.mark.parametrize("loss", ["softmax_log_loss", "logistic_log_loss", "squared_error"])
@pytest.mark.parametrize("weighted", [False, True])
@each_pooling
def test_training_of_two_layers_by_the_equations(
    cell, batch_norm, shared, bidirectional, loss, weighted, pooling
):
    units, counts = [4, 5, 3, 2], COUNTS["few at later steps"]
    options = {"bidirectional": bidirectional, "shared": shared, "pooling": pooling}
    network = random_recurrent(units, cell, batch_norm, N_STEPS, loss, **options)
    table = random_sequences(
        counts[0], N_STEPS, units[0], loss, units[-1], lengths=lengths_of(counts), weighted=weighted
    )
    reference = Reference(network, cell, batch_norm, **options)
    assert_same_loss_and_gradient(network, reference, table, loss)


@each_cell
@each_norm
@each_direction
def test_training_on_longer_sequences_than_there_are_statistics(
    cell, batch_norm, shared, bidirectional
):
    units, loss = [4, 5, 3, 2], "squared_error"
    options = {"bidirectional": bidirectional, "shared": shared}
    network = random_recurrent(units, cell, batch_norm, 2, loss, **options)
    table = random_sequences(20, N_STEPS, units[0], loss, units[-1], ragged=True)
    reference = Reference(network, cell, batch_norm, **options)
    assert_same_loss_and_gradient(network, reference, table, loss)


@each_cell
@each_norm
def test_training_on_one_sequence(cell, batch_norm, shared):
    units, loss = [4, 5, 3, 2], "squared_error"
    options = {"bidirectional": True, "shared": shared}
    network = random_recurrent(units, cell, batch_norm, N_STEPS, loss, **options)
    table = random_sequences(1, N_STEPS, units[0], loss, units[-1], weighted=True)
    table.sample_weight[:] = 3.0
    reference = Reference(network, cell, batch_norm, **options)
    assert_same_loss_and_gradient(network, reference, table, loss)


@each_cell
@each_norm
@each_direction
@pytest.mark.parametrize("weighted", [False, True])
def test_running_statistics(cell, batch_norm, shared, bidirectional, weighted):
    # The first batch sets them, whatever they were; a later one has the weight `momentum`, but
    # sets the steps that no batch before had statistics of.
    units, loss, learning_rate = [4, 5, 3, 2], "squared_error", 0.05
    options = {"bidirectional": bidirectional, "shared": shared}
    network = random_recurrent(units, cell, batch_norm, N_STEPS, loss, **options)
    # The second and the fourth batch have no statistics of the last steps.
    counts = [
        [9, 9, 8, 8, 2],
        COUNTS["few at later steps"],
        COUNTS["many at each step"],
        [9, 9, 8, 8],
    ]
    n_tracked = 0
    lengths = np.concatenate([lengths_of(batch) for batch in counts])
    table = random_sequences(
        len(lengths), N_STEPS, units[0], loss, units[-1], lengths=lengths, weighted=weighted
    )
    bounds = np.cumsum([0, *(batch[0] for batch in counts)])
    optimizer, moments = optimizers.sgd(momentum=0.0), network.new_moments()
    for start, stop in pairwise(bounds):
        rows = np.arange(start, stop)
        reference = Reference(network, cell, batch_norm, **options)
        outputs = reference.outputs(real_parts(table, rows), weight_of(table, rows))
        weight = weight_of(table, rows)
        reference_loss(loss, outputs, torch.from_numpy(table.y[rows]), weight).backward()
        before = network.parameters.copy()
        network.train(
            table, optimizer, moments, rows, np.array([0, len(rows)]), np.array([learning_rate])
        )
        step = learning_rate * reference.flat.grad.numpy()
        assert norm_relative([before - network.parameters], [step]) < TOLERANCE
        expected = [norm.next_running(0.1, n_tracked) for norm in reference.norms]
        of_rows = np.ones(len(rows)) if weight is None else weight
        n_tracked = max(n_tracked, own_steps_of(table.lengths[rows], of_rows))
        assert network.n_steps_tracked == n_tracked
        assert_close(
            views.running_means(network.plan, network.statistics), [mean for mean, _ in expected]
        )
        assert_close(
            views.running_vars(network.plan, network.statistics), [var for _, var in expected]
        )
    assert network.n_batches_tracked == 4


@each_cell
@pytest.mark.parametrize(
    ("batch_norm", "shared"),
    [("full", False), ("full", True), ("input", False), ("input", True), (None, False)],
)
@each_direction
@pytest.mark.parametrize("longest", [3, N_STEPS, 3 * N_STEPS])
@each_pooling
def test_inference_by_the_equations(cell, batch_norm, shared, bidirectional, longest, pooling):
    # Of sequences longer than any in training the statistics of the last step serve.
    units, loss = [4, 5, 3, 2], "squared_error"
    options = {"bidirectional": bidirectional, "shared": shared, "pooling": pooling}
    network = random_recurrent(units, cell, batch_norm, N_STEPS, loss, **options)
    table = random_sequences(40, longest, units[0], loss, units[-1], ragged=True)
    rows = np.random.default_rng(0).integers(0, 40, 50)
    reference = Reference(network, cell, batch_norm, **options)
    with torch.no_grad():
        desired = reference.outputs(real_parts(table, rows), training=False).numpy()
    assert_close([network.infer(table, rows)], [desired])


@each_cell
@each_direction
@each_pooling
def test_inference_in_blocks(cell, bidirectional, pooling):
    units, loss = [2, 3, 1], "squared_error"
    options = {"bidirectional": bidirectional, "shared": False, "pooling": pooling}
    network = random_recurrent(units, cell, "full", 3, loss, **options)
    table = random_sequences(1100, 3, units[0], loss, units[-1], ragged=True)
    reference = Reference(network, cell, "full", **options)
    with torch.no_grad():
        desired = reference.outputs(real_parts(table), training=False).numpy()
    assert_close([network.infer(table)], [desired])
