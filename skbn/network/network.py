"""A network: a plan with its flat memory, and what can be done with it.

`Network` knows neither epochs nor estimators. Its whole state is `plan`, `loss` and three
arrays (`parameters`, `statistics`, and the number of batches the statistics have seen).
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse

from skbn.kernels import losses as loss_kernels
from skbn.kernels.losses import LOSSES
from skbn.network import blas_buffer, block, inference, views
from skbn.network import optimizer as optimizers
from skbn.network.plan import BATCH_NORM, LINEAR, NO_PART, Sizes, without_inputs
from skbn.network.recurrent_plan import is_recurrent

# Work memory of inference, in elements: small enough for a second-level cache.
INFERENCE_WORK = 1 << 18
INFERENCE_ROWS = (64, 4096)

# Of sequences, whose steps are all there at once: some megabytes, and enough for the products.
SEQUENCE_WORK = 1 << 21
SEQUENCE_ROWS = (16, 512)

NO_INDEX = np.empty(0, np.int32)
NO_LENGTHS = np.empty(0, np.intp)


@dataclass
class Table:
    """Rows to train on, and the fixed normalization of their columns.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features), any strides, or CSR matrix or array
        float32 or float64, whatever the network computes in. The three arrays of a sparse one
        are contiguous, its indices of one dtype. For a recurrent network sequences, an ndarray
        of shape (n_samples, n_steps, n_features), C-ordered.
    y : ndarray of shape (n_samples, n_targets), C-ordered, or None
        In the dtype of the network; for a softmax one column of class numbers.
    sample_weight : ndarray of shape (n_samples,), float64, or None
        Weights of the rows in the loss.
    statistics_weight : ndarray of shape (n_samples,), float64, or None
        Weights of the rows in the statistics of batch norm, positive where `sample_weight` is;
        only beside `sample_weight`. ``None``: the statistics are weighted by `sample_weight`.
    input_mean, input_invstd : ndarray of shape (n_features,), float64, or None
        What is subtracted from a column, and what multiplies it then.
    input_clipped : bool
        Whether what comes of that goes through the smooth clip of ``skbn.kernels.gather``.
        Not of a sparse table, whose zeros would have to be known.
    lengths : ndarray of shape (n_samples,), intp, or None
        Steps of each sequence, at least 1; what stands behind them is never read. ``None``:
        `X` has no sequences.
    """

    X: object
    y: np.ndarray | None = None
    sample_weight: np.ndarray | None = None
    input_mean: np.ndarray | None = None
    input_invstd: np.ndarray | None = None
    input_clipped: bool = False
    lengths: np.ndarray | None = None
    statistics_weight: np.ndarray | None = None

    @property
    def n_rows(self):
        return self.X.shape[0]

    @property
    def is_sparse(self):
        return issparse(self.X)

    @property
    def weight_in_statistics(self):
        """What the statistics of batch norm are weighted by: `statistics_weight`, or the loss's."""
        return self.sample_weight if self.statistics_weight is None else self.statistics_weight

    def arrays(self):
        """X as the three arrays that blocks take: table or data, indices, indptr."""
        if self.is_sparse:
            return self.X.data.reshape(1, -1), self.X.indices, self.X.indptr
        return self.X.reshape(len(self.X), -1), NO_INDEX, NO_INDEX


def check_vector(name, vector, dtypes):
    """Refuse what a kernel cannot walk as a vector of one of these dtypes."""
    if not isinstance(vector, np.ndarray) or vector.dtype not in dtypes or vector.ndim != 1:
        kind = getattr(vector, "dtype", type(vector).__name__)
        raise ValueError(f"{name} of {kind} and shape {np.shape(vector)} are no network's")
    if not (vector.flags.c_contiguous and vector.flags.aligned):
        raise ValueError(f"{name} are not contiguous and aligned in memory")


