"""A call while an estimator is fitted answers by the old model or by the new one."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
from parameters import EXPRESSIBLE
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from tracing import at_lines

from skbn import (
    BatchNormTransformer,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
from skbn.estimators.transaction import publish

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 6))
SEQUENCES = RNG.standard_normal((40, 3, 2))
LABELS = (X[:, :3] > 0).astype(int)
SMALL = {"hidden_layer_sizes": (5,), "max_iter": 2, "tol": 10.0, "random_state": 0}
OTHER = {**SMALL, "normalize_input": None, "batch_norm": None, "hidden_layer_sizes": (3, 4)}


def fitted(estimator, *data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(*data)


def targets(name, rows):
    score = rows.reshape(len(rows), -1)[:, :3]
    return {
        "two classes": np.array(["no", "yes"])[(score[:, 0] > 0).astype(int)],
        "three classes": np.argmax(score, axis=1) * 10,
        "one class": np.full(len(rows), "only"),
        "labels": (score > 0).astype(int),
        "sparse labels": csr_array((score[:, :2] > 0).astype(int)),
        "one target": 1e3 * score[:, 0] + 5.0,
        "two targets": score[:, :2],
        "counts": np.exp(score[:, 0]).round(),
    }[name]


CLASSIFIERS = [
    ("two classes", "three classes"),
    ("three classes", "labels"),
    ("labels", "sparse labels"),
    ("one class", "two classes"),
]
REGRESSORS = [("one target", "two targets"), ("two targets", "counts"), ("counts", "one target")]
CASES = [
    (cls, pair)
    for cls, pairs in (
        (MLPWithBatchNormClassifier, CLASSIFIERS),
        (MLPWithBatchNormRegressor, REGRESSORS),
        (RNNWithBatchNormClassifier, CLASSIFIERS),
        (RNNWithBatchNormRegressor, REGRESSORS),
    )
    for pair in pairs
]


def parameters_for(cls, base, name):
    layers = EXPRESSIBLE if "MLP" in cls.__name__ else {}
    loss = {"loss": "poisson" if name == "counts" else "squared_error"}
    return layers | base | (loss if "Regressor" in cls.__name__ else {})


def rows_for(cls):
    return X if "MLP" in cls.__name__ else SEQUENCES


def two_models(cls, pair):
    """Two models of one class with nothing in common, and rows for both."""
    rows = rows_for(cls)
    models = [
        fitted(cls(**parameters_for(cls, base, name)), rows, targets(name, rows))
        for base, name in zip((SMALL, OTHER), pair, strict=True)
    ]
    return *models, rows


def outcome(call):
    """What a call gives, or the error that it raises, in a form to be compared."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = call()
    except (ValueError, NotFittedError, AttributeError) as error:
        return type(error).__name__, str(error)
    return plain(result)


def plain(value):
    if hasattr(value, "toarray"):
        return "sparse", plain(value.toarray())
    if isinstance(value, pd.DataFrame):
        return list(value.columns), plain(value.to_numpy())
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tolist()
    return value


def assert_old_or_new(old, new, call):
    """At whichever line of the call `old` becomes `new`, it answers by one of them."""
    allowed = [repr(outcome(lambda model=model: call(model))) for model in (old, new)]
    assert allowed[0] != allowed[1]
    answers = [
        repr(answer) for answer in at_each_line(old, new, lambda m: outcome(lambda: call(m)))
    ]
    for line, answer in enumerate(answers):
        assert answer in allowed, f"line {line} of the call"
    # Both were seen: the change did reach the call, and the call did look before its end.
    assert set(answers) == set(allowed)


def at_each_line(old, new, call):
    """What calls of an old model give that becomes the new one at their lines 0, 1, 2 ..."""
    line, reached = 0, True
    while reached:
        model, reached = copy.deepcopy(old), False

        def replace(n, line=line, model=model):
            nonlocal reached
            if n == line:
                reached = True
                publish(model, vars(model).copy(), vars(new).copy())

        with at_lines(replace):
            answer = call(model)
        if reached:
            yield answer
        line += 1


