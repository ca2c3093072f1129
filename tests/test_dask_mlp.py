"""Perceptrons that the workers of a Dask cluster fit together, against fits of one process."""

import os
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from communicators import merged_order
from processes import environment
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")

from local_cluster import local_cluster, workers_of  # noqa: E402

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor  # noqa: E402
from skbn.dask import (  # noqa: E402
    DaskMLPWithBatchNormClassifier,
    DaskMLPWithBatchNormRegressor,
)

KINDS = {
    "classes": (DaskMLPWithBatchNormClassifier, MLPWithBatchNormClassifier),
    "numbers": (DaskMLPWithBatchNormRegressor, MLPWithBatchNormRegressor),
}


def rows_of(kind, n=600):
    if kind == "numbers":
        X, y = make_regression(n, 6, noise=5.0, random_state=0)
    else:
        X, y = make_classification(n, 6, n_informative=4, n_classes=3, random_state=0)
        y = np.array(["a", "b", "c"])[y]
    return 10.0 + X, y, np.random.default_rng(1).integers(1, 4, n).astype(float)


def options(**parameters):
    return {"hidden_layer_sizes": (16, 8), "n_epochs": 8, "random_state": 0} | parameters


def on_workers(client, arrays, counts):
    """Collections whose blocks have so many rows, each on a worker of its own."""
    workers = workers_of(client)
    edges = np.cumsum([0, *counts])
    collections = []
    for array in arrays:
        if array is None:
            collections.append(None)
            continue
        blocks = [
            da.from_delayed(
                client.scatter(array[start:stop], workers=[worker], direct=True, hash=False),
                array[start:stop].shape,
                dtype=array.dtype,
            )
            for start, stop, worker in zip(edges[:-1], edges[1:], workers, strict=False)
        ]
        collections.append(da.concatenate(blocks))
    return collections


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_norm", ["before", "after"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("counts", [[600], [410, 190], [201, 150, 249]], ids=str)
def test_workers_fit_the_network_of_one_process(client, kind, batch_norm, weighted, counts):
    X, y, weight = rows_of(kind)
    weight = weight if weighted else None
    parameters = options(
        batch_norm=batch_norm,
        batch_size=64,
        shuffle=False,
        early_stopping=False,
        dtype="float64",
        normalize_input="smooth_clip",
    )
    on_cluster, local = KINDS[kind]
    starts = np.cumsum([0, *counts[:-1]])
    order = np.array([starts[process] + row for process, row in merged_order(counts)])
    single = local(**parameters).fit(X[order], y[order], None if weight is None else weight[order])
    collections = on_workers(client, (X, y, weight), counts)
    model = on_cluster(**parameters).fit(*collections)
    np.testing.assert_allclose(model._parameters, single._parameters, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(model._statistics, single._statistics, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(model.loss_curve_, single.loss_curve_, rtol=1e-8)
    predictions = model.predict(collections[0])
    assert isinstance(predictions, da.Array)
    expected = single.predict(X)
    if kind == "numbers":
        np.testing.assert_allclose(predictions.compute(), expected, rtol=1e-6, atol=1e-6)
    else:
        np.testing.assert_array_equal(predictions.compute(), expected)


class TestFit:
    def fit(self, kind, *collections, **parameters):
        model = KINDS[kind][0](**options(**parameters))
        assert model.fit(*collections) is model
        return model

    def arrays(self, kind="classes", chunks=150):
        X, y, weight = rows_of(kind)
        return da.from_array(X, chunks=(chunks, 6)), da.from_array(y, chunks=chunks), weight

    @pytest.mark.parametrize("kind", KINDS)
    def test_defaults(self, client, kind):
        X, y, _ = rows_of(kind, 1200)
        collections = da.from_array(X, chunks=(300, 4)), da.from_array(y, chunks=500)
        model = KINDS[kind][0](random_state=0).fit(*collections)
        assert model.score(*collections) > 0.9
        assert model._input_kind == "smooth_clip"
        assert len(model.validation_epochs_) == 8
        local = model.to_local()
        assert type(local) is KINDS[kind][1]
        assert local.score(X, y) == pytest.approx(model.score(*collections))
        assert model.score(*collections, da.ones(1200)) == pytest.approx(local.score(X, y))

    def test_probabilities(self, client):
        X, y, _ = self.arrays()
        model = self.fit("classes", X, y)
        local = model.to_local()
        for name in ("predict_proba", "predict_log_proba"):
            for given in (X, X.astype(np.float32)):
                result = getattr(model, name)(given)
                assert isinstance(result, da.Array)
                assert result.shape == (600, 3)
                expected = getattr(local, name)(given.compute())
                assert result.dtype == expected.dtype == result.compute().dtype
                np.testing.assert_allclose(result.compute(), expected, rtol=1e-5)

    def test_data_frames(self, client):
        X, y, weight = rows_of("classes")
        frame = pd.DataFrame(X, columns=list("abcdef"), index=np.arange(600) + 7)
        frame["y"], frame["weight"] = y, weight
        collection = dd.from_pandas(frame, npartitions=4)
        X = collection[list("abcdef")]
        model = self.fit("classes", X, collection["y"], collection["weight"], n_epochs=20)
        np.testing.assert_array_equal(model.feature_names_in_, list("abcdef"))
        np.testing.assert_array_equal(model.classes_, ["a", "b", "c"])
        predictions = model.predict(X)
        assert predictions.dtype == np.dtype("U1")
        local = model.to_local()
        np.testing.assert_array_equal(predictions.compute(), local.predict(frame[list("abcdef")]))
        assert model.predict_proba(X).compute().shape == (600, 3)
        assert model.score(X, collection["y"]) == local.score(frame[list("abcdef")], frame["y"])
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(X.rename(columns={"a": "z"})).compute()

    def test_wrong_chunks_along_features(self, client):
        X, y, _ = rows_of("classes")
        model = self.fit("classes", da.from_array(X, chunks=(200, 2)), da.from_array(y))
        assert model.n_features_in_ == 6
        assert model.predict(da.from_array(X, chunks=(200, 5))).compute().shape == (600,)

    def test_empty_blocks_and_workers_without_rows(self, client):
        X, y, _ = self.arrays()
        kept = X[:, 0] > 10.0
        X, y = (
            da.concatenate([rows[:0], rows[kept]], allow_unknown_chunksizes=True) for rows in (X, y)
        )
        model = self.fit("classes", X, y, n_epochs=20)
        assert model.t_ > 0
        assert model.predict(X).compute().shape == y.compute().shape
        assert model.score(X, y) > 0.8

    def test_a_class_that_is_missing_on_workers(self, client):
        X, y, _ = rows_of("classes")
        order = np.argsort(y, kind="stable")
        counts = np.unique(y, return_counts=True)[1]
        collections = on_workers(client, (X[order], y[order]), counts)
        model = self.fit("classes", *collections, n_epochs=20)
        np.testing.assert_array_equal(model.classes_, ["a", "b", "c"])
        assert model.score(*collections) > 0.85

    def test_rows_of_no_weight_take_no_part(self, client):
        X, y, weight = rows_of("classes")
        weight[200:400] = 0.0
        y[200:400] = "d"
        collections = on_workers(client, (X, y, weight), [200, 200, 200])
        model = self.fit("classes", *collections)
        np.testing.assert_array_equal(model.classes_, ["a", "b", "c"])

    def test_several_outputs(self, client):
        X, y = make_regression(600, 6, n_targets=2, random_state=0)
        collections = da.from_array(X, chunks=(200, 6)), da.from_array(y, chunks=(300, 1))
        model = self.fit("numbers", *collections, n_epochs=30)
        assert model.predict(collections[0]).shape == (600, 2)
        assert model.score(*collections) > 0.9

    def test_several_labels(self, client):
        X, _, _ = rows_of("classes")
        y = (X[:, :3] > 10.0).astype(int)
        collections = da.from_array(X, chunks=(200, 6)), da.from_array(y, chunks=(200, 3))
        model = self.fit("classes", *collections, n_epochs=30)
        assert model.predict(collections[0]).compute().shape == (600, 3)
        assert model.score(*collections) > 0.6

    def test_sparse_rows(self, client):
        sparse = pytest.importorskip("scipy.sparse")
        X, y, _ = rows_of("classes")
        X = np.where(np.abs(X - 10.0) > 0.5, X - 10.0, 0.0)
        blocks = da.from_array(X, chunks=(200, 6)).map_blocks(sparse.csr_array)
        model = self.fit("classes", blocks, da.from_array(y), n_epochs=20)
        assert model._input_kind == "smooth_clip"
        np.testing.assert_array_equal(
            model.predict(blocks).compute(), model.to_local().predict(sparse.csr_array(X))
        )

    def test_a_warm_start(self, client):
        X, y, _ = self.arrays()
        model = self.fit("classes", X, y, warm_start=True)
        first = list(model.loss_curve_)
        model.fit(X, y)
        assert model.loss_curve_[:8] == first
        assert len(model.loss_curve_) == 16
        assert model.loss_curve_[8] < first[0]
        model.set_params(warm_start=False).fit(X, y)
        assert len(model.loss_curve_) == 8

    def test_the_client_of_the_parameter(self, cluster):
        X, y, _ = self.arrays()
        with distributed.Client(cluster, set_as_default=False) as client:
            model = self.fit("classes", X, y, client=client)
            assert clone(model).client is client
            assert model.score(X, y) > 0.7
            loaded = pickle.loads(pickle.dumps(model))
        assert loaded.client is None
        np.testing.assert_array_equal(loaded.coefs_[0], model.coefs_[0])
        assert model.get_params()["client"] is client

    def test_two_fits_at_the_same_time(self, cluster):
        X, y, _ = self.arrays()

        def work(seed):
            with distributed.Client(cluster, set_as_default=False) as client:
                return self.fit("classes", X, y, random_state=seed, client=client).score(X, y)

        with ThreadPoolExecutor(3) as pool:
            assert min(pool.map(work, range(3), timeout=120)) > 0.7

    def test_a_worker_that_dies(self):
        X, y, _ = rows_of("classes", 4000)
        with local_cluster(2) as cluster, distributed.Client(cluster) as client:
            collections = on_workers(client, (X, y), [2000, 2000])
            self.fit("classes", *collections, n_epochs=1)  # the workers import everything
            worker = workers_of(client)[0]
            pid = client.run(os.getpid)[worker]
            timer = threading.Timer(1.0, os.kill, (pid, signal.SIGKILL))
            timer.start()
            model = KINDS["classes"][0](**options(n_epochs=2000))
            with pytest.raises(RuntimeError, match=f"Worker {worker} left the cluster"):
                model.fit(*collections)
            assert not hasattr(model, "coefs_")


class TestErrors:
    def model(self, **parameters):
        return DaskMLPWithBatchNormClassifier(**options(**parameters))

    def collections(self):
        X, y, _ = rows_of("classes")
        return da.from_array(X, chunks=(200, 6)), da.from_array(y, chunks=200)

    def test_rows_that_are_not_finite(self, client):
        X, y, _ = rows_of("classes")
        X[-1, 2] = np.nan
        model = self.model().fit(*self.collections())
        before = model._parameters
        with pytest.raises(ValueError, match="Input X contains NaN"):
            model.fit(da.from_array(X, chunks=(200, 6)), da.from_array(y, chunks=200))
        assert model._parameters is before

    def test_continuous_targets(self, client):
        X, _ = self.collections()
        with pytest.raises(ValueError, match="there is MLPWithBatchNormRegressor"):
            self.model().fit(X, X[:, 0])

    def test_other_numbers_of_rows(self, client):
        X, y = self.collections()
        with pytest.raises(ValueError, match="y has 599 rows, but X has 600"):
            self.model().fit(X, y[1:])
        # Nobody has counted the rows of a DataFrame, so a worker finds the difference.
        frame = dd.from_pandas(pd.DataFrame(X.compute()), npartitions=3)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            self.model().fit(frame, y[1:].rechunk({0: (200, 200, 199)}))

    def test_no_rows(self, client):
        X, y = self.collections()
        none = X[:, 0] > 1e9
        with pytest.raises(ValueError, match=r"0 sample\(s\)"):
            self.model().fit(X[none], y[none])

    def test_a_block_that_cannot_be_computed(self, client):
        X, y = self.collections()
        wrong = X.map_blocks(np.reshape, (7, -1), dtype=float)
        with pytest.raises(ValueError, match="reshape"):
            self.model().fit(wrong, y)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"solver": "lbfgs"}, "solver='lbfgs' is not supported"),
            ({"normalize_input": "robust"}, "normalize_input='robust' is not supported"),
            ({"scoring": "roc_auc"}, "scoring='roc_auc' is not supported"),
            ({"alpha": -1.0}, "alpha"),
            ({"client": "tcp://host"}, "client"),
        ],
    )
    def test_parameters(self, parameters, message):
        with pytest.raises(ValueError, match=message):
            self.model(**parameters).fit(*self.collections())

    def test_no_client(self):
        with pytest.raises(ValueError, match="there is no current client"):
            self.model().fit(*self.collections())

    def test_arrays_of_numpy(self, client):
        X, y, _ = rows_of("classes")
        with pytest.raises(TypeError, match="X must be a dask array"):
            self.model().fit(X, y)
        model = self.model().fit(*self.collections())
        with pytest.raises(TypeError, match="or use the local estimator"):
            model.predict(X)

    def test_not_fitted(self):
        with pytest.raises(NotFittedError):
            self.model().predict(self.collections()[0])

    @pytest.mark.parametrize("name", ["partial_fit", "set_callbacks"])
    def test_methods_of_the_local_estimator_alone(self, name):
        assert not hasattr(self.model(), name)


