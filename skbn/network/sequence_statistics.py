"""Exact running statistics of a recurrent network: those of given sequences, step by step.

What a step's normalization sees depends on how the steps before it were normalized, so there is
one way only: all sequences go through a step together, its moments are taken, and with these
they go on to the next. What comes out is what the training-mode pass over all sequences as one
batch would have, whose memory this does not need: of a layer it holds the states of one step.
Layers go side by side, each step through all of them, unless the one above has to know all steps
beforehand, since it reads from their end or has statistics of all of them together; then the
outputs of all steps are held, too.
"""

import numpy as np

from skbn.kernels import batchnorm, cells, linear, moments, sequences
from skbn.kernels.cells import CELLS
from skbn.kernels.gather import gather
from skbn.network import views
from skbn.network.normalization import own_steps
from skbn.network.operations import PARTS
from skbn.network.plan import LINEAR, NO_PART, RECURRENT

# Sequences of one block: what its step's products take.
BLOCK_ROWS = 2048


def exact_statistics(network, table, rows):
    """Running statistics of a recurrent network for sequences of a table, as a new array.

    A time step that too few sequences reach for statistics of its own has those of the last one
    that enough reach, as in a mini-batch (``own_steps``).

    Parameters
    ----------
    network : Network
        Recurrent; not changed.
    table : Table
        The sequences; the moments are weighted by its `weight_in_statistics`, biased.
    rows : ndarray of shape (n,), intp
        Row numbers.

    Returns
    -------
    statistics : ndarray of shape (n_statistics,), float64
    n_own : int
        Leading time steps that have their own.
    """
    batch = Batch(table, rows)
    statistics = network.statistics.copy()
    inputs = TableInputs(table, batch, network.parameters.dtype)
    plan = network.plan
    positions = np.flatnonzero(plan["kind"] == RECURRENT)
    if (plan["n_directions"][positions] == 1).all() and not plan["shared"].any():
        layers = []
        for position in positions:
            layers.append(Direction(network, statistics, position, inputs, batch))
            inputs = LayerInputs(layers[-1])
        run(layers)
        return statistics, batch.n_own
    outputs = []
    for position in positions:
        direction = Direction(network, statistics, position, inputs, batch)
        # Nobody reads the outputs of the highest layer.
        keeps = plan["x"][position] != plan["x"][positions[-1]]
        outputs.append(run([direction], keeps))
        if keeps and plan["direction"][position] == plan["n_directions"][position] - 1:
            inputs = StoredInputs(outputs)
            outputs = []
    return statistics, batch.n_own


def run(layers, keeps=False):
    """All steps of layers, each step through all of them.

    Returns the last one's outputs, (n, n_steps, d) in the order of time, if they are kept.
    """
    batch, last = layers[-1].batch, layers[-1]
    n_steps = len(batch.counts)
    outputs = None
    if keeps:
        outputs = np.zeros((len(last.h), n_steps, last.h.shape[1]), last.dtype)
    for layer in layers:
        layer.begin()
    for step in range(n_steps):
        for layer in layers:
            layer.advance(step)
        if keeps:
            for block in batch.blocks(step):
                times = batch.times(block, step, last.reversed)
                outputs[np.arange(block.start, block.stop), times] = last.h[block]
    for layer in layers:
        layer.end()
    return outputs


class Batch:
    """Sequences sorted by length, the longest first.

    Attributes
    ----------
    numbers, lengths : ndarray of shape (n,)
        Their row numbers and steps.
    counts : ndarray of shape (n_steps,)
        How many have each step: the first so many.
    sample_weight : ndarray of shape (n,) or None
        Their weights in the statistics.
    n_own : int
        Leading steps with statistics of their own.
    """

    def __init__(self, table, rows):
        order, self.counts, _ = sequences.pack(table.lengths[rows])
        self.numbers = rows[order]
        self.lengths = table.lengths[self.numbers]
        self.sample_weight = None
        if table.weight_in_statistics is not None:
            self.sample_weight = table.weight_in_statistics[self.numbers]
        self.n_own = own_steps(self.counts, self.sample_weight)

    def blocks(self, step):
        """Slices of the sequences that have a step."""
        return [
            slice(start, min(start + BLOCK_ROWS, self.counts[step]))
            for start in range(0, self.counts[step], BLOCK_ROWS)
        ]

    def times(self, block, step, reversed):
        """When a direction is at its own `step`, for the sequences of a block."""
        if reversed:
            return self.lengths[block] - 1 - step
        return np.full(block.stop - block.start, step)


