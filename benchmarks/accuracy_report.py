"""A summary of scores over sets and splits: means with errors, ranks, ratios, and a figure."""

from statistics import mean, stdev

import numpy as np

# Kinds of sets. Ratios are reported for all sets and for each kind.
TASKS = ("classification", "regression")


def summarized(results, reference):
    """Tables of a list of results.

    Returns
    -------
    report : dict
        ``cells``: for each set and model the mean score, its standard error over the splits, and
        mean times. For classes also the log loss and the Brier score with their standard errors,
        and the log loss minus the log loss of the class prior (``excess``). ``tasks``: the task of
        each set. ``worse_than_prior``: sets and models whose excess is larger than its standard
        error.

        For each model that was measured on all sets: ``rank``, the mean over sets of its rank by
        mean score; ``relative_error``, the geometric mean over sets of the error, ``1 - score``,
        divided by the error of the reference; ``relative_fit_seconds``, the same mean for the time
        of a fit. For each model that was measured on all sets of a task:
        ``relative_error_classification`` and ``relative_error_regression``; ``log_loss_rank``,
        ``relative_log_loss`` and ``relative_brier``.
    """
    results = [result for result in results if "error" not in result]
    sets = list(dict.fromkeys(result["set"] for result in results))
    models = list(dict.fromkeys(result["model"] for result in results))
    cells = {name: {} for name in sets}
    for name in sets:
        for model in models:
            of_cell = [r for r in results if r["set"] == name and r["model"] == model]
            if of_cell:
                cells[name][model] = cell(of_cell)
    tasks = {result["set"]: result["task"] for result in results}
    of_task = {task: {name: cells[name] for name in sets if tasks[name] == task} for task in TASKS}
    classes = of_task["classification"]
    return {
        "sets": sets,
        "models": models,
        "reference": reference,
        "tasks": tasks,
        "cells": cells,
        "worse_than_prior": [
            (name, model)
            for name, row in cells.items()
            for model, value in row.items()
            if is_worse_than_prior(value)
        ],
        "rank": mean_ranks(cells, complete(cells, models), score_of),
        "relative_error": ratios(cells, models, reference, error_of),
        **{
            f"relative_error_{task}": ratios(of_task[task], models, reference, error_of)
            for task in TASKS
        },
        # A smaller log loss is better, so the ranks are by minus the log loss.
        "log_loss_rank": mean_ranks(
            classes, complete(classes, models), lambda value: -value["log_loss"]
        ),
        "relative_log_loss": ratios(classes, models, reference, positive("log_loss")),
        "relative_brier": ratios(classes, models, reference, positive("brier")),
        "relative_fit_seconds": ratios(cells, models, reference, positive("fit_seconds")),
    }


def cell(results):
    """Means and standard errors of the numbers of one model on one set, and its mean times."""
    value = {
        "score": mean(result["score"] for result in results),
        "error": standard_error([result["score"] for result in results]),
        "fit_seconds": mean(result["fit_seconds"] for result in results),
        "predict_seconds": mean(result["predict_seconds"] for result in results),
        "splits": len(results),
    }
    if "log_loss" in results[0]:
        for number in ("log_loss", "brier", "prior_log_loss", "excess"):
            values = [result[number] for result in results]
            value |= {number: mean(values), f"{number}_error": standard_error(values)}
        if len(results) == 1:
            # There is no standard error over one split, so the error over its rows is taken.
            value["excess_error"] = results[0]["excess_error"]
    return value


