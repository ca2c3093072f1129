"""Figures of ``claims.json``; they need matplotlib and NumPy alone.

`draw` takes the content of the file, so that figures can be drawn where nothing is measured.
"""

from itertools import product
from pathlib import Path

import numpy as np

# Colors of Okabe and Ito, which color-blind readers tell apart; the lines differ, too.
STYLES = {
    "with batch norm": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "without": {"color": "#D55E00", "linestyle": "--", "marker": "s"},
    "before the activation": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "after the activation": {"color": "#009E73", "linestyle": "-.", "marker": "^"},
    "gamma and beta trained": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "gamma and beta fixed": {"color": "#CC79A7", "linestyle": "-.", "marker": "^"},
    "exact statistics": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "running averages": {"color": "#E69F00", "linestyle": "--", "marker": "s"},
}
WIDTH = 7.0  # inches, 700 pixels on a page
RESOLUTION = 200
FONT = {"font.size": 8, "axes.titlesize": 8.5, "legend.fontsize": 8, "lines.markersize": 2.5}
NAMES = {
    "digits": "digits",
    "fashion_mnist": "Fashion-MNIST",
    "sgd": "SGD",
    "adam": "Adam",
    "relu": "ReLU",
    "without": "without batch norm",
}


def draw(results, directory):
    """Draw a figure of each experiment that was run.

    Parameters
    ----------
    results : dict
        The content of ``claims.json``.
    directory : path-like
        Where ``claims-NAME.png`` are written; it is made if there is none.

    Returns
    -------
    paths : list of Path
        The files.
    """
    import matplotlib as mpl

    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure_of in FIGURES.items():
        rows = results["results"].get(name)
        if not rows:
            continue
        path = directory / f"claims-{name}.png"
        with mpl.rc_context(FONT):
            figure_of(rows).savefig(path, dpi=RESOLUTION)
        paths.append(path)
    return paths


