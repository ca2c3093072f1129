"""A stream of small calls of partial_fit: what a call does once, and what it must not leave out."""

import copy
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.sparse import csr_array
from sklearn.utils import check_array
from sklearn.utils.multiclass import type_of_target

from skbn import (
    BatchNormTransformer,
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
from skbn.estimators import random_sequence, row_parts, rows
from skbn.network.network import Network
from skbn.training.batches import Batches

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 4))
SEQUENCES = RNG.standard_normal((40, 4, 3))
FRAME = pd.DataFrame(X, columns=list("abcd"))
SPARSE = csr_array(np.where(X > 0.0, X, 0.0))
WEIGHT = RNG.uniform(0.5, 1.5, 40)
LABELS = (X[:, :3] > 0.0).astype(int)
CLASSES = np.digitize(X[:, 0], [-0.5, 0.5])
STRINGS = np.array(["low", "middle", "high"])[CLASSES]
REAL = 3.0 * X[:, 0] + 1.0
SMALL = {"hidden_layer_sizes": (5,), "random_state": 0}


def classifier():
    return MLPWithBatchNormClassifier(**SMALL)


def in_a_stream(estimator, X, y, classes=None):
    """An estimator after its first mini-batch."""
    options = {} if classes is None else {"classes": classes}
    return estimator.partial_fit(X, y, **options)


# What is looked at once.


@pytest.fixture
def looks(monkeypatch):
    """The first argument of each call of scikit-learn's two checks, by their names."""
    seen = {}
    for function in (check_array, type_of_target):
        seen[function.__name__] = arguments = []

        def counted(data, *args, function=function, arguments=arguments, **kwargs):
            arguments.append(data)
            return function(data, *args, **kwargs)

        for module in list(sys.modules.values()):
            if getattr(module, "__dict__", {}).get(function.__name__) is function:
                monkeypatch.setattr(module, function.__name__, counted)
    return seen


