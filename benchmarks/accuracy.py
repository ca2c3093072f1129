"""Test scores of models on tables, over random splits.

    python -m benchmarks.accuracy --data DIR                       # all models, all nine sets
    python -m benchmarks.accuracy --models skbn sklearn --sets letter kin8nm --splits 10
    python -m benchmarks.accuracy --sets credit-g                  # no such file: from OpenML
    python -m benchmarks.accuracy --ablation network --data DIR    # variants of our own estimator

Every model sees the same rows: three quarters of a set, at most 15,000, categories as columns of
0 and 1, gaps filled. The score is computed on the other quarter: the accuracy for classes, R2 for
real targets. For classes the report also has the log loss, the Brier score (the sum over all
classes of the squared difference between probability and truth), and the log loss of the class
prior of the training rows. Each result is a line of ``accuracy.jsonl``. A fit that has a line there
is not measured again.
"""

import argparse
import json
import os
import sys
from itertools import product
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from benchmarks import accuracy_report, fits, ledger
from benchmarks.models import ABLATIONS, MODELS, REFERENCE, chosen
from benchmarks.report import machine
from benchmarks.tables import find, split
from benchmarks.work import LeftOut

SETS = (
    "adult",
    "letter",
    "dry_bean",
    "magic_telescope",
    "credit_g",
    "california_housing",
    "diamonds",
    "kin8nm",
    "concrete",
)


def main(argv=None):
    """Measure missing results, print the table and write it; return 1 if a fit failed."""
    arguments = argument_parser().parse_args(argv)
    variants = ABLATIONS.get(arguments.ablation)
    models = chosen(arguments.models or list(variants or MODELS))
    reference = arguments.reference or (next(iter(variants)) if variants else REFERENCE)
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "accuracy.jsonl"
    results = stored(path)
    seeds = range(arguments.first_split, arguments.first_split + arguments.splits)
    wanted = list(product(arguments.sets, seeds, models))
    tables = {name: table_or_none(arguments.data, name) for name in arguments.sets}
    tasks = (
        delayed(measured)(tables[name], seed, model)
        for name, seed, model in wanted
        if key_of(task(name, seed, model)) not in results and tables[name] is not None
    )
    # Each fit has one thread. With several jobs, fits run side by side in processes.
    for result in Parallel(arguments.jobs, return_as="generator_unordered")(tasks):
        ledger.add(path, result)
        results[key_of(result)] = result
        print(line_of(result), file=sys.stderr, flush=True)
    keys = [key_of(task(*one)) for one in wanted]
    shown = [results[key] for key in keys if key in results]
    failed = [result for result in shown if "error" in result]
    report = accuracy_report.summarized(shown, reference)
    print(accuracy_report.text(report))
    content = {"machine": machine(), "options": vars(arguments), "results": shown} | report
    name = f"ablation-{arguments.ablation}" if variants else "accuracy"
    (arguments.output / f"{name}.json").write_text(json.dumps(content, indent=1, default=str))
    accuracy_report.draw(arguments.output / f"{name}.png", report, reference)
    for result in failed:
        print(f"{result['model']} on {result['set']}: {result['error']}")
    return int(bool(failed))


def argument_parser():
    summary, _, details = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = os.environ.get("SKBN_DATA")
    parser.add_argument("--models", nargs="+", metavar="MODEL", help="(default: all but variants)")
    parser.add_argument(
        "--ablation", choices=list(ABLATIONS), help="variants of one of our own estimators instead"
    )
    parser.add_argument("--reference", metavar="MODEL", help="the others are told relative to it")
    parser.add_argument("--sets", nargs="+", default=list(SETS), metavar="SET")
    parser.add_argument("--splits", type=int, default=5, help="random splits (default: 5)")
    parser.add_argument("--first-split", type=int, default=0, help="seed of the first one")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--data", type=Path, default=Path(data) if data else None)
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"))
    return parser


def table_or_none(directory, name):
    try:
        return find(directory, name)
    except LeftOut as reason:
        print(f"{name} is left out: {reason}")
        return None


def stored(path):
    """The results of earlier runs, by `key_of`.

    Failed fits are left out, so they are tried again. Old results without a task, which have no
    probabilities, are left out too.
    """
    return {
        key_of(result): result
        for result in ledger.results(path)
        if "error" not in result and "task" in result
    }


def task(name, seed, model):
    """The entries of a result that identify its fit."""
    return {
        "set": name,
        "split": seed,
        "model": model.name,
        "parameters": {name: str(value) for name, value in model.parameters.items()},
    }


def key_of(result):
    parameters = tuple(sorted(result.get("parameters", {}).items()))
    return result["set"], result["split"], result["model"], parameters


def measured(table, seed, model):
    """One fit on one split: its scores and times, or its error."""
    n_classes = int(np.max(table.y)) + 1 if table.is_classification else None
    kind = {"task": "classification" if table.is_classification else "regression"}
    return (
        task(table.name, seed, model)
        | kind
        | fits.measured(model, table.is_classification, seed, *split(table, seed), n_classes)
    )


def line_of(result):
    if "error" in result:
        return f"{result['set']} {result['split']} {result['model']}: {result['error']}"
    loss = f"log loss {result['log_loss']:.4f} " if "log_loss" in result else ""
    return (
        f"{result['set']} {result['split']} {result['model']}: {result['score']:.4f} "
        f"{loss}in {result['fit_seconds']:.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
