"""The transformer for collections of Dask, against the transformer for arrays."""

import pickle

import numpy as np
import pandas as pd
import pytest

da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")

from local_cluster import local_cluster  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402

from skbn import BatchNormTransformer  # noqa: E402
from skbn.dask import DaskBatchNormTransformer  # noqa: E402

STATISTICS = ("running_mean_", "running_var_", "n_samples_seen_")


def rows_of(n=997, d=4, offset=1e3, dtype=np.float64, missing=False):
    rng = np.random.default_rng(0)
    X = offset + np.arange(1.0, d + 1) * rng.standard_normal((n, d))
    X[:, 1] = 7.0
    if missing:
        X[rng.uniform(size=X.shape) < 0.1] = np.nan
    return X.astype(dtype)


def assert_same(fitted, local, rtol=1e-12):
    for name in STATISTICS:
        np.testing.assert_allclose(getattr(fitted, name), getattr(local, name), rtol=rtol)
    np.testing.assert_array_equal(fitted.gamma_, local.gamma_)
    np.testing.assert_array_equal(fitted.beta_, local.beta_)
    assert fitted.n_features_in_ == local.n_features_in_


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("chunk", [997, 100])
def test_the_statistics_of_the_local_transformer(client, dtype, missing, weighted, chunk):
    X = rows_of(dtype=dtype, missing=missing)
    weight = np.random.default_rng(1).integers(0, 3, len(X)) if weighted else None
    local = BatchNormTransformer(gamma=2.0, beta=[1.0, 2.0, 3.0, 4.0]).fit(X, sample_weight=weight)
    transformer = DaskBatchNormTransformer(gamma=2.0, beta=[1.0, 2.0, 3.0, 4.0])
    collection = da.from_array(X, chunks=(chunk, 2))
    weights = None if weight is None else da.from_array(weight, chunks=50)
    assert transformer.fit(collection, sample_weight=weights) is transformer
    assert_same(transformer, local)
    result = transformer.transform(collection)
    assert isinstance(result, da.Array)
    assert result.dtype == dtype
    assert result.shape == X.shape
    rtol = 1e-12 if dtype == np.float64 else 1e-6
    np.testing.assert_allclose(result.compute(), local.transform(X), rtol=rtol, atol=rtol)
    back = transformer.inverse_transform(result).compute()
    np.testing.assert_allclose(back[:, [0, 2, 3]], X[:, [0, 2, 3]], rtol=1e-6)


@pytest.mark.parametrize("time_statistics", ["per_step", "shared"])
def test_time_steps(client, time_statistics):
    X = rows_of(600, 6).reshape(300, 4, 3)
    local = BatchNormTransformer(time_statistics=time_statistics).fit(X)
    transformer = DaskBatchNormTransformer(time_statistics=time_statistics)
    collection = da.from_array(X, chunks=(70, 2, 1))
    transformer.fit(collection)
    assert_same(transformer, local)
    np.testing.assert_allclose(
        transformer.transform(collection).compute(), local.transform(X), rtol=1e-12, atol=1e-12
    )


def test_a_data_frame(client):
    frame = pd.DataFrame(rows_of(), columns=list("abcd"), index=np.arange(997) + 5)
    local = BatchNormTransformer().fit(frame)
    collection = dd.from_pandas(frame, npartitions=4)
    transformer = DaskBatchNormTransformer().fit(collection, sample_weight=None)
    assert_same(transformer, local)
    np.testing.assert_array_equal(transformer.feature_names_in_, list("abcd"))
    result = transformer.transform(collection)
    assert isinstance(result, dd.DataFrame)
    assert (result.dtypes == np.float64).all()
    expected = pd.DataFrame(local.transform(frame), columns=frame.columns, index=frame.index)
    pd.testing.assert_frame_equal(result.compute(), expected, rtol=1e-12)
    back = transformer.inverse_transform(result).compute()
    pd.testing.assert_frame_equal(back, frame, rtol=1e-9)


@pytest.mark.parametrize("dtype", [int, np.float32])
def test_the_dtype_of_a_data_frame(client, dtype):
    frame = pd.DataFrame(10.0 * rows_of(), columns=list("abcd")).astype(dtype)
    collection = dd.from_pandas(frame, npartitions=3)
    result = DaskBatchNormTransformer().fit(collection).transform(collection)
    expected = np.float32 if dtype == np.float32 else np.float64
    assert (result.dtypes == expected).all()
    assert (result.compute().dtypes == expected).all()


def test_empty_blocks(client):
    X = rows_of()
    collection = da.from_array(X, chunks=(100, 4))
    some = collection[collection[:, 0] > 1001.0]
    none_in_places = da.concatenate([collection[:0], collection[:50], collection[50:50], some])
    local = BatchNormTransformer().fit(np.concatenate([X[:50], X[X[:, 0] > 1001.0]]))
    transformer = DaskBatchNormTransformer().fit(none_in_places)
    assert_same(transformer, local)
    assert transformer.transform(none_in_places).compute().shape == (local.n_samples_seen_, 4)
    frame = dd.from_pandas(pd.DataFrame(X, columns=list("abcd")), npartitions=4)
    frame = frame[frame["a"] > 1002.0]
    rows = X[X[:, 0] > 1002.0]
    transformer.fit(frame)
    assert_same(transformer, BatchNormTransformer().fit(rows))
    assert transformer.transform(frame).compute().shape == rows.shape


