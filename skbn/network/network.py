"""A network: a plan with its parameters and statistics. It can be trained, and it predicts.

`Network` does not know epochs or estimators. Its whole state is `plan`, `loss` and three arrays
(`parameters`, `statistics`, and the number of batches the statistics have seen).
"""

from functools import lru_cache

import numpy as np

from skbn.kernels import losses as loss_kernels
from skbn.kernels.losses import LOSSES, MEAN_OVER_OUTPUTS, WITH_PARAMETER
from skbn.network import aligned, blas_buffer, block, inference, views
from skbn.network import optimizer as optimizers
from skbn.network.memory import RunMemory, RunSource
from skbn.network.plan import LINEAR, NO_PART, OPERATION, Layout, sparse_plan
from skbn.network.table import check_rows, check_targets

# Work memory of inference, in elements: small enough for a second-level cache.
INFERENCE_WORK = 1 << 18
INFERENCE_ROWS = (64, 4096)

# The same for sequences, whose steps are all in memory at once: some megabytes, and enough rows for
# fast products.
SEQUENCE_WORK = 1 << 21
SEQUENCE_ROWS = (16, 512)

# Fused layers pack the weights. LEAST_LAYER_ROWS: the smallest batch for which the packing pays.
# MOST_LAYER_FLOPS: floating point operations of the products of a step; larger products are left to
# the BLAS, whose threads share them.
LEAST_LAYER_ROWS = 16
MOST_LAYER_FLOPS = 500_000_000

# Layers narrower than a vector register are padded to several times their size. MOST_PADDING: for
# large batches, the largest ratio of the padded work memory to the plain one. FEW_ROWS: a batch of
# at most so many rows stays in the caches, so any padding costs nothing.
MOST_PADDING = 3
FEW_ROWS = 2048

# The loss whose targets are one column of class numbers.
SOFTMAX = "softmax_log_loss"