class TableInputs:
    """The steps of a table, normalized by its fixed moments."""

    def __init__(self, table, batch, dtype):
        self.table, self.numbers, self.dtype = table, batch.numbers, dtype

    def at(self, block, times):
        table = self.table
        return gather(
            table.X[self.numbers[block], times],
            None,
            table.input_mean,
            table.input_invstd,
            self.dtype,
            clipped=table.input_clipped,
        )


class LayerInputs:
    """The outputs of the layer below at the step where it is, which is that of the layer above."""

    def __init__(self, below):
        self.below = below

    def at(self, block, times):
        return self.below.h[block]


class StoredInputs:
    """The outputs of the layer below, (n, n_steps, d) of each direction."""

    def __init__(self, outputs):
        self.outputs = outputs

    def at(self, block, times):
        numbers = np.arange(block.start, block.stop)
        return np.hstack([output[numbers, times] for output in self.outputs])


class Moments:
    """Weighted moments of columns, merged block by block."""

    def __init__(self, d):
        self.mean, self.var, self.weight = np.zeros(d), np.zeros(d), np.zeros(d)

    def add(self, x, sample_weight):
        if sample_weight is None:
            mean, var = moments.batch_moments(x)
            weight = np.full(len(mean), float(len(x)))
        else:
            mean, var, weight = moments.weighted_moments(x, sample_weight)
        moments.merge(self.mean, self.var, self.weight, mean, var, weight)


class Norm:
    """One normalization of a layer: its parameters and, step by step, its statistics.

    Attributes
    ----------
    n_own : int
        Leading steps with statistics of their own; the last one's serve for those behind.
    """

    def __init__(self, n_own, operation, gamma, beta, running_mean, running_var):
        self.n_own = min(n_own, len(running_mean))
        self.epsilon = float(operation["epsilon"])
        self.is_shared = bool(operation["shared"])
        self.gamma, self.beta = gamma, beta
        self.running_mean, self.running_var = running_mean, running_var

    def set(self, step, collected, dtype):
        self.running_mean[step] = collected.mean
        self.running_var[step] = moments.without_rounding(collected.mean, collected.var, dtype)

    def set_beyond(self):
        """Give the steps behind those of the last step that has its own."""
        self.running_mean[self.n_own :] = self.running_mean[self.n_own - 1]
        self.running_var[self.n_own :] = self.running_var[self.n_own - 1]

    def of(self, x, step):
        step = min(step, self.n_own - 1)
        return batchnorm.infer(
            x, self.gamma, self.beta, self.running_mean[step], self.running_var[step], self.epsilon
        )