STREAMS = {
    "classifier": (MLPWithBatchNormClassifier, X, CLASSES),
    "columns": (MLPWithBatchNormClassifier, FRAME, CLASSES),
    "sparse": (MLPWithBatchNormClassifier, SPARSE, CLASSES),
    "strings": (MLPWithBatchNormClassifier, X, STRINGS),
    "objects": (MLPWithBatchNormClassifier, X, STRINGS.astype(object)),
    "series": (MLPWithBatchNormClassifier, FRAME, pd.Series(STRINGS)),
    "labels": (MLPWithBatchNormClassifier, X, LABELS),
    "sparse labels": (MLPWithBatchNormClassifier, X, csr_array(LABELS)),
    "regressor": (MLPWithBatchNormRegressor, X, REAL),
    "regressor of columns": (MLPWithBatchNormRegressor, FRAME, pd.Series(REAL)),
    "integers": (MLPWithBatchNormRegressor, X, CLASSES),
    "recurrent classifier": (RNNWithBatchNormClassifier, SEQUENCES, CLASSES),
    "recurrent regressor": (RNNWithBatchNormRegressor, SEQUENCES, REAL),
    "steps of one feature": (RNNWithBatchNormRegressor, X, REAL),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("name", STREAMS)
def test_a_call_looks_at_each_argument_once(name, validated, weighted, looks):
    kind, X, y = STREAMS[name]
    classes = None
    if "Classifier" in kind.__name__:
        classes = np.arange(3) if "labels" in name else np.unique(y)
    # R2 is scikit-learn's, with its checks.
    scoring = "loss" if "Regressor" in kind.__name__ else None
    estimator = in_a_stream(kind(**SMALL, scoring=scoring), X, y, classes)
    given = [X, y]
    options = {}
    if weighted:
        options["sample_weight"] = list(WEIGHT)
    if validated:
        options |= {"X_val": X[:30], "y_val": y[:30], "sample_weight_val": list(WEIGHT[:30])}
    given += options.values()
    for arguments in looks.values():
        arguments.clear()
    estimator.partial_fit(X, y, **options)
    for argument in given:
        assert sum(seen is argument for seen in looks["check_array"]) <= 1
    # Nothing but the arguments is checked: no result of a check is checked again.
    assert len(looks["check_array"]) <= len(given)
    assert looks["type_of_target"] == []


@pytest.mark.parametrize("data", [FRAME, SPARSE, X.tolist()], ids=["frame", "sparse", "list"])
@pytest.mark.parametrize("length", [39, 41])
def test_lengths_are_compared_whatever_is_checked(data, length):
    estimator = in_a_stream(classifier(), data, CLASSES, [0, 1, 2])
    with pytest.raises(ValueError, match=f"inconsistent numbers of samples: .40, {length}."):
        estimator.partial_fit(data, np.resize(CLASSES, length))


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_small_arrays_of_a_stream_need_no_check(weight, looks):
    estimator = in_a_stream(classifier(), X, CLASSES, [0, 1, 2])
    looks["check_array"].clear()
    estimator.partial_fit(X, CLASSES, weight)
    assert looks["check_array"] == []


@pytest.mark.parametrize("data", [X, SEQUENCES, np.asfortranarray(X), X.astype(np.float16)])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_arrays_of_floats_need_no_check_by_the_transformer(data, weight, looks):
    transformer = BatchNormTransformer().partial_fit(data, sample_weight=weight)
    transformer.partial_fit(data, sample_weight=weight).transform(data)
    assert looks["check_array"] == []


@pytest.mark.parametrize("data", [FRAME, X.tolist(), CLASSES.reshape(-1, 2)])
def test_what_is_no_array_of_floats_is_checked_by_the_transformer_once(data, looks):
    transformer = BatchNormTransformer().partial_fit(data)
    looks["check_array"].clear()
    transformer.partial_fit(data)
    assert len(looks["check_array"]) == 1


def test_the_transformer_compares_names_of_columns_in_a_stream():
    transformer = BatchNormTransformer().partial_fit(FRAME)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        transformer.partial_fit(X)
    with pytest.raises(ValueError, match="should match those that were passed during fit"):
        transformer.partial_fit(FRAME[list("dcba")])
    # A new fit forgets the names.
    assert not hasattr(transformer.fit(X), "feature_names_in_")


def test_the_transformer_does_not_write_to_what_is_read_only():
    data = X.copy()
    data.flags.writeable = False
    transformer = BatchNormTransformer(copy=False).fit(X.copy())
    expected = BatchNormTransformer().fit(X).transform(X)
    np.testing.assert_array_equal(transformer.transform(data), expected)
    np.testing.assert_array_equal(data, X)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.full(40, np.nan), "Input sample_weight contains NaN"),
        (np.full(40, -1.0), "Negative values in data passed to `sample_weight`"),
        (np.zeros(40), "at least one non-zero number"),
        (WEIGHT[:5], "sample_weight.shape"),
    ],
)
def test_weights_are_refused_by_the_transformer(weight, message):
    with pytest.raises(ValueError, match=message):
        BatchNormTransformer().partial_fit(X).partial_fit(X, sample_weight=weight)


@pytest.mark.parametrize("y", [CLASSES, STRINGS])
@pytest.mark.parametrize("form", [np.asarray, list, tuple])
def test_classes_that_are_given_with_every_call_are_looked_at_in_the_first(y, form, looks):
    classes = form(np.unique(y))
    estimator = in_a_stream(classifier(), X, y, classes)
    looks["type_of_target"].clear()
    estimator.partial_fit(X, y, classes=classes)
    assert looks["type_of_target"] == []