def standard_error(values):
    return float(stdev(values) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def is_worse_than_prior(value):
    """Whether the log loss of a cell is above the prior's log loss by more than the error."""
    return "excess" in value and value["excess"] > value["excess_error"]


def complete(cells, models):
    """The models that were measured on all sets."""
    return [model for model in models if all(model in row for row in cells.values())]


def mean_ranks(cells, models, worth):
    """Mean rank of each model. Rank 1 has the highest `worth`; equal models share a rank."""
    ranks = {model: [] for model in models}
    for row in cells.values():
        for model in models:
            better = sum(worth(row[other]) > worth(row[model]) for other in models)
            equal = sum(worth(row[other]) == worth(row[model]) for other in models)
            ranks[model].append(better + (equal + 1) / 2)
    return {model: mean(values) for model, values in ranks.items() if values}


def ratios(cells, models, reference, number):
    """Geometric mean over the sets of the number of a model divided by the number of the reference.

    Only models that were measured on all sets have a ratio. If the reference was not, there is
    none.
    """
    models = complete(cells, models)
    if not cells or reference not in models:
        return {}
    return {
        model: float(
            np.exp(
                mean(np.log(number(row[model]) / number(row[reference])) for row in cells.values())
            )
        )
        for model in models
    }


def score_of(value):
    return value["score"]


def error_of(value):
    """1 - score of a cell; a perfect score counts as 0.999999."""
    return max(1.0 - value["score"], 1e-6)


def positive(name):
    """A function that gives the number of this name of a cell, at least one in a million."""
    return lambda value: max(value[name], 1e-6)


# Keys of the report, and the heads of their columns in the table of all sets.
SUMMARY = {
    "rank": "rank",
    "log_loss_rank": "rank (log loss)",
    "relative_error": "error",
    "relative_error_classification": "classification",
    "relative_error_regression": "regression",
    "relative_log_loss": "log loss",
    "relative_brier": "Brier score",
    "relative_fit_seconds": "fit time",
}


def text(report):
    """Tables with a line for each model: a column for each set, and the numbers over all sets."""
    sets = report["sets"]
    classes = [name for name in sets if report["tasks"][name] == "classification"]
    parts = [table("score +- standard error", report, sets, pair("score", "error"))]
    if classes:
        parts += [
            table(
                "log loss +- standard error (! above the class prior's by more than the error)",
                report,
                classes,
                flagged_log_loss,
            )
            + "\n"
            + line_of_the_prior(report, classes),
            table("Brier score +- standard error", report, classes, pair("brier", "brier_error")),
        ]
    parts += [
        table(
            "seconds of fit / predict",
            report,
            sets,
            lambda value: f"{value['fit_seconds']:.2f} {value['predict_seconds']:.3f}",
        ),
        summary(report),
    ]
    return "\n\n".join(parts)


def pair(number, error):
    return lambda value: f"{value[number]:.4f} {value[error]:.4f}"


def width_of_names(report):
    return max([len(model) for model in [*report["models"], "class prior"]])


def flagged_log_loss(value):
    mark = "!" if is_worse_than_prior(value) else " "
    return pair("log_loss", "log_loss_error")(value) + mark


def table(title, report, sets, entry):
    """A line for each model, a column for each set."""
    width = width_of_names(report)
    columns = [max(len(name), 14) for name in sets]
    head = " ".join(name.rjust(n) for name, n in zip(sets, columns, strict=True))
    lines = [title, f"{'':{width}} {head}"]
    for model in report["models"]:
        cells = [report["cells"][name].get(model) for name in sets]
        entries = ["-" if value is None else entry(value) for value in cells]
        row = " ".join(value.rjust(n) for value, n in zip(entries, columns, strict=True))
        lines.append(f"{model:{width}} {row}")
    return "\n".join(lines)


def line_of_the_prior(report, sets):
    """The log loss of the class prior, over the splits of the first model of a set."""
    entries = []
    for name in sets:
        first = next(iter(report["cells"][name].values()))
        entries.append((pair("prior_log_loss", "prior_log_loss_error")(first) + " ", name))
    row = " ".join(value.rjust(max(len(name), 14)) for value, name in entries)
    return f"{'class prior':{width_of_names(report)}} {row}"


def summary(report):
    """The numbers over all sets: ranks, and numbers relative to the reference."""
    width = width_of_names(report)
    head = " ".join(f"{name:>15}" for name in SUMMARY.values())
    lines = [
        f"mean ranks, and geometric means over the sets relative to {report['reference']}",
        f"{'':{width}} {head}",
    ]
    for model in report["models"]:
        numbers = [report[key].get(model) for key in SUMMARY]
        row = " ".join(f"{'-':>15}" if n is None else f"{n:15.3f}" for n in numbers)
        lines.append(f"{model:{width}} {row}")
    return "\n".join(lines)


def draw(path, report, reference):
    """Errors relative to the reference, a panel for each set: left of the line is better."""
    from matplotlib.figure import Figure

    sets = [name for name in report["sets"] if reference in report["cells"][name]]
    models = [model for model in report["models"] if model != reference][::-1]
    if not sets or not models:
        return
    figure = Figure(figsize=(11, 1.0 + 0.28 * len(models) * -(-len(sets) // 3)))
    figure.set_layout_engine("constrained")
    axes = figure.subplots(-(-len(sets) // 3), min(3, len(sets)), sharey=True, squeeze=False)
    for panel, name in zip(axes.flat, sets, strict=False):
        row = report["cells"][name]
        unit = error_of(row[reference])
        for height, model in enumerate(models):
            if model in row:
                value = error_of(row[model]) / unit
                color = "tab:blue" if model == "skbn" else "tab:gray"
                # Errors far above the reference are drawn at the edge.
                if value > 2.0:
                    panel.annotate(f"{value:.1f} >", (2.0, height), ha="right", va="center")
                else:
                    panel.errorbar(value, height, xerr=row[model]["error"] / unit, fmt="o", c=color)
        panel.axvline(1.0, color="black", linewidth=1)
        panel.set_title(name, fontsize="medium")
        panel.set_xlim(0.0, 2.05)
        panel.set_ylim(-0.6, len(models) - 0.4)
        panel.set_yticks(range(len(models)), models)
    for panel in axes.flat[len(sets) :]:
        panel.set_axis_off()
    figure.supxlabel(f"error (1 - score) over that of {reference}, with the standard error")
    figure.savefig(path)