class Direction:
    """One direction of a recurrent layer, all sequences side by side.

    Parameters
    ----------
    network : Network
        Its parameters are used.
    statistics : ndarray of shape (n_statistics,)
        Those of this layer are set, those of the layers below are.
    position : int
        Of its operation in the plan.
    inputs : TableInputs, LayerInputs or StoredInputs
    batch : Batch
    """

    def __init__(self, network, statistics, position, inputs, batch):
        plan = network.plan
        self.inputs, self.batch = inputs, batch
        self.cell = next(name for name, code in CELLS.items() if code == plan["cell"][position])
        self.reversed = bool(plan["direction"][position])
        self.dtype = network.parameters.dtype
        maps = zip(
            np.flatnonzero(plan["kind"] == LINEAR),
            views.weights(plan, network.parameters),
            views.biases(plan, network.parameters),
            strict=True,
        )
        maps = {row: (weights, bias) for row, weights, bias in maps}
        norms = zip(
            views.positions_of_norms(plan),
            views.gammas(plan, network.parameters),
            views.betas(plan, network.parameters),
            views.running_means(plan, statistics),
            views.running_vars(plan, statistics),
            strict=True,
        )
        norms = {row: Norm(batch.n_own, plan[row], *arrays) for row, *arrays in norms}
        parts = {}
        row = position + 1
        while row < len(plan) and plan["part"][row] != NO_PART:
            parts[int(plan["part"][row])] = maps.get(row) or norms.get(row)
            row += 1
        self.input_map = parts[PARTS["input_map"]]
        self.recurrent_map = parts[PARTS["recurrent_map"]]
        self.input_norm = parts.get(PARTS["input_norm"])
        self.recurrent_norm = parts.get(PARTS["recurrent_norm"])
        self.cell_norm = parts.get(PARTS["cell_norm"])
        n, d = len(batch.numbers), self.recurrent_map[0].shape[0]
        self.h = np.zeros((n, d), self.dtype)
        self.c = np.zeros((n, d), self.dtype)
        self.o = np.zeros((n, d), self.dtype)
        self.is_shared = self.input_norm is not None and self.input_norm.is_shared

    def begin(self):
        """Set what is of all steps together."""
        if self.is_shared:
            self._set_shared()

    def end(self):
        """Set the steps without statistics of their own."""
        for norm in (self.input_norm, self.recurrent_norm, self.cell_norm):
            if norm is not None:
                norm.set_beyond()

    def _input_part(self, block, step):
        x = self.inputs.at(block, self.batch.times(block, step, self.reversed))
        weights, bias = self.input_map
        return linear.forward(x, weights, bias)

    def _set_shared(self):
        collected = Moments(self.input_map[0].shape[1])
        for step in range(len(self.batch.counts)):
            self._collect(collected, step, lambda block, step=step: self._input_part(block, step))
        self.input_norm.set(0, collected, self.dtype)

    def _collect(self, collected, step, part):
        weight = self.batch.sample_weight
        for block in self.batch.blocks(step):
            collected.add(part(block), None if weight is None else weight[block])

    def _set_statistics(self, norm, step, part):
        if norm is None or step >= norm.n_own:
            return
        collected = Moments(norm.gamma.size)
        self._collect(collected, step, part)
        norm.set(step, collected, self.dtype)

    def advance(self, step):
        """All sequences that have a step go through it: its statistics, then `h` of that step."""
        # The parts of a block are computed twice where there are many blocks: once for their
        # moments, once to be normalized by them.
        kept = {}

        def input_part(block):
            return self._input_part(block, step)

        def recurrent_part(block):
            return linear.forward(self.h[block], self.recurrent_map[0])

        def once(name, part):
            if len(self.batch.blocks(step)) > 1:
                return part

            def looked_up(block):
                if name not in kept:
                    kept[name] = part(block)
                return kept[name]

            return looked_up

        input_part, recurrent_part = once("input", input_part), once("recurrent", recurrent_part)
        if not self.is_shared:
            self._set_statistics(self.input_norm, step, input_part)
        if step > 0:
            self._set_statistics(self.recurrent_norm, step, recurrent_part)
        elif self.recurrent_norm is not None:
            # What is 0 in all sequences.
            self.recurrent_norm.running_mean[0] = self.recurrent_norm.running_var[0] = 0.0
        for block in self.batch.blocks(step):
            z = input_part(block)
            if self.input_norm is not None:
                z = self.input_norm.of(z, step)
            u = np.zeros_like(z)
            if step > 0:
                u = recurrent_part(block)
                if self.recurrent_norm is not None:
                    u = self.recurrent_norm.of(u, step)
            self._go_on(block, z, u)
        if self.cell == "lstm":
            self._set_statistics(self.cell_norm, step, lambda block: self.c[block])
            for block in self.batch.blocks(step):
                c = self.c[block]
                if self.cell_norm is not None:
                    c = self.cell_norm.of(c, step)
                self.h[block] = self.o[block] * np.tanh(c)

    def _go_on(self, block, z, u):
        d = self.h.shape[1]
        if self.cell == "lstm":
            gates, self.c[block] = cells.lstm(z + u, self.c[block])
            self.o[block] = gates[:, 3 * d :]
        elif self.cell == "gru":
            z[:, : 2 * d] += u[:, : 2 * d]
            candidate = u[:, 2 * d :] + self.recurrent_map[1]
            _, self.h[block] = cells.gru(z, candidate, self.h[block])
        else:
            self.h[block] = np.tanh(z + u)