@pytest.mark.parametrize(
    "classes", [[0, 1], [0, 1, 3], ["0", "1", "2"], [0.5, 1.0, 2.0], [[0], [1, 2]], [[0, 1, 2]]]
)
def test_other_classes_in_a_stream_are_refused(classes):
    estimator = in_a_stream(classifier(), X, CLASSES, [0, 1, 2])
    with pytest.raises(
        ValueError, match=r"not the same as on last call|Unknown label|Sequence of sequences"
    ):
        estimator.partial_fit(X, CLASSES, classes=classes)


def test_classes_may_be_given_in_another_order():
    estimator = in_a_stream(classifier(), X, CLASSES, [0, 1, 2])
    estimator.partial_fit(X, CLASSES, classes=[2, 0, 1, 1])
    np.testing.assert_array_equal(estimator.classes_, [0, 1, 2])


ENSEMBLES = {
    MLPEnsembleWithBatchNormClassifier: (CLASSES, {"classes": [0, 1, 2]}),
    MLPEnsembleWithBatchNormRegressor: (REAL, {}),
}


@pytest.mark.parametrize("kind", ENSEMBLES, ids=lambda kind: kind.__name__)
def test_an_ensemble_looks_at_a_table_once_for_all_of_its_members(kind, looks):
    y, options = ENSEMBLES[kind]
    estimator = kind(random_state=0).set_params(estimator__hidden_layer_sizes=(5,))
    estimator.partial_fit(FRAME, y, **options)
    for arguments in looks.values():
        arguments.clear()
    estimator.partial_fit(FRAME, y)
    assert len(looks["check_array"]) == 1
    assert looks["check_array"][0] is FRAME
    assert looks["type_of_target"] == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_large_table_is_checked_by_scikit_learn(value, looks, monkeypatch):
    estimator = in_a_stream(classifier(), X, CLASSES, [0, 1, 2])
    monkeypatch.setattr(rows, "SMALL_TABLE", X.size - 1)
    looks["check_array"].clear()
    estimator.partial_fit(X, CLASSES)
    assert looks["check_array"][0] is X
    with pytest.raises(ValueError, match="Input X contains"):
        estimator.partial_fit(np.where(X[3, 1] == X, value, X), CLASSES)


# NumPy warns of the sum of both infinities, in scikit-learn's check, too.
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("few_numbers", [0, X.size])
@pytest.mark.parametrize(
    "bad", [[np.nan], [np.inf], [-np.inf, np.inf], [np.nan, np.inf]], ids=lambda bad: str(bad)
)
def test_numbers_of_a_table_are_looked_at_by_a_mask_or_by_their_sum(bad, few_numbers, monkeypatch):
    monkeypatch.setattr(rows, "FEW_NUMBERS", few_numbers)
    estimator = in_a_stream(classifier(), X, CLASSES, [0, 1, 2])
    data = X.copy()
    data[7:9, 1][: len(bad)] = bad
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        estimator.partial_fit(data, CLASSES)


def test_a_table_whose_sum_is_beyond_the_largest_number_is_good(looks, monkeypatch):
    monkeypatch.setattr(rows, "FEW_NUMBERS", 0)
    data = (X + np.float32(3e37)).astype(np.float32)
    estimator = in_a_stream(classifier(), X, CLASSES, [0, 1, 2])
    looks["check_array"].clear()
    estimator.partial_fit(data, CLASSES)
    assert looks["check_array"][0] is data


@pytest.mark.parametrize("kind", ENSEMBLES, ids=lambda kind: kind.__name__)
def test_the_loss_curve_of_an_ensemble_is_the_mean_of_its_members(kind):
    y, options = ENSEMBLES[kind]
    estimator = kind(random_state=0).set_params(estimator__hidden_layer_sizes=(5,))
    for call in range(1, 4):
        estimator.partial_fit(X, y, **options)
        expected = np.mean([member.loss_curve_ for member in estimator.estimators_], axis=0)
        np.testing.assert_array_equal(estimator.loss_curve_, expected)
        assert len(estimator.loss_curve_) == call
    # A new fit begins a new curve.
    estimator.set_params(estimator__max_iter=2).fit(X, y)
    assert len(estimator.loss_curve_) == 2


