"""Real targets: their normalization, and predictions from raw outputs."""

from datetime import date, time, timedelta
from functools import reduce

import numpy as np
from sklearn.utils.validation import check_array, column_or_1d

from skbn.estimators.columns import NON_FINITE, column_moments, merged
from skbn.estimators.fitted import refuse_non_finite
from skbn.estimators.losses import REGRESSION_LOSSES
from skbn.estimators.state import check_numbers
from skbn.network import views
from skbn.network.processes import ONE_PROCESS

# Datetimes of pandas are instances of these classes, too.
DATES = (date, time, timedelta, np.datetime64, np.timedelta64)


class RealTargets:
    """One real number per row, or several.

    An estimator stores plain attributes and no object of this class: `held_by` makes the object
    from the attributes, and `attributes` gives the attributes of the object.

    Parameters
    ----------
    estimator_name : str
        The name of the estimator in errors.
    loss : str
        The loss of the network, a name in ``REGRESSION_LOSSES``.
    n_outputs : int, default=None
        Outputs of the network. ``None``: the first `encode` counts them.
    moments : tuple of three ndarrays of shape (n_outputs,), default=None
        Mean, variance and total weight of each target. ``None``: there are no moments.
    is_normalized : bool
        Whether the network learns targets that are normalized by their moments.
    loss_parameter : float, default=0.0
        The parameter of the loss, if the loss has one.
    """

    # Real targets have no probabilities, and so no prior.
    prior = None

    # The processes whose rows count together in a call.
    processes = ONE_PROCESS

    def __init__(
        self,
        estimator_name,
        loss,
        n_outputs=None,
        moments=None,
        *,
        is_normalized,
        loss_parameter=0.0,
    ):
        self.estimator_name = estimator_name
        self.loss = loss
        self.loss_parameter = loss_parameter
        self.n_outputs = n_outputs
        self.moments = moments
        self.is_normalized = is_normalized

    @staticmethod
    def check_classes(estimator, classes):
        """Real targets have no classes."""

    @classmethod
    def begun_by(cls, estimator, incremental):
        """Targets before the first rows. Only the loss is known."""
        parameter = REGRESSION_LOSSES[estimator.loss].parameter
        return cls(
            type(estimator).__name__,
            estimator.loss,
            is_normalized=estimator.normalize_target,
            loss_parameter=0.0 if parameter is None else float(getattr(estimator, parameter)),
        )

    @classmethod
    def held_by(cls, estimator):
        """The targets of a fitted estimator, from its attributes."""
        return cls(
            type(estimator).__name__,
            estimator._loss,
            estimator.n_outputs_,
            estimator._target_moments,
            is_normalized=estimator._target_moments is not None,
            loss_parameter=estimator._loss_parameter,
        )

    def attributes(self):
        """The attributes that the estimator stores."""
        return {"_target_moments": self.moments}

    @property
    def out_activation(self):
        """The function that turns raw outputs into predictions."""
        return REGRESSION_LOSSES[self.loss].link

    def check(self, loss, every_number=False):
        """Refuse attributes that do not fit a network of `loss`, whose outputs were counted.

        With `every_number` the numbers in the moments are checked, too. This would slow down a
        prediction.

        Raises
        ------
        ValueError
            Naming the attribute.
        """
        if loss not in REGRESSION_LOSSES:
            raise ValueError(f"The fitted state is damaged: the loss {loss!r} is no regressor's.")
        if self.moments is None:
            return
        if not (
            len(self.moments) == 3
            and all(getattr(values, "shape", None) == (self.n_outputs,) for values in self.moments)
        ):
            raise ValueError(
                "The fitted state is damaged: the moments of the target are not three arrays of "
                f"{self.n_outputs}."
            )
        if every_number:
            for values, least in zip(self.moments, (-np.inf, 0.0, 0.0), strict=True):
                check_numbers("a moment of the target", values, values.shape, least)

    # From targets to numbers that the network learns.

    def encode(self, y, incremental, validation=False):
        """Targets in float64, of shape (n_samples, n_targets).

        Parameters
        ----------
        y : ndarray
            Targets from the user.
        incremental : bool
            Not used: the targets of different calls are independent.
        validation : bool, default=False
            Whether the rows are for validation.

        Raises
        ------
        ValueError
            If `y` has numbers that are not finite, or for which the loss is not defined, or another
            number of outputs than the earlier targets.
        """
        with self.processes.agreement():
            return self._encoded(y, validation)

    def _encoded(self, y, validation):
        _refuse_dates(y)
        if isinstance(y, np.ndarray) and y.dtype.kind in "biuf" and y.dtype.itemsize <= 8:
            # The original `y` was checked, and float64 holds all of its numbers.
            y = y.astype(np.float64, copy=False)
        else:
            y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=not validation)
        y = y.reshape(len(y), -1)
        if self.n_outputs is None:
            self.n_outputs = y.shape[1]
        elif y.shape[1] != self.n_outputs:
            raise ValueError(
                f"y has {y.shape[1]} output(s), but {self.estimator_name} was fitted with "
                f"{self.n_outputs}."
            )
        if REGRESSION_LOSSES[self.loss].needs_nonnegative and (y < 0).any():
            raise ValueError(f"loss={self.loss!r} needs targets >= 0, but y has a negative one")
        return y

    def update_moments(self, rows, network):
        """Merge the moments of the targets of `rows` into the earlier moments.

        The output layer of `network` is rescaled, so that the merged moments give the same
        predictions as the earlier moments.

        Parameters
        ----------
        rows : Rows
            The rows to train on.
        network : Network
            The network to train. Its parameters may change in place.

        Raises
        ------
        ValueError
            If squares of targets leave the range of float64.
        """
        if not self.is_normalized:
            return
        previous = self.moments
        before = None if previous is None else self.output_affine()
        of_processes = self.processes.gathered(
            lambda: column_moments(rows.targets, rows.sample_weight, name="y")
        )
        self.moments = reduce(merged, of_processes, previous)
        if previous is not None:
            self._rescale_outputs(network, *before)

    def _rescale_outputs(self, network, scale, shift):
        # z s + m = z' s' + m' for every row if W' = W s / s' and b' = (b s + m - m') / s'. A target
        # that has been the same in all rows is predicted exactly, whatever W' and b' are. The mean
        # of counts that have all been 0 has no logarithm: their first prediction is m'.
        new_scale, new_shift = self.output_affine()
        shift = np.where(np.isfinite(shift), shift, new_shift)
        varies = new_scale > 0.0
        new_scale = np.where(varies, new_scale, 1.0)
        # The last operation is the linear map of the outputs.
        (weight,) = views.weights(network.plan[-1:], network.parameters)
        (bias,) = views.biases(network.plan[-1:], network.parameters)
        weight *= np.where(varies, scale / new_scale, 1.0)
        bias[:] = np.where(varies, (bias * scale + shift - new_shift) / new_scale, bias)

    def for_network(self, targets, dtype, name):
        """Encoded `targets` as an array that a network of `dtype` learns; errors call it `name`.

        Raises
        ------
        ValueError
            If a target is too large for `dtype`.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            targets = np.ascontiguousarray(self._normalized(targets), dtype=dtype)
        if not np.isfinite(targets).all():
            raise ValueError(
                f"{NON_FINITE} The loss was not taken: {name} has numbers that are too large for "
                f"a network of {targets.dtype}. Try other units"
                + ("." if self.moments is not None else ", or normalize_target=True.")
            )
        return targets

    def _normalized(self, targets):
        if self.moments is None:
            return targets
        mean, var, _ = self.moments
        if self.out_activation == "exp":
            return targets / np.where(mean > 0.0, mean, 1.0)
        return (targets - mean) / np.where(var > 0.0, np.sqrt(var), 1.0)

    def shown(self, targets):
        """Encoded targets in the shape of the result of ``predict``."""
        return targets.ravel() if self.n_outputs == 1 else targets

    def set_prior(self, rows):
        """Real targets have no prior."""

    def take_temperature(self, targets):
        """Real targets have no temperature."""

    def predict_means(self, n_members):
        """Real targets have no temperature."""

    def attributes_calibrated_on(self, z, rows):
        """The attributes of the estimator; real targets are not calibrated."""
        return self.attributes()

    def row_losses(self, z, rows, tempers=False):
        """The trained loss of each row, shape (n,). It is the mean over several outputs."""
        y = self._normalized(rows.targets)
        loss = REGRESSION_LOSSES[self.loss]
        parameter = () if loss.parameter is None else (self.loss_parameter,)
        return loss.pointwise(z, y, *parameter).mean(axis=1)

    # From raw outputs to predictions.

    def output_affine(self):
        """Scale and shift from raw outputs to the target, or to its logarithm for ``'exp'``.

        The scale is 0 for a target that was the same in all rows, so this target is predicted
        exactly. The variance of such a target is exactly 0, because the moments are computed from
        deviations from one of the targets.
        """
        if self.moments is None:
            return 1.0, 0.0
        mean, var, _ = self.moments
        if self.out_activation == "exp":
            with np.errstate(divide="ignore"):  # the logarithm of the mean of counts that are all 0
                return np.where(var > 0.0, 1.0, 0.0), np.log(mean)
        return np.sqrt(var), mean

    def decode(self, z, dtype):
        """Predictions from raw outputs `z`, in `dtype`. One output gives a vector.

        Raises
        ------
        ValueError
            If a prediction is too large for `dtype`.
        """
        with np.errstate(over="ignore"):
            predictions = self._predictions(z).astype(dtype, copy=False)
        refuse_non_finite(predictions)
        return predictions.ravel() if self.n_outputs == 1 else predictions

    def _predictions(self, z):
        scale, shift = self.output_affine()
        z = z * scale + shift
        if self.out_activation != "exp":
            return z
        z = np.exp(z)
        if self.moments is not None:
            mean, var, _ = self.moments
            z[:, var == 0.0] = mean[var == 0.0]
        return z

    def check_scored(self, targets, name):
        """Refuse targets without an R2; errors call the targets `name`.

        R2 is computed from squares. If these squares leave the range of float64, there is no
        score.

        Raises
        ------
        ValueError
            Naming the column.
        """
        column_moments(targets, name=name)

    def score(self, z, rows, tempers=False):
        """The score of raw outputs `z` for `rows`; NaN if a prediction is not finite."""
        with np.errstate(over="ignore", invalid="ignore"):
            predictions = self._predictions(z)
        if not self.processes.all(np.isfinite(predictions).all()):
            return np.nan
        # R2 and its relatives are no means over rows, so the rows of all processes are needed.
        scored = self.processes.gathered(lambda: (rows.targets, predictions, rows.sample_weight))
        targets, predictions, weight = (
            None if parts[0] is None else np.concatenate(parts)
            for parts in zip(*scored, strict=True)
        )
        loss = REGRESSION_LOSSES[self.loss]
        options = {} if loss.parameter is None else {loss.parameter: self.loss_parameter}
        score = loss.score(targets, predictions, sample_weight=weight, **options)
        # Other processors may round otherwise. All processes take the score of the first one.
        return self.processes.gathered(lambda: score)[0]


def _refuse_dates(y):
    # NumPy would turn a date into the number of nanoseconds, or of days, since 1970.
    kind = getattr(getattr(y, "dtype", None), "kind", "")
    dates = [y.dtype] if kind in ("M", "m") else []
    if kind == "O" and len(y):
        dates = [value for value in np.ravel(y[0]) if isinstance(value, DATES)]
    if dates:
        raise ValueError(
            f"y has dates or durations ({dates[0]}), which are no numbers: give the time from a "
            "date of your choice in a unit of your choice, (y - start) / np.timedelta64(1, 'D')"
        )
