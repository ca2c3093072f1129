"""Recurrent networks with and without batch norm on real sequences.

    python -m benchmarks.recurrent sets --data DIR               # scores of three sets
    python -m benchmarks.recurrent curves --data DIR             # rows of pictures, 28 steps
    python -m benchmarks.recurrent curves --data DIR --tasks pixels permuted --updates 1200

``sets`` measures default networks with each kind of batch norm, and networks that pool only the
last state, over several seeds, on the published split. A nearest neighbour by Euclidean distance is
the comparison. ``curves`` repeats the experiment of Cooijmans et al. (2017), section 5.1, on
Fashion-MNIST: an LSTM of 100 units reads pictures row by row, or pixel by pixel, in order or
permuted. Networks with and without batch norm get the same number of updates, by RMSProp at one
learning rate. Scores use the exact statistics of training sequences. Each result is a line of
``recurrent.jsonl``. A run that has a line there is not measured again.
"""

import argparse
import json
import os
import sys
from copy import copy
from itertools import product
from pathlib import Path
from time import perf_counter

import numpy as np
from joblib import Parallel, delayed
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from benchmarks import ledger, recurrent_report, sequence_sets
from benchmarks.report import machine
from benchmarks.work import LeftOut
from skbn import RNNWithBatchNormClassifier
from skbn.network.network import Network
from skbn.network.statistics import set_exact_statistics

SETS = ("japanese_vowels", "ecg5000", "racket_sports")
# The kinds of networks with the parameters of their constructors, and the kinds of the paper.
KINDS = {"BN-LSTM": "full", "BN of inputs": "input", "LSTM": None}
POOLED = {
    **{kind: {"batch_norm": batch_norm} for kind, batch_norm in KINDS.items()},
    "BN-LSTM, last state": {"batch_norm": "full", "pooling": "last"},
    "LSTM, last state": {"batch_norm": None, "pooling": "last"},
}
NEIGHBOUR = "1-NN Euclidean"

# As in section 5.1 of the paper. The code of the paper differs: the decay of the squared gradient
# is 0.5, the part of the state in one gate begins as an identity, and the first state is learned.
PAPER = {
    "hidden_layer_sizes": (100,),
    "cell": "lstm",
    "solver": "rmsprop",
    "learning_rate": "constant",
    "learning_rate_init": 0.001,
    "momentum": 0.9,
    "beta_2": 0.9,
    "alpha": 0.0,
    "batch_size": 100,
    "max_grad_norm": 1.0,
    "normalize_input": None,
    "pooling": "last",
}
# The number of sequences for the statistics, and for the scores, of a point of a curve.
CURVE_ROWS = 2000


def main(argv=None):
    """Measure missing results, print and write them."""
    arguments = argument_parser().parse_args(argv)
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "recurrent.jsonl"
    results = {key_of(result): result for result in ledger.results(path)}
    wanted = wanted_keys(arguments)
    tasks = (
        delayed(measured_set if arguments.what == "sets" else measured_curve)(key, arguments)
        for key in wanted
        if key not in results
    )
    for result in Parallel(arguments.jobs, return_as="generator_unordered")(tasks):
        ledger.add(path, result)
        results[key_of(result)] = result
        print(recurrent_report.line(result), file=sys.stderr, flush=True)
    shown = [results[key] for key in wanted if key in results]
    print(recurrent_report.text(shown))
    content = {"machine": machine(), "options": vars(arguments), "results": shown}
    name = f"recurrent-{arguments.what}"
    (arguments.output / f"{name}.json").write_text(json.dumps(content, indent=1, default=str))
    if arguments.what == "curves" and shown:
        recurrent_report.draw(arguments.output / f"{name}.png", shown)


