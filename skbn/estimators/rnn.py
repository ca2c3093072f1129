"""Base of the recurrent networks: layers, and sequences as rows."""

from functools import lru_cache, reduce
from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skbn.estimators.base import BaseWithBatchNorm
from skbn.estimators.columns import column_moments, merged
from skbn.estimators.inputs import input_normalization
from skbn.estimators.sequences import checked_sequences
from skbn.kernels.cells import CELLS, GATES
from skbn.kernels.pooling import POOLINGS
from skbn.network import views
from skbn.network.network import SEQUENCE_ROWS
from skbn.network.operations.normalization import LEAST_SEQUENCES
from skbn.network.operations.registry import PARTS
from skbn.network.plan import LINEAR
from skbn.network.recurrent_plan import lengthened, recurrent, steps_of
from skbn.network.table import Table
from skbn.training.threads import blas_limit

# The forget gate of an LSTM begins nearly open: Jozefowicz, Zaremba and Sutskever (2015), "An
# empirical exploration of recurrent network architectures", section 5.
FORGET_BIAS = 1.0

# Number of sequences whose moments are computed together.
MOMENT_ROWS = 4096


# The calls of a stream have the same parameters. Making the plan again would take as long as a
# training step on a mini-batch. The cached plans must not be written to.
planned = lru_cache(maxsize=128)(recurrent)


class BaseRNNWithBatchNorm(BaseWithBatchNorm):
    """Base of the recurrent networks; not to be used by itself."""

    # The learning rate that 'auto' stands for under a planned schedule: docs/recurrent.rst.
    _planned_rate = 0.01

    # A time step needs this number of sequences for its own statistics. The noise in the statistics
    # of fewer sequences would grow from step to step.
    _smallest_batch = LEAST_SEQUENCES

    _parameter_constraints: dict = {
        **BaseWithBatchNorm._parameter_constraints,
        "cell": [StrOptions(set(CELLS))],
        "bidirectional": ["boolean", StrOptions({"auto"})],
        "pooling": [StrOptions(set(POOLINGS))],
        "batch_norm": [StrOptions({"full", "input"}), None],
        "time_statistics": [StrOptions({"per_step", "shared"})],
        "bn_gamma_init": [Interval(Real, 0, None, closed="neither")],
    }

    @property
    def _reads_both_ways(self):
        if self.bidirectional == "auto":
            return self.pooling != "last"
        return bool(self.bidirectional)

    @property
    def _planned_epochs(self):
        """The epochs that 'auto' stands for under a planned schedule: docs/recurrent.rst."""
        # An epoch of two directions takes twice the time.
        return 70 if self._reads_both_ways else 100

    def _checked_rows(self, X, y="no_validation", *, smallest=1, fresh=False):
        return checked_sequences(self, X, y, smallest=smallest, fresh=fresh)

    def _input_moments(self, rows):
        # Computed in parts, because the real steps of a part are copied.
        parts = (
            rows.taken(slice(start, start + MOMENT_ROWS)) for start in range(0, rows.n, MOMENT_ROWS)
        )
        return reduce(merged, map(_moments_of_steps, parts))

    def _auto_input_kind(self, rows, call):
        return "smooth_clip"

    def _input_table(self, X, y=None, sample_weight=None):
        return Table(X.values, y, sample_weight, *input_normalization(self), X.lengths)

    def _shown_rows(self, X):
        return X.values if self._n_dimensions == 3 else X.values[:, :, 0]

    def _initial_plan(self, rows, call):
        hidden_units = self._hidden_units()
        if not hidden_units:
            raise ValueError(
                "hidden_layer_sizes must have at least one entry: nothing else reads sequences."
            )
        # The layers of a network stay. Later calls do not read these parameters again.
        self._layers = {
            "layer_units": [rows.X.shape[2], *hidden_units, self.n_outputs_],
            "cell": self.cell,
            "batch_norm": self.batch_norm,
            "bidirectional": self._reads_both_ways,
            "pooling": self.pooling,
            "shared": self.time_statistics == "shared",
        }
        return self._recurrent(rows.X.lengths.max())

    def _renew_plan(self, rows):
        n_steps = steps_of(self._plan)
        plan = self._recurrent(max(rows.X.lengths.max(), n_steps))
        if steps_of(plan) != n_steps:
            self._statistics = lengthened(self._statistics, self._plan, plan)
        self._plan = plan

    def _recurrent(self, n_steps):
        layers = self._layers | {"layer_units": tuple(self._layers["layer_units"])}
        return planned(
            **layers,
            n_steps=n_steps,
            epsilon=self.bn_epsilon,
            momentum=self.bn_momentum,
            dropout=self.dropout,
        ).copy()

    def _draw_weights(self, network, random_state):
        # The weights of inputs and outputs follow Glorot and Bengio (2010). The weights of the
        # state are an orthogonal matrix for each gate, so the state neither grows nor shrinks from
        # step to step (Saxe et al. 2014).
        for gamma in views.gammas(network.plan, network.parameters):
            gamma[:] = self.bn_gamma_init
        weights = views.weights(network.plan, network.parameters)
        maps = network.plan[network.plan["kind"] == LINEAR]
        for operation, weight in zip(maps, weights, strict=True):
            n_in, n_out = weight.shape
            if operation["part"] == PARTS["recurrent_map"]:
                for first in range(0, n_out, n_in):
                    weight[:, first : first + n_in] = orthogonal(n_in, random_state)
            else:
                units = n_out
                if operation["part"] == PARTS["input_map"]:
                    units //= GATES[self._layers["cell"]]
                bound = np.sqrt(6.0 / (n_in + units))
                weight[:] = random_state.uniform(-bound, bound, weight.shape)
            weight *= self.init_scale
        if self._layers["cell"] == "lstm":
            _open_forget_gates(network)

    def _infer(self, network, table):
        # One time step is one matrix product, as in training: docs/decisions.rst, "Threads".
        rows = min(table.n_rows, SEQUENCE_ROWS[1])
        with blas_limit.training(rows * network.blas_flops_per_row(table)):
            return network.infer(table)

    def _shown_steps(self, statistics):
        return statistics

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _moments_of_steps(rows):
    weight = rows.sample_weight
    if weight is not None:
        weight = np.repeat(weight, rows.X.lengths)
    return column_moments(rows.X.steps(), weight)


def _open_forget_gates(network):
    # The bias is the beta of the contribution of the inputs. Without batch norm it is the bias of
    # the linear map of the inputs.
    for operation in network.plan:
        if operation["part"] == PARTS["input_norm"]:
            first = operation["beta"]
        elif operation["part"] == PARTS["input_map"] and operation["bias"] >= 0:
            first = operation["bias"]
        else:
            continue
        d = operation["n_out"] // GATES["lstm"]
        network.parameters[first + d : first + 2 * d] = FORGET_BIAS


def orthogonal(d, random_state):
    """A random orthogonal matrix of shape (d, d), from the uniform distribution.

    The matrix is Q of the QR decomposition of a matrix of normal numbers. The signs of the columns
    are chosen so that the diagonal of R is positive (Mezzadri 2007, "How to generate random
    matrices from the classical compact groups").
    """
    q, r = np.linalg.qr(random_state.standard_normal((d, d)))
    return q * np.where(np.diag(r) < 0.0, -1.0, 1.0)
