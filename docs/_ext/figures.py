"""The figures of the pages, drawn at the beginning of a build from the numbers in docs/results.

Each function in `FIGURES` draws the content of one JSON file, ``docs/results/NAME.json``. Pages
show the figure as ``/images/generated/NAME.svg``. The figures of the experiments about batch norm
are drawn by ``benchmarks/claims_figures.py``: its ``draw`` gets the content of ``claims.json`` and
the directory, and names its files ``claims-NAME``.
"""

import importlib
import json
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

# White ground and dark lines: legible on light and on dark pages. The same bytes for each build.
STYLE = {
    "font.size": 11,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "svg.hashsalt": "skbn",
}
# With batch norm, without, others: of the palette of Okabe and Ito, which colour-blind people tell
# apart.
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#666666"


def setup(app):
    app.connect("builder-inited", lambda app: draw_all(Path(app.srcdir)))
    return {"parallel_read_safe": True}


def draw_all(docs):
    """Draw every figure into ``images/generated`` of the directory `docs`."""
    directory = docs / "images" / "generated"
    directory.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        for name, draw in FIGURES.items():
            file = docs / "results" / f"{name}.json"
            figure = draw(json.loads(file.read_text(encoding="utf-8")))
            figure.savefig(directory / f"{name}.svg", metadata={"Date": None})
    draw_claims(docs, directory)


def draw_claims(docs, directory):
    """Draw the figures of the experiments about batch norm, if they have been run."""
    claims = docs / "results" / "claims.json"
    module = docs.parent / "benchmarks" / "claims_figures.py"
    if claims.is_file() and module.is_file():
        sys.path.insert(0, str(docs.parent))
        try:
            draw = importlib.import_module("benchmarks.claims_figures").draw
        finally:
            sys.path.remove(str(docs.parent))
        draw(json.loads(claims.read_text(encoding="utf-8")), directory)


# Learning rates ----------------------------------------------------------------------------

NETWORKS = {
    "MLPWithBatchNormClassifier": (BLUE, "o", "skbn"),
    "MLPWithBatchNormClassifier(batch_norm=None)": (ORANGE, "s", "skbn, batch_norm=None"),
    "scikit-learn's MLPClassifier, standardized inputs": (
        GREY,
        "^",
        "scikit-learn, standardized inputs",
    ),
}


def learning_rates(results):
    """Accuracy over the learning rate; crosses in a row of their own mark diverged fits."""
    figure = Figure(figsize=(6.2, 4.0), layout="constrained")
    axes = figure.subplots()
    rates = np.array(results["rates"])
    for place, (name, (color, marker, label)) in enumerate(NETWORKS.items()):
        folds = results["accuracy"][name]
        trained = np.array([scores is not None for scores in folds])
        kept = np.array([scores for scores in folds if scores is not None])
        mean, deviation = kept.mean(axis=1), kept.std(axis=1)
        axes.plot(rates[trained], mean, marker=marker, color=color, label=label)
        axes.fill_between(
            rates[trained], mean - deviation, mean + deviation, color=color, alpha=0.2, lw=0
        )
        lost = rates[~trained]
        axes.plot(lost, np.full(len(lost), -0.06 - 0.06 * place), "x", color=color, ms=6)
    axes.axhline(0.0, color="black", lw=0.8)
    axes.annotate("diverged", (rates[0], -0.12), va="center", color=GREY)
    axes.set(
        xscale="log",
        xlabel="learning rate",
        ylabel="accuracy (fraction of the test rows)",
        ylim=(-0.24, 1.03),
        yticks=np.arange(0.0, 1.1, 0.2),
    )
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 0.22))
    return figure


# Scores on tables --------------------------------------------------------------------------

MODELS = {
    "skbn ensemble": ("skbn, ensemble", BLUE),
    "skbn": ("skbn, one network", BLUE),
    "HistGradientBoosting": ("gradient boosting", GREY),
    "skorch": ("skorch, BatchNorm1d", GREY),
    "sklearn": ("scikit-learn's network", GREY),
}


