"""What scores over sets and splits come to: means with errors, ranks, relative errors, a figure."""

from statistics import mean, stdev

import numpy as np


def summarized(results, reference):
    """Tables of a list of results.

    Returns
    -------
    report : dict
        ``cells``: for each set and model the mean score, its standard error over the splits, and
        mean times; ``rank``: of each model, the mean over sets of its rank by mean score, among
        the models that were measured on all sets; ``relative_error``: the geometric mean over
        sets of the error, ``1 - score``, over that of the reference.
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
    complete = [model for model in models if all(model in cells[name] for name in sets)]
    return {
        "sets": sets,
        "models": models,
        "cells": cells,
        "rank": mean_ranks(cells, complete),
        "relative_error": relative_errors(cells, complete, reference),
    }


def cell(results):
    """Mean and standard error of the scores of one model on one set, and its mean times."""
    scores = [result["score"] for result in results]
    error = stdev(scores) / np.sqrt(len(scores)) if len(scores) > 1 else float("nan")
    return {
        "score": mean(scores),
        "error": error,
        "fit_seconds": mean(result["fit_seconds"] for result in results),
        "predict_seconds": mean(result["predict_seconds"] for result in results),
        "splits": len(scores),
    }


def mean_ranks(cells, models):
    """Rank 1 is the highest score; equal scores share a rank."""
    ranks = {model: [] for model in models}
    for row in cells.values():
        for model in models:
            better = sum(row[other]["score"] > row[model]["score"] for other in models)
            equal = sum(row[other]["score"] == row[model]["score"] for other in models)
            ranks[model].append(better + (equal + 1) / 2)
    return {model: mean(values) for model, values in ranks.items() if values}


def relative_errors(cells, models, reference):
    """Geometric mean over the sets of a model's error (1 - score) over the reference's."""
    if reference not in models:
        return {}
    return {
        model: float(
            np.exp(
                mean(
                    np.log(error_of(row[model]) / error_of(row[reference]))
                    for row in cells.values()
                )
            )
        )
        for model in models
    }


def error_of(value):
    """1 - score of a cell; a perfect score is taken for one of 0.999999."""
    return max(1.0 - value["score"], 1e-6)


def text(report):
    """The table: a line for each model, a column for each set."""
    width = max([len(model) for model in report["models"]], default=5)
    columns = [max(len(name), 13) for name in report["sets"]]
    head = " ".join(name.rjust(n) for name, n in zip(report["sets"], columns, strict=True))
    lines = ["score +- standard error", f"{'':{width}} {head} {'rank':>6} {'error':>6}"]
    for model in report["models"]:
        values = [
            _score(report["cells"][name].get(model)).rjust(n)
            for name, n in zip(report["sets"], columns, strict=True)
        ]
        rank, error = (
            f"{report[key][model]:6.2f}" if model in report[key] else f"{'-':>6}"
            for key in ("rank", "relative_error")
        )
        lines.append(f"{model:{width}} {' '.join(values)} {rank} {error}")
    lines += ["", "seconds of fit / predict"]
    for model in report["models"]:
        values = [
            _seconds(report["cells"][name].get(model)).rjust(n)
            for name, n in zip(report["sets"], columns, strict=True)
        ]
        lines.append(f"{model:{width}} {' '.join(values)}")
    return "\n".join(lines)


def _score(value):
    return "-" if value is None else f"{value['score']:.4f} {value['error']:.4f}"


def _seconds(value):
    return "-" if value is None else f"{value['fit_seconds']:.2f} {value['predict_seconds']:.3f}"


def draw(path, report, reference):
    """Errors over the reference's, a panel for each set: left of the line is better."""
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
                # What is far worse than the reference stands at the edge.
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
