"""Training from files that are larger than the memory: memory, time and scores.

    python -m benchmarks.larger_than_memory memory              # some minutes; no data are needed
    python -m benchmarks.larger_than_memory scores --data DIR   # four tables

``memory`` writes a table to a NumPy file and to a Parquet file, and trains from the files in fresh
processes. A limit of the operating system (RLIMIT_DATA) holds for the private memory of a process:
arrays count, pages of a mapped file do not. In the rows "uncached" the pages of the file are
dropped from the memory four times a second, so that they are read from the disk again. MADV_RANDOM
asks the system to read no pages around a page.

``scores`` compares the test scores of ``fit`` and of ``partial_fit`` on files in random order and
on files sorted by the target. All ways see each row equally often.
"""

import argparse
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from benchmarks import tables
from benchmarks.child import result_of
from benchmarks.report import machine
from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor

WAYS = {
    "fit, array in memory, no limit": ("array", False, False),
    "fit, array in memory": ("array", True, False),
    "fit, mapped file": ("file", True, False),
    "fit, mapped file, shuffle=False": ("file in order", True, False),
    "fit, mapped file, shuffle=False, uncached": ("file in order", True, True),
    "fit, mapped file, uncached, MADV_RANDOM": ("file at random", True, True),
    "partial_fit, Parquet": ("parquet", True, False),
}
CHILD = "import sys; from benchmarks.larger_than_memory_child import main; main(*sys.argv[1:])"
FEATURES, EPOCHS = 250, 2
SETS = ("letter", "adult", "magic_telescope", "diamonds")
# Rows of a row group of the Parquet files of ``scores``, and the groups of a mixed chunk.
GROUP_ROWS, GROUPS = 500, 8


def main(argv=None):
    """Measure, print and write the tables."""
    arguments = argument_parser().parse_args(argv)
    output = arguments.output
    content = json.loads(output.read_text()) if output.exists() else {}
    content["machine"] = machine()
    if arguments.what == "memory":
        found = memory(arguments.size, arguments.limit, arguments.ways)
        before = content.get("memory", found)
        if before["size"] == found["size"] and before["limit"] == found["limit"]:
            # A run of some ways keeps the other ways.
            rows = {row["way"]: row for row in before["rows"] + found["rows"]}
            found["rows"] = [rows[way] for way in WAYS if way in rows]
        content["memory"] = found
    else:
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            content["scores"] = scores(arguments.data, arguments.sets, arguments.seeds)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(content, indent=1) + "\n")


def argument_parser():
    summary, _, details = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.larger_than_memory",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = os.environ.get("SKBN_DATA")
    parser.add_argument("what", choices=["memory", "scores"])
    parser.add_argument("--size", type=int, default=500, help="MB of the table")
    parser.add_argument("--limit", type=int, default=150, help="MB of memory beside the libraries")
    parser.add_argument("--ways", nargs="+", default=[*WAYS], choices=[*WAYS], metavar="WAY")
    parser.add_argument("--data", type=Path, default=Path(data) if data else None)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--output", type=Path, default=Path("build/benchmarks/larger_than_memory.json")
    )
    return parser


# Memory.


