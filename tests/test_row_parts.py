"""Large tables in parts of rows, side by side."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from joblib import cpu_count
from processes import environment
from threadpoolctl import threadpool_limits

from skbn import BatchNormTransformer
from skbn.estimators import row_parts
from skbn.estimators.columns import column_moments


@pytest.fixture
def all_tables_are_large(monkeypatch):
    monkeypatch.setattr(row_parts, "LARGE_BYTES", 0)


def of_threads(monkeypatch, count):
    monkeypatch.setattr(row_parts, "available_threads", lambda: count)


@pytest.mark.parametrize("n_rows", [1, 2, 7, 8, 9, 1000])
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_parts_cover_the_rows_in_order(n_rows, threads, monkeypatch, all_tables_are_large):
    of_threads(monkeypatch, threads)
    for parts in (
        row_parts.fixed_parts(n_rows, 1),
        row_parts.a_part_for_each_thread(n_rows, 1),
    ):
        rows = np.concatenate([np.arange(n_rows)[part] for part in parts])
        np.testing.assert_array_equal(rows, np.arange(n_rows))
        lengths = [part.stop - part.start for part in parts]
        assert min(lengths) >= 1
        assert max(lengths) - min(lengths) <= 1


def test_small_tables_are_one_part():
    assert row_parts.fixed_parts(10, row_parts.LARGE_BYTES - 1) == [slice(0, 10)]
    assert row_parts.a_part_for_each_thread(10, row_parts.LARGE_BYTES - 1) == [slice(0, 10)]
    assert len(row_parts.fixed_parts(10, row_parts.LARGE_BYTES)) == row_parts.PARTS


def test_threads_run_side_by_side_and_answer_in_order(monkeypatch):
    of_threads(monkeypatch, 3)
    together = threading.Barrier(3, timeout=60)

    def function(rows):
        together.wait()
        return rows

    slices = [slice(i, i + 1) for i in range(3)]
    assert row_parts.side_by_side(function, slices) == slices


def test_one_thread_is_the_callers(monkeypatch):
    of_threads(monkeypatch, 1)
    caller = threading.get_ident()
    answers = row_parts.side_by_side(lambda rows: threading.get_ident(), [slice(0, 1)] * 3)
    assert answers == [caller] * 3


def test_an_error_in_a_thread_reaches_the_caller(monkeypatch):
    of_threads(monkeypatch, 2)

    def function(rows):
        raise ValueError("in a thread")

    with pytest.raises(ValueError, match="in a thread"):
        row_parts.side_by_side(function, [slice(0, 1)] * 2)


def test_limits_of_threadpoolctl_are_honoured():
    with threadpool_limits(1):
        assert row_parts.available_threads() == 1
    assert 1 <= row_parts.available_threads() <= cpu_count()


@pytest.mark.parametrize(
    "variable", ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LOKY_MAX_CPU_COUNT"]
)
def test_environment_variables_are_honoured(variable):
    code = (
        "from skbn.estimators.row_parts import available_threads; assert available_threads() == 1"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(**{variable: "1"}), check=True)


def tables():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1001, 5)) * [1.0, 1e-3, 1e3, 1.0, 1.0] + [0.0, 1e3, 0.0, 5.0, 0.0]
    X[:, 4] = 3.0
    holes = X.copy()
    holes[rng.random(X.shape) < 0.1] = np.nan
    return {
        "C": X,
        "F": np.asfortranarray(X),
        "float32": X.astype(np.float32),
        "strided": np.repeat(X, 2, axis=1)[:, ::2],
        "NaN": holes,
        "sequences": X[:1000].reshape(200, 5, 5),
    }


@pytest.mark.parametrize("name", tables())
@pytest.mark.parametrize("time_statistics", ["per_step", "shared"])
def test_transformer_gives_the_same_bits_on_any_number_of_threads(
    name, time_statistics, monkeypatch, all_tables_are_large
):
    X = tables()[name]
    weight = np.random.default_rng(1).uniform(0, 2, len(X))
    results = []
    for threads in (1, 2, 5):
        of_threads(monkeypatch, threads)
        for sample_weight in (None, weight):
            transformer = BatchNormTransformer(time_statistics=time_statistics)
            transformer.fit(X, sample_weight=sample_weight)
            back = BatchNormTransformer(copy=False, time_statistics=time_statistics)
            back.fit(X, sample_weight=sample_weight)
            in_place = back.transform(X.copy())
            results.append(
                [
                    transformer.running_mean_,
                    transformer.running_var_,
                    transformer.transform(X),
                    in_place,
                ]
            )
    for one, other in zip(results[:2] * 2, results[2:], strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def assert_same_moments(mean, var, expected_mean, expected_var, rtol):
    # The means to a rounding of theirs and a small part of the spread around them.
    error = np.abs(mean - expected_mean)
    assert (error <= 1e-15 * np.abs(expected_mean) + 1e-16 * np.sqrt(expected_var)).all()
    np.testing.assert_allclose(var, expected_var, rtol=rtol)


@pytest.mark.parametrize("name", tables())
def test_parts_have_the_moments_of_the_whole(name, monkeypatch):
    X = tables()[name]
    whole = BatchNormTransformer().fit(X)
    monkeypatch.setattr(row_parts, "LARGE_BYTES", 0)
    parts = BatchNormTransformer().fit(X)
    assert_same_moments(
        parts.running_mean_,
        parts.running_var_,
        whole.running_mean_,
        whole.running_var_,
        # Where entries are missing the mean of a part has no second half.
        1e-10 if name == "NaN" else 1e-13,
    )
    np.testing.assert_array_equal(parts.n_samples_seen_, whole.n_samples_seen_)


@pytest.mark.parametrize("weighted", [False, True])
def test_columns_of_a_network_in_parts(weighted, monkeypatch):
    X = tables()["C"]
    weight = np.random.default_rng(1).uniform(0, 2, len(X)) if weighted else None
    whole = column_moments(X, weight)
    monkeypatch.setattr(row_parts, "LARGE_BYTES", 0)
    parts = column_moments(X, weight)
    assert_same_moments(*parts[:2], *whole[:2], 1e-10)
    np.testing.assert_allclose(parts[2], whole[2], rtol=1e-13)


def test_infinity_is_refused_in_whatever_part(monkeypatch, all_tables_are_large):
    of_threads(monkeypatch, 2)
    X = tables()["C"]
    transformer = BatchNormTransformer().fit(X)
    for row in (0, 500, 1000):
        bad = X.copy()
        bad[row, 1] = np.inf
        with pytest.raises(ValueError, match="infinity"):
            transformer.transform(bad)
        with pytest.raises(ValueError, match="infinity"):
            BatchNormTransformer().fit(bad)


class TestWithoutThreads:
    """Where no thread can be started the caller does all of it, each slice once."""

    @pytest.mark.parametrize("started", [0, 1])
    def test_each_slice_is_done_once(self, started, monkeypatch):
        of_threads(monkeypatch, 8)
        start, count = threading.Thread.start, []

        def refused(thread):
            count.append(thread)
            if len(count) > started:
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refused)
        done = []

        def function(rows):
            done.append(rows.start)
            return rows.start

        slices = [slice(i, i + 1) for i in range(8)]
        assert row_parts.side_by_side(function, slices) == list(range(8))
        assert sorted(done) == list(range(8))
        assert len(count) == started + 1

    def test_an_error_of_the_work_is_no_reason_to_go_on(self, monkeypatch):
        of_threads(monkeypatch, 2)
        done = []

        def function(rows):
            done.append(rows)
            raise RuntimeError("can't start new thread")

        with pytest.raises(RuntimeError, match="can't start"):
            row_parts.side_by_side(function, [slice(i, i + 1) for i in range(50)])
        assert len(done) <= 2

    def run(self, program):
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            capture_output=True, text=True, env=environment(), timeout=120,
        )  # fmt: skip

    def test_after_the_end_of_the_main_thread(self):
        program = """
