"""With everything of ours off, scikit-learn's MLP step for step.

Where scikit-learn clips probabilities (a loss of raw outputs need not), a training curve can
only differ on rows that are predicted with certainty and wrongly: there are none here.
"""

import warnings

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor

SOLVERS = {
    "adam": {"solver": "adam"},
    "sgd": {"solver": "sgd"},
    "sgd, no Nesterov": {"solver": "sgd", "nesterovs_momentum": False},
    "sgd, invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.1},
    # A tolerance that is soon out of reach: the learning rate falls.
    "sgd, adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 1e-2},
}
# Early stopping with strings for classes came to scikit-learn with 1.7.1.
KNOWS_STRINGS = parse_version(sklearn.__version__) >= parse_version("1.7.1")
TWO_CLASSES = np.array(["a", "b"]) if KNOWS_STRINGS else np.array([3, 7])
TASKS = ("binary", "multiclass", "multilabel", "one output", "two outputs", "counts")
FORMATS = {
    "csr matrix": sparse.csr_matrix,
    "csr array": sparse.csr_array,
    "csc matrix": sparse.csc_matrix,
    "csc array": sparse.csc_array,
}


def data_for(task):
    rng = np.random.default_rng(0)
    X = StandardScaler().fit_transform(rng.standard_normal((110, 6)))
    score = X @ rng.standard_normal((6, 3))
    return X, {
        "binary": lambda: TWO_CLASSES[(score[:, 0] > 0).astype(int)],
        "multiclass": lambda: score.argmax(axis=1) * 3,
        "multilabel": lambda: (score > 0).astype(int),
        "one output": lambda: score[:, 0],
        "two outputs": lambda: score[:, :2],
        "counts": lambda: rng.poisson(np.exp(score[:, 0] / 4)),
    }[task]()


def pair(task, **parameters):
    if task == "counts":
        parameters["loss"] = "poisson"
    if task in ("one output", "two outputs", "counts"):
        theirs = MLPRegressor(**parameters)
        return MLPWithBatchNormRegressor.from_sklearn(theirs), theirs
    theirs = MLPClassifier(**parameters)
    return MLPWithBatchNormClassifier.from_sklearn(theirs), theirs


def assert_same_model(ours, theirs, X):
    for own, other in zip(
        ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
    ):
        np.testing.assert_allclose(own, other, rtol=0, atol=1e-10 * np.abs(other).max())
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-10)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    if theirs.best_loss_ is None:
        assert ours.best_loss_ is None
        np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-6)
        assert ours.best_validation_score_ == pytest.approx(theirs.best_validation_score_)
    else:
        assert ours.best_loss_ == pytest.approx(theirs.best_loss_, rel=1e-6)
        assert ours.validation_scores_ is theirs.validation_scores_ is None
    if hasattr(theirs, "predict_proba"):
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    else:
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_twenty_epochs(task, activation, solver, weighted, early_stopping, is_sparse):
    X, y = data_for(task)
    if is_sparse:
        X[np.abs(X) < 0.5] = 0.0
        X = sparse.csr_array(X)
    parameters = {
        "hidden_layer_sizes": (12, 9),
        "activation": activation,
        "batch_size": 33,
        "learning_rate_init": 0.01,
        "max_iter": 20,
        "n_iter_no_change": 3,
        "alpha": 0.01,
        "random_state": 3,
        "early_stopping": early_stopping,
    } | solver
    ours, theirs = pair(task, **parameters)
    # Weights with zeros: scikit-learn keeps those rows, and so do we in its mode.
    weight = np.random.default_rng(1).integers(0, 4, 110) if weighted else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours.fit(X, y, sample_weight=weight)
        theirs.fit(X, y, sample_weight=weight)
    assert_same_model(ours, theirs, X)


