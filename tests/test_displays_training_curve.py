"""TrainingCurveDisplay: the lines are the curves of the models, whatever holds the models."""

import warnings

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import same_color
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbn import (
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    TrainingCurveDisplay,
)
from skbn.displays import TrainingCurves

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
SMALL = {"hidden_layer_sizes": (6,), "n_epochs": 8, "random_state": 0}


@pytest.fixture(autouse=True)
def _agg():
    before = matplotlib.get_backend()
    matplotlib.use("Agg")
    yield
    plt.close("all")
    matplotlib.use(before)


def fitted(estimator, *data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(*(data or (X, Y)), **options)


def ours(cls=MLPWithBatchNormClassifier, **parameters):
    return fitted(cls(**SMALL | parameters))


def assert_line(line, epochs, values, style):
    np.testing.assert_array_equal(line.get_xdata(), epochs)
    np.testing.assert_array_equal(line.get_ydata(), values)
    assert line.get_linestyle() == style


def drawn(panel):
    return [line for line in panel.lines if len(line.get_xdata())]


def legend(panel):
    return [text.get_text() for text in panel.get_legend().get_texts()]


def test_losses():
    clf = ours()
    assert len(clf.validation_epochs_) < 8
    display = TrainingCurveDisplay.from_estimator(clf)
    training, validation = display.lines_["loss"]
    assert drawn(display.ax_) == [training, validation]
    assert_line(training, range(1, 9), clf.loss_curve_, "-")
    assert_line(validation, clf.validation_epochs_, clf.validation_loss_curve_, "--")
    assert validation.get_marker() == "o"
    assert validation.get_color() == training.get_color()
    assert legend(display.ax_) == ["training", "validation"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Epoch", "Loss")
    assert display.figure_ is display.ax_.figure
    assert type(display) is TrainingCurveDisplay


def test_scores_and_rates():
    clf = ours(scoring="balanced_accuracy")
    display = TrainingCurveDisplay.from_estimator(
        clf, quantity=["score", "learning_rate"], name="clf"
    )
    score, rate = display.ax_
    assert_line(*drawn(score), clf.validation_epochs_, clf.validation_scores_, "--")
    assert_line(*drawn(rate), range(1, 9), clf.learning_rate_curve_, "-")
    assert score.get_ylabel() == "Validation score (balanced_accuracy)"
    assert rate.get_ylabel() == "Learning rate"
    assert legend(score) == ["clf, validation"]
    assert legend(rate) == ["clf"]
    # One cycle is seen best on a linear axis, although the rate spans more than a decade.
    assert max(clf.learning_rate_curve_) > 10 * min(clf.learning_rate_curve_)
    assert rate.get_yscale() == "linear"


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({}, "minus the log loss"),
        ({"n_epochs": 1}, "minus the log loss"),
        ({"early_stopping": True}, "accuracy"),
        ({"early_stopping": True, "scoring": "loss"}, "minus the log loss"),
        ({"scoring": "roc_auc"}, "roc_auc"),
    ],
)
def test_the_axis_names_the_score(parameters, name):
    clf = ours(**parameters)
    display = TrainingCurveDisplay.from_estimator(clf, quantity="score")
    assert display.ax_.get_ylabel() == f"Validation score ({name})"
    is_loss = name == "minus the log loss"
    assert (max(clf.validation_scores_) < 0.0) == is_loss


@pytest.mark.parametrize(
    ("loss", "name"), [("squared_error", "R2"), ("quantile", "minus the pinball loss")]
)
def test_the_axis_names_the_score_of_regressors(loss, name):
    X, y = load_diabetes(return_X_y=True)
    reg = MLPWithBatchNormRegressor(loss, (4,), early_stopping=True, n_epochs=3)
    display = TrainingCurveDisplay.from_estimator(reg.fit(X, y), quantity="score")
    assert display.ax_.get_ylabel() == f"Validation score ({name})"


def test_the_axis_names_no_score_of_which_the_model_does_not_tell():
    X, y = load_diabetes(return_X_y=True)
    reg = MLPWithBatchNormRegressor("squared_error", (4,), n_epochs=2)
    display = TrainingCurveDisplay.from_estimator(
        reg.fit(X, y, X_val=X[:50], y_val=y[:50]), quantity="score"
    )
    # Minus the loss after each of two epochs. R2 would be scored after both epochs, too.
    assert max(reg.validation_scores_) < 0.0
    assert display.ax_.get_ylabel() == "Validation score"