# What is refused and what is warned of, as before the first mini-batch.


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (CLASSES + 1, "has classes not in `self.classes_`"),
        (CLASSES + 0.5, "Unknown label type: continuous"),
        (np.where(CLASSES == 1, np.nan, CLASSES), "Input y contains NaN"),
        (np.where(CLASSES == 1, np.inf, CLASSES), "Input y contains infinity"),
        (CLASSES + 0j, "Complex data not supported"),
        (CLASSES.astype(object), "Unknown label type: unknown"),
        (LABELS, "does not fit the targets of the previous call"),
        (CLASSES[:-1], "inconsistent numbers of samples"),
        (None, "requires y to be passed"),
        (CLASSES.reshape(1, -1, 1), "Found array with dim 3"),
        (CLASSES[:0], "Found array with 0 sample"),
    ],
)
def test_targets_of_a_stream_are_refused_by_scikit_learns_words(y, message):
    estimator = in_a_stream(classifier(), X, CLASSES, [0, 1, 2])
    before = vars(estimator).copy()
    with pytest.raises(ValueError, match=message):
        estimator.partial_fit(X, y)
    assert vars(estimator) == before


@pytest.mark.parametrize("odd", ["other", None, 1, 1.5, float("nan")])
def test_an_object_among_strings_is_refused(odd):
    estimator = in_a_stream(classifier(), X, STRINGS, np.unique(STRINGS))
    y = STRINGS.astype(object)
    y[7] = odd
    with pytest.raises((ValueError, TypeError)):
        estimator.partial_fit(X, y)


@pytest.mark.parametrize(
    "y", [LABELS * 2 - LABELS[:, ::-1], LABELS + 0.5, LABELS[:, :2], LABELS.astype(str)]
)
def test_what_are_no_labels_in_a_stream_of_labels_is_refused(y):
    estimator = in_a_stream(classifier(), X, LABELS, [0, 1, 2])
    with pytest.raises(ValueError, match=r"y has|Unknown label type|columns of classes"):
        estimator.partial_fit(X, y)


@pytest.mark.parametrize("labels", [2 * LABELS, LABELS.astype(bool), LABELS.astype(np.float32)])
def test_labels_may_be_any_number_but_0(labels):
    expected = in_a_stream(classifier(), X, LABELS, [0, 1, 2]).partial_fit(X, LABELS)
    found = in_a_stream(classifier(), X, LABELS, [0, 1, 2]).partial_fit(X, labels)
    np.testing.assert_array_equal(found._parameters, expected._parameters)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, np.longdouble])
def test_classes_may_be_of_any_dtype(dtype):
    y = CLASSES > 0
    expected = in_a_stream(classifier(), X, y.astype(int), [0, 1]).partial_fit(X, y.astype(int))
    found = in_a_stream(classifier(), X, y.astype(int), [0, 1]).partial_fit(X, y.astype(dtype))
    np.testing.assert_array_equal(found._parameters, expected._parameters)


@pytest.mark.parametrize("n_classes", [20, 21])
def test_many_classes_for_a_few_rows_are_warned_of(n_classes):
    with warnings.catch_warnings():
        # scikit-learn 1.7 warns of `classes`, too.
        warnings.simplefilter("ignore")
        estimator = in_a_stream(classifier(), X, CLASSES, np.arange(n_classes))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.partial_fit(X, np.arange(40) % n_classes)
    messages = [str(warning.message) for warning in caught]
    assert any("greater than 50%" in message for message in messages) == (n_classes > 20)


@pytest.mark.parametrize("first", [X, FRAME])
@pytest.mark.parametrize("second", [X, FRAME])
def test_names_of_columns_are_compared_in_a_stream(first, second):
    estimator = in_a_stream(classifier(), first, CLASSES, [0, 1, 2])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.partial_fit(second, CLASSES)
    assert ["feature names" in str(warning.message) for warning in caught] == (
        [] if first is second else [True]
    )
    if first is FRAME:
        with pytest.raises(ValueError, match="should match those that were passed during fit"):
            estimator.partial_fit(FRAME[list("dcba")], CLASSES)