def test_more_collections(client):
    X = rows_of()
    transformer = DaskBatchNormTransformer()
    for part in np.array_split(X, 3):
        transformer.partial_fit(da.from_array(part, chunks=(50, 4)))
    assert_same(transformer, BatchNormTransformer().fit(X))
    other = DaskBatchNormTransformer().fit(da.from_array(X))
    transformer.merge(other)
    assert transformer.n_samples_seen_ == 2 * len(X)
    transformer.fit(da.from_array(X))
    assert transformer.n_samples_seen_ == len(X)


def test_the_local_transformer(client):
    X = rows_of()
    transformer = DaskBatchNormTransformer(epsilon=1e-3).fit(da.from_array(X, chunks=(100, 4)))
    local = transformer.to_local()
    assert type(local) is BatchNormTransformer
    assert local.epsilon == 1e-3
    assert_same(local, transformer, rtol=0.0)
    np.testing.assert_allclose(
        local.transform(X), BatchNormTransformer(epsilon=1e-3).fit_transform(X), rtol=1e-9
    )
    assert not hasattr(local, "client")
    assert not hasattr(DaskBatchNormTransformer().to_local(), "running_mean_")


def test_without_a_client():
    X = rows_of()
    transformer = DaskBatchNormTransformer().fit(da.from_array(X, chunks=(100, 4)))
    assert_same(transformer, BatchNormTransformer().fit(X))


def test_the_client_of_the_parameter(cluster):
    X = rows_of()
    with distributed.Client(cluster, set_as_default=False) as client:
        transformer = DaskBatchNormTransformer(client=client)
        before = len(client.nthreads())
        transformer.fit(da.from_array(X, chunks=(100, 4)))
        assert before == 3
        assert_same(transformer, BatchNormTransformer().fit(X))
        copied = clone(transformer)
        assert copied.client is client
        assert not hasattr(copied, "running_mean_")
        loaded = pickle.loads(pickle.dumps(transformer))
        assert loaded.client is None
        assert_same(loaded, transformer, rtol=0.0)
        assert "client" in transformer.get_params()
        assert transformer.client is client


def test_a_pipeline_of_transformers(client):
    X = rows_of()
    pipeline = make_pipeline(DaskBatchNormTransformer(epsilon=0.0), DaskBatchNormTransformer())
    result = pipeline.fit(da.from_array(X, chunks=(100, 4))).transform(da.from_array(X))
    np.testing.assert_allclose(result.compute().mean(axis=0), 0.0, atol=1e-9)


def test_an_array_larger_than_the_memory_of_a_worker():
    # 800 MB in blocks of 8 MB; a worker is ended at 95 % of its memory.
    with local_cluster(1, memory_limit="500MB") as cluster, distributed.Client(cluster):
        X = da.random.default_rng(0).normal(3.0, 2.0, size=(2_000_000, 50), chunks=(20_000, 50))
        assert X.nbytes == 800_000_000
        transformer = DaskBatchNormTransformer().fit(X)
        np.testing.assert_allclose(transformer.running_mean_, 3.0, atol=0.01)
        np.testing.assert_allclose(transformer.running_var_, 4.0, atol=0.03)
        assert transformer.n_samples_seen_ == 2_000_000
        spread = transformer.transform(X).std(axis=0).compute()
        np.testing.assert_allclose(spread, 1.0, atol=1e-4)


class TestErrors:
    def test_exponential_averages(self, client):
        with pytest.raises(ValueError, match="depend on the order of the mini-batches"):
            DaskBatchNormTransformer(momentum=0.1).fit(da.from_array(rows_of()))

    def test_wrong_parameters(self, client):
        with pytest.raises(ValueError, match="epsilon"):
            DaskBatchNormTransformer(epsilon=-1.0).fit(da.from_array(rows_of()))
        with pytest.raises(ValueError, match="client"):
            DaskBatchNormTransformer(client="tcp://host").fit(da.from_array(rows_of()))

    def test_arrays_of_numpy(self):
        with pytest.raises(TypeError, match="X must be a dask array"):
            DaskBatchNormTransformer().fit(rows_of())

    def test_not_fitted(self):
        with pytest.raises(NotFittedError):
            DaskBatchNormTransformer().transform(da.from_array(rows_of()))

    def test_errors_of_a_block_leave_the_transformer(self, client):
        X = rows_of()
        transformer = DaskBatchNormTransformer().fit(da.from_array(X, chunks=(100, 4)))
        before = transformer.running_mean_
        wrong = X.copy()
        wrong[500, 2] = np.inf
        with pytest.raises(ValueError, match="Input X contains infinity"):
            transformer.fit(da.from_array(wrong, chunks=(100, 4)))
        with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
            transformer.fit(da.from_array(X), sample_weight=da.from_array(-np.ones(997)))
        with pytest.raises(ValueError, match="features"):
            transformer.partial_fit(da.from_array(X[:, :3]))
        assert transformer.running_mean_ is before

    @pytest.mark.parametrize("weighted", [False, True])
    def test_no_rows(self, client, weighted):
        X = da.from_array(rows_of())
        X = X if weighted else X[X[:, 0] > 1e9]
        with pytest.raises(ValueError, match=r"0 sample\(s\)"):
            DaskBatchNormTransformer().fit(X, sample_weight=da.zeros(997) if weighted else None)

    def test_methods_of_the_local_transformer_alone(self):
        with pytest.raises(AttributeError, match="partial_fit_transform") as error:
            DaskBatchNormTransformer().partial_fit_transform  # noqa: B018
        assert "use to_local()" in str(error.value.__cause__)
        assert not hasattr(DaskBatchNormTransformer(), "set_callbacks")
        assert not hasattr(DaskBatchNormTransformer(), "set_output")
