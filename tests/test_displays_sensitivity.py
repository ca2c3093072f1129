"""SensitivityDisplay: lines, bands and marks against ``cv_results_``."""

import warnings

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skbn import MLPWithBatchNormClassifier, SensitivityDisplay
from skbn.displays import SensitivityCurve
from skbn.displays.sensitivity import BORDER

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)


@pytest.fixture(autouse=True)
def _agg():
    before = matplotlib.get_backend()
    matplotlib.use("Agg")
    yield
    plt.close("all")
    matplotlib.use(before)


class Model(ClassifierMixin, BaseEstimator):
    """Predicts by one column, the better the larger `rate` is, and diverges above `limit`."""

    def __init__(self, rate=1.0, batch_norm="before", alpha=0.0, kind="a", flag=True, sizes=(1,)):
        self.rate = rate
        self.batch_norm = batch_norm
        self.alpha = alpha
        self.kind = kind
        self.flag = flag
        self.sizes = sizes

    def fit(self, X, y):
        if self.rate > (100.0 if self.batch_norm else 5.0):
            raise ValueError("diverged")
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        share = 1.0 / (1.0 + self.rate) if self.batch_norm else 0.5
        z = share * X[:, 0] + (1.0 - share - 0.3 * self.alpha) * X[:, 1]
        p = 1.0 / (1.0 + np.exp(-z))
        return np.column_stack([1.0 - p, p])

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def searched(grid, model=None, kind=GridSearchCV, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = kind(Model() if model is None else model, grid, **{"cv": 4} | options)
        return search.fit(X, Y)


def points(search, metric="score", **parameters):
    """Mean and standard deviation of the one candidate with these parameters."""
    results = search.cv_results_
    (n,) = (
        number
        for number, candidate in enumerate(results["params"])
        if all(candidate[name] == value for name, value in parameters.items())
    )
    return results[f"mean_test_{metric}"][n], results[f"std_test_{metric}"][n]


def band(display, number):
    """Lower and upper edge of a band by its horizontal places."""
    edges = {}
    for path in display.bands_[number].get_paths():
        for x, y in path.vertices:
            edges.setdefault(float(x), []).append(y)
    return {x: (min(ys), max(ys)) for x, ys in edges.items()}


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


RATES = [0.01, 0.1, 1.0, 10.0, 1000.0]
GRID = {"rate": RATES, "batch_norm": [None, "before"]}


@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_two_models(scoring):
    search = searched(GRID, scoring=scoring)
    display = SensitivityDisplay.from_search(search)
    assert [line.get_label() for line in display.lines_] == [
        "with batch norm",
        "without batch norm",
    ]
    for number, batch_norm in enumerate(["before", None]):
        line = display.lines_[number]
        np.testing.assert_array_equal(line.get_xdata(), RATES)
        expected = [points(search, rate=rate, batch_norm=batch_norm) for rate in RATES]
        means, stds = np.array(expected).T
        np.testing.assert_allclose(line.get_ydata(), means)
        is_drawn = np.isfinite(means)
        assert is_drawn.sum() == (4 if batch_norm else 3)
        edges = band(display, number)
        for rate, mean, std in zip(
            np.array(RATES)[is_drawn], means[is_drawn], stds[is_drawn], strict=True
        ):
            np.testing.assert_allclose(edges[rate], (mean - std, mean + std))
    assert display.ax_.get_xscale() == "log"
    assert display.ax_.get_xlabel() == "rate"
    assert display.ax_.get_ylabel() == ("Negative log loss" if scoring else "Accuracy")
    assert display.figure_ is display.ax_.figure
    assert display.plot() is display


def test_marks_stay_apart():
    display = SensitivityDisplay.from_search(searched(GRID))
    with_norm, without = display.marks_
    np.testing.assert_array_equal(with_norm.get_xdata(), [1000.0])
    np.testing.assert_array_equal(without.get_xdata(), [10.0, 1000.0])
    assert with_norm.get_marker() != without.get_marker()
    assert [marks.get_color() for marks in display.marks_] == [
        line.get_color() for line in display.lines_
    ]
    display.figure_.canvas.draw()
    heights = []
    for marks in display.marks_:
        places = marks.get_transform().transform(marks.get_xydata())
        # In the Axes, at one height.
        inside = display.ax_.transAxes.inverted().transform(places)
        assert 0.0 < inside[0, 1] < 0.2
        np.testing.assert_allclose(inside[:, 1], inside[0, 1])
        heights.append(places[0, 1])
    assert abs(heights[0] - heights[1]) > without.get_markersize() * display.figure_.dpi / 72
    # A border between the marks and the scores, with a word for the marks.
    borders = [artist for artist in display.ax_.get_children() if artist.get_gid() == BORDER]
    line, word = sorted(borders, key=lambda artist: hasattr(artist, "get_text"))
    border = display.ax_.transAxes.transform([0.0, line.get_ydata()[0]])[1]
    assert word.get_text() == "diverged"
    assert max(heights) < border
    # Below every line and band.
    lowest = min(low for number in (0, 1) for low, _ in band(display, number).values())
    lowest = display.ax_.transData.transform([1.0, lowest])[1]
    assert border < lowest
    # The strip of the marks has no ticks of scores.
    ticks = display.ax_.transData.transform([[1.0, tick] for tick in display.ax_.get_yticks()])
    assert len(ticks) > 2
    assert ticks[:, 1].min() > border
    assert legend(display) == [
        "with batch norm",
        "with batch norm: diverged",
        "without batch norm",
        "without batch norm: diverged",
    ]


def test_marks_of_two_displays_on_one_axes():
    search = searched({"rate": RATES})
    one = SensitivityDisplay.from_search(search)
    other = SensitivityDisplay.from_search(search, ax=one.ax_)
    assert other.ax_ is one.ax_
    (first,), (second,) = one.marks_, other.marks_
    assert first.get_ydata()[0] < second.get_ydata()[0]
    assert first.get_marker() != second.get_marker()
    assert one.lines_[0].get_color() != other.lines_[0].get_color()
    assert legend(one) == ["diverged", "diverged"]
    assert sum(artist.get_gid() == BORDER for artist in one.ax_.get_children()) == 2


def test_nothing_has_diverged():
    display = SensitivityDisplay.from_search(searched({"rate": [1.0, 2.0]}))
    assert display.marks_ == [None]
    assert display.ax_.get_legend() is None
    low, _ = display.ax_.get_ylim()
    edges = np.array(list(band(display, 0).values()))
    # Matplotlib's own margin.
    assert low == pytest.approx(edges.min() - 0.05 * np.ptp(edges))


def test_one_fold_has_diverged():
    class Fragile(Model):
        def fit(self, X, y):
            if self.rate == 2.0 and X[0, 0] == FIRST:
                raise ValueError("diverged")
            return super().fit(X, y)

    FIRST = X[0, 0]
    search = searched({"rate": [1.0, 2.0, 3.0]}, Fragile())
    display = SensitivityDisplay.from_search(search)
    np.testing.assert_array_equal(display.marks_[0].get_xdata(), [2.0])
    assert np.isnan(display.lines_[0].get_ydata()).tolist() == [False, True, False]


def test_infinite_scores_have_diverged():
    search = searched({"rate": [1.0, 2.0]})
    search.cv_results_["split2_test_score"][1] = -np.inf
    display = SensitivityDisplay.from_search(search)
    np.testing.assert_array_equal(display.marks_[0].get_xdata(), [2.0])


@pytest.mark.parametrize(
    ("values", "scale"),
    [([1.0, 20.0], "linear"), ([1.0, 21.0], "log"), ([0.0, 21.0], "linear")],
)
def test_scale(values, scale):
    assert SensitivityDisplay.from_search(searched({"rate": values})).ax_.get_xscale() == scale


class TestParameters:
    def test_the_numeric_one_with_most_values(self):
        grid = {"alpha": [0.0, 0.5], "rate": [1.0, 2.0, 3.0], "flag": [True, False]}
        grid["kind"] = list("abcde")
        display = SensitivityDisplay.from_search(searched(grid), group_by=[])
        assert display.param_name == "rate"
        display = SensitivityDisplay.from_search(searched(grid), param_name="alpha", group_by=[])
        assert display.ax_.get_xlabel() == "alpha"

    def test_any_other_parameter_has_lines(self):
        search = searched({"rate": [3.0, 1.0, 2.0], "alpha": [0.5, 0.0]})
        display = SensitivityDisplay.from_search(search)
        # Numbers are in order.
        assert legend(display) == ["alpha = 0.0", "alpha = 0.5"]
        for line, alpha in zip(display.lines_, (0.0, 0.5), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), [1.0, 2.0, 3.0])
            means = [points(search, rate=rate, alpha=alpha)[0] for rate in (1.0, 2.0, 3.0)]
            np.testing.assert_allclose(line.get_ydata(), means)

    def test_text_and_lists_as_values(self):
        search = searched({"rate": [1.0, 2.0, 3.0], "kind": ["b", "a"]})
        assert legend(SensitivityDisplay.from_search(search)) == ["kind = b", "kind = a"]
        search = searched({"rate": [1.0, 2.0, 3.0], "sizes": [[4, 4], [8]]})
        assert legend(SensitivityDisplay.from_search(search)) == ["sizes = [4, 4]", "sizes = [8]"]

    def test_places_of_batch_norm(self):
        search = searched({"rate": [1.0, 2.0, 3.0, 4.0], "batch_norm": [None, "after", "before"]})
        assert legend(SensitivityDisplay.from_search(search)) == [
            "with batch norm (before)",
            "with batch norm (after)",
            "without batch norm",
        ]
        search = searched({"rate": [1.0, 2.0, 3.0], "batch_norm": ["after", "before"]})
        assert legend(SensitivityDisplay.from_search(search)) == [
            "with batch norm (before)",
            "with batch norm (after)",
        ]

    def test_batch_norm_is_preferred_and_the_rest_is_pooled(self):
        grid = {"rate": [1.0, 2.0, 3.0], "batch_norm": ["before", None], "alpha": [0.0, 0.5]}
        search = searched(grid)
        display = SensitivityDisplay.from_search(search)
        assert legend(display) == ["with batch norm", "without batch norm"]
        results = search.cv_results_
        for number, batch_norm in enumerate(["before", None]):
            for place, rate in enumerate((1.0, 2.0, 3.0)):
                folds = [
                    results[f"split{fold}_test_score"][n]
                    for n, candidate in enumerate(results["params"])
                    for fold in range(4)
                    if (candidate["rate"], candidate["batch_norm"]) == (rate, batch_norm)
                ]
                assert len(folds) == 8
                mean, std = np.mean(folds), np.std(folds)
                assert display.lines_[number].get_ydata()[place] == pytest.approx(mean)
                np.testing.assert_allclose(band(display, number)[rate], (mean - std, mean + std))
        display = SensitivityDisplay.from_search(search, group_by=["alpha", "batch_norm"])
        assert legend(display) == [
            "alpha = 0.0, with batch norm",
            "alpha = 0.0, without batch norm",
            "alpha = 0.5, with batch norm",
            "alpha = 0.5, without batch norm",
        ]
        display = SensitivityDisplay.from_search(search, group_by="alpha")
        assert legend(display) == ["alpha = 0.0", "alpha = 0.5"]
        assert len(SensitivityDisplay.from_search(search, group_by=()).lines_) == 1
        display = SensitivityDisplay.from_search(search, group_by=["alpha", "alpha"])
        assert legend(display) == ["alpha = 0.0", "alpha = 0.5"]

    def test_lists_of_grids(self):
        # One grid leaves batch norm as the model has it.
        search = searched([{"rate": [1.0, 2.0]}, {"rate": [1.0, 3.0], "batch_norm": [None]}])
        display = SensitivityDisplay.from_search(search)
        found = {line.get_label(): line.get_xdata().tolist() for line in display.lines_}
        assert found == {"with batch norm": [1.0, 2.0], "without batch norm": [1.0, 3.0]}

    def test_steps_that_are_replaced(self):
        # What another grid varies has the value of the new step, or is not there.
        ours = {"model": [Model(alpha=0.25)], "model__rate": [1.0, 2.0]}
        others = {"model": [LogisticRegression()], "model__C": [0.1, 1.0, 10.0]}
        search = searched([ours, others], Pipeline([("model", Model(alpha=0.5))]))
        display = SensitivityDisplay.from_search(search, param_name="model__rate", group_by=[])
        assert display.lines_[0].get_xdata().tolist() == [1.0, 2.0]
        display = SensitivityDisplay.from_search(search, group_by="model")
        assert display.param_name == "model__C"
        assert display.lines_[0].get_xdata().tolist() == [0.1, 1.0, 10.0]
        assert legend(display) == ["model = LogisticRegression()"]
        display = SensitivityDisplay.from_search(
            search, param_name="model__rate", group_by="model__C"
        )
        assert legend(display) == ["C = none"]
        search = searched(
            [ours, {"model": [Model(rate=5.0)], "model__alpha": [0.0, 0.5]}],
            Pipeline([("model", Model(alpha=0.75))]),
        )
        display = SensitivityDisplay.from_search(
            search, param_name="model__rate", group_by="model__alpha"
        )
        found = {line.get_label(): line.get_xdata().tolist() for line in display.lines_}
        assert found == {"alpha = 0.0": [5.0], "alpha = 0.25": [1.0, 2.0], "alpha = 0.5": [5.0]}

    def test_labels_have_one_line(self):
        model = Model(rate=2.0, batch_norm=None, alpha=0.25, kind="b", flag=False, sizes=(1, 2, 3))
        assert "\n" in str(model)
        search = searched({"m": [model], "m__rate": [1.0, 2.0]}, Pipeline([("m", Model())]))
        display = SensitivityDisplay.from_search(search, group_by="m")
        assert "\n" not in display.lines_[0].get_label()
        assert "kind='b', rate=2.0" in display.lines_[0].get_label()

    def test_what_is_not_clear(self):
        from_search = SensitivityDisplay.from_search
        grid = {"rate": [1.0, 2.0, 3.0], "kind": ["a", "b"], "alpha": [0.0, 0.5]}
        search = searched(grid)
        with pytest.raises(ValueError, match=r"Beside rate the search varies alpha, kind: give"):
            from_search(search)
        with pytest.raises(ValueError, match=r"parameters alpha, kind, rate, not 'gamma'"):
            from_search(search, param_name="gamma")
        with pytest.raises(ValueError, match=r"values of 'kind' are not all numbers"):
            from_search(search, param_name="kind")
        for group_by in ("gamma", "rate", ["kind", "rate"]):
            with pytest.raises(ValueError, match=r"none of the other parameters.*alpha, kind\."):
                from_search(search, group_by=group_by)
        with pytest.raises(ValueError, match="varies no parameter"):
            from_search(searched({}))
        with pytest.raises(ValueError, match="none of which has numbers alone"):
            from_search(searched({"kind": ["a", "b"], "flag": [True, False]}))