@pytest.mark.parametrize("kind", [MLPWithBatchNormClassifier, MLPWithBatchNormRegressor])
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.full(40, np.nan), "Input sample_weight contains NaN"),
        (np.full(40, np.inf), "Input sample_weight contains infinity"),
        (np.full(40, -1.0), "Negative values in data passed to `sample_weight`"),
        (np.zeros(40), "at least one non-zero number|0 sample.* of positive weight"),
        (np.full(40, 1e308), "sum beyond the largest float64"),
        (WEIGHT[:5], "sample_weight.shape"),
        (WEIGHT[:, np.newaxis], "must be 1D"),
        (WEIGHT + 0j, "Complex data not supported"),
    ],
)
def test_weights_of_a_stream_are_refused(kind, weight, message):
    is_classifier = kind is MLPWithBatchNormClassifier
    estimator = in_a_stream(kind(**SMALL), X, CLASSES, [0, 1, 2] if is_classifier else None)
    with pytest.raises(ValueError, match=message):
        estimator.partial_fit(X, CLASSES, sample_weight=weight)


@pytest.mark.parametrize(
    "y", [REAL.astype(np.float32), REAL.astype(np.longdouble), REAL.astype(object), list(REAL)]
)
def test_real_targets_may_be_of_any_dtype(y):
    expected = in_a_stream(MLPWithBatchNormRegressor(**SMALL), X, REAL)
    expected.partial_fit(X, np.asarray(y, np.float64))
    found = in_a_stream(MLPWithBatchNormRegressor(**SMALL), X, REAL).partial_fit(X, y)
    np.testing.assert_array_equal(found._parameters, expected._parameters)


@pytest.mark.skipif(
    np.finfo(np.longdouble).max <= np.finfo(np.float64).max, reason="long double is float64 here"
)
def test_numbers_that_are_too_large_for_float64_are_no_real_targets():
    y = np.full(40, np.finfo(np.longdouble).max)
    with pytest.raises(ValueError, match="infinity"), np.errstate(over="ignore"):
        MLPWithBatchNormRegressor(**SMALL).partial_fit(X, y)


