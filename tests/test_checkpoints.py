"""Held-out rows under ``early_stopping="auto"``, checkpoints, and what is watched there."""

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, make_scorer

from skbn import (
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
)
from skbn.estimators.losses import REGRESSION_LOSSES
from skbn.estimators.rows import Rows
from skbn.estimators.scoring import Validation, hold_out
from skbn.kernels import losses as loss_kernels
from skbn.training.checkpoints import Checkpoints, checkpoint_epochs, is_ahead
from skbn.training.validation_record import Evaluation, ValidationRecord


class TestEpochs:
    @pytest.mark.parametrize(
        ("n_epochs", "expected"),
        [
            (20, [6, 8, 10, 12, 14, 16, 18, 20]),
            (24, [7, 10, 12, 14, 17, 19, 22, 24]),
            (3, [1, 2, 3]),
            (1, [1]),
        ],
    )
    def test_thirty_to_a_hundred_percent(self, n_epochs, expected):
        assert checkpoint_epochs(n_epochs, Validation.shares) == expected


def run(scores, n_epochs=10, rows=None):
    """Checkpoints of a training whose networks are numbers; the number that is kept."""
    now = {"epoch": 0}
    looks = iter(range(len(scores)))

    def evaluate():
        look = next(looks)
        return Evaluation(scores[look], 0.5, None if rows is None else rows[look])

    record = ValidationRecord(evaluate, lambda: now["epoch"], False)
    criterion = Checkpoints(n_epochs, record, Validation.shares, 2.0)
    for epoch in range(1, n_epochs + 1):
        now["epoch"] = epoch
        assert criterion.epoch_ended(epoch, 1.0 / epoch) is False
    chosen = criterion.chosen()
    return criterion, now["epoch"] if chosen is None else chosen


class TestTheChoice:
    def test_the_best_score(self):
        criterion, chosen = run([0.1, 0.2, 0.9, 0.3, 0.4, 0.5, 0.6, 0.7])
        assert chosen == 5
        assert criterion.record.epochs == [3, 4, 5, 6, 7, 8, 9, 10]
        assert criterion.record.best_score == 0.9
        assert criterion.record.losses == [0.5] * 8
        assert criterion.best_loss == 0.1

    def test_an_equal_score_is_not_ahead(self):
        _, chosen = run([0.1, 0.2, 0.7, 0.3, 0.4, 0.5, 0.6, 0.7])
        assert chosen == 10

    def test_a_last_network_that_is_not_finite_is_left(self):
        _, chosen = run([0.1, 0.2, 0.3, np.nan, 0.0, 0.0, 0.0, np.nan])
        assert chosen == 5

    @pytest.mark.parametrize(("errors", "kept"), [(2.1, 5), (1.9, 10)])
    def test_two_standard_errors_of_the_differences(self, errors, kept):
        rng = np.random.default_rng(0)
        n = 50
        base = rng.random(n)
        difference = rng.standard_normal(n)
        difference -= difference.mean()
        # The standard error of the mean difference is std / sqrt(n).
        difference += errors * difference.std() / np.sqrt(n)
        rows = [base + 1.0] * 8
        rows[2], rows[7] = base, base + difference
        _, chosen = run([-r.mean() for r in rows], rows=rows)
        assert chosen == kept

    def test_weights_of_rows(self):
        rng = np.random.default_rng(0)
        weights = rng.integers(1, 4, 40).astype(float)
        losses = rng.random((2, 40))
        share = weights / weights.sum()
        mean = share @ (losses[1] - losses[0])
        error = np.sqrt(np.sum(share**2 * (losses[1] - losses[0] - mean) ** 2))
        for shift, expected in ((2.01, True), (1.99, False)):
            later = losses[1] - mean + shift * error
            best, last = (Evaluation(0.0, 0.0, row, weights) for row in (losses[0], later))
            assert is_ahead(best, last, 2.0) is expected
            assert is_ahead(best, last, 1.0)
            assert not is_ahead(best, last, 3.0)
            # One weight for all is none.
            alike = [
                is_ahead(Evaluation(0.0, 0.0, losses[0], w), Evaluation(0.0, 0.0, later, w), 2.0)
                for w in (None, np.full(40, 7.0))
            ]
            assert alike[0] is alike[1]


