"""Targets that are classes: how they are encoded, and what raw outputs mean for them."""

import numpy as np
from scipy.sparse import csr_matrix, issparse
from scipy.special import expit, log_expit, log_softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

from skbn.estimators.arguments import in_the_name_of, refuse_masked
from skbn.estimators.fitted import refuse_non_finite
from skbn.estimators.state import check_count


class ClassTargets(ClassifierMixin):
    """Mixin of classifiers on a network."""

    def predict(self, X):
        """Most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, ...)
            The rows, in the form that ``fit`` takes.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            A CSR matrix where the labels of the last fit were sparse.

        Raises
        ------
        ValueError
            If `X` is not what was fitted on, or if an output is not a finite number.
        NotFittedError
            If nothing was fitted before.
        """
        fitted = self._look()
        z, _ = fitted._raw_outputs(X)
        codes = fitted._predicted_codes(z)
        if not fitted._is_multilabel:
            return fitted.classes_[codes]
        return csr_matrix(codes) if fitted._predicts_sparse else codes

    def score(self, X, y, sample_weight=None):
        """Accuracy: the share of rows whose class, or all of whose labels, are predicted right.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, ...)
            The rows, in the form that ``fit`` takes.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their classes or labels.
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
        if np.ndim(self.classes_) != 1:
            raise ValueError("The fitted state is damaged: classes_ is no vector.")
        n_classes = len(self.classes_)
        if self._is_multilabel or self.n_outputs_ > 1:
            check_count("the number of classes", n_classes, self.n_outputs_)
        elif not 1 <= n_classes <= 2:
            check_count("the number of classes", n_classes, 2)
        check_count("out_activation_", self._loss, self._loss_name())

    def _predicted_codes(self, z):
        if self._is_multilabel:
            return (z > 0).astype(int)
        if self.n_outputs_ > 1:
            return z.argmax(axis=1)
        # With one class there is nothing to decide.
        return np.minimum(z[:, 0] > 0, len(self.classes_) - 1).astype(int)

    def _score_outputs(self, z, rows):
        if not np.isfinite(z).all():
            return np.nan
        targets = rows.targets if self._is_multilabel else rows.targets[:, 0]
        return accuracy_score(targets, self._predicted_codes(z), sample_weight=rows.sample_weight)

    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, ...)
            The rows, in the form that ``fit`` takes.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; for multi-label targets of each label by itself.
            float32 for float32 `X`, float64 otherwise.

        Raises
        ------
        ValueError
            If `X` is not what was fitted on, or if an output is not a finite number.
        NotFittedError
            If nothing was fitted before.
        """
        fitted = self._look()
        z, dtype = fitted._raw_outputs(X)
        if fitted._is_multilabel:
            probabilities = expit(z)
        elif fitted.n_outputs_ > 1:
            # exp(z - max z) / its sum, in place: the outputs are nobody else's.
            z -= z.max(axis=1, keepdims=True)
            np.exp(z, out=z)
            z /= z.sum(axis=1, keepdims=True)
            probabilities = z
        elif len(fitted.classes_) == 1:
            probabilities = np.ones_like(z)
        else:
            probabilities = np.hstack([expit(-z), expit(z)])
        return probabilities.astype(dtype, copy=False)

    def predict_log_proba(self, X):
        """Logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, ...)
            The rows, in the form that ``fit`` takes.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            From the raw outputs: finite also where a probability is too small for a number. 0
            where the probability in float32 is 1.

        Raises
        ------
        ValueError
            If `X` is not what was fitted on, or if an output is not a finite number.
        NotFittedError
            If nothing was fitted before.
        """
        fitted = self._look()
        z, dtype = fitted._raw_outputs(X)
        if fitted._is_multilabel:
            # As upstream, the logarithm of the probability; where that is tiny, it is about z.
            logarithms = np.log(expit(z), out=log_expit(z), where=z > -30.0)
        elif fitted.n_outputs_ > 1:
            logarithms = log_softmax(z, axis=1)
        elif len(fitted.classes_) == 1:
            logarithms = np.zeros_like(z)
        else:
            logarithms = np.hstack([log_expit(-z), log_expit(z)])
        if dtype == np.float32:
            # So that it is the logarithm of what predict_proba gives, to float32's rounding.
            logarithms[logarithms > -np.finfo(dtype).epsneg / 2.0] = 0.0
        with np.errstate(over="ignore"):
            logarithms = logarithms.astype(dtype, copy=False)
        refuse_non_finite(logarithms)
        return logarithms

    def _class_weight(self, y, incremental):
        if self.class_weight is None:
            return None
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not supported by partial_fit, which does not see all "
                "rows: give the weights as a dict"
            )
        self._check_list_of_class_weights(y)
        n = y.shape[0]
        if incremental:
            y = self._behind_all_classes(y)
            if y is None:
                return None
        with in_the_name_of("class_weight", instead_of="class_weight"):
            weight = compute_sample_weight(self.class_weight, y)[-n:]
        if not (np.isfinite(weight) & (weight >= 0)).all():
            raise ValueError(f"class_weight must be >= 0 and finite, got {self.class_weight}")
        return weight

    def _behind_all_classes(self, y):
        # Not every call of partial_fit has rows of every class. Behind a row of each, weights by
        # class are the same, and none seems to be missing.
        if y.ndim == 2 and y.shape[1] > 1:
            y = y.toarray() if issparse(y) else y
            return np.vstack([np.zeros_like(y[:1]), np.ones_like(y[:1]), y])
        y = np.ravel(y)
        # What `_encode` is going to refuse has no weights.
        return np.concatenate([self.classes_, y]) if np.isin(y, self.classes_).all() else None

    def _check_list_of_class_weights(self, y):
        if not isinstance(self.class_weight, list):
            return
        if not all(isinstance(weights, dict) for weights in self.class_weight):
            raise InvalidParameterError(
                f"The 'class_weight' parameter of {type(self).__name__} must be a dict, a list of "
                f"dicts, 'balanced' or None. Got {self.class_weight!r} instead."
            )
        if y.ndim == 1 or y.shape[1] == 1:
            raise ValueError(
                "class_weight is a list of dicts, which is for several labels a row, but y has one "
                "class a row: give one dict of its classes"
            )

    def _encode(self, y, fresh, incremental, validation=False):
        is_sparse = issparse(y)
        if is_sparse:
            y = y.toarray()
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=not validation)
        # Every look at the kind of targets takes a fifth of a small call of partial_fit.
        if y.ndim == 2 and type_of_target(y, input_name="y") == "multiclass-multioutput":
            raise ValueError(
                f"y has {y.shape[1]} columns of classes (multiclass-multioutput), which is not "
                "supported: fit a classifier to each, as MultiOutputClassifier does"
            )
        try:
            check_classification_targets(y)
        except ValueError as error:
            if not type_of_target(y, input_name="y").startswith("continuous"):
                raise
            regressor = type(self).__name__.replace("Classifier", "Regressor")
            raise ValueError(f"{error} For a continuous target there is {regressor}.") from None
        present = unique_labels(y)
        if fresh and not incremental:
            self.classes_ = present
        elif incremental:
            if len(np.setdiff1d(present, self.classes_)):
                raise ValueError(
                    "`y` has classes not in `self.classes_`. "
                    f"`self.classes_` has {self.classes_}. `y` has {present}."
                )
        elif set(present) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {present}"
            )
        # Of targets with several columns none but indicators of labels have come this far.
        is_multilabel = y.ndim == 2
        if fresh:
            self._is_multilabel = is_multilabel
        elif is_multilabel != self._is_multilabel or (
            is_multilabel and y.shape[1] != self.n_outputs_
        ):
            raise ValueError(
                f"y has shape {y.shape}, which does not fit the targets of the previous call: "
                + (f"{self.n_outputs_} labels" if self._is_multilabel else "one class a row")
            )
        if y.ndim == 2:
            if not validation:
                self._predicts_sparse = is_sparse
            # As upstream, a label is there where y is not 0.
            return (y != 0).astype(np.float64)
        codes = np.searchsorted(self.classes_, y)
        # One column: the number of the class for a softmax, 0 or 1 for a logistic output.
        return codes.reshape(-1, 1)

    def _count_outputs(self, targets):
        if self._is_multilabel:
            return targets.shape[1]
        return len(self.classes_) if len(self.classes_) > 2 else 1

    def _out_activation(self):
        return "logistic" if self._is_multilabel or len(self.classes_) <= 2 else "softmax"

    def _loss_name(self):
        return f"{self._out_activation()}_log_loss"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
