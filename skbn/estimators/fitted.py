"""The fitted state of an estimator on a network, and how it is read.

The state is plain arrays and numbers. ``coefs_``, ``gammas_`` and the other arrays of a layer are
views of one flat array. A view is made when its attribute is read. So views are also right after
unpickling and copying.

A public method copies the state once, by ``_look()``, and reads everything from this copy, because
another thread may fit the estimator while the method runs.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skbn.estimators.arguments import refuse_masked
from skbn.estimators.inputs import check_inputs
from skbn.estimators.saved import SavedState
from skbn.estimators.state import check_count, check_numbers, records, refuse_other_format
from skbn.estimators.transaction import draft_of
from skbn.network import aligned, views
from skbn.network.network import Network
from skbn.network.optimizer import OPTIMIZER, check_optimizer
from skbn.network.plan import OPERATION, Layout

# Attributes that predictions and further training need.
STATE = (
    "_plan",
    "_plan_digest",
    "_loss",
    "_loss_parameter",
    "_parameters",
    "_statistics",
    "_n_batches_tracked",
    "_n_steps_tracked",
    "_input_kind",
    "n_outputs_",
    "n_features_in_",
)


# Attributes that are NumPy records, and the layout of each.
LAYOUTS = {"_plan": OPERATION, "_optimizer": OPTIMIZER}


class FittedNetwork(SavedState):
    """Mixin of estimators whose fitted state is a network.

    An estimator gives ``_kind_of_targets``, the class of its targets. A kind of network gives
    ``_checked_rows(X)``, ``_input_table(X)``, ``_infer(network, table)`` and
    ``_shown_steps(statistics)``. `BaseWithBatchNorm` has the whole list.
    """

    _fitted_attribute = "_plan"

    @property
    def coefs_(self) -> views.Views:
        return self._view(views.weights, "coefs_", "_parameters")

    @coefs_.setter
    def coefs_(self, arrays: Sequence[ArrayLike]) -> None:
        self.coefs_[:] = arrays

    @property
    def intercepts_(self) -> views.Views:
        return self._view(views.biases, "intercepts_", "_parameters")

    @intercepts_.setter
    def intercepts_(self, arrays: Sequence[ArrayLike]) -> None:
        self.intercepts_[:] = arrays

    @property
    def gammas_(self) -> views.Views:
        return self._view(views.gammas, "gammas_", "_parameters")

    @gammas_.setter
    def gammas_(self, arrays: Sequence[ArrayLike]) -> None:
        self.gammas_[:] = arrays

    @property
    def betas_(self) -> views.Views:
        return self._view(views.betas, "betas_", "_parameters")

    @betas_.setter
    def betas_(self, arrays: Sequence[ArrayLike]) -> None:
        self.betas_[:] = arrays

    @property
    def running_means_(self) -> views.Views:
        layers = self._view(views.running_means, "running_means_", "_statistics")
        return views.Views(map(self._shown_steps, layers))

    @running_means_.setter
    def running_means_(self, arrays: Sequence[ArrayLike]) -> None:
        self.running_means_[:] = arrays

    @property
    def running_vars_(self) -> views.Views:
        layers = self._view(views.running_vars, "running_vars_", "_statistics")
        return views.Views(map(self._shown_steps, layers))

    @running_vars_.setter
    def running_vars_(self, arrays: Sequence[ArrayLike]) -> None:
        self.running_vars_[:] = arrays

    def _view(self, view, name, memory):
        state = vars(self).copy()
        if "_plan" not in state:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        _check_digest(Layout.of(state["_plan"]), state.get("_plan_digest"))
        return view(state["_plan"], state[memory])

    def __sklearn_is_fitted__(self):
        return "_plan" in vars(self)

    def __copy__(self):
        # A shallow copy shares all attributes but the arrays that users can change through views.
        copied = draft_of(self)
        for name in ("_parameters", "_statistics"):
            if name in vars(copied):
                setattr(copied, name, aligned.copy(vars(copied)[name]))
        return copied

    def _look(self):
        """A copy of the present estimator, which another thread does not change.

        Raises
        ------
        NotFittedError
            If this estimator is not fitted.
        """
        fitted = draft_of(self)
        if "_plan" not in vars(fitted):
            check_is_fitted(fitted)  # raises, and takes its time
        refuse_other_format(type(self).__name__, vars(fitted))
        return fitted

    def _to_saved(self, state):
        # Records are stored as bytes. NumPy trusts the layout of a record in a file, and crashes if
        # the layout is damaged.
        for name in state.keys() & LAYOUTS.keys():
            state[name] = np.frombuffer(state[name].tobytes(), np.uint8)
        return state

    def _from_saved(self, state):
        for name in state.keys() & LAYOUTS.keys():
            state[name] = records(name, state[name], LAYOUTS[name])
        return state

    def _check_loaded(self):
        self._check_state(numbers=True)
        # Parameters in a file that is mapped into memory stay there, so that processes share them.
        # Read-only parameters may lie in a shared buffer, so they stay there, too.
        if self._parameters.flags.writeable and not isinstance(self._parameters, np.memmap):
            self._parameters = aligned.moved(self._parameters)

    def _check_state(self, numbers=False):
        """Refuse a damaged fitted state; `numbers`: check every number, too.

        Raises
        ------
        ValueError
            The message names the damage.
        """
        refuse_other_format(type(self).__name__, vars(self))
        missing = [name for name in STATE if name not in vars(self)]
        if missing:
            raise ValueError(f"The fitted state is damaged: it has no {missing[0]}.")
        n_features = self._fitted_network(every_number=True).layout.n_inputs
        check_inputs(self, n_features)
        if numbers:
            if not np.isfinite(self._parameters).all():
                raise ValueError("The fitted state is damaged: weights are not finite.")
            check_numbers("statistics of batch norm", self._statistics, self._statistics.shape)
            for var in views.running_vars(self._plan, self._statistics):
                check_numbers("running_vars_", var, var.shape, 0.0)
            if "_optimizer" in vars(self):
                check_optimizer(self._optimizer)

    @property
    def _targets(self):
        """The targets that the network was trained on, from the attributes of this estimator.

        An attribute that is missing is an AttributeError. Completion by Tab asks for each name, and
        takes no other error.
        """
        return self._kind_of_targets.held_by(self)

    def _fitted_network(self, every_number=False):
        """The network of the fitted state.

        The network checks its plan and its arrays, and the targets check their attributes. With
        `every_number` the targets check all their numbers, which would slow down a prediction.
        """
        network = Network(
            self._plan,
            self._loss,
            self._parameters,
            self._statistics,
            loss_parameter=self._loss_parameter,
        )
        check_count("n_outputs_", self.n_outputs_, network.layout.n_outputs)
        _check_digest(network.layout, self._plan_digest)
        try:
            targets = self._targets
        except AttributeError as error:
            raise ValueError(f"The fitted state is damaged: it has no {error.name}.") from error
        targets.check(self._loss, every_number)
        return network

    def _raw_outputs(self, X):
        """Raw outputs of the network in float64, and the dtype of predictions.

        The estimator must not change during the call, so call this method of a ``_look()``.
        """
        refuse_masked(X=X)
        return self._outputs_of(self._checked_rows(X))

    def _outputs_of(self, X):
        """The result of `_raw_outputs` for checked data."""
        z = self._infer(self._fitted_network(), self._input_table(X))
        refuse_non_finite(z)
        return z.astype(np.float64, copy=False), np.result_type(X.dtype, z.dtype)


def refuse_non_finite(outputs):
    """Refuse outputs that are not finite, because they have no prediction."""
    if not np.isfinite(outputs).all():
        raise ValueError(
            f"Input X contains a value too large for a network in {outputs.dtype}: an output is "
            "not a finite number. Other units, normalize_input='smooth_clip' or dtype='float64' "
            "may help."
        )


def _check_digest(layout, digest):
    # One wrong number in a plan can make another plan that is valid.
    if layout.digest != digest:
        raise ValueError("The fitted state is damaged: its plan is not the plan that was fitted.")