class TestTheHeldOutRows:
    def held(self, classes, fraction=0.1, seed=0, **options):
        classes = np.asarray(classes, float)
        rows = Rows(np.arange(len(classes))[:, np.newaxis], classes[:, np.newaxis])
        options = {"stratified": True, "shuffle": True} | options
        training, held = hold_out(rows, fraction, np.random.RandomState(seed), **options)
        both = np.concatenate([training.numbers, held.own_X[:, 0]])
        np.testing.assert_array_equal(np.sort(both), np.arange(len(classes)))
        return training, held

    @pytest.mark.parametrize("seed", range(5))
    def test_each_class_gives_its_share(self, seed):
        classes = np.repeat([0, 1, 2], [700, 250, 57])
        _, held = self.held(np.random.default_rng(seed).permutation(classes), seed=seed)
        counts = np.bincount(held.targets[:, 0].astype(int))
        assert held.n == 101
        for count, share in zip(counts, (70.2, 25.1, 5.7), strict=True):
            assert abs(count - share) <= 1.0

    @pytest.mark.parametrize("seed", range(20))
    def test_more_classes_than_held_out_rows_and_classes_of_one_row(self, seed):
        classes = np.concatenate([np.arange(60), np.arange(30), np.arange(30), np.arange(10)])
        training, held = self.held(classes, seed=seed)
        assert held.n == 13
        assert set(training.targets[:, 0]) == set(range(60))
        assert held.targets.max() < 30

    @pytest.mark.parametrize("fraction", [0.6, 0.9, 0.99])
    def test_every_class_is_trained_on(self, fraction):
        for seed in range(10):
            training, _ = self.held(np.repeat(np.arange(20), 2), fraction, seed)
            assert set(training.targets[:, 0]) == set(range(20))

    def test_every_row_may_be_held_out(self):
        counts = np.zeros(50)
        for seed in range(400):
            _, held = self.held(np.arange(50) % 2, seed=seed)
            counts[held.own_X[:, 0]] += 1
        # Forty of four hundred each, with a deviation of six.
        assert 15 < counts.min() <= counts.max() < 65

    def test_regression(self):
        _, held = self.held(np.arange(95.0), stratified=False)
        assert held.n == 10
        assert np.ptp(held.own_X) > 30

    @pytest.mark.parametrize("stratified", [False, True])
    def test_the_last_rows_without_shuffle(self, stratified):
        training, held = self.held(np.arange(40) % 3, shuffle=False, stratified=stratified)
        np.testing.assert_array_equal(held.own_X[:, 0], [36, 37, 38, 39])
        np.testing.assert_array_equal(training.numbers, np.arange(36))


QUICK = {"hidden_layer_sizes": (8,), "n_epochs": 10, "random_state": 0}


def data(n, classification=True):
    if classification:
        return make_classification(n, 6, flip_y=0.2, random_state=0)
    return make_regression(n, 6, noise=50.0, random_state=0)


def estimator(classification=True, **parameters):
    kind = MLPWithBatchNormClassifier if classification else MLPWithBatchNormRegressor
    return kind(**QUICK | parameters)


