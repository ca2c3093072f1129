"""The public methods of classifiers whose model is a network: predictions and their score."""

from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin

from skbn.estimators.annotations import Floats, MatrixLike, Result
from skbn.estimators.arguments import refuse_masked
from skbn.estimators.class_targets import ClassTargets


class NetworkClassifierMixin(ClassifierMixin):
    """Mixin with the public methods of classifiers whose model is a network."""

    if TYPE_CHECKING:
        classes_: NDArray[Any]
        temperature_: float

    _kind_of_targets = ClassTargets

    def predict(self, X: MatrixLike) -> Result:
        """Most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, ...)
            The rows, in the form that ``fit`` takes.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Predicted classes. Several labels per row are a CSR matrix if the labels of the last fit
            were sparse.

        Raises
        ------
        ValueError
            If `X` does not have the form of the data that were fitted, or if an output is not a
            finite number.
        NotFittedError
            If nothing was fitted before.
        """
        fitted = self._look()
        z, _ = fitted._raw_outputs(X)
        return fitted._targets.decode(z)

    def score(self, X: MatrixLike, y: MatrixLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy: the share of rows whose class is predicted right, or all of whose labels are.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, ...)
            The rows, in the form that ``fit`` takes.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            True classes or labels.
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

    def predict_proba(self, X: MatrixLike) -> Floats:
        """Probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, ...)
            The rows, in the form that ``fit`` takes.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Columns are in the order of ``classes_``. Several labels per row have independent
            probabilities. The dtype is float32 for float32 `X`, and float64 otherwise.

        Raises
        ------
        ValueError
            If `X` does not have the form of the data that were fitted, or if an output is not a
            finite number.
        NotFittedError
            If nothing was fitted before.
        """
        fitted = self._look()
        z, dtype = fitted._raw_outputs(X)
        return fitted._targets.probabilities(z, dtype)

    def predict_log_proba(self, X: MatrixLike) -> Floats:
        """Logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, ...)
            The rows, in the form that ``fit`` takes.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Logarithms computed from the raw outputs. They are finite even if a probability is too
            small for a floating-point number. They are 0 if float32 rounds the probability to 1.

        Raises
        ------
        ValueError
            If `X` does not have the form of the data that were fitted, or if an output is not a
            finite number.
        NotFittedError
            If nothing was fitted before.
        """
        fitted = self._look()
        z, dtype = fitted._raw_outputs(X)
        return fitted._targets.log_probabilities(z, dtype)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
