"""The fitted state of an estimator on a network, and what can be asked of it.

It is plain arrays and numbers. ``coefs_`` and its like are views of the flat memory, made when
they are asked for, so they are right after unpickling and copying too.

A public method looks at the state once, by ``_look()``, and reads everything from what it has
seen: another thread may fit the estimator while the method runs.
"""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skbn.estimators.arguments import refuse_masked
from skbn.estimators.columns import divisor
from skbn.estimators.inputs import input_table
from skbn.estimators.rows import prediction_rows
from skbn.estimators.state import check_count, check_numbers, records, refuse_other_format
from skbn.estimators.transaction import draft_of
from skbn.network import views
from skbn.network.network import Network
from skbn.network.optimizer import OPTIMIZER, check_optimizer
from skbn.network.plan import OPERATION, Layout

# Without which there is no prediction and no further training.
STATE = (
    "_plan",
    "_plan_digest",
    "_loss",
    "_parameters",
    "_statistics",
    "_n_batches_tracked",
    "_n_steps_tracked",
    "n_outputs_",
    "n_features_in_",
)


# Attributes that are records, and their layouts.
LAYOUTS = {"_plan": OPERATION, "_optimizer": OPTIMIZER}


class FittedNetwork:
    """Mixin of estimators whose fitted state is a network."""

    @property
    def coefs_(self):
        return self._view(views.weights, "coefs_", "_parameters")

    @coefs_.setter
    def coefs_(self, arrays):
        self.coefs_[:] = arrays

    @property
    def intercepts_(self):
        return self._view(views.biases, "intercepts_", "_parameters")

    @intercepts_.setter
    def intercepts_(self, arrays):
        self.intercepts_[:] = arrays

    @property
    def gammas_(self):
        return self._view(views.gammas, "gammas_", "_parameters")

    @gammas_.setter
    def gammas_(self, arrays):
        self.gammas_[:] = arrays

    @property
    def betas_(self):
        return self._view(views.betas, "betas_", "_parameters")

    @betas_.setter
    def betas_(self, arrays):
        self.betas_[:] = arrays

    @property
    def running_means_(self):
        layers = self._view(views.running_means, "running_means_", "_statistics")
        return views.Views(map(self._shown_steps, layers))

    @running_means_.setter
    def running_means_(self, arrays):
        self.running_means_[:] = arrays

    @property
    def running_vars_(self):
        layers = self._view(views.running_vars, "running_vars_", "_statistics")
        return views.Views(map(self._shown_steps, layers))

    @running_vars_.setter
    def running_vars_(self, arrays):
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
        # A shallow copy shares all but the memory that is written to through views.
        copied = draft_of(self)
        for name in ("_parameters", "_statistics"):
            if name in vars(copied):
                setattr(copied, name, vars(copied)[name].copy())
        return copied

    def _look(self):
        """This estimator as it is now, whatever becomes of it.

        Raises
        ------
        NotFittedError
            If it is not fitted.
        """
        fitted = draft_of(self)
        if "_plan" not in vars(fitted):
            check_is_fitted(fitted)  # raises, and takes its time
        refuse_other_format(type(self).__name__, vars(fitted))
        return fitted

    def __getstate__(self):
        # Records as bytes: NumPy takes the layout of a record from a file as it is, and a damaged
        # one crashes it.
        state = dict(super().__getstate__())
        for name in state.keys() & LAYOUTS.keys():
            state[name] = np.frombuffer(state[name].tobytes(), np.uint8)
        return state

    def __setstate__(self, state):
        super().__setstate__(dict(state))
        if not self.__sklearn_is_fitted__():
            return
        refuse_other_format(type(self).__name__, vars(self))
        for name in vars(self).keys() & LAYOUTS.keys():
            setattr(self, name, records(name, vars(self)[name], LAYOUTS[name]))
        self._check_state(numbers=True)

    def _check_state(self, numbers=False):
        """Refuse a fitted state that is not whole; `numbers`: look at every number, too.

        Raises
        ------
        ValueError
            Saying what is wrong.
        """
        refuse_other_format(type(self).__name__, vars(self))
        missing = [name for name in STATE if name not in vars(self)]
        if missing:
            raise ValueError(f"The fitted state is damaged: it has no {missing[0]}.")
        network = self._fitted_network()
        n_features = network.layout.n_inputs
        for name, least in (("input_mean_", -np.inf), ("input_var_", 0.0), ("_input_weight", 0.0)):
            if "input_mean_" in vars(self):
                check_numbers(name, vars(self).get(name), (n_features,), least)
        if numbers:
            if not np.isfinite(self._parameters).all():
                raise ValueError("The fitted state is damaged: weights are not finite.")
            check_numbers("statistics of batch norm", self._statistics, self._statistics.shape)
            for var in views.running_vars(self._plan, self._statistics):
                check_numbers("running_vars_", var, var.shape, 0.0)
            if "_optimizer" in vars(self):
                check_optimizer(self._optimizer)

    def _fitted_network(self):
        """The network, which checks its plan and arrays, of as many outputs as there are targets.

        This is all that a prediction can afford to look at.
        """
        network = Network(self._plan, self._loss, self._parameters, self._statistics)
        check_count("n_outputs_", self.n_outputs_, network.layout.n_outputs)
        _check_digest(network.layout, self._plan_digest)
        self._check_targets_state()
        return network

    def _check_targets_state(self):
        """Refuse attributes about the targets that do not fit the network."""

    def _raw_outputs(self, X):
        """Outputs of the network before any link, float64, and the dtype results have.

        Of an estimator that nothing changes meanwhile: call it on a ``_look()``.
        """
        refuse_masked(X=X)
        X = self._prediction_rows(X)
        network = self._for_prediction(self._fitted_network(), X.shape[0])
        z = self._infer(network, self._input_table(X))
        refuse_non_finite(z)
        return z.astype(np.float64, copy=False), np.result_type(X.dtype, z.dtype)

    def _prediction_rows(self, X):
        """Checked rows to predict from."""
        return prediction_rows(self, X)

    def _input_table(self, X, y=None, sample_weight=None):
        """Checked rows, and targets and weights where they are needed, as the network's table."""
        return input_table(X, *self._input_normalization(), y, sample_weight)

    def _for_prediction(self, network, n_rows):
        """The network that predicts `n_rows` rows: this one, or a faster one that does the same."""
        return network

    def _infer(self, network, table):
        """Raw outputs of `network` for a table."""
        return network.infer(table)

    def _shown_steps(self, statistics):
        """A layer's statistics, shape (t, d), as the attributes show them: a view."""
        return statistics

    def _input_normalization(self):
        """What is subtracted from the inputs, what multiplies them then, or None twice; and
        whether they are clipped.
        """
        mean = getattr(self, "input_mean_", None)
        if mean is None:
            return None, None, False
        is_clipped = self._input_clipped
        for values in (mean, self.input_var_, self._input_weight):
            if getattr(values, "dtype", None) != np.float64 or values.shape != mean.shape:
                raise ValueError(
                    "The fitted state is damaged: input_mean_, input_var_ and _input_weight are "
                    "not three arrays of float64 of one shape."
                )
        if is_clipped is not True and is_clipped is not False:
            raise ValueError(f"The fitted state is damaged: _input_clipped is {is_clipped!r}.")
        spread = divisor(mean, self.input_var_, self._input_weight, epsilon=0.0)
        return mean, 1.0 / spread, is_clipped

    def _output_affine(self):
        """What raw outputs are multiplied by, and what is added then, to be predictions."""
        return 1.0, 0.0


def refuse_non_finite(outputs):
    """Raise where finite inputs have led to outputs that are not: nothing follows from them."""
    if not np.isfinite(outputs).all():
        raise ValueError(
            f"Input X contains a value too large for a network in {outputs.dtype}: an output is "
            "not a finite number. Other units, normalize_input='smooth_clip' or dtype='float64' "
            "may help."
        )


def _check_digest(layout, digest):
    # One wrong number in a plan can make another plan, which is whole.
    if layout.digest != digest:
        raise ValueError("The fitted state is damaged: its plan is not the plan that was fitted.")