class TestWhen:
    @pytest.mark.parametrize(
        ("classification", "n", "parameters", "expected"),
        [
            (True, 191, {}, True),
            (True, 190, {}, False),
            (True, 400, {"validation_fraction": 0.05}, True),
            (True, 400, {"validation_fraction": 0.04}, False),
            (True, 400, {"learning_rate": "cosine"}, True),
            (True, 400, {"learning_rate": "cosine", "solver": "sgd"}, True),
            (True, 400, {"learning_rate": "constant", "max_iter": 3}, False),
            (True, 400, {"early_stopping": False}, False),
            (False, 1000, {}, True),
            (False, 999, {}, False),
        ],
    )
    @pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
    def test_rows_are_held_out(self, classification, n, parameters, expected):
        model = estimator(classification, **parameters).fit(*data(n, classification))
        assert (model.validation_scores_ is not None) == expected
        n_held = int(np.ceil(n * parameters.get("validation_fraction", 0.1))) if expected else 0
        assert model.t_ == model.n_iter_ * (n - n_held)
        epochs = list(range(3, 11)) if expected else None
        assert model.validation_epochs_ == epochs

    def test_lbfgs(self):
        clf = estimator(solver="lbfgs", max_iter=500).fit(*data(400))
        assert not hasattr(clf, "validation_scores_")
        assert not hasattr(clf, "temperature_")

    @pytest.mark.parametrize(("n_given", "expected"), [(20, True), (19, False)])
    def test_given_rows_are_used_instead(self, n_given, expected):
        X, y = data(420, False)
        reg = estimator(False)
        given = {"X_val": X[:n_given], "y_val": y[:n_given]}
        if expected:
            reg.fit(X[20:], y[20:], **given)
        else:
            with pytest.warns(UserWarning, match="early_stopping='auto' does not use it here"):
                reg.fit(X[20:], y[20:], **given)
        assert reg.t_ == reg.n_iter_ * 400
        assert reg.validation_epochs_ == (list(range(3, 11)) if expected else list(range(1, 11)))

    def test_a_stream_holds_nothing_out(self):
        clf = estimator().partial_fit(*data(400), classes=[0, 1])
        assert clf.validation_scores_ is None
        assert clf.t_ == 400

    def test_an_only_row_of_a_class(self):
        X, y = data(400)
        y[7] = 2
        clf = estimator().fit(X, y)
        np.testing.assert_array_equal(clf.classes_, [0, 1, 2])
        assert clf.t_ == 10 * 360


