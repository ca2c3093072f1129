"""Odd inputs of estimators for Dask: dtypes, sparse blocks, masks, shapes, lengths of blocks."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.pipeline import make_pipeline

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
db = pytest.importorskip("dask.bag")
dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")

from local_cluster import workers_of  # noqa: E402

from skbn import (  # noqa: E402
    BatchNormTransformer,
    MLPEnsembleWithBatchNormClassifier,
    MLPWithBatchNormClassifier,
)
from skbn.dask import (  # noqa: E402
    DaskBatchNormTransformer,
    DaskMLPEnsembleWithBatchNormClassifier,
    DaskMLPWithBatchNormClassifier,
    DaskMLPWithBatchNormRegressor,
)
from skbn.dask.collections import aligned_blocks  # noqa: E402
from skbn.dask.placement import blocks_of_workers, checked, computed  # noqa: E402
from skbn.dask.transformer import _merged  # noqa: E402
from skbn.estimators.mlp import PLAIN_PARAMETERS  # noqa: E402

NAMES = list("abcdef")
OPTIONS = {"hidden_layer_sizes": (8,), "n_epochs": 5, "random_state": 0}


def table(n=300):
    X, y = make_classification(n, 6, n_informative=4, n_classes=3, random_state=0)
    return 5.0 + X, y


def arrays(chunks=60):
    X, y = table()
    return da.from_array(X, chunks=(chunks, 6)), da.from_array(y, chunks=chunks)


def frames(n_parts=4):
    X, y = table()
    frame = pd.DataFrame(X, columns=NAMES)
    return (
        dd.from_pandas(frame, npartitions=n_parts),
        dd.from_pandas(pd.Series(y), npartitions=n_parts),
    )


def of_unknown_rows(array):
    nan = (np.nan,) * array.numblocks[0]
    return array.map_blocks(lambda block: block, chunks=(nan, *array.chunks[1:]))


def classifier(**parameters):
    return DaskMLPWithBatchNormClassifier(**OPTIONS | parameters)


def regressor(**parameters):
    return DaskMLPWithBatchNormRegressor(**OPTIONS | parameters)


class TestTransformer:
    @pytest.mark.parametrize("dtype", ["Float64", "Float32", "double[pyarrow]", "f4", "i8", bool])
    def test_columns_of_a_dtype(self, dtype):
        if "pyarrow" in str(dtype):
            pytest.importorskip("pyarrow")
        frame = (10.0 * pd.DataFrame(table()[0], columns=NAMES)).round().astype(dtype)
        collection = dd.from_pandas(frame, npartitions=3)
        transformer = DaskBatchNormTransformer().fit(collection)
        result = transformer.transform(collection)
        expected = transformer.to_local().transform(frame)
        assert (result.dtypes == expected.dtype).all()
        computed = result.compute()
        assert (computed.dtypes == expected.dtype).all()
        # pandas 2 gives the columns of a block in another order of memory.
        eps = np.finfo(expected.dtype).eps
        np.testing.assert_allclose(computed, expected, rtol=2 * eps, atol=2 * eps)
        back = transformer.inverse_transform(result)
        assert (back.dtypes == back.compute().dtypes).all()

    def test_columns_of_several_dtypes(self):
        frame = pd.DataFrame(table()[0], columns=NAMES).astype({"a": "f4", "b": "Float64"})
        collection = dd.from_pandas(frame, npartitions=3)
        result = DaskBatchNormTransformer().fit(collection).transform(collection)
        assert (result.dtypes == np.float64).all()
        assert (result.compute().dtypes == np.float64).all()

    def test_sparse_blocks(self):
        X, _ = arrays()
        blocks = X.map_blocks(sparse.csr_array)
        with pytest.raises(ValueError, match="Cannot center sparse matrices"):
            DaskBatchNormTransformer().fit(blocks)
        transformer = DaskBatchNormTransformer().fit(X)
        with pytest.raises(ValueError, match="Cannot center sparse matrices"):
            transformer.transform(blocks).compute()

    def test_blocks_are_not_overwritten(self):
        X = arrays()[0].persist(scheduler="threads")
        before = X.compute(scheduler="threads").copy()
        transformer = DaskBatchNormTransformer(copy=False).fit(X)
        transformer.transform(X).compute(scheduler="threads")
        transformer.inverse_transform(X).compute(scheduler="threads")
        np.testing.assert_array_equal(X.compute(scheduler="threads"), before)
        assert transformer.copy is False
        assert transformer.to_local().copy is False

    def test_merged_parts_do_not_change(self):
        # A task may run twice, when the worker of its result has died.
        X, _ = table()
        parts = [None, *(BatchNormTransformer().fit(part) for part in np.array_split(X, 3))]
        merged = [_merged(parts) for _ in range(2)]
        assert [one.n_samples_seen_ for one in merged] == [300, 300]
        np.testing.assert_array_equal(merged[0].running_var_, merged[1].running_var_)
        assert parts[1].n_samples_seen_ == 100

    def test_output_settings_of_scikit_learn_are_for_local_estimators(self):
        X = da.from_array(table()[0].reshape(100, 3, 6), chunks=(40, 3, 6))
        transformer = DaskBatchNormTransformer().fit(X)
        with sklearn.config_context(transform_output="pandas"):
            result = transformer.transform(X).compute(scheduler="synchronous")
        assert type(result) is np.ndarray
        assert result.shape == X.shape

    def test_errors_that_need_no_computation(self):
        X, _ = arrays()
        transformer = DaskBatchNormTransformer().fit(X)
        with pytest.raises(ValueError, match="X has 5 features, but BatchNormTransformer is"):
            transformer.transform(X[:, :5])
        with pytest.raises(ValueError, match="was fitted on"):
            transformer.transform(X[:, None])
        frame, _ = frames()
        with pytest.raises(ValueError, match="feature names should match"):
            DaskBatchNormTransformer().fit(frame).transform(frame[NAMES[::-1]])
        with pytest.raises(ValueError, match="gamma is 0"):
            DaskBatchNormTransformer(gamma=0.0).fit(X).inverse_transform(X)

    def test_weights_of_other_blocks(self):
        X, _ = frames()
        weight = dd.from_pandas(pd.Series(np.ones(290)), npartitions=4)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            DaskBatchNormTransformer().fit(X, sample_weight=weight)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            DaskBatchNormTransformer().fit(X[X["a"] > 1e9], sample_weight=weight)

    def test_squares_beyond_the_largest_number(self, client):
        # A cluster, so that the workers warn in other processes.
        X = 1e200 * arrays()[0]
        with pytest.warns(RuntimeWarning, match="beyond the largest float64") as caught:
            DaskBatchNormTransformer().fit(X)
        assert [warning.filename for warning in caught] == [__file__]

    def test_masked_weights(self):
        X, _ = arrays()
        weight = da.ma.masked_less(X[:, 0], 5.0)
        with pytest.raises(ValueError, match="sample_weight is a masked array"):
            DaskBatchNormTransformer().fit(X, sample_weight=weight)


class TestShapes:
    @pytest.mark.parametrize(
        "X",
        [
            db.from_sequence([[1.0], [2.0]]),
            dask.delayed(np.ones((4, 2))),
            dd.from_pandas(pd.DataFrame({"a": [1.0, 1.0]}), npartitions=1).groupby("a"),
        ],
        ids=["bag", "delayed", "groups"],
    )
    def test_objects_of_dask_that_are_no_collection_of_rows(self, X):
        with pytest.raises(TypeError, match="X must be a dask array or a dask DataFrame, got"):
            DaskBatchNormTransformer().fit(X)

    def test_dimensions_of_frames(self, client):
        X, y = frames()
        with pytest.raises(ValueError, match="X has 1 dimensions, expected 2 to 3"):
            DaskBatchNormTransformer().fit(X["a"])
        with pytest.raises(ValueError, match="sample_weight has 2 dimensions, expected 1"):
            classifier().fit(X, y, X[["a"]])
        model = classifier().fit(X, y)
        with pytest.raises(ValueError, match="X has 1 dimensions, expected 2"):
            model.predict(X["a"])
        with pytest.raises(ValueError, match="X has 0 dimensions, expected 2"):
            model.predict(X["a"].sum())


class TestWeights:
    def test_rows_of_weight_0_count_in_a_network_of_scikit_learn(self, client):
        """Such a network shuffles them, and they fill its mini-batches."""
        X, y = table()
        sample_weight = np.arange(300) % 3.0
        member = MLPWithBatchNormClassifier(**PLAIN_PARAMETERS, calibrate=False, n_epochs=5)
        collections = [da.from_array(part, chunks=60) for part in (X, y, sample_weight)]
        ensemble = DaskMLPEnsembleWithBatchNormClassifier(member, random_state=0).fit(*collections)
        local = MLPEnsembleWithBatchNormClassifier(member, random_state=0).fit(X, y, sample_weight)
        np.testing.assert_allclose(
            ensemble.to_local().predict_proba(X), local.predict_proba(X), rtol=1e-6
        )

    def test_a_worker_whose_rows_all_have_weight_0(self, client):
        X, y = table()
        sample_weight = np.where(np.arange(300) < 100, 0.0, 1.0)
        parts = [
            da.concatenate(
                [
                    da.from_delayed(future, part.shape, dtype=part.dtype)
                    for part, future in zip(parts, futures, strict=True)
                ]
            )
            for parts in (np.split(array, 3) for array in (X, y, sample_weight))
            for futures in [
                [
                    client.scatter(part, workers=[worker], direct=True, hash=False)
                    for part, worker in zip(parts, workers_of(client), strict=True)
                ]
            ]
        ]
        assert classifier().fit(*parts).score(*parts[:2]) > 0.3

    @pytest.mark.parametrize("weighted", [False, True])
    def test_no_rows(self, client, weighted):
        X, y = arrays()
        of_weight = " of positive weight" if weighted else ""
        weights = da.zeros(300, chunks=60) if weighted else None
        if not weighted:
            X, y = X[:0], y[:0]
        with pytest.raises(ValueError, match=rf"0 sample\(s\){of_weight} while a minimum"):
            classifier().fit(X, y, weights)


class TestBlocks:
    def test_lengths_of_a_block_that_differ(self):
        X, y = table(10)
        for sample_weight in (None, np.arange(9.0)):
            with pytest.raises(ValueError, match="inconsistent numbers of samples"):
                checked(X, y[:9], sample_weight)

    def test_blocks_that_only_agree_in_total_are_refused(self, client):
        # Both blocks are on one worker, which could not tell afterwards.
        X, y = table()
        worker = workers_of(client)[0]

        def on_one_worker(array, lengths):
            edges = np.cumsum([0, *lengths])
            parts = [array[start:stop] for start, stop in pairwise(edges)]
            return da.concatenate(
                [
                    da.from_delayed(future, (np.nan, *array.shape[1:]), dtype=array.dtype)
                    for future in client.scatter(parts, workers=[worker], direct=True, hash=False)
                ],
                allow_unknown_chunksizes=True,
            )

        with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[.00, .00\]"):
            classifier().fit(on_one_worker(X, [100, 200]), on_one_worker(y, [200, 100]))

    def test_the_worker_of_the_first_rows_comes_first(self, client):
        X, y = table()
        for workers in (workers_of(client), workers_of(client)[::-1]):
            blocks = [
                {
                    name: client.scatter(
                        array[100 * block : 100 * block + 100],
                        workers=[worker],
                        direct=True,
                        hash=False,
                    )
                    for name, array in (("X", X), ("y", y))
                }
                for block, worker in enumerate(workers)
            ]
            with computed(client, blocks) as futures:
                assert list(blocks_of_workers(client, futures)) == workers

    def test_a_block_that_no_worker_has(self, client, monkeypatch):
        X, y = arrays()
        monkeypatch.setattr(client, "who_has", lambda futures: {f.key: () for f in futures})
        with pytest.raises(RuntimeError, match="A worker left the cluster before the fit"):
            classifier().fit(X, y)

    @pytest.mark.parametrize("form", ["coo_matrix", "coo_array", "csc_array", "csr_matrix"])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_forms_of_sparse_blocks(self, client, form, weighted):
        X, y = arrays()
        blocks = X.map_blocks(getattr(sparse, form))
        weight = (X[:, 1] > 5.0).astype(float) if weighted else None
        model = classifier().fit(blocks, y, weight)
        predicted = model.predict(blocks).compute()
        np.testing.assert_array_equal(predicted, model.to_local().predict(table()[0]))

    def test_sparse_labels(self, client):
        X, _ = arrays()
        Y = (X[:, :3] > 5.0).astype(int)
        labels = Y.map_blocks(sparse.csr_array)
        weight = da.from_array((np.arange(300) % 3).astype(float), chunks=60)
        model = classifier(n_epochs=20).fit(X, labels, weight)
        predicted = model.predict(X).compute()
        assert type(predicted) is np.ndarray
        score = (predicted == Y.compute()).all(axis=1).mean()
        assert score > 0.5
        assert model.score(X, labels) == pytest.approx(score)
        assert model.score(X, Y) == pytest.approx(score)

    def test_masked_blocks(self, client):
        X, y = arrays()
        with pytest.raises(ValueError, match="X is a masked array"):
            classifier().fit(da.ma.masked_less(X, 4.0), y)
        with pytest.raises(ValueError, match="y is a masked array"):
            classifier().fit(X, da.ma.masked_less(y, 1))
        with pytest.raises(ValueError, match="sample_weight is a masked array"):
            classifier().fit(X, y, da.ma.masked_less(X[:, 0], 5.0))

    def test_a_common_source_of_arrays_is_computed_once(self):
        computed = []

        def load(block):
            computed.append(block.shape)
            return block + np.random.default_rng().uniform(size=block.shape)

        source = da.zeros((40, 3), chunks=(10, 3)).map_blocks(load, meta=np.empty((0, 0)))
        blocks = aligned_blocks(X=source[:, :2], y=2.0 * source[:, 0], sample_weight=None)
        for block in dask.compute(blocks, scheduler="synchronous")[0]:
            np.testing.assert_array_equal(2.0 * block["X"][:, 0], block["y"])
        assert computed == [(10, 3)] * 4


class TestPredictions:
    @pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "Float32", "double[pyarrow]"])
    def test_the_dtype_is_known_before(self, client, dtype):
        if "pyarrow" in dtype:
            pytest.importorskip("pyarrow")
        X, _ = frames()
        X = X.round().astype(dtype)
        model = regressor().fit(X, X["a"])
        predicted = model.predict(X)
        assert predicted.dtype == predicted.compute().dtype
        assert predicted.dtype == (np.float32 if dtype == "f4" else np.float64)

    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i2", bool])
    def test_the_dtype_of_arrays(self, client, dtype):
        X, _ = arrays()
        X = (X > 5.0).astype(dtype) if dtype is bool else X.astype(dtype)
        model = regressor().fit(X, X[:, 0].astype(float))
        predicted = model.predict(X)
        assert predicted.dtype == predicted.compute().dtype

    def test_errors_that_need_no_computation(self, client):
        X, y = arrays()
        model = classifier().fit(X, y)
        with pytest.raises(ValueError, match="X has 5 features, but MLPWithBatchNormClassifier"):
            model.predict_proba(X[:, :5])
        X, y = frames()
        model = classifier().fit(X, y)
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(X[NAMES[::-1]])
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            model.predict(arrays()[0])

    def test_outputs_of_a_hidden_layer(self, client):
        X, y = arrays()
        model = classifier(hidden_layer_sizes=(8, 5)).fit(X, y)
        for layer, width in ((-1, 5), (0, 8)):
            outputs = model.hidden_activations(X, layer)
            assert isinstance(outputs, da.Array)
            assert outputs.shape == (300, width)
            expected = model.to_local().hidden_activations(X.compute(), layer)
            np.testing.assert_allclose(outputs.compute(), expected, rtol=1e-6)
        with pytest.raises(IndexError):
            model.hidden_activations(X, 2)

    def test_unknown_rows(self, client):
        X, y = arrays()
        model = classifier().fit(of_unknown_rows(X), of_unknown_rows(y))
        predicted = model.predict(of_unknown_rows(X))
        assert np.isnan(predicted.shape[0])
        np.testing.assert_array_equal(predicted.compute(), model.to_local().predict(table()[0]))


class TestPipelines:
    @pytest.mark.parametrize("collections", [arrays, frames])
    def test_a_transformer_before_a_classifier(self, client, collections):
        X, y = collections()
        pipeline = make_pipeline(DaskBatchNormTransformer(), classifier(n_epochs=30)).fit(X, y)
        assert isinstance(pipeline.predict(X), da.Array)
        local = make_pipeline(*(step.to_local() for _, step in pipeline.steps))
        # A DataFrame of Dask stays a DataFrame.
        local.set_output(transform="pandas" if collections is frames else "default")
        assert pipeline.score(X, y) == pytest.approx(local.score(X.compute(), y.compute()))
        assert pipeline.score(X, y) > 0.8


def test_links_to_the_documentation():
    for cls in (DaskBatchNormTransformer, DaskMLPWithBatchNormClassifier):
        assert cls()._get_doc_link().endswith(f"/api/generated/skbn.dask.{cls.__name__}.html")