@pytest.mark.parametrize(
    ("cls", "pair", "method"),
    [
        (cls, pair, method)
        for cls, pair in CASES
        for method in ("predict", "predict_proba", "predict_log_proba", "hidden_activations")
        if hasattr(cls, method)
    ],
)
def test_predictions(cls, pair, method):
    old, new, rows = two_models(cls, pair)
    assert_old_or_new(old, new, lambda model: getattr(model, method)(rows[:5]))


@pytest.mark.parametrize(("cls", "pair"), CASES)
def test_predictions_from_many_rows(cls, pair):
    old, new, rows = two_models(cls, pair)
    rows = np.concatenate([rows] * 6)
    assert_old_or_new(old, new, lambda model: model.predict(rows))


@pytest.mark.parametrize("cls", [MLPWithBatchNormClassifier, MLPWithBatchNormRegressor])
def test_predictions_from_sparse_rows(cls):
    old, new, rows = two_models(cls, CLASSIFIERS[0] if "Class" in cls.__name__ else REGRESSORS[0])
    assert_old_or_new(old, new, lambda model: model.predict(csr_array(rows)))


@pytest.mark.parametrize(("cls", "pair"), CASES)
def test_scores(cls, pair):
    old, new, rows = two_models(cls, pair)
    y = targets(pair[0], rows)
    if cls.__name__.endswith("Classifier") and pair[0] == "labels":
        new = fitted(cls(**parameters_for(cls, OTHER, "")), rows, 1 - y)
    assert_old_or_new(old, new, lambda model: model.score(rows, y))


@pytest.mark.parametrize(("cls", "pair"), [case for case in CASES if "MLP" in case[0].__name__])
def test_scikit_learns_networks(cls, pair):
    old, new, rows = two_models(cls, pair)

    def call(model):
        plain_network = model.to_sklearn()
        return [plain_network.predict(rows), plain_network.n_outputs_, plain_network.get_params()]

    assert_old_or_new(old, new, call)


@pytest.mark.parametrize(("cls", "pair"), [CASES[0], CASES[4], CASES[7], CASES[-1]])
@pytest.mark.parametrize(
    "name", ["coefs_", "intercepts_", "gammas_", "betas_", "running_means_", "running_vars_"]
)
def test_views(cls, pair, name):
    old, new, _ = two_models(cls, pair)
    assert_old_or_new(old, new, lambda model: getattr(model, name))


@pytest.mark.parametrize("cls", [MLPWithBatchNormClassifier, RNNWithBatchNormRegressor])
@pytest.mark.parametrize("named", [True, False])
def test_checks_of_the_columns(cls, named):
    # The new model has other columns: an error of the new, or an answer of the old.
    y = targets("two classes" if "Class" in cls.__name__ else "one target", X)
    frames = [
        pd.DataFrame(X[:, :width], columns=[f"{prefix}{j}" for j in range(width)])
        for prefix, width in (("old", 6), ("new", 4))
    ]
    if not named:
        frames = [frame.to_numpy() for frame in frames]
    old, new = (fitted(cls(**SMALL), frame, y) for frame in frames)
    assert_old_or_new(old, new, lambda model: model.predict(frames[0][:5]))


