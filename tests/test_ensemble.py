"""Ensembles of perceptrons: their members, the pool of held-out rows, and predictions."""

import copy
import pickle
import threading
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.special import log_softmax, softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

from skbn import (
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
)
from skbn.estimators import ensemble as ensembles
from skbn.estimators.pooled_validation import PooledValidation
from skbn.estimators.temperature import fitted_temperature, tempered
from skbn.network.network import Network

CLASSIFIER, REGRESSOR = MLPEnsembleWithBatchNormClassifier, MLPEnsembleWithBatchNormRegressor
KINDS = [CLASSIFIER, REGRESSOR]
MEMBERS = {CLASSIFIER: MLPWithBatchNormClassifier, REGRESSOR: MLPWithBatchNormRegressor}
EMBEDDINGS = (None, 1.0, 2.5)


def data(kind, n=400, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 5)) * [1.0, 10.0, 0.1, 1.0, 1.0] + [0.0, 5.0, 0.0, -3.0, 0.0]
    signal = X[:, 0] + 0.3 * (X[:, 3] + 3.0) ** 2 + 0.3 * rng.standard_normal(n)
    if kind is REGRESSOR:
        return X, 100.0 + 20.0 * signal
    return X, np.digitize(signal, np.quantile(signal, np.arange(1, n_classes) / n_classes))


def ensemble(kind, members=(), **parameters):
    member = MEMBERS[kind](hidden_layer_sizes=(12, 8), **{"n_epochs": 6} | dict(members))
    return kind(member, **{"random_state": 0} | parameters)


def parameters_of(fitted):
    return [member._parameters for member in fitted.estimators_]


class TestMembers:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("is_sparse", [False, True])
    def test_they_do_not_depend_on_the_number_of_threads(self, kind, is_sparse):
        X, y = data(kind, 1200)
        X = csr_matrix(np.where(np.abs(X) < 1.0, 0.0, X)) if is_sparse else X
        one, two, three = (
            ensemble(kind, {"dropout": 0.1}, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2, 3)
        )
        for other in (two, three):
            for a, b in zip(one.estimators_, other.estimators_, strict=True):
                np.testing.assert_array_equal(a._parameters, b._parameters)
                np.testing.assert_array_equal(a._statistics, b._statistics)
            assert one.validation_scores_ == other.validation_scores_
            assert one.loss_curve_ == other.loss_curve_
            np.testing.assert_array_equal(one.predict(X), other.predict(X))

    @pytest.mark.parametrize("kind", KINDS)
    def test_without_held_out_rows_each_is_the_network_of_its_parameters(self, kind):
        X, y = data(kind)
        fitted = ensemble(kind, {"early_stopping": False}).fit(X, y)
        assert fitted.validation_scores_ is None
        assert not hasattr(fitted, "temperature_")
        for member, embedding in zip(fitted.estimators_, EMBEDDINGS, strict=True):
            assert member.periodic_embedding == embedding
            alone = clone(member).fit(X, y)
            np.testing.assert_array_equal(alone._parameters, member._parameters)
            np.testing.assert_array_equal(alone._statistics, member._statistics)
            assert alone.loss_curve_ == member.loss_curve_
            assert alone.best_loss_ == member.best_loss_
        np.testing.assert_allclose(
            fitted.loss_curve_, np.mean([one.loss_curve_ for one in fitted.estimators_], axis=0)
        )
        assert fitted.best_loss_ == min(fitted.loss_curve_)

    @pytest.mark.parametrize("kind", KINDS)
    def test_held_out_rows_and_seeds_are_their_own(self, kind, monkeypatch):
        X, y = data(kind, 1200)
        held = held_out_by_members(monkeypatch)
        fitted = ensemble(kind, periodic_embeddings=(1.0, 1.0)).fit(X, y)
        assert len(held) == 2
        assert not np.array_equal(held[0][: len(held[1])], held[1][: len(held[0])])
        first, second = parameters_of(fitted)
        assert not np.array_equal(first, second)

    def test_the_estimator_is_cloned_and_left_alone(self):
        X, y = data(CLASSIFIER)
        member = MLPWithBatchNormClassifier((7,), n_epochs=2, random_state=5, warm_start=True)
        before = member.get_params()
        fitted = CLASSIFIER(member, random_state=0).fit(X, y)
        assert member.get_params() == before
        assert not hasattr(member, "coefs_")
        assert all(one.hidden_layer_sizes == (7,) for one in fitted.estimators_)
        again = CLASSIFIER(member, random_state=0).fit(X, y).fit(X, y)
        np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))

    @pytest.mark.parametrize("kind", KINDS)
    def test_defaults(self, kind):
        X, y = data(kind)
        fitted = kind(random_state=0).set_params(estimator__n_epochs=2).fit(X, y)
        assert [type(one) for one in fitted.estimators_] == [MEMBERS[kind]] * 3
        assert [one.periodic_embedding for one in fitted.estimators_] == [None, 1.0, 2.5]
        assert fitted.estimators_[0].hidden_layer_sizes == (80, 80, 80)

    @pytest.mark.parametrize("kind", KINDS)
    def test_weights_of_rows(self, kind):
        X, y = data(kind, 1200)
        weight = np.random.default_rng(1).uniform(0.5, 1.5, len(y))
        weight[::7] = 0.0
        present = weight > 0.0
        weighted = ensemble(kind).fit(X, y, weight)
        without = ensemble(kind).fit(X[present], y[present], weight[present])
        np.testing.assert_array_equal(weighted.predict(X), without.predict(X))
        assert weighted.validation_scores_ == without.validation_scores_
        plain = ensemble(kind).fit(X[present], y[present])
        assert not np.array_equal(parameters_of(plain)[0], parameters_of(without)[0])

    def test_class_weight(self):
        X, y = data(CLASSIFIER, n_classes=2)
        y = y * (np.arange(len(y)) % 5 == 0)
        share = [
            ensemble(CLASSIFIER, {"class_weight": weight}).fit(X, y).predict(X).mean()
            for weight in (None, "balanced")
        ]
        assert share[1] > share[0] + 0.05


