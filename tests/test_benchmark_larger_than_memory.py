"""The benchmark of files larger than memory: its files, its limit, and its chunks."""

import sys

import numpy as np
import pytest

from benchmarks import larger_than_memory
from benchmarks.child import result_of

parquet = pytest.importorskip("pyarrow.parquet")


def test_both_files_have_the_same_rows(tmp_path):
    larger_than_memory.write_files(tmp_path, 250, group_rows=100)
    X, y = np.load(tmp_path / "X.npy"), np.load(tmp_path / "y.npy")
    with parquet.ParquetFile(tmp_path / "table.parquet") as file:
        assert file.num_row_groups == 3
        *columns, targets = file.read().columns
    np.testing.assert_array_equal(np.column_stack(columns), X)
    np.testing.assert_array_equal(targets, y)
    assert 0.3 < y.mean() < 0.7


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_limit_and_its_report(tmp_path):
    larger_than_memory.write_files(tmp_path, 40_000)  # 40 MB

    def measured(kind, limit):
        return result_of(larger_than_memory.CHILD, tmp_path, kind, limit, 0, 1)

    whole = measured("array", 0)
    assert whole["error"] == ""
    assert whole["private"] > 40.0
    assert whole["cpu_seconds"] > 0.0
    assert 0.0 < whole["course"][0][0] <= whole["course"][-1][0] <= whole["seconds"] + 0.1
    assert max(private for _, private, _ in whole["course"]) == pytest.approx(
        whole["private"], abs=0.1
    )
    assert measured("array", 30)["error"] == "MemoryError"
    assert measured("file", 60)["error"] == ""


def test_chunks():
    order = np.arange(5000)[::-1]
    rng = np.random.default_rng(0)
    one = list(larger_than_memory.chunks(order, 1, rng))
    np.testing.assert_array_equal(np.concatenate(one), order)
    assert [len(chunk) for chunk in one] == [larger_than_memory.GROUP_ROWS] * 10
    some = list(larger_than_memory.chunks(order, 8, rng))
    assert [len(chunk) for chunk in some] == [4000, 1000]
    np.testing.assert_array_equal(np.sort(np.concatenate(some)), order[::-1])
    assert not np.array_equal(np.concatenate(some), order)
