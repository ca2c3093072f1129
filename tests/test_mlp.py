"""The multi-layer perceptrons with batch norm as estimators."""

import copy
import inspect
import io
import pickle
import re
import signal
import sys
import threading
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from networks import random_network, random_table
from parameters import COLUMNS_ALONE
from scipy.sparse import csc_array, csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification, make_friedman1
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skbn
from skbn import MLPWithBatchNorm, MLPWithBatchNormClassifier, MLPWithBatchNormRegressor
from skbn.estimators import scoring, solvers
from skbn.kernels.activations import ACTIVATIONS
from skbn.network.network import Network
from skbn.training import epochs
from skbn.training.validation_record import Evaluation

BOTH = [MLPWithBatchNormClassifier, MLPWithBatchNormRegressor]


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, random_state=0)


def data_for(cls, n=60, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 5)) * [1, 10, 100, 1, 1] + [0, 1e3, 0, -5, 1e4]
    score = X[:, 0] + X[:, 1] / 10 - 100
    return X, (score > 0).astype(int) if cls is MLPWithBatchNormClassifier else 1000 * score + 7


def small(cls, **parameters):
    """An estimator that is fitted in a moment and does not warn that it was."""
    parameters = {
        "hidden_layer_sizes": (8,),
        "max_iter": 5,
        "tol": 0.0,
        "batch_size": 16,
        "random_state": 0,
        "n_iter_no_change": 1000,
    } | parameters
    return cls(**parameters)


