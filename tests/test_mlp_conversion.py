"""From and to scikit-learn's networks."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import sklearn
from networks import random_network
from parameters import EXPRESSIBLE as LIKE_SCIKIT_LEARN
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.fixes import parse_version

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor
from skbn.estimators import mlp
from skbn.kernels.optimizers import OPTIMIZERS as KINDS
from skbn.network import views
from skbn.network.folding import folds_precisely

# Early stopping with strings for classes came to scikit-learn with 1.7.1.
KNOWS_STRINGS = parse_version(sklearn.__version__) >= parse_version("1.7.1")
TWO_CLASSES = np.array(["a", "b"]) if KNOWS_STRINGS else np.array([3, 7])
TASKS = ("binary", "multiclass", "multilabel", "one output", "two outputs", "counts")


EXPRESSIBLE = LIKE_SCIKIT_LEARN | {
    "hidden_layer_sizes": (9, 7),
    "learning_rate": "constant",
    "max_iter": 15,
    "random_state": 0,
}


def data_for(task):
    rng = np.random.default_rng(0)
    X = 5.0 + 3.0 * rng.standard_normal((120, 6))
    score = (X - 5.0) @ rng.standard_normal((6, 3))
    return X, {
        "binary": lambda: TWO_CLASSES[(score[:, 0] > 0).astype(int)],
        "multiclass": lambda: score.argmax(axis=1) * 3,
        "multilabel": lambda: (score > 0).astype(int),
        "one output": lambda: 1e4 + 10 * score[:, 0],
        "two outputs": lambda: 1e3 * score[:, :2],
        "counts": lambda: rng.poisson(np.exp(score[:, 0] / 10)),
    }[task]()


def fitted(task, **parameters):
    parameters = EXPRESSIBLE | parameters
    if task in ("one output", "two outputs", "counts"):
        loss = "poisson" if task == "counts" else "squared_error"
        estimator = MLPWithBatchNormRegressor(loss, **parameters)
    else:
        estimator = MLPWithBatchNormClassifier(**parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(*data_for(task))


def test_automatic_numbers_become_those_of_a_constant_rate():
    X, y = data_for("binary")
    ours = MLPWithBatchNormClassifier(**LIKE_SCIKIT_LEARN).fit(X, y)
    plain = ours.to_sklearn()
    assert plain.learning_rate == "constant"
    assert (plain.learning_rate_init, plain.max_iter) == (0.001, 200)
    ours.set_params(max_iter=7, learning_rate_init=0.5)
    plain = ours.to_sklearn()
    assert (plain.learning_rate_init, plain.max_iter) == (0.5, 7)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("normalize_input", ["standard", None])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_to_sklearn_predicts_the_same(task, batch_norm, normalize_input, dropout):
    X, _ = data_for(task)
    ours = fitted(
        task,
        batch_norm=batch_norm,
        normalize_input=normalize_input,
        dropout=dropout,
        dtype="float64",
        learning_rate_init=1e-3,
    )
    plain = ours.to_sklearn()
    assert type(plain) in (MLPClassifier, MLPRegressor)
    if hasattr(plain, "predict_proba"):
        np.testing.assert_allclose(
            plain.predict_proba(X), ours.predict_proba(X), rtol=1e-6, atol=1e-9
        )
        np.testing.assert_array_equal(plain.predict(X), ours.predict(X))
        np.testing.assert_array_equal(plain.classes_, ours.classes_)
    else:
        np.testing.assert_allclose(plain.predict(X), ours.predict(X), rtol=1e-6)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_to_sklearn_knows_four_activations(activation):
    X, _ = data_for("multiclass")
    ours = fitted("multiclass", activation=activation, dtype="float64")
    np.testing.assert_allclose(ours.to_sklearn().predict_proba(X), ours.predict_proba(X), atol=1e-9)


@pytest.mark.parametrize("activation", ["silu", "gelu", "mish", "leaky_relu"])
def test_to_sklearn_refuses_by_name_what_it_cannot_express(activation):
    with pytest.raises(ValueError, match=f"no activation '{activation}'"):
        fitted("multiclass", activation=activation).to_sklearn()


def test_to_sklearn_refuses_an_embedding_of_the_columns():
    ours = fitted("multiclass", periodic_embedding=1.0)
    with pytest.raises(ValueError, match=r"no periodic embedding.*periodic_embedding=None can"):
        ours.to_sklearn()


def folding(monkeypatch, n_rows):
    """A list that has an entry for each prediction by folded layers, done from `n_rows` on."""
    calls = []
    original = mlp.folded_network
    monkeypatch.setattr(mlp, "FOLDING_ROWS", n_rows)
    monkeypatch.setattr(mlp, "folded_network", lambda network: calls.append(1) or original(network))
    return calls


@pytest.mark.parametrize("batch_norm", ["before", "after"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "silu", "gelu", "mish", "leaky_relu"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_predictions_of_many_rows_are_those_of_folded_layers(
    batch_norm, activation, dtype, tolerance, monkeypatch
):
    X, _ = data_for("multiclass")
    ours = fitted("multiclass", batch_norm=batch_norm, activation=activation, dtype=dtype)
    calls = folding(monkeypatch, 200)
    as_trained = ours.predict_proba(X)
    assert not calls
    many = np.tile(X, (2, 1))
    np.testing.assert_allclose(ours.predict_proba(many)[:120], as_trained, atol=tolerance)
    assert calls


@pytest.mark.parametrize("batch_norm", ["before", "after"])
@pytest.mark.parametrize("kind", [np.float64, np.float32, csr_array])
@pytest.mark.parametrize("offset", [0.0, 30.0, 1e3, 1e6])
def test_a_row_has_one_prediction_whatever_the_number_of_rows(
    batch_norm, kind, offset, monkeypatch
):
    calls = folding(monkeypatch, 200)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 10)) + offset
    y = (X - offset)[:, :3].sum(axis=1)
    X = kind(X) if kind is csr_array else X.astype(kind)
    regressor = MLPWithBatchNormRegressor(
        hidden_layer_sizes=(20, 20),
        max_iter=15,
        batch_norm=batch_norm,
        normalize_input=None,
        random_state=0,
    ).fit(X, y)
    together = regressor.predict(X)
    # Where means are far from 0 the folded weights' rounding would show: 7 % of the spread at 1e6.
    assert bool(calls) == (offset < 1e3)
    # Some BLAS add up in another order where rows are few. The product of the first layer is then
    # rounded otherwise, in float32 by the size of its terms.
    tolerance = 2e-5 + 5.0 * np.finfo(np.float32).eps * offset
    for n_rows in (1, 199):
        np.testing.assert_allclose(
            regressor.predict(X[:n_rows]), together[:n_rows], rtol=0.0, atol=tolerance * y.std()
        )


def test_folding_may_round_as_finely_as_the_dtype():
    network = random_network([4, 3, 2], "relu", "before", "squared_error", dtype=np.float32)
    assert folds_precisely(network)
    views.running_means(network.plan, network.statistics)[0][0, 1] = -1e3
    assert not folds_precisely(network)
    # Nothing cancels in a unit that gives its beta, nor in float64, which has the digits.
    views.running_vars(network.plan, network.statistics)[0][0, 1] = 0.0
    assert folds_precisely(network)
    network = random_network([4, 3, 2], "relu", "before", "squared_error", dtype=np.float64)
    views.running_means(network.plan, network.statistics)[0][0, 1] = -1e3
    assert folds_precisely(network)


def test_a_solver_that_scikit_learn_lacks_becomes_adam():
    X, y = data_for("multiclass")
    ours = fitted("multiclass", solver="rmsprop", dtype="float64")
    plain = ours.to_sklearn()
    assert (plain.solver, ours.solver) == ("adam", "rmsprop")
    np.testing.assert_allclose(plain.predict_proba(X), ours.predict_proba(X), atol=1e-9)
    plain.partial_fit(X, y)


def test_to_sklearn_of_an_unfitted_one():
    with pytest.raises(NotFittedError):
        MLPWithBatchNormClassifier().to_sklearn()


def test_the_converted_one_needs_nothing_of_ours(tmp_path):
    X, _ = data_for("multiclass")
    plain = fitted("multiclass").to_sklearn()
    (tmp_path / "model").write_bytes(pickle.dumps(plain))
    np.save(tmp_path / "X.npy", X)
    script = (
        "import pickle, sys, numpy as np\n"
        "model = pickle.load(open('model', 'rb'))\n"
        "np.save('y.npy', model.predict(np.load('X.npy')))\n"
        "assert not any(name.split('.')[0] == 'skbn' for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), plain.predict(X))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True, "auto"])
def test_training_goes_on_upstream(task, given, early_stopping):
    X, y = data_for(task)
    if task == "one output":
        y = (y - 1e4) / 10
    parameters = EXPRESSIBLE | {"max_iter": 4, "early_stopping": early_stopping}
    if early_stopping == "auto":
        # Without a planned schedule it is False.
        parameters["learning_rate"] = "cosine"
    if task == "counts":
        parameters["loss"] = "poisson"
    regression = task in ("one output", "two outputs", "counts")
    ours = (MLPWithBatchNormRegressor if regression else MLPWithBatchNormClassifier)(**parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours.fit(X, y, **({"X_val": X, "y_val": y} if given and early_stopping else {}))
        plain = ours.to_sklearn()
        before = plain.coefs_[0].copy()
        if early_stopping is not True:
            plain.partial_fit(X, y)
            assert (plain.coefs_[0] != before).any()
            assert np.isfinite(plain.best_loss_)
        # A tolerance that nothing meets: no epoch is an improvement.
        plain.set_params(warm_start=True, tol=1e9, n_iter_no_change=2).fit(X, y)
    assert np.isfinite(plain.predict(X).astype(float) if regression else plain.coefs_[0]).all()
    # Other parameters than those it was fitted with decide what upstream goes on from.
    ours.set_params(early_stopping=not early_stopping)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours.to_sklearn().set_params(warm_start=True).fit(X, y)


SOLVERS = {
    "adam": {"solver": "adam"},
    "sgd": {"solver": "sgd", "nesterovs_momentum": False},
    "sgd, Nesterov, invscaling": {"solver": "sgd", "learning_rate": "invscaling"},
    "sgd, adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0},
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())
@pytest.mark.parametrize("first", ["fit", "partial_fit"])
def test_a_stream_of_upstream_s_goes_on(task, solver, first):
    X, y = data_for(task)
    X = (X - 5.0) / 3.0
    if task in ("one output", "two outputs"):
        y = (y - y.mean(axis=0)) / y.std(axis=0)
    plain, cls = upstream_pair(task, learning_rate_init=0.01, n_iter_no_change=2, **solver)
    classes = {"classes": np.unique(y)} if hasattr(plain, "predict_proba") else {}
    if task == "multilabel":
        classes = {"classes": [0, 1, 2]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(4):
            plain.fit(X, y) if first == "fit" else plain.partial_fit(X, y, **classes)
        ours = cls.from_sklearn(plain)
        for _ in range(6):
            plain.partial_fit(X, y)
            ours.partial_fit(X, y)
    assert_same_weights(ours, plain)
    np.testing.assert_allclose(ours.loss_curve_, plain.loss_curve_, rtol=1e-9)
    if plain.solver == "sgd":
        assert ours._learning_rate == plain._optimizer.learning_rate


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("converted", [False, True])
def test_warm_starts_are_upstream_s(task, solver, early_stopping, converted):
    X, y = data_for(task)
    X = (X - 5.0) / 3.0
    if task in ("one output", "two outputs"):
        y = (y - y.mean(axis=0)) / y.std(axis=0)
    plain, cls = upstream_pair(
        task,
        learning_rate_init=0.01,
        early_stopping=early_stopping,
        warm_start=True,
        n_iter_no_change=3,
        **solver,
    )
    ours = cls.from_sklearn(plain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(3):
            plain.fit(X, y)
            ours.fit(X, y)
            assert_same_weights(ours, plain)
            if converted:
                ours = cls.from_sklearn(plain)
    np.testing.assert_allclose(ours.loss_curve_, plain.loss_curve_, rtol=1e-9)
    assert ours.n_iter_ == plain.n_iter_
    if early_stopping:
        np.testing.assert_allclose(ours.validation_scores_, plain.validation_scores_, rtol=1e-9)
        assert ours.best_validation_score_ == pytest.approx(plain.best_validation_score_)
    else:
        assert ours.best_loss_ == pytest.approx(plain.best_loss_)


def upstream_pair(task, **parameters):
    parameters = {"hidden_layer_sizes": (9,), "max_iter": 6, "random_state": 3} | parameters
    if task == "counts":
        parameters["loss"] = "poisson"
    if task in ("one output", "two outputs", "counts"):
        return MLPRegressor(**parameters), MLPWithBatchNormRegressor
    return MLPClassifier(**parameters), MLPWithBatchNormClassifier


def assert_same_weights(ours, plain):
    for own, other in zip(
        ours.coefs_ + ours.intercepts_, plain.coefs_ + plain.intercepts_, strict=True
    ):
        np.testing.assert_allclose(own, other, rtol=0, atol=1e-9 * np.abs(other).max())


@pytest.mark.parametrize("task", TASKS)
def test_from_sklearn_brings_parameters_and_weights(task):
    X, y = data_for(task)
    regression = task in ("one output", "two outputs", "counts")
    parameters = {"hidden_layer_sizes": (9,), "max_iter": 12, "random_state": 3, "alpha": 0.01}
    if task == "counts":
        parameters["loss"] = "poisson"
    cls = MLPWithBatchNormRegressor if regression else MLPWithBatchNormClassifier
    plain = (MLPRegressor if regression else MLPClassifier)(**parameters)
    unfitted = cls.from_sklearn(plain)
    for name, value in cls._plain_parameters.items():
        assert getattr(unfitted, name) == value
    assert unfitted.batch_norm is unfitted.normalize_input is unfitted.periodic_embedding is None
    assert unfitted.trained_input_scale is False
    assert unfitted.weight_decay == 0.0
    assert unfitted.dtype == "float64"
    assert {name: unfitted.get_params()[name] for name in parameters} == parameters
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        plain.fit(X - 5.0, y)
    ours = cls.from_sklearn(plain)
    if regression:
        np.testing.assert_allclose(ours.predict(X), plain.predict(X), rtol=1e-10, atol=1e-12)
    else:
        np.testing.assert_array_equal(ours.predict(X), plain.predict(X))
    assert ours.t_ == plain.t_
    # And back.
    np.testing.assert_allclose(ours.to_sklearn().coefs_[0], plain.coefs_[0], rtol=1e-12)


def test_from_sklearn_takes_its_own_kind():
    with pytest.raises(TypeError, match=r"takes a fitted or unfitted MLPClassifier"):
        MLPWithBatchNormClassifier.from_sklearn(MLPRegressor())


def test_parameters_set_later_change_neither_predictions_nor_conversion():
    X, _ = data_for("counts")
    ours = fitted("counts", activation="relu", dtype="float64")
    before = ours.predict(X)
    ours.set_params(activation="gelu", loss="squared_error")
    np.testing.assert_array_equal(ours.predict(X), before)
    np.testing.assert_allclose(ours.to_sklearn().predict(X), before, rtol=1e-9)


def test_conversion_follows_the_network_and_not_its_parameters():
    X, y = data_for("multiclass")
    ours = fitted("multiclass").set_params(hidden_layer_sizes=(3, 3, 3))
    plain = ours.to_sklearn()
    assert plain.hidden_layer_sizes == (9, 7)
    plain.partial_fit(X, y)
    X, y = data_for("counts")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        counts = MLPRegressor("poisson", (5,), max_iter=3, solver="sgd", random_state=0)
        counts.fit((X - 5) / 3, y)
    expected = counts.predict(X)
    counts.set_params(loss="squared_error", solver="adam")
    ours = MLPWithBatchNormRegressor.from_sklearn(counts)
    np.testing.assert_allclose(ours.predict(X), expected, rtol=1e-10)
    assert ours._optimizer["kind"] == KINDS["sgd"]


def test_a_converted_one_shares_no_random_state():
    state = np.random.RandomState(0)
    ours = MLPWithBatchNormClassifier.from_sklearn(MLPClassifier(random_state=state))
    assert ours.random_state is not state
    fitted_one = fitted("multiclass", random_state=state)
    assert fitted_one.to_sklearn().random_state is not state


def test_a_converted_one_shares_nothing_with_its_origin():
    X, y = data_for("multiclass")
    ours = fitted("multiclass")
    plain = ours.to_sklearn().partial_fit(X, y)
    assert len(plain.loss_curve_) == len(ours.loss_curve_) + 1
    back = MLPWithBatchNormClassifier.from_sklearn(plain).partial_fit(X, y)
    assert len(back.loss_curve_) == len(plain.loss_curve_) + 1


def test_training_goes_on_from_upstream_s_lbfgs():
    X, y = data_for("multiclass")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        plain = MLPClassifier((5,), solver="lbfgs", max_iter=3).fit(X, y)
        ours = MLPWithBatchNormClassifier.from_sklearn(plain)
        ours.set_params(solver="adam", warm_start=True).fit(X, y)
    assert len(ours.loss_curve_) == 3


@pytest.mark.parametrize("is_fitted", [False, True])
@pytest.mark.parametrize("plain_cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("name", ["activation", "solver", "learning_rate"])
def test_from_sklearn_says_which_parameter_it_does_not_know(plain_cls, name, is_fitted):
    X, y = data_for("counts")
    plain = plain_cls(hidden_layer_sizes=(4,), max_iter=1)
    if is_fitted:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            plain.fit(X, y)
    setattr(plain, name, "unheard-of")
    cls = MLPWithBatchNormClassifier if plain_cls is MLPClassifier else MLPWithBatchNormRegressor
    with pytest.raises(ValueError, match=rf"'{name}' parameter .*Got 'unheard-of' instead"):
        cls.from_sklearn(plain)


def test_from_sklearn_of_a_subclass():
    class Deeper(MLPRegressor):
        def __init__(self, hidden_layer_sizes=(4,), depth=3):
            super().__init__(hidden_layer_sizes=hidden_layer_sizes)
            self.depth = depth

    with pytest.raises(ValueError, match="Deeper has parameters that MLPRegressor has not: depth"):
        MLPWithBatchNormRegressor.from_sklearn(Deeper())


@pytest.mark.parametrize("plain_cls", [MLPClassifier, MLPRegressor])
def test_from_sklearn_takes_no_link_for_another(plain_cls):
    X, y = data_for("counts")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        plain = plain_cls(hidden_layer_sizes=(4,), max_iter=1).fit(X, y)
    cls = MLPWithBatchNormClassifier if plain_cls is MLPClassifier else MLPWithBatchNormRegressor
    # Of the other kind, and of none.
    for link in ("identity" if plain_cls is MLPClassifier else "softmax", "cauchit"):
        plain.out_activation_ = link
        with pytest.raises(ValueError, match=rf"have the link '{link}', which is none of"):
            cls.from_sklearn(plain)


def test_a_loss_that_scikit_learn_lacks_concerns_training_alone():
    X, y = data_for("one output")
    ours = MLPWithBatchNormRegressor("absolute_error", **EXPRESSIBLE | {"max_iter": 3})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours.fit(X, y)
    plain = ours.to_sklearn()
    assert plain.loss == "squared_error"
    np.testing.assert_allclose(plain.predict(X), ours.predict(X), rtol=1e-5)
    ours._loss = "huber"
    with pytest.raises(ValueError, match="huber"):
        ours.to_sklearn()


def test_curves_go_on_after_from_sklearn():
    X, y = data_for("binary")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        scored = MLPClassifier(early_stopping=True, max_iter=4, random_state=0).fit(X, y)
        unscored = MLPClassifier(max_iter=2, random_state=0).fit(X, y)
    ours = MLPWithBatchNormClassifier.from_sklearn(scored)
    assert ours.validation_epochs_ == [1, 2, 3, 4]
    assert ours.learning_rate_curve_ == []
    ours.partial_fit(X, y, X_val=X, y_val=y)
    assert ours.validation_epochs_ == [1, 2, 3, 4, 5]
    assert len(ours.validation_scores_) == len(ours.loss_curve_) == 5
    assert ours.learning_rate_curve_ == [0.001]
    assert MLPWithBatchNormClassifier.from_sklearn(unscored).validation_epochs_ is None
