"""How far other runtimes are from the predictions of skbn: ONNX Runtime and PyTorch.

    python -m benchmarks.runtimes --data DIR            # nine tables, three sets of sequences
    python -m benchmarks.runtimes --data DIR --sets adult credit_g

The default network and the default ensemble are fitted on each table, and the default recurrent
network on each set of sequences. Then the fitted model is converted, and predicts the test rows. A
number is the largest difference from the model that was converted: of a probability, or of a
prediction divided by the standard deviation of the training targets. ``labels`` counts the rows
whose class differs. The command ends with 1 if a difference is above 1e-5.
"""

import argparse
import json
import os
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from timeit import repeat

import numpy as np
import onnxruntime
import torch
from skl2onnx import to_onnx
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from benchmarks import sequence_sets, tables
from benchmarks.report import machine
from benchmarks.work import LeftOut
from skbn import (
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
)
from skbn.onnx import register
from skbn.torch import to_torch

TABLES = {
    "adult": "adult",
    "letter": "letter",
    "dry_bean": "dry_bean",
    "magic": "magic_telescope",
    "credit_g": "credit_g",
    "california": "california_housing_raw",
    "diamonds": "diamonds",
    "kin8nm": "kin8nm",
    "concrete": "concrete",
}
SEQUENCES = ("japanese_vowels", "ecg5000", "racket_sports")
NETWORKS = {
    "network": (MLPWithBatchNormClassifier, MLPWithBatchNormRegressor),
    "ensemble": (MLPEnsembleWithBatchNormClassifier, MLPEnsembleWithBatchNormRegressor),
}
BOUND = 1e-5
ONE_THREAD = onnxruntime.SessionOptions()
ONE_THREAD.intra_op_num_threads = 1


def main(argv=None):
    """Measure, print the table and write it; return 1 if a difference is above the bound."""
    arguments = argument_parser().parse_args(argv)
    register()
    rows = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        torch.set_num_threads(1)
        print(f"{'set':<16} {'model':<9} {'runtime':<12} {'difference':>10} {'labels':>7}")
        for row in measured(arguments.data, arguments.sets):
            rows.append(row)
            print(
                f"{row['set']:<16} {row['model']:<9} {row['runtime']:<12} "
                f"{row['difference']:>10.1e} {row['labels']:>7}",
                flush=True,
            )
    packages = {name: version(name) for name in ("skl2onnx", "onnx", "onnxruntime", "torch")}
    head = json.dumps({"machine": machine() | packages, "bound": BOUND}, indent=1)
    lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(f'{head[:-2]},\n "rows": [\n{lines}\n ]\n}}\n')
    return int(any(row["difference"] > BOUND for row in rows))


def argument_parser():
    summary, _, details = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.runtimes",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = os.environ.get("SKBN_DATA")
    parser.add_argument("--data", type=Path, default=Path(data) if data else None)
    parser.add_argument("--sets", nargs="+", default=[*TABLES, *SEQUENCES])
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks/runtimes.json"))
    return parser


def measured(directory, names):
    """A row for each set, model and runtime."""
    for name in names:
        try:
            if name in SEQUENCES:
                X_train, X_test, y_train, _ = sequence_sets.load(directory, name)
                models = {"recurrent": RNNWithBatchNormClassifier}
            else:
                table = tables.find(directory, TABLES[name])
                X_train, X_test, y_train, _ = tables.split(table, seed=0)
                models = {
                    kind: classes[not table.is_classification] for kind, classes in NETWORKS.items()
                }
        except LeftOut as reason:
            print(f"{name}: {reason}", file=sys.stderr)
            continue
        for kind, build in models.items():
            model = build(random_state=0).fit(X_train, y_train)
            common = {"set": name, "model": kind, "rows": len(X_test)}
            for runtime, predict in runtimes(model, X_test).items():
                yield common | {"runtime": runtime} | compared(model, X_test, y_train, *predict)


def runtimes(model, X):
    """For each runtime: a function from rows to predictions, and the rows in its dtype."""
    sides = {}
    for dtype in (np.float32, np.float64):
        rows = X.astype(dtype)
        sides[f"ONNX {np.dtype(dtype).name}"] = onnx_side(model, rows[:1]), rows
    if rows.ndim == 2:  # PyTorch: not of recurrent networks
        sides["PyTorch"] = torch_side(model), rows
    return sides


def onnx_side(model, row):
    """Probabilities of classes, or predicted targets, by ONNX Runtime."""
    is_classifier = hasattr(model, "classes_")
    options = {"zipmap": False} if is_classifier else None
    graph = to_onnx(model, row, options=options)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), ONE_THREAD)
    return lambda X: session.run(None, {session.get_inputs()[0].name: X})[-1]


def torch_side(model):
    """Probabilities of classes, or predicted targets, by PyTorch."""
    module = to_torch(model).eval()
    predict = module.predict_proba if hasattr(model, "classes_") else module.predict

    def predicted(X):
        with torch.no_grad():
            return predict(torch.from_numpy(X)).numpy()

    return predicted


def compared(model, X, y_train, predict, rows):
    """Largest difference, number of other labels, and seconds for the rows and for one row."""
    outputs = predict(rows)
    own = model.predict_proba if hasattr(model, "classes_") else model.predict
    expected = own(rows)
    unit = 1.0 if hasattr(model, "classes_") else np.std(y_train)
    difference = np.abs(outputs.reshape(expected.shape) - expected).max() / unit
    labels = 0
    if hasattr(model, "classes_"):
        labels = int((outputs.argmax(axis=1) != expected.argmax(axis=1)).sum())
    return {
        "difference": float(difference),
        "labels": labels,
        "seconds": {
            "rows": median_seconds(predict, rows),
            "one row": median_seconds(predict, rows[:1]),
            "rows, skbn": median_seconds(own, rows),
            "one row, skbn": median_seconds(own, rows[:1]),
        },
    }


def median_seconds(predict, rows):
    number = 20 if len(rows) == 1 else 1
    return float(np.median(repeat(lambda: predict(rows), number=number, repeat=5))) / number


if __name__ == "__main__":
    sys.exit(main())