class TestTransformer:
    @pytest.fixture
    def models(self):
        old = BatchNormTransformer().fit(X)
        other = 1e3 + 1e2 * np.concatenate([X, X])
        other[0, 0] = np.nan
        return old, BatchNormTransformer(gamma=3.0, beta=2.0, batch_size=30).fit(other)

    @pytest.mark.parametrize("method", ["transform", "inverse_transform"])
    def test_rows(self, models, method):
        assert_old_or_new(*models, lambda model: getattr(model, method)(X[:5]))

    def test_sequences(self):
        old = BatchNormTransformer().fit(SEQUENCES)
        new = BatchNormTransformer(time_statistics="shared").fit(SEQUENCES * 50.0)
        assert_old_or_new(old, new, lambda model: model.transform(SEQUENCES[:4]))

    def test_names(self):
        frames = [pd.DataFrame(X[:, :d]).add_prefix(name) for name, d in (("a", 6), ("b", 4))]
        old, new = (BatchNormTransformer().fit(frame) for frame in frames)
        assert_old_or_new(old, new, lambda model: model.get_feature_names_out())
        assert_old_or_new(old, new, lambda model: model.inverse_transform(X[:3]))

    def test_data_frames(self):
        old = BatchNormTransformer().fit(pd.DataFrame(X).add_prefix("a"))
        new = BatchNormTransformer().fit(pd.DataFrame(X * 3.0).add_prefix("b"))
        for model in (old, new):
            model.set_output(transform="pandas")
        assert_old_or_new(old, new, lambda model: model.transform(X[:3]))

    def test_the_other_of_a_merge(self, models):
        old, new = models

        def call(model):
            merged = BatchNormTransformer().fit(X[:7]).merge(model)
            return plain_state(merged)

        assert_old_or_new(old, new, call)

    @pytest.mark.parametrize(
        "call",
        [
            lambda model: model.merge(BatchNormTransformer().fit(X[:9])),
            lambda model: model.partial_fit(X[:9]),
            lambda model: model.partial_fit_transform(X[:9]),
        ],
        ids=["merge", "partial_fit", "partial_fit_transform"],
    )
    def test_updates(self, models, call):
        def answer_and_state(model):
            answer = call(model)
            return [answer if isinstance(answer, np.ndarray) else 0, plain_state(model)]

        # The last that is published stays as a whole: the old model updated, or the new one
        # by itself or updated.
        old, new = models
        allowed = [
            repr(plain_state(new)),
            *(repr(answer_and_state(copy.deepcopy(model))[1]) for model in models),
        ]
        states = [repr(state) for _, state in at_each_line(old, new, answer_and_state)]
        for line, state in enumerate(states):
            assert state in allowed, f"line {line} of the call"
        assert len(set(states)) > 1


def plain_state(model):
    return {
        name: plain(value)
        for name, value in vars(model).items()
        if name.endswith("_") and not name.startswith("_")
    }


FITS = [
    (cls, targets("two classes" if "Class" in cls.__name__ else "one target", rows_for(cls)))
    for cls in (
        MLPWithBatchNormClassifier,
        MLPWithBatchNormRegressor,
        RNNWithBatchNormClassifier,
        RNNWithBatchNormRegressor,
    )
]


@pytest.mark.parametrize(("cls", "y"), FITS)
@pytest.mark.parametrize("fails", [False, True])
def test_predictions_at_every_line_of_a_fit(cls, y, fails):
    rows = rows_for(cls)
    model = fitted(cls(**SMALL), rows, y)
    answers = set()

    def predict(n):
        call = getattr(model, "predict_proba", model.predict)
        answers.add(repr(outcome(lambda: call(rows[:3]))))

    predict(0)
    # The other network has no normalization, whose attributes are taken away.
    model.set_params(normalize_input=None, random_state=1, learning_rate="constant")
    if fails:
        model.set_params(solver="sgd", learning_rate_init=1e30, max_grad_norm=None)
    with at_lines(predict), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if fails:
            with pytest.raises(ValueError, match="finite"):
                model.fit(rows, y)
        else:
            model.fit(rows, y)
    predict(0)
    assert len(answers) == (1 if fails else 2)


@pytest.mark.parametrize("fails", [False, True])
def test_transformations_at_every_line_of_a_fit(fails):
    model = BatchNormTransformer().fit(X)
    other = 5.0 + 3.0 * X
    if fails:
        other[-1, -1] = np.inf
    answers = set()

    def transform(n):
        answers.add(repr(outcome(lambda: model.transform(X[:3]))))

    transform(0)
    model.set_params(batch_size=7)
    with at_lines(transform):
        if fails:
            with pytest.raises(ValueError, match="infinity"):
                model.fit(other)
        else:
            model.fit(other)
    transform(0)
    assert len(answers) == (1 if fails else 2)
