"""Targets that are classes or labels: their encoding, and predictions from raw outputs."""

from contextlib import suppress
from copy import copy

import numpy as np
from scipy.sparse import csr_matrix, issparse
from scipy.special import expit, log_expit, log_softmax
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import column_or_1d

from skbn.estimators.fitted import refuse_non_finite
from skbn.estimators.losses import CLASS_LOSSES
from skbn.estimators.state import check_count, check_numbers
from skbn.estimators.temperature import (
    FLATTEST,
    STEEPEST,
    fitted_temperature,
    prior_outputs,
    row_losses,
    temperature_of_a_mean,
    tempered,
)
from skbn.network.processes import ONE_PROCESS

# Kinds of dtypes of real numbers, and for each kind of classes the kinds that the classes can be
# compared with. Strings can be compared with objects, which may be strings.
NUMBERS = "biuf"
COMPARABLE = {"U": "UO"} | dict.fromkeys(NUMBERS, NUMBERS)

# scikit-learn may warn if more rows than these have mostly different classes.
MANY_ROWS = 20

# The attributes of calibrated probabilities.
CALIBRATION = ("temperature_", "_prior_outputs")


class ClassTargets:
    """One class a row, or several labels a row.

    An estimator stores plain attributes and no object of this class: `held_by` makes the object
    from the attributes, and `attributes` gives the attributes of the object.

    Parameters
    ----------
    estimator_name : str
        The name of the estimator in errors.
    classes : ndarray of shape (n_classes,) or None
        ``None``: the first `encode` finds the classes.
    is_multilabel : bool, default=None
        Whether a row has several labels. ``None``: the first `encode` finds it out.
    n_outputs : int, default=None
        Outputs of the network. ``None``: the first `encode` counts them.
    predicts_sparse : bool, default=False
        Whether labels are predicted as a sparse matrix.
    temperature : float, default=None
        Divides the difference of the raw outputs from `prior`. ``None``: raw outputs are not
        changed.
    prior : ndarray of shape (n_outputs,), default=None
        The raw outputs that give the prior of the classes. Belongs to a temperature.
    """

    # The losses of classes have no parameter.
    loss_parameter = 0.0

    # The processes whose rows count together in a call.
    processes = ONE_PROCESS

    def __init__(
        self,
        estimator_name,
        classes,
        is_multilabel=None,
        n_outputs=None,
        predicts_sparse=False,
        temperature=None,
        prior=None,
    ):
        self.estimator_name = estimator_name
        self.classes = classes
        self.is_multilabel = is_multilabel
        self.n_outputs = n_outputs
        self.predicts_sparse = predicts_sparse
        self.temperature = temperature
        self.prior = prior

    @staticmethod
    def check_classes(estimator, classes):
        """Check the classes that ``partial_fit`` was given; the first call sets ``classes_``.

        scikit-learn finds out the kind of the classes first, which takes longer than a training
        step on a mini-batch. This method skips that for the same classes as in earlier calls.

        Raises
        ------
        ValueError
            If the first call gives no classes, or a later call gives other classes.
        """
        kept = getattr(estimator, "classes_", None)
        if kept is not None and classes is not None:
            with suppress(ValueError):  # ragged
                given = np.asarray(classes)
                # NumPy turns numbers among strings into strings, and scikit-learn refuses them.
                is_uniform = given.dtype.kind != "U" or all(isinstance(c, str) for c in classes)
                if is_uniform and given.dtype.kind in COMPARABLE and np.array_equal(kept, given):
                    return
        _check_partial_fit_first_call(estimator, classes)

    @classmethod
    def begun_by(cls, estimator, incremental):
        """Targets before the first rows; only the classes given to ``partial_fit`` are known."""
        return cls(type(estimator).__name__, estimator.classes_ if incremental else None)

    @classmethod
    def held_by(cls, estimator):
        """The targets of a fitted estimator, from its attributes."""
        return cls(
            type(estimator).__name__,
            estimator.classes_,
            estimator._is_multilabel,
            estimator.n_outputs_,
            # An estimator with one class per row does not store this attribute.
            getattr(estimator, "_predicts_sparse", None),
            getattr(estimator, "temperature_", None),
            getattr(estimator, "_prior_outputs", None),
        )

    def attributes(self):
        """The attributes that the estimator stores."""
        attributes = {"classes_": self.classes, "_is_multilabel": self.is_multilabel}
        if self.is_multilabel:
            attributes["_predicts_sparse"] = self.predicts_sparse
        if self.temperature is not None:
            attributes |= {"temperature_": self.temperature, "_prior_outputs": self.prior}
        return attributes

    @property
    def out_activation(self):
        """The function that turns raw outputs into probabilities."""
        return "logistic" if self.is_multilabel or len(self.classes) <= 2 else "softmax"

    @property
    def loss(self):
        """The loss of the network."""
        return CLASS_LOSSES[self.out_activation]

    def check(self, loss, every_number=False):
        """Refuse attributes that do not fit a network of `loss`, whose outputs were counted.

        Raises
        ------
        ValueError
            Naming the attribute.
        """
        if np.ndim(self.classes) != 1:
            raise ValueError("The fitted state is damaged: classes_ is no vector.")
        n_classes = len(self.classes)
        if self.is_multilabel or self.n_outputs > 1:
            check_count("the number of classes", n_classes, self.n_outputs)
        elif not 1 <= n_classes <= 2:
            check_count("the number of classes", n_classes, 2)
        check_count("out_activation_", loss, self.loss)
        # One output belongs to one or two classes. Two outputs belong to two labels.
        if self.n_outputs <= 2 and self.is_multilabel != (self.n_outputs == 2):
            raise ValueError(
                f"The fitted state is damaged: _is_multilabel is {self.is_multilabel!r}, but the "
                f"network has {self.n_outputs} output(s)."
            )
        if self.is_multilabel and self.predicts_sparse not in (True, False):
            raise ValueError(
                f"The fitted state is damaged: _predicts_sparse is {self.predicts_sparse!r}."
            )
        if (self.temperature is None) != (self.prior is None):
            raise ValueError(
                "The fitted state is damaged: temperature_ and _prior_outputs belong together."
            )
        if self.temperature is None:
            return
        if not isinstance(self.temperature, float) or not (
            1.0 / STEEPEST <= self.temperature <= 1.0 / FLATTEST
        ):
            raise ValueError(
                f"The fitted state is damaged: temperature_ is {self.temperature!r}, not a number "
                f"from {1.0 / STEEPEST:g} to {1.0 / FLATTEST:g}."
            )
        check_numbers("_prior_outputs", self.prior, (self.n_outputs,))

    # From targets to numbers that the network learns.

    def encode(self, y, incremental, validation=False):
        """Numbers of the classes, or 0 and 1 for each label, of shape (n_samples, n_targets).

        Parameters
        ----------
        y : ndarray or sparse matrix
            Classes or labels from the user.
        incremental : bool
            Whether classes may be missing in `y`.
        validation : bool, default=False
            Whether the rows are for validation. The form of validation rows is not kept.

        Raises
        ------
        ValueError
            If `y` has no classes, or does not fit the earlier targets.
        """
        is_sparse = issparse(y)
        if is_sparse:
            y = y.toarray()
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=not validation)
        numbers = self._numbers_of_known(y) if incremental else None
        if numbers is None and not (incremental and self._are_known_labels(y)):
            present = self.processes.gathered(lambda: self._present(y))
            present = present[0] if len(present) == 1 else np.unique(np.concatenate(present))
            self._take_classes(present, incremental)
        self._take_form(y.shape, is_multilabel=y.ndim == 2)
        if y.ndim == 2:
            if not validation:
                self.predicts_sparse = is_sparse
            # A row has each label whose target is not 0, as in scikit-learn.
            return (y != 0).astype(np.float64)
        if numbers is None:
            numbers = np.searchsorted(self.classes, y)
        # A softmax takes one column with the number of the class. A logistic output takes 0 or 1.
        return numbers.reshape(-1, 1)

    # Known classes do not need scikit-learn's check of the kind of the targets, which takes several
    # times as long as a training step on a mini-batch.

    def _numbers_of_known(self, y):
        """The numbers of the classes of `y` if all are known for sure, otherwise None."""
        if y.ndim != 1 or self.classes is None:
            return None
        if len(y) > MANY_ROWS and len(self.classes) > round(0.5 * len(y)):
            return None  # scikit-learn may warn of this many classes
        if y.dtype.kind not in COMPARABLE.get(self.classes.dtype.kind, ""):
            return None
        if len(self.classes) == 2:
            # Comparisons have no branches, so they are faster than a search.
            is_second = y == self.classes[1]
            is_known = is_second | (y == self.classes[0])
            return is_second.astype(np.intp) if is_known.all() else None
        try:
            numbers = np.searchsorted(self.classes, y)
            is_known = self.classes.take(numbers, mode="clip") == y
        except TypeError:  # a value among strings is no string
            return None
        return numbers if is_known.all() else None

    def _are_known_labels(self, y):
        """Whether `y` has the known labels, and only the values 0 and 1."""
        return (
            self.is_multilabel
            and y.ndim == 2
            and y.shape[1] == self.n_outputs
            and y.dtype.kind in NUMBERS
            and bool(((y == 0) | (y == 1)).all())
        )

    def _present(self, y):
        # The classes or labels of the rows of this process.
        self._check_kind(y)
        # Several columns of classes were refused before, so several columns are labels.
        return unique_labels(y) if y.ndim == 1 else np.arange(y.shape[1])

    def _check_kind(self, y):
        """Refuse targets that are neither one class per row nor several labels per row.

        Raises
        ------
        ValueError
        """
        # Each call of `type_of_target` takes longer than a training step on a mini-batch.
        if y.ndim == 2:
            kind = type_of_target(y, input_name="y")
            if kind == "multilabel-indicator":
                return
            if kind == "multiclass-multioutput":
                raise ValueError(
                    f"y has {y.shape[1]} columns of classes (multiclass-multioutput), which is not "
                    "supported: fit a classifier to each, as MultiOutputClassifier does"
                )
        try:
            check_classification_targets(y)
        except ValueError as error:
            if not type_of_target(y, input_name="y").startswith("continuous"):
                raise
            regressor = self.estimator_name.replace("Classifier", "Regressor")
            raise ValueError(f"{error} For a continuous target there is {regressor}.") from None

    def _take_classes(self, present, incremental):
        if self.classes is None:
            self.classes = present
        elif incremental:
            if len(np.setdiff1d(present, self.classes)):
                raise ValueError(
                    "`y` has classes not in `self.classes_`. "
                    f"`self.classes_` has {self.classes}. `y` has {present}."
                )
        elif set(present) != set(self.classes):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes}, `y` has {present}"
            )

    def _take_form(self, shape, is_multilabel):
        if self.is_multilabel is None:
            self.is_multilabel = is_multilabel
            if is_multilabel:
                self.n_outputs = shape[1]
            else:
                self.n_outputs = len(self.classes) if len(self.classes) > 2 else 1
        elif is_multilabel != self.is_multilabel or (is_multilabel and shape[1] != self.n_outputs):
            raise ValueError(
                f"y has shape {shape}, which does not fit the targets of the previous call: "
                + (f"{self.n_outputs} labels" if self.is_multilabel else "one class a row")
            )

    def update_moments(self, rows, network):
        """Do nothing: classes have no moments."""

    def for_network(self, targets, dtype, name):
        """Encoded `targets` as an array that a network of `dtype` learns."""
        return np.ascontiguousarray(targets, dtype=dtype)

    def shown(self, targets):
        """The classes or labels of encoded targets."""
        return (
            targets.astype(int) if self.is_multilabel else self.classes[targets[:, 0].astype(int)]
        )

    # The temperature.

    def set_prior(self, rows):
        """Remove the temperature, and compute the prior of the training rows.

        ``None`` as `rows`: there will be no temperature, so there is no prior.
        """
        self.temperature = self.prior = None
        if rows is not None:
            weight = rows.sample_weight
            self.prior = prior_outputs(rows.targets, weight, self.n_outputs, self.processes)

    def set_temperature(self, z, rows):
        """Fit the temperature to raw outputs `z` of held-out rows."""
        # A temperature cannot be fitted to outputs that are not finite.
        is_fitted = len(self.classes) > 1 and self.processes.all(np.isfinite(z).all())
        self.temperature = self._temperature_of(z, rows) if is_fitted else 1.0

    def take_temperature(self, targets):
        """Take the temperature and the prior of other targets."""
        self.temperature, self.prior = targets.temperature, targets.prior

    def predict_means(self, n_members):
        """Adapt a temperature fitted to single members to the mean of the members' outputs."""
        if self.temperature is not None:
            self.temperature = temperature_of_a_mean(self.temperature, n_members)

    def attributes_calibrated_on(self, z, rows):
        """The attributes of an estimator whose temperature fits raw outputs `z` of `rows`."""
        if self.prior is None:
            return self.attributes()
        calibrated = copy(self)
        calibrated.set_temperature(z, rows)
        return calibrated.attributes()

    def _temperature_of(self, z, rows):
        # A stream keeps its first temperature.
        if self.temperature is not None:
            return self.temperature
        weight = rows.sample_weight
        return float(
            fitted_temperature(z, rows.targets, self.prior, weight, processes=self.processes)
        )

    def row_losses(self, z, rows, tempers):
        """The log loss of each row; `tempers`: after the temperature that fits the rows best."""
        return row_losses(self._tempered_on(z, rows) if tempers else z, rows.targets)

    def _tempered_on(self, z, rows):
        return tempered(z, self.prior, self._temperature_of(z, rows))

    # From raw outputs to predictions.

    def _calibrated(self, z):
        return z if self.temperature is None else tempered(z, self.prior, self.temperature)

    def decode(self, z):
        """The predicted classes or labels of raw outputs `z`."""
        codes = self._codes(self._calibrated(z))
        if not self.is_multilabel:
            return self.classes[codes]
        return csr_matrix(codes) if self.predicts_sparse else codes

    def _codes(self, z):
        if self.is_multilabel:
            return (z > 0).astype(int)
        if self.n_outputs > 1:
            return z.argmax(axis=1)
        # A single class is predicted whatever the output is.
        return np.minimum(z[:, 0] > 0, len(self.classes) - 1).astype(int)

    def probabilities(self, z, dtype):
        """The probability of each class or label, in `dtype`; raw outputs `z` are overwritten."""
        z = self._calibrated(z)
        if self.is_multilabel:
            probabilities = expit(z)
        elif self.n_outputs > 1:
            # exp(z - max z), divided by its sum.
            z -= z.max(axis=1, keepdims=True)
            np.exp(z, out=z)
            z /= z.sum(axis=1, keepdims=True)
            probabilities = z
        elif len(self.classes) == 1:
            probabilities = np.ones_like(z)
        else:
            probabilities = np.hstack([expit(-z), expit(z)])
        return probabilities.astype(dtype, copy=False)

    def log_probabilities(self, z, dtype):
        """The logarithm of the probability of each class or label, in `dtype`.

        Raises
        ------
        ValueError
            If a logarithm is too large for `dtype`.
        """
        z = self._calibrated(z)
        if self.is_multilabel:
            # The logarithm of the probability, as in scikit-learn. Where the probability is tiny,
            # its logarithm is about z.
            logarithms = np.log(expit(z), out=log_expit(z), where=z > -30.0)
        elif self.n_outputs > 1:
            logarithms = log_softmax(z, axis=1)
        elif len(self.classes) == 1:
            logarithms = np.zeros_like(z)
        else:
            logarithms = np.hstack([log_expit(-z), log_expit(z)])
        if dtype == np.float32:
            # A probability that float32 rounds to 1 has the logarithm 0.
            logarithms[logarithms > -np.finfo(dtype).epsneg / 2.0] = 0.0
        with np.errstate(over="ignore"):
            logarithms = logarithms.astype(dtype, copy=False)
        refuse_non_finite(logarithms)
        return logarithms

    def output_affine(self):
        """Scale and shift of raw outputs in front of the link: the temperature."""
        if self.temperature is None:
            return 1.0, 0.0
        return 1.0 / self.temperature, (1.0 - 1.0 / self.temperature) * self.prior

    def check_scored(self, targets, name):
        """Do nothing: all classes can be scored."""

    def score(self, z, rows, tempers=False):
        """The accuracy of raw outputs `z` for `rows`; NaN if an output is not finite.

        With `tempers` the temperature that fits the rows best is applied first.
        """
        if not self.processes.all(np.isfinite(z).all()):
            return np.nan
        if tempers:
            z = self._tempered_on(z, rows)
        codes = self._codes(z)
        # `accuracy_score` would take time to find out the kinds of both arrays.
        is_right = (
            (codes == rows.targets).all(axis=1)
            if self.is_multilabel
            else codes == rows.targets[:, 0]
        )
        return self.processes.average(is_right, rows.sample_weight)