class TestManners:
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_parameters_of_the_local_estimator(self, kind):
        on_cluster, local = KINDS[kind]
        assert on_cluster().get_params() == local().get_params() | {"client": None}
        if kind == "classes":
            assert on_cluster((5,), "tanh").activation == "tanh"
        else:
            assert on_cluster("poisson").loss == "poisson"
        with pytest.raises(TypeError):
            on_cluster(units=3)

    def test_the_representation(self):
        model = DaskMLPWithBatchNormClassifier(alpha=0.5)
        assert repr(model) == "DaskMLPWithBatchNormClassifier(alpha=0.5)"
        assert "DaskMLPWithBatchNormClassifier" in model._repr_html_()

    def test_a_search_over_local_estimators_takes_its_parameters(self):
        model = DaskMLPWithBatchNormClassifier(**options(n_epochs=3))
        X, y, _ = rows_of("classes")
        search = GridSearchCV(model.to_local(), {"learning_rate_init": [0.01, 0.1]}, cv=2)
        search.fit(X, y)
        model.set_params(**search.best_params_)
        assert model.learning_rate_init in (0.01, 0.1)


def test_import_errors_name_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("skbn.dask")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r'pip install "skbn\[dask\]"'):
        __import__("skbn.dask")


def test_skbn_itself_does_not_import_dask():
    code = "import sys, skbn; sys.exit(bool({'dask', 'distributed'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, env=environment())
