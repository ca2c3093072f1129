"""Lazy predictions of real targets."""

from typing import Any

from sklearn.metrics import r2_score

from skbn.dask.model import DaskModel


class DaskRegressor(DaskModel):
    """Mixin with lazy predictions of real targets, in front of the local regressor."""

    def predict(self, X: Any) -> Any:
        """Predicted targets, in their unit, lazily.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features), or dask DataFrame
            The rows.

        Returns
        -------
        y : dask array of shape (n_samples,) or (n_samples, n_outputs)
            Nothing is computed yet.

        Raises
        ------
        TypeError
            If `X` is no collection of Dask.
        ValueError
            If `X` has other features than the fitted rows.
        NotFittedError
            If nothing was fitted before.
        """
        return self._lazily("predict", X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The coefficient of determination R2, computed at once.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features), or dask DataFrame
            The rows. They stay on the workers.
        y : dask array, dask Series or array-like of shape (n_samples,) or (n_samples, n_outputs)
            True targets. They and the predictions are fetched.
        sample_weight : dask array, dask Series or array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float

        Raises
        ------
        TypeError
            If `X` is no collection of Dask.
        ValueError
            If `X` has other features than the fitted rows.
        NotFittedError
            If nothing was fitted before.
        """
        fetched = self._fetched(y, self.predict(X), sample_weight)
        return float(r2_score(*fetched[:2], sample_weight=fetched[2]))