class Network:
    """Plan and memory of a network.

    Parameters
    ----------
    plan : ndarray of dtype `OPERATION`
        What it consists of.
    loss : {"softmax_log_loss", "logistic_log_loss", "squared_error", "absolute_error", "poisson"}
        Of its raw outputs.
    parameters : ndarray of shape (n_parameters,)
        Its dtype is what the network computes in.
    statistics : ndarray of shape (n_statistics,), float64
        Running means and variances.
    n_batches_tracked : int, default=0
        How many batches the running statistics have seen.
    n_steps_tracked : int, default=0
        How many leading time steps had statistics of their own in any of them: in a feed-forward
        network one, after the first batch.
    """

    def __init__(self, plan, loss, parameters, statistics, n_batches_tracked=0, n_steps_tracked=0):
        self.plan = plan
        self.loss = loss
        self.parameters = parameters
        self.statistics = statistics
        # In memory that the block writes: Ctrl-C is raised between its return and the next
        # assignment, and must not part the counts from the statistics.
        self._n_batches_tracked = np.array([n_batches_tracked], np.int64)
        self._n_steps_tracked = np.array([n_steps_tracked], np.int64)
        self.sizes = Sizes.of(plan)
        self._training_memory = None
        self._checked_classes = None
        # Blocks walk pointers, also those of an unpickled or half-replaced state.
        if loss not in LOSSES:
            raise ValueError(f"the loss {loss!r} of the network is unknown")
        if plan["x"][0] != 0:
            raise ValueError("the plan of the network is damaged: it has no place for inputs")
        check_vector("parameters", parameters, (np.float32, np.float64))
        check_vector("statistics", statistics, (np.float64,))
        if parameters.shape != (self.sizes.n_parameters,):
            raise ValueError(
                f"parameters of shape {parameters.shape} for a plan of {self.sizes.n_parameters}"
            )
        if statistics.shape != (self.sizes.n_statistics,):
            raise ValueError(
                f"statistics of shape {statistics.shape} for a plan of {self.sizes.n_statistics}"
            )

    @classmethod
    def initial(cls, plan, loss, dtype):
        """Parameters 0 but gamma 1; running means 0, variances 1."""
        sizes = Sizes.of(plan)
        network = cls(plan, loss, np.zeros(sizes.n_parameters, dtype), np.zeros(sizes.n_statistics))
        for gamma in views.gammas(plan, network.parameters):
            gamma[:] = 1.0
        for var in views.running_vars(plan, network.statistics):
            var[:] = 1.0
        return network

    @property
    def n_batches_tracked(self):
        return int(self._n_batches_tracked[0])

    @property
    def n_steps_tracked(self):
        return int(self._n_steps_tracked[0])

    @property
    def is_normalized(self):
        return bool((self.plan["kind"] == BATCH_NORM).any())

    def flops_per_row(self, table):
        """Floating point operations of one row's training step, matrix products alone."""
        parts = self.plan["part"] != NO_PART
        steps = 1 if table.lengths is None else int(np.ceil(table.lengths.mean()))
        return steps * _product_flops(self.plan[parts]) + _product_flops(self.plan[~parts])

    def blas_flops_per_row(self, table):
        """Those of them that BLAS does between two waits of its threads for each other.

        The first products of a sparse table are not its; those of sequences are of one time
        step.
        """
        return _product_flops(self.plan[1:] if table.is_sparse else self.plan)

    def loss_value(self, losses):
        """scikit-learn's loss of batches from their two parts, of shape (n_batches, 2).

        The squared (and the absolute) error is reported as a mean over the outputs; its
        gradient is that of the sum, as upstream.
        """
        return losses[:, 0] / self._loss_divisor + losses[:, 1]

    def loss_of(self, z, table):
        """Mean loss of raw outputs for the targets of a table, without the penalty."""
        y = table.y[:, 0] if self.loss == "softmax_log_loss" else table.y
        return getattr(loss_kernels, self.loss)(z, y, table.sample_weight)[0] / self._loss_divisor

    @property
    def _loss_divisor(self):
        return self.sizes.n_outputs if self.loss in ("squared_error", "absolute_error") else 1

    def snapshot(self):
        """Copy of all that training changes but the optimizer's moments."""
        return (
            self.parameters.copy(),
            self.statistics.copy(),
            self.n_batches_tracked,
            self.n_steps_tracked,
        )

    def statistics_are_set(self, n_steps=1):
        """Note that the running statistics of steps stand for rows: a next batch updates them."""
        self._n_batches_tracked[0] = max(1, self._n_batches_tracked[0])
        self._n_steps_tracked[0] = n_steps

    def forget_statistics(self):
        """Note that the running statistics stand for no rows: a next batch sets them."""
        self._n_batches_tracked[0] = self._n_steps_tracked[0] = 0

    def restore(self, snapshot):
        """Back to a `snapshot`, in place: views stay views."""
        self.parameters[:], self.statistics[:], batches, steps = snapshot
        self._n_batches_tracked[0], self._n_steps_tracked[0] = batches, steps

    def new_moments(self):
        """Moments of an optimizer at its start, shape (2, n_parameters)."""
        return np.zeros((2, self.sizes.n_parameters), self.parameters.dtype)

    def train(self, table, optimizer, moments, rows, bounds, learning_rates):
        """Train on a block of mini-batches, in place.

        Parameters
        ----------
        table : Table
            The data.
        optimizer : ndarray of shape (1,), dtype `OPTIMIZER`
            Changed: its step count.
        moments : ndarray of shape (2, n_parameters)
            Changed.
        rows : ndarray of shape (n,), intp
            Row numbers in the order they are trained on.
        bounds : ndarray of shape (n_batches + 1,), intp
            Batch b is ``rows[bounds[b]:bounds[b + 1]]``.
        learning_rates : ndarray of shape (n_batches,), float64
            Of each batch.

        Returns
        -------
        losses : ndarray of shape (n_trained, 2)
            Mean loss and penalty of each batch. ``n_trained < n_batches`` where the loss of
            the batch after them is not finite; that batch has changed nothing.
        """
        losses = np.empty((len(bounds) - 1, 2))
        self._check(table)
        optimizers.check_optimizer(optimizer)
        if getattr(moments, "shape", None) != (2, self.sizes.n_parameters) or (
            moments.dtype != self.parameters.dtype
        ):
            raise ValueError(
                f"moments of shape {np.shape(moments)} and dtype "
                f"{getattr(moments, 'dtype', type(moments).__name__)} for "
                f"{self.sizes.n_parameters} parameters of {self.parameters.dtype}"
            )
        n_trained = block.train(
            losses, self.parameters, moments, optimizer, self.statistics,
            *self._memory(table, rows, bounds),
            LOSSES[self.loss],
            *table.arrays(), table.y, table.sample_weight, table.weight_in_statistics,
            table.input_mean, table.input_invstd, table.input_clipped, _lengths(table),
            rows, bounds, learning_rates,
            self._n_batches_tracked, self._n_steps_tracked,
        )  # fmt: skip
        return losses[:n_trained]

    def loss_and_gradient(self, table, rows=None, alpha=0.0, seed=0, step=0):
        """Loss of some rows as one batch, and its gradient; changes nothing.

        Parameters
        ----------
        table : Table
            The data.
        rows : ndarray of shape (n,), intp, default=None
            Row numbers; ``None``: all.
        alpha : float, default=0.0
            L2 penalty.
        seed, step : int, default=0
            What the dropout masks depend on.

        Returns
        -------
        losses : ndarray of shape (1, 2)
            Mean loss, summed over the outputs, and penalty.
        gradient : ndarray of shape (n_parameters,)
            Of the sum of both.
        """
        self._check(table)
        if rows is None:
            rows = np.arange(table.n_rows)
        losses = np.empty((1, 2))
        memory = self._memory(table, rows, np.array([0, len(rows)]))
        block.loss_and_gradient(
            losses, self.parameters, self.statistics, *memory, LOSSES[self.loss],
            *table.arrays(), table.y, table.sample_weight, table.weight_in_statistics,
            table.input_mean, table.input_invstd, table.input_clipped, _lengths(table), rows,
            alpha, seed, step,
        )  # fmt: skip
        return losses, memory[0].copy()

    def infer(self, table, rows=None, n_operations=None):
        """Outputs by the running statistics.

        Parameters
        ----------
        table : Table
            The data; its `y` and weights are not looked at.
        rows : ndarray of shape (n,), intp, default=None
            Row numbers; ``None``: all.
        n_operations : int, default=None
            Stop after that many operations. ``None``: raw outputs, after all; of a recurrent
            network nothing else.

        Returns
        -------
        outputs : ndarray of shape (n, d), dtype of the parameters
        """
        self._check(table, targets=False)
        if table.lengths is not None:
            if n_operations is not None:
                raise ValueError("of a recurrent network there are raw outputs alone")
            return self._infer_sequences(table, rows)
        if n_operations is None:
            n_operations = len(self.plan)
        n = table.n_rows if rows is None else len(rows)
        if n_operations == 0:
            d = int(self.plan["n_in"][0])
        else:
            d = int(self.plan["n_out"][n_operations - 1])
        outputs = np.empty((n, d), self.parameters.dtype)
        plan, columns = self._placed(table)
        if table.is_sparse and n_operations == 0:
            raise ValueError("the inputs of a sparse table are never gathered")
        fewest, most = INFERENCE_ROWS
        capacity = min(n, max(fewest, min(INFERENCE_WORK // columns, most)))
        if n >= fewest and self.parameters.dtype == np.float32:
            blas_buffer.touch_once()
        if n > 0:
            inference.infer(
                outputs, np.empty(capacity * columns, self.parameters.dtype),
                np.empty(self.sizes.scratch), plan, self.parameters, self.statistics,
                *table.arrays(), table.input_mean, table.input_invstd, table.input_clipped,
                rows, n_operations, capacity,
            )  # fmt: skip
        return outputs

    def _infer_sequences(self, table, rows):
        # In blocks of sequences of about one length.
        rows = np.arange(table.n_rows) if rows is None else rows
        order = np.argsort(-table.lengths[rows], kind="stable")
        sorted_rows = rows[order]
        lengths = table.lengths[sorted_rows]
        sizes, dtype = self.sizes, self.parameters.dtype
        fewest, most = SEQUENCE_ROWS
        bounds = [0]
        capacity = state_capacity = 0
        while bounds[-1] < len(rows):
            start = bounds[-1]
            columns = sizes.work_columns * lengths[start] + sizes.state_columns
            stop = min(start + min(max(SEQUENCE_WORK // columns, fewest), most), len(rows))
            capacity = max(capacity, lengths[start:stop].sum())
            state_capacity = max(state_capacity, stop - start)
            bounds.append(stop)
        if dtype == np.float32:
            blas_buffer.touch_once()
        outputs = np.empty((len(rows), sizes.n_outputs), dtype)
        work = np.empty(capacity * sizes.work_columns, dtype)
        state = np.empty(state_capacity * sizes.state_columns, dtype)
        scratch, packing = np.empty(sizes.scratch), _packing(state_capacity, table)
        # Block by block, between which Ctrl-C has its chance.
        for chosen in map(slice, bounds[:-1], bounds[1:]):
            inference.infer_sequences(
                outputs[chosen], work, state, scratch, packing, self.plan, self.parameters,
                self.statistics, table.arrays()[0], table.lengths, table.input_mean,
                table.input_invstd, table.input_clipped, sorted_rows[chosen], capacity,
                state_capacity,
            )  # fmt: skip
        result = np.empty_like(outputs)
        result[order] = outputs
        return result

    def _check(self, table, targets=True):
        # Blocks walk pointers: what does not fit the plan must not reach them.
        n_features = int(self.plan["n_in"][0])
        n_targets = 1 if self.loss == "softmax_log_loss" else self.sizes.n_outputs
        if is_recurrent(self.plan) != (table.lengths is not None):
            raise ValueError("a recurrent network takes sequences, and no other network does")
        if table.lengths is not None:
            _check_sequences(table)
        if table.X.shape[-1] != n_features:
            raise ValueError(f"X has {table.X.shape[-1]} columns, the network {n_features} inputs")
        if (table.input_mean is None) != (table.input_invstd is None):
            raise ValueError("input_mean and input_invstd belong together: give both or none")
        if table.is_sparse and table.input_clipped:
            raise ValueError("the inputs of a sparse table are never gathered, nor clipped")
        for moments in (table.input_mean, table.input_invstd):
            if moments is not None and moments.shape != (n_features,):
                raise ValueError(f"moments of shape {moments.shape} for {n_features} inputs")
        if table.is_sparse and not (
            all(a.flags.c_contiguous for a in (table.X.data, table.X.indices, table.X.indptr))
            and table.X.indices.dtype == table.X.indptr.dtype
        ):
            raise ValueError("the arrays of a sparse table must be contiguous, the indices alike")
        if not targets:
            return
        if table.y.shape != (table.n_rows, n_targets):
            raise ValueError(f"y has shape {table.y.shape}, not {(table.n_rows, n_targets)}")
        # Once for a table: blocks of mini-batches are many.
        if self.loss == "softmax_log_loss" and table.y is not self._checked_classes:
            k = self.sizes.n_outputs
            # NaN is in no interval.
            if table.y.size and not 0 <= table.y.min() <= table.y.max() < k:
                raise ValueError(
                    f"y has the class numbers {table.y.min():g} to {table.y.max():g}, but the "
                    f"network has {k} outputs: they must be in 0 to {k - 1}"
                )
            self._checked_classes = table.y
        if table.sample_weight is None and table.statistics_weight is not None:
            raise ValueError("statistics_weight belongs to sample_weight: give both or none")
        for weight in (table.sample_weight, table.statistics_weight):
            if weight is not None and weight.shape != (table.n_rows,):
                raise ValueError(f"{len(weight)} weights for {table.n_rows} rows")

    def _placed(self, table):
        # The plan and the columns of its work memory: a sparse table's inputs take none.
        if table.is_sparse:
            return without_inputs(self.plan), self.sizes.work_columns - int(self.plan["n_in"][0])
        return self.plan, self.sizes.work_columns

    def _memory(self, table, rows, bounds):
        # Everything a block writes to but parameters and statistics, kept from block to
        # block: the pages of fresh memory would cost more than a small block.
        if self.parameters.dtype == np.float32:
            blas_buffer.touch_once()
        n = int(np.diff(bounds).max(initial=1))
        capacity = n
        if table.lengths is not None and len(rows):
            capacity = int(np.add.reduceat(table.lengths[rows], bounds[:-1]).max())
        if capacity > np.iinfo(np.intc).max:
            raise ValueError(f"a batch of {capacity} time steps is more than BLAS can count")
        longest = 1 if table.lengths is None else table.X.shape[1]
        wanted = n, capacity, table.is_sparse, longest
        kept = self._training_memory
        if kept is None or kept[0][0] < n or kept[0][1] < capacity or kept[0][2:] != wanted[2:]:
            if kept is not None:
                n, capacity = max(n, kept[0][0]), max(capacity, kept[0][1])
            dtype, sizes = self.parameters.dtype, self.sizes
            plan, columns = self._placed(table)
            self._training_memory = (
                (n, capacity, table.is_sparse, longest),
                (
                    np.empty(sizes.n_parameters, dtype),
                    np.empty(capacity * columns, dtype),
                    np.empty(capacity * sizes.state_columns, dtype),
                    np.empty((2, capacity * sizes.widest), dtype),
                    np.empty(n * table.y.shape[1], dtype),
                    np.empty(2 * n),
                    np.empty(sizes.scratch),
                    _packing(n, table),
                    plan,
                    sizes.n_weights,
                    capacity,
                ),
            )
        return self._training_memory[1]


def _packing(n, table):
    # The order of n sequences, their lengths, and three numbers a step: ``sequences_pack``.
    if table.lengths is None:
        return NO_LENGTHS
    return np.empty(2 * n + 3 * (table.X.shape[1] + 2), np.intp)


def _lengths(table):
    return NO_LENGTHS if table.lengths is None else table.lengths


def _check_sequences(table):
    if table.X.ndim != 3 or not table.X.flags.c_contiguous:
        raise ValueError("sequences must be of shape (n_samples, n_steps, n_features), C-ordered")
    lengths = table.lengths
    if lengths.shape != (table.n_rows,) or lengths.dtype != np.intp:
        raise ValueError(f"lengths of shape {lengths.shape} for {table.n_rows} sequences")
    if len(lengths) and not 1 <= lengths.min() <= lengths.max() <= table.X.shape[1]:
        raise ValueError(f"lengths must be in 1 to {table.X.shape[1]}, the steps of X")


def _product_flops(plan):
    linear = plan[plan["kind"] == LINEAR]
    return int(6 * (linear["n_in"] * linear["n_out"]).sum())
