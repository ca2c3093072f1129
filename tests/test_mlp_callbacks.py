"""scikit-learn's callbacks on our networks; on versions without them, that nothing is offered."""

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor
from skbn.estimators import callbacks as own

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")


def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 4))
    return X, (X[:, 0] + X[:, 1] > 0).astype(int)


def fit(estimator, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(*arguments)


def small(cls=MLPWithBatchNormClassifier, **parameters):
    return cls(**{"max_iter": 6, "hidden_layer_sizes": (8,), "random_state": 0} | parameters)


class Spy:
    """A callback that writes down what it is called with, and may stop the fit."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.begun = []
        self.predictions = []
        self.torn_down = 0

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
        if context.task_name != "epoch":
            return False
        self.predictions.append(fitted_estimator.predict_proba(X))
        return self.stop_after is not None and len(self.predictions) >= self.stop_after

    def teardown(self, estimator, context):
        self.torn_down += 1


def test_offered_where_scikit_learn_has_them():
    for cls in (MLPWithBatchNormClassifier, MLPWithBatchNormRegressor):
        assert hasattr(cls, "set_callbacks") == HAS_CALLBACKS


def test_without_support_a_fit_makes_no_calls():
    class Bare:
        pass

    calls = own.FitCallbacks(Bare(), 3, None, None, {})
    with calls.epochs(dict)() as stop:
        assert stop() is False
    calls.end()


if HAS_CALLBACKS:
    from sklearn.callback import ProgressBar, ScoringMonitor

    def test_one_task_an_epoch_and_a_copy_of_everything():
        X, y = data()
        spy = Spy()
        clf = fit(small(learning_rate="constant").set_callbacks(spy), X, y)
        assert spy.begun == ["fit"] + ["epoch"] * 6
        assert spy.torn_down == 1
        assert len(spy.predictions) == 6
        # The last one is the model that fit ends with; none of them was changed since.
        np.testing.assert_array_equal(spy.predictions[-1], clf.predict_proba(X))
        three = fit(small(max_iter=3, learning_rate="constant"), X, y)
        np.testing.assert_array_equal(spy.predictions[2], three.predict_proba(X))

    def test_the_estimator_of_an_epoch_has_its_curves():
        class Curves(Spy):
            def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
                if context.task_name == "epoch":
                    now = fitted_estimator
                    self.predictions.append(
                        (now.n_iter_, len(now.loss_curve_), now.t_, now.loss_, len(now.classes_))
                    )

        X, y = data()
        spy = Curves()
        clf = fit(small().set_callbacks(spy), X, y)
        curve = clf.loss_curve_
        assert spy.predictions == [(k + 1, k + 1, 90 * (k + 1), curve[k], 2) for k in range(6)]

    @pytest.mark.parametrize("task", ["fit", "epoch"])
    def test_a_callback_that_raises_leaves_the_estimator_as_it_was(task):
        class Raising(Spy):
            def on_fit_task_end(self, estimator, context, *, X):
                if context.task_name == task:
                    raise RuntimeError("no more")

        X, y = data()
        clf = fit(small(), X, y)
        before = clf.predict_proba(X)
        clf.set_params(random_state=4).set_callbacks(Raising())
        with pytest.raises(RuntimeError, match="no more"):
            fit(clf, X, y)
        np.testing.assert_array_equal(clf.predict_proba(X), before)

    def test_a_callback_changes_no_bit():
        X, y = data()
        watched = fit(small().set_callbacks(Spy()), X, y)
        np.testing.assert_array_equal(watched._parameters, fit(small(), X, y)._parameters)

    def test_a_callback_stops_the_fit():
        X, y = data()
        clf = small().set_callbacks(Spy(stop_after=2)).fit(X, y)  # and does not warn
        assert clf.n_iter_ == 2

    def test_a_failed_fit_is_torn_down():
        X, y = data()
        spy = Spy()
        with pytest.raises(ValueError, match="batch_size=1"):
            small(batch_size=1).set_callbacks(spy).fit(X, y)
        assert spy.torn_down == 1

    def test_scoring_monitor():
        X, y = data()
        monitor = ScoringMonitor(scoring="accuracy")
        clf = fit(small().set_callbacks(monitor), X, y)
        frame = monitor.get_logs().data_as_pandas
        scores = frame.loc[frame["task_name"] == "epoch"] if "task_name" in frame else frame
        assert len(scores) >= 6
        assert scores.iloc[-1].filter(like="accuracy").iloc[0] == pytest.approx(clf.score(X, y))

    def test_progress_bars_nest(capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "400")
        X, y = data()
        search = GridSearchCV(
            make_pipeline(small()),
            {"mlpwithbatchnormclassifier__alpha": [0.0, 1.0]},
            cv=2,
        ).set_callbacks(ProgressBar(max_propagation_depth=4))
        fit(search, X, y)
        assert "MLPWithBatchNormClassifier" in capsys.readouterr().out