def tables(results):
    """Error and log loss relative to scikit-learn's network, by model and data set."""
    models = {model["name"]: model for model in results["models"]}
    reference = models[results["reference"]]
    figure = Figure(figsize=(7.6, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for row, (name, (_, color)) in enumerate(MODELS.items()):
        model = models[name]
        error = [(1 - model["score"][k]) / (1 - reference["score"][k]) for k in reference["score"]]
        loss = [model["log_loss"][k] / reference["log_loss"][k] for k in reference["log_loss"]]
        for axes, ratios, mean in (
            (left, error, model["relative_error"]),
            (right, loss, model["relative_log_loss"]),
        ):
            axes.plot(ratios, np.full(len(ratios), row), "o", color=color, alpha=0.4, ms=5)
            axes.plot(mean, row, "D", color=color, ms=9)
            axes.annotate(
                f"{mean:.2f}",
                (mean, row),
                (0, 9),
                textcoords="offset points",
                ha="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )
    left.set_yticks(range(len(MODELS)), [label for label, _ in MODELS.values()])
    left.set_ylim(len(MODELS) - 0.5, -0.7)
    for axes, title in ((left, "error, nine sets"), (right, "log loss, five sets of classes")):
        axes.axvline(1.0, color="black", lw=0.8)
        axes.set(xscale="log", title=title)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xticks([0.25, 0.5, 1.0, 2.0])
    figure.supxlabel("relative to scikit-learn's network (less is better)", fontsize=11)
    return figure


# Accuracy on sequences ---------------------------------------------------------------------


def recurrent(results):
    """Accuracy on each data set of sequences: ours with its standard error, published ones."""
    names = [*results["measured"], *results["published"]]
    figure = Figure(figsize=(7.6, 4.2), layout="constrained")
    panels = figure.subplots(1, len(results["sets"]), sharey=True)
    for axes, data in zip(panels, results["sets"], strict=True):
        for row, (name, color) in enumerate(zip(results["measured"], (BLUE, ORANGE), strict=True)):
            mean, error = results["measured"][name][data]
            axes.errorbar(mean, row, xerr=error, fmt="D", color=color, ms=7, capsize=3)
        for row, name in enumerate(results["published"], len(results["measured"])):
            values = results["published"][name].get(data, [])
            axes.plot(values, np.full(len(values), row), "o", color=GREY, ms=6)
        axes.axvline(results["measured"][names[0]][data][0], color=BLUE, lw=0.8, ls="--")
        axes.set(title=data, ylim=(len(names) - 0.5, -0.5))
        axes.margins(x=0.12)
        axes.xaxis.set_major_locator(MaxNLocator(3))
    panels[0].set_yticks(range(len(names)), names)
    figure.supxlabel("accuracy (fraction of the test sequences); grey: published", fontsize=11)
    return figure


# Workers of a cluster ----------------------------------------------------------------------


def workers(results):
    """Steps a second with several workers, relative to one worker, for each network."""
    rows = {(row["network"], row["workers"]): row for row in results["rows"]}
    networks = list(dict.fromkeys(row["network"] for row in results["rows"]))
    numbers = sorted({row["workers"] for row in results["rows"]})
    figure = Figure(figsize=(7.6, 3.4), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(networks))
    width = 0.8 / (len(numbers) - 1)
    for shift, n in enumerate(numbers[1:]):
        at = places + (shift - (len(numbers) - 2) / 2.0) * width
        for key, color, label in (
            ("alone", "#c8d8e8", f"{n} workers, without messages"),
            ("seconds", BLUE, f"{n} workers"),
        ):
            speeds = [rows[name, 1]["seconds"] / rows[name, n][key] for name in networks]
            axes.bar(at, speeds, width * (0.9 if key == "alone" else 0.5), color=color, label=label)
            if key == "seconds":
                axes.bar_label(axes.containers[-1], fmt="%.2f", padding=2, fontsize=10)
    axes.axhline(1.0, color="black", lw=0.8, ls="--")
    axes.set_xticks(places, networks)
    axes.set(ylabel="speed, relative to one worker", xlabel="hidden layers @ rows of a mini-batch")
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper left", ncols=2, bbox_to_anchor=(0.0, 1.18))
    return figure


# Files larger than memory -------------------------------------------------------------------

COURSES = {
    "fit, array in memory, no limit": (ORANGE, "-", "fit, array in memory (without the limit)"),
    "fit, mapped file": (BLUE, "-", "fit, mapped file"),
    "partial_fit, Parquet": (GREY, "-", "partial_fit, Parquet file"),
}


def larger_than_memory(results):
    """Private memory of a process over the time of its fit, and the limit."""
    content = results["memory"]
    rows = {row["way"]: row for row in content["rows"]}
    figure = Figure(figsize=(6.2, 3.4), layout="constrained")
    axes = figure.subplots()
    for way, (color, style, label) in COURSES.items():
        times, private, _ = np.transpose(rows[way]["course"])
        axes.plot(times / times[-1], private, style, color=color, label=label)
    axes.axhline(content["limit"], color="black", lw=0.8, ls="--")
    axes.annotate("limit", (0.0, content["limit"]), xytext=(0, 3), textcoords="offset points")
    axes.set(
        xlabel="time (fraction of the fit)",
        ylabel="memory beside the libraries (MB)",
        ylim=(0, None),
    )
    axes.legend(loc="center right")
    return figure


FIGURES = {
    "larger_than_memory": larger_than_memory,
    "learning_rates": learning_rates,
    "recurrent": recurrent,
    "tables": tables,
    "workers": workers,
}