def check_vector(name, vector, dtypes):
    """Refuse an object that a kernel cannot walk as a vector of one of these dtypes."""
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
        The operations of the network.
    loss : {"softmax_log_loss", "logistic_log_loss", "squared_error", "absolute_error", \
            "poisson", "quantile"}
        The loss of the raw outputs.
    parameters : ndarray of shape (n_parameters,)
        The network computes in the dtype of this array.
    statistics : ndarray of shape (n_statistics,), float64
        Running means and variances.
    n_batches_tracked : int, default=0
        How many batches the running statistics have seen.
    n_steps_tracked : int, default=0
        How many leading time steps had statistics of their own in any of these batches. In a
        feed-forward network the number is 1 after the first batch.
    loss_parameter : float, default=0.0
        Parameter of the loss: the quantile of "quantile". Other losses ignore it.
    """

    # Whether hidden layers are run in one piece. Tests compare both ways.
    fuses_layers = True

    def __init__(
        self,
        plan,
        loss,
        parameters,
        statistics,
        n_batches_tracked=0,
        n_steps_tracked=0,
        loss_parameter=0.0,
    ):
        self.plan = plan
        self.loss = loss
        self.loss_parameter = loss_parameter
        self.parameters = parameters
        self.statistics = statistics
        # The block writes the counts itself. Ctrl-C may be raised between the return of the block
        # and the next assignment, and the counts must still fit the statistics.
        self._n_batches_tracked = np.array([n_batches_tracked], np.int64)
        self._n_steps_tracked = np.array([n_steps_tracked], np.int64)
        self.layout = Layout.of(plan)
        # Whether training normalizes by the running statistics, and leaves them as they are.
        self.is_frozen = False
        self._training_memory = None
        self._checked_classes = None
        # Blocks use unchecked pointers. So an unpickled or half-replaced state is checked first.
        if loss not in LOSSES:
            raise ValueError(f"the loss {loss!r} of the network is unknown")
        if not isinstance(loss_parameter, float) or (
            loss in WITH_PARAMETER and not 0.0 < loss_parameter < 1.0
        ):
            raise ValueError(f"the parameter of the loss of the network is {loss_parameter!r}")
        check_vector("parameters", parameters, (np.float32, np.float64))
        check_vector("statistics", statistics, (np.float64,))
        if parameters.shape != (self.layout.n_parameters,):
            raise ValueError(
                f"parameters of shape {parameters.shape} for a plan of {self.layout.n_parameters}"
            )
        if statistics.shape != (self.layout.n_statistics,):
            raise ValueError(
                f"statistics of shape {statistics.shape} for a plan of {self.layout.n_statistics}"
            )

    @classmethod
    def initial(cls, plan, loss, dtype, loss_parameter=0.0):
        """Set gammas, factors of the inputs and variances to 1, other parameters and means to 0."""
        layout = Layout.of(plan)
        network = cls(
            plan,
            loss,
            aligned.zeros(layout.n_parameters, dtype),
            np.zeros(layout.n_statistics),
            loss_parameter=loss_parameter,
        )
        for gamma in views.gammas(plan, network.parameters):
            gamma[:] = 1.0
        for scale in views.input_scales(plan, network.parameters):
            if scale.flags.writeable:
                scale[:] = 1.0
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
        return self.layout.is_normalized

    def flops_per_row(self, table):
        """Floating point operations of the matrix products of a training step, for one row."""
        steps = 1 if table.lengths is None else int(np.ceil(table.lengths.mean()))
        of_a_step, of_a_row = _product_flops(self.plan.tobytes())
        return steps * of_a_step + of_a_row

    def blas_flops_per_row(self, table):
        """Floating point operations of BLAS in a training step, for one row or one time step.

        BLAS does not do the first product of a sparse table. The threads of BLAS wait for each
        other after each product, and a product of a recurrent network has the rows of one time
        step.
        """
        plan = self.plain_plan(table).operations if self._stays_sparse(table) else self.plan
        return sum(_product_flops(plan.tobytes()))

    def loss_value(self, losses):
        """The loss that scikit-learn reports, from its two parts, of shape (n_batches, 2).

        The squared error and the absolute error are reported as means over the outputs. Their
        gradients are the gradients of the sums, as in scikit-learn.
        """
        return losses[:, 0] / self._loss_divisor + losses[:, 1]

    def loss_of(self, z, table):
        """Mean loss of raw outputs for the targets of the rows of a table, without the penalty."""
        y, weight = table.y, table.sample_weight
        if table.rows is not None:
            y, weight = y[table.rows], None if weight is None else weight[table.rows]
        y = y[:, 0] if self.loss == SOFTMAX else y
        parameter = (self.loss_parameter,) if self.loss in WITH_PARAMETER else ()
        loss, _ = getattr(loss_kernels, self.loss)(z, y, weight, *parameter)
        return loss / self._loss_divisor

    def _objective(self, alpha, seed):
        return block.Objective(
            LOSSES[self.loss], self.loss_parameter, alpha, seed, frozen=self.is_frozen
        )

    @property
    def _loss_divisor(self):
        return self.layout.n_outputs if self.loss in MEAN_OVER_OUTPUTS else 1

    def like(self, plan, parameters, statistics, *counts):
        """A network with the loss of this network, the parameter of the loss included."""
        network = Network(
            plan, self.loss, parameters, statistics, *counts, loss_parameter=self.loss_parameter
        )
        network.is_frozen = self.is_frozen
        return network

    def copy(self):
        """A network of the same plan that shares no memory with this network."""
        return self.like(self.plan, *self.snapshot())

    def with_statistics(self, statistics):
        """A network that shares the parameters with this network, but not the statistics."""
        counts = self.n_batches_tracked, self.n_steps_tracked
        return self.like(self.plan, self.parameters, statistics, *counts)

    def snapshot(self):
        """Copy of all arrays that training changes, except the moments of the optimizer."""
        return (
            aligned.copy(self.parameters),
            self.statistics.copy(),
            self.n_batches_tracked,
            self.n_steps_tracked,
        )

    def statistics_are_set(self, n_steps=1):
        """Note that the running statistics come from rows, so that the next batch updates them."""
        self._n_batches_tracked[0] = max(1, self._n_batches_tracked[0])
        self._n_steps_tracked[0] = n_steps

    def forget_statistics(self):
        """Note that the running statistics come from no rows, so that the next batch sets them."""
        self._n_batches_tracked[0] = self._n_steps_tracked[0] = 0

    def restore(self, snapshot):
        """Go back to a `snapshot`, in place, so that views stay views."""
        self.parameters[:], self.statistics[:], batches, steps = snapshot
        self._n_batches_tracked[0], self._n_steps_tracked[0] = batches, steps

    def new_moments(self):
        """Moments of an optimizer at its start, shape (2, n_parameters)."""
        return aligned.zeros((2, self.layout.n_parameters), self.parameters.dtype)

    def train(
        self,
        table,
        optimizer,
        moments,
        rows,
        bounds,
        learning_rates,
        alpha=0.0,
        seed=0,
        sums=None,
    ):
        """Train on a block of mini-batches, in place.

        Parameters
        ----------
        table : Table
            The data.
        optimizer : ndarray of shape (1,), dtype `OPTIMIZER`
            Changed: the step count.
        moments : ndarray of shape (2, n_parameters)
            Changed.
        rows : ndarray of shape (n,), intp
            Row numbers in the order they are trained on.
        bounds : ndarray of shape (n_batches + 1,), intp
            Batch b is ``rows[bounds[b]:bounds[b + 1]]``.
        learning_rates : ndarray of shape (n_batches,), float64
            Learning rate of each batch.
        alpha : float, default=0.0
            L2 penalty ``alpha / 2 ||W||^2`` on the weights, divided by the total weight of a batch
            as scikit-learn does.
        seed : int, default=0
            Seed of the masks of dropout.
        sums : tuple of (int, int), default=None
            Address of a C function ``void add(void *context, double *values, Py_ssize_t n)``, and
            its context. The function replaces numbers by their sums over the processes that train
            this network together, and must not fail. Each process has its own rows of every
            mini-batch, or none. Masks of dropout depend on the place of a row in its process, so
            each process needs its own seed. Exact statistics are not added up. Sequences are not
            supported.

        Returns
        -------
        losses : ndarray of shape (n_trained, 2)
            Mean loss and penalty of each batch. ``n_trained < n_batches`` if the loss of the next
            batch is not finite. That batch has changed nothing.
        """
        losses = np.empty((len(bounds) - 1, 2))
        self._check(table)
        self._check_targets(table)
        optimizers.check_optimizer(optimizer)
        if getattr(moments, "shape", None) != (2, self.layout.n_parameters) or (
            moments.dtype != self.parameters.dtype
        ):
            raise ValueError(
                f"moments of shape {np.shape(moments)} and dtype "
                f"{getattr(moments, 'dtype', type(moments).__name__)} for "
                f"{self.layout.n_parameters} parameters of {self.parameters.dtype}"
            )
        for name, array in (
            ("parameters", self.parameters),
            ("statistics", self.statistics),
            ("moments", moments),
        ):
            if not (array.flags.writeable and array.flags.c_contiguous and array.flags.aligned):
                raise ValueError(f"{name} cannot be written to: they are read-only or strided")
        if len(learning_rates) != len(bounds) - 1:
            raise ValueError(f"{len(learning_rates)} learning rates for {len(bounds) - 1} batches")
        if sums is not None and table.lengths is not None:
            raise ValueError("sums over processes are not implemented for sequences")
        n_trained = block.train(
            losses,
            self._memory(table, rows, bounds),
            RunSource(table, targets=True, weights=True),
            self._objective(alpha, seed),
            self.layout.segments,
            optimizer,
            moments.ctypes.data,
            (rows, bounds),
            learning_rates,
            (self._n_batches_tracked, self._n_steps_tracked),
            sums,
        )
        return losses[:n_trained]

    def loss_and_gradient(self, table, rows=None, alpha=0.0, seed=0, step=0):
        """Loss of some rows as one batch, and its gradient. The network does not change.

        Parameters
        ----------
        table : Table
            The data.
        rows : ndarray of shape (n,), intp, default=None
            Row numbers; ``None``: all.
        alpha : float, default=0.0
            L2 penalty.
        seed, step : int, default=0
            The numbers that the dropout masks depend on.

        Returns
        -------
        losses : ndarray of shape (1, 2)
            Mean loss, summed over the outputs, and penalty.
        gradient : ndarray of shape (n_parameters,)
            Gradient of the sum of both.
        """
        self._check(table)
        self._check_targets(table)
        if rows is None:
            rows = np.arange(table.n_rows)
        losses = np.empty((1, 2))
        memory = self._memory(table, rows, np.array([0, len(rows)]))
        block.loss_and_gradient(
            losses,
            memory,
            RunSource(table, targets=True, weights=True),
            self._objective(alpha, seed),
            self.layout.segments,
            rows,
            step,
        )
        return losses, memory.gradient.copy()

    def infer(self, table, rows=None, n_operations=None, *, n_threads=1):
        """Outputs by the running statistics.

        Parameters
        ----------
        table : Table
            The data. `y` and weights are not read.
        rows : ndarray of shape (n,), intp, default=None
            Row numbers; ``None``: all.
        n_operations : int, default=None
            Stop after that many operations of the plan, the inputs included. ``None``: run all
            operations, which gives the raw outputs. A recurrent network allows only ``None``.
        n_threads : int, default=1
            Threads of the BLAS. Several threads share large products. Fused layers run in one
            thread.

        Returns
        -------
        outputs : ndarray of shape (n, d), dtype of the parameters
        """
        self._check(table)
        if table.lengths is not None:
            if n_operations is not None:
                raise ValueError("of a recurrent network there are raw outputs alone")
            return self._infer_sequences(table, rows)
        n = table.n_rows if rows is None else len(rows)
        if n_operations is not None:
            run = self._first_operations(table, n_operations)
        else:
            run = self._inference_plan(table, n) if n_threads == 1 else self.plain_plan(table)
        n_out = int(run.operations["n_out"][run.operations["part"] == NO_PART][-1])
        outputs = np.empty((n, n_out), self.parameters.dtype)
        if n > 0:
            inference.infer(outputs, self.inference_memory(run, n), RunSource(table), rows, n)
        return outputs

    def inference_memory(self, run, n):
        """Memory for at most n rows at a time, on their way through a plan."""
        fewest, most = INFERENCE_ROWS
        capacity = min(n, max(fewest, min(INFERENCE_WORK // run.work_columns, most)))
        if n >= fewest and self.parameters.dtype == np.float32:
            blas_buffer.touch_once()
        return RunMemory(
            run.operations,
            self.parameters,
            self.statistics,
            capacity=capacity,
            state_capacity=0,
            most_rows=capacity,
            columns=run.work_columns,
            state_columns=0,
            scratch=run.scratch,
        )

    def _first_operations(self, table, n_operations):
        # The first `n_operations` operations of the plan, as a plan to run. For a table that stays
        # sparse, the inputs and the first linear map are one operation.
        stays_sparse = self._stays_sparse(table)
        if stays_sparse and n_operations < 2:
            raise ValueError("the inputs of a sparse table are never gathered")
        if n_operations < len(self.plan) and self.plan["part"][n_operations] != NO_PART:
            raise ValueError(f"operation {n_operations} is a part of the operation before it")
        run = self.plain_plan(table)
        if stays_sparse:
            return run._replace(operations=sparse_plan(self.plan)[: n_operations - 1])
        return run._replace(operations=self.plan[:n_operations])

    def _stays_sparse(self, table):
        # Whether the rows of the table stay sparse.
        return table.is_sparse and self.layout.sparse is not None

    def _infer_sequences(self, table, rows):
        # The sequences go through the plan in blocks of about equal lengths.
        rows = np.arange(table.n_rows) if rows is None else rows
        order = np.argsort(-table.lengths[rows], kind="stable")
        sorted_rows = rows[order]
        lengths = table.lengths[sorted_rows]
        layout, dtype, run = self.layout, self.parameters.dtype, self.sequence_plan(table)
        fewest, most = SEQUENCE_ROWS
        bounds = [0]
        capacity = state_capacity = 0
        while bounds[-1] < len(rows):
            start = bounds[-1]
            columns = run.work_columns * lengths[start] + layout.state_columns
            stop = min(start + min(max(SEQUENCE_WORK // columns, fewest), most), len(rows))
            capacity = max(capacity, int(lengths[start:stop].sum()))
            state_capacity = max(state_capacity, stop - start)
            bounds.append(stop)
        if dtype == np.float32:
            blas_buffer.touch_once()
        outputs = np.empty((len(rows), layout.n_outputs), dtype)
        memory = self.sequence_memory(run, table, capacity, state_capacity)
        source = RunSource(table)
        # Block by block, so that Ctrl-C can be handled between two blocks.
        for chosen in map(slice, bounds[:-1], bounds[1:]):
            n = chosen.stop - chosen.start
            inference.infer(outputs[chosen], memory, source, sorted_rows[chosen], n)
        result = np.empty_like(outputs)
        result[order] = outputs
        return result

    def sequence_plan(self, table):
        """The plan that is run on sequences without a backward pass.

        The plan is the same for any number of sequences, so exact statistics are collected by the
        products that inference uses. Products with different rounding would give wrong results if
        means are far from 0.
        """
        return self.run_plan(table, SEQUENCE_ROWS[1])

    def sequence_memory(self, run, table, capacity, n):
        """Memory for n sequences of `capacity` steps in all. It keeps the state of one step."""
        return RunMemory(
            run.operations,
            self.parameters,
            self.statistics,
            capacity=capacity,
            state_capacity=n,
            most_rows=n,
            columns=run.work_columns,
            state_columns=self.layout.state_columns,
            scratch=run.scratch,
            n_packing=_n_packing(n, table),
        )

    def _check(self, table):
        check_rows(table, self.layout.n_inputs, self.layout.is_recurrent)

    def _check_targets(self, table):
        k = self.layout.n_outputs
        check_targets(table, 1 if self.loss == SOFTMAX else k, self.parameters.dtype)
        # This check is made once for a table, because there are many blocks of mini-batches.
        if self.loss == SOFTMAX and table.y is not self._checked_classes:
            # The comparison is false for NaN, so NaN is refused too.
            if table.y.size and not 0 <= table.y.min() <= table.y.max() < k:
                raise ValueError(
                    f"y has the class numbers {table.y.min():g} to {table.y.max():g}, but the "
                    f"network has {k} outputs: they must be in 0 to {k - 1}"
                )
            self._checked_classes = table.y

    def _runs(self, table):
        return self.layout.sparse if self._stays_sparse(table) else self.layout.dense

    def plain_plan(self, table):
        """The plan that is run on a table without fused layers."""
        return self._runs(table).plain

    def run_plan(self, table, n):
        """The plan that is run for training on batches of up to n rows of a table.

        Fused layers serve float32. They pack the weights for each batch, which does not pay for a
        few rows. Recurrent layers use the packed weights at each time step, so the packing pays for
        any number of rows. Products that are so large that several threads should share them are
        left to the BLAS.
        """
        runs = self._runs(table)
        if runs.layered is None or not self._fuses(n):
            return runs.plain
        is_small = n * sum(_product_flops(self.plan.tobytes())) < MOST_LAYER_FLOPS
        is_narrow = runs.layered.work_columns > MOST_PADDING * runs.plain.work_columns
        return runs.plain if not is_small or (is_narrow and n > FEW_ROWS) else runs.layered

    def _inference_plan(self, table, n):
        # A network with batch norm predicts with the same products that its exact statistics were
        # collected with. Products with different rounding would give wrong results if means are far
        # from 0.
        runs = self._runs(table)
        return runs.inferring if runs.inferring and self._fuses(n) else runs.plain

    def _fuses(self, n):
        enough = n >= LEAST_LAYER_ROWS or self.layout.is_recurrent
        return self.fuses_layers and enough and self.parameters.dtype == np.float32

    def _memory(self, table, rows, bounds):
        # All memory that a block writes to, except parameters and statistics. It is kept from block
        # to block, because the pages of fresh memory would cost more time than a small block.
        if self.parameters.dtype == np.float32:
            blas_buffer.touch_once()
        n = int((bounds[1:] - bounds[:-1]).max(initial=1))
        capacity = n
        if table.lengths is not None and len(rows):
            capacity = int(np.add.reduceat(table.lengths[rows], bounds[:-1]).max())
        if capacity > np.iinfo(np.intc).max:
            raise ValueError(f"a batch of {capacity} time steps is more than BLAS can count")
        run = self.run_plan(table, n)
        wanted = table.is_sparse, table.n_steps, id(self.parameters), id(self.statistics), id(run)
        kept, memory = self._training_memory or (None, None)
        if kept == wanted and memory.most_rows >= n and memory.capacity >= capacity:
            return memory
        if kept == wanted:
            n, capacity = max(n, memory.most_rows), max(capacity, memory.capacity)
        memory = RunMemory(
            run.operations,
            self.parameters,
            self.statistics,
            capacity=capacity,
            state_capacity=capacity,
            most_rows=n,
            columns=run.work_columns,
            state_columns=self.layout.state_columns,
            scratch=run.scratch,
            n_packing=_n_packing(n, table),
            widest=run.widest,
            n_targets=table.y.shape[1],
        )
        self._training_memory = wanted, memory
        return memory


def _n_packing(n, table):
    # The order of n sequences, their lengths, and three numbers a step: ``sequences_pack``.
    return 0 if table.lengths is None else 2 * n + 3 * (table.n_steps + 2)


@lru_cache(maxsize=256)
def _product_flops(plan):
    # Floating point operations of the parts of recurrent layers, which run at each step, and of all
    # other operations. They are cached, because each call of ``partial_fit`` asks for them.
    plan = np.frombuffer(plan, OPERATION)
    linear = plan[plan["kind"] == LINEAR]
    flops = 6 * linear["n_in"] * linear["n_out"]
    is_part = linear["part"] != NO_PART
    return int(flops[is_part].sum()), int(flops[~is_part].sum())
