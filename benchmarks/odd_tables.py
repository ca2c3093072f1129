"""Default estimators on awkward tables, and their probabilities on noisy ones.

    python -m benchmarks.odd_tables tables                         # no data are needed
    python -m benchmarks.odd_tables prior                          # five seeds of 30 tables
    python -m benchmarks.odd_tables prior --tables 'pure*' --models skbn sklearn --seeds 2

``tables`` compares our estimator, scikit-learn's network on standardized columns, and the class
prior or the mean. The report has scores and log losses by cross-validation with five folds: means
with their standard errors. ``prior`` uses tables whose classes are partly noise. The report has the
log loss of a model minus the log loss of the class prior of the training fold, over folds and
seeds. A model that is worse than the prior by more than one standard error is flagged: the prior
would serve its user better. Each result is a line of ``odd_tables.jsonl``. A fit that has a line
there is not measured again.
"""

import argparse
import json
import sys
from fnmatch import fnmatch
from itertools import product
from pathlib import Path

from joblib import Parallel, delayed
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.model_selection import KFold, StratifiedKFold

from benchmarks import fits, ledger
from benchmarks.accuracy_report import cell, flagged_log_loss, is_worse_than_prior, pair
from benchmarks.awkward import NOISY, TABLES
from benchmarks.models import Model, chosen
from benchmarks.report import machine

FOLDS = 5


def prior_or_mean(is_classification, seed):
    return DummyClassifier(strategy="prior") if is_classification else DummyRegressor()


BASELINE = Model("prior or mean", prior_or_mean)
# For each part: its tables, the models that are measured by default, and the number of seeds.
PARTS = {
    "tables": (TABLES, ("skbn", "sklearn"), 1),
    "prior": (NOISY, ("skbn",), 5),
}


def main(argv=None):
    """Measure missing results, print the table and write it; return 1 if a fit failed."""
    arguments = argument_parser().parse_args(argv)
    tables, names, seeds = PARTS[arguments.what]
    seeds = arguments.seeds or seeds
    models = chosen(arguments.models or names) + ([BASELINE] if arguments.what == "tables" else [])
    tables = [name for name in tables if any(fnmatch(name, p) for p in arguments.tables)]
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "odd_tables.jsonl"
    results = {key_of(r): r for r in ledger.results(path) if "error" not in r}
    wanted = list(product([arguments.what], tables, range(seeds), models))
    tasks = (
        delayed(measured)(*one)
        for one in wanted
        if any(key_of(task(*one, fold)) not in results for fold in range(FOLDS))
    )
    for folds in Parallel(arguments.jobs, return_as="generator_unordered")(tasks):
        for result in folds:
            if key_of(result) not in results:
                ledger.add(path, result)
                results[key_of(result)] = result
        print(line_of(folds), file=sys.stderr, flush=True)
    keys = [key_of(task(*one, fold)) for one, fold in product(wanted, range(FOLDS))]
    shown = [results[key] for key in keys if key in results]
    failed = [result for result in shown if "error" in result]
    cells = summarized(shown)
    print(text(cells) if arguments.what == "tables" else text_of_excess(cells))
    content = {"machine": machine(), "options": vars(arguments), "cells": cells, "results": shown}
    file = arguments.output / f"odd-{arguments.what}.json"
    file.write_text(json.dumps(content, indent=1, default=str))
    for result in failed:
        print(f"{result['model']} on {result['set']}: {result['error']}")
    return int(bool(failed))


def argument_parser():
    summary, _, details = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.odd_tables",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=list(PARTS))
    parser.add_argument("--tables", nargs="+", default=["*"], help="names, * and ? allowed")
    parser.add_argument("--models", nargs="+", metavar="MODEL")
    parser.add_argument("--seeds", type=int, help="(default: 1 of tables, 5 of prior)")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"))
    return parser


def task(what, name, seed, model, fold):
    """The entries of a result that identify its fit."""
    return {
        "what": what,
        "set": name,
        "seed": seed,
        "fold": fold,
        "model": model.name,
        "parameters": {name: str(value) for name, value in model.parameters.items()},
    }


def key_of(result):
    parameters = tuple(sorted(result["parameters"].items()))
    return (*(result[name] for name in ("what", "set", "seed", "fold", "model")), parameters)


def measured(what, name, seed, model):
    """A fit on each fold of one table."""
    X, y, is_classification = PARTS[what][0][name](seed)
    kind = StratifiedKFold if is_classification else KFold
    folds = kind(FOLDS, shuffle=True, random_state=seed).split(X, y)
    n_classes = int(y.max()) + 1 if is_classification else None
    return [
        task(what, name, seed, model, fold)
        | fits.measured(
            model, is_classification, seed, X[train], X[test], y[train], y[test], n_classes
        )
        for fold, (train, test) in enumerate(folds)
    ]


def line_of(folds):
    first = folds[0]
    seconds = sum(result.get("fit_seconds", 0.0) for result in folds)
    return f"{first['set']}, seed {first['seed']}, {first['model']}: {seconds:.1f} s of fits"


def summarized(results):
    """Means and standard errors over folds and seeds, by table and model."""
    groups = {}
    for result in results:
        if "error" not in result:
            groups.setdefault(result["set"], {}).setdefault(result["model"], []).append(result)
    return {
        name: {model: cell(of_cell) for model, of_cell in row.items()}
        for name, row in groups.items()
    }


def models_of(cells):
    return list(dict.fromkeys(model for row in cells.values() for model in row))


def text(cells):
    """The table of scores, then of log losses: a line for each table, a column for each model."""
    classes = {
        name: row
        for name, row in cells.items()
        if all("log_loss" in value for value in row.values())
    }
    lines = ["accuracy or R2 +- standard error", head_of(cells)]
    lines += [line_for(name, row, cells, pair("score", "error")) for name, row in cells.items()]
    if classes:
        lines += [
            "",
            "log loss +- standard error (! above the class prior's by more than the error)",
            head_of(cells),
        ]
        lines += [line_for(name, row, cells, flagged_log_loss) for name, row in classes.items()]
    return "\n".join(lines)


def text_of_excess(cells):
    """Log loss minus the log loss of the prior of the training fold; flagged if above its error."""
    lines = [
        "log loss above the class prior's +- standard error (! above 0 by more than the error)",
        head_of(cells) + f"{'class prior':>20}",
    ]
    for name, row in cells.items():
        prior = next(iter(row.values()))["prior_log_loss"]
        lines.append(line_for(name, row, cells, flagged_excess) + f"{prior:20.4f}")
    for model in models_of(cells):
        values = [row[model] for row in cells.values() if model in row]
        flags = sum(map(is_worse_than_prior, values))
        lines.append(f"{model}: {flags} of {len(values)} tables worse than the class prior")
    return "\n".join(lines)


def flagged_excess(value):
    mark = "!" if is_worse_than_prior(value) else " "
    return f"{value['excess']:+.4f} {value['excess_error']:.4f}{mark}"


def head_of(cells):
    return f"{'':40}" + "".join(f"{model:>20}" for model in models_of(cells))


def line_for(name, row, cells, entry):
    entries = [entry(row[model]) if model in row else "-" for model in models_of(cells)]
    return f"{name:40}" + "".join(f"{value:>20}" for value in entries)


if __name__ == "__main__":
    sys.exit(main())
