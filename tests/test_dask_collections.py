"""Collections of Dask as blocks of rows."""

import numpy as np
import pandas as pd
import pytest

da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")

import dask  # noqa: E402

from skbn.dask.collections import aligned_blocks, map_rows, whole_rows  # noqa: E402

ROWS = np.arange(60.0).reshape(20, 3)


def frame(n_parts=4):
    return dd.from_pandas(pd.DataFrame(ROWS, columns=list("abc")), npartitions=n_parts, sort=False)


def unknown(array):
    """The same blocks, with numbers of rows that are not known."""
    return array.map_blocks(
        lambda block: block, chunks=((np.nan,) * array.numblocks[0], *array.chunks[1:])
    )


class TestWholeRows:
    def test_chunks_along_features_are_joined(self):
        X = whole_rows(da.from_array(ROWS, chunks=(7, 2)), "X")
        assert X.chunks == ((7, 7, 6), (3,))
        np.testing.assert_array_equal(X.compute(), ROWS)

    def test_chunks_of_time_steps_are_joined(self):
        X = whole_rows(da.zeros((8, 4, 2), chunks=(3, 1, 1)), "X", 2, 3)
        assert X.chunks == ((3, 3, 2), (4,), (2,))

    def test_whole_rows_stay(self):
        for X in (da.from_array(ROWS, chunks=(7, 3)), frame()):
            assert whole_rows(X, "X") is X

    @pytest.mark.parametrize("X", [ROWS, pd.DataFrame(ROWS), [[1.0]], None])
    def test_what_is_no_collection(self, X):
        with pytest.raises(TypeError, match=f"X must be a dask array .* got {type(X).__name__}"):
            whole_rows(X, "X")

    def test_wrong_dimensions(self):
        with pytest.raises(ValueError, match="y has 3 dimensions, expected 1 to 2"):
            whole_rows(da.zeros((4, 2, 2)), "y")
        with pytest.raises(ValueError, match="sample_weight has 2 dimensions, expected 1"):
            whole_rows(da.zeros((4, 2)), "sample_weight", 1, 1)


class TestAlignedBlocks:
    def check(self, **collections):
        blocks = dask.compute(aligned_blocks(**collections))[0]
        for name, collection in collections.items():
            if collection is None:
                assert all(name not in block for block in blocks)
                continue
            together = np.concatenate([np.asarray(block[name]) for block in blocks])
            np.testing.assert_array_equal(together, np.asarray(collection.compute()))
        for block in blocks:
            assert len({len(rows) for rows in block.values()}) == 1
        return blocks

    def test_equal_chunks(self):
        X, y = da.from_array(ROWS, chunks=(7, 3)), da.arange(20, chunks=7)
        assert len(self.check(X=X, y=y, sample_weight=None)) == 3

    def test_other_chunks_follow_the_first(self):
        X, y = da.from_array(ROWS, chunks=(7, 3)), da.arange(20, chunks=20)
        blocks = self.check(X=X, y=y, sample_weight=da.ones(20, chunks=3))
        assert [len(block["y"]) for block in blocks] == [7, 7, 6]

    def test_partitions_of_data_frames(self):
        X = frame()
        assert len(self.check(X=X, y=X["a"], sample_weight=None)) == X.npartitions

    def test_an_array_of_a_data_frame(self):
        X = frame()
        self.check(X=X, y=X["a"].values, sample_weight=X["b"].to_dask_array())
        self.check(X=X.values, y=X["a"], sample_weight=None)

    def test_columns_of_small_parquet_files(self, tmp_path):
        # Dask puts small partitions together, by the size of the columns that are read.
        for number in range(4):
            part = pd.DataFrame(ROWS[number * 5 : number * 5 + 5], columns=list("abc"))
            part.assign(y="yes").to_parquet(tmp_path / f"{number}.parquet")
        table = dd.read_parquet(tmp_path)
        assert len(table["y"].to_delayed()) < 4
        self.check(X=table[["a", "b", "c"]], y=table["y"], sample_weight=table["a"])

    def test_unknown_numbers_of_rows(self):
        X, y = da.from_array(ROWS, chunks=(7, 3)), da.arange(20, chunks=7)
        self.check(X=unknown(X), y=unknown(y))
        self.check(X=X, y=unknown(y))

    def test_other_numbers_of_rows(self):
        with pytest.raises(ValueError, match="y has 19 rows, but X has 20"):
            aligned_blocks(X=da.from_array(ROWS), y=da.arange(19))

    @pytest.mark.parametrize("kind", ["array", "frame"])
    def test_other_blocks_of_unknown_rows(self, kind):
        X = da.from_array(ROWS, chunks=(7, 3))
        y = unknown(da.arange(20, chunks=5)) if kind == "array" else frame(5)["a"]
        with pytest.raises(ValueError, match=r"y has [45] blocks of rows, but X has 3, and"):
            aligned_blocks(X=X, y=y)


def doubled(factor, rows):
    return factor * np.asarray(rows)


def first_column(factor, rows):
    return factor * np.asarray(rows)[:, 0]


def of_frame(factor, rows):
    return factor * rows


class TestMapRows:
    @pytest.mark.parametrize("known", [True, False])
    def test_arrays(self, known):
        X = da.from_array(ROWS, chunks=(7, 3))
        X = X if known else unknown(X)
        result = map_rows(doubled, 2.0, X, np.empty((0, 3)))
        assert isinstance(result, da.Array)
        assert result.chunks[1] == (3,)
        assert not known or result.shape == (20, 3)
        np.testing.assert_array_equal(result.compute(), 2.0 * ROWS)

    def test_fewer_dimensions_and_another_dtype(self):
        X = da.from_array(ROWS, chunks=(7, 3))
        result = map_rows(first_column, 2, X, np.empty(0, np.int64))
        assert result.shape == (20,)
        assert result.dtype == np.int64
        np.testing.assert_array_equal(result.compute(), 2.0 * ROWS[:, 0])

    def test_three_dimensions(self):
        X = da.from_array(ROWS.reshape(10, 2, 3), chunks=(4, 2, 3))
        result = map_rows(doubled, 2.0, X, np.empty((0, 2, 3)))
        np.testing.assert_array_equal(result.compute(), 2.0 * ROWS.reshape(10, 2, 3))

    def test_an_array_of_a_data_frame(self):
        for function, example in ((first_column, np.empty(0)), (doubled, np.empty((0, 3)))):
            result = map_rows(function, 2.0, frame(), example)
            assert isinstance(result, da.Array)
            assert result.dtype == np.float64
            np.testing.assert_array_equal(result.compute(), function(2.0, ROWS))

    def test_a_data_frame_of_a_data_frame(self):
        X = frame()
        result = map_rows(of_frame, 2.0, X, X._meta)
        assert isinstance(result, dd.DataFrame)
        pd.testing.assert_frame_equal(result.compute(), 2.0 * X.compute())

    def test_nothing_is_computed_and_the_model_is_there_once(self):
        computed = []

        def count(model, rows):
            computed.append(len(rows))
            return rows

        X = da.from_array(ROWS, chunks=(2, 3))
        model = "the only model"
        result = map_rows(count, model, X, np.empty((0, 3)))
        assert computed == []
        graph = dict(result.__dask_graph__())
        holding = [key for key, task in graph.items() if model in repr(task)]
        assert len(holding) == 1
        result.compute()
        assert computed == [2] * 10