def test_the_axis_names_the_accuracy_of_a_stream():
    X, y = load_iris(return_X_y=True)
    clf = MLPWithBatchNormClassifier((4,), n_epochs=3, random_state=0)
    for _ in range(3):
        clf.partial_fit(X, y, classes=[0, 1, 2], X_val=X, y_val=y)
    display = TrainingCurveDisplay.from_estimator(clf, quantity="score")
    assert display.ax_.get_ylabel() == "Validation score (accuracy)"
    assert clf.validation_scores_[-1] > 0.0


def test_a_positive_score_of_a_stream_is_not_minus_the_loss():
    X, y = load_diabetes(return_X_y=True)
    reg = MLPWithBatchNormRegressor("squared_error", (40,), n_epochs=30, random_state=0)
    reg.fit(X, y)
    reg.partial_fit(X, y, X_val=X, y_val=y)
    assert len(reg.validation_scores_) == 1
    assert reg.validation_scores_[0] > 0.0
    display = TrainingCurveDisplay.from_estimator(reg, quantity="score")
    assert display.ax_.get_ylabel() == "Validation score"


def test_a_quantity_is_drawn_once():
    with pytest.raises(ValueError, match="once"):
        TrainingCurveDisplay.from_estimator(ours(), quantity=["loss", "loss"])


def test_the_axis_names_the_score_of_an_ensemble():
    X, y = load_diabetes(return_X_y=True)
    one = MLPWithBatchNormRegressor("squared_error", (4,), n_epochs=20)
    ensemble = MLPEnsembleWithBatchNormRegressor(one, random_state=0)
    ensemble.fit(X, y, X_val=X[:50], y_val=y[:50])
    display = TrainingCurveDisplay.from_estimator(ensemble, quantity="score")
    assert display.ax_.get_ylabel() == "Validation score (minus the loss)"
    assert max(ensemble.validation_scores_) < 0.0


def test_rates_far_apart():
    rates = {
        str(rate): ours(learning_rate="constant", max_iter=2, learning_rate_init=rate)
        for rate in (0.001, 0.1)
    }
    display = TrainingCurveDisplay.from_estimators(rates, quantity="learning_rate")
    assert display.ax_.get_yscale() == "log"
    near = {"a": rates["0.1"], "b": ours(learning_rate_init=0.05, learning_rate="constant")}
    display = TrainingCurveDisplay.from_estimators(near, quantity="learning_rate")
    assert display.ax_.get_yscale() == "linear"


def test_adaptive_rates():
    clf = ours(
        solver="sgd",
        learning_rate="adaptive",
        tol=10.0,
        n_iter_no_change=1,
        max_iter=30,
        early_stopping=False,
    )
    assert clf.learning_rate_curve_[-1] < clf.learning_rate_curve_[0] / 100
    display = TrainingCurveDisplay.from_estimator(clf, quantity="learning_rate")
    assert display.ax_.get_yscale() == "log"


def test_several_models():
    models = {name: ours(random_state=seed) for seed, name in enumerate("abcde")}
    models["none held out"] = ours(early_stopping=False)
    display = TrainingCurveDisplay.from_estimators(models, quantity=["loss", "score"][:1])
    lines = display.lines_["loss"]
    assert len(lines) == 11
    for number, clf in enumerate(models.values()):
        assert_line(lines[2 * number], range(1, 9), clf.loss_curve_, "-")
    for number, clf in enumerate(list(models.values())[:5]):
        line = lines[2 * number + 1]
        assert_line(line, clf.validation_epochs_, clf.validation_loss_curve_, "--")
        assert line.get_color() == lines[2 * number].get_color()
    assert len({line.get_color() for line in lines}) == 6
    kept = ["dotted: kept"] * any(clf.kept_epoch_ < 8 for clf in models.values())
    assert legend(display.ax_) == [*models, "dashed: validation", *kept]
    display.plot(display.ax_)
    assert legend(display.ax_).count("dashed: validation") == 1


def marks(panel):
    return [line for line in drawn(panel) if line.get_linestyle() == ":"]


def best_after(epochs, **parameters):
    """A network whose best score comes after so many of its 8 epochs."""
    scores = iter([0.0] * (epochs - 1) + [1.0] + [0.5] * 7)
    return ours(
        scoring=lambda *_: next(scores), **{"early_stopping": True, "calibrate": False} | parameters
    )