class TestSearches:
    def test_nested_names(self):
        pipeline = Pipeline([("scale", StandardScaler()), ("mlp", Model())])
        search = searched(
            {"mlp__rate": [1.0, 2.0, 3.0], "mlp__batch_norm": ["before", None]}, pipeline
        )
        display = SensitivityDisplay.from_search(search)
        assert legend(display) == ["with batch norm", "without batch norm"]
        assert display.ax_.get_xlabel() == "rate"
        assert display.param_name == "mlp__rate"
        short = SensitivityDisplay.from_search(search, param_name="rate", group_by="batch_norm")
        assert legend(short) == legend(display)
        assert short.param_name == "mlp__rate"
        search = searched({"mlp__rate": [1.0, 2.0, 3.0], "mlp__alpha": [0.0, 1.0]}, pipeline)
        assert legend(SensitivityDisplay.from_search(search)) == ["alpha = 0.0", "alpha = 1.0"]

    def test_a_last_part_of_two_names_is_none_of_them(self):
        search = searched({"rate": [1.0, 2.0]})
        search.cv_results_["params"] = [
            {"one__rate": params["rate"], "two__rate": params["rate"]}
            for params in search.cv_results_["params"]
        ]
        with pytest.raises(ValueError, match="not 'rate'"):
            SensitivityDisplay.from_search(search, param_name="rate")

    def test_random(self):
        search = searched(
            {"rate": loguniform(0.01, 3.0), "batch_norm": ["before", None]},
            kind=RandomizedSearchCV,
            n_iter=12,
            random_state=0,
        )
        display = SensitivityDisplay.from_search(search)
        for line, batch_norm in zip(display.lines_, ("before", None), strict=True):
            expected = sorted(
                (candidate["rate"], mean)
                for candidate, mean in zip(
                    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
                )
                if candidate["batch_norm"] == batch_norm
            )
            np.testing.assert_allclose(line.get_xydata(), expected)

    def test_halving(self):
        search = searched(
            {"rate": [0.01, 0.1, 1.0, 2.0, 3.0, 4.0]},
            kind=HalvingGridSearchCV,
            factor=2,
            random_state=0,
            min_resources=30,
        )
        results = search.cv_results_
        assert len(results["params"]) > 6
        (line,) = SensitivityDisplay.from_search(search).lines_
        for rate, mean in line.get_xydata():
            last = [n for n, of in enumerate(results["params"]) if of["rate"] == rate][-1]
            assert mean == pytest.approx(results["mean_test_score"][last])

    def test_several_metrics(self):
        search = searched(
            {"rate": [1.0, 2.0]}, scoring=["accuracy", "neg_log_loss"], refit="neg_log_loss"
        )
        display = SensitivityDisplay.from_search(search)
        expected = [points(search, "neg_log_loss", rate=rate)[0] for rate in (1.0, 2.0)]
        np.testing.assert_allclose(display.lines_[0].get_ydata(), expected)
        assert display.ax_.get_ylabel() == "Negative log loss"
        display = SensitivityDisplay.from_search(search, metric="accuracy")
        expected = [points(search, "accuracy", rate=rate)[0] for rate in (1.0, 2.0)]
        np.testing.assert_allclose(display.lines_[0].get_ydata(), expected)
        assert display.ax_.get_ylabel() == "Accuracy"
        with pytest.raises(ValueError, match=r"metrics accuracy, neg_log_loss: give one as metric"):
            SensitivityDisplay.from_search(search, metric="r2")
        search = searched({"rate": [1.0]}, scoring=["accuracy", "neg_log_loss"], refit=False)
        with pytest.raises(ValueError, match="give one as metric"):
            SensitivityDisplay.from_search(search)

    def test_what_is_not_fitted(self):
        with pytest.raises(NotFittedError):
            SensitivityDisplay.from_search(GridSearchCV(Model(), GRID))
        with pytest.raises(TypeError, match="a fitted search such as GridSearchCV, got Model"):
            SensitivityDisplay.from_search(Model().fit(X, Y))

    def test_our_networks_diverge(self):
        search = searched(
            {"learning_rate_init": [0.01, 1e4], "batch_norm": ["before", None]},
            MLPWithBatchNormClassifier(
                (8,),
                activation="relu",
                solver="sgd",
                n_epochs=4,
                early_stopping=False,
                random_state=0,
            ),
            cv=2,
        )
        display = SensitivityDisplay.from_search(search)
        assert display.param_name == "learning_rate_init"
        assert display.marks_[1].get_xdata().tolist() == [1e4]
        assert np.isfinite(display.lines_[0].get_ydata()[0])