@pytest.mark.parametrize("container", FORMATS.values(), ids=FORMATS.keys())
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_formats(container, index, dtype):
    X, y = data_for("multiclass")
    X[np.abs(X) < 0.5] = 0.0
    dense = X.astype(dtype)
    X = container(dense)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    ours, _ = pair("multiclass", max_iter=5, random_state=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours.fit(X, y)
        same = pair("multiclass", max_iter=5, random_state=3)[0].fit(dense, y)
    np.testing.assert_allclose(ours.predict_proba(X), same.predict_proba(dense), atol=1e-6)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("is_sparse", [False, True])
def test_lbfgs(task, activation, is_sparse):
    X, y = data_for(task)
    if is_sparse:
        X = sparse.csr_array(X)
    ours, theirs = pair(
        task,
        solver="lbfgs",
        activation=activation,
        hidden_layer_sizes=(7,),
        max_iter=10,
        alpha=0.1,
        random_state=3,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours.fit(X, y)
        theirs.fit(X, y)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-5)
    for own, other in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(own, other, rtol=0, atol=1e-4 * np.abs(other).max())
    assert not hasattr(ours, "partial_fit")


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())
@pytest.mark.parametrize("task", ["multiclass", "one output"])
def test_partial_fit(task, solver):
    X, y = data_for(task)
    ours, theirs = pair(task, hidden_layer_sizes=(12,), random_state=3, **solver)
    first = {"classes": np.unique(y)} if task == "multiclass" else {}
    for start in range(0, 110, 40):
        # As upstream, the penalty may change on the way; the optimizer keeps what it began with.
        changed = {
            "alpha": 0.1 * start,
            "learning_rate_init": 0.001 + 0.01 * start,
            "power_t": 0.5 - 0.005 * start,
            "momentum": 0.9 - 0.01 * start,
            "beta_1": 0.9 - 0.01 * start,
            "nesterovs_momentum": start != 40,
        }
        if start == 80:
            changed["learning_rate"] = "adaptive"
        ours.set_params(**changed)
        theirs.set_params(**changed)
        ours.partial_fit(X[start : start + 40], y[start : start + 40], **first)
        theirs.partial_fit(X[start : start + 40], y[start : start + 40], **first)
        first = {}
    assert_same_model(ours, theirs, X)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_another_solver_in_a_stream_is_not_taken(solver):
    X, y = data_for("multiclass")
    ours, theirs = pair("multiclass", hidden_layer_sizes=(12,), random_state=3, solver=solver)
    for estimator in (ours, theirs):
        estimator.partial_fit(X, y, classes=np.unique(y))
        estimator.set_params(solver="sgd" if solver == "adam" else "adam")
        estimator.partial_fit(X, y).partial_fit(X, y)
    assert_same_model(ours, theirs, X)


@pytest.mark.parametrize("damage", ["strided", "reversed", "indices", "mixed indices"])
def test_sparse_arrays_of_any_layout(damage):
    X, y = data_for("multiclass")
    X[np.abs(X) < 0.5] = 0.0
    table = sparse.csr_matrix(X)
    odd = sparse.csr_matrix(X)
    if damage == "strided":
        odd.data = np.repeat(odd.data, 2)[::2]
    elif damage == "reversed":
        odd.data = odd.data[::-1].copy()[::-1]
    elif damage == "indices":
        odd.indices = np.repeat(odd.indices, 2)[::2]
    else:
        odd.indptr = odd.indptr.astype(np.int64)
    ours, _ = pair("multiclass", max_iter=5, random_state=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected = ours.fit(table, y).predict_proba(table)
        np.testing.assert_array_equal(ours.predict_proba(odd), expected)
        np.testing.assert_array_equal(ours.fit(odd, y).predict_proba(table), expected)
        ours.set_params(normalize_input="standard")
        expected = ours.fit(table, y).predict_proba(table)
        np.testing.assert_array_equal(ours.fit(odd, y).predict_proba(odd), expected)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_warm_start(solver):
    X, y = data_for("multiclass")
    ours, theirs = pair("multiclass", solver=solver, random_state=3, max_iter=5, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(3):
            ours.fit(X, y)
            theirs.fit(X, y)
    assert_same_model(ours, theirs, X)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_same_words(early_stopping, capsys):
    X, y = data_for("multiclass")
    ours, theirs = pair(
        "multiclass",
        random_state=3,
        tol=0.5,
        n_iter_no_change=2,
        verbose=True,
        early_stopping=early_stopping,
    )
    ours.fit(X, y)
    own_words = capsys.readouterr().out
    theirs.fit(X, y)
    assert own_words == capsys.readouterr().out
    assert "Stopping." in own_words
