"""Training that goes on: rounds of warm starts and of partial_fit, and how long a fit is."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import InvalidParameterError

from skbn import (
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
from skbn.estimators import solvers

PERCEPTRONS = [MLPWithBatchNormClassifier, MLPWithBatchNormRegressor]
RECURRENT = [RNNWithBatchNormClassifier, RNNWithBatchNormRegressor]
ALL = [*PERCEPTRONS, *RECURRENT]
each_class = pytest.mark.parametrize("cls", ALL)


def data_for(cls, n=90):
    X = np.random.default_rng(0).standard_normal((n, 4, 2) if cls in RECURRENT else (n, 5))
    return X, (X.reshape(n, -1)[:, :2].sum(axis=1) > 0).astype(int)


def small(cls, **parameters):
    return cls(**{"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 1} | parameters)


def quietly(call, *arguments, **keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return call(*arguments, **keywords)


class Orders:
    """The orders in which the rows of each epoch were trained on."""

    def __init__(self, monkeypatch):
        from skbn.network.network import Network

        self.epochs, train = [], Network.train

        def recorded(network, table, optimizer, moments, rows, *others):
            self.epochs.append(tuple(rows))
            self.seed = others[3]
            return train(network, table, optimizer, moments, rows, *others)

        monkeypatch.setattr(Network, "train", recorded)

    def taken(self):
        epochs, self.epochs = self.epochs, []
        return epochs


@each_class
@pytest.mark.parametrize("early_stopping", [False, True])
def test_rounds_of_a_warm_start_go_on_in_the_random_sequence(cls, early_stopping, monkeypatch):
    orders = Orders(monkeypatch)
    X, y = data_for(cls)
    options = {"early_stopping": early_stopping, "warm_start": True, "dropout": 0.2}
    model = small(cls, **options)
    rounds, seeds = [], []
    for _ in range(3):
        quietly(model.fit, X, y)
        rounds += orders.taken()
        seeds.append(orders.seed)
    assert len(set(rounds)) == 9
    assert len(set(seeds)) == 3
    # The same rounds again, also with a pickle on the way.
    again = small(cls, **options)
    for _ in range(3):
        again = pickle.loads(pickle.dumps(quietly(again.fit, X, y)))
    assert orders.taken() == rounds
    # A clone, and a fit without a warm start, begin anew.
    for fresh in (clone(model), model.set_params(warm_start=False)):
        quietly(fresh.fit, X, y)
        assert orders.taken() == rounds[:3]


@each_class
def test_another_seed_begins_another_sequence(cls, monkeypatch):
    orders = Orders(monkeypatch)
    X, y = data_for(cls)
    model = quietly(small(cls, warm_start=True).fit, X, y)
    first = orders.taken()
    quietly(model.set_params(random_state=7).fit, X, y)
    assert orders.taken() != first
    quietly(small(cls, random_state=7).fit, X, y)
    second = orders.taken()
    model = quietly(small(cls, warm_start=True).fit, X, y)
    orders.taken()
    quietly(model.set_params(random_state=7).fit, X, y)
    # The weights are drawn first in a fresh network, and are none in a warm start.
    assert orders.taken() != second


@each_class
def test_a_stream_goes_on_in_the_random_sequence(cls, monkeypatch):
    orders = Orders(monkeypatch)
    X, y = data_for(cls)
    model = small(cls)
    classes = {"classes": [0, 1]} if hasattr(cls, "predict_proba") else {}
    for _ in range(3):
        model.partial_fit(X, y, **classes)
    assert len(set(orders.taken())) == 3


@pytest.mark.parametrize("cls", PERCEPTRONS)
def test_scikit_learn_s_mode_begins_anew_in_each_round(cls, monkeypatch):
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    orders = Orders(monkeypatch)
    upstream = MLPClassifier if hasattr(cls, "predict_proba") else MLPRegressor
    X, y = data_for(cls)
    theirs = upstream(hidden_layer_sizes=(5,), max_iter=3, random_state=1, warm_start=True)
    ours = cls.from_sklearn(theirs)
    for _ in range(2):
        quietly(theirs.fit, X, y)
        quietly(ours.fit, X, y)
    epochs = orders.taken()
    assert epochs[:3] != epochs[3:]  # the first round draws the weights before
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-9)
    quietly(ours.fit, X, y)
    assert orders.taken() == epochs[3:]


@each_class
def test_every_round_holds_out_the_same_rows(cls, monkeypatch):
    from skbn.estimators import scoring

    held_out, init = [], scoring.Validation.__init__

    def recorded(validation, network, training, table, *others):
        held_out.append(table.X[table.rows].tobytes())
        init(validation, network, training, table, *others)

    monkeypatch.setattr(scoring.Validation, "__init__", recorded)
    X, y = data_for(cls)
    for random_state in (1, None, np.random.RandomState(2)):
        held_out.clear()
        model = small(cls, warm_start=True, early_stopping=True, random_state=random_state)
        for _ in range(3):
            quietly(model.fit, X, y)
        assert len(set(held_out)) == 1
        quietly(model.set_params(warm_start=False).fit, X, y)
        assert (len(set(held_out)) == 1) is (random_state == 1)


@each_class
def test_dropout_that_is_switched_on_in_a_stream_has_a_seed(cls, monkeypatch):
    orders = Orders(monkeypatch)
    X, y = data_for(cls)
    classes = {"classes": [0, 1]} if hasattr(cls, "predict_proba") else {}
    seeds = set()
    for random_state in (1, 2):
        model = small(cls, random_state=random_state).partial_fit(X, y, **classes)
        assert orders.seed == 0
        model.set_params(dropout=0.3).partial_fit(X, y)
        seeds.add(orders.seed)
        first = orders.seed
        model.partial_fit(X, y)
        assert orders.seed == first
    assert 0 not in seeds
    assert len(seeds) == 2


class TestLength:
    """``max_iter`` bounds, ``n_epochs`` plans."""

    @each_class
    @pytest.mark.parametrize("learning_rate", ["one_cycle", "cosine"])
    @pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop"])
    @pytest.mark.parametrize(
        ("parameters", "n_epochs"),
        [
            ({}, None),
            ({"max_iter": 1000}, None),
            ({"max_iter": 3}, 3),
            ({"max_iter": 3, "n_epochs": 5}, 5),
            ({"n_epochs": 1}, 1),
        ],
    )
    def test_of_a_planned_schedule(self, cls, learning_rate, solver, parameters, n_epochs):
        if n_epochs is None:
            # 90 rows are 3 steps of 32: 1,000 steps are 334 epochs. Classifiers of so few rows
            # have no fewest steps.
            planned = min(334, parameters.get("max_iter", 200))
            planned = 20 if cls is MLPWithBatchNormClassifier else planned
            planned = 70 if cls in RECURRENT else planned
            n_epochs = planned if solver == "adam" else 200
        parameters = {"learning_rate": learning_rate, "solver": solver} | parameters
        model = cls(**parameters)
        model._is_plain = False
        assert solvers.n_epochs(model, 90) == n_epochs
        if n_epochs < 10:
            X, y = data_for(cls)
            model = small(cls, **parameters).fit(X, y)
            assert model.n_iter_ == model.n_epochs_ == n_epochs
            assert len(model.loss_curve_) == n_epochs
            # The plan is that long, too: it ends far below where it was highest.
            if n_epochs == 5:
                assert model.learning_rate_curve_[-1] < 0.4 * max(model.learning_rate_curve_)

    @pytest.mark.parametrize("cls", PERCEPTRONS)
    @pytest.mark.parametrize(
        ("n_rows", "parameters", "n_epochs"),
        [
            # 1,000 steps of a table of fewer than 1,000 rows.
            (33, {}, 500),
            (320, {}, 100),
            (321, {}, 91),
            (999, {}, 32),
            (999, {"batch_size": 200}, 200),
            # 2,500 steps of a larger one.
            (1000, {}, 79),
            (1000, {"batch_size": 200}, 500),
            # 20 epochs, even if they are more steps.
            (999, {"batch_size": 10}, 20),
            (16_000, {}, 20),
            (15_872, {}, 21),
            (10**7, {}, 20),
            # max_iter bounds it.
            (33, {"max_iter": 30}, 30),
            (10**7, {"max_iter": 15}, 15),
        ],
    )
    def test_of_so_many_rows(self, cls, n_rows, parameters, n_epochs):
        model = cls(**{"max_iter": 1000} | parameters)
        model._is_plain = False
        if cls is MLPWithBatchNormClassifier and n_rows < 200:
            n_epochs = 20
        assert solvers.n_epochs(model, n_rows) == n_epochs

    @each_class
    def test_of_the_rows_that_are_trained_on(self, cls):
        # 45 of 450 rows are held out: 405 are 13 steps, 450 would be 15.
        X, y = data_for(cls, 450)
        model = quietly(small(cls, max_iter=1000, early_stopping=True).fit, X, y)
        assert model.n_epochs_ == (70 if cls in RECURRENT else 77)

    @each_class
    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_other_schedules_have_max_iter(self, cls, solver):
        X, y = data_for(cls)
        options = {"learning_rate": "constant", "solver": solver, "tol": 0.0, "n_epochs": 5}
        model = quietly(small(cls, max_iter=7, n_iter_no_change=100, **options).fit, X, y)
        assert model.n_iter_ == model.n_epochs_ == 7

    @each_class
    def test_a_fit_that_runs_out_says_after_how_many(self, cls):
        X, y = data_for(cls)
        model = small(cls, learning_rate="constant", tol=0.0, n_epochs=99)
        with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\)"):
            model.fit(X, y)

    @each_class
    @pytest.mark.parametrize("parameters", [{"max_iter": "auto"}, {"n_epochs": 0}])
    def test_wrong_values(self, cls, parameters):
        with pytest.raises(InvalidParameterError, match=next(iter(parameters))):
            small(cls, **parameters).fit(*data_for(cls))


class TestWhatAutoCameTo:
    @each_class
    def test_in_a_fit(self, cls):
        X, y = data_for(cls)
        model = cls(hidden_layer_sizes=(5,), max_iter=2).fit(X, y)
        rate = 0.01 if cls in RECURRENT else 0.03
        assert (model.batch_size_, model.n_epochs_) == (32, 2)
        assert model.learning_rate_init_ == rate
        model.set_params(batch_size=7, learning_rate_init=0.5, learning_rate="constant")
        quietly(model.fit, X, y)
        assert (model.batch_size_, model.n_epochs_, model.learning_rate_init_) == (7, 2, 0.5)

    @each_class
    def test_in_a_stream(self, cls):
        X, y = data_for(cls)
        model = cls(hidden_layer_sizes=(5,))
        classes = {"classes": [0, 1]} if hasattr(cls, "predict_proba") else {}
        model.partial_fit(X[:20], y[:20], **classes)
        assert (model.batch_size_, model.n_epochs_, model.learning_rate_init_) == (20, 1, 0.001)
        # An optimizer keeps the rate it began with.
        model.set_params(learning_rate_init=0.5).partial_fit(X, y)
        assert (model.batch_size_, model.n_epochs_, model.learning_rate_init_) == (32, 1, 0.001)

    @each_class
    def test_not_with_lbfgs(self, cls):
        X, y = data_for(cls)
        model = cls(hidden_layer_sizes=(5,), max_iter=2).fit(X, y)
        quietly(model.set_params(solver="lbfgs", max_grad_norm=None).fit, X, y)
        for name in ("batch_size_", "n_epochs_", "learning_rate_init_"):
            assert not hasattr(model, name)


@each_class
def test_validation_rows_of_a_stream_are_taken_without_a_word(cls):
    X, y = data_for(cls)
    classes = {"classes": [0, 1]} if hasattr(cls, "predict_proba") else {}
    # Warnings are errors.
    model = small(cls).partial_fit(X, y, **classes, X_val=X, y_val=y)
    model.partial_fit(X, y, X_val=X, y_val=y)
    assert len(model.validation_scores_) == 2
    with pytest.warns(UserWarning, match="early_stopping=False"):
        quietly(small(cls, early_stopping=False).fit, X, y, X_val=X, y_val=y)