def held_out_by_members(monkeypatch):
    """The row numbers, by the first column, that each member of later fits holds out."""
    held = []
    original = PooledValidation.__init__

    def init(pool, validations, *arguments):
        held.extend(validation.rows.own_X[:, 0] for validation in validations)
        original(pool, validations, *arguments)

    monkeypatch.setattr(PooledValidation, "__init__", init)
    return held


def pools(monkeypatch):
    """The pools that later fits take the temperature of."""
    seen = []
    original = PooledValidation.raw_outputs

    def raw_outputs(pool):
        z = original(pool)
        seen.append((pool, z))
        return z

    monkeypatch.setattr(PooledValidation, "raw_outputs", raw_outputs)
    return seen


class TestPool:
    def test_each_member_predicts_its_own_rows(self, monkeypatch):
        X, y = data(CLASSIFIER, 600)
        seen = pools(monkeypatch)
        fitted = ensemble(CLASSIFIER).fit(X, y)
        ((pool, z),) = seen
        assert len(pool.rows.targets) == len(z) == 3 * 60
        for number, member in enumerate(fitted.estimators_):
            rows = pool.validations[number].rows
            expected, _ = member._look()._raw_outputs(rows.own_X)
            part = slice(60 * number, 60 * (number + 1))
            np.testing.assert_allclose(z[part], expected, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(pool.rows.targets[part], rows.targets)

    def test_the_temperature_is_that_of_the_pool(self, monkeypatch):
        X, y = data(CLASSIFIER, 600)
        weight = np.random.default_rng(0).uniform(0.5, 1.5, len(y))
        seen = pools(monkeypatch)
        fitted = ensemble(CLASSIFIER, {"n_epochs": 20}).fit(X, y, weight)
        pool, z = seen[0]
        shares = np.bincount(y, weight) / weight.sum()
        np.testing.assert_allclose(softmax(fitted._prior_outputs), shares, rtol=1e-12)
        expected = fitted_temperature(z, pool.rows.targets, np.log(shares), pool.rows.sample_weight)
        single = fitted.estimators_[0].temperature_
        assert single == pytest.approx(expected, rel=1e-3)
        assert [member.temperature_ for member in fitted.estimators_] == [single] * 3
        # Two fifths of what is above 1 stand for chance, of which the mean of three has a third.
        assert single > 1.01
        expected = 1.0 + (single - 1.0) * (0.6 + 0.4 / 3.0)
        assert fitted.temperature_ == pytest.approx(expected, rel=1e-12)

    def test_the_score_is_the_loss_after_one_temperature(self, monkeypatch):
        X, y = data(CLASSIFIER, 600)
        y = np.where(np.arange(600) % 3 == 0, np.random.default_rng(0).permutation(y), y)
        weight = np.random.default_rng(1).uniform(0.2, 3.0, 600)
        seen = pools(monkeypatch)
        fitted = ensemble(CLASSIFIER, {"n_epochs": 30}).fit(X, y, weight)
        pool, z = seen[0]
        z = tempered(z, fitted._prior_outputs, fitted.estimators_[0].temperature_)
        losses = -log_softmax(z, axis=1)[np.arange(len(z)), pool.rows.targets[:, 0]]
        score = -np.average(losses, weights=pool.rows.sample_weight)
        assert fitted.estimators_[0].temperature_ > 1.01
        # The last checkpoint or an earlier one.
        differences = np.abs(np.array(fitted.validation_scores_) - score)
        assert differences.min() < 1e-6 * abs(score)
        assert pool.evaluate().weights is pool.rows.sample_weight

    # The sixth look is ahead of the last one by so many standard errors, and half of one is enough.
    @pytest.mark.parametrize(("ahead", "best"), [(0.55, True), (0.45, False), (-1.0, False)])
    def test_one_checkpoint_for_all(self, ahead, best, monkeypatch):
        X, y = data(REGRESSOR, 1200)
        looks, kept = [], []
        original = PooledValidation.evaluate

        def evaluate(pool, exact=True):
            evaluation = original(pool, exact)
            looks.append(1)
            kept.append([v.network.parameters.copy() for v in pool.validations])
            evaluation.row_losses = row_losses = np.full(len(evaluation.row_losses), 100.0)
            if len(looks) == 6:
                # Their mean is `ahead`, and their standard error is 1.
                spread = np.sqrt(len(row_losses)) * np.sign(np.arange(len(row_losses)) % 2 - 0.5)
                row_losses -= ahead + spread
            evaluation.score = -row_losses.mean()
            return evaluation

        monkeypatch.setattr(PooledValidation, "evaluate", evaluate)
        fitted = ensemble(REGRESSOR, {"n_epochs": 20}).fit(X, y)
        assert fitted.validation_epochs_ == [1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20]
        expected = kept[5 if best else -1]
        for one, other in zip(parameters_of(fitted), expected, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_given_rows_are_predicted_by_the_mean(self, monkeypatch):
        X, y = data(CLASSIFIER, 600)
        X_val, y_val = data(CLASSIFIER, 90, seed=1)
        y_val = np.random.default_rng(0).permutation(y_val)
        y[:200] = 0
        seen = pools(monkeypatch)
        fitted = ensemble(CLASSIFIER).fit(X, y, X_val=X_val, y_val=y_val)
        # The prior is the prior of the rows that are trained on alone.
        np.testing.assert_allclose(softmax(fitted._prior_outputs), np.bincount(y) / 600)
        assert fitted.temperature_ > 1.1
        pool, z = seen[0]
        assert len(z) == len(pool.rows.targets) == 90
        expected = np.mean([m._look()._raw_outputs(X_val)[0] for m in fitted.estimators_], axis=0)
        np.testing.assert_allclose(z, expected, rtol=1e-5, atol=1e-6)
        # So the temperature is that of the mean, and of every member.
        prior, temperature = fitted._prior_outputs, fitted.temperature_
        assert temperature == pytest.approx(
            fitted_temperature(z, y_val[:, np.newaxis], prior), rel=1e-3
        )
        assert [member.temperature_ for member in fitted.estimators_] == [temperature] * 3
        assert all(member.t_ == 600 * 6 for member in fitted.estimators_)

    def test_given_rows_of_a_regressor(self):
        X, y = data(REGRESSOR, 1200)
        X_val, y_val = data(REGRESSOR, 90, seed=1)
        fitted = ensemble(REGRESSOR, {"n_epochs": 10}).fit(X, y, X_val=X_val, y_val=y_val)
        error = (fitted.predict(X_val) - y_val) ** 2 / y.var() / 2.0
        differences = np.abs(np.array(fitted.validation_scores_) + error.mean())
        assert differences.min() < 1e-3 * error.mean()

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_last_rows_are_shared_where_nothing_is_shuffled(self, kind, monkeypatch):
        X, y = data(kind, 1200)
        built = []
        original = ensembles.PooledValidation

        def pool(*arguments):
            built.append(original(*arguments))
            return built[-1]

        monkeypatch.setattr(ensembles, "PooledValidation", pool)
        fitted = ensemble(kind, {"shuffle": False, "batch_norm": None}).fit(X, y)
        (one,) = built
        assert one.is_shared
        # They count once, and no temperature is corrected for the mean.
        assert one.rows.n == 120
        np.testing.assert_array_equal(one.rows.own_X, X[1080:])
        if kind is CLASSIFIER:
            temperatures = {member.temperature_ for member in fitted.estimators_}
            assert temperatures == {fitted.temperature_}

    @pytest.mark.filterwarnings("ignore:The number of unique classes")
    def test_of_few_rows_some_members_hold_out_none(self, monkeypatch):
        y = np.concatenate([np.repeat(np.arange(18), 3), 18 + np.arange(246)])
        X = np.random.default_rng(0).standard_normal((300, 4))
        for seed in range(20):
            pooled = held_out_by_members(monkeypatch)
            fitted = ensemble(CLASSIFIER, {"n_epochs": 3}, random_state=seed).fit(X, y)
            if len(pooled) in (1, 2):
                break
            monkeypatch.undo()
        assert 1 <= len(pooled) <= 2
        assert {member.temperature_ for member in fitted.estimators_} != {None}
        assert len(fitted.predict_proba(X)) == 300

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_scorer_gives_the_mean_of_the_members(self, kind):
        X, y = data(kind, 1200)
        scored = []

        def scorer(member, X, y):
            scored.append(member.score(X, y))
            return scored[-1]

        fitted = ensemble(kind, {"scoring": scorer}).fit(X, y)
        expected = np.reshape(scored, (-1, 3)).mean(axis=1)
        np.testing.assert_allclose(fitted.validation_scores_, expected)

    def test_the_best_epoch(self):
        X, y = data(CLASSIFIER, 600)
        fitted = ensemble(CLASSIFIER, {"early_stopping": True, "n_epochs": 9}).fit(X, y)
        assert fitted.validation_epochs_ == list(range(1, 10))
        assert fitted.best_validation_score_ == max(fitted.validation_scores_)
        assert fitted.best_loss_ is None

    def test_a_plateau_ends_all_members(self):
        X, y = data(REGRESSOR, 300)
        fitted = ensemble(
            REGRESSOR, {"learning_rate": "constant", "tol": 10.0, "n_iter_no_change": 2}
        ).fit(X, y)
        assert fitted.n_iter_ == 4
        assert [len(member.loss_curve_) for member in fitted.estimators_] == [4, 4, 4]

    def test_a_lower_learning_rate_is_told_once(self, capsys):
        X, y = data(REGRESSOR, 300)
        members = {
            "solver": "sgd",
            "learning_rate": "adaptive",
            "max_iter": 6,
            "n_iter_no_change": 2,
        }
        reg = ensemble(REGRESSOR, members | {"tol": 10.0}, verbose=True)
        with pytest.warns(ConvergenceWarning):
            reg.fit(X, y)
        assert capsys.readouterr().out.count("Setting learning rate") == 1
        # All members have it.
        rates = [member.learning_rate_curve_ for member in reg.estimators_]
        assert rates[0] == rates[1] == rates[2]
        assert rates[0][-1] == pytest.approx(rates[0][0] / 5)

    def test_running_out_of_epochs_is_told(self):
        X, y = data(REGRESSOR, 100)
        reg = ensemble(REGRESSOR, {"learning_rate": "constant", "max_iter": 3})
        with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\)") as caught:
            reg.fit(X, y)
        assert caught[0].filename == __file__


def tempered_mean(fitted, X):
    """Mean of the members' raw outputs, tempered, which predictions are made from."""
    mean = np.mean([member._look()._raw_outputs(X)[0] for member in fitted.estimators_], axis=0)
    return tempered(mean, fitted._prior_outputs, fitted.temperature_)


class TestPredictions:
    def test_classes_follow_from_the_mean_of_raw_outputs(self):
        X, y = data(CLASSIFIER, 600)
        fitted = ensemble(CLASSIFIER).fit(X, np.array(["a", "b", "c"])[y])
        members = fitted.predict_members(X)
        assert members.shape == (3, 600, 3)
        for one, member in zip(members, fitted.estimators_, strict=True):
            np.testing.assert_array_equal(one, member.predict_proba(X))
        expected = softmax(tempered_mean(fitted, X), axis=1)
        np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-10)
        np.testing.assert_allclose(fitted.predict_log_proba(X), np.log(expected), rtol=1e-8)
        np.testing.assert_array_equal(fitted.predict(X), fitted.classes_[expected.argmax(axis=1)])
        assert fitted.score(X, np.array(["a", "b", "c"])[y]) > 0.8

    def test_two_classes(self):
        X, y = data(CLASSIFIER, n_classes=2)
        fitted = ensemble(CLASSIFIER).fit(X, y)
        z = tempered_mean(fitted, X)[:, 0]
        np.testing.assert_allclose(fitted.predict_proba(X)[:, 1], 1 / (1 + np.exp(-z)))
        np.testing.assert_array_equal(fitted.predict(X), z > 0.0)

    def test_labels(self):
        X, y = data(CLASSIFIER)
        Y = np.column_stack([y > 0, y > 1]).astype(int)
        fitted = ensemble(CLASSIFIER).fit(X, Y)
        assert fitted.predict(X).shape == (400, 2)
        assert fitted.predict_members(X).shape == (3, 400, 2)
        assert fitted.score(X, Y) > 0.6
        assert type(ensemble(CLASSIFIER).fit(X, csr_matrix(Y)).predict(X)) is csr_matrix

    def test_one_class(self):
        X, _ = data(CLASSIFIER)
        fitted = ensemble(CLASSIFIER).fit(X, np.full(400, 7))
        np.testing.assert_array_equal(fitted.predict(X), 7)
        np.testing.assert_array_equal(fitted.predict_proba(X), 1.0)

    @pytest.mark.parametrize("loss", ["squared_error", "poisson", "quantile"])
    def test_numbers_are_the_mean_of_predictions_in_range(self, loss):
        X, y = data(REGRESSOR)
        y = np.abs(y)
        fitted = ensemble(REGRESSOR, {"loss": loss}).fit(X, y)
        far = np.concatenate([X, 50.0 * X])
        expected = [np.clip(m.predict(far), y.min(), y.max()) for m in fitted.estimators_]
        np.testing.assert_allclose(fitted.predict_members(far), expected)
        np.testing.assert_allclose(fitted.predict(far), np.mean(expected, axis=0))
        assert fitted.predict(far.astype(np.float32)).dtype == np.float32

    def test_several_outputs_have_ranges_of_their_own(self):
        X, y = data(REGRESSOR)
        Y = np.column_stack([y, -1000.0 * y])
        fitted = ensemble(REGRESSOR).fit(X, Y)
        assert fitted.predict(X).shape == Y.shape
        assert fitted.predict_members(X).shape == (3, *Y.shape)
        np.testing.assert_array_equal(fitted._target_range, [Y.min(axis=0), Y.max(axis=0)])
        assert fitted.score(X, Y) > 0.8

    def test_the_range_has_the_held_out_rows(self):
        X, y = data(REGRESSOR, 1500)
        fitted = ensemble(REGRESSOR).fit(X, y)
        np.testing.assert_array_equal(fitted._target_range.ravel(), [y.min(), y.max()])

    @pytest.mark.parametrize("kind", KINDS)
    def test_before_fit(self, kind):
        with pytest.raises(NotFittedError):
            ensemble(kind).predict(np.zeros((2, 5)))
        with pytest.raises(NotFittedError):
            ensemble(kind).predict_members(np.zeros((2, 5)))

    @pytest.mark.parametrize("kind", KINDS)
    def test_other_columns_and_numbers_are_refused(self, kind):
        X, y = data(kind)
        fitted = ensemble(kind).fit(X, y)
        with pytest.raises(ValueError, match=f"4 features, but {kind.__name__} is expecting 5"):
            fitted.predict(X[:, :4])
        with pytest.raises(ValueError, match="NaN"):
            fitted.predict(np.full((2, 5), np.nan))
        with pytest.raises(ValueError, match="masked"):
            fitted.predict(np.ma.masked_invalid(X))


