"""The public methods of regressors whose model is a network: predictions and their score."""

from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin

from skbn.estimators.annotations import MatrixLike, Result
from skbn.estimators.arguments import refuse_masked
from skbn.estimators.real_targets import RealTargets


class NetworkRegressorMixin(RegressorMixin):
    """Mixin with the public methods of regressors whose model is a network."""

    _kind_of_targets = RealTargets

    def predict(self, X: MatrixLike) -> Result:
        """Predicted targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, ...)
            The rows, in the form that ``fit`` takes.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions in the target's own unit. The dtype is float32 for float32 `X` and a network
            of float32, and float64 otherwise.

        Raises
        ------
        ValueError
            If `X` does not have the form of the data that were fitted, or if a prediction is not a
            finite number.
        NotFittedError
            If nothing was fitted before.
        """
        fitted = self._look()
        z, dtype = fitted._raw_outputs(X)
        return fitted._targets.decode(z, dtype)

    def score(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R2, the coefficient of determination, averaged over the outputs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, ...)
            The rows, in the form that ``fit`` takes.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float

        Raises
        ------
        ValueError
            If `X` does not have the form of the data that were fitted, or if `X`, `y` and
            `sample_weight` have different lengths.
        NotFittedError
            If nothing was fitted before.
        """
        refuse_masked(X=X, y=y, sample_weight=sample_weight)
        return super().score(X, y, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
