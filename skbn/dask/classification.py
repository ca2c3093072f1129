"""Lazy predictions of classes."""

from typing import Any

from sklearn.metrics import accuracy_score

from skbn.dask.model import DaskModel


class DaskClassifier(DaskModel):
    """Mixin with lazy predictions of classes, in front of the local classifier."""

    def predict(self, X: Any) -> Any:
        """Most probable class of each row, lazily.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features), or dask DataFrame
            The rows.

        Returns
        -------
        y : dask array of shape (n_samples,) or (n_samples, n_labels)
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

    def predict_proba(self, X: Any) -> Any:
        """Probability of each class, lazily.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features), or dask DataFrame
            The rows.

        Returns
        -------
        probabilities : dask array of shape (n_samples, n_classes)
            Columns are in the order of ``classes_``. Nothing is computed yet.

        Raises
        ------
        TypeError
            If `X` is no collection of Dask.
        ValueError
            If `X` has other features than the fitted rows.
        NotFittedError
            If nothing was fitted before.
        """
        return self._lazily("predict_proba", X)

    def predict_log_proba(self, X: Any) -> Any:
        """Logarithm of the probability of each class, lazily.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features), or dask DataFrame
            The rows.

        Returns
        -------
        log_probabilities : dask array of shape (n_samples, n_classes)
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
        return self._lazily("predict_log_proba", X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy, computed at once from the predictions of the workers.

        Parameters
        ----------
        X : dask array of shape (n_samples, n_features), or dask DataFrame
            The rows. They stay on the workers.
        y : dask array, dask Series or array-like of shape (n_samples,) or (n_samples, n_labels)
            True classes or labels. They and the predictions are fetched.
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
        return float(accuracy_score(*fetched[:2], sample_weight=fetched[2]))