class TestStreams:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_each_member_goes_on_by_itself(self, kind, n_jobs):
        X, y = data(kind)
        classes = {"classes": [0, 1, 2]} if kind is CLASSIFIER else {}
        stream = ensemble(kind, n_jobs=n_jobs)
        for _ in range(3):
            stream.partial_fit(X, y, **classes)
        for member in stream.estimators_:
            alone = clone(member)
            for _ in range(3):
                alone.partial_fit(X, y, **classes)
            np.testing.assert_array_equal(alone._parameters, member._parameters)
        assert stream.n_iter_ == 1
        assert len(stream.loss_curve_) == 3

    def test_the_temperature_of_a_fit_stays(self):
        X, y = data(CLASSIFIER, 600)
        fitted = ensemble(CLASSIFIER, {"n_epochs": 20}).fit(X, y)
        temperature = fitted.temperature_
        before = copy.deepcopy(parameters_of(fitted))
        fitted.partial_fit(X, y)
        assert fitted.temperature_ == temperature
        assert not np.array_equal(before[0], parameters_of(fitted)[0])
        np.testing.assert_allclose(
            fitted.predict_proba(X), softmax(tempered_mean(fitted, X), axis=1), rtol=1e-10
        )

    def test_the_range_of_targets_grows(self):
        X, y = data(REGRESSOR)
        stream = ensemble(REGRESSOR).partial_fit(X, y)
        weight = np.ones(len(y))
        weight[0] = 0.0
        later = y + 1000.0
        later[0] = 1e6
        stream.partial_fit(X, later, weight)
        np.testing.assert_array_equal(stream._target_range.ravel(), [y.min(), later[1:].max()])

    @pytest.mark.parametrize("kind", KINDS)
    def test_records_are_those_of_the_ensemble(self, kind, capsys):
        X, y = data(kind)
        X_val, y_val = data(kind, 50, seed=1)
        stream = ensemble(kind, {"verbose": True})
        options = {"X_val": X_val, "y_val": y_val}
        first = {"classes": [0, 1, 2]} if kind is CLASSIFIER else {}
        for number in range(2):
            stream.partial_fit(X, y, **options, **first)
            assert len(stream.validation_scores_) == number + 1
        assert stream.validation_epochs_ == [1, 2]
        assert stream.n_epochs_ == stream.n_iter_ == 1
        assert stream.best_loss_ == min(stream.loss_curve_)
        assert capsys.readouterr().out == ""
        stream.set_params(verbose=True).partial_fit(X, y)
        assert capsys.readouterr().out.count("Iteration") == 1

    def test_scores_of_a_stream_are_of_its_temperature(self):
        X, y = data(CLASSIFIER, 600, seed=2)
        y = np.where(np.arange(600) % 3 == 0, np.random.default_rng(0).permutation(y), y)
        fitted = ensemble(CLASSIFIER, {"n_epochs": 20, "scoring": "loss"}).fit(X, y)
        assert fitted.temperature_ > 1.01
        X_val, y_val = data(CLASSIFIER, 90, seed=1)
        fitted.partial_fit(X, y, X_val=X_val, y_val=y_val)
        expected = -np.log(fitted.predict_proba(X_val)[np.arange(90), y_val]).mean()
        assert fitted.validation_scores_[-1] == pytest.approx(-expected, rel=1e-5)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_failed_call_changes_no_member(self, kind, monkeypatch):
        X, y = data(kind)
        fitted = ensemble(kind, n_jobs=1).fit(X, y)
        before = fitted.predict(X)
        calls, original = [], Network.train

        def train(network, *arguments):
            calls.append(network)
            if len({id(one) for one in calls}) == 2:
                raise ValueError("the second member")
            return original(network, *arguments)

        monkeypatch.setattr(Network, "train", train)
        with pytest.raises(ValueError, match="the second member"):
            fitted.partial_fit(X, y)
        np.testing.assert_array_equal(fitted.predict(X), before)

    def test_partial_fit_reads_the_present_parameters_of_the_perceptron(self):
        X, y = data(CLASSIFIER, 200)
        model = ensemble(CLASSIFIER, {"n_epochs": 2}).fit(X, y)
        own = [(m.periodic_embedding, m.random_state) for m in model.estimators_]
        assert len(set(own)) == len(own) > 1
        before = model.estimators_
        model.set_params(estimator__dropout=0.25).partial_fit(X, y)
        assert [member.dropout for member in model.estimators_] == [0.25] * len(own)
        assert [(m.periodic_embedding, m.random_state) for m in model.estimators_] == own
        # A look at the earlier members does not change.
        assert {member.dropout for member in before} == {0.0}
        with pytest.raises(InvalidParameterError, match="'dropout' parameter"):
            model.set_params(estimator__dropout=5.0).partial_fit(X, y)
        assert [member.dropout for member in model.estimators_] == [0.25] * len(own)