def grid(n_rows, n_columns, height, **named):
    """A figure and its panels, an array of shape (n_rows, n_columns)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False, **named)
    for panel in panels.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="0.9", linewidth=0.6)
    return figure, panels


def band(panel, x, y, error, side, **named):
    """A line with a band of one standard error."""
    y, error = np.asarray(y, float), np.asarray(error, float)
    style = STYLES[side] | named
    panel.plot(x, y, label=called(side), **style)
    panel.fill_between(x, y - error, y + error, color=style["color"], alpha=0.25, linewidth=0)


def legend_above(figure, panel):
    """One legend for all panels."""
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)


def called(name):
    return NAMES.get(name, name)


def network_name(row):
    return f"{row['layers']} layers, {called(row['activation'])}, {called(row['solver'])}"


def paper(rows):
    """Accuracy over steps, and quantiles of the input of a unit with and without batch norm."""
    figure, panels = grid(len(rows), 3, 0.7 + 2.1 * len(rows))
    for line, row in zip(panels, rows, strict=True):
        shown = next(one for one in row["rates"] if one["rate"] == row["rate"])
        for panel, side in zip(line[1:], ("without", "with batch norm"), strict=True):
            value, style = shown[side], STYLES[side]
            band(line[0], shown["steps"], value["score"], value["score_error"], side, marker="")
            low, median, high = np.transpose(value["quantiles"])
            steps = shown["steps"][: len(median)]
            panel.plot(steps, median, color=style["color"])
            panel.fill_between(steps, low, high, color=style["color"], alpha=0.3, linewidth=0)
            panel.set_title(f"A unit's input, {called(side)}", fontsize=8)
        line[0].set_title(f"{called(row['data'])}, rate {row['rate']:g}")
        line[0].set_ylabel("test accuracy")
        line[0].set_ylim(0, 1)
        line[1].set_ylabel("15, 50, 85 % quantiles")
        line[2].sharey(line[1])
        line[2].autoscale(axis="y")
        for panel in line:
            panel.set_xscale("log")
    for panel in panels[-1]:
        panel.set_xlabel("training steps")
    legend_above(figure, panels[0, 0])
    return figure


def sensitivity(rows, label):
    """A panel for each network: score over a quantity, crosses where runs are lost."""
    from matplotlib.ticker import NullLocator

    activations = list(dict.fromkeys(row["activation"] for row in rows))
    kinds = list(dict.fromkeys((row["solver"], row["layers"]) for row in rows))
    figure, panels = grid(len(kinds), len(activations), 0.6 + 1.7 * len(kinds), sharey=True)
    for panel in panels.flat:
        panel.set_visible(False)
    for row in rows:
        place = kinds.index((row["solver"], row["layers"])), activations.index(row["activation"])
        panel = panels[place]
        panel.set_visible(True)
        for number, (side, value) in enumerate(row["sides"].items()):
            band(panel, value["x"], value["score"], value["error"], side)
            lost = np.asarray(value["x"])[np.asarray(value["lost"]) >= 0.5]
            panel.plot(
                lost, np.full(len(lost), -0.05 - 0.07 * number), "x", color=STYLES[side]["color"]
            )
        panel.set_title(network_name(row))
        panel.set_xscale("log")
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_ylim(-0.2, 1.02)
        panel.set_yticks([0, 0.25, 0.5, 0.75, 1])
    for panel in panels[-1]:
        panel.set_xlabel(label)
    for panel in panels[:, 0]:
        panel.set_ylabel("test accuracy")
    legend_above(figure, panels[0, 0])
    return figure


def rates(rows):
    return sensitivity(rows, "learning rate")


def scales(rows):
    return sensitivity(rows, "factor on initial weights")


def target(rows):
    """A panel for each network: the loss over steps at each side's best rate, and the target."""
    from matplotlib.ticker import LogLocator, NullFormatter

    columns = min(3, len(rows))
    lines = -(-len(rows) // columns)
    figure, panels = grid(lines, columns, 0.6 + 2.0 * lines)
    for panel in panels.flat[len(rows) :]:
        panel.set_visible(False)
    for panel, row in zip(panels.flat, rows, strict=False):
        for side, value in row["sides"].items():
            if value is None:
                continue
            curve = value["curve"]
            band(panel, curve["steps"], curve["loss"], curve["error"], side, marker="")
            steps = value["steps"][0]
            panel.plot([steps], [row["target"]], STYLES[side]["marker"], color="black", zorder=3)
        panel.axhline(row["target"], color="0.4", linewidth=0.8, linestyle=":")
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.set_title(network_name(row))
    for panel in panels[-1]:
        panel.set_xlabel("training steps")
    for panel in panels[:, 0]:
        panel.set_ylabel("training loss")
    legend_above(figure, panels[0, 0])
    return figure


def batches(rows):
    """Best score, and the rate of it, over the size of a batch."""
    (row,) = rows
    figure, ((scores, chosen),) = grid(1, 2, 2.8)
    for side, value in row["sides"].items():
        band(scores, row["sizes"], value["score"], value["error"], side)
        chosen.plot(row["sizes"], value["rate"], **STYLES[side])
    scores.set_title(f"Best accuracy, {called(row['data'])}, {row['epochs']} epochs")
    scores.set_ylabel("test accuracy")
    chosen.set_title("Learning rate of the best accuracy")
    chosen.set_ylabel("learning rate")
    chosen.set_yscale("log")
    for panel in (scores, chosen):
        panel.set_xscale("log", base=2)
        panel.set_xticks(row["sizes"][::2], [f"{size:,}" for size in row["sizes"][::2]])
        panel.minorticks_off()
        panel.set_xlabel("rows of a mini-batch")
    scores.legend(frameon=False)
    return figure


def compared(rows):
    """A line for each network: best scores and widths of plateaus, with standard errors."""
    figure, ((scores, widths),) = grid(1, 2, 0.9 + 0.32 * len(rows), sharey=True)
    sides = list(rows[0]["sides"])
    for number, side in enumerate(sides):
        heights = np.arange(len(rows)) + 0.2 * (number - (len(sides) - 1) / 2)
        style = STYLES[side] | {"linestyle": "none", "markersize": 4}
        for panel, quantity in ((scores, "best_score"), (widths, "decades")):
            of_side = [row["sides"][side] for row in rows]
            error = "best_error" if quantity == "best_score" else "decades_error"
            panel.errorbar(
                [value[quantity] for value in of_side],
                heights,
                xerr=[value[error] or 0.0 for value in of_side],
                label=called(side),
                **style,
            )
    scores.set_yticks(range(len(rows)), [network_name(row) for row in rows])
    scores.invert_yaxis()
    scores.set_xlabel("best test accuracy")
    scores.set_xlim(*bounds_of_learned(rows))
    widths.set_xlabel("decades of rates within 0.01 of the best")
    legend_above(figure, scores)
    return figure


def bounds_of_learned(rows):
    """Limits of an axis for the scores of networks that learned about as much as the best."""
    scores = [value["best_score"] for row in rows for value in row["sides"].values()]
    learned = [score for score in scores if score > max(scores) - 0.05]
    return min(learned) - 0.01, max(learned) + 0.005


def statistics(rows):
    """Accuracy over the momentum by both kinds of statistics: a panel for each batch and rate."""
    rows = [row for row in rows if row["finite_runs"]]
    sizes = sorted({row["batch_size"] for row in rows})
    rates = sorted({row["rate"] for row in rows})
    figure, panels = grid(len(rates), len(sizes), 0.6 + 1.8 * len(rates))
    for row in rows:
        panel = panels[rates.index(row["rate"]), sizes.index(row["batch_size"])]
        panel.set_title(f"batches of {row['batch_size']}, rate {row['rate']:g}")
    for (i, rate), (j, size) in product(enumerate(rates), enumerate(sizes)):
        of_panel = sorted(
            (row for row in rows if (row["rate"], row["batch_size"]) == (rate, size)),
            key=lambda row: row["bn_momentum"],
        )
        momenta = [row["bn_momentum"] for row in of_panel]
        for kind in ("running averages", "exact statistics"):
            scores = [row["kinds"][kind]["score"] for row in of_panel]
            errors = [error or 0.0 for _, error in scores]
            band(panels[i, j], momenta, [score for score, _ in scores], errors, kind, markersize=4)
        panels[i, j].set_xscale("log")
        panels[i, j].set_xticks(momenta, [f"{momentum:g}" for momentum in momenta])
        panels[i, j].minorticks_off()
    for panel in panels[-1]:
        panel.set_xlabel("bn_momentum")
    for panel in panels[:, 0]:
        panel.set_ylabel("test accuracy")
    legend_above(figure, panels[0, 0])
    return figure


# By the names under which `claims.json` has their numbers.
FIGURES = {
    "paper": paper,
    "rates": rates,
    "scales": scales,
    "target": target,
    "batches": batches,
    "placement": compared,
    "affine": compared,
    "statistics": statistics,
}
