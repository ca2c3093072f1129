"""Reliability curves: predicted probabilities against the shares of rows that are of the class.

    python -m benchmarks.reliability --data DIR                            # two sets, two models
    python -m benchmarks.reliability --data DIR --label before             # on one commit,
    python -m benchmarks.reliability --data DIR --label after              # and on another
    python -m benchmarks.reliability --stored --with OTHER/reliability.json

The test rows of all splits are sorted by their probability of class 1 and go into ten bins of
equally many rows. A curve shows the share of rows of class 1 in a bin over the mean probability of
the bin. The expected calibration error is the mean over rows of the distance between these two
numbers. Perfect probabilities have an expected calibration error too, by chance. It is reported as
well, from classes drawn anew by the predicted probabilities, as if no row were tested in two
splits. A run is kept in ``reliability.json`` under its label. One figure shows the runs of all
labels.
"""

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.calibration import calibration_curve
from threadpoolctl import threadpool_limits

from benchmarks.accuracy import table_or_none
from benchmarks.models import chosen
from benchmarks.probabilities import log_losses
from benchmarks.report import machine
from benchmarks.tables import split

SETS = ("adult", "credit_g")
MODELS = ("skbn", "sklearn")
BINS = 10
# The number of draws of classes for the error by chance.
DRAWS = 100


def main(argv=None):
    """Measure the run of a label, keep it, print and draw all runs."""
    arguments = argument_parser().parse_args(argv)
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "reliability.json"
    runs = {}
    for file in [*arguments.others, path]:
        if file.exists():
            runs |= json.loads(file.read_text())["runs"]
    if not arguments.stored:
        runs[arguments.label] = run(arguments)
    content = {"machine": machine(), "options": vars(arguments), "runs": runs}
    path.write_text(json.dumps(content, indent=1, default=str))
    print(text(runs))
    draw(arguments.output / "reliability.png", runs)


def argument_parser():
    summary, _, details = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reliability",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = os.environ.get("SKBN_DATA")
    parser.add_argument("--models", nargs="+", default=list(MODELS), metavar="MODEL")
    parser.add_argument("--sets", nargs="+", default=list(SETS), help="of two classes")
    parser.add_argument("--splits", type=int, default=5, help="random splits (default: 5)")
    parser.add_argument("--first-split", type=int, default=0, help="seed of the first one")
    parser.add_argument("--label", default="now", help="name of this run (default: now)")
    parser.add_argument("--stored", action="store_true", help="measure nothing, draw")
    parser.add_argument(
        "--with", dest="others", nargs="+", type=Path, default=[], metavar="FILE",
        help="reliability.json of other runs, drawn and kept too",
    )  # fmt: skip
    parser.add_argument("--data", type=Path, default=Path(data) if data else None)
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"))
    return parser


def run(arguments):
    """Curves by set and model."""
    seeds = range(arguments.first_split, arguments.first_split + arguments.splits)
    models = chosen(arguments.models)
    tables = {name: table_or_none(arguments.data, name) for name in arguments.sets}
    return {
        name: {model.name: curve(*predicted(table, seeds, model)) for model in models}
        for name, table in tables.items()
        if table is not None
    }


def predicted(table, seeds, model):
    """Classes of the test rows of all splits, and the probabilities of class 1."""
    if not table.is_classification or int(np.max(table.y)) != 1:
        raise SystemExit(f"{table.name} has not two classes")
    truths, probabilities = [], []
    for seed in seeds:
        X_train, X_test, y_train, y_test = split(table, seed)
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator = model.build(True, seed).fit(X_train, y_train)
            probabilities.append(estimator.predict_proba(X_test)[:, 1])
        truths.append(y_test)
        print(f"{table.name} {seed} {model.name}", file=sys.stderr, flush=True)
    return np.concatenate(truths), np.concatenate(probabilities).astype(np.float64)


def curve(y, p):
    """Points of the reliability curve, and the numbers that are reported with it."""
    share, probability = calibration_curve(y, p, n_bins=BINS, strategy="quantile")
    rng = np.random.default_rng(0)
    by_chance = [calibration_error(rng.random(len(p)) < p, p) for _ in range(DRAWS)]
    return {
        "probability": probability.tolist(),
        "share": share.tolist(),
        "rows": len(y),
        "calibration_error": calibration_error(y, p),
        "calibration_error_by_chance": float(np.mean(by_chance)),
        "log_loss": float(log_losses(y, np.column_stack([1.0 - p, p])).mean()),
    }


def calibration_error(y, p):
    """Mean over the rows of the distance between the two numbers of their bins.

    The bins are as in `calibration_curve`. Equal probabilities share a bin, so the bins need not
    have equally many rows.
    """
    edges = np.percentile(p, np.linspace(0, 100, BINS + 1))
    bins = np.searchsorted(edges[1:-1], p)
    gaps = np.bincount(bins, weights=p - y, minlength=BINS)
    return float(np.abs(gaps).sum() / len(p))


def text(runs):
    lines = [f"{'':32} {'rows':>7} {'error':>8} {'by chance':>10} {'log loss':>9}"]
    for label, sets in runs.items():
        for name, models in sets.items():
            for model, value in models.items():
                lines.append(
                    f"{f'{label}, {name}, {model}':32} {value['rows']:7d} "
                    f"{value['calibration_error']:8.4f} "
                    f"{value['calibration_error_by_chance']:10.4f} {value['log_loss']:9.4f}"
                )
    return "\n".join(lines)


def draw(path, runs):
    """A panel for each set: a color for each model, a kind of line for each label."""
    from matplotlib.figure import Figure

    sets = list(dict.fromkeys(name for run in runs.values() for name in run))
    models = list(
        dict.fromkeys(model for run in runs.values() for row in run.values() for model in row)
    )
    if not sets:
        return
    figure = Figure(figsize=(5.0 * len(sets), 5.2), layout="constrained")
    panels = figure.subplots(1, len(sets), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, sets, strict=True):
        panel.plot([0, 1], [0, 1], color="black", linewidth=0.8)
        for style, (label, run) in zip(("o-", "s--", "^:", "d-."), runs.items(), strict=False):
            for model, value in run.get(name, {}).items():
                panel.plot(
                    value["probability"],
                    value["share"],
                    style,
                    color=f"C{models.index(model)}",
                    markersize=4,
                    label=f"{model}, {label}: {value['calibration_error']:.3f}",
                )
        panel.set_title(name)
        panel.set_xlabel("mean predicted probability of class 1")
        panel.set_box_aspect(1)
        panel.legend(title="expected calibration error", loc="upper left")
    panels[0].set_ylabel("share of rows of class 1")
    # Square panels may be larger than the layout planned for.
    figure.savefig(path, dpi=120, bbox_inches="tight")


if __name__ == "__main__":
    main()