def test_the_kept_epoch_is_marked():
    clf = best_after(5)
    assert clf.kept_epoch_ == 5
    display = TrainingCurveDisplay.from_estimator(clf, quantity=["loss", "score", "learning_rate"])
    for panel, quantity in zip(display.ax_[:2], ("loss", "score"), strict=True):
        (mark,) = marks(panel)
        assert_line(mark, [5, 5], [0, 1], ":")
        # From the lower to the upper end of the panel.
        assert mark.get_transform() == panel.get_xaxis_transform(which="grid")
        assert mark.get_color() == display.lines_[quantity][0].get_color()
        assert mark not in display.lines_[quantity]
    assert legend(display.ax_[0]) == ["training", "validation", "kept"]
    assert legend(display.ax_[1]) == ["validation", "kept"]
    assert marks(display.ax_[2]) == []


def test_the_last_epoch_is_not_marked():
    for clf, n_marks in ((best_after(7), 1), (best_after(8), 0)):
        display = TrainingCurveDisplay.from_estimator(clf, quantity=["loss", "score"], name="clf")
        for panel in display.ax_:
            assert len(marks(panel)) == n_marks
            assert legend(panel).count("clf, kept") == n_marks
    # A network of scikit-learn, and a state of an earlier version, have no such attribute.
    del clf.kept_epoch_
    assert TrainingCurves.of(clf).kept_epoch is None
    assert marks(TrainingCurveDisplay.from_estimator(clf).ax_) == []


def test_kept_epochs_of_several_models():
    models = {"a": best_after(3), "b": best_after(8), "c": best_after(6)}
    display = TrainingCurveDisplay.from_estimators(models, quantity=["loss", "score"])
    for panel, quantity, step in zip(display.ax_, ("loss", "score"), (2, 1), strict=True):
        assert [mark.get_xdata()[0] for mark in marks(panel)] == [3, 6]
        colors = [line.get_color() for line in display.lines_[quantity][:: 2 * step]]
        assert [mark.get_color() for mark in marks(panel)] == colors
    assert legend(display.ax_[0]) == ["a", "b", "c", "dashed: validation", "dotted: kept"]
    assert legend(display.ax_[1]) == ["a", "b", "c", "dotted: kept"]
    display.plot(display.ax_)
    assert [legend(panel).count("dotted: kept") for panel in display.ax_] == [1, 1]
    late = {"b": models["b"], "d": best_after(8)}
    display = TrainingCurveDisplay.from_estimators(late, quantity=["loss", "score"])
    assert legend(display.ax_[0]) == ["b", "d", "dashed: validation"]
    assert legend(display.ax_[1]) == ["b", "d"]


def test_two_displays_on_one_axes():
    display = TrainingCurveDisplay.from_estimator(ours(), name="one")
    figures = plt.get_fignums()
    other = TrainingCurveDisplay.from_estimator(ours(random_state=1), name="two", ax=display.ax_)
    assert other.ax_ is display.ax_
    assert plt.get_fignums() == figures
    colors = [line.get_color() for line in drawn(display.ax_)]
    assert colors[0] == colors[1] != colors[2] == colors[3]
    assert legend(display.ax_) == [
        "one, training",
        "one, validation",
        "two, training",
        "two, validation",
    ]


def test_plot_twice():
    display = TrainingCurveDisplay.from_estimator(ours(), quantity="score")
    first = display.ax_
    assert display.plot() is display
    assert display.ax_ is not first
    np.testing.assert_array_equal(first.lines[0].get_ydata(), display.ax_.lines[0].get_ydata())
    # Another quantity of the same models.
    display.plot(quantity=["loss", "learning_rate"])
    assert [panel.get_ylabel() for panel in display.ax_] == ["Loss", "Learning rate"]
    _, axes = plt.subplots(2)
    display.plot(axes, quantity=["loss", "learning_rate"])
    np.testing.assert_array_equal(display.ax_, axes)


def test_scikit_learn_s_networks():
    clf = fitted(MLPClassifier((5,), max_iter=7, early_stopping=True, random_state=0))
    display = TrainingCurveDisplay.from_estimator(clf, quantity=["loss", "score"])
    assert_line(*drawn(display.ax_[0]), range(1, 8), clf.loss_curve_, "-")
    assert_line(*drawn(display.ax_[1]), range(1, 8), clf.validation_scores_, "--")
    reg = fitted(MLPRegressor(hidden_layer_sizes=(5,), max_iter=3))
    display = TrainingCurveDisplay.from_estimators({"a": reg, "b": clf})
    assert_line(drawn(display.ax_)[0], range(1, 4), reg.loss_curve_, "-")
    assert legend(display.ax_) == ["a", "b"]