def test_styles_and_subclasses():
    class Own(SensitivityDisplay):
        pass

    _, ax = plt.subplots()
    display = Own.from_search(
        searched(GRID), ax=ax, line_kw={"linewidth": 3}, band_kw={"alpha": 0.5}
    )
    assert type(display) is Own
    assert display.ax_ is ax
    assert [line.get_linewidth() for line in display.lines_] == [3, 3]
    assert [of.get_alpha() for of in display.bands_] == [0.5, 0.5]
    # Short names of properties mean the same.
    display = Own.from_search(
        searched(GRID), line_kw={"lw": 3, "c": "k", "ms": 9}, band_kw={"lw": 2, "fc": "r"}
    )
    assert [line.get_linewidth() for line in display.lines_] == [3, 3]
    assert [line.get_color() for line in display.lines_] == ["k", "k"]
    assert [of.get_linewidth().tolist() for of in display.bands_] == [[2], [2]]


def test_data_by_hand():
    values = np.array([1.0, 2.0])
    curve = SensitivityCurve(values, np.array([np.nan, np.nan]), np.zeros(2))
    display = SensitivityDisplay(curves={None: curve}, param_name="rate").plot()
    # Nothing but marks is in the picture.
    np.testing.assert_array_equal(display.marks_[0].get_xdata(), values)
    display.figure_.canvas.draw()
    with pytest.raises(ValueError, match="draws 1 panel"):
        display.plot(plt.subplots(1, 2)[1])
