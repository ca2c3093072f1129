"""What the recurrent networks share with the other networks, option by option."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import sklearn
from rnns import (
    BOTH,
    LAYERS,
    PLAIN_LAYERS,
    classes_for,
    data_for,
    fitted,
    named,
    small,
)
from skbn.kernels.pooling import POOLINGS
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.fixes import parse_version

from skbn import RNNWithBatchNormClassifier, RNNWithBatchNormRegressor
from skbn.estimators import scoring

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")


class TestSampleWeight:
    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("layers", [*LAYERS, *PLAIN_LAYERS], ids=named)
    def test_two_is_the_sequence_twice_in_one_batch(self, cls, layers):
        X, y = data_for(cls, ragged=True)
        weight = np.random.default_rng(1).integers(0, 4, 60)
        # Steps that few sequences reach would have statistics of their own where these are
        # there three times.
        counts = (~np.isnan(X[weight > 0, :, 0])).sum(axis=0)
        assert counts[-1] >= 8
        options = {"batch_size": 1000, "shuffle": False, "dtype": "float64"} | layers
        rows = np.repeat(np.arange(60), weight)
        with pytest.warns(UserWarning, match="clipped"):
            weighted = fitted(small(cls, **options), X, y, sample_weight=weight)
        with pytest.warns(UserWarning, match="clipped"):
            repeated = fitted(small(cls, **options), X[rows], y[rows])
        np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-8)
        np.testing.assert_allclose(weighted._statistics, repeated._statistics, 1e-6, 1e-9)
        np.testing.assert_allclose(
            weighted.predict(X).astype(float), repeated.predict(X).astype(float), rtol=1e-6
        )

    @pytest.mark.parametrize("cls", BOTH)
    def test_sequences_of_no_weight_are_not_there(self, cls):
        X, y = data_for(cls, ragged=True)
        weight = np.ones(60)
        weight[::3] = 0
        X[::3] = 1e9  # and longer than the others
        X[weight > 0, 5:] = np.nan
        weighted = fitted(small(cls, dtype="float64"), X, y, sample_weight=weight)
        removed = fitted(small(cls, dtype="float64"), X[weight > 0], y[weight > 0])
        np.testing.assert_allclose(weighted._parameters, removed._parameters, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(weighted._statistics, removed._statistics, rtol=1e-6, atol=1e-9)
        assert weighted.running_means_[0].shape == (5, 16)

    def test_moments_of_the_inputs(self):
        X, y = data_for(RNNWithBatchNormRegressor, ragged=True)
        weight = np.random.default_rng(1).random(60)
        reg = fitted(small(RNNWithBatchNormRegressor), X, y, sample_weight=weight)
        steps, of_steps = X[~np.isnan(X[:, :, 0])], np.broadcast_to(weight[:, None], (60, 6))
        of_steps = of_steps[~np.isnan(X[:, :, 0])]
        mean = np.average(steps, axis=0, weights=of_steps)
        np.testing.assert_allclose(reg.input_mean_, mean, rtol=1e-10)
        var = np.average((steps - mean) ** 2, axis=0, weights=of_steps)
        np.testing.assert_allclose(reg.input_var_, var, rtol=1e-10)

    @pytest.mark.parametrize("cls", BOTH)
    def test_their_sum_makes_no_difference(self, cls):
        X, y = data_for(cls, ragged=True)
        options = {"alpha": 0.0, "dtype": "float64"}
        none = fitted(small(cls, **options), X, y)
        for weight in (1 / 60, 1e3):
            one = fitted(small(cls, **options), X, y, sample_weight=np.full(60, weight))
            np.testing.assert_allclose(one._parameters, none._parameters, rtol=1e-6, atol=1e-8)
            np.testing.assert_allclose(one._statistics, none._statistics, rtol=1e-6, atol=1e-8)

    @pytest.mark.parametrize("cls", BOTH)
    def test_wrong_ones_are_refused(self, cls):
        X, y = data_for(cls)
        for weight, match in (
            (-np.ones(60), "Negative"),
            (np.zeros(60), r"0 sample|zero"),
            (np.ones((60, 6)), "1D"),
            (np.ones(59), "shape"),
            (np.full(60, np.nan), "NaN"),
        ):
            with pytest.raises(ValueError, match=match):
                small(cls).fit(X, y, sample_weight=weight)


class TestNormalizedInput:
    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("kind", ["standard", "smooth_clip"])
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_is_done_to_all_real_steps_beforehand(self, cls, kind, dtype):
        X, y = data_for(cls, ragged=True)
        X = X.astype(dtype)
        exact = X.astype(np.float64)
        t = (exact - np.nanmean(exact, axis=(0, 1))) / np.nanstd(exact, axis=(0, 1))
        if kind == "smooth_clip":
            t = t / np.sqrt(1.0 + (t / 3.0) ** 2)
        inside = fitted(small(cls, normalize_input=kind, dtype="float64"), X, y)
        outside = fitted(small(cls, normalize_input=None, dtype="float64"), t, y)
        for own, other in zip(inside.coefs_, outside.coefs_, strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-6, atol=1e-9)
        assert hasattr(inside, "input_mean_") > hasattr(outside, "input_mean_")

    def test_constant_features_are_centered_only(self):
        X, y = data_for(RNNWithBatchNormClassifier, ragged=True)
        X[:, :, 1][~np.isnan(X[:, :, 1])] = 1e6
        clf = fitted(small(), X, y)
        assert clf.input_var_[1] == 0
        unseen = X.copy()
        unseen[:, :, 1] += 1.0
        assert np.isfinite(clf.predict_proba(unseen)).all()


class TestClassWeight:
    @pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 1: 0.5}])
    def test_is_a_sample_weight(self, class_weight):
        X, y = data_for(RNNWithBatchNormClassifier, n=59, ragged=True)
        by_class = fitted(small(class_weight=class_weight), X, y)
        weight = compute_sample_weight(class_weight, y)
        by_row = fitted(small(), X, y, sample_weight=weight)
        np.testing.assert_array_equal(by_class.predict_proba(X), by_row.predict_proba(X))
        assert len(set(weight)) == 2

    def test_multiplies_the_given_one(self):
        X, y = data_for(RNNWithBatchNormClassifier)
        weight = np.random.default_rng(0).integers(0, 3, 60)
        both = fitted(small(class_weight={0: 2.0, 1: 1.0}), X, y, sample_weight=weight)
        one = fitted(small(), X, y, sample_weight=weight * np.where(y == 0, 2.0, 1.0))
        np.testing.assert_array_equal(both.predict_proba(X), one.predict_proba(X))


class TestEarlyStopping:
    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("layers", [*LAYERS, PLAIN_LAYERS[0]], ids=named)
    def test_the_best_epoch_is_restored(self, cls, layers):
        X, y = data_for(cls, n=120, ragged=True)
        estimator = small(cls, **layers, early_stopping=True, max_iter=12, learning_rate_init=0.1)
        fitted(estimator, X[:80], y[:80], X_val=X[80:], y_val=y[80:])
        scores = estimator.validation_scores_
        assert len(scores) == len(estimator.validation_loss_curve_) == estimator.n_iter_
        assert estimator.best_validation_score_ == max(scores)
        # Weights, gamma, beta and statistics are those of that epoch: statistics of all
        # sequences were what the score was taken with.
        assert estimator.score(X[80:], y[80:]) == pytest.approx(max(scores), abs=1e-6)
        last = fitted(small(cls, **layers, max_iter=12, learning_rate_init=0.1), X[:80], y[:80])
        at = int(np.argmax(scores))
        assert (at == 11) == np.array_equal(last._parameters, estimator._parameters)

    @pytest.mark.parametrize("layers", LAYERS, ids=named)
    def test_an_epoch_before_the_last(self, layers, monkeypatch):
        X, y = data_for(RNNWithBatchNormRegressor, n=90, ragged=True)
        original, scored = scoring.Validation.evaluate, []

        def second_is_best(self, exact=True):
            scored.append(original(self, exact))
            return replace(scored[-1], score=float(len(scored) == 2))

        monkeypatch.setattr(scoring.Validation, "evaluate", second_is_best)
        options = {"learning_rate": "constant"} | layers
        reg = small(RNNWithBatchNormRegressor, early_stopping=True, **options)
        fitted(reg, X[:60], y[:60], X_val=X[60:], y_val=y[60:])
        assert reg.validation_scores_ == [0.0, 1.0, 0.0, 0.0]
        two = fitted(small(RNNWithBatchNormRegressor, max_iter=2, **options), X[:60], y[:60])
        # Weights, gamma and beta; and statistics.
        np.testing.assert_array_equal(reg._parameters, two._parameters)
        np.testing.assert_array_equal(reg._statistics, two._statistics)

    def test_validation_loss_is_the_plain_loss(self):
        X, y = data_for(RNNWithBatchNormClassifier, n=90, ragged=True)
        weight = np.random.default_rng(1).random(30)
        clf = small(early_stopping=True, calibrate=False, alpha=10.0, max_iter=1)
        fitted(clf, X[:60], y[:60], X_val=X[60:], y_val=y[60:], sample_weight_val=weight)
        assert clf.validation_loss_curve_[0] == pytest.approx(
            log_loss(y[60:], clf.predict_proba(X[60:]), sample_weight=weight), rel=1e-5
        )
        expected = accuracy_score(y[60:], clf.predict(X[60:]), sample_weight=weight)
        assert clf.validation_scores_[0] == pytest.approx(expected)

    @pytest.mark.parametrize("cls", BOTH)
    def test_sequences_set_aside(self, cls):
        X, y = data_for(cls, n=100, ragged=True)
        estimator = fitted(small(cls, early_stopping=True, validation_fraction=0.25), X, y)
        assert len(estimator.validation_scores_) == 4
        assert estimator.t_ == 4 * 75
        same = fitted(small(cls, early_stopping=True, validation_fraction=0.25), X, y)
        assert same.validation_scores_ == estimator.validation_scores_

    def test_sequences_set_aside_may_be_the_longest(self):
        X, y = data_for(RNNWithBatchNormRegressor, n=100, n_steps=8)
        X[1:, 5:] = np.nan
        seeds = range(12)
        regs = [
            fitted(
                small(
                    RNNWithBatchNormRegressor,
                    early_stopping=True,
                    validation_fraction=0.3,
                    max_iter=1,
                    random_state=seed,
                ),
                X,
                y,
            )
            for seed in seeds
        ]
        for reg in regs:
            assert reg.running_means_[0].shape == (8, 16)
            np.testing.assert_array_equal(reg.running_means_[0][5:], reg.running_means_[0][[4] * 3])
            assert np.isfinite(reg.predict(X)).all()

    def test_longer_validation_sequences(self):
        X, y = data_for(RNNWithBatchNormRegressor, n=90, n_steps=8)
        reg = small(RNNWithBatchNormRegressor, early_stopping=True)
        fitted(reg, X[:60, :5], y[:60], X_val=X[60:], y_val=y[60:])
        assert reg.running_means_[0].shape == (5, 16)
        assert reg.best_validation_score_ == pytest.approx(reg.score(X[60:], y[60:]), rel=1e-5)

    def test_statistics_of_at_most_some_sequences(self, monkeypatch):
        X, y = data_for(RNNWithBatchNormRegressor, ragged=True)
        options = {"dtype": "float64", "early_stopping": True, "max_iter": 2}
        all_of_them = small(RNNWithBatchNormRegressor, **options)
        fitted(all_of_them, X, y, X_val=X, y_val=y)
        monkeypatch.setattr(scoring, "STATISTICS_ROWS", 30)
        some = fitted(small(RNNWithBatchNormRegressor, **options), X, y, X_val=X, y_val=y)
        assert some.validation_scores_ != all_of_them.validation_scores_
        # In the end they are those of all.
        z = X[:, 0] - some.input_mean_
        z /= np.sqrt(some.input_var_)
        z = z / np.sqrt(1 + (z / 3) ** 2) @ some.coefs_[0]
        np.testing.assert_allclose(some.running_means_[0][0], z.mean(axis=0), atol=1e-10)

    @pytest.mark.parametrize("cls", BOTH)
    def test_partial_fit_needs_given_sequences(self, cls):
        X, y = data_for(cls, ragged=True)
        estimator = small(cls, early_stopping=True)
        with pytest.raises(ValueError, match="does not support early_stopping=True without"):
            estimator.partial_fit(X, y, **classes_for(cls))
        for _ in range(2):
            estimator.partial_fit(X, y, **classes_for(cls), X_val=X, y_val=y)
        assert len(estimator.validation_scores_) == 2
        assert estimator.validation_scores_[-1] == pytest.approx(estimator.score(X, y), rel=1e-5)

    def test_halves_of_validation_data_are_refused(self):
        X, y = data_for(RNNWithBatchNormClassifier)
        for given in ({"X_val": X}, {"y_val": y}, {"sample_weight_val": np.ones(60)}):
            with pytest.raises(ValueError, match="belong together"):
                small(early_stopping=True).fit(X, y, **given)


class TestSolvers:
    @pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop", "lbfgs"])
    @pytest.mark.parametrize("cls", BOTH)
    def test_each_learns(self, cls, solver):
        X, y = data_for(cls, ragged=True)
        options = {
            "adam": {"learning_rate_init": 0.03},
            "rmsprop": {"learning_rate_init": 0.03},
            "sgd": {"learning_rate_init": 0.3},
            "lbfgs": {"max_grad_norm": None},
        }[solver]
        estimator = small(cls, solver=solver, max_iter=80, cell="gru", **options)
        assert fitted(estimator, X, y).score(X, y) > 0.7
        assert hasattr(estimator, "partial_fit") == (solver != "lbfgs")

    def test_lbfgs_refuses_a_loss_that_is_not_finite(self):
        X, y = data_for(RNNWithBatchNormRegressor)
        reg = small(RNNWithBatchNormRegressor, solver="lbfgs", max_grad_norm=None)
        with pytest.raises(ValueError, match=r"The loss was .* other units"):
            fitted(reg, X, y * 1e200)
        assert not reg.__sklearn_is_fitted__()

    @pytest.mark.parametrize(
        ("parameters", "epochs", "rate"),
        [
            ({}, 70, 0.01),
            ({"pooling": "mean", "bidirectional": True}, 70, 0.01),
            ({"pooling": "mean", "bidirectional": False}, 100, 0.01),
            ({"pooling": "last", "bidirectional": True}, 70, 0.01),
            ({"pooling": "last"}, 100, 0.01),
            ({"pooling": "last", "learning_rate": "cosine"}, 100, 0.01),
            ({"learning_rate": "constant"}, 200, 0.001),
            ({"solver": "sgd"}, 200, 0.001),
            ({"solver": "rmsprop", "learning_rate": "one_cycle"}, 200, 0.001),
            ({"max_iter": 3, "learning_rate_init": 0.5}, 3, 0.5),
        ],
    )
    def test_auto(self, parameters, epochs, rate):
        X, y = data_for(RNNWithBatchNormClassifier, n=20, n_steps=3)
        options = {"max_iter": 200, "batch_size": "auto", "hidden_layer_sizes": (2,)}
        clf = fitted(small(**(options | parameters)), X, y)
        assert clf.n_iter_ == epochs
        assert max(clf.learning_rate_curve_) == pytest.approx(rate, rel=0.3)

    @pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop"])
    def test_cosine(self, solver):
        clf = small(learning_rate="cosine", learning_rate_init=0.02, solver=solver, max_iter=8)
        # No warning that it has not converged: it has run as planned.
        clf.fit(*data_for(RNNWithBatchNormClassifier))
        expected = 0.02 * 0.5 * (1 + np.cos(np.pi * np.arange(8) / 8))
        np.testing.assert_allclose(clf.learning_rate_curve_, expected)

    def test_one_cycle_is_the_default(self):
        clf = small(learning_rate_init=0.02, max_iter=10)
        curve = np.array(clf.fit(*data_for(RNNWithBatchNormClassifier)).learning_rate_curve_)
        assert curve[0] == pytest.approx(0.02 / 25)
        assert curve[3] == pytest.approx(0.02)
        assert (np.diff(curve)[3:] < 0).all()

    def test_inverse_scaling(self):
        clf = small(solver="sgd", learning_rate="invscaling")
        fitted(clf, *data_for(RNNWithBatchNormClassifier))
        rows = 60 * np.arange(1, 4)
        np.testing.assert_allclose(clf.learning_rate_curve_, [0.001, *(0.001 / (rows + 1) ** 0.5)])

    def test_gradients_are_clipped_to_a_norm_of_one(self):
        X, y = data_for(RNNWithBatchNormClassifier)
        assert fitted(small(), X, y)._optimizer["max_grad_norm"][0] == 1.0
        off = fitted(small(max_grad_norm=None), X, y)
        assert off._optimizer["max_grad_norm"][0] == np.inf
        loose = fitted(small(max_grad_norm=1e9), X, y)
        np.testing.assert_array_equal(loose._parameters, off._parameters)

    @pytest.mark.parametrize("cell", ["lstm", "gru", "tanh"])
    def test_max_grad_norm(self, cell):
        X, y = data_for(RNNWithBatchNormClassifier)
        parameters = {"solver": "sgd", "momentum": 0.0, "batch_size": 60, "max_iter": 1}
        parameters |= {"cell": cell, "alpha": 0.0, "dtype": "float64", "learning_rate": "constant"}
        steps = []
        for norm in (1e-3, 2e-3):
            start = fitted(small(learning_rate_init=1e-30, **parameters), X, y)
            clipped = small(max_grad_norm=norm, learning_rate_init=1.0, **parameters)
            steps.append(np.linalg.norm(fitted(clipped, X, y)._parameters - start._parameters))
        np.testing.assert_allclose(steps, [1e-3, 2e-3], rtol=1e-6)

    @pytest.mark.parametrize("solver", ["adam", "rmsprop"])
    def test_weight_decay_shrinks_the_weights(self, solver):
        X, y = data_for(RNNWithBatchNormClassifier)
        parameters = {"solver": solver, "learning_rate_init": 0.03, "max_iter": 20}
        for position in (0, 1, -1):
            norms = [
                np.linalg.norm(
                    fitted(small(weight_decay=decay, **parameters), X, y).coefs_[position]
                )
                for decay in (0.0, 10.0)
            ]
            assert norms[0] > norms[1]


class TestDropout:
    @pytest.mark.parametrize("layers", LAYERS, ids=named)
    def test_is_of_training_alone(self, layers):
        X, y = data_for(RNNWithBatchNormRegressor, ragged=True)
        options = {"dtype": "float64"} | layers
        reg = fitted(small(RNNWithBatchNormRegressor, dropout=0.3, **options), X, y)
        same = fitted(small(RNNWithBatchNormRegressor, dropout=0.3, **options), X, y)
        without = fitted(small(RNNWithBatchNormRegressor, **options), X, y)
        np.testing.assert_array_equal(reg._parameters, same._parameters)
        assert (reg._parameters != without._parameters).any()
        # Predictions are those of the same weights in a network without.
        without._parameters, without._statistics = reg._parameters, reg._statistics
        without._target_moments = reg._target_moments
        np.testing.assert_allclose(reg.predict(X), without.predict(X), rtol=1e-12)

    def test_no_dropout_draws_nothing(self):
        X, y = data_for(RNNWithBatchNormClassifier)
        states = [np.random.RandomState(0) for _ in range(2)]
        for state, dropout in zip(states, (0.0, 0.2), strict=True):
            fitted(small(pooling="last", dropout=dropout, shuffle=False, random_state=state), X, y)
        drawn = np.random.RandomState(0)
        drawn.uniform(size=(3, 16))
        for _ in range(4):
            drawn.standard_normal((4, 4))
        drawn.uniform(size=(4, 1))
        expected = drawn.uniform()
        assert states[0].uniform() == expected
        assert states[1].uniform() != expected


class TestPooling:
    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("pooling", POOLINGS)
    @pytest.mark.parametrize("bidirectional", [False, True])
    def test_makes_the_inputs_of_the_output_layer(self, cls, pooling, bidirectional):
        X, y = data_for(cls, ragged=True)
        estimator = fitted(small(cls, pooling=pooling, bidirectional=bidirectional), X, y)
        units = 4 * (2 if bidirectional else 1) * (2 if pooling == "mean_max" else 1)
        assert estimator.coefs_[-1].shape == (units, 1)

    def test_both_directions_with_mean_and_maximum_are_the_default(self):
        X, y = data_for(RNNWithBatchNormClassifier, ragged=True)
        default, both, last = (
            fitted(small(**parameters), X, y)
            for parameters in (
                {},
                {"pooling": "mean_max", "bidirectional": True},
                {"pooling": "last", "bidirectional": False},
            )
        )
        np.testing.assert_array_equal(default._parameters, both._parameters)
        # The network of the paper is one keyword away.
        paper = fitted(small(pooling="last"), X, y)
        np.testing.assert_array_equal(paper._parameters, last._parameters)

    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("pooling", POOLINGS)
    @pytest.mark.parametrize("batch_norm", ["full", None])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_stays_with_the_network(self, cls, pooling, batch_norm, dtype):
        X, y = data_for(cls, ragged=True)
        options = {"pooling": pooling, "batch_norm": batch_norm, "dtype": dtype, "dropout": 0.2}
        estimator = fitted(small(cls, **options), X, y)
        expected = estimator.predict(X)
        changed = pickle.loads(pickle.dumps(estimator)).set_params(pooling="last", warm_start=True)
        np.testing.assert_array_equal(changed.predict(X), expected)
        # Longer sequences than before, and then a warm start.
        longer = np.concatenate([X, X + 0.1], axis=1)
        longer[np.isnan(longer).any(axis=(1, 2)), 6:] = np.nan
        for one in (estimator, changed):
            one.partial_fit(longer, y)
            fitted(one.set_params(warm_start=True), longer, y)
        np.testing.assert_array_equal(changed.predict(longer), estimator.predict(longer))
        np.testing.assert_array_equal(changed._parameters, estimator._parameters)

    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("pooling", POOLINGS)
    @pytest.mark.parametrize("options", [{}, {"solver": "lbfgs", "max_grad_norm": None}])
    def test_learns(self, cls, pooling, options):
        X, y = data_for(cls, n=200, ragged=True)
        options = {"max_iter": 60, "pooling": pooling, "hidden_layer_sizes": (8,)} | options
        assert fitted(small(cls, **options), X, y).score(X, y) > 0.85

    @pytest.mark.parametrize("pooling", ["mean", "max", "mean_max"])
    def test_sees_what_was_long_ago(self, pooling):
        # A plain cell without a gate has forgotten the first steps at the last one.
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((300, 120, 1)), rng.integers(0, 2, 300)
        X[y == 1, 3:6] += 4.0
        options = {"cell": "tanh", "batch_norm": None, "max_iter": 20, "dtype": "float64"}
        scores = {
            name: fitted(small(pooling=name, **options), X[:200], y[:200]).score(X[200:], y[200:])
            for name in ("last", pooling)
        }
        assert scores[pooling] > 0.8 > scores["last"] + 0.15


class TestOneTrainingAfterAnother:
    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("layers", [*LAYERS, *PLAIN_LAYERS], ids=named)
    def test_same_bits_for_one_random_state(self, cls, layers):
        X, y = data_for(cls, ragged=True)
        first, second = (fitted(small(cls, **layers, max_iter=2), X, y) for _ in range(2))
        other = fitted(small(cls, **layers, max_iter=2, random_state=1), X, y)
        np.testing.assert_array_equal(first._parameters, second._parameters)
        np.testing.assert_array_equal(first._statistics, second._statistics)
        assert (first._parameters != other._parameters).any()

    @pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop"])
    @pytest.mark.parametrize("cell", ["lstm", "gru", "tanh"])
    def test_partial_fit_goes_on_as_one_stream(self, solver, cell):
        X, y = data_for(RNNWithBatchNormClassifier, ragged=True)
        # Nothing but the optimizer remembers a call: the stream is the fit, epoch by epoch.
        options = {"learning_rate": "constant", "shuffle": False, "normalize_input": None}
        options |= {"solver": solver, "cell": cell}
        clf = small(**options)
        for _ in range(4):
            clf.partial_fit(X, y, classes=[0, 1])
        whole = fitted(small(**options), X, y)
        np.testing.assert_array_equal(clf._parameters, whole._parameters)
        np.testing.assert_allclose(clf.loss_curve_, whole.loss_curve_)

    def test_partial_fit_merges_the_moments(self):
        X, y = data_for(RNNWithBatchNormClassifier, ragged=True)
        clf = small(batch_size="auto")
        for start in range(0, 60, 7):
            clf.partial_fit(X[start : start + 7], y[start : start + 7], classes=[0, 1])
        np.testing.assert_allclose(clf.input_mean_, np.nanmean(X, axis=(0, 1)), rtol=1e-12)
        np.testing.assert_allclose(clf.input_var_, np.nanvar(X, axis=(0, 1)), rtol=1e-10)

    def test_partial_fit_keeps_predictions_when_the_moments_of_the_target_move(self):
        X, y = data_for(RNNWithBatchNormRegressor)
        options = {"solver": "sgd", "batch_size": "auto", "normalize_input": None}
        reg = small(RNNWithBatchNormRegressor, dtype="float64", **options)
        reg.partial_fit(X[:20], y[:20])
        before = reg.predict(X)
        # A learning rate of nothing, and a sequence too few for statistics.
        reg._learning_rate = 0.0
        reg._moments = np.zeros_like(reg._moments)
        reg.partial_fit(X[20:21], 1e3 * y[20:21])
        np.testing.assert_allclose(reg.predict(X), before, rtol=1e-9)
        assert reg._target_moments[2][0] == 21

    def test_partial_fit_after_fit(self):
        X, y = data_for(RNNWithBatchNormClassifier)
        clf = fitted(small(), X, y)
        steps = clf._optimizer["step"][0]
        clf.partial_fit(X, y)
        assert clf._optimizer["step"][0] == steps + 4
        assert clf.learning_rate_curve_[-1] == 0.001

    def test_classes_are_needed_first_and_unseen_ones_refused(self):
        X, y = data_for(RNNWithBatchNormClassifier)
        clf = small()
        with pytest.raises(ValueError, match="classes must be passed on the first call"):
            clf.partial_fit(X, y)
        clf.partial_fit(X, y, classes=[0, 1])
        with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`"):
            clf.partial_fit(X, y + 1)

    def test_another_number_of_outputs(self):
        X, y = data_for(RNNWithBatchNormRegressor)
        reg = small(RNNWithBatchNormRegressor).partial_fit(X, y)
        with pytest.raises(ValueError, match=r"y has 2 output\(s\)"):
            reg.partial_fit(X, np.column_stack([y, y]))

    @pytest.mark.parametrize("cls", BOTH)
    def test_warm_start(self, cls):
        X, y = data_for(cls, ragged=True)
        estimator = small(cls, warm_start=True, learning_rate_init=0.03)
        loss = fitted(estimator, X, y).loss_
        fitted(estimator, X, y)
        assert len(estimator.loss_curve_) == 8
        assert estimator.loss_ < loss
        fitted(estimator.set_params(warm_start=False), X, y)
        assert len(estimator.loss_curve_) == 4
        again = fitted(small(cls, learning_rate_init=0.03), X, y)
        np.testing.assert_array_equal(estimator._parameters, again._parameters)

    def test_a_refit_forgets_all_of_the_network_before(self):
        X, y = data_for(RNNWithBatchNormClassifier, n_steps=9)
        clf = fitted(small(bidirectional=True), X, y)
        changes = {"normalize_input": None, "cell": "gru", "bidirectional": False}
        shorter = X[:, :4, :2].copy()
        fitted(clf.set_params(**changes), shorter, y)
        fresh = fitted(small(**changes), shorter, y)
        assert vars(clf).keys() == vars(fresh).keys()
        np.testing.assert_array_equal(clf._statistics, fresh._statistics)
        np.testing.assert_array_equal(clf.predict_proba(shorter), fresh.predict_proba(shorter))

    def test_verbose(self, capsys):
        X, y = data_for(RNNWithBatchNormClassifier)
        small(verbose=True).fit(X, y)
        out = capsys.readouterr().out.splitlines()
        assert len(out) == 4
        assert out[0].startswith("Iteration 1 of 4, loss = 0.")
        with pytest.warns(ConvergenceWarning):
            small(verbose=True, learning_rate="constant", early_stopping=True).fit(X, y)
        out = capsys.readouterr().out
        assert out.startswith("Iteration 1, loss = 0.")
        assert "Validation score" in out

    def test_a_plateau_ends_training(self):
        X, y = data_for(RNNWithBatchNormClassifier)
        options = {"learning_rate": "constant", "max_iter": 50, "tol": 10.0}
        assert small(**options, n_iter_no_change=2).fit(X, y).n_iter_ == 4


if HAS_CALLBACKS:

    class Spy:
        """A callback that writes down predictions of each epoch, and may stop the fit."""

        def __init__(self, stop_after=None):
            self.stop_after = stop_after
            self.begun = []
            self.predictions = []

        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            self.begun.append(context.task_name)

        def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
            if context.task_name != "epoch":
                return False
            self.predictions.append(fitted_estimator.predict(X))
            return self.stop_after is not None and len(self.predictions) >= self.stop_after

        def teardown(self, estimator, context):
            pass

    class TestCallbacks:
        @pytest.mark.parametrize("cls", BOTH)
        def test_one_task_an_epoch_and_a_copy_of_everything(self, cls):
            X, y = data_for(cls, ragged=True)
            spy = Spy()
            estimator = fitted(small(cls, learning_rate="constant").set_callbacks(spy), X, y)
            assert spy.begun == ["fit"] + ["epoch"] * 4
            np.testing.assert_array_equal(spy.predictions[-1], estimator.predict(X))
            two = fitted(small(cls, max_iter=2, learning_rate="constant"), X, y)
            np.testing.assert_array_equal(spy.predictions[1], two.predict(X))
            unwatched = fitted(small(cls, learning_rate="constant"), X, y)
            np.testing.assert_array_equal(estimator._parameters, unwatched._parameters)

        @pytest.mark.parametrize("cls", BOTH)
        def test_a_callback_stops_the_fit(self, cls):
            X, y = data_for(cls)
            estimator = small(cls, learning_rate="constant").set_callbacks(Spy(stop_after=2))
            assert estimator.fit(X, y).n_iter_ == 2  # and does not warn


def test_callbacks_are_offered_where_scikit_learn_has_them():
    for cls in BOTH:
        assert hasattr(cls, "set_callbacks") == HAS_CALLBACKS


class TestLastBatch:
    @pytest.mark.parametrize(
        ("batch_norm", "batch_size", "n", "steps"),
        [
            ("full", 32, 34, 1),
            ("full", 32, 40, 2),
            ("input", 32, 71, 2),
            (None, 32, 34, 2),
            ("full", 4, 12, 3),
            ("full", 4, 14, 3),
        ],
    )
    def test_of_few_sequences_joins_the_one_before(self, batch_norm, batch_size, n, steps):
        X, y = data_for(RNNWithBatchNormRegressor, n=n)
        reg = small(
            RNNWithBatchNormRegressor, batch_norm=batch_norm, batch_size=batch_size, max_iter=3
        )
        fitted(reg, X, y)
        assert reg._optimizer["step"] == 3 * steps