def test_sparse_real_targets_are_refused():
    with pytest.raises(TypeError, match="Sparse data was passed for y"):
        MLPWithBatchNormRegressor(**SMALL).partial_fit(X, csr_array(X[:, :2]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused_unless_they_are_assumed_to_be_none(value):
    estimator = in_a_stream(classifier(), X, CLASSES, [0, 1, 2])
    bad = X.copy()
    bad[3, 1] = value
    with pytest.raises(ValueError, match="Input X contains"):
        estimator.partial_fit(bad, CLASSES)
    # Without the check the moments of the column find it out.
    with sklearn.config_context(assume_finite=True), pytest.raises(ValueError, match="in column 1"):
        estimator.partial_fit(bad, CLASSES)


# The random numbers and the threads of a call.


def draws(sequence):
    return [
        *sequence.permutation(700),
        sequence.standard_normal(),
        sequence.randint(2**31 - 2),
        *sequence.uniform(size=700),
    ]


@pytest.mark.parametrize("n_drawn", [0, 1, 623, 624, 1000])
def test_a_sequence_goes_on_from_any_of_its_places(n_drawn):
    sequence = np.random.RandomState(3)
    sequence.randint(2**31, size=n_drawn)
    sequence.standard_normal()  # which keeps a second number for the next call
    continued = random_sequence.at(random_sequence.place_in(sequence))
    assert draws(continued) == draws(sequence)


def test_two_sequences_from_one_place_do_not_share_it():
    place = random_sequence.place_in(np.random.RandomState(3))
    first, second = random_sequence.at(place), random_sequence.at(place)
    assert draws(first) == draws(second) == draws(random_sequence.at(place))


def test_the_sequence_of_the_last_call_is_taken_once():
    sequence = np.random.RandomState(3)
    place = random_sequence.kept_of(0, sequence)["state"]
    first, second = random_sequence.at(place), random_sequence.at(place)
    assert first is sequence
    assert second is not sequence
    assert draws(first) == draws(second)


def streamed(*turns):
    """The parameters of streams that are trained in turns."""
    estimators = [
        MLPWithBatchNormClassifier(**(SMALL | {"random_state": seed}), dropout=0.3)
        for seed in range(2)
    ]
    for turn in turns:
        estimators[turn].partial_fit(X, CLASSES, classes=[0, 1, 2])
    return [vars(estimator).get("_parameters") for estimator in estimators]


def test_streams_do_not_disturb_each_other():
    alone = streamed(0, 0, 0, 1, 1, 1)
    in_turns = streamed(0, 1, 0, 1, 1, 0)
    np.testing.assert_array_equal(in_turns[0], alone[0])
    np.testing.assert_array_equal(in_turns[1], alone[1])


@pytest.mark.parametrize("failing", [np.full_like(X, np.nan), 1e160 * X])
def test_a_call_that_fails_does_not_move_the_sequence(failing):
    expected, found = (
        in_a_stream(classifier(), X, CLASSES, [0, 1, 2]).set_params(dropout=0.3) for _ in range(2)
    )
    with pytest.raises(ValueError, match="X"):
        found.partial_fit(failing, CLASSES)
    for estimator in (expected, found):
        estimator.partial_fit(X, CLASSES).partial_fit(X, CLASSES)
    np.testing.assert_array_equal(found._parameters, expected._parameters)


def test_a_call_that_fails_in_training_does_not_move_the_sequence(monkeypatch):
    expected, found = (
        in_a_stream(classifier(), X, CLASSES, [0, 1, 2]).set_params(dropout=0.3) for _ in range(2)
    )
    with monkeypatch.context() as patched:
        patched.setattr(Network, "loss_value", None)
        with pytest.raises(TypeError):
            found.partial_fit(X, CLASSES)
    for estimator in (expected, found):
        estimator.partial_fit(X, CLASSES).partial_fit(X, CLASSES)
    np.testing.assert_array_equal(found._parameters, expected._parameters)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_goes_on_in_the_same_sequence(copied):
    first = in_a_stream(classifier(), X, CLASSES, [0, 1, 2])
    second = copied(first)
    for estimator in (first, second):
        estimator.partial_fit(X, CLASSES).partial_fit(X, CLASSES)
    np.testing.assert_array_equal(first._parameters, second._parameters)


def test_the_order_of_rows_is_drawn_as_a_permutation_of_their_numbers():
    numbers = np.array([3, 1, 4, 15, 9, 2, 6], np.intp)
    batches = Batches(2, 1, True, np.random.RandomState(0))
    expected = numbers[np.random.RandomState(0).permutation(len(numbers))]
    np.testing.assert_array_equal(batches.reordered(numbers), expected)
    np.testing.assert_array_equal(numbers, [3, 1, 4, 15, 9, 2, 6])


def test_threads_are_not_counted_for_one_part(monkeypatch):
    monkeypatch.setattr(row_parts, "available_threads", None)
    assert row_parts.side_by_side(lambda rows: rows.stop, [slice(0, 7)]) == [7]


# What follows the parameters of the call.


@pytest.mark.parametrize(
    "kind", [MLPWithBatchNormClassifier, RNNWithBatchNormClassifier], ids=lambda kind: kind.__name__
)
@pytest.mark.parametrize(
    "parameters", [{"bn_epsilon": 0.1}, {"bn_momentum": 0.7}, {"dropout": 0.5}, {"alpha": 10.0}]
)
def test_a_parameter_that_is_changed_in_a_stream_has_its_effect_at_once(kind, parameters):
    data = SEQUENCES if kind is RNNWithBatchNormClassifier else X
    kept, changed = (in_a_stream(kind(**SMALL), data, CLASSES, [0, 1, 2]) for _ in range(2))
    defaults = {name: changed.get_params()[name] for name in parameters}
    kept.partial_fit(data, CLASSES)
    changed.set_params(**parameters).partial_fit(data, CLASSES)
    assert not (
        np.array_equal(kept._parameters, changed._parameters)
        and np.array_equal(kept._statistics, changed._statistics)
    )
    plan = kept._plan.copy()
    changed.set_params(**defaults).partial_fit(data, CLASSES)
    np.testing.assert_array_equal(changed._plan, plan)


@pytest.mark.parametrize(
    "kind", [MLPWithBatchNormClassifier, RNNWithBatchNormClassifier], ids=lambda kind: kind.__name__
)
def test_estimators_of_one_plan_do_not_share_it(kind):
    data = SEQUENCES if kind is RNNWithBatchNormClassifier else X
    first, second = (in_a_stream(kind(**SMALL), data, CLASSES, [0, 1, 2]) for _ in range(2))
    for estimator in (first, second):
        estimator.partial_fit(data, CLASSES)
    plan = first._plan.copy()
    first._plan["epsilon"] = 0.5
    np.testing.assert_array_equal(second._plan, plan)
    np.testing.assert_array_equal(second.partial_fit(data, CLASSES)._plan, plan)


def test_longer_sequences_in_a_stream_get_statistics_of_their_own():
    estimator = in_a_stream(
        RNNWithBatchNormClassifier(**SMALL), SEQUENCES[:, :2], CLASSES, range(3)
    )
    assert len(estimator.running_means_[0]) == 2
    means = [mean[1].copy() for mean in estimator.running_means_]
    estimator.partial_fit(SEQUENCES, CLASSES)
    assert len(estimator.running_means_[0]) == 4
    # Shorter ones leave what is there.
    longer = [mean[2:].copy() for mean in estimator.running_means_]
    estimator.partial_fit(SEQUENCES[:, :2], CLASSES)
    for mean, second_step, later_steps in zip(estimator.running_means_, means, longer, strict=True):
        assert not np.array_equal(mean[1], second_step)
        np.testing.assert_array_equal(mean[2:], later_steps)


@pytest.mark.parametrize(
    ("value", "place", "message"),
    [(np.inf, np.s_[3, 1, 0], "infinity"), (np.nan, np.s_[3, 1, 0], "NaN inside sequence 3")],
)
def test_numbers_of_sequences_in_a_stream_are_looked_at(value, place, message):
    estimator = in_a_stream(RNNWithBatchNormClassifier(**SMALL), SEQUENCES, CLASSES, range(3))
    bad = SEQUENCES.copy()
    bad[place] = value
    with pytest.raises(ValueError, match=message):
        estimator.partial_fit(bad, CLASSES)


def test_sequences_of_different_length_need_no_check_either(looks):
    ragged = SEQUENCES.copy()
    ragged[5:9, 2:] = np.nan
    estimator = in_a_stream(RNNWithBatchNormClassifier(**SMALL), SEQUENCES, CLASSES, range(3))
    looks["check_array"].clear()
    estimator.partial_fit(ragged, CLASSES).predict(ragged)
    assert looks["check_array"] == []


def test_strings_and_numbers_as_classes():
    X = np.arange(8.0).reshape(4, 2)
    mlp = MLPWithBatchNormClassifier(**SMALL).partial_fit(X, list("1a1a"), classes=["1", "a"])
    with pytest.raises((ValueError, TypeError)):
        mlp.partial_fit(X, list("1a1a"), classes=[1, "a"])
    mlp.partial_fit(X, list("1a1a"), classes=["1", "a"])
