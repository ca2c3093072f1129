"""Real targets: how they are normalized, and what raw outputs mean for them."""

from datetime import date, time, timedelta

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_array, column_or_1d

from skbn.estimators.arguments import refuse_masked
from skbn.estimators.columns import NON_FINITE, column_moments, merged
from skbn.estimators.fitted import refuse_non_finite
from skbn.estimators.state import check_numbers
from skbn.network import views

# Datetimes of pandas, too.
DATES = (date, time, timedelta, np.datetime64, np.timedelta64)


def _refuse_dates(y):
    # NumPy would make the number of nanoseconds, or of days, since 1970 of a date.
    kind = getattr(getattr(y, "dtype", None), "kind", "")
    dates = [y.dtype] if kind in ("M", "m") else []
    if kind == "O" and len(y):
        dates = [value for value in np.ravel(y[0]) if isinstance(value, DATES)]
    if dates:
        raise ValueError(
            f"y has dates or durations ({dates[0]}), which are no numbers: give the time from a "
            "date of your choice in a unit of your choice, (y - start) / np.timedelta64(1, 'D')"
        )


class RealTargets(RegressorMixin):
    """Mixin of regressors on a network."""

    def predict(self, X):
        """Predicted targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, ...)
            The rows, in the form that ``fit`` takes.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the target's own unit; float32 for float32 `X` and a network of float32, float64
            otherwise.

        Raises
        ------
        ValueError
            If `X` is not what was fitted on, or if a prediction is not a finite number.
        NotFittedError
            If nothing was fitted before.
        """
        fitted = self._look()
        z, dtype = fitted._raw_outputs(X)
        with np.errstate(over="ignore"):
            z = fitted._predictions(z).astype(dtype, copy=False)
        refuse_non_finite(z)
        return z.ravel() if fitted.n_outputs_ == 1 else z

    def score(self, X, y, sample_weight=None):
        """R2, the coefficient of determination; of several outputs the mean.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, ...)
            The rows, in the form that ``fit`` takes.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float

        Raises
        ------
        ValueError
            If `X` is not what was fitted on, or does not fit the others.
        NotFittedError
            If nothing was fitted before.
        """
        refuse_masked(X=X, y=y, sample_weight=sample_weight)
        return super().score(X, y, sample_weight)

    def _check_targets_state(self):
        if self._loss not in ("squared_error", "absolute_error", "poisson"):
            raise ValueError(
                f"The fitted state is damaged: the loss {self._loss!r} is no regressor's."
            )
        moments = self._target_moments
        if moments is not None and not (
            len(moments) == 3
            and all(getattr(values, "shape", None) == (self.n_outputs_,) for values in moments)
        ):
            raise ValueError(
                "The fitted state is damaged: the moments of the target are not three arrays of "
                f"{self.n_outputs_}."
            )

    def _check_state(self, numbers=False):
        super()._check_state(numbers)
        if self._target_moments is not None:
            for values, least in zip(self._target_moments, (-np.inf, 0.0, 0.0), strict=True):
                check_numbers("a moment of the target", values, values.shape, least)

    def _predictions(self, z):
        scale, shift = self._output_affine()
        z = z * scale + shift
        if self._loss != "poisson":
            return z
        z = np.exp(z)
        if self._target_moments is not None:
            mean, var, _ = self._target_moments
            z[:, var == 0.0] = mean[var == 0.0]
        return z

    def _score_outputs(self, z, rows):
        with np.errstate(over="ignore", invalid="ignore"):
            prediction = self._predictions(z)
        if not np.isfinite(prediction).all():
            return np.nan
        return r2_score(rows.targets, prediction, sample_weight=rows.sample_weight)

    def _encode(self, y, fresh, incremental, validation=False):
        _refuse_dates(y)
        y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=not validation)
        y = y.reshape(len(y), -1)
        if not fresh and y.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y has {y.shape[1]} output(s), but {type(self).__name__} was fitted with "
                f"{self.n_outputs_}."
            )
        loss = self.loss if fresh else self._loss
        if loss == "poisson" and (y < 0).any():
            raise ValueError("loss='poisson' needs targets >= 0, but y has a negative one")
        return y

    def _update_moments(self, rows, fresh):
        super()._update_moments(rows, fresh)
        previous = None if fresh else self._target_moments
        if fresh:
            self._target_moments = None
        if not (self.normalize_target if fresh else previous is not None):
            return
        before = None if previous is None else self._output_affine()
        batch = column_moments(rows.targets, rows.sample_weight, name="y")
        self._target_moments = merged(previous, batch)
        if previous is not None:
            self._rescale_outputs(*before)

    def _output_affine(self):
        """Scale and shift from the normalized target, or its logarithm, to the target.

        The scale is 0 for a target that was the same in all rows, which is then predicted exactly.
        Its variance is exactly 0: moments are taken of deviations from a target that occurs.
        """
        if self._target_moments is None:
            return 1.0, 0.0
        mean, var, _ = self._target_moments
        if self._loss == "poisson":
            with np.errstate(divide="ignore"):  # where all of it is 0
                return np.where(var > 0.0, 1.0, 0.0), np.log(mean)
        return np.sqrt(var), mean

    def _network_targets(self, targets, name):
        with np.errstate(over="ignore", invalid="ignore"):
            targets = super()._network_targets(self._normalized_targets(targets), name)
        if not np.isfinite(targets).all():
            raise ValueError(
                f"{NON_FINITE} The loss was not taken: {name} has numbers that are too large for "
                f"a network of {targets.dtype}. Try other units"
                + ("." if self._target_moments is not None else ", or normalize_target=True.")
            )
        return targets

    def _validation(self, network, table, rows, random_state, targets):
        # R2 is made of squares: rows that have none would have no score.
        column_moments(rows.targets, name=targets)
        return super()._validation(network, table, rows, random_state, targets)

    def _normalized_targets(self, targets):
        if self._target_moments is None:
            return targets
        mean, var, _ = self._target_moments
        if self._loss == "poisson":
            return targets / np.where(mean > 0.0, mean, 1.0)
        return (targets - mean) / np.where(var > 0.0, np.sqrt(var), 1.0)

    def _rescale_outputs(self, scale, shift):
        # z s + m = z' s' + m' for every row where W' = W s / s', b' = (b s + m - m') / s'. A
        # target that is still the same in all rows is predicted whatever W' and b' are. Counts
        # that were 0 up to now, of which there is no logarithm, are predicted as m' for a start.
        new_scale, new_shift = self._output_affine()
        shift = np.where(np.isfinite(shift), shift, new_shift)
        varies = new_scale > 0.0
        new_scale = np.where(varies, new_scale, 1.0)
        self._parameters = self._parameters.copy()
        weight = views.weights(self._plan, self._parameters)[-1]
        bias = views.biases(self._plan, self._parameters)[-1]
        weight *= np.where(varies, scale / new_scale, 1.0)
        bias[:] = np.where(varies, (bias * scale + shift - new_shift) / new_scale, bias)

    def _count_outputs(self, targets):
        return targets.shape[1]

    def _out_activation(self):
        return "exp" if self.loss == "poisson" else "identity"

    def _loss_name(self):
        return self.loss

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