import threading
import numpy as np
from skbn import BatchNormTransformer
from skbn.estimators import row_parts
row_parts.LARGE_BYTES, row_parts.available_threads = 0, lambda: 4
X = np.arange(400.0).reshape(100, 4)
def late():
    threading.main_thread().join()
    transformer = BatchNormTransformer().fit(X)
    print(transformer.running_mean_.tolist(), np.isfinite(transformer.transform(X)).all())
threading.Thread(target=late).start()
"""
        done = self.run(program)
        assert done.stderr == ""
        assert done.stdout == "[198.0, 199.0, 200.0, 201.0] True\n"

    @pytest.mark.skipif(sys.platform != "linux", reason="limits of the memory of a process")
    def test_under_a_limit_of_memory(self):
        program = """
import resource, threading
import numpy as np
from skbn import BatchNormTransformer
from skbn.estimators import row_parts
row_parts.LARGE_BYTES, row_parts.available_threads = 0, lambda: 4
X = np.arange(400.0).reshape(100, 4)
BatchNormTransformer().fit(X).transform(X)
threading.stack_size(1 << 30)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 26), used + (1 << 26)))
try:
    threading.Thread(target=print).start()
except RuntimeError as error:
    print(error)
print(BatchNormTransformer().fit(X).running_mean_.tolist())
"""
        done = self.run(program)
        assert done.stdout == "can't start new thread\n[198.0, 199.0, 200.0, 201.0]\n", done.stderr
