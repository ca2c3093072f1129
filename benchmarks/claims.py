"""What is claimed of batch norm, measured: with and without it, all else equal.

    python -m benchmarks.claims --data DIR --jobs 2                # everything, 15 minutes
    python -m benchmarks.claims --quick                            # a look at each, 3 minutes
    python -m benchmarks.claims --only paper batches --data DIR

``paper``: the experiment of the 2015 paper. ``rates``: learning rates over 8 decades. ``scales``:
initial weights over 6 decades, each network at its best rate. ``target``: steps and processor
seconds to a loss. ``batches``: batches of 2 to 4,096 rows. ``parts``: before against after the
activation, gamma and beta trained against fixed, exact statistics against running averages.

Without ``fashion_mnist.npz`` in the directory of data sets everything is of scikit-learn's digits.
What has been measured is kept in ``claims.jsonl`` and not measured again; ``claims.json`` has the
means and standard errors over the seeds, and the figures are drawn from it.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from benchmarks import (
    claims_affine,
    claims_batches,
    claims_figures,
    claims_paper,
    claims_runs,
    claims_statistics,
    claims_target,
    ledger,
)
from benchmarks import claims_sensitivity as sensitivity
from benchmarks.claims_runs import DIGITS, FASHION
from benchmarks.report import machine

EXPERIMENTS = ("paper", "rates", "scales", "target", "batches", "parts")
# How the runs of an experiment, or of a part of one, are measured.
MEASURES = {
    "paper": claims_paper.measured,
    "rates": claims_runs.fit,
    "scales": claims_runs.fit,
    "target": claims_target.measured,
    "batches": claims_runs.fit,
    "placement": claims_runs.fit,
    "affine": claims_affine.measured,
    "statistics": claims_statistics.measured,
}
PLACEMENTS = {"before the activation": "before", "after the activation": "after", "without": None}


def main(argv=None):
    """Measure what is missing, print, write, draw."""
    arguments = argument_parser().parse_args(argv)
    if arguments.seeds is None:
        arguments.seeds = 2 if arguments.quick else 3
    arguments.output.mkdir(parents=True, exist_ok=True)
    bench = Bench(arguments)
    results = {}
    for name in arguments.only:
        results |= {"rates": rates, "scales": scales, "parts": parts}.get(name, simple)(bench, name)
    content = {
        "machine": machine(),
        "command": "python -m benchmarks.claims " + shown_options(arguments),
        "date": time.strftime("%Y-%m-%d"),
        "seeds": list(range(arguments.seeds)),
        "runs": bench.n_runs,
        "processor_seconds": round(bench.seconds),
        "results": results,
    }
    (arguments.output / "claims.json").write_text(json.dumps(content) + "\n", encoding="utf-8")
    for path in claims_figures.draw(content, arguments.output):
        print(path)


def argument_parser():
    summary, _, details = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.claims",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = os.environ.get("SKBN_DATA")
    parser.add_argument("--only", nargs="+", default=list(EXPERIMENTS), choices=EXPERIMENTS)
    parser.add_argument("--quick", action="store_true", help="few points, few epochs")
    parser.add_argument("--seeds", type=int, help="runs of each (default: 3, with --quick 2)")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--data", type=Path, default=Path(data) if data else None)
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"))
    return parser


def shown_options(arguments):
    """The options without the places of files."""
    words = ["--data DIR"] if has_fashion(arguments.data) else []
    words += ["--quick"] if arguments.quick else []
    if set(arguments.only) != set(EXPERIMENTS):
        words.append("--only " + " ".join(arguments.only))
    return " ".join([*words, f"--seeds {arguments.seeds} --jobs {arguments.jobs}"])


def has_fashion(directory):
    return directory is not None and (directory / f"{FASHION}.npz").exists()


class Bench:
    """Measures runs, or finds them in the ledger.

    Parameters
    ----------
    options : argparse.Namespace

    Attributes
    ----------
    options : argparse.Namespace
    n_runs : int
        Runs that were asked for.
    seconds : float
        Processor seconds of them, data and scores included.
    """

    def __init__(self, options):
        self.options = options
        self.n_runs, self.seconds = 0, 0.0
        self._path = options.output / "claims.jsonl"
        self._known = {entry["key"]: entry for entry in ledger.results(self._path)}
        self._counted = set()

    @property
    def pictures(self):
        """The data set of experiments that want many rows."""
        return FASHION if has_fashion(self.options.data) else DIGITS

    def done(self, kind, runs):
        """Pairs of run and result, in the order of the runs."""
        keys = [key_of(kind, run) for run in runs]
        missing = {key: run for key, run in zip(keys, runs, strict=True) if key not in self._known}
        entries = Parallel(self.options.jobs, return_as="generator_unordered")(
            delayed(entry_of)(key, kind, run, self.options.data) for key, run in missing.items()
        )
        for number, entry in enumerate(entries, 1):
            ledger.add(self._path, entry)
            self._known[entry["key"]] = entry
            if number % 50 == 0 or number == len(missing):
                print(f"{kind}: {number} of {len(missing)}", file=sys.stderr, flush=True)
        for key in set(keys) - self._counted:
            self.n_runs += 1
            self.seconds += self._known[key]["seconds"]
        self._counted |= set(keys)
        return [(run, self._known[key]["result"]) for key, run in zip(keys, runs, strict=True)]


def key_of(kind, run):
    """The line of a run in the ledger; runs that are measured alike share theirs."""
    return json.dumps([MEASURES[kind].__module__.rpartition(".")[2], run], sort_keys=True)


def entry_of(key, kind, run, directory):
    begin = time.process_time()
    with threadpool_limits(1):
        result = MEASURES[kind](run, directory)
    return {"key": key, "seconds": time.process_time() - begin, "result": result}


def simple(bench, name):
    """An experiment whose runs depend on nothing."""
    if name == "paper":
        runs = claims_paper.runs(bench.options, list(dict.fromkeys([bench.pictures, DIGITS])))
        module = claims_paper
    else:
        module = {"target": claims_target, "batches": claims_batches}[name]
        runs = module.runs(bench.options, bench.pictures)
    rows = module.summary(bench.done(name, runs))
    print(f"\n{name}\n{module.text(rows)}", flush=True)
    return {name: rows}


def rates(bench, name):
    """Over learning rates."""
    done = bench.done("rates", sensitivity.rate_runs(bench.options))
    rows = sensitivity.summary(done, bench.options, "rate")
    print(f"\n{name}\n{sensitivity.text(rows)}", flush=True)
    return {name: rows}


def scales(bench, name):
    """Over initial scales, at the best rates, which are measured first."""
    done = bench.done("rates", sensitivity.rate_runs(bench.options))
    done = bench.done("scales", sensitivity.scale_runs(bench.options, done))
    rows = sensitivity.summary(done, bench.options, "init_scale")
    print(f"\n{name}\n{sensitivity.text(rows)}", flush=True)
    return {name: rows}


def parts(bench, name):
    """The three parts of batch norm."""
    runs = sensitivity.rate_runs(bench.options, PLACEMENTS)
    done = bench.done("placement", runs)
    placement = sensitivity.summary(done, bench.options, "rate", PLACEMENTS)
    print(f"\nplacement\n{sensitivity.text(placement)}", flush=True)
    affine = claims_affine.summary(bench.done("affine", claims_affine.runs(bench.options)))
    print(f"\naffine\n{sensitivity.text(affine)}", flush=True)
    statistics = claims_statistics.summary(
        bench.done("statistics", claims_statistics.runs(bench.options))
    )
    print(f"\nstatistics\n{claims_statistics.text(statistics)}", flush=True)
    return {"placement": placement, "affine": affine, "statistics": statistics}


if __name__ == "__main__":
    main()