def test_scores_without_epochs_are_of_the_last_epochs():
    clf = fitted(MLPClassifier((5,), max_iter=4, early_stopping=True, random_state=0))
    del clf.validation_scores_[:2]
    display = TrainingCurveDisplay.from_estimator(clf, quantity="score")
    assert_line(*display.lines_["score"], [3, 4], clf.validation_scores_, "--")


def test_curves_that_scikit_learn_has_begun():
    clf = fitted(MLPClassifier((5,), max_iter=4, early_stopping=True, random_state=0))
    clf = MLPWithBatchNormClassifier.from_sklearn(clf)
    for _ in range(2):
        clf.partial_fit(X, Y, X_val=X, y_val=Y)
    display = TrainingCurveDisplay.from_estimator(clf, quantity=["loss", "score", "learning_rate"])
    training, validation = display.lines_["loss"]
    assert_line(training, range(1, 7), clf.loss_curve_, "-")
    assert_line(validation, [5, 6], clf.validation_loss_curve_, "--")
    assert_line(*display.lines_["score"], range(1, 7), clf.validation_scores_, "--")
    assert_line(*display.lines_["learning_rate"], [5, 6], [0.001, 0.001], "-")


def test_streams_and_warm_starts():
    clf = MLPWithBatchNormClassifier(**SMALL, warm_start=True)
    fitted(clf)
    fitted(clf)
    clf.partial_fit(X, Y)
    display = TrainingCurveDisplay.from_estimator(clf, quantity="learning_rate")
    assert_line(*display.lines_["learning_rate"], range(1, 18), clf.learning_rate_curve_, "-")


def test_ensembles():
    reg = MLPWithBatchNormRegressor(hidden_layer_sizes=(6,), n_epochs=4)
    reg = fitted(MLPEnsembleWithBatchNormRegressor(reg, random_state=0), X, X[:, 0])
    display = TrainingCurveDisplay.from_estimator(reg, quantity=["loss", "learning_rate"])
    (mean,) = display.lines_["loss"]
    lines = display.ax_[0].lines
    assert len(lines) == 4
    np.testing.assert_allclose(
        mean.get_ydata(), np.mean([member.loss_curve_ for member in reg.estimators_], axis=0)
    )
    for line, member in zip(lines[1:], reg.estimators_, strict=True):
        assert_line(line, range(1, 5), member.loss_curve_, "-")
        assert line.get_alpha() < 1.0
        assert line.get_color() == mean.get_color()
    assert legend(display.ax_[0]) == ["training"]


def test_recurrent_networks():
    clf = RNNWithBatchNormClassifier((4,), max_iter=3, random_state=0)
    clf = fitted(clf, X.reshape(300, 2, 2), Y)
    display = TrainingCurveDisplay.from_estimator(clf)
    assert_line(drawn(display.ax_)[0], range(1, len(clf.loss_curve_) + 1), clf.loss_curve_, "-")


def test_what_holds_a_network():
    pipeline = make_pipeline(StandardScaler(), MLPWithBatchNormClassifier(**SMALL))
    grid = {"mlpwithbatchnormclassifier__alpha": [0.0, 1.0]}
    search = fitted(GridSearchCV(pipeline, grid, cv=2))
    best = search.best_estimator_[-1]
    for model in (search, search.best_estimator_, make_pipeline("passthrough", search)):
        display = TrainingCurveDisplay.from_estimator(model)
        assert_line(display.lines_["loss"][0], range(1, 9), best.loss_curve_, "-")
    reg = TransformedTargetRegressor(
        MLPWithBatchNormRegressor(**SMALL), func=np.exp, inverse_func=np.log, check_inverse=False
    )
    fitted(reg, X, X[:, 0])
    display = TrainingCurveDisplay.from_estimator(reg)
    assert_line(display.lines_["loss"][0], range(1, 9), reg.regressor_.loss_curve_, "-")


def test_what_was_not_fitted():
    clf = MLPWithBatchNormClassifier()
    for model in (
        clf,
        make_pipeline(StandardScaler(), clf),
        GridSearchCV(clf, {"alpha": [1.0]}),
        TransformedTargetRegressor(MLPWithBatchNormRegressor()),
    ):
        with pytest.raises(NotFittedError):
            TrainingCurveDisplay.from_estimator(model)
    search = fitted(
        GridSearchCV(MLPWithBatchNormClassifier(**SMALL), {"alpha": [1.0]}, cv=2, refit=False)
    )
    with pytest.raises(ValueError, match="refit=False"):
        TrainingCurveDisplay.from_estimator(search)


