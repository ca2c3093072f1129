"""The temperature of a classifier, and its probabilities."""

import pickle

import numpy as np
import pytest
from differences import gradient
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss

from skbn import MLPWithBatchNormClassifier, RNNWithBatchNormClassifier
from skbn.estimators.temperature import (
    effective_rows,
    fitted_temperature,
    prior_outputs,
    row_losses,
    tempered,
)


def outputs(kind, n=200, seed=0, size=3.0):
    """Raw outputs, targets and weights."""
    rng = np.random.default_rng(seed)
    k = {"softmax": 4, "logistic": 1, "labels": 3}[kind]
    z = size * rng.standard_normal((n, k))
    if kind == "softmax":
        targets = np.array([rng.choice(k, p=p) for p in softmax(0.4 * z, axis=1)])[:, np.newaxis]
    else:
        targets = (rng.random((n, k)) < expit(0.4 * z)).astype(int)
    return z, targets.astype(float), rng.random(n)


KINDS = ["softmax", "logistic", "labels"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
class TestPieces:
    def test_prior_outputs_give_the_prior(self, kind, weighted):
        z, targets, weights = outputs(kind)
        prior = prior_outputs(targets, weights if weighted else None, z.shape[1])
        weights = weights if weighted else np.ones(len(z))
        if kind == "softmax":
            shares = np.bincount(targets[:, 0].astype(int), weights) / weights.sum()
            np.testing.assert_allclose(softmax(prior), shares, rtol=1e-12)
        else:
            shares = np.average(targets, axis=0, weights=weights)
            np.testing.assert_allclose(expit(prior), shares, rtol=1e-12)

    def test_losses_of_rows(self, kind, weighted):
        z, targets, _ = outputs(kind)
        if kind == "softmax":
            expected = [-log_softmax(row)[int(y)] for row, (y,) in zip(z, targets, strict=True)]
        else:
            p = expit(z)
            expected = -np.sum(np.where(targets == 1, np.log(p), np.log(1 - p)), axis=1)
        np.testing.assert_allclose(row_losses(z, targets), expected, rtol=1e-10)

    def test_the_temperature_has_the_least_loss(self, kind, weighted):
        z, targets, weights = outputs(kind)
        weights = weights if weighted else None
        prior = prior_outputs(targets, weights, z.shape[1])

        n_effective = 200 if weights is None else weights.sum() ** 2 / (weights**2).sum()

        def loss(steepness):
            outputs = tempered(z, prior, 1.0 / steepness)
            away = outputs - prior
            if kind == "softmax":
                away = away - away.mean(axis=1, keepdims=True)
            size = np.sqrt(np.mean(away**2))
            return np.average(row_losses(outputs, targets), weights=weights) + size / n_effective

        best = minimize_scalar(loss, bounds=(0.01, 1.0), method="bounded").x
        steepness = 1.0 / fitted_temperature(z, targets, prior, weights)
        assert 0.1 < best < 0.9
        assert steepness == pytest.approx(best, abs=1e-3)
        assert abs(gradient(lambda b: loss(b[0]), np.array([steepness]))[0]) < 1e-3

    def test_limits(self, kind, weighted):
        z, targets, weights = outputs(kind)
        weights = weights if weighted else None
        prior = prior_outputs(targets, weights, z.shape[1])
        # Too flat by itself: it is not made steeper. Pure noise: it stays a little off the prior.
        assert fitted_temperature(0.2 * z, targets, prior, weights) == 1.0
        noise = 1e4 * np.random.default_rng(1).standard_normal(z.shape)
        assert fitted_temperature(noise, targets, prior, weights) == 100.0


def test_few_rows_do_not_praise_a_network_by_chance():
    rng = np.random.default_rng(0)
    worse = {True: [], False: []}
    for _ in range(200):
        # Sure outputs that know nothing of 40 held-out rows, nor of the rows to predict.
        z, targets = 3.0 * rng.standard_normal((80, 1)), rng.integers(0, 2, (80, 1)).astype(float)
        prior = np.zeros(1)
        for many in (True, False):
            # Rows of a large weight say as much as their number: here as two hundred thousand.
            copies = 5000 if many else 1
            held = np.repeat(z[:40], copies, axis=0), np.repeat(targets[:40], copies, axis=0)
            outputs = tempered(z[40:], prior, fitted_temperature(*held, prior))
            worse[many].append(row_losses(outputs, targets[40:]).mean() - np.log(2.0))
    assert np.mean(worse[True]) > 0.005
    assert np.mean(worse[False]) < 0.6 * np.mean(worse[True])


def test_effective_rows():
    assert effective_rows(7, None) == 7
    assert effective_rows(7, np.full(7, 1e300)) == 7.0
    assert effective_rows(4, np.array([1.0, 1.0, 0.0, 0.0])) == 2.0
    assert effective_rows(3, np.array([3.0, 1.0, 1.0])) == pytest.approx(25 / 11)


def test_a_few_heavy_rows_hold_nothing_out():
    # A fifth of the weight in 2 % of the rows leaves a fiftieth of the rows' say.
    X, y = noisy(n=1000)
    weight = np.where(np.arange(1000) % 50 == 0, 100.0, 1.0)
    n_effective = weight.sum() ** 2 / (weight**2).sum()
    assert 0.1 * n_effective < 19
    clf = quick(n_epochs=2).fit(X, y, weight)
    assert clf.validation_scores_ is None
    assert not hasattr(clf, "temperature_")
    assert quick(n_epochs=2).fit(X, y, np.sqrt(weight)).validation_scores_ is not None
    given = {"X_val": X[:100], "y_val": y[:100], "sample_weight_val": weight[:100]}
    with pytest.warns(UserWarning, match="does not use it here"):
        quick(n_epochs=2).fit(X[100:], y[100:], **given)


@pytest.mark.parametrize(("n", "expected"), [(191, False), (200, True)])
def test_few_validation_rows_fit_no_temperature(n, expected):
    # scikit-learn's split takes 20 of 191 rows and 20 of 200: of the former 19 at a smaller share.
    X, y = noisy(n=n)
    clf = quick(n_epochs=2, early_stopping=True, validation_fraction=0.1 if expected else 0.099)
    assert hasattr(clf.fit(X, y), "temperature_") == expected
    weight = np.ones(60)
    weight[0] = 1e9
    X, y = noisy()
    given = {"X_val": X[:60], "y_val": y[:60], "sample_weight_val": weight}
    heavy = quick(n_epochs=2, early_stopping=True).fit(X[60:], y[60:], **given)
    assert not hasattr(heavy, "temperature_")


def test_a_stream_is_scored_by_the_temperature_that_it_keeps():
    X, y = noisy()
    clf = quick(scoring="neg_log_loss").fit(X[100:], y[100:])
    clf.temperature_ = 7.0
    clf.partial_fit(X[100:], y[100:], X_val=X[:100], y_val=y[:100])
    expected = -log_loss(y[:100], clf.predict_proba(X[:100]))
    assert clf.validation_scores_[-1] == pytest.approx(expected, rel=1e-5)
    clf.set_params(scoring="loss")
    clf.partial_fit(X[100:], y[100:], X_val=X[:100], y_val=y[:100])
    expected = -log_loss(y[:100], clf.predict_proba(X[:100]))
    assert clf.validation_scores_[-1] == pytest.approx(expected, rel=1e-5)


def test_callbacks_do_not_see_the_temperature_of_an_earlier_fit():
    callback = pytest.importorskip("sklearn.callback")
    X, y = noisy()
    clf = quick(warm_start=True, n_epochs=3).fit(X, y)
    clf.temperature_ = 100.0
    monitor = callback.ScoringMonitor(scoring="neg_log_loss")
    clf.set_callbacks(monitor).set_params(early_stopping=False).fit(X, y)
    scores = monitor.get_logs().data_as_pandas["neg_log_loss"]
    assert scores.iloc[-1] == pytest.approx(-log_loss(y, clf.predict_proba(X)), rel=1e-3)


def test_numpys_false():
    assert not hasattr(quick(n_epochs=2, calibrate=np.False_).fit(*noisy()), "temperature_")


def test_a_class_without_rows_has_half_the_share_of_one():
    prior = prior_outputs(np.array([[0.0], [0.0], [2.0], [2.0]]), None, 3)
    np.testing.assert_allclose(softmax(prior), np.array([0.5, 0.125, 0.5]) / 1.125)
    prior = prior_outputs(np.array([[1.0, 0.0]] * 4), None, 2)
    np.testing.assert_allclose(expit(prior), [0.875, 0.125])


def noisy(n_classes=2, n=400, seed=0):
    """Classes that a network without weight decay learns by heart."""
    return make_classification(
        n, 8, n_informative=5, n_classes=n_classes, flip_y=0.4, random_state=seed
    )


def quick(**parameters):
    return MLPWithBatchNormClassifier(
        **{"hidden_layer_sizes": (30,), "n_epochs": 60, "weight_decay": 0.0, "random_state": 0}
        | parameters
    )


class TestPredictions:
    @pytest.mark.parametrize("n_classes", [2, 4])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_they_are_tempered(self, n_classes, dtype):
        X, y = noisy(n_classes)
        clf = quick(dtype=dtype).fit(X, y)
        assert clf.temperature_ > 1.2
        plain = pickle.loads(pickle.dumps(clf))
        del plain.temperature_, plain._prior_outputs
        sure = plain.predict_log_proba(X)
        if n_classes == 2:
            z, prior = sure[:, 1] - sure[:, 0], clf._prior_outputs[0]
            expected = expit(prior + (z - prior) / clf.temperature_)
            np.testing.assert_allclose(clf.predict_proba(X)[:, 1], expected, rtol=1e-5)
        else:
            expected = softmax(tempered(sure, clf._prior_outputs, clf.temperature_), axis=1)
            np.testing.assert_allclose(clf.predict_proba(X), expected, rtol=1e-5)
        np.testing.assert_allclose(
            np.exp(clf.predict_log_proba(X)), clf.predict_proba(X), rtol=1e-5
        )
        most = clf.classes_[clf.predict_proba(X).argmax(axis=1)]
        np.testing.assert_array_equal(clf.predict(X), most)

    def test_labels(self):
        X, y = noisy(4)
        labels = np.column_stack([y > 0, y > 1, y == 2]).astype(int)
        clf = quick().fit(X, labels)
        assert clf.temperature_ > 1.0
        assert clf._prior_outputs.shape == (3,)
        p = clf.predict_proba(X)
        np.testing.assert_array_equal(clf.predict(X), p > 0.5)
        np.testing.assert_allclose(np.exp(clf.predict_log_proba(X)), p, rtol=1e-5)

    def test_the_prior_is_of_the_weighted_rows_trained_on(self):
        X, y = noisy()
        weight = np.where(y == 1, 3.0, 1.0)
        clf = quick(shuffle=False).fit(X, y, weight)
        n_one = (y[:360] == 1).sum()
        share = 3.0 * n_one / (3.0 * n_one + 360 - n_one)
        assert expit(clf._prior_outputs[0]) == pytest.approx(share)
        balanced = quick(class_weight="balanced").fit(X, y)
        assert expit(balanced._prior_outputs[0]) == pytest.approx(0.5, abs=0.01)

    def test_it_is_honest(self):
        X, y = make_classification(1000, flip_y=0.4, random_state=0)
        rows = np.random.default_rng(0).permutation(1000)
        train, test = rows[:500], rows[500:]
        losses = {}
        for calibrate in ("auto", False):
            clf = MLPWithBatchNormClassifier(calibrate=calibrate, random_state=0)
            clf.fit(X[train], y[train])
            losses[calibrate] = log_loss(y[test], clf.predict_proba(X[test]))
            assert hasattr(clf, "temperature_") == (calibrate == "auto")
        assert losses["auto"] < min(0.69, losses[False] - 0.05)

    @pytest.mark.parametrize("early_stopping", ["auto", True, False])
    def test_only_with_validation_rows(self, early_stopping):
        X, y = noisy()
        clf = quick(early_stopping=early_stopping).fit(X, y)
        assert hasattr(clf, "temperature_") == (early_stopping is not False)
        few = quick(early_stopping="auto").fit(X[:150], y[:150])
        assert not hasattr(few, "temperature_")

    def test_a_new_fit_forgets_it_and_a_stream_keeps_it(self):
        X, y = noisy()
        clf = quick(warm_start=True).fit(X, y)
        temperature, prior = clf.temperature_, clf._prior_outputs
        clf.partial_fit(X, y)
        assert clf.temperature_ == temperature
        assert clf._prior_outputs is prior
        clf.set_params(early_stopping=False).fit(X, y)
        assert not hasattr(clf, "temperature_")
        assert not hasattr(clf, "_prior_outputs")

    def test_one_class(self):
        X, _ = noisy()
        clf = quick().fit(X, np.zeros(400))
        np.testing.assert_array_equal(clf.predict_proba(X), 1.0)
        np.testing.assert_array_equal(clf.predict(X), 0.0)

    @pytest.mark.parametrize("n_classes", [2, 4])
    def test_scikit_learn_predicts_the_same(self, n_classes):
        X, y = noisy(n_classes)
        clf = quick(activation="relu", normalize_input="standard", periodic_embedding=None)
        clf.fit(X, y)
        assert clf.temperature_ > 1.1
        plain = clf.to_sklearn()
        np.testing.assert_allclose(plain.predict_proba(X), clf.predict_proba(X), rtol=1e-4)
        np.testing.assert_array_equal(plain.predict(X), clf.predict(X))

    def test_sequences(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((400, 6))
        y = (X[:, -1] + rng.standard_normal(400) > 0).astype(int)
        clf = RNNWithBatchNormClassifier(
            (8,), n_epochs=30, early_stopping="auto", random_state=0
        ).fit(X, y)
        assert clf.temperature_ > 1.0
        assert not hasattr(RNNWithBatchNormClassifier((4,), n_epochs=2).fit(X, y), "temperature_")

    def test_scikit_learns_mode_has_none(self):
        from sklearn.neural_network import MLPClassifier

        X, y = noisy()
        plain = MLPClassifier((5,), early_stopping=True, max_iter=5, random_state=0)
        with pytest.warns(Warning, match="converged"):
            clf = MLPWithBatchNormClassifier.from_sklearn(plain).fit(X, y)
        assert clf.calibrate is False
        assert not hasattr(clf, "temperature_")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("temperature_", 0.5, "temperature_ is 0.5"),
        ("temperature_", np.nan, "temperature_ is nan"),
        ("temperature_", "2", "temperature_ is '2'"),
        ("temperature_", 101.0, "temperature_ is 101"),
        ("_prior_outputs", None, "belong together"),
        ("_prior_outputs", np.array([np.inf]), "_prior_outputs has numbers that are not finite"),
        ("_prior_outputs", np.zeros(2), "_prior_outputs is of"),
    ],
)
def test_damaged_state_is_refused(name, value, message):
    X, y = noisy()
    clf = quick(n_epochs=2).fit(X, y)
    setattr(clf, name, value)
    with pytest.raises(ValueError, match=message):
        clf.predict_proba(X)
    with pytest.raises(ValueError, match=message):
        pickle.loads(pickle.dumps(clf))
