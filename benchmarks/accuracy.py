"""Test scores of models on tables, over random splits.

    python -m benchmarks.accuracy --data DIR                       # all models, all nine sets
    python -m benchmarks.accuracy --models skbn sklearn --sets letter kin8nm --splits 10
    python -m benchmarks.accuracy --sets credit-g                  # no such file: from OpenML

Every model sees the same rows: three quarters of a set, at most 15,000, categories as columns of
0 and 1, gaps filled. The score is the accuracy, or R2 of real targets, on the other quarter. What
has been measured is kept in ``accuracy.jsonl``, line by line, and not measured again.
"""

import argparse
import json
import os
import sys
import warnings
from itertools import product
from pathlib import Path
from time import perf_counter

from joblib import Parallel, delayed
from sklearn.metrics import accuracy_score, r2_score
from threadpoolctl import threadpool_limits

from benchmarks import accuracy_report, ledger
from benchmarks.models import MODELS, REFERENCE
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
    """Measure what is missing, print the table, write it; 1 if a fit failed."""
    arguments = argument_parser().parse_args(argv)
    models = chosen(arguments.models)
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "accuracy.jsonl"
    results = stored(path)
    seeds = range(arguments.first_split, arguments.first_split + arguments.splits)
    wanted = list(product(arguments.sets, seeds, models))
    missing = [key for key in wanted if key not in results]
    tables = {name: table_or_none(arguments.data, name) for name in arguments.sets}
    tasks = (
        delayed(measured)(tables[name], seed, model)
        for name, seed, model in missing
        if tables[name] is not None
    )
    # On one thread each; with several jobs in processes, side by side.
    for result in Parallel(arguments.jobs, return_as="generator_unordered")(tasks):
        ledger.add(path, result)
        results[key_of(result)] = result
        print(line_of(result), file=sys.stderr, flush=True)
    shown = [results[key] for key in wanted if key in results]
    failed = [result for result in shown if "error" in result]
    report = accuracy_report.summarized(shown, REFERENCE)
    print(accuracy_report.text(report))
    content = {"machine": machine(), "options": vars(arguments), "results": shown} | report
    (arguments.output / "accuracy.json").write_text(json.dumps(content, indent=1, default=str))
    accuracy_report.draw(arguments.output / "accuracy.png", report, REFERENCE)
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
    parser.add_argument("--models", nargs="+", default=list(MODELS), metavar="MODEL")
    parser.add_argument("--sets", nargs="+", default=list(SETS), metavar="SET")
    parser.add_argument("--splits", type=int, default=5, help="random splits (default: 5)")
    parser.add_argument("--first-split", type=int, default=0, help="seed of the first one")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--data", type=Path, default=Path(data) if data else None)
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"))
    return parser


def chosen(names):
    """The models of these names that are installed; says which are not."""
    models = []
    for name in names:
        if name not in MODELS:
            raise SystemExit(f"no model is called {name!r}: there are {', '.join(MODELS)}")
        if MODELS[name].missing:
            print(f"{name} is left out: {', '.join(MODELS[name].missing)} not installed")
        else:
            models.append(name)
    return models


def table_or_none(directory, name):
    try:
        return find(directory, name)
    except LeftOut as reason:
        print(f"{name} is left out: {reason}")
        return None


def stored(path):
    """What an earlier run has measured, by set, split and model. Failures are tried again."""
    return {key_of(result): result for result in ledger.results(path) if "error" not in result}


def key_of(result):
    return result["set"], result["split"], result["model"]


def measured(table, seed, model):
    """One fit on one split: its score and times, or what went wrong."""
    result = {"set": table.name, "split": seed, "model": model}
    X_train, X_test, y_train, y_test = split(table, seed)
    score = accuracy_score if table.is_classification else r2_score
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # Imports what the model needs: its threads are limited then, its time is not counted.
            MODELS[model].build(table.is_classification, seed)
            with threadpool_limits(1):
                begin = perf_counter()
                estimator = MODELS[model].build(table.is_classification, seed).fit(X_train, y_train)
                fitted = perf_counter()
                prediction = estimator.predict(X_test)
                end = perf_counter()
            value = float(score(y_test, prediction))
        except Exception as error:  # a peer may fail in its own way; the others go on
            return result | {"error": f"{type(error).__name__}: {error}"}
    return result | {
        "score": value,
        "fit_seconds": fitted - begin,
        "predict_seconds": end - fitted,
        "rows": len(y_train),
        "columns": X_train.shape[1],
    }


def line_of(result):
    if "error" in result:
        return f"{result['set']} {result['split']} {result['model']}: {result['error']}"
    return (
        f"{result['set']} {result['split']} {result['model']}: {result['score']:.4f} "
        f"in {result['fit_seconds']:.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
