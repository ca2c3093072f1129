"""How far the fits of workers of a Dask cluster are from the fit of one process.

    python -m benchmarks.equal_workers

One process and 1, 2 or 3 workers train the same network on the same mini-batches. The workers have
uneven parts of the rows. The rows of the one process stand in the order in which the mini-batches
take the rows of the workers. A difference is the largest difference of a loss of an epoch, or of a
prediction for the training rows, relative to the largest loss or prediction. Weights are not
compared: batch norm removes the mean of each unit, so the gradients of shifts below it are rounding
alone, which Adam turns into steps of full size.
"""

import argparse
import sys

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster
from sklearn.datasets import make_classification, make_regression

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor
from skbn.dask import DaskMLPWithBatchNormClassifier, DaskMLPWithBatchNormRegressor

SHARES = {1: [1.0], 2: [0.7, 0.3], 3: [0.4, 0.15, 0.45]}
COLUMNS = "{:<10} {:<7} {:<9} {:<8} {:>7} {:>10} {:>12}"
N_ROWS = 2000


def rows_of(kind):
    """Rows, targets and weights."""
    if kind == "numbers":
        X, y = make_regression(N_ROWS, 12, noise=10.0, random_state=0)
    else:
        X, y = make_classification(N_ROWS, 12, n_informative=8, n_classes=3, random_state=0)
    return X, y, np.random.default_rng(0).integers(1, 4, N_ROWS).astype(float)


def order_of(counts):
    """The rows of one process: those of all workers by their places (i + 1/2) / n."""
    starts = np.cumsum([0, *counts[:-1]])
    places = np.concatenate([(np.arange(n) + 0.5) / n for n in counts])
    workers = np.repeat(np.arange(len(counts)), counts)
    numbers = np.concatenate(
        [start + np.arange(n) for start, n in zip(starts, counts, strict=True)]
    )
    return numbers[np.lexsort([workers, places])]


def blocks_on_workers(client, array, counts):
    """A collection with one block on each worker."""
    workers = sorted(client.nthreads())
    parts = np.split(array, np.cumsum(counts)[:-1])
    futures = [
        client.scatter(part, workers=[worker], direct=True, hash=False)
        for part, worker in zip(parts, workers, strict=True)
    ]
    return da.concatenate(
        [
            da.from_delayed(future, part.shape, dtype=part.dtype)
            for future, part in zip(futures, parts, strict=True)
        ]
    )


def differences(client, counts, kind, dtype, batch_norm, weighted):
    """The largest relative difference of the losses, and of the predictions."""
    parameters = {
        "hidden_layer_sizes": (32, 16),
        "batch_norm": batch_norm,
        "batch_size": 128,
        "n_epochs": 10,
        "shuffle": False,
        "early_stopping": False,
        "normalize_input": "smooth_clip",
        "dtype": dtype,
        "random_state": 0,
    }
    local, on_cluster = {
        "classes": (MLPWithBatchNormClassifier, DaskMLPWithBatchNormClassifier),
        "numbers": (MLPWithBatchNormRegressor, DaskMLPWithBatchNormRegressor),
    }[kind]
    X, y, weight = rows_of(kind)
    order = order_of(counts)
    single = local(**parameters).fit(X[order], y[order], weight[order] if weighted else None)
    collections = [blocks_on_workers(client, array, counts) for array in (X, y, weight)]
    model = on_cluster(**parameters).fit(*collections[: 3 if weighted else 2]).to_local()
    method = "predict" if kind == "numbers" else "predict_proba"
    return (
        _relative(np.array(model.loss_curve_), np.array(single.loss_curve_)),
        _relative(getattr(model, method)(X), getattr(single, method)(X)),
    )


def _relative(one, other):
    return float(np.abs(one - other).max() / np.abs(other).max())


def main(argv=None):
    """Measure and print the table."""
    summary, _, details = __doc__.partition("\n")
    argparse.ArgumentParser(
        prog="python -m benchmarks.equal_workers",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args(argv)
    print(COLUMNS.format("targets", "dtype", "norm", "weights", "workers", "losses", "predictions"))
    for n, shares in SHARES.items():
        counts = [round(share * N_ROWS) for share in shares]
        with (
            LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=":0") as cluster,
            Client(cluster) as client,
        ):
            for kind in ("classes", "numbers"):
                for dtype in ("float64", "float32"):
                    for batch_norm in ("before", "after"):
                        for weighted in (False, True):
                            values = differences(client, counts, kind, dtype, batch_norm, weighted)
                            print(
                                COLUMNS.format(
                                    kind,
                                    dtype,
                                    batch_norm,
                                    "yes" if weighted else "no",
                                    n,
                                    *(f"{value:.1e}" for value in values),
                                ),
                                flush=True,
                            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