class TestWhatIsWatched:
    def by_hand(self, clf, X, y, **parameters):
        """The held-out rows of a fit, found as its rows of the map in front."""
        return clf

    def test_the_tempered_log_loss(self):
        X, y = data(600)
        given = {"X_val": X[:100], "y_val": y[:100]}
        clf = estimator().fit(X[100:], y[100:], **given)
        assert clf.best_validation_score_ == max(clf.validation_scores_)
        last = -log_loss(y[:100], clf.predict_proba(X[:100]))
        if clf.validation_scores_[-1] >= clf.best_validation_score_:
            assert clf.validation_scores_[-1] == pytest.approx(last, rel=1e-5)
        plain = estimator(calibrate=False).fit(X[100:], y[100:], **given)
        np.testing.assert_allclose(
            plain.validation_scores_, -np.array(plain.validation_loss_curve_), rtol=1e-6
        )
        # No temperature is worse than none.
        tempered = np.array(clf.validation_scores_)
        assert (tempered >= -np.array(clf.validation_loss_curve_) - 1e-6).all()

    @pytest.mark.parametrize("loss", list(REGRESSION_LOSSES))
    def test_the_trained_loss(self, loss):
        X, y = data(600, False)
        y = np.abs(y) if loss == "poisson" else y
        weight = np.arange(100.0) % 3
        given = {"X_val": X[:100], "y_val": y[:100], "sample_weight_val": weight}
        reg = estimator(False, loss=loss).fit(X[100:], y[100:], **given)
        np.testing.assert_allclose(
            reg.validation_scores_, -np.array(reg.validation_loss_curve_), rtol=1e-5, atol=1e-6
        )

    @pytest.mark.parametrize("loss", list(REGRESSION_LOSSES))
    def test_losses_of_rows_are_the_kernels(self, loss):
        rng = np.random.default_rng(0)
        z, y = rng.standard_normal((30, 3)), rng.poisson(1.0, (30, 3)).astype(float)
        parameter = (0.8,) if loss == "quantile" else ()
        expected, _ = getattr(loss_kernels, loss)(z, y, None, *parameter)
        pointwise = REGRESSION_LOSSES[loss].pointwise(z, y, *parameter)
        assert pointwise.shape == (30, 3)
        assert pointwise.sum(axis=1).mean() == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("early_stopping", ["auto", True])
    @pytest.mark.parametrize(
        "scoring",
        ["accuracy", "neg_brier_score", "loss", None, make_scorer(accuracy_score)],
        ids=str,
    )
    def test_scoring(self, early_stopping, scoring):
        X, y = data(600)
        given = {"X_val": X[:100], "y_val": y[:100]}
        clf = estimator(early_stopping=early_stopping, scoring=scoring)
        clf.fit(X[100:], y[100:], **given)
        best = int(np.argmax(clf.validation_scores_))
        if early_stopping is True:
            p = clf.predict_proba(X[:100])
            expected = {
                "neg_brier_score": -brier_score_loss(y[:100], p[:, 1]),
                "loss": -log_loss(y[:100], p),
            }.get(scoring, accuracy_score(y[:100], clf.predict(X[:100])))
            # Ties go to the first epoch, whose network is the one that predicts.
            assert clf.validation_scores_[best] == pytest.approx(expected, abs=0.011)
        else:
            assert len(clf.validation_scores_) == 8

    def test_a_scorer_gets_names_and_weights(self):
        seen = []

        def scorer(fitted, X, y, sample_weight=None):
            seen.append((X.shape, set(y), sample_weight))
            return fitted.score(X, y, sample_weight)

        X, y = data(600)
        y = np.array(["no", "yes"])[y]
        estimator(scoring=scorer).fit(X, y)
        assert [one[:2] for one in seen] == [((60, 6), {"no", "yes"})] * 8
        assert all(one[2] is None for one in seen)
        seen.clear()
        estimator(scoring=scorer, class_weight={"no": 1.0, "yes": 3.0}).fit(X, y)
        assert {float(w) for w in seen[0][2]} == {1.0, 3.0}

    def test_frames_have_no_warning_of_names(self):
        pandas = pytest.importorskip("pandas")
        X, y = data(300)
        X = pandas.DataFrame(X, columns=list("abcdef"))
        estimator(scoring="accuracy").fit(X, y).predict(X)

    @pytest.mark.parametrize("n_dimensions", [2, 3])
    def test_sequences(self, n_dimensions):
        X, y = data(300)
        X = X if n_dimensions == 2 else X[:, :, np.newaxis]
        clf = RNNWithBatchNormClassifier(
            (4,), early_stopping="auto", scoring="accuracy", n_epochs=4, random_state=0
        ).fit(X, y)
        assert 0.3 < clf.best_validation_score_ <= 1.0

    @pytest.mark.parametrize(
        ("scoring", "message"),
        [
            ("f1", "scoring='f1' failed on the 30 validation rows: ValueError: .*pos_label"),
            (lambda e, X, y: 0.0, "30 validation rows with their weights: TypeError"),
        ],
    )
    def test_a_scorer_that_fails(self, scoring, message):
        X, y = data(300)
        clf = estimator(scoring=scoring, class_weight="balanced" if callable(scoring) else None)
        with pytest.raises(ValueError, match=message):
            clf.fit(X, np.array(["no", "yes"])[y])

    def test_ctrl_c_in_a_score_leaves_nothing_of_the_epoch(self):
        def interrupted(fitted, X, y):
            raise KeyboardInterrupt

        X, y = data(300)
        clf = estimator(scoring=interrupted, calibrate=False)
        with pytest.warns(UserWarning, match="interrupted"), pytest.raises(KeyboardInterrupt):
            # The second one comes when the network is looked at that was left.
            clf.fit(X, y)
        interrupted = (_ for _ in ()).throw
        record = ValidationRecord(lambda: interrupted(KeyboardInterrupt()), None, False)
        criterion = Checkpoints(10, record, Validation.shares, 2.0)
        for epoch in (1, 2):
            criterion.epoch_ended(epoch, 1.0)
        with pytest.raises(KeyboardInterrupt):
            criterion.epoch_ended(3, 0.5)
        assert criterion.best_loss == 1.0
        assert record.scores == record.epochs == []

    def test_an_unknown_scorer(self):
        with pytest.raises(ValueError, match="scoring"):
            estimator(scoring="nonsense").fit(*data(300))


