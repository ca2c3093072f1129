"""What is said of targets, and of weights of classes, that an estimator cannot take."""

import numpy as np
import pandas as pd
import pytest
from rnns import sequences
from sklearn.utils._param_validation import InvalidParameterError

from skbn import (
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)

N = 40
TABLE = np.random.default_rng(0).standard_normal((N, 3))
SEQUENCES = sequences(N)
CLASSES = (TABLE[:, 0] > 0).astype(int)
LABELS = np.column_stack([CLASSES, TABLE[:, 1] > 0]).astype(int)
DATES = pd.date_range("2024-01-01", periods=N)
CLASSIFIERS = [(MLPWithBatchNormClassifier, TABLE), (RNNWithBatchNormClassifier, SEQUENCES)]
REGRESSORS = [(MLPWithBatchNormRegressor, TABLE), (RNNWithBatchNormRegressor, SEQUENCES)]


def small(cls, **parameters):
    return cls(hidden_layer_sizes=(3,), max_iter=1, **parameters)


@pytest.mark.parametrize(("cls", "X"), CLASSIFIERS)
@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize(
    ("y", "is_continuous"),
    [
        (TABLE[:, 0], True),
        (TABLE[:, :2], True),
        (CLASSES.astype(object), False),
        (pd.Series(DATES.tz_localize("UTC")), False),
        (np.array([{}] * N), False),
        (np.column_stack([CLASSES, CLASSES + 1]), False),
    ],
)
def test_the_hint_to_the_regressor_is_for_continuous_targets(cls, X, y, is_continuous, incremental):
    clf = small(cls)
    options = {"classes": [0, 1]} if incremental else {}
    with pytest.raises(ValueError, match=r"label type|columns of classes") as raised:
        (clf.partial_fit if incremental else clf.fit)(X, y, **options)
    regressor = cls.__name__.replace("Classifier", "Regressor")
    assert (regressor in str(raised.value)) == is_continuous
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(("cls", "X"), REGRESSORS)
@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize(
    "y",
    [
        DATES,
        DATES - DATES[0],
        pd.Series(DATES),
        pd.Series(DATES.tz_localize("UTC")),
        pd.DataFrame({"a": DATES, "b": DATES}),
        DATES.to_numpy().astype("datetime64[D]"),
        DATES.to_numpy().astype("datetime64[D]").reshape(-1, 1),
        list(DATES.to_pydatetime()),
        [date.date() for date in DATES],
    ],
    ids=range(9),
)
def test_dates_are_no_numbers(cls, X, y, incremental):
    reg = small(cls)
    with pytest.raises(ValueError, match=r"y has dates or durations \(.*which are no numbers"):
        (reg.partial_fit if incremental else reg.fit)(X, y)
    assert not hasattr(reg, "n_features_in_")


@pytest.mark.parametrize(("cls", "X"), REGRESSORS)
def test_numbers_in_arrays_of_objects_are_numbers(cls, X):
    y = TABLE[:, 0].astype(object)
    assert np.isfinite(small(cls).partial_fit(X, y).predict(X)).all()
    with pytest.raises(ValueError, match="could not convert string to float"):
        small(cls).fit(X, np.array(["a", "b"])[CLASSES])