def test_what_a_model_has_not():
    from_estimator = TrainingCurveDisplay.from_estimator
    with pytest.raises(ValueError, match="LogisticRegression has no loss_curve_"):
        from_estimator(fitted(LogisticRegression()))
    with pytest.raises(ValueError, match="lbfgs' has no epochs"):
        from_estimator(ours(solver="lbfgs"), name="here")
    with pytest.raises(ValueError, match="The model has no validation_scores_: give X_val and"):
        from_estimator(ours(early_stopping=False), quantity="score")
    with pytest.raises(ValueError, match="'theirs' has no learning_rate_curve_"):
        from_estimator(fitted(MLPClassifier(max_iter=2)), name="theirs", quantity="learning_rate")
    with pytest.raises(ValueError, match=r"'loss', 'score', 'learning_rate'.*got 'accuracy'"):
        from_estimator(ours(), quantity=["loss", "accuracy"])
    with pytest.raises(ValueError, match="nothing to draw"):
        TrainingCurveDisplay.from_estimators({})
    with pytest.raises(ValueError, match="nothing to draw"):
        from_estimator(ours(), quantity=[])
    with pytest.raises(ValueError, match=r"draws 2 panel.* 1 Axes"):
        from_estimator(ours(), quantity=["loss", "score"], ax=plt.gca())
    # Nothing was drawn before the error.
    assert plt.gca().lines[:] == []


def test_styles():
    clf = ours()
    display = TrainingCurveDisplay.from_estimator(clf, line_kw={"linewidth": 3, "color": "k"})
    assert [line.get_linewidth() for line in drawn(display.ax_)] == [3, 3]
    assert [line.get_color() for line in drawn(display.ax_)] == ["k", "k"]
    # What tells training from validation stays.
    display = TrainingCurveDisplay.from_estimator(clf, line_kw={"linestyle": ":", "label": "a"})
    assert [line.get_linestyle() for line in drawn(display.ax_)] == [":", "--"]
    assert legend(display.ax_) == ["a", "validation"]
    # Short names of properties mean the same.
    display = TrainingCurveDisplay.from_estimator(
        clf, quantity=["loss", "score"], line_kw={"ls": ":", "lw": 3, "c": "k", "ms": 9}
    )
    assert [line.get_linestyle() for line in drawn(display.ax_[0])] == [":", "--"]
    assert [line.get_linestyle() for line in drawn(display.ax_[1])] == [":"]
    assert {line.get_linewidth() for line in drawn(display.ax_[0])} == {3}
    assert {line.get_color() for line in drawn(display.ax_[0])} == {"k"}
    assert drawn(display.ax_[1])[0].get_markersize() == 9
    with plt.style.context("dark_background"):
        display = TrainingCurveDisplay.from_estimator(clf)
    assert same_color(display.figure_.get_facecolor(), "black")
    assert not same_color(display.lines_["loss"][0].get_color(), "C0")


def test_one_epoch_is_seen():
    clf = ours(n_epochs=1)
    display = TrainingCurveDisplay.from_estimator(clf, quantity=["loss", "learning_rate"])
    lines = [line for panel in display.ax_ for line in drawn(panel)]
    assert {len(line.get_xdata()) for line in lines} == {1}
    assert {line.get_marker() for line in lines} == {"o"}
    display = TrainingCurveDisplay(curves={None: TrainingCurves(np.ones(2))}).plot()
    assert display.lines_["loss"][0].get_marker() == "None"


def test_many_models_have_names():
    with pytest.raises(TypeError, match="dict of names to fitted models, got list"):
        TrainingCurveDisplay.from_estimators([ours()])


@pytest.mark.parametrize(("n", "marker"), [(30, "o"), (31, "None")])
def test_few_validation_epochs_have_markers(n, marker):
    epochs, ones = np.arange(1, n + 1), np.ones(n)
    curves = {None: TrainingCurves(np.ones(31), epochs, ones, ones)}
    display = TrainingCurveDisplay(curves=curves, quantity=["loss", "score"]).plot()
    assert display.lines_["loss"][1].get_marker() == marker
    assert display.lines_["score"][0].get_marker() == marker


def test_many_validation_epochs_have_no_markers():
    curves = TrainingCurves(np.ones(31), np.arange(1, 32), np.ones(31), np.ones(31))
    display = TrainingCurveDisplay(curves={None: curves}, quantity=["loss", "score"]).plot()
    assert {line.get_marker() for panel in display.ax_ for line in panel.lines} == {"None"}


def test_subclasses():
    class Own(TrainingCurveDisplay):
        pass

    assert type(Own.from_estimator(ours())) is Own
    assert type(Own.from_estimators({"a": ours()})) is Own