def quietly(fit, *arguments, **keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit(*arguments, **keywords)


def state(estimator):
    """Everything in an estimator, copied."""
    return copy.deepcopy(vars(estimator))


def assert_same_state(actual, desired):
    assert actual.keys() == desired.keys()
    for name, value in desired.items():
        np.testing.assert_equal(actual[name], value, err_msg=name)


class TestPublicNames:
    def test_short_name(self):
        assert MLPWithBatchNorm is MLPWithBatchNormClassifier
        assert set(skbn.__all__) <= set(dir(skbn))

    def test_regressor_takes_the_loss_first(self):
        assert MLPWithBatchNormRegressor("squared_error", (5,)).hidden_layer_sizes == (5,)

    @pytest.mark.parametrize("cls", BOTH)
    def test_docstring_names_every_parameter(self, cls):
        assert "{shared}" not in cls.__doc__
        section = re.search(
            r"Parameters\n-+\n(.*?)\nAttributes\n-+", inspect.getdoc(cls), re.DOTALL
        )[1]
        headings = re.findall(r"^(\w+(?:, \w+)*) : ", section, re.MULTILINE)
        documented = [name for heading in headings for name in heading.split(", ")]
        assert sorted(documented) == sorted(cls().get_params())


class TestScores:
    # Rates at which each solver trains without batch norm, too: at 0.01 RMSProp, whose momentum
    # makes its steps ten times as long, does by luck alone.
    @pytest.mark.parametrize("batch_norm", ["before", "after", None])
    @pytest.mark.parametrize(("solver", "rate"), [("adam", 0.01), ("sgd", 0.03), ("rmsprop", 1e-3)])
    def test_digits(self, digits, batch_norm, solver, rate):
        X_train, X_test, y_train, y_test = digits
        clf = MLPWithBatchNormClassifier(
            batch_norm=batch_norm,
            solver=solver,
            learning_rate_init=rate,
            max_iter=30,
            random_state=0,
        )
        assert quietly(clf.fit, X_train, y_train).score(X_test, y_test) > 0.95

    @pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
    def test_activations(self, digits, activation):
        X_train, X_test, y_train, y_test = digits
        clf = MLPWithBatchNormClassifier(activation=activation, max_iter=15, random_state=0)
        assert quietly(clf.fit, X_train, y_train).score(X_test, y_test) > 0.93

    def test_string_labels(self, digits):
        X_train, X_test, y_train, y_test = digits
        names = np.array([f"digit {number}" for number in range(10)])
        clf = small(MLPWithBatchNormClassifier, max_iter=20, hidden_layer_sizes=(50,))
        quietly(clf.fit, X_train, names[y_train])
        assert set(clf.predict(X_test)) <= set(names)
        assert clf.score(X_test, names[y_test]) > 0.9
        np.testing.assert_array_equal(clf.classes_, np.sort(names))

    def test_binary(self):
        X, y = make_classification(400, random_state=0)
        labels = np.array(["no", "yes"])[y]
        clf = small(MLPWithBatchNormClassifier, max_iter=50, learning_rate_init=0.003)
        quietly(clf.fit, X[:300], labels[:300])
        assert clf.score(X[300:], labels[300:]) > 0.75
        assert clf.n_outputs_ == 1
        assert clf.out_activation_ == "logistic"

    def test_multilabel(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((300, 4))
        y = (X[:, :3] > 0).astype(int)
        clf = small(MLPWithBatchNormClassifier, max_iter=100)
        quietly(clf.fit, X, y)
        assert clf.predict(X).shape == (300, 3)
        assert clf.score(X, y) > 0.8
        assert (clf.predict_proba(X) <= 1).all()

    def test_regression(self):
        X, y = make_friedman1(1000, random_state=0)
        X_train, X_test, y_train, y_test = train_test_split(X, 1e3 * y, random_state=0)
        reg = MLPWithBatchNormRegressor(learning_rate_init=0.01, max_iter=30, random_state=0)
        assert quietly(reg.fit, X_train, y_train).score(X_test, y_test) > 0.9
        assert reg.predict(X_test).shape == y_test.shape

    def test_several_outputs(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((400, 4))
        y = np.column_stack([X[:, 0] * 1e4, X[:, 1] - X[:, 2] + 50, np.full(400, 3.0)])
        reg = small(MLPWithBatchNormRegressor, max_iter=100, hidden_layer_sizes=(30,))
        quietly(reg.fit, X, y)
        prediction = reg.predict(X)
        assert prediction.shape == (400, 3)
        assert ((prediction - y)[:, 0].std() / y[:, 0].std()) < 0.15
        assert ((prediction - y)[:, 1].std() / y[:, 1].std()) < 0.15
        np.testing.assert_allclose(prediction[:, 2], 3.0, atol=0.3)

    def test_no_hidden_layer(self, digits):
        X_train, X_test, y_train, y_test = digits
        clf = MLPWithBatchNormClassifier((), max_iter=20, learning_rate_init=0.01, random_state=0)
        assert quietly(clf.fit, X_train, y_train).score(X_test, y_test) > 0.9


class TestNormalizedInput:
    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_is_standard_scaler_in_front(self, cls, dtype):
        X, y = data_for(cls)
        X = X.astype(dtype)
        inside = small(cls, dtype="float64", normalize_input="standard")
        quietly(inside.fit, X, y)
        scaler = StandardScaler().fit(X.astype(np.float64))
        outside = small(cls, dtype="float64", normalize_input=None)
        quietly(outside.fit, scaler.transform(X.astype(np.float64)), y)
        np.testing.assert_allclose(inside.input_mean_, scaler.mean_, rtol=1e-12)
        np.testing.assert_allclose(inside.input_var_, scaler.var_, rtol=1e-10)
        for own, other in zip(inside.coefs_, outside.coefs_, strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-7, atol=1e-9)

    def test_nothing_is_lost_to_a_large_offset(self):
        X, y = data_for(MLPWithBatchNormClassifier, n=200)
        X = X.astype(np.float32)
        moved = (X.astype(np.float64) + 2.0**26).astype(np.float64)
        near = quietly(small(MLPWithBatchNormClassifier).fit, X.astype(np.float64), y)
        far = quietly(small(MLPWithBatchNormClassifier).fit, moved, y)
        np.testing.assert_allclose(
            far.predict_proba(moved), near.predict_proba(X.astype(np.float64)), atol=1e-5
        )

    def test_constant_columns_are_centered_only(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        X[:, 2] = 1e6
        clf = quietly(small(MLPWithBatchNormClassifier, normalize_input="smooth_clip").fit, X, y)
        unseen = X.copy()
        unseen[:, 2] += 1.0
        assert np.isfinite(clf.predict_proba(unseen)).all()
        assert clf.input_var_[2] == 0

    def test_partial_fit_merges_the_moments(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = small(MLPWithBatchNormClassifier, batch_size="auto")
        for start in range(0, 60, 7):
            clf.partial_fit(X[start : start + 7], y[start : start + 7], classes=[0, 1])
        np.testing.assert_allclose(clf.input_mean_, X.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(clf.input_var_, X.var(axis=0), rtol=1e-10)

    def test_off(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier, normalize_input=None).fit, X, y)
        assert not hasattr(clf, "input_mean_")

    @pytest.mark.parametrize("layout", ["F", "strided", "read-only", "int", "list", "frame"])
    def test_layouts(self, layout):
        X, y = data_for(MLPWithBatchNormClassifier)
        X = np.round(X)
        expected = quietly(small(MLPWithBatchNormClassifier).fit, X, y).predict_proba(X)
        if layout == "strided":
            wide = np.zeros((120, 10))
            wide[::2, ::2] = X
            given = wide[::2, ::2]
        elif layout == "read-only":
            given = X.copy()
            given.flags.writeable = False
        else:
            given = {
                "F": np.asfortranarray,
                "int": lambda X: X.astype(np.int64),
                "list": np.ndarray.tolist,
                "frame": lambda X: pd.DataFrame(X, columns=list("abcde")),
            }[layout](X)
        clf = quietly(small(MLPWithBatchNormClassifier).fit, given, y)
        np.testing.assert_array_equal(clf.predict_proba(given), expected)
        assert hasattr(clf, "feature_names_in_") == (layout == "frame")


class TestNormalizedTarget:
    def test_predictions_are_in_the_unit_of_the_target(self):
        X, y = data_for(MLPWithBatchNormRegressor)
        near = quietly(small(MLPWithBatchNormRegressor, dtype="float64").fit, X, y)
        far = quietly(small(MLPWithBatchNormRegressor, dtype="float64").fit, X, 1e6 * y + 1e9)
        np.testing.assert_allclose(far.predict(X), 1e6 * near.predict(X) + 1e9, rtol=1e-9)
        np.testing.assert_allclose(far.loss_curve_, near.loss_curve_, rtol=1e-6)

    def test_partial_fit_keeps_predictions_when_the_moments_move(self):
        X, y = data_for(MLPWithBatchNormRegressor)
        reg = small(
            MLPWithBatchNormRegressor,
            dtype="float64",
            solver="sgd",
            batch_size="auto",
            normalize_input=None,
        )
        reg.partial_fit(X[:20], y[:20])
        before = reg.predict(X)
        # A learning rate of nothing, and a row too few for statistics: only the moments of the
        # target change.
        reg._learning_rate = 0.0
        reg._moments = np.zeros_like(reg._moments)
        reg.partial_fit(X[20:21], 1e3 * y[20:21])
        np.testing.assert_allclose(reg.predict(X), before, rtol=1e-9)
        assert reg._target_moments[2][0] == 21

    def test_a_trained_network_keeps_its_normalization(self):
        X, y = data_for(MLPWithBatchNormRegressor)
        reg = small(MLPWithBatchNormRegressor, batch_size="auto").partial_fit(X, y)
        same = copy.deepcopy(reg).partial_fit(X, y)
        other = reg.set_params(normalize_target=False, normalize_input=None).partial_fit(X, y)
        np.testing.assert_array_equal(other.predict(X), same.predict(X))

    def test_off(self):
        X, y = data_for(MLPWithBatchNormRegressor)
        reg = small(MLPWithBatchNormRegressor, normalize_target=False)
        quietly(reg.fit, X, y / 1e5)
        assert reg._target_moments is None


class TestStatistics:
    @pytest.mark.parametrize("cls", BOTH)
    def test_exact_at_the_end_of_fit(self, cls):
        X, y = data_for(cls)
        estimator = small(cls, dtype="float64", normalize_input="standard", **COLUMNS_ALONE)
        quietly(estimator.fit, X, y)
        z = (X - estimator.input_mean_) / np.sqrt(estimator.input_var_) @ estimator.coefs_[0]
        np.testing.assert_allclose(estimator.running_means_[0], z.mean(axis=0), atol=1e-10)
        np.testing.assert_allclose(estimator.running_vars_[0], z.var(axis=0), rtol=1e-9)

    def test_partial_fit_keeps_the_running_averages(self):
        X, y = data_for(MLPWithBatchNormClassifier, n=32)
        clf = small(MLPWithBatchNormClassifier, shuffle=False, dtype="float64", solver="sgd")
        clf.set_params(learning_rate_init=1e-12, normalize_input="standard")
        clf.partial_fit(X, y, classes=[0, 1])
        z = (X - clf.input_mean_) / np.sqrt(clf.input_var_) @ clf.coefs_[0]
        expected = 0.9 * z[:16].mean(axis=0) + 0.1 * z[16:].mean(axis=0)
        np.testing.assert_allclose(clf.running_means_[0], expected, atol=1e-8)

    def test_shapes(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = small(MLPWithBatchNormClassifier, hidden_layer_sizes=(8, 6))
        quietly(clf.fit, X, y)
        for name in ("gammas_", "betas_", "running_means_", "running_vars_"):
            assert [array.shape for array in getattr(clf, name)] == [(8,), (6,)]
        # The embedding makes four inputs of each column.
        assert [array.shape for array in clf.coefs_] == [(20, 8), (8, 6), (6, 1)]
        assert [array.shape for array in clf.intercepts_] == [(8,), (6,), (1,)]
        assert clf.running_vars_[0].dtype == np.float64
        assert clf.coefs_[0].dtype == np.float32

    def test_gamma_and_beta_are_trained_and_hidden_intercepts_are_not_there(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier).fit, X, y)
        assert (clf.gammas_[0] != 1).all()
        assert (clf.betas_[0] != 0).any()
        np.testing.assert_array_equal(clf.intercepts_[0], 0)
        after = quietly(small(MLPWithBatchNormClassifier, batch_norm="after").fit, X, y)
        assert (after.intercepts_[0] != 0).all()

    def test_none(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier, batch_norm=None).fit, X, y)
        assert clf.gammas_ == clf.betas_ == clf.running_means_ == clf.running_vars_ == []


class TestSampleWeight:
    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("batch_norm", ["before", "after", None])
    def test_two_is_the_row_twice_in_one_batch(self, cls, batch_norm):
        X, y = data_for(cls)
        weight = np.random.default_rng(1).integers(0, 4, 60)
        options = {"batch_size": 1000, "shuffle": False, "dtype": "float64"}
        with pytest.warns(UserWarning, match="clipped"):
            weighted = quietly(
                small(cls, batch_norm=batch_norm, **options).fit, X, y, sample_weight=weight
            )
        rows = np.repeat(np.arange(60), weight)
        with pytest.warns(UserWarning, match="clipped"):
            repeated = quietly(small(cls, batch_norm=batch_norm, **options).fit, X[rows], y[rows])
        np.testing.assert_allclose(
            weighted.predict(X).astype(float), repeated.predict(X).astype(float), rtol=1e-7
        )
        np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)

    def test_rows_of_no_weight_are_gone_before_anything_is_drawn(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        weight = np.ones(60)
        weight[::3] = 0
        X[::3] = 1e9
        weighted = quietly(small(MLPWithBatchNormClassifier).fit, X, y, sample_weight=weight)
        removed = quietly(small(MLPWithBatchNormClassifier).fit, X[weight > 0], y[weight > 0])
        np.testing.assert_allclose(
            weighted.predict_proba(X[weight > 0]), removed.predict_proba(X[weight > 0]), atol=1e-5
        )

    def test_weights_that_sum_to_one(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        one = quietly(
            small(MLPWithBatchNormClassifier, alpha=0, dtype="float64").fit,
            X,
            y,
            sample_weight=np.full(60, 1 / 60),
        )
        none = quietly(small(MLPWithBatchNormClassifier, alpha=0, dtype="float64").fit, X, y)
        np.testing.assert_array_equal(one.input_center_, none.input_center_)
        np.testing.assert_array_equal(one.input_spread_, none.input_spread_)
        np.testing.assert_allclose(one.predict_proba(X), none.predict_proba(X), atol=1e-8)

    def test_negative_and_all_zero_weights_are_refused(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        with pytest.raises(ValueError, match="Negative"):
            small(MLPWithBatchNormClassifier).fit(X, y, sample_weight=-np.ones(60))
        with pytest.raises(ValueError, match=r"0 sample|zero"):
            small(MLPWithBatchNormClassifier).fit(X, y, sample_weight=np.zeros(60))


class TestPartialFit:
    @pytest.mark.parametrize("cls", BOTH)
    def test_learns(self, cls):
        X, y = data_for(cls, n=300)
        estimator = small(cls, learning_rate_init=0.01)
        options = {"classes": [0, 1]} if cls is MLPWithBatchNormClassifier else {}
        for _ in range(30):
            for start in range(0, 300, 100):
                estimator.partial_fit(X[start : start + 100], y[start : start + 100], **options)
        assert estimator.score(X, y) > 0.9
        assert estimator.t_ == 9000
        assert len(estimator.loss_curve_) == 90

    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("batch_norm", ["before", "after", None])
    def test_one_row(self, cls, batch_norm):
        X, y = data_for(cls)
        estimator = small(cls, batch_norm=batch_norm, batch_size="auto")
        options = {"classes": [0, 1]} if cls is MLPWithBatchNormClassifier else {}
        for row in range(20):
            estimator.partial_fit(X[row : row + 1], y[row : row + 1], **options)
        assert np.isfinite(estimator.predict(X)).all()
        if batch_norm is not None:
            np.testing.assert_array_equal(estimator.running_means_[0], 0)
            np.testing.assert_array_equal(estimator.running_vars_[0], 1)

    def test_classes_are_needed_first_and_unseen_ones_refused(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = small(MLPWithBatchNormClassifier)
        with pytest.raises(ValueError, match="classes must be passed on the first call"):
            clf.partial_fit(X, y)
        clf.partial_fit(X, y, classes=[0, 1])
        before = state(clf)
        with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`"):
            clf.partial_fit(X, y + 1)
        assert_same_state(vars(clf), before)

    def test_goes_on_where_fit_ended(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier).fit, X, y)
        steps = clf._optimizer["step"][0]
        clf.partial_fit(X, y)
        assert clf._optimizer["step"][0] == steps + 4


class TestTraining:
    @pytest.mark.parametrize("cls", BOTH)
    def test_same_bits_for_one_random_state(self, cls):
        X, y = data_for(cls)
        first = quietly(small(cls).fit, X, y)
        second = quietly(small(cls).fit, X, y)
        other = quietly(small(cls, random_state=1).fit, X, y)
        np.testing.assert_array_equal(first._parameters, second._parameters)
        np.testing.assert_array_equal(first._statistics, second._statistics)
        assert (first._parameters != other._parameters).any()

    def test_warm_start(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = small(MLPWithBatchNormClassifier, warm_start=True)
        quietly(clf.fit, X, y)
        loss = clf.loss_
        quietly(clf.fit, X, y)
        assert len(clf.loss_curve_) == 10
        assert clf.n_iter_ == 5
        assert clf.loss_ < loss
        with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same"):
            clf.fit(X, y + 1)

    def test_convergence(self, capsys):
        X, y = data_for(MLPWithBatchNormClassifier)
        with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(5\) reached"):
            small(MLPWithBatchNormClassifier, verbose=True, learning_rate="constant").fit(X, y)
        out = capsys.readouterr().out.splitlines()
        assert len(out) == 5
        assert out[0].startswith("Iteration 1, loss = 0.")
        clf = small(
            MLPWithBatchNormClassifier,
            tol=10.0,
            n_iter_no_change=2,
            max_iter=50,
            verbose=True,
            learning_rate="constant",
        )
        clf.fit(X, y)
        assert clf.n_iter_ == 4
        assert "Stopping." in capsys.readouterr().out

    def test_a_plan_tells_how_many_epochs_it_has(self, capsys):
        X, y = data_for(MLPWithBatchNormClassifier)
        small(MLPWithBatchNormClassifier, verbose=True).fit(X, y)
        out = capsys.readouterr().out.splitlines()
        assert len(out) == 5
        assert out[0].startswith("Iteration 1 of 5, loss = 0.")

    @pytest.mark.parametrize(
        ("parameters", "epochs", "rate"),
        [
            # A classifier of few rows.
            ({}, 20, 0.03),
            ({"batch_size": 4}, 20, 0.03),
            ({"batch_size": 4, "learning_rate": "cosine"}, 20, 0.03),
            ({"batch_size": 1, "batch_norm": None}, 20, 0.03),
            ({"learning_rate": "constant"}, 200, 0.001),
            ({"solver": "sgd"}, 200, 0.001),
            ({"solver": "rmsprop"}, 200, 0.001),
            ({"max_iter": 3, "learning_rate_init": 0.5}, 3, 0.5),
        ],
    )
    def test_auto(self, parameters, epochs, rate):
        X, y = data_for(MLPWithBatchNormClassifier, n=64)
        clf = MLPWithBatchNormClassifier((4,), tol=0.0, n_iter_no_change=1000, **parameters)
        quietly(clf.fit, X, y)
        assert clf.n_iter_ == epochs
        assert max(clf.learning_rate_curve_) == pytest.approx(rate, rel=0.3)
        clf.partial_fit(X, y)
        given = parameters.get("learning_rate_init")
        assert clf.learning_rate_curve_[-1] == (0.001 if given is None else given)

    def test_auto_of_lbfgs(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = MLPWithBatchNormClassifier((4,), solver="lbfgs", tol=0.0, batch_norm=None)
        quietly(clf.fit, X, y)
        assert 25 < clf.n_iter_ <= 200

    @pytest.mark.parametrize(
        ("n", "expected"), [(20, 20), (700, 32), (3000, 64), (7000, 128), (50_000, 128)]
    )
    def test_auto_batches(self, n, expected):
        clf = MLPWithBatchNormClassifier()
        clf._is_plain = False
        assert solvers.rows_per_step(clf, n) == expected
        clf._is_plain = True
        assert solvers.rows_per_step(clf, n) == min(n, 200)

    def test_ctrl_c(self, monkeypatch):
        X, y = data_for(MLPWithBatchNormClassifier)
        calls = []
        original = Network.train

        def interrupted(self, *arguments):
            calls.append(1)
            if len(calls) == 4:
                raise KeyboardInterrupt
            return original(self, *arguments)

        monkeypatch.setattr(Network, "train", interrupted)
        # A planned schedule of three epochs would not be the beginning of one of five.
        parameters = {"dtype": "float64", "learning_rate": "constant"}
        clf = small(MLPWithBatchNormClassifier, **parameters)
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            clf.fit(X, y)
        assert clf.n_iter_ == 3
        # A whole model, exact statistics included.
        monkeypatch.undo()
        three = quietly(small(MLPWithBatchNormClassifier, **parameters, max_iter=3).fit, X, y)
        np.testing.assert_array_equal(clf.predict_proba(X), three.predict_proba(X))

    def test_ctrl_c_right_after_a_block_keeps_count_and_statistics_together(self, monkeypatch):
        X, y = data_for(MLPWithBatchNormClassifier)
        original = Network.train

        def interrupted(self, *arguments):
            original(self, *arguments)
            raise KeyboardInterrupt

        monkeypatch.setattr(Network, "train", interrupted)
        clf = small(MLPWithBatchNormClassifier)
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            clf.fit(X, y)
        assert clf._n_batches_tracked == 4
        assert clf.loss_curve_ == []
        assert not hasattr(clf, "loss_")
        assert np.isfinite(clf.predict_proba(X)).all()

    def test_a_signal(self):
        # A real one, while blocks run. A shell's background jobs ignore it by default.
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.signalled()
        finally:
            signal.signal(signal.SIGINT, previous)

    def signalled(self):
        X, y = data_for(MLPWithBatchNormClassifier, n=2000)
        clf = small(MLPWithBatchNormClassifier, n_epochs=10**6)
        timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
        timer.start()
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            clf.fit(X, y)
        timer.join()
        assert clf.score(X, y) > 0.5

    def test_ctrl_c_in_the_exact_statistics_leaves_the_running_averages(self, monkeypatch):
        X, y = data_for(MLPWithBatchNormClassifier)

        def interrupted(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr(epochs, "set_exact_statistics", interrupted)
        clf = small(MLPWithBatchNormClassifier)
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            clf.fit(X, y)
        assert clf.n_iter_ == 5
        assert np.isfinite(clf.predict_proba(X)).all()

    def test_second_ctrl_c_leaves_the_estimator_as_it_was(self, monkeypatch):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier).fit, X, y)
        before = state(clf)

        def interrupted(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr(epochs, "set_exact_statistics", interrupted)
        monkeypatch.setattr(Network, "train", interrupted)
        with (
            pytest.warns(UserWarning, match="Training interrupted by user"),
            pytest.raises(KeyboardInterrupt),
        ):
            clf.fit(X[:40], y[:40])
        assert_same_state(vars(clf), before)


class TestBadInput:
    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"batch_norm": "both"}, "batch_norm"),
            ({"bn_momentum": 0.0}, "bn_momentum"),
            ({"bn_momentum": 1.5}, "bn_momentum"),
            ({"bn_epsilon": 0.0}, "bn_epsilon"),
            ({"normalize_input": "minmax"}, "normalize_input"),
            ({"dtype": "float16"}, "dtype"),
            ({"solver": "newton"}, "solver"),
            ({"activation": "softplus"}, "activation"),
            ({"learning_rate_init": -1}, "learning_rate_init"),
            ({"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes must be > 0"),
            ({"batch_size": 1}, "batch_size=1 leaves batch norm no variance"),
        ],
    )
    @pytest.mark.parametrize("cls", BOTH)
    def test_parameters(self, cls, parameters, message):
        X, y = data_for(cls)
        with pytest.raises(ValueError, match=message):
            small(cls, **parameters).fit(X, y)

    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_not_finite(self, cls, bad):
        X, y = data_for(cls)
        X[3, 2] = bad
        with pytest.raises(ValueError, match="Input X contains"):
            small(cls).fit(X, y)

    @pytest.mark.parametrize("cls", BOTH)
    def test_too_few_rows(self, cls):
        X, y = data_for(cls)
        with pytest.raises(ValueError, match=r"1 sample\(s\).*a minimum of 2 is required"):
            small(cls).fit(X[:1], y[:1])
        with pytest.raises(ValueError, match=r"1 sample\(s\).*of positive weight"):
            small(cls).fit(X[:9], y[:9], sample_weight=[0] * 8 + [1])

    @pytest.mark.parametrize("cls", BOTH)
    def test_not_fitted(self, cls):
        with pytest.raises(NotFittedError):
            cls().predict(np.zeros((2, 3)))
        assert not hasattr(cls(), "coefs_")

    def test_number_of_features(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier).fit, X, y)
        with pytest.raises(ValueError, match=r"X has 4 features, but .* is expecting 5"):
            clf.predict(X[:, :4])

    def test_continuous_target_in_the_classifier(self):
        X, y = data_for(MLPWithBatchNormRegressor)
        with pytest.raises(ValueError, match=r"Unknown label type.*MLPWithBatchNormRegressor"):
            small(MLPWithBatchNormClassifier).fit(X, y)

    def test_another_number_of_outputs(self):
        X, y = data_for(MLPWithBatchNormRegressor)
        reg = small(MLPWithBatchNormRegressor).partial_fit(X, y)
        with pytest.raises(ValueError, match=r"y has 2 output\(s\)"):
            reg.partial_fit(X, np.column_stack([y, y]))

    @pytest.mark.parametrize("cls", BOTH)
    def test_a_loss_that_is_not_finite(self, cls):
        X, y = data_for(cls)
        estimator = small(
            cls, normalize_input=None, batch_norm=None, learning_rate_init=1e30, solver="sgd"
        )
        with pytest.raises(ValueError, match=r"non-finite parameter weights.*learning_rate_init"):
            estimator.fit(X, y)
        assert not estimator.__sklearn_is_fitted__()

    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    def test_a_failed_call_changes_nothing(self, cls, method):
        X, y = data_for(cls)
        estimator = small(cls, normalize_input=None)
        quietly(estimator.fit, pd.DataFrame(X, columns=list("abcde")), y)
        before = state(estimator)
        for X_wrong, y_wrong in (
            (np.full_like(X, np.nan), y),
            (X, y[:10]),
            (X[:, :0], y),
            # Infinity in float32, noticed only in training.
            (np.where(np.arange(60)[:, None] == 50, 1e300, X), y),
        ):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with pytest.raises(ValueError, match=r"NaN|inconsistent|0 feature|not finite"):
                    getattr(estimator, method)(X_wrong, y_wrong)
            assert_same_state(vars(estimator), before)

    def test_targets_of_another_layout(self):
        X, _ = data_for(MLPWithBatchNormClassifier)
        labels = (X[:, :3] > np.median(X[:, :3], axis=0)).astype(int)
        classes = labels.argmax(axis=1)
        options = {"batch_size": "auto", "warm_start": True}
        several = small(MLPWithBatchNormClassifier, **options)
        several.partial_fit(X, labels, classes=[0, 1, 2])
        one = small(MLPWithBatchNormClassifier, **options)
        one.partial_fit(X, classes, classes=[0, 1, 2])
        for fitted, wrong in ((several, labels[:, :2]), (several, classes), (one, labels)):
            for method in (fitted.partial_fit, fitted.fit):
                with pytest.raises(ValueError, match=r"does not fit the targets|same classes"):
                    method(X, wrong)

    def test_a_refit_forgets_the_normalization_before(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier).fit, X, y)
        wide = np.hstack([X, X, X])
        quietly(clf.set_params(normalize_input=None).fit, wide, y)
        assert not hasattr(clf, "input_mean_")
        fresh = quietly(small(MLPWithBatchNormClassifier, normalize_input=None).fit, wide, y)
        np.testing.assert_array_equal(clf.predict_proba(wide), fresh.predict_proba(wide))

    @pytest.mark.parametrize("sizes", [(3.5,), ("a",), [[3], 2]])
    def test_hidden_layer_sizes_must_be_integers(self, sizes):
        X, y = data_for(MLPWithBatchNormClassifier)
        with pytest.raises(ValueError, match="hidden_layer_sizes"):
            small(MLPWithBatchNormClassifier, hidden_layer_sizes=sizes).fit(X, y)


class TestAtHome:
    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize(
        "copied",
        [
            lambda estimator: pickle.loads(pickle.dumps(estimator)),
            copy.deepcopy,
            copy.copy,
        ],
        ids=["pickle", "deepcopy", "copy"],
    )
    def test_copies_predict_and_go_on(self, cls, copied):
        X, y = data_for(cls)
        estimator = quietly(small(cls).fit, X, y)
        twin = copied(estimator)
        np.testing.assert_array_equal(twin.predict(X), estimator.predict(X))
        estimator.partial_fit(X, y)
        twin.partial_fit(X, y)
        np.testing.assert_array_equal(twin.predict(X), estimator.predict(X))
        assert np.shares_memory(twin.coefs_[0], twin._parameters)

    @pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
    def test_frames_with_names(self, frame):
        X, y = data_for(MLPWithBatchNormClassifier)
        table = frame({name: X[:, j] for j, name in enumerate("abcde")})
        clf = quietly(small(MLPWithBatchNormClassifier).fit, table, y)
        if not hasattr(quietly(MLPClassifier(max_iter=1).fit, table, y), "feature_names_in_"):
            pytest.skip("this scikit-learn does not see the names of this version's frames")
        np.testing.assert_array_equal(clf.feature_names_in_, list("abcde"))
        same = quietly(small(MLPWithBatchNormClassifier).fit, X, y)
        np.testing.assert_array_equal(clf.predict_proba(table), same.predict_proba(X))
        with pytest.raises(ValueError, match="feature names"):
            clf.predict(table[["b", "a", "c", "d", "e"]])

    def test_joblib(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier).fit, X, y)
        file = io.BytesIO()
        joblib.dump(clf, file)
        file.seek(0)
        np.testing.assert_array_equal(joblib.load(file).predict_proba(X), clf.predict_proba(X))

    def test_views_write_to_the_network(self):
        X, y = data_for(MLPWithBatchNormRegressor)
        reg = quietly(small(MLPWithBatchNormRegressor, normalize_target=False).fit, X, y / 1e5)
        reg.coefs_[-1][:] = 0
        reg.intercepts_[-1][:] = 3
        np.testing.assert_array_equal(reg.predict(X), 3)

    @pytest.mark.parametrize("cls", BOTH)
    def test_clone(self, cls):
        X, y = data_for(cls)
        estimator = quietly(small(cls, bn_momentum=0.3).fit, X, y)
        fresh = clone(estimator)
        assert fresh.get_params() == estimator.get_params()
        assert not fresh.__sklearn_is_fitted__()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("network_dtype", ["float32", "float64", None])
    def test_dtypes(self, dtype, network_dtype):
        X, y = data_for(MLPWithBatchNormClassifier)
        X = X.astype(dtype)
        clf = quietly(small(MLPWithBatchNormClassifier, dtype=network_dtype).fit, X, y)
        assert clf.coefs_[0].dtype == (dtype if network_dtype is None else network_dtype)
        # Predictions of float32 rows by a network of float64 are float64, as upstream's.
        assert clf.predict_proba(X).dtype == np.result_type(
            dtype, clf.coefs_[0].dtype if network_dtype != "float32" else dtype
        )
        np.testing.assert_allclose(clf.predict_proba(X).sum(axis=1), 1, rtol=1e-6)

    def test_log_proba(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier).fit, X, y)
        np.testing.assert_allclose(clf.predict_log_proba(X), np.log(clf.predict_proba(X)))

    def test_probabilities_agree_with_classes(self, digits):
        X_train, X_test, y_train, _ = digits
        clf = quietly(small(MLPWithBatchNormClassifier).fit, X_train, y_train)
        np.testing.assert_array_equal(
            clf.classes_[clf.predict_proba(X_test).argmax(axis=1)], clf.predict(X_test)
        )

    def test_cross_validation_in_a_pipeline(self, digits):
        X_train, _, y_train, _ = digits
        pipeline = make_pipeline(
            StandardScaler(), small(MLPWithBatchNormClassifier, hidden_layer_sizes=(40,))
        )
        scores = quietly(cross_val_score, pipeline, X_train, y_train, cv=3)
        assert (scores > 0.8).all()

    def test_grid_search_over_learning_rates(self, digits):
        X_train, X_test, y_train, y_test = digits
        search = GridSearchCV(
            small(MLPWithBatchNormClassifier, hidden_layer_sizes=(40,), solver="sgd"),
            {"learning_rate_init": [1e-5, 1e-1], "batch_norm": ["before", None]},
            cv=3,
            n_jobs=2,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search.fit(X_train, y_train)
        assert search.best_params_["learning_rate_init"] == 1e-1
        assert search.score(X_test, y_test) > 0.9


class TestWarningsNameTheCallersLine:
    """A warning tells where the user's call stands, not a line of ours."""

    def raised(self, category, match, call, *arguments, **keywords):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call(*arguments, **keywords)
        ours = [w for w in caught if issubclass(w.category, category) and match in str(w.message)]
        assert len(ours) == 1, [str(w.message) for w in caught]
        return ours[0].filename

    @pytest.mark.parametrize("cls", BOTH)
    def test_not_converged(self, cls):
        X, y = data_for(cls)
        fit = small(cls, learning_rate="constant").fit
        assert self.raised(ConvergenceWarning, "Maximum iterations", fit, X, y) == __file__

    @pytest.mark.parametrize("cls", BOTH)
    def test_batches_clipped(self, cls):
        X, y = data_for(cls)
        fit = small(cls, batch_size=1000).fit
        assert self.raised(UserWarning, "clipped", fit, X, y) == __file__

    @pytest.mark.parametrize("cls", BOTH)
    def test_validation_rows_recorded(self, cls):
        X, y = data_for(cls)
        fit = small(cls, early_stopping=False).fit
        name = self.raised(UserWarning, "early_stopping=False", fit, X, y, X_val=X, y_val=y)
        assert name == __file__

    def test_best_epoch_restored(self):
        X, y = make_friedman1(100, random_state=0)
        reg = MLPWithBatchNormRegressor(
            batch_norm=None,
            normalize_input=None,
            normalize_target=False,
            activation="identity",
            solver="sgd",
            hidden_layer_sizes=(100,),
            batch_size=90,
            learning_rate="constant",
            learning_rate_init=0.05,
            early_stopping=True,
            random_state=0,
        )
        X = X * 100
        name = self.raised(ConvergenceWarning, "The best epoch before", reg.fit, X, y)
        assert name == __file__

    @pytest.mark.parametrize("where", ["train", "statistics"])
    def test_interrupted(self, where, monkeypatch):
        X, y = data_for(MLPWithBatchNormClassifier)

        def interrupted(*arguments):
            raise KeyboardInterrupt

        if where == "train":
            monkeypatch.setattr(Network, "train", interrupted)
        else:
            monkeypatch.setattr(epochs, "set_exact_statistics", interrupted)
        fit = small(MLPWithBatchNormClassifier).fit
        assert self.raised(UserWarning, "Training interrupted", fit, X, y) == __file__

    def test_validation_rows_without_epochs(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        fit = small(MLPWithBatchNormClassifier, solver="lbfgs", max_iter=200, tol=1.0).fit
        name = self.raised(UserWarning, "has no epochs", fit, X, y, X_val=X, y_val=y)
        assert name == __file__

    def test_lbfgs_interrupted(self, monkeypatch):
        X, y = data_for(MLPWithBatchNormClassifier)
        original, calls = Network.loss_and_gradient, []

        def interrupted(*arguments, **keywords):
            calls.append(1)
            if len(calls) == 4:
                raise KeyboardInterrupt
            return original(*arguments, **keywords)

        monkeypatch.setattr(Network, "loss_and_gradient", interrupted)
        clf = small(MLPWithBatchNormClassifier, solver="lbfgs", max_iter=100)
        assert self.raised(UserWarning, "Training interrupted", clf.fit, X, y) == __file__
        assert 1 <= clf.n_iter_ <= 3
        assert clf.score(X, y) > 0.5


class TestMemory:
    """What a user hands over, or has changed, never makes a kernel leave its memory."""

    @pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16])
    def test_small_integers_as_sizes(self, dtype):
        X, y = data_for(MLPWithBatchNormClassifier)
        sizes = (120, 100) if dtype != np.int16 else (300, 200)
        clf = quietly(
            small(MLPWithBatchNormClassifier, hidden_layer_sizes=np.array(sizes, dtype)).fit, X, y
        )
        same = quietly(small(MLPWithBatchNormClassifier, hidden_layer_sizes=sizes).fit, X, y)
        np.testing.assert_array_equal(clf._parameters, same._parameters)

    @pytest.mark.parametrize("name", ["_parameters", "_statistics"])
    def test_a_damaged_state_is_refused(self, name):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier).fit, X, y)
        setattr(clf, name, getattr(clf, name)[:4].copy())
        with pytest.raises(ValueError, match="for a plan of"):
            clf.predict(X)
        with pytest.raises(ValueError, match="for a plan of"):
            clf.partial_fit(X, y)

    @pytest.mark.parametrize(
        ("normalize_input", "name"),
        [
            ("standard", "input_mean_"),
            ("smooth_clip", "input_var_"),
            ("robust", "input_center_"),
            ("robust", "input_spread_"),
        ],
    )
    @pytest.mark.parametrize("damage", ["short", "none", "gone"])
    def test_damaged_input_moments_are_refused(self, normalize_input, name, damage):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = small(MLPWithBatchNormClassifier, normalize_input=normalize_input)
        quietly(clf.fit, X, y)
        if damage == "gone":
            delattr(clf, name)
        else:
            setattr(clf, name, None if damage == "none" else getattr(clf, name)[:3].copy())
        with pytest.raises(ValueError, match="damaged: input_"):
            clf.predict(X)

    def test_one_of_the_input_moments_is_none(self):
        network = random_network([4, 6, 2], "tanh", "before", "squared_error")
        table = random_table(20, [4, 6, 2], "squared_error")
        table.input_invstd = None
        with pytest.raises(ValueError, match="belong together"):
            network.infer(table)
        with pytest.raises(ValueError, match="belong together"):
            network.loss_and_gradient(table)

    def test_damaged_moments_are_refused(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier).fit, X, y)
        clf._moments = clf._moments[:, :4].copy()
        with pytest.raises(ValueError, match="moments of shape"):
            clf.partial_fit(X, y)

    def test_predictions_beside_a_fit(self):
        # Another thread sees the network of before or that of after, whole.
        X, y = data_for(MLPWithBatchNormClassifier)
        # A planned schedule does not warn: filters of warnings belong to all threads.
        clf = small(MLPWithBatchNormClassifier, max_iter=1, learning_rate="cosine").fit(X, y)
        interval = sys.getswitchinterval()
        failures, done = [], threading.Event()

        def predict():
            while not done.is_set():
                try:
                    clf.predict_proba(X)
                except Exception as error:
                    failures.append(error)

        reader = threading.Thread(target=predict)
        try:
            sys.setswitchinterval(1e-6)
            reader.start()
            for k in range(60):
                units = (4,) if k % 2 else (90, 90)
                clf.set_params(hidden_layer_sizes=units).fit(X, y)
        finally:
            done.set()
            reader.join()
            sys.setswitchinterval(interval)
        assert failures == []


class TestFittedArrays:
    """``coefs_`` and its like can be read and written as scikit-learn's lists are."""

    @pytest.mark.parametrize(
        "name", ["coefs_", "intercepts_", "gammas_", "betas_", "running_means_", "running_vars_"]
    )
    def test_assignment_writes_through(self, name):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier, batch_norm="after").fit, X, y)
        before = clf.predict_proba(X)
        assert isinstance(getattr(clf, name), list)
        kept = [array.copy() for array in getattr(clf, name)]
        getattr(clf, name)[0] = kept[0] + 1.0
        np.testing.assert_array_equal(getattr(clf, name)[0], kept[0] + 1)
        assert (clf.predict_proba(X) != before).any()
        setattr(clf, name, kept)
        np.testing.assert_array_equal(clf.predict_proba(X), before)

    def test_input_moments_are_what_inputs_are_normalized_by(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier, normalize_input="smooth_clip").fit, X, y)
        before = clf.predict_proba(X)
        clf.input_mean_, clf.input_var_ = clf.input_mean_ * 2, clf.input_var_ * 4
        np.testing.assert_allclose(clf.predict_proba(X * 2), before, rtol=1e-5)

    def test_input_quartiles_are_what_inputs_are_normalized_by(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier).fit, X, y)
        before = clf.predict_proba(X)
        clf.input_center_, clf.input_spread_ = clf.input_center_ * 2, clf.input_spread_ * 2
        np.testing.assert_allclose(clf.predict_proba(X * 2), before, rtol=1e-5)

    def test_other_shapes_are_refused(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier, **COLUMNS_ALONE).fit, X, y)
        with pytest.raises(ValueError, match=r"expected shape \(5, 8\), got \(5, 1\)"):
            clf.coefs_[0] = np.zeros((5, 1))
        with pytest.raises(ValueError, match="1 arrays for 2 layers"):
            clf.coefs_ = [np.zeros((5, 8))]

    def test_intercepts_below_a_batch_norm_take_zeros_alone(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier).fit, X, y)
        clf.intercepts_ = [array.copy() for array in clf.intercepts_]
        with pytest.raises(ValueError, match="read-only"):
            clf.intercepts_[0] = np.ones(8)


class TestOneTrainingAfterAnother:
    def test_statistics_of_lbfgs_are_updated_and_not_replaced(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier, solver="lbfgs", max_iter=20).fit, X, y)
        before = clf.running_vars_[0].copy()
        clf.set_params(solver="adam", learning_rate_init=1e-12, batch_size=2)
        clf.partial_fit(X[:2], y[:2])
        assert (clf.running_vars_[0] >= 0.9 * before - 1e-12).all()

    @pytest.mark.parametrize("learning_rate", ["cosine", "one_cycle"])
    def test_a_stream_after_a_planned_schedule_has_the_full_rate(self, learning_rate):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = small(MLPWithBatchNormClassifier, learning_rate=learning_rate)
        clf.fit(X, y).partial_fit(X, y).partial_fit(X, y)
        assert clf.learning_rate_curve_[-2:] == [0.001, 0.001]

    def test_parameters_of_the_plan_are_read_anew(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        parameters = {"normalize_input": "standard", **COLUMNS_ALONE}
        clf = quietly(small(MLPWithBatchNormClassifier, **parameters).fit, X, y)
        clf.set_params(bn_momentum=1.0, activation="silu", learning_rate_init=1e-12)
        clf.partial_fit(X, y)
        z = (X - clf.input_mean_) / np.sqrt(clf.input_var_) @ clf.coefs_[0]
        assert clf._plan["activation"].max() == ACTIVATIONS["silu"]
        # The last mini-batch of 12 rows has set them.
        spread = np.abs(clf.running_means_[0] - z.mean(axis=0)).max()
        assert spread > 1e-3

    def test_lbfgs_has_no_curves(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = small(MLPWithBatchNormClassifier, early_stopping=True, warm_start=True)
        quietly(clf.fit, X, y)
        quietly(clf.set_params(solver="lbfgs").fit, X, y)
        for name in ("loss_curve_", "best_loss_", "validation_scores_", "_optimizer"):
            assert not hasattr(clf, name)
        assert np.isfinite(clf.loss_)
        quietly(clf.set_params(solver="adam").fit, X, y)
        assert len(clf.loss_curve_) == len(clf.validation_scores_) == 5

    def test_lbfgs_refuses_a_loss_that_is_not_finite(self):
        X, y = data_for(MLPWithBatchNormRegressor)
        reg = small(MLPWithBatchNormRegressor, solver="lbfgs")
        with pytest.raises(ValueError, match=r"The loss was .* other units"):
            quietly(reg.fit, X, y * 1e200)
        assert not reg.__sklearn_is_fitted__()

    def test_a_first_score_of_nan_is_no_best_one(self):
        X, y = data_for(MLPWithBatchNormRegressor)
        reg = small(MLPWithBatchNormRegressor, early_stopping=True, warm_start=True)
        quietly(reg.fit, X, y)
        reg.validation_scores_ = [np.nan, *reg.validation_scores_]
        reg.validation_loss_curve_ = [np.nan, *reg.validation_loss_curve_]
        quietly(reg.fit, X, y)
        assert np.isfinite(reg.best_validation_score_)

    def test_a_warm_start_has_its_own_network_to_beat(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = small(MLPWithBatchNormClassifier, max_iter=30, warm_start=True, early_stopping=False)
        with pytest.warns(UserWarning, match="early_stopping=False"):
            quietly(clf.fit, X[:40], y[:40], X_val=X[40:], y_val=y[40:])
        start = clf.score(X[40:], y[40:])
        clf.set_params(early_stopping=True, learning_rate_init=1e-12)
        quietly(clf.fit, X[:40], y[:40], X_val=X[40:], y_val=y[40:])
        assert clf.best_validation_score_ == start == clf.score(X[40:], y[40:])

    def test_rules_are_those_of_the_fitted_network(self):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = quietly(small(MLPWithBatchNormClassifier).fit, X, y)
        clf.set_params(batch_norm=None, normalize_input=None, dtype="float64")
        with pytest.raises(ValueError, match="Negative values"):
            clf.partial_fit(X, y, sample_weight=np.where(y, 1.0, -1.0))
        with pytest.raises(ValueError, match="leaves batch norm no variance"):
            clf.set_params(batch_size=1, warm_start=True).fit(X, y)
        plain = quietly(small(MLPWithBatchNormClassifier, batch_norm=None).fit, X, y)
        plain.set_params(batch_norm="before", batch_size=1).partial_fit(X, y)

    def test_a_split_leaves_rows_enough_for_a_variance(self):
        X, y = data_for(MLPWithBatchNormRegressor)
        reg = small(MLPWithBatchNormRegressor, early_stopping=True, validation_fraction=0.75)
        with pytest.raises(ValueError, match="leaves 1 row to train on while a minimum of 2"):
            reg.fit(X[:4], y[:4])

    def test_ctrl_c_in_a_score_leaves_no_half_of_a_record(self, monkeypatch):
        X, y = data_for(MLPWithBatchNormClassifier)
        clf = small(MLPWithBatchNormClassifier, early_stopping=True)
        scored = []

        def interrupted(self, exact=True):
            scored.append(1)
            if len(scored) == 3:
                raise KeyboardInterrupt
            return Evaluation(0.1 * len(scored), 1.0)

        monkeypatch.setattr(scoring.Validation, "evaluate", interrupted)
        with pytest.warns(UserWarning, match="interrupted"):
            clf.fit(X, y)
        assert len(clf.loss_curve_) == len(clf.validation_scores_) == clf.n_iter_ == 2


class TestLabels:
    @pytest.mark.parametrize("values", [(0, 2), (0, -1), (0, 7)])
    def test_a_label_is_there_where_it_is_not_zero(self, values):
        X, y = data_for(MLPWithBatchNormClassifier)
        labels = np.column_stack([y, 1 - y, (X[:, 2] > 0)]).astype(int)
        one = quietly(small(MLPWithBatchNormClassifier).fit, X, labels)
        other = quietly(small(MLPWithBatchNormClassifier).fit, X, np.array(values)[labels])
        np.testing.assert_array_equal(other._parameters, one._parameters)

    @pytest.mark.parametrize("container", [csr_matrix, csc_array])
    def test_sparse_labels_are_predicted_sparse(self, container):
        X, y = data_for(MLPWithBatchNormClassifier)
        labels = np.column_stack([y, 1 - y])
        sparse = quietly(small(MLPWithBatchNormClassifier).fit, X, container(labels))
        dense = quietly(small(MLPWithBatchNormClassifier).fit, X, labels)
        assert isinstance(sparse.predict(X), csr_matrix)
        np.testing.assert_array_equal(sparse.predict(X).toarray(), dense.predict(X))
