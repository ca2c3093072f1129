"""Fits on odd clusters: inside a task, without workers at first, with workers that die or leave."""

import asyncio
import gc
import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

from dask_tasks import fitted_in_a_task, slow_rows  # noqa: E402
from local_cluster import eventually, local_cluster, workers_of  # noqa: E402

from skbn import BatchNormTransformer, MLPWithBatchNormClassifier  # noqa: E402
from skbn.dask import (  # noqa: E402
    DaskBatchNormTransformer,
    DaskMLPEnsembleWithBatchNormClassifier,
    DaskMLPWithBatchNormClassifier,
)


def table(n=300):
    X = np.random.default_rng(0).normal(5.0, 2.0, (n, 4))
    return X, (X[:, 0] > 5.0).astype(int)


def collections(chunks=50):
    X, y = table()
    return da.from_array(X, chunks=(chunks, 4)), da.from_array(y, chunks=chunks)


def models(n_epochs=2):
    member = MLPWithBatchNormClassifier((4,), n_epochs=n_epochs)
    return [
        DaskMLPWithBatchNormClassifier((4,), n_epochs=n_epochs),
        DaskMLPEnsembleWithBatchNormClassifier(member, periodic_embeddings=(None, 1.0)),
    ]


def test_a_fit_inside_a_task(client):
    # The rows are on all workers, so the fit needs the thread of the task, too.
    held = [
        da.concatenate(
            [
                da.from_delayed(
                    client.scatter(part, workers=[worker], direct=True, hash=False),
                    part.shape,
                    dtype=part.dtype,
                )
                for part, worker in zip(np.split(array, 3), workers_of(client), strict=True)
            ]
        )
        for array in table()
    ]
    # A list of collections would be computed for the task.
    futures = [client.submit(fitted_in_a_task, tuple_of(held), pure=False) for _ in range(2)]
    assert [future.result(timeout=60) for future in futures] == [2, 2]


class tuple_of:
    """Collections that the client does not look into."""

    def __init__(self, collections):
        self.collections = collections

    def __iter__(self):
        return iter(self.collections)


def test_no_task_stays_on_the_cluster():
    def tasks_of(dask_scheduler):
        return sorted(map(str, dask_scheduler.tasks))

    # Without the garbage collector, errors that Dask has caught keep frames with futures alive.
    gc.collect()
    gc.disable()
    try:
        with local_cluster(2) as cluster, distributed.Client(cluster) as client:
            for model in [*models(n_epochs=300), DaskBatchNormTransformer()]:
                model.fit(*collections())
                deadline = time.monotonic() + 20
                while (tasks := client.run_on_scheduler(tasks_of)) and time.monotonic() < deadline:
                    time.sleep(0.1)
                assert tasks == []
    finally:
        gc.enable()


def test_an_asynchronous_client(cluster):
    async def fit():
        async with distributed.Client(cluster.scheduler_address, asynchronous=True) as client:
            for model in [*models(), DaskBatchNormTransformer()]:
                for given in (client, None):
                    model.set_params(client=given)
                    with pytest.raises(TypeError, match="the client is asynchronous"):
                        model.fit(*collections())
            assert await client.submit(pow, 2, 3) == 8

    asyncio.run(fit())


@pytest.mark.parametrize("n", range(3))
def test_workers_that_come_later(n):
    model = [*models(), DaskBatchNormTransformer()][n]
    with local_cluster(0) as cluster, distributed.Client(cluster):
        timer = threading.Timer(1.0, cluster.scale, (1,))
        timer.start()
        if isinstance(model, DaskBatchNormTransformer):
            model.fit(*collections())  # as all of Dask's own computations wait
        else:
            with pytest.warns(UserWarning, match="has no workers") as warned:
                model.fit(*collections())
            assert [warning.filename for warning in warned] == [__file__]
        assert model.n_features_in_ == 4
        timer.join()


def test_the_last_worker_leaves_while_it_computes_blocks():
    """Another worker comes, and the fit goes on. Until then there is no worker."""
    X, y = table()

    def leave_soon(dask_worker):
        dask_worker.loop.call_later(1.0, dask_worker.close, nanny=True)

    with local_cluster(1) as cluster, distributed.Client(cluster) as client:
        blocks = da.from_array(X, chunks=(50, 4)).map_blocks(slow_rows, 0.6, dtype=X.dtype)
        client.run(leave_soon)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")

            def scale_after_the_warning():
                eventually(lambda: warned)
                cluster.scale(2)

            thread = threading.Thread(target=scale_after_the_warning)
            thread.start()
            model = models()[0].fit(blocks, da.from_array(y, chunks=50))
        thread.join()
        assert "has no workers" in str(warned[0].message)
        assert model.n_features_in_ == 4


def test_the_transformer_goes_on_when_a_worker_dies():
    X, _ = table(2400)
    with local_cluster(2) as cluster, distributed.Client(cluster) as client:
        blocks = da.from_array(X, chunks=(20, 4)).map_blocks(slow_rows, 0.04, dtype=X.dtype)
        pid = client.run(os.getpid)[workers_of(client)[0]]
        timer = threading.Timer(1.0, os.kill, (pid, signal.SIGKILL))
        timer.start()
        transformer = DaskBatchNormTransformer().fit(blocks)
        timer.join()
        local = BatchNormTransformer().fit(X)
        assert transformer.n_samples_seen_ == 2400
        assert transformer.n_batches_seen_ == 120
        np.testing.assert_allclose(transformer.running_mean_, local.running_mean_, rtol=1e-12)
        np.testing.assert_allclose(transformer.running_var_, local.running_var_, rtol=1e-12)