class TestTheNetworkThatIsKept:
    def test_the_last_one_has_seen_all_epochs(self):
        X, y = data(600)
        some, other = (
            estimator(**{"learning_rate_init": 0.001} | parameters).fit(X[60:], y[60:], **given)
            for parameters, given in (
                ({}, {"X_val": X[:60], "y_val": y[:60]}),
                ({"early_stopping": False}, {}),
            )
        )
        assert some.validation_scores_[-1] == some.best_validation_score_
        np.testing.assert_array_equal(some.coefs_[0], other.coefs_[0])

    def test_an_earlier_one_is_restored(self):
        # Validation rows of other targets: the more is learned, the worse the score.
        X, y = data(600)
        clf = estimator(n_epochs=40, weight_decay=0.0, calibrate=False)
        clf.fit(X[100:], y[100:], X_val=X[:100], y_val=1 - y[:100])
        assert np.argmax(clf.validation_scores_) < 7
        assert -log_loss(1 - y[:100], clf.predict_proba(X[:100])) == pytest.approx(
            clf.best_validation_score_, rel=1e-4
        )
        assert clf.n_iter_ == 40

    def test_ctrl_c_keeps_one_that_can_be_used(self, monkeypatch):
        from skbn.network.network import Network

        train, calls = Network.train, []

        def interrupted(self, *arguments):
            calls.append(1)
            if len(calls) == 8:
                raise KeyboardInterrupt
            return train(self, *arguments)

        monkeypatch.setattr(Network, "train", interrupted)
        X, y = data(400)
        with pytest.warns(UserWarning, match="interrupted"):
            clf = estimator().fit(X, y)
        assert clf.n_iter_ == 7
        # Six checkpoints, and the network that was left.
        assert clf.validation_epochs_ == [3, 4, 5, 6, 7, 7]
        assert clf.temperature_ >= 1.0
        assert np.isfinite(clf.predict_proba(X)).all()

    def test_rounds_of_a_warm_start_go_on_counting(self):
        clf = estimator(warm_start=True, n_epochs=4)
        X, y = data(400)
        clf.fit(X, y).fit(X, y)
        assert clf.validation_epochs_ == [1, 2, 3, 4, 5, 6, 7, 8]
        assert len(clf.validation_scores_) == len(clf.validation_loss_curve_) == 8


class TestHowLong:
    @pytest.mark.parametrize(
        ("n", "n_epochs"),
        [
            # Rows trained on; batches of 32: 4 steps, 250 epochs, but max_iter.
            (100, 200),
            # 16 steps an epoch.
            (500, 63),
            # 34 steps an epoch.
            (1080, 74),
            # Batches of 128: 79 steps.
            (10_000, 32),
            (20_000, 20),
        ],
    )
    def test_auto(self, n, n_epochs, monkeypatch):
        from skbn.estimators import solvers

        reg = estimator(False, n_epochs="auto", early_stopping=False)
        reg._is_plain = False
        assert solvers.n_epochs(reg, n) == n_epochs

    @pytest.mark.parametrize(("n", "n_epochs"), [(40, 20), (199, 20), (200, 143), (500, 63)])
    def test_classifiers_of_tiny_tables(self, n, n_epochs):
        from skbn.estimators import solvers

        clf = estimator(n_epochs="auto")
        clf._is_plain = False
        # Batches of 32: 7 steps an epoch of 200 rows.
        assert solvers.n_epochs(clf, n) == n_epochs

    def test_verbose_tells(self, capsys):
        estimator(verbose=True).fit(*data(400))
        lines = [line for line in capsys.readouterr().out.splitlines() if "Iteration" in line]
        assert len(lines) == 10
        assert lines[0].startswith("Iteration 1 of 10, loss = ")
        for line in lines:
            assert line.endswith(" s left")
        assert lines[-1].endswith(", 0.0 s left")