class TestManners:
    @pytest.mark.parametrize("kind", KINDS)
    def test_pickles_and_copies(self, kind):
        X, y = data(kind)
        fitted = ensemble(kind).fit(X, y)
        for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
            np.testing.assert_array_equal(other.predict(X), fitted.predict(X))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"estimators_": []}, "estimators_"),
            ({"estimators_": "members"}, "estimators_"),
            ({"estimators_": [None]}, "a member"),
            ({"n_features_in_": 4}, "n_features_in_"),
            ({"_prior_outputs": None}, "temperature_"),
            ({"temperature_": -1.0}, "temperature_"),
            ({"_prior_outputs": np.zeros(2)}, "_prior_outputs"),
            ({"classes_": np.arange(2)}, "classes"),
        ],
    )
    def test_a_damaged_state_is_refused(self, change, message):
        X, y = data(CLASSIFIER, 600)
        fitted = ensemble(CLASSIFIER).fit(X, y)
        vars(fitted).update(change)
        with pytest.raises(ValueError, match=message):
            pickle.loads(pickle.dumps(fitted))

    def test_a_damaged_range_is_refused(self):
        X, y = data(REGRESSOR)
        fitted = ensemble(REGRESSOR).fit(X, y)
        fitted._target_range = np.array([[np.nan], [1.0]])
        with pytest.raises(ValueError, match="_target_range"):
            pickle.loads(pickle.dumps(fitted))
        with pytest.raises(ValueError, match="_target_range"):
            fitted.predict(X)

    @pytest.mark.parametrize("kind", KINDS)
    def test_parameters_of_the_members(self, kind):
        unfitted = kind()
        assert clone(unfitted).set_params(estimator__dropout=0.2).estimator.dropout == 0.2
        assert unfitted.estimator is None
        both = kind().set_params(estimator=None, estimator__dropout=0.2)
        assert both.estimator.dropout == 0.2
        given = kind(MEMBERS[kind](dropout=0.1)).set_params(estimator__alpha=0.5)
        assert (given.estimator.dropout, given.estimator.alpha) == (0.1, 0.5)
        with pytest.raises(ValueError, match="no_such"):
            kind().set_params(estimator__no_such=1)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_search_over_parameters_of_the_members(self, kind):
        X, y = data(kind, 200)
        pipeline = make_pipeline(StandardScaler(), kind(random_state=0))
        name = pipeline.steps[1][0]
        grid = {
            f"{name}__estimator__n_epochs": [1, 40],
            f"{name}__periodic_embeddings": [(None,), (None, 1.0)],
        }
        search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(X, y)
        assert search.best_params_[f"{name}__estimator__n_epochs"] == 40
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()

    def test_metadata_are_routed_to_the_ensemble(self):
        X, y = data(CLASSIFIER, 200)
        weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
        with config_context(enable_metadata_routing=True):
            model = ensemble(CLASSIFIER, {"n_epochs": 3})
            model.set_fit_request(sample_weight=True)
            pipeline = make_pipeline(Normalizer(), model)
            grid = {f"{pipeline.steps[1][0]}__verbose": [False]}
            scorer = get_scorer("accuracy").set_score_request(sample_weight=True)
            search = GridSearchCV(pipeline, grid, scoring=scorer, cv=2)
            search.fit(X, y, sample_weight=weight)
            chances = search.predict_proba(X)
        rows = Normalizer().fit_transform(X)
        expected = ensemble(CLASSIFIER, {"n_epochs": 3}).fit(rows, y, weight)
        np.testing.assert_allclose(chances, expected.predict_proba(rows))
        plain = ensemble(CLASSIFIER, {"n_epochs": 3}).fit(rows, y)
        assert np.abs(plain.predict_proba(rows) - chances).max() > 1e-3

    @pytest.mark.parametrize("kind", KINDS)
    def test_html_and_repr(self, kind):
        X, y = data(kind)
        fitted = ensemble(kind).fit(X, y)
        assert MEMBERS[kind].__name__ in fitted._repr_html_()
        assert "periodic_embeddings" not in repr(fitted)
        assert not hasattr(fitted, "set_output")

    @pytest.mark.parametrize(
        ("parameters", "error", "message"),
        [
            ({"periodic_embeddings": ()}, ValueError, "at least one entry"),
            ({"periodic_embeddings": (None, -1.0)}, InvalidParameterError, "periodic_embedding"),
            ({"periodic_embeddings": 1.0}, InvalidParameterError, "periodic_embeddings"),
            ({"estimator": StandardScaler()}, InvalidParameterError, "estimator"),
            ({"n_jobs": "two"}, InvalidParameterError, "n_jobs"),
            ({"n_jobs": 0}, ValueError, "n_jobs == 0"),
        ],
    )
    @pytest.mark.parametrize("kind", KINDS)
    def test_bad_parameters(self, kind, parameters, error, message):
        X, y = data(kind)
        with pytest.raises(error, match=message):
            kind(**parameters).fit(X, y)

    @pytest.mark.parametrize("kind", KINDS)
    def test_parameters_of_members_are_checked(self, kind):
        X, y = data(kind)
        with pytest.raises(ValueError, match="lbfgs"):
            ensemble(kind, {"solver": "lbfgs"}).fit(X, y)
        with pytest.raises(InvalidParameterError, match="dropout"):
            ensemble(kind, {"dropout": 2.0}).fit(X, y)

    def test_a_member_of_the_other_kind(self):
        X, y = data(CLASSIFIER)
        with pytest.raises(InvalidParameterError, match="MLPWithBatchNormClassifier"):
            CLASSIFIER(MLPWithBatchNormRegressor()).fit(X, y)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_failed_fit_leaves_the_ensemble_as_it_was(self, kind):
        X, y = data(kind)
        fitted = ensemble(kind).fit(X, y)
        before = vars(fitted).copy()
        for bad, message in ((np.where(X > 3.0, np.inf, X), "infinity"), (X[:3], "inconsistent")):
            with pytest.raises(ValueError, match=message):
                fitted.fit(bad, y)
        assert vars(fitted) == before

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_loss_that_is_not_finite(self, kind):
        X, y = data(kind)
        bad = ensemble(kind, {"learning_rate_init": 1e30, "early_stopping": False, "solver": "sgd"})
        with pytest.raises(ValueError, match="loss was not finite in iteration"):
            bad.fit(X, y)
        assert not hasattr(bad, "estimators_")

    @pytest.mark.parametrize("kind", KINDS)
    def test_data_frames(self, kind):
        pandas = pytest.importorskip("pandas")
        X, y = data(kind)
        frame = pandas.DataFrame(X, columns=list("abcde"))
        fitted = ensemble(kind).fit(frame, y)
        assert list(fitted.feature_names_in_) == list("abcde")
        np.testing.assert_array_equal(fitted.predict(frame), ensemble(kind).fit(X, y).predict(X))
        with pytest.warns(UserWarning, match="X_val does not have valid feature names") as caught:
            ensemble(kind, {"early_stopping": True}).fit(frame, y, X_val=X, y_val=y)
        assert [warning.filename for warning in caught] == [__file__]
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            fitted.predict(X)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        ("parameters", "message"),
        [({"early_stopping": False}, "X_val is given"), ({"batch_size": 900}, "batch_size")],
    )
    def test_a_warning_is_given_once_at_the_callers_line(self, kind, parameters, message):
        X, y = data(kind)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ensemble(kind, parameters).fit(X, y, X_val=X[:50], y_val=y[:50])
        ours = [one for one in caught if message in str(one.message)]
        assert [one.filename for one in ours] == [__file__]

    @pytest.mark.parametrize("kind", KINDS)
    def test_parameters_that_are_refused_change_nothing(self, kind):
        unfitted = kind()
        with pytest.raises(ValueError, match="no_such"):
            unfitted.set_params(estimator__no_such=1)
        assert unfitted.estimator is None

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_refit_forgets_the_fit_before(self, kind):
        X, y = data(kind, 1200)
        fitted = ensemble(kind).fit(X, y)
        y = y / 2 if kind is REGRESSOR else y
        fitted.set_params(estimator__early_stopping=False).fit(X[:, :3], y)
        assert not hasattr(fitted, "temperature_")
        assert not hasattr(fitted, "_prior_outputs")
        assert fitted.validation_scores_ is None
        if kind is REGRESSOR:
            np.testing.assert_array_equal(fitted._target_range.ravel(), [y.min(), y.max()])

    def test_targets_of_weight_0_are_in_no_range(self):
        X, y = data(REGRESSOR)
        weight = np.ones(len(y))
        y[0], weight[0] = 1e6, 0.0
        plain = MLPWithBatchNormRegressor(hidden_layer_sizes=(8,), n_epochs=2, dtype="float64")
        off = ("batch_norm", "normalize_input", "periodic_embedding")
        plain.set_params(**dict.fromkeys(off), normalize_target=False, weight_decay=0.0)
        plain.set_params(trained_input_scale=False)
        fitted = REGRESSOR(plain, periodic_embeddings=(None,)).fit(X, y, weight)
        assert fitted._target_range.max() == y[1:].max()

    @pytest.mark.parametrize("kind", KINDS)
    def test_too_few_rows_are_told_of_the_ensemble(self, kind):
        X, y = data(kind)
        with pytest.raises(ValueError, match=f"minimum of 2 is required by {kind.__name__}"):
            ensemble(kind).fit(X[:1], y[:1])

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_column_vector_is_told_once(self, kind):
        X, y = data(kind)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ensemble(kind).fit(X, y[:, np.newaxis])
        assert len([one for one in caught if "column-vector" in str(one.message)]) == 1

    def test_a_changed_member_is_a_changed_ensemble(self):
        X, y = data(REGRESSOR)
        fitted = ensemble(REGRESSOR).fit(X, y)
        before = fitted.predict(X)
        fitted.estimators_[0].coefs_[0][:] = 0.0
        assert not np.array_equal(fitted.predict(X), before)

    @pytest.mark.parametrize("kind", KINDS)
    def test_verbose(self, kind, capsys):
        X, y = data(kind, 1200)
        ensemble(kind, verbose=True).fit(X, y)
        out = capsys.readouterr().out
        assert out.count("Iteration") == 6
        assert "Iteration 6 of 6, loss = " in out
        assert "0.0 s left" in out
        assert out.count("Validation score") == 6

    @pytest.mark.parametrize("kind", KINDS)
    def test_predictions_beside_a_refit(self, kind):
        X, y = data(kind, 200)
        fitted = ensemble(kind, {"n_epochs": 1}, n_jobs=1).fit(X, y)
        old = fitted.predict(X[:20])
        fitted.set_params(random_state=1)
        new = clone(fitted).fit(X, y).predict(X[:20])
        answers, stop = [], threading.Event()

        def look():
            while not stop.is_set():
                answers.append(fitted.predict(X[:20]))

        watcher = threading.Thread(target=look)
        watcher.start()
        fitted.fit(X, y)
        stop.set()
        watcher.join()
        assert all(np.array_equal(one, old) or np.array_equal(one, new) for one in answers)
