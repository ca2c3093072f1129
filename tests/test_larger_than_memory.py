"""Training from files that are larger than the memory: the results, and the memory of a fit."""

import json
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from skbn import (
    BatchNormTransformer,
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
)
from skbn.estimators import quartiles
from skbn.estimators.columns import column_moments
from skbn.estimators.row_parts import LARGE_BYTES

SMALL = {"hidden_layer_sizes": (8,), "n_epochs": 3}
CLASSIFIER, REGRESSOR = MLPWithBatchNormClassifier(**SMALL), MLPWithBatchNormRegressor(**SMALL)
ESTIMATORS = {
    "transformer": BatchNormTransformer(),
    "classifier": CLASSIFIER,
    "classifier, smooth_clip": MLPWithBatchNormClassifier(**SMALL, normalize_input="smooth_clip"),
    "classifier, shuffle=False": MLPWithBatchNormClassifier(**SMALL, shuffle=False),
    "classifier, scoring": MLPWithBatchNormClassifier(
        **SMALL, early_stopping=True, scoring="accuracy"
    ),
    "regressor": REGRESSOR,
    "ensemble of classifiers": MLPEnsembleWithBatchNormClassifier(CLASSIFIER),
    "ensemble of regressors": MLPEnsembleWithBatchNormRegressor(REGRESSOR),
}


def rows(dtype, n=2000, d=6):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d)).astype(dtype)
    X[:, 1] = X[:, 1] > 0.0
    return X, np.sin(2.0 * X[:, 0]) + X[:, 1] + 0.1 * rng.standard_normal(n)


def mapped(path, array, mode="r"):
    np.save(path, array)
    return np.load(path, mmap_mode=mode)


def outputs(estimator, X):
    for name in ("predict_proba", "predict", "transform"):
        if hasattr(estimator, name):
            return getattr(estimator, name)(X)
    raise AssertionError


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("is_large", [False, True])
def test_a_mapped_file_gives_the_bits_of_an_array(name, dtype, is_large, tmp_path, monkeypatch):
    if is_large:
        monkeypatch.setattr(quartiles, "LARGE_BYTES", 0)
        monkeypatch.setattr(quartiles, "LARGE_ROWS", 0)
    X, y = rows(dtype)
    if "classifier" in name:
        y = (y > 0.5).astype(int)
    X_file, y_file = mapped(tmp_path / "X.npy", X), mapped(tmp_path / "y.npy", y)
    assert not X_file.flags.writeable
    estimator = ESTIMATORS[name]
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=0)
    of_array, of_file = clone(estimator).fit(X, y), clone(estimator).fit(X_file, y_file)
    np.testing.assert_array_equal(outputs(of_file, X_file), outputs(of_array, X))
    # The whole fitted state is equal.
    assert pickle.dumps(of_file) == pickle.dumps(of_array)


def test_a_file_is_transformed_in_place(tmp_path):
    X, _ = rows(np.float32)
    expected = BatchNormTransformer().fit_transform(X)
    file = mapped(tmp_path / "X.npy", X, "r+")
    transformer = BatchNormTransformer(copy=False).fit(file)
    for start in range(0, len(file), 300):
        transformer.transform(file[start : start + 300])
    file.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), expected)


# Memory.

FIT = """
import json, resource, sys
import numpy as np
import skbn

name, limit, parameters = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
X = np.load(f"{name}/X.npy", mmap_mode="r")
y = np.arange(len(X)) % 2
if parameters.pop("regressor", False):
    y = y + 0.5 * (np.arange(len(X)) % 3)
    kind = skbn.MLPWithBatchNormRegressor
else:
    kind = skbn.MLPWithBatchNormClassifier
small = {"hidden_layer_sizes": (8,), "n_epochs": 1, "periodic_embedding": None}
network = kind(random_state=0, **small, **parameters)
network.fit(X[:500], y[:500])  # the libraries allocate their own memory once
with open("/proc/self/status") as file:
    (now,) = (int(line.split()[1]) * 1024 for line in file if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (now + limit, now + limit))
network.fit(X, y)
print(len(network.predict(X)), network.n_iter_)
"""