@pytest.mark.parametrize(("cls", "X"), CLASSIFIERS)
class TestClassWeights:
    @pytest.mark.parametrize("y", [CLASSES, LABELS])
    @pytest.mark.parametrize("class_weight", [[1, 2], [{0: 1.0}, 2], ["balanced", "balanced"]])
    def test_their_entries_are_dicts(self, cls, X, y, class_weight):
        clf = small(cls, class_weight=class_weight)
        for fit, options in ((clf.fit, {}), (clf.partial_fit, {"classes": [0, 1]})):
            with pytest.raises(InvalidParameterError, match=f"'class_weight' .*{cls.__name__}"):
                fit(X, y, **options)

    def test_they_are_for_several_labels(self, cls, X):
        with pytest.raises(ValueError, match="y has one class a row: give one dict"):
            small(cls, class_weight=[{0: 1.0, 1: 2.0}]).fit(X, CLASSES)
        weights = [{0: 1.0, 1: 3.0}, {0: 2.0, 1: 1.0}]
        weighted = small(cls, class_weight=weights, random_state=0).fit(X, LABELS)
        by_hand = (1.0 + 2.0 * LABELS[:, 0]) * (2.0 - LABELS[:, 1])
        plain = small(cls, random_state=0).fit(X, LABELS, by_hand)
        np.testing.assert_array_equal(weighted._parameters, plain._parameters)
        with pytest.raises(ValueError, match="number of elements in class_weight should match"):
            small(cls, class_weight=weights[:1]).fit(X, LABELS)

    def test_other_wrong_weights_are_refused_as_in_scikit_learn(self, cls, X):
        with pytest.raises(ValueError, match="are not in class_weight"):
            small(cls, class_weight={5: 1.0}).fit(X, CLASSES)
        with pytest.raises(ValueError, match="should be a list of dicts"):
            small(cls, class_weight={0: 1.0}).fit(X, LABELS)

    def test_words_for_weights(self, cls, X):
        with pytest.raises(ValueError, match=r"^class_weight: could not convert string to float"):
            small(cls, class_weight={0: "a", 1: 1.0}).fit(X, CLASSES)
        with pytest.raises(ValueError, match=r"^sample_weight: could not convert string to float"):
            small(cls).fit(X, CLASSES, "balanced")


@pytest.mark.parametrize(("cls", "X"), CLASSIFIERS + REGRESSORS)
@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.99])
def test_a_split_that_cannot_be_made_names_the_fraction(cls, X, fraction):
    estimator = small(cls, early_stopping=True, validation_fraction=fraction)
    with pytest.raises(
        ValueError, match=r"validation_fraction|validation set is too small"
    ) as raised:
        estimator.fit(X, CLASSES)
    assert "test_size" not in str(raised.value)


@pytest.mark.parametrize("cls", [MLPWithBatchNormClassifier, RNNWithBatchNormClassifier])
class TestClassWeightsOfAStream:
    """Not every call has rows of every class."""

    def test_one_class_at_a_time(self, cls):
        X = np.random.default_rng(0).standard_normal(
            (40, 3, 2) if "RNN" in cls.__name__ else (40, 3)
        )
        y = np.array(["common", "rare"])[np.arange(40) % 2]
        options = {"hidden_layer_sizes": (4,), "random_state": 0, "dtype": "float64"}
        model = cls(class_weight={"rare": 3.0}, **options)
        weighted = cls(**options)
        for rows in (np.arange(0, 40, 2), np.arange(1, 40, 2), np.arange(40)):
            model.partial_fit(X[rows], y[rows], classes=["common", "rare"])
            weight = np.where(y[rows] == "rare", 3.0, 1.0)
            weighted.partial_fit(X[rows], y[rows], weight, classes=["common", "rare"])
            np.testing.assert_allclose(model.coefs_[0], weighted.coefs_[0], rtol=1e-9)

    def test_labels(self, cls):
        X = np.random.default_rng(0).standard_normal((8, 3, 2) if "RNN" in cls.__name__ else (8, 3))
        y = np.zeros((8, 2), int)
        y[:4, 0] = 1
        options = {"hidden_layer_sizes": (4,), "random_state": 0, "dtype": "float64"}
        model = cls(class_weight=[{1: 5.0}, {1: 7.0}], **options)
        weighted = cls(**options)
        model.partial_fit(X, y, classes=[0, 1])
        weighted.partial_fit(X, y, np.where(y[:, 0], 5.0, 1.0), classes=[0, 1])
        np.testing.assert_allclose(model.coefs_[0], weighted.coefs_[0], rtol=1e-9)

    def test_a_class_that_is_none(self, cls):
        X = np.zeros((4, 3, 2) if "RNN" in cls.__name__ else (4, 3))
        model = cls(class_weight={"z": 3.0}, hidden_layer_sizes=(4,))
        with pytest.raises(ValueError, match="class_weight"):
            model.partial_fit(X, ["a", "b"] * 2, classes=["a", "b"])
        with pytest.raises(ValueError, match=r"y.* has classes not in"):
            model.set_params(class_weight={"a": 3.0}).partial_fit(
                X, ["q", "b"] * 2, classes=["a", "b"]
            )