def argument_parser():
    summary, _, details = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recurrent",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = os.environ.get("SKBN_DATA")
    parser.add_argument("what", choices=["sets", "curves"])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--tasks", nargs="+", default=["rows"], choices=list(sequence_sets.TASKS))
    parser.add_argument("--kinds", nargs="+", default=["BN-LSTM", "LSTM"], choices=list(KINDS))
    parser.add_argument("--seeds", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument(
        "--updates", type=int, default=3000, help="mini-batches of a run (default: 3000)"
    )
    parser.add_argument("--points", type=int, default=15, help="points of a curve (default: 15)")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--data", type=Path, default=Path(data) if data else None)
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"))
    return parser


def wanted_keys(arguments):
    """The wanted runs as tuples of part, set, kind and seed; sets without data are left out."""
    seeds = range(arguments.seeds)
    if arguments.what == "curves":
        if not is_there(arguments.data, sequence_sets.PICTURES):
            return []
        what = f"curves of {arguments.updates} in {arguments.points}"
        return list(product([what], arguments.tasks, arguments.kinds, seeds))
    sets = [name for name in arguments.sets if is_there(arguments.data, name)]
    networks = product(["sets"], sets, POOLED, seeds)
    # The nearest neighbour does not depend on a seed.
    return [*networks, *product(["sets"], sets, [NEIGHBOUR], [0])]


def is_there(directory, name):
    """Whether a data set can be read. Prints the reason if not."""
    try:
        sequence_sets.load(directory, name)
    except LeftOut as reason:
        print(f"{name} is left out: {reason}")
        return False
    return True


def with_exact_statistics(model, X):
    """A copy of a network trained by ``partial_fit``, with the exact statistics of `X`.

    ``fit`` ends with exact statistics. ``partial_fit`` keeps running averages, which lag behind the
    weights.
    """
    result = copy(model)
    network = Network(model._plan, model._loss, model._parameters, model._statistics.copy())
    set_exact_statistics(network, model._input_table(model._checked_rows(X)))
    result._statistics = network.statistics
    return result


def key_of(result):
    return result["what"], result["set"], result["kind"], result["seed"]


def measured_set(key, arguments):
    """A default network, or the nearest neighbour, on a set: its score and times."""
    what, name, kind, seed = key
    X_train, X_test, y_train, y_test = sequence_sets.load(arguments.data, name)
    if kind == NEIGHBOUR:
        # Shorter sequences are filled up with 0, as in the archives.
        model = KNeighborsClassifier(1)
        X_train, X_test = (np.nan_to_num(X).reshape(len(X), -1) for X in (X_train, X_test))
    else:
        model = RNNWithBatchNormClassifier(random_state=seed, **POOLED[kind])
    with threadpool_limits(1):
        begin = perf_counter()
        model.fit(X_train, y_train)
        seconds = perf_counter() - begin
        score = model.score(X_test, y_test)
        # A class without training sequences has no probability.
        is_known = np.isin(y_test, model.classes_)
        probabilities = model.predict_proba(X_test[is_known])
    loss = log_loss(y_test[is_known], probabilities, labels=model.classes_)
    return {"what": what, "set": name, "kind": kind, "seed": seed} | {
        "score": float(score),
        "log_loss": float(loss),
        "fit_seconds": seconds,
    }


def measured_curve(key, arguments):
    """Training loss and test scores over the updates of one run."""
    what, task, kind, seed = key
    pictures_train, pictures_test, y_train, y_test = sequence_sets.load(
        arguments.data, sequence_sets.PICTURES
    )
    sequences = sequence_sets.TASKS[task]
    X_test = sequences(pictures_test)
    model = RNNWithBatchNormClassifier(batch_norm=KINDS[kind], random_state=seed, **PAPER)
    rng = np.random.default_rng(seed)
    order = np.empty(0, np.intp)
    per_point = max(1, arguments.updates // arguments.points)
    curve = {"updates": [], "loss": [], "score": []}
    seconds = 0.0
    with threadpool_limits(1):
        for point in range(arguments.points):
            n = per_point * PAPER["batch_size"]
            while len(order) < n:
                order = np.append(order, rng.permutation(len(y_train)))
            rows, order = order[:n], order[n:]
            X = sequences(pictures_train[rows])
            begin = perf_counter()
            model.partial_fit(X, y_train[rows], classes=np.unique(y_train))
            seconds += perf_counter() - begin
            exact = with_exact_statistics(model, X[:CURVE_ROWS])
            curve["updates"].append((point + 1) * per_point)
            curve["loss"].append(model.loss_)
            curve["score"].append(float(exact.score(X_test[:CURVE_ROWS], y_test[:CURVE_ROWS])))
        rows = rng.permutation(len(y_train))[:10_000]
        exact = with_exact_statistics(model, sequences(pictures_train[rows]))
        score = float(exact.score(X_test, y_test))
    return {"what": what, "set": task, "kind": kind, "seed": seed} | {
        "curve": curve,
        "score": score,
        "fit_seconds": seconds,
        "steps": X_test.shape[1],
    }


if __name__ == "__main__":
    main()