@pytest.fixture(scope="module")
def large_file(tmp_path_factory):
    """A directory with a file of 320 MB: 200,000 rows of 400 columns, among them empty columns."""
    directory = tmp_path_factory.mktemp("large")
    X = np.lib.format.open_memmap(directory / "X.npy", "w+", np.float32, (200_000, 400))
    block = np.random.default_rng(0).standard_normal((10_000, 400), dtype=np.float32)
    block[:, :50] = 0.0
    block[:, 50:80] = block[:, 50:80] > 0.0
    for start in range(0, len(X), len(block)):
        X[start : start + len(block)] = block
    X.flush()
    return directory


def fit_under_limit(directory, limit, **parameters):
    """Fit in a process that may allocate `limit` bytes beside the memory of the libraries."""
    command = [sys.executable, "-c", FIT, str(directory), str(limit), json.dumps(parameters)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


linux = pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")


@linux
@pytest.mark.parametrize(
    "parameters",
    [
        # Copies of the training rows, or of the held-out rows, would take 160 MB.
        {"validation_fraction": 0.5},
        {"validation_fraction": 0.5, "normalize_input": "smooth_clip", "shuffle": False},
        {"validation_fraction": 0.5, "early_stopping": True, "regressor": True},
    ],
    ids=lambda parameters: "-".join(parameters),
)
def test_memory_of_a_fit_does_not_grow_with_the_file(parameters, large_file):
    done = fit_under_limit(large_file, 100_000_000, **parameters)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["200000", "1"]


@linux
def test_the_limit_is_one(large_file):
    done = fit_under_limit(large_file, 10_000_000)
    assert "MemoryError" in done.stderr


@pytest.mark.parametrize("weighted", [False, True])
def test_memory_of_moments_of_some_rows(weighted, monkeypatch):
    monkeypatch.setattr("skbn.estimators.row_parts.available_threads", lambda: 1)
    X = np.zeros((80_000, 400))  # 256 MB, which the system does not allocate
    numbers = np.arange(0, len(X), 2)
    weight = np.ones(len(numbers)) if weighted else None
    tracemalloc.start()
    try:
        column_moments(X, weight, numbers=numbers)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.0 * LARGE_BYTES


# A stream from a Parquet file: the recipe of the guide.


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order], y[order]
    return X[:1400], y[:1400], X[1400:], y[1400:]


def stream(path, n_epochs, n_groups, rng):
    """Chunks of a Parquet file: some row groups each, in random order; a single one: in order."""
    parquet = pytest.importorskip("pyarrow.parquet")
    with parquet.ParquetFile(path) as file:
        groups = np.arange(file.num_row_groups)
        for _ in range(n_epochs):
            groups = groups if n_groups == 1 else rng.permutation(groups)
            for start in range(0, len(groups), n_groups):
                table = file.read_row_groups(groups[start : start + n_groups].tolist())
                *columns, y = table.columns
                yield np.column_stack(columns).astype(np.float32), y.to_numpy()


def score_of_stream(path, digits, **options):
    network = MLPWithBatchNormClassifier(random_state=0)
    for X, y in stream(path, rng=np.random.default_rng(0), **options):
        network.partial_fit(X, y, classes=np.arange(10))
    return network.score(*digits[2:])


def test_order_of_the_rows_of_a_stream(digits, tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    X, y = digits[:2]
    path = tmp_path / "digits.parquet"

    def write(order):
        columns = [*np.ascontiguousarray(X[order].T), y[order]]
        names = [*(f"x{j}" for j in range(X.shape[1])), "y"]
        parquet.write_table(pa.table(columns, names=names), path, row_group_size=70)

    fitted = MLPWithBatchNormClassifier(random_state=0).fit(X, y).score(*digits[2:])
    write(np.arange(len(y)))
    in_random_order = score_of_stream(path, digits, n_epochs=20, n_groups=1)
    write(np.argsort(y, kind="stable"))
    sorted_by_class = score_of_stream(path, digits, n_epochs=20, n_groups=1)
    mixed = score_of_stream(path, digits, n_epochs=20, n_groups=10)
    assert fitted > 0.97
    assert in_random_order > 0.95
    assert mixed > 0.9
    assert sorted_by_class < 0.8
