"""What the networks have beyond scikit-learn's, option by option."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from parameters import COLUMNS_ALONE, EXPRESSIBLE
from scipy import sparse
from sklearn.datasets import load_digits, make_regression
from sklearn.ensemble import AdaBoostClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.utils.class_weight import compute_sample_weight

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor
from skbn.estimators import scoring
from skbn.estimators.rows import Rows

BOTH = [MLPWithBatchNormClassifier, MLPWithBatchNormRegressor]


def data_for(cls=MLPWithBatchNormClassifier, n=150):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 5)) * [1, 10, 100, 1, 1] + [0, 1e3, 0, -5, 0]
    score = X[:, 0] + X[:, 1] / 10 - 100 + 0.3 * rng.standard_normal(n)
    return X, np.digitize(score, [-0.5, 1.0]) if cls is MLPWithBatchNormClassifier else 10 * score


def small(cls=MLPWithBatchNormClassifier, **parameters):
    return cls(
        **{
            "hidden_layer_sizes": (12, 8),
            "max_iter": 8,
            "random_state": 0,
            "tol": 0.0,
            "batch_size": 32,
            "n_iter_no_change": 1000,
        }
        | parameters
    )


def fitted(estimator, *arguments, **keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(*arguments, **keywords)


class TestSchedules:
    @pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop"])
    def test_cosine(self, solver):
        clf = small(learning_rate="cosine", learning_rate_init=0.02, solver=solver)
        # No warning that it has not converged: it has run as planned.
        clf.fit(*data_for())
        expected = 0.02 * 0.5 * (1 + np.cos(np.pi * np.arange(8) / 8))
        np.testing.assert_allclose(clf.learning_rate_curve_, expected)

    def test_one_cycle(self):
        clf = small(learning_rate="one_cycle", learning_rate_init=0.02, max_iter=10)
        clf.fit(*data_for())
        curve = np.array(clf.learning_rate_curve_)
        assert curve[0] == pytest.approx(0.02 / 25)
        assert curve[3] == pytest.approx(0.02)
        assert (np.diff(curve)[:3] > 0).all()
        assert (np.diff(curve)[3:] < 0).all()

    def test_they_run_to_the_end(self):
        clf = small(learning_rate="cosine", tol=100.0, n_iter_no_change=1)
        assert clf.fit(*data_for()).n_iter_ == 8

    def test_constant_in_partial_fit(self):
        X, y = data_for()
        clf = small(learning_rate="cosine")
        for _ in range(3):
            clf.partial_fit(X, y, classes=[0, 1, 2])
        assert clf.learning_rate_curve_ == [0.001] * 3

    def test_curve_of_the_others(self):
        clf = fitted(small(solver="sgd", learning_rate="invscaling"), *data_for())
        rows = 150 * np.arange(1, 8)
        np.testing.assert_allclose(clf.learning_rate_curve_, [0.001, *(0.001 / (rows + 1) ** 0.5)])


class TestEarlyStopping:
    @pytest.mark.parametrize("cls", BOTH)
    def test_the_best_epoch_is_restored(self, cls):
        X, y = data_for(cls)
        estimator = small(cls, early_stopping=True, max_iter=40, learning_rate_init=0.05)
        fitted(estimator, X[:100], y[:100], X_val=X[100:], y_val=y[100:])
        scores = estimator.validation_scores_
        assert len(scores) == len(estimator.validation_loss_curve_) == estimator.n_iter_
        assert estimator.best_validation_score_ == max(scores)
        # Weights, gamma, beta and statistics are those of that epoch: statistics of all rows
        # were what the score was taken with.
        assert estimator.score(X[100:], y[100:]) == pytest.approx(max(scores), abs=1e-6)
        assert estimator.best_loss_ is None

    def test_validation_loss_is_the_plain_loss(self):
        X, y = data_for()
        clf = small(early_stopping=True, alpha=10.0, max_iter=1, calibrate=False)
        fitted(clf, X[:100], y[:100], X_val=X[100:], y_val=y[100:])
        assert clf.validation_loss_curve_[0] == pytest.approx(
            log_loss(y[100:], clf.predict_proba(X[100:])), rel=1e-5
        )

    def test_weights_of_validation_rows(self):
        X, y = data_for()
        weight = np.random.default_rng(1).random(50)
        clf = small(early_stopping=True, max_iter=1)
        fitted(clf, X[:100], y[:100], X_val=X[100:], y_val=y[100:], sample_weight_val=weight)
        expected = accuracy_score(y[100:], clf.predict(X[100:]), sample_weight=weight)
        assert clf.validation_scores_[0] == pytest.approx(expected)

    def test_regression_scores_are_in_the_unit_of_the_target(self):
        X, y = data_for(MLPWithBatchNormRegressor)
        reg = small(MLPWithBatchNormRegressor, early_stopping=True, max_iter=1)
        fitted(reg, X[:100], y[:100], X_val=X[100:], y_val=y[100:])
        assert reg.validation_scores_[0] == pytest.approx(
            r2_score(y[100:], reg.predict(X[100:])), rel=1e-5
        )

    def test_a_plateau_ends_training(self):
        X, y = data_for()
        clf = small(
            early_stopping=True,
            learning_rate="constant",
            max_iter=500,
            tol=1e-4,
            n_iter_no_change=4,
        )
        clf.fit(X, y)
        assert clf.n_iter_ < 500
        assert clf.loss_curve_ != []

    def test_string_labels(self):
        X, y = data_for()
        clf = small(early_stopping=True)
        fitted(clf, X, np.array(["a", "b", "c"])[y])
        numbers = fitted(small(early_stopping=True), X, y)
        assert clf.validation_scores_ == numbers.validation_scores_
        np.testing.assert_array_equal(clf.predict(X), np.array(["a", "b", "c"])[numbers.predict(X)])

    @pytest.mark.parametrize(
        ("cls", "n", "n_held_out"),
        [
            # A tenth, rounded up, of 190 rows are 19, and of 191 rows 20.
            (MLPWithBatchNormClassifier, 190, 0),
            (MLPWithBatchNormClassifier, 191, 20),
            (MLPWithBatchNormRegressor, 999, 0),
            (MLPWithBatchNormRegressor, 1000, 100),
        ],
    )
    def test_auto_holds_rows_out(self, cls, n, n_held_out):
        X, y = data_for(cls, n)
        assert small(cls).early_stopping == "auto"
        estimator = fitted(small(cls), X, y)
        assert estimator.n_iter_ == 8
        assert estimator.t_ == 8 * (n - n_held_out)
        if n_held_out:
            # 30, 40 ... 100 % of 8 epochs: 2.4, 3.2, 4, 4.8, 5.6, 6.4, 7.2 and 8, rounded.
            assert estimator.validation_epochs_ == [2, 3, 4, 5, 6, 7, 8]
            assert len(estimator.validation_scores_) == 7
        else:
            assert estimator.validation_scores_ is estimator.validation_epochs_ is None
        constant = fitted(small(cls, learning_rate="constant"), X, y)
        assert constant.validation_scores_ is None
        classes = {"classes": [0, 1, 2]} if cls is MLPWithBatchNormClassifier else {}
        stream = small(cls).partial_fit(X, y, **classes)
        assert stream.validation_scores_ is None

    @pytest.mark.filterwarnings("ignore:The number of unique classes:UserWarning")
    @pytest.mark.parametrize("n_together", [0, 25])
    def test_auto_holds_out_no_row_of_classes_of_one(self, n_together):
        X, _ = data_for(n=300)
        y = np.maximum(np.arange(300), n_together)
        clf = fitted(small(), X, y)
        # 30 rows are wanted. Rows 0 to 25 are of one class: all but one of them are held out.
        assert (clf.validation_scores_ is None) == (n_together == 0)
        assert clf.t_ == 8 * (300 if n_together == 0 else 275)

    def test_auto_trains_on_each_class(self):
        # 100 of 1,000 rows are held out, and 150 are of classes of two rows.
        y = np.append(np.arange(850), 850 + np.arange(150) // 2).astype(float).reshape(-1, 1)
        rows = Rows(np.arange(1000.0).reshape(-1, 1), y, None)
        for seed in range(3):
            training, held_out = scoring.hold_out(
                rows, 0.1, np.random.RandomState(seed), stratified=True, shuffle=True
            )
            assert len(np.unique(training.targets)) == 925
            assert training.n + held_out.n == 1000

    @pytest.mark.parametrize("early_stopping", ["auto", True])
    def test_outputs_that_are_not_finite_have_no_temperature(self, early_stopping):
        X, y = data_for()
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        X_val = X[:30].copy()
        X_val[0, 0] = 1e60
        options = {"normalize_input": None, "periodic_embedding": None}
        clf = fitted(
            small(early_stopping=early_stopping, **options), X, y, X_val=X_val, y_val=y[:30]
        )
        assert np.isnan(clf.validation_scores_).all()
        assert clf.temperature_ == 1.0

    @pytest.mark.parametrize("cls", BOTH)
    def test_auto_takes_given_rows(self, cls):
        X, y = data_for(cls)
        estimator = fitted(small(cls), X, y, X_val=X[:20], y_val=y[:20])
        assert estimator.validation_epochs_ == [2, 3, 4, 5, 6, 7, 8]
        assert estimator.t_ == 8 * 150
        with pytest.warns(UserWarning, match="early_stopping='auto' does not use it here"):
            estimator = fitted(small(cls), X, y, X_val=X[:19], y_val=y[:19])
        # They are recorded after each epoch.
        assert estimator.validation_epochs_ == [1, 2, 3, 4, 5, 6, 7, 8]

    @pytest.mark.parametrize("early_stopping", [True, np.True_])
    def test_partial_fit_needs_given_rows(self, early_stopping):
        X, y = data_for()
        clf = small(early_stopping=early_stopping)
        with pytest.raises(ValueError, match="does not support early_stopping=True without"):
            clf.partial_fit(X, y, classes=[0, 1, 2])
        for _ in range(3):
            clf.partial_fit(X, y, classes=[0, 1, 2], X_val=X, y_val=y)
        assert len(clf.validation_scores_) == len(clf.validation_loss_curve_) == 3
        assert clf.validation_scores_[-1] == pytest.approx(clf.score(X, y))

    @pytest.mark.parametrize("early_stopping", [False, "auto"])
    def test_rows_without_early_stopping_are_recorded_with_a_warning(self, early_stopping):
        X, y = data_for()
        words = f"X_val is given, but early_stopping={early_stopping!r} does not use it here: "
        with pytest.warns(UserWarning, match=words), pytest.warns(ConvergenceWarning):
            clf = small(learning_rate="constant", early_stopping=early_stopping).fit(
                X, y, X_val=X, y_val=y
            )
        assert len(clf.validation_loss_curve_) == 8
        plain = fitted(small(learning_rate="constant"), X, y)
        np.testing.assert_array_equal(clf._parameters, plain._parameters)

    def test_halves_of_validation_data_are_refused(self):
        X, y = data_for()
        for given in ({"X_val": X}, {"y_val": y}, {"sample_weight_val": np.ones(150)}):
            with pytest.raises(ValueError, match="belong together"):
                small(early_stopping=True).fit(X, y, **given)

    def test_one_row_has_no_r2(self):
        X, y = data_for(MLPWithBatchNormRegressor)
        reg = small(MLPWithBatchNormRegressor, early_stopping=True)
        with pytest.raises(ValueError, match="minimum of 2 is required by MLPWithBatchNormRegr"):
            reg.fit(X, y, X_val=X[:1], y_val=y[:1])
        clf = fitted(small(early_stopping=True), *data_for(), X_val=X[:1], y_val=[0])
        assert set(clf.validation_scores_) <= {0.0, 1.0}

    def test_statistics_of_at_most_some_rows(self, monkeypatch):
        X, y = data_for()
        monkeypatch.setattr(scoring, "STATISTICS_ROWS", 50)
        options = {"dtype": "float64", "normalize_input": "standard", **COLUMNS_ALONE}
        clf = small(early_stopping=True, **options)
        fitted(clf, X, y, X_val=X, y_val=y)
        # In the end they are those of all rows.
        z = (X - clf.input_mean_) / np.sqrt(clf.input_var_) @ clf.coefs_[0]
        np.testing.assert_allclose(clf.running_means_[0], z.mean(axis=0), atol=1e-10)

    def test_a_training_that_diverges_ends_with_its_best_epoch(self):
        X, y = make_regression(100, 5, random_state=0)
        reg = MLPWithBatchNormRegressor(
            batch_norm=None,
            normalize_input=None,
            normalize_target=False,
            activation="identity",
            solver="sgd",
            hidden_layer_sizes=(100,),
            batch_size=90,
            learning_rate="constant",
            learning_rate_init=0.02,
            early_stopping=True,
            random_state=0,
        )
        with pytest.warns(ConvergenceWarning, match="The best epoch before is restored"):
            reg.fit(X, y)
        assert len(reg.validation_scores_) == len(reg.loss_curve_) == reg.n_iter_
        # Nothing of what went astray is left to go on from.
        reg.set_params(early_stopping=False).partial_fit(X, y)
        assert np.isfinite(reg.predict(X)).all()
        assert np.isfinite(reg.predict(X)).all()


class TestRegularization:
    def test_dropout(self):
        X, y = data_for()
        clf = fitted(small(dropout=0.3, **EXPRESSIBLE), X, y)
        same = fitted(small(dropout=0.3, **EXPRESSIBLE), X, y)
        without = fitted(small(**EXPRESSIBLE), X, y)
        np.testing.assert_array_equal(clf._parameters, same._parameters)
        assert (clf._parameters != without._parameters).any()
        # Predictions drop nothing: they are those of the same weights in a plain network.
        plain = clf.to_sklearn()
        np.testing.assert_allclose(clf.predict_proba(X), plain.predict_proba(X), atol=1e-5)
        assert (
            fitted(small(dropout=0.3, random_state=1, **EXPRESSIBLE), X, y)._parameters
            != clf._parameters
        ).any()

    def test_no_dropout_draws_nothing(self):
        X, y = data_for()
        state = np.random.RandomState(0)
        options = {"shuffle": False, "periodic_embedding": None}
        fitted(small(dropout=0.0, random_state=state, **options), X, y)
        drawn = np.random.RandomState(0)
        for fan_in, fan_out in ((5, 12), (12, 8), (8, 3)):
            drawn.uniform(size=(fan_in, fan_out))
            drawn.uniform(size=fan_out)
        assert state.uniform() == drawn.uniform()

    @pytest.mark.parametrize("solver", ["adam", "rmsprop"])
    def test_weight_decay_shrinks_the_weights(self, solver):
        X, y = data_for()
        parameters = {"solver": solver, "learning_rate_init": 0.03, "max_iter": 30}
        norms = [
            np.linalg.norm(fitted(small(weight_decay=decay, **parameters), X, y).coefs_[0])
            for decay in (0.0, 1.0, 10.0)
        ]
        assert norms[0] > norms[1] > norms[2]

    @pytest.mark.parametrize("solver", ["sgd", "rmsprop"])
    def test_max_grad_norm(self, solver):
        X, y = data_for()
        # An epsilon that leaves RMSProp the size of the gradient.
        parameters = {"solver": solver, "momentum": 0.0, "epsilon": 1.0, "weight_decay": 0.0}
        clipped = small(max_grad_norm=1e-9, **parameters)
        start = small(learning_rate_init=1e-30, **parameters)
        step = np.abs(fitted(clipped, X, y).coefs_[0] - fitted(start, X, y).coefs_[0]).max()
        assert step < 1e-9
        loose = fitted(small(max_grad_norm=1e9), X, y)
        np.testing.assert_array_equal(loose._parameters, fitted(small(), X, y)._parameters)

    @pytest.mark.parametrize("name", ["dropout", "weight_decay", "max_grad_norm"])
    def test_not_with_lbfgs(self, name):
        with pytest.raises(ValueError, match=f"{name}=0.1 cannot be used with solver='lbfgs'"):
            small(solver="lbfgs", **{name: 0.1}).fit(*data_for())

    def test_init_scale(self):
        X, y = data_for()
        start = {"learning_rate_init": 1e-30, "alpha": 0.0, "solver": "sgd"}
        one = fitted(small(**start), X, y)
        ten = fitted(small(init_scale=10.0, **start), X, y)
        np.testing.assert_allclose(ten.coefs_[0], 10 * one.coefs_[0], rtol=1e-6)
        np.testing.assert_allclose(ten.intercepts_[-1], one.intercepts_[-1], rtol=1e-6)


class TestClassWeight:
    @pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 1: 1.0, 2: 0.5}])
    def test_is_a_sample_weight(self, class_weight):
        X, y = data_for()
        by_class = fitted(small(class_weight=class_weight), X, y)
        by_row = fitted(small(), X, y, sample_weight=compute_sample_weight(class_weight, y))
        np.testing.assert_array_equal(by_class.predict_proba(X), by_row.predict_proba(X))

    def test_multiplies_the_given_one(self):
        X, y = data_for()
        weight = np.random.default_rng(0).integers(0, 3, 150)
        both = fitted(small(class_weight={0: 2.0, 1: 1.0, 2: 1.0}), X, y, sample_weight=weight)
        one = fitted(small(), X, y, sample_weight=weight * np.where(y == 0, 2.0, 1.0))
        np.testing.assert_array_equal(both.predict_proba(X), one.predict_proba(X))

    @pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
    def test_must_be_finite_and_not_negative(self, bad):
        with pytest.raises(ValueError, match="class_weight must be >= 0 and finite"):
            small(class_weight={0: bad, 1: 1.0, 2: 1.0}).fit(*data_for())

    def test_balanced_is_refused_in_partial_fit(self):
        X, y = data_for()
        with pytest.raises(ValueError, match="'balanced' is not supported by partial_fit"):
            small(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])
        small(class_weight={0: 2.0}).partial_fit(X, y, classes=[0, 1, 2])


class TestLosses:
    def test_absolute_error_is_robust(self):
        X, y = data_for(MLPWithBatchNormRegressor)
        clean = y.copy()
        y = y.copy()
        y[::10] += 1e4
        errors = {
            loss: np.median(
                np.abs(
                    fitted(
                        small(
                            MLPWithBatchNormRegressor,
                            loss=loss,
                            max_iter=100,
                            learning_rate_init=0.01,
                        ),
                        X,
                        y,
                    ).predict(X)
                    - clean
                )
            )
            for loss in ("absolute_error", "squared_error")
        }
        assert errors["absolute_error"] < 0.5 * errors["squared_error"]

    def test_poisson(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((400, 3))
        mean = 50 * np.exp(X[:, 0])
        y = rng.poisson(mean)
        reg = small(MLPWithBatchNormRegressor, loss="poisson", max_iter=100)
        prediction = fitted(reg, X, y).predict(X)
        assert (prediction > 0).all()
        assert np.corrcoef(np.log(prediction), X[:, 0])[0, 1] > 0.97
        assert reg.out_activation_ == "exp"

    def test_poisson_refuses_negative_targets(self):
        X, y = data_for(MLPWithBatchNormRegressor)
        with pytest.raises(ValueError, match="needs targets >= 0"):
            small(MLPWithBatchNormRegressor, loss="poisson").fit(X, y)

    def test_poisson_over_calls_of_partial_fit(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((100, 3))
        reg = small(
            MLPWithBatchNormRegressor,
            loss="poisson",
            batch_size="auto",
            dtype="float64",
            solver="sgd",
            normalize_input=None,
        )
        reg.partial_fit(X, rng.poisson(2.0, 100))
        before = reg.predict(X)
        reg._learning_rate = 0.0
        reg._moments = np.zeros_like(reg._moments)
        reg.partial_fit(X[:1], [1000])
        np.testing.assert_allclose(reg.predict(X), before, rtol=1e-9)


class TestRmsprop:
    @pytest.mark.parametrize("cls", BOTH)
    def test_learns(self, cls):
        X, y = data_for(cls)
        estimator = small(cls, solver="rmsprop", learning_rate_init=0.01, max_iter=30)
        assert estimator.fit(X, y).score(X, y) > 0.8

    def test_its_parameters_and_no_other_s(self):
        X, y = data_for()
        ours = fitted(small(solver="rmsprop"), X, y)._parameters
        for change in ({"momentum": 0.5}, {"beta_2": 0.5}, {"epsilon": 0.1}):
            assert (fitted(small(solver="rmsprop", **change), X, y)._parameters != ours).any()
        for change in ({"beta_1": 0.5}, {"nesterovs_momentum": False}, {"power_t": 0.1}):
            same = fitted(small(solver="rmsprop", **change), X, y)
            np.testing.assert_array_equal(same._parameters, ours)

    def test_the_first_step(self):
        X, y = data_for()
        parameters = {"solver": "rmsprop", "batch_size": 150, "max_iter": 1, "dtype": "float64"}
        parameters["weight_decay"] = 0.0
        start, one = (
            fitted(small(beta_2=0.75, learning_rate_init=rate, **parameters), X, y)
            for rate in (1e-30, 1e-6)
        )
        # lr / sqrt(1 - beta_2), whatever the gradient; the cycle begins with a 25th of the rate.
        step = np.abs(one.coefs_[-1] - start.coefs_[-1])
        np.testing.assert_allclose(step, 1e-6 / 25 / 0.5, rtol=1e-3)

    def test_partial_fit_resumes_as_one_stream(self):
        X, y = data_for()
        # Nothing but the optimizer remembers a call: the stream is the fit, epoch by epoch.
        options = {"learning_rate": "constant", "shuffle": False, "normalize_input": None}
        options["periodic_embedding"] = None
        clf = small(solver="rmsprop", **options)
        for _ in range(8):
            clf.partial_fit(X, y, classes=[0, 1, 2])
        whole = fitted(small(solver="rmsprop", **options), X, y)
        np.testing.assert_array_equal(clf._parameters, whole._parameters)

    @pytest.mark.parametrize("schedule", ["invscaling", "adaptive"])
    def test_schedules_of_sgd_are_constant(self, schedule):
        clf = fitted(small(solver="rmsprop", learning_rate=schedule), *data_for())
        assert clf.learning_rate_curve_ == [0.001] * 8


class TestLbfgs:
    @pytest.mark.parametrize("batch_norm", ["before", "after"])
    def test_with_batch_norm_the_statistics_are_those_of_all_rows(self, batch_norm):
        X, y = data_for()
        clf = fitted(
            small(solver="lbfgs", batch_norm=batch_norm, dtype="float64", max_iter=50), X, y
        )
        assert clf.score(X, y) > 0.85
        # What was minimized is what predicts.
        assert clf.loss_ == pytest.approx(
            log_loss(y, clf.predict_proba(X))
            + 0.5 * clf.alpha * sum(np.sum(w**2) for w in clf.coefs_) / len(X),
            rel=1e-9,
        )
        assert not hasattr(clf, "partial_fit")


class TestSparse:
    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("batch_norm", ["before", "after", None])
    def test_is_the_dense_table(self, cls, batch_norm):
        X, y = data_for(cls)
        X[np.abs(X) < 1] = 0
        options = {"dtype": "float64", "batch_norm": batch_norm, "early_stopping": True}
        # What a sparse table has by default.
        options |= {"normalize_input": "smooth_clip", "periodic_embedding": None}
        dense = fitted(small(cls, **options), X, y)
        thin = fitted(small(cls, **options), sparse.csr_matrix(X), y)
        np.testing.assert_allclose(thin.predict(sparse.csc_array(X)), dense.predict(X), rtol=1e-7)
        np.testing.assert_allclose(thin.predict(X), dense.predict(X), rtol=1e-7)
        np.testing.assert_allclose(thin.input_mean_, dense.input_mean_, rtol=1e-12)

    def test_weights_and_partial_fit(self):
        X, y = data_for()
        X[np.abs(X) < 1] = 0
        weight = np.random.default_rng(0).integers(0, 3, 150)
        options = {"dtype": "float64", "batch_size": "auto"}
        dense, thin = small(**options), small(**options)
        for start in range(0, 150, 50):
            rows = slice(start, start + 50)
            dense.partial_fit(X[rows], y[rows], weight[rows], classes=[0, 1, 2])
            thin.partial_fit(sparse.csr_matrix(X[rows]), y[rows], weight[rows], classes=[0, 1, 2])
        np.testing.assert_allclose(thin.predict_proba(X), dense.predict_proba(X), rtol=1e-6)

    def test_duplicates_are_summed_and_the_matrix_is_left_alone(self):
        X = sparse.csr_matrix((np.ones(4), [0, 0, 1, 1], [0, 2, 4]), shape=(2, 2))
        X = sparse.vstack([X] * 20, format="csr")
        y = np.arange(40) % 2
        clf = fitted(small(dtype="float64"), X, y)
        assert X.nnz == 80
        np.testing.assert_allclose(clf.predict_proba(X), clf.predict_proba(X.toarray()))


class TestStreams:
    def test_class_sorted_streams_stay_finite(self):
        X, y = load_digits(return_X_y=True)
        order = np.argsort(y, kind="stable")
        clf = MLPWithBatchNormClassifier(random_state=0)
        for _ in range(5):
            for start in range(0, len(X), 50):
                rows = order[start : start + 50]
                clf.partial_fit(X[rows], y[rows], classes=np.arange(10))
        assert np.isfinite(clf.predict_proba(X)).all()

    def test_ada_boost_whose_weights_sum_to_one(self):
        X, y = load_digits(return_X_y=True)
        boosted = AdaBoostClassifier(
            MLPWithBatchNormClassifier(
                (20,), max_iter=30, learning_rate_init=0.01, alpha=0.0, random_state=0
            ),
            n_estimators=3,
        )
        assert fitted(boosted, X[:600], y[:600]).score(X[600:], y[600:]) > 0.8


def test_threads_give_the_same_results_as_one_by_one():
    X, y = load_digits(return_X_y=True)
    estimators = [small(random_state=seed, dropout=0.1) for seed in range(6)]
    alone = [fitted(small(random_state=seed, dropout=0.1), X, y) for seed in range(6)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        with ThreadPoolExecutor(3) as pool:
            together = list(pool.map(lambda estimator: estimator.fit(X, y), estimators))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one._parameters, other._parameters)


@pytest.mark.parametrize("cls", BOTH)
def test_fitted_state_is_plain_arrays_and_numbers(cls):
    X, y = data_for(cls)
    estimator = fitted(small(cls, early_stopping=True), X, y)
    plain = (np.ndarray, np.generic, int, float, str, bool, list, tuple, dict, type(None))
    for name, value in vars(estimator).items():
        assert isinstance(value, plain), name
        if isinstance(value, list | tuple):
            assert all(isinstance(item, (*plain, int)) for item in value), name


def test_memmapped_and_read_only_input(tmp_path):
    X, y = data_for()
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        fitted(small(), mapped, y).predict_proba(mapped), fitted(small(), X, y).predict_proba(X)
    )