def memory(size, limit, ways):
    """What each way of training needs, for a table of `size` MB under a limit of `limit` MB."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        write_files(Path(name), size * 1_000_000 // (4 * FEATURES))
        print(f"{'way':<44} {'memory':>8} {'of file':>8} {'seconds':>8} {'cpu':>8}  (MB)")
        for way in ways:
            kind, is_limited, is_uncached = WAYS[way]
            result = result_of(
                CHILD, name, kind, limit if is_limited else 0, int(is_uncached), EPOCHS
            )
            rows.append({"way": way} | result)
            numbers = f"{result['private']:>8.0f} {result['of_file']:>8.0f}"
            times = f"{result['seconds']:>8.1f} {result['cpu_seconds']:>8.1f}"
            print(f"{way:<44} {numbers} {times}  {result['error']}", flush=True)
    return {"size": size, "limit": limit, "epochs": EPOCHS, "features": FEATURES, "rows": rows}


def write_files(directory, n, group_rows=10_000):
    """The same table as ``X.npy``, ``y.npy`` and ``table.parquet``, written block by block."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    weight = rng.standard_normal(FEATURES) / np.sqrt(FEATURES)
    names = [f"x{j}" for j in range(FEATURES)]
    schema = pa.schema([(name, pa.float32()) for name in names] + [("y", pa.int64())])
    X = np.lib.format.open_memmap(directory / "X.npy", "w+", np.float32, (n, FEATURES))
    y = np.empty(n, np.int64)
    with pq.ParquetWriter(
        directory / "table.parquet", schema, compression="none", use_dictionary=False
    ) as writer:
        for start in range(0, n, group_rows):
            block = rng.standard_normal((min(group_rows, n - start), FEATURES), np.float32)
            stop = start + len(block)
            X[start:stop] = block
            y[start:stop] = np.tanh(block @ weight) + 0.3 * rng.standard_normal(len(block)) > 0.0
            columns = [*np.ascontiguousarray(block.T), y[start:stop]]
            writer.write_table(pa.table(columns, schema=schema))
    X.flush()
    np.save(directory / "y.npy", y)


# Scores.


def scores(directory, names, n_seeds):
    """Means and standard errors of the test scores over splits."""
    rows = []
    for name in names:
        try:
            table = tables.find(directory, name)
        except tables.LeftOut as reason:
            print(f"{name}: {reason}", file=sys.stderr)
            continue
        runs = [run(table, seed) for seed in range(n_seeds)]
        for way in runs[0]:
            values = [result[way] for result in runs]
            error = np.std(values, ddof=1) / np.sqrt(n_seeds) if n_seeds > 1 else 0.0
            rows.append({"set": name, "way": way, "score": np.mean(values), "error": error})
            print(f"{name:<16} {way:<44} {np.mean(values):.4f} ± {error:.4f}", flush=True)
    return rows


def run(table, seed):
    """The test score of each way of training on one split."""
    X, X_test, y, y_test = tables.split(table, seed)
    kind = MLPWithBatchNormClassifier if table.is_classification else MLPWithBatchNormRegressor
    rng = np.random.default_rng(seed)
    shuffled, by_target = rng.permutation(len(y)), np.argsort(y, kind="stable")

    def network(**parameters):
        return kind(random_state=seed, **parameters)

    whole = network().fit(X, y)
    tenth = shuffled[: len(y) // 10]
    models = {
        "fit": whole,
        "fit, shuffle=False, file in random order": network(shuffle=False).fit(
            X[shuffled], y[shuffled]
        ),
        "fit on a random tenth of the rows": network().fit(X[tenth], y[tenth]),
    }
    classes = {"classes": np.unique(y)} if table.is_classification else {}
    for name, order, n_groups in (
        ("partial_fit, file in random order", shuffled, 1),
        ("partial_fit, file sorted by target", by_target, 1),
        (f"partial_fit, sorted file, {GROUPS} random row groups a chunk", by_target, GROUPS),
    ):
        model = network()
        for _ in range(whole.n_epochs_):
            for chunk in chunks(order, n_groups, rng):
                model.partial_fit(X[chunk], y[chunk], **classes)
        models[name] = model
    return {name: model.score(X_test, y_test) for name, model in models.items()}


def chunks(order, n_groups, rng):
    """Row groups of a file, one after the other; several: in random order, some to a chunk."""
    groups = np.array_split(order, max(1, len(order) // GROUP_ROWS))
    numbers = np.arange(len(groups)) if n_groups == 1 else rng.permutation(len(groups))
    for start in range(0, len(groups), n_groups):
        yield np.concatenate([groups[i] for i in numbers[start : start + n_groups]])


if __name__ == "__main__":
    sys.exit(main())
