"""The scores of a search over one parameter, with and without batch norm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skbn.displays.panels import Keywords, Panels, axes_of, panels_for, spans, styles

# The axis is logarithmic if the values span more than this factor.
LOG_FACTOR = 20.0

# Marks of candidates that diverged. Each line has its own shape and height, so that marks at one
# value of the parameter stay apart. Heights are shares of the height of the Axes, below the scores.
MARKERS = ("X", "P", "v", "D", "s", "^", "*", "o")
LOWEST, NEXT = 0.03, 0.06

# The names by which the marks, and the border between them and the scores, are found on an Axes.
MARK = "skbn: diverged"
BORDER = "skbn: border"


@dataclass
class SensitivityCurve:
    """The scores of one line.

    Attributes
    ----------
    values : ndarray of shape (n_values,)
        Values of the parameter, in ascending order.

    means, stds : ndarray of shape (n_values,)
        Mean and standard deviation of the scores over the folds; NaN where a score is not finite.
    """

    values: np.ndarray
    means: np.ndarray
    stds: np.ndarray

    @property
    def diverged(self) -> np.ndarray:
        """The values of the parameter at which a score is not finite, an ndarray."""
        return self.values[~np.isfinite(self.means)]


class SensitivityDisplay:
    """Scores of a fitted search over the values of one parameter, with one line for each model.

    A line shows the mean of the scores over the folds. The band around the line is one standard
    deviation over the folds. If a fold has no finite score at a value, the line has no point there:
    training diverged, and the search has set the score to NaN (``error_score=numpy.nan``, the
    default). The value then has a mark in a strip below the scores, in the colour of the line. Each
    line has its own shape of mark, at its own height, so that marks at one value stay apart. The
    height of a mark is not a score.

    Use :meth:`from_search` to make a display.

    Parameters
    ----------
    curves : dict of str or None to SensitivityCurve
        The scores of each line. The keys are the labels of the lines; None is the key of a single
        line without a label.

    param_name : str
        Name of the parameter: the label of the horizontal axis.

    score_name : str, default="Score"
        Name of the score: the label of the vertical axis.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The Axes with the lines.

    figure_ : matplotlib.figure.Figure
        The figure of the Axes.

    lines_ : list of matplotlib.lines.Line2D
        The line of the mean scores of each model.

    bands_ : list of matplotlib.collections.PolyCollection
        The band of each line.

    marks_ : list of matplotlib.lines.Line2D or None
        For each line the marks of the values that diverged, or None if no value diverged.

    See Also
    --------
    TrainingCurveDisplay : Loss, score and learning rate over epochs.
    sklearn.model_selection.ValidationCurveDisplay : Scores of one model over one parameter.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skbn import MLPWithBatchNormClassifier, SensitivityDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> search = GridSearchCV(
    ...     MLPWithBatchNormClassifier((10,), n_epochs=10, random_state=0),
    ...     {"learning_rate_init": [0.001, 0.01, 0.1, 1.0], "batch_norm": ["before", None]},
    ...     cv=3,
    ... ).fit(X, y)
    >>> display = SensitivityDisplay.from_search(search)
    >>> [line.get_label() for line in display.lines_]
    ['with batch norm', 'without batch norm']
    >>> display.figure_.savefig("sensitivity.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        curves: Mapping[str | None, SensitivityCurve],
        param_name: str,
        score_name: str = "Score",
    ) -> None:
        self.curves = curves
        self.param_name = param_name
        self.score_name = score_name

    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        param_name: str | None = None,
        group_by: str | Sequence[str] | None = None,
        metric: str | None = None,
        ax: Panels = None,
        line_kw: Keywords | None = None,
        band_kw: Keywords | None = None,
    ) -> Self:
        """Draw the scores of a fitted search.

        Parameters
        ----------

        search : GridSearchCV, RandomizedSearchCV or another search with ``cv_results_``
            A fitted search. In a halving search the score of a candidate is the score of its last
            iteration, which had the most rows. Candidates that were dropped early had fewer rows.

        param_name : str, default=None
            The numeric parameter of the horizontal axis, for example ``"learning_rate_init"``. A
            parameter of a pipeline can have its full name, ``"mlp__learning_rate_init"``, or the
            last part of the name, if no other parameter has it. None: the numeric parameter with
            the most distinct values, or the first such parameter. A candidate without a number for
            it, for example ``"auto"`` in a list of grids, is not drawn.

        group_by : str or list of str, default=None
            The parameters whose values have one line each, by full names or by last parts. None:
            the other parameter that varies, or ``batch_norm`` if several other parameters vary. An
            empty list: a single line. Candidates that differ only in further parameters share one
            point: the mean and the band are taken over the folds of all these candidates.

        metric : str, default=None
            Name of the score, in a search with several scores. None: the metric of `refit`.

        ax : matplotlib.axes.Axes, default=None
            The Axes to draw on. None: a new figure.

        line_kw, band_kw : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot` and
            :meth:`matplotlib.axes.Axes.fill_between`.

        Returns
        -------

        display : SensitivityDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If the search is not fitted.
        TypeError
            If `search` is no search.
        ValueError
            If there is no numeric parameter, or if it is not clear what to draw. The message names
            the argument that decides.
        """
        check_matplotlib_support(f"{cls.__name__}.from_search")
        if not hasattr(search, "cv_results_") and not hasattr(search, "refit"):
            raise TypeError(
                f"{cls.__name__}.from_search takes a fitted search such as GridSearchCV, got "
                f"{type(search).__name__}."
            )
        check_is_fitted(search, "cv_results_")
        candidates = search.cv_results_["params"]
        metric = _metric_of(search, metric)
        names = list(dict.fromkeys(name for candidate in candidates for name in candidate))
        param_name = _numeric_parameter(candidates, names, _full_name(param_name, names))
        candidates = [_completed(of, names, search.estimator) for of in candidates]
        groups = _groups(candidates, names, param_name, group_by)
        folds = _fold_scores(search.cv_results_, metric)
        chosen = _last_iterations(search.cv_results_)
        curves = {
            label: _curve([n for n in numbers if n in chosen], candidates, param_name, folds)
            for label, numbers in groups.items()
        }
        display = cls(curves=curves, param_name=param_name, score_name=_score_name(search, metric))
        return display.plot(ax, line_kw=line_kw, band_kw=band_kw)

    def plot(
        self,
        ax: Panels = None,
        *,
        line_kw: Keywords | None = None,
        band_kw: Keywords | None = None,
    ) -> Self:
        """Draw the scores.

        Parameters
        ----------

        ax : matplotlib.axes.Axes, default=None
            The Axes to draw on. None: a new figure.

        line_kw, band_kw : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot` and
            :meth:`matplotlib.axes.Axes.fill_between`.

        Returns
        -------

        display : SensitivityDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        panels = panels_for(self, ax)
        panel = panels[0, 0]
        line_kw, band_kw = styles(line_kw, band_kw)
        band_kw = {"alpha": 0.2, "linewidth": 0.0} | band_kw
        self.lines_, self.bands_, self.marks_ = [], [], []
        # Another display may have marks on the same Axes.
        n_before = sum(line.get_gid() == MARK for line in panel.lines)
        for number, (label, curve) in enumerate(self.curves.items()):
            style = {"label": label or "", "marker": "o", "markersize": 4} | line_kw
            (line,) = panel.plot(curve.values, curve.means, **style)
            low, high = curve.means - curve.stds, curve.means + curve.stds
            colored = {"color": line.get_color()} | band_kw
            self.lines_.append(line)
            self.bands_.append(panel.fill_between(curve.values, low, high, **colored))
            place = n_before + number
            self.marks_.append(_mark(panel, curve, label, line.get_color(), place))
        _make_room(panel, n_before + len(self.curves))
        if spans(np.concatenate([curve.values for curve in self.curves.values()]), LOG_FACTOR):
            panel.set_xscale("log")
        panel.set_xlabel(self.param_name.split("__")[-1])
        panel.set_ylabel(self.score_name)
        if panel.get_legend_handles_labels()[1]:
            panel.legend()
        self.ax_ = axes_of(panels)
        self.figure_ = panel.figure
        return self


def _mark(panel, curve, label, color, place):
    if not len(curve.diverged):
        return None
    (marks,) = panel.plot(
        curve.diverged,
        np.full(len(curve.diverged), LOWEST + NEXT * place),
        transform=panel.get_xaxis_transform(),
        color=color,
        marker=MARKERS[place % len(MARKERS)],
        markersize=8,
        markeredgecolor="none",
        linestyle="none",
        label="diverged" if label is None else f"{label}: diverged",
        gid=MARK,
        zorder=3.0,
    )
    return marks


def _make_room(panel, n_places):
    """Lower the limit of the vertical axis, so that no score lies where the marks are."""
    low, high = panel.dataLim.intervaly  # of the scores: heights of marks do not count
    is_marked = any(line.get_gid() == MARK for line in panel.lines)
    if is_marked and panel.get_autoscaley_on() and np.isfinite([low, high]).all():
        share = LOWEST + NEXT * n_places
        # A later display on these Axes scales the axis again.
        panel.set_ylim(low - max(high - low, 1e-6) * share / (1.0 - share), auto=None)
        _draw_border(panel, share - 0.5 * NEXT)
        if panel.get_yscale() == "linear":
            _end_ticks(panel, share - 0.5 * NEXT)


def _draw_border(panel, height):
    """Separate the marks from the scores by a line at a share of the height of the Axes."""
    from matplotlib.lines import Line2D

    for artist in panel.get_children():
        if artist.get_gid() == BORDER:  # of an earlier display
            artist.remove()
    style = {"transform": panel.transAxes, "color": "0.5", "gid": BORDER}
    # `plot` would scale the axis again.
    panel.add_artist(Line2D([0.0, 1.0], [height, height], linewidth=0.8, **style))
    panel.text(0.01, 0.5 * height, "diverged", va="center", fontsize="small", **style)


def _end_ticks(panel, height):
    """Draw no ticks of the vertical axis below a share of the height of the Axes."""
    from matplotlib.ticker import AutoLocator

    class TicksOfScores(AutoLocator):
        def tick_values(self, vmin, vmax):
            ticks = super().tick_values(vmin, vmax)
            low, high = sorted((vmin, vmax))
            return ticks[ticks >= low + height * (high - low)]

    panel.yaxis.set_major_locator(TicksOfScores())


def _metric_of(search, metric):
    """The name of the metric in the keys of ``cv_results_``."""
    prefix = "mean_test_"
    known = [key.removeprefix(prefix) for key in search.cv_results_ if key.startswith(prefix)]
    if metric is None:
        metric = "score"
        if known != ["score"] and isinstance(search.refit, str):
            metric = search.refit
    if metric not in known:
        raise ValueError(f"The search has the metrics {', '.join(known)}: give one as metric.")
    return metric


def _score_name(search, metric):
    name = metric
    if metric == "score":
        name = search.scoring
        if name is None:
            # The score methods of scikit-learn's classifiers and regressors.
            name = "accuracy" if is_classifier(search) else "r2" if is_regressor(search) else None
        if not isinstance(name, str):
            return "Score"
    words = name.removeprefix("neg_").replace("_", " ")
    return f"Negative {words}" if name.startswith("neg_") else words.capitalize()


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def _as_text(value):
    """A value in one line, also an estimator."""
    return " ".join(str(value).split())


def _distinct(candidates, name):
    """The values of a parameter as text, in the order of the candidates, without repetition."""
    return list(dict.fromkeys(_as_text(of[name]) for of in candidates if name in of))


def _completed(candidate, names, estimator):
    """A candidate with all parameters of `names` that its model has.

    In a list of grids a candidate need not set each parameter. The model has its value. A step that
    the candidate replaces may have another value, or no such parameter.
    """
    if len(candidate) == len(names):
        return candidate
    model = clone(estimator).set_params(**clone(candidate, safe=False))
    parameters = model.get_params()
    return {name: parameters[name] for name in names if name in parameters} | candidate


def _full_name(name, names):
    """The name of a parameter of the search that has `name` as its last part, if there is one."""
    same = [other for other in names if other.split("__")[-1] == name]
    return same[0] if name not in names and len(same) == 1 else name


def _numeric_parameter(candidates, names, param_name):
    if param_name is not None and param_name not in names:
        raise ValueError(f"The search has the parameters {', '.join(names)}, not {param_name!r}.")
    numeric = {
        name: len(_distinct(candidates, name))
        for name in names
        if all(_is_number(of[name]) for of in candidates if name in of)
    }
    if param_name is None:
        if not names:
            raise ValueError("The search varies no parameter: there is nothing to draw.")
        if not numeric:
            raise ValueError(
                f"The search varies {', '.join(names)}, none of which has numbers alone: there is "
                "nothing for the horizontal axis."
            )
        return max(numeric, key=numeric.get)
    if param_name not in numeric:
        raise ValueError(
            f"The values of {param_name!r} are not all numbers: there is no axis for them."
        )
    return param_name


def _is_batch_norm(name):
    return name.split("__")[-1] == "batch_norm"


def _groups(candidates, names, param_name, group_by):
    """The numbers of the candidates of each line. The keys are the labels of the lines."""
    if group_by is None:
        others = [
            name for name in names if name != param_name and len(_distinct(candidates, name)) > 1
        ]
        group_by = others if len(others) < 2 else [name for name in others if _is_batch_norm(name)]
        if len(others) > 1 and len(group_by) != 1:
            raise ValueError(
                f"Beside {param_name} the search varies {', '.join(others)}: give one or some of "
                "them as group_by, or an empty list for one line."
            )
    group_by = [group_by] if isinstance(group_by, str) else list(group_by)
    group_by = list(dict.fromkeys(_full_name(name, names) for name in group_by))
    for name in group_by:
        if name not in names or name == param_name:
            others = [other for other in names if other != param_name]
            raise ValueError(
                f"group_by has {name!r}, which is none of the other parameters of the search: "
                f"{', '.join(others)}."
            )
    groups = {}
    for number, candidate in enumerate(candidates):
        if _is_number(candidate.get(param_name)):
            key = tuple(candidate.get(name, "none") for name in group_by)
            groups.setdefault(tuple(map(_sortable, group_by, key)), (key, []))[1].append(number)
    labels = {name: _distinct(candidates, name) for name in group_by}
    order = list(groups)
    if all(isinstance(part, float) for key in order for part in key):
        order.sort()
    return {
        ", ".join(map(_label, group_by, groups[key][0], (labels[n] for n in group_by))) or None: (
            groups[key][1]
        )
        for key in order
    }


def _sortable(name, value):
    """The key that sorts the lines: the value as a number, or else as text."""
    if _is_batch_norm(name):
        # The line with batch norm comes first, whatever the order of the candidates.
        return {"before": 0.0, "full": 0.0, "after": 1.0, "input": 1.0, None: 2.0}.get(value, 3.0)
    return float(value) if _is_number(value) else _as_text(value)


def _label(name, value, distinct):
    """The part of the label of a line that is about one parameter."""
    if not _is_batch_norm(name):
        return f"{name.split('__')[-1]} = {_as_text(value)}"
    if value is None:
        return "without batch norm"
    return "with batch norm" + (f" ({value})" if len(set(distinct) - {"None"}) > 1 else "")


def _fold_scores(results, metric):
    """Scores of shape (n_candidates, n_folds)."""
    folds = []
    while f"split{len(folds)}_test_{metric}" in results:
        folds.append(results[f"split{len(folds)}_test_{metric}"])
    return np.array(folds, dtype=float).T


def _last_iterations(results):
    """Numbers of the candidates to draw: in a halving search the last iteration of each."""
    if "iter" not in results:
        return set(range(len(results["params"])))
    last = {}
    for number in np.argsort(results["iter"], kind="stable"):
        last[str(sorted(results["params"][number].items()))] = int(number)
    return set(last.values())


def _curve(numbers, candidates, param_name, folds):
    values = np.array([float(candidates[number][param_name]) for number in numbers])
    scores = folds[numbers]
    distinct = np.unique(values)
    # A fold without a finite score makes its point NaN.
    scores = np.where(np.isfinite(scores), scores, np.nan)
    points = [scores[values == value] for value in distinct]
    means = np.array([point.mean() for point in points])
    stds = np.array([point.std() for point in points])
    return SensitivityCurve(distinct, means, stds)
