"""Tasks that run together on the workers of a cluster, and what ends them.

No test measures speed. A time is a generous bound on "does not hang".
"""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("distributed")

import exchanges
from distributed import Client, Event, Future, MultiLock, Status
from distributed.protocol.pickle import dumps
from local_cluster import are_free, eventually, local_cluster, workers_of
from processes import environment

from skbn.dask import gang, locks
from skbn.dask.gang import run_on_workers, running_workers
from skbn.dask.locks import locked

# Seconds.
HANGS = 30


def fit_of(client, n_rounds=5):
    """A short fit on all workers, which needs all to be free. True if the result is right."""
    workers = workers_of(client)
    size = len(workers)
    result = run_on_workers(client, exchanges.rounds, dict.fromkeys(workers, (n_rounds,)))
    return result == n_rounds * size * (size + 1) / 2


def without_arguments(client):
    return dict.fromkeys(workers_of(client), ())


def requests(client):
    """Who holds the lock or waits for it."""
    return client.run_on_scheduler(
        lambda dask_scheduler: set(dask_scheduler.extensions["multi_locks"].requests)
    )


def n_tasks(client):
    return client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))


def plugins(client):
    return client.run_on_scheduler(
        lambda dask_scheduler: [name for name in dask_scheduler.plugins if "skbn" in name]
    )


def test_the_order_of_arguments_is_the_order_of_ranks(client):
    workers = workers_of(client)[::-1]
    futures = [client.scatter(np.full(4, i), workers=[w]) for i, w in enumerate(workers)]
    arguments = {w: (future, 10.0) for w, future in zip(workers, futures, strict=True)}
    assert run_on_workers(client, exchanges.summed, arguments) == 4 * (0 + 1 + 2) + 30
    assert run_on_workers(client, exchanges.rank_and_worker, dict.fromkeys(workers, ())) == (
        0,
        workers[0],
    )


def test_a_part_of_the_workers(client):
    workers = workers_of(client)[1:]
    assert run_on_workers(client, exchanges.rounds, dict.fromkeys(workers, (3,))) == 9.0


def test_nothing_is_left(client):
    gc.collect()  # frames of errors in earlier tests may refer to futures
    before = n_tasks(client)
    assert fit_of(client)
    assert eventually(lambda: not requests(client))
    assert eventually(lambda: plugins(client) == [])
    assert eventually(lambda: n_tasks(client) <= before)


def test_a_slow_worker_is_waited_for(client):
    arguments = dict.fromkeys(workers_of(client), (2, 0.6))
    assert run_on_workers(client, exchanges.rounds, arguments) == 12.0


@pytest.mark.parametrize("rank", [0, 2])
def test_an_exception_comes_from_the_task_that_raised(client, rank):
    workers = workers_of(client)
    with pytest.raises(ValueError, match=f"rank {rank} does not like its rows") as caught:
        run_on_workers(client, exchanges.failing, dict.fromkeys(workers, (rank,)))
    assert caught.value.__notes__ == [f"Raised by the task on worker {workers[rank]}."]
    assert are_free(client, workers)
    assert fit_of(client)


def test_running_workers(client):
    """A paused worker takes up no task, so a fit would wait for it."""
    workers = workers_of(client)

    def become(status, dask_worker):
        dask_worker.status = status

    assert running_workers(client) == workers
    try:
        client.run(become, Status.paused, workers=workers[1:2])
        assert eventually(lambda: running_workers(client) == [workers[0], workers[2]])
    finally:
        client.run(become, Status.running, workers=workers[1:2])
    assert eventually(lambda: running_workers(client) == workers)


def test_no_workers(client):
    with pytest.raises(ValueError, match="one worker at least"):
        run_on_workers(client, exchanges.rounds, {})


def test_an_asynchronous_client(cluster):
    async def fit():
        async with Client(cluster.scheduler_address, asynchronous=True) as client:
            run_on_workers(client, exchanges.rounds, {"tcp://a:1": ()})

    with pytest.raises(TypeError, match="client is asynchronous"):
        asyncio.run(fit())


def test_fits_at_the_same_time(client, cluster):
    """Each fit has its rank 0 on another worker, so without a lock each would hold a thread."""
    workers = workers_of(client)

    def fits(connected, shift):
        order = workers[shift:] + workers[:shift]
        return [
            run_on_workers(connected, exchanges.rounds, dict.fromkeys(order, (5, 0.01)))
            for _ in range(3)
        ]

    with Client(cluster, set_as_default=False) as other, ThreadPoolExecutor(3) as pool:
        running = [pool.submit(fits, c, i) for i, c in enumerate([client, client, other])]
        assert [future.result(timeout=HANGS) for future in running] == [[30.0] * 3] * 3


def test_waits_for_the_lock_of_xgboost(client):
    """XGBoost locks the addresses of its workers."""
    workers = workers_of(client)
    lock = MultiLock(workers[1:2], client=client)
    with ThreadPoolExecutor(1) as pool:
        lock.acquire()
        fit = pool.submit(fit_of, client)
        assert eventually(lambda: len(requests(client)) == 2)
        time.sleep(0.3)
        assert not fit.done()
        lock.release()
        assert fit.result(timeout=HANGS)


def test_an_error_under_the_lock_releases_it(client):
    with pytest.raises(KeyError, match="x"), locked(client, workers_of(client)):
        raise KeyError("x")
    assert eventually(lambda: not requests(client))
    assert eventually(lambda: plugins(client) == [])


def test_data_that_were_canceled_before(client):
    workers = workers_of(client)
    arguments = {worker: (client.scatter(1.0, workers=[worker]),) for worker in workers}
    client.cancel([arguments[workers[1]][0]])
    with pytest.raises((RuntimeError, CancelledError), match="cancel"):
        run_on_workers(client, exchanges.summed, arguments)
    assert are_free(client, workers)
    assert fit_of(client)


def test_data_that_are_canceled_during_the_fit(client):
    workers = workers_of(client)
    ready = Event("ready", client=client)
    ready.clear()
    slow = client.submit(exchanges.when, "ready", workers=workers[:1], pure=False)
    arguments = {workers[0]: (slow,), workers[1]: (1.0,), workers[2]: (1.0,)}
    with ThreadPoolExecutor(1) as pool:
        fit = pool.submit(run_on_workers, client, exchanges.summed, arguments)
        assert eventually(lambda: len(client.processing()[workers[1]]) == 1)
        client.cancel([slow])
        with pytest.raises(RuntimeError, match="canceled"):
            fit.result(timeout=HANGS)
    ready.set()
    assert are_free(client, workers)


def test_tasks_that_another_client_cancels(client, cluster):
    """Dask's dashboard and other clients can do this by the key of a task."""
    workers = workers_of(client)
    running = Event("running", client=client)
    running.clear()
    with ThreadPoolExecutor(1) as pool:
        fit = pool.submit(
            run_on_workers, client, exchanges.endless, dict.fromkeys(workers, ("running",))
        )
        assert running.wait(timeout=HANGS)
        (key,) = client.processing()[workers[1]]
        with Client(cluster, set_as_default=False) as other:
            other.cancel([Future(key, other)], force=True)
            with pytest.raises(RuntimeError, match="canceled"):
                fit.result(timeout=HANGS)
    assert are_free(client, workers)


CLIENT = """
import sys
import exchanges
from distributed import Client
from local_cluster import workers_of
from skbn.dask.gang import run_on_workers

client = Client(sys.argv[1])
workers = workers_of(client)
try:
    run_on_workers(client, exchanges.endless, {worker: (sys.argv[2],) for worker in workers})
except KeyboardInterrupt:
    result = run_on_workers(client, exchanges.rounds, {worker: (2,) for worker in workers})
    print("interrupted", result, flush=True)
client.close()
"""


@pytest.fixture
def other_client(cluster, client):
    """A process with a client of its own, whose endless fit sets the event "running"."""
    running = Event("running", client=client)
    running.clear()
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENT, cluster.scheduler_address, "running"],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process, running
        process.kill()


def test_an_interrupt_ends_the_fit(client, other_client):
    process, running = other_client
    assert running.wait(timeout=HANGS)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=HANGS)
    assert out == "interrupted 12.0\n"
    assert process.returncode == 0
    assert are_free(client, workers_of(client))
    assert eventually(lambda: not requests(client))
    assert fit_of(client)


def test_an_interrupt_ends_the_wait_for_the_lock(client, other_client):
    process, running = other_client
    with locked(client, workers_of(client)):
        assert eventually(lambda: len(requests(client)) == 2)
        waiting = requests(client)
        process.send_signal(signal.SIGINT)
        # The process leaves the queue, and waits again with its second fit.
        assert eventually(lambda: len(requests(client) | waiting) == 3)
        assert len(requests(client)) == 2
    out, _ = process.communicate(timeout=HANGS)
    assert out == "interrupted 12.0\n"
    assert not running.is_set()
    assert eventually(lambda: not requests(client))


def test_a_client_that_is_killed_frees_the_workers(client, other_client):
    process, running = other_client
    assert running.wait(timeout=HANGS)
    process.kill()
    assert are_free(client, workers_of(client))
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(fit_of, client).result(timeout=HANGS)
    assert eventually(lambda: plugins(client) == [])


def test_a_client_that_is_killed_leaves_the_queue_for_the_lock(client, other_client):
    process, running = other_client
    with locked(client, workers_of(client)):
        assert eventually(lambda: len(requests(client)) == 2)
        process.kill()
        assert eventually(lambda: len(requests(client)) == 1)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(fit_of, client).result(timeout=HANGS)
    assert not running.is_set()


def test_a_scheduler_does_not_need_skbn():
    """The plugin that frees a lock is code, not a name to import."""
    code = "import sys, pickle; sys.modules['skbn'] = None; pickle.load(sys.stdin.buffer)"
    plugin = dumps(locks._releasing("client", "lock", "name"))
    subprocess.run([sys.executable, "-c", code], input=plugin, check=True, env=environment())


@pytest.fixture(scope="module")
def fragile_cluster():
    """A cluster whose workers the tests kill. Their nannies start new ones."""
    with local_cluster(2) as cluster:
        yield cluster


@pytest.fixture
def fragile(fragile_cluster):
    with Client(fragile_cluster) as client:
        client.wait_for_workers(2, timeout=HANGS)
        yield client
        client.wait_for_workers(2, timeout=HANGS)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_dies_is_named(fragile, rank):
    workers = workers_of(fragile)
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=f"orker {workers[rank]} ") as caught:
        run_on_workers(fragile, exchanges.dying, dict.fromkeys(workers, (rank,)))
    assert time.monotonic() - start < HANGS
    assert workers[1 - rank] not in str(caught.value)
    assert are_free(fragile, [workers[1 - rank]])
    fragile.wait_for_workers(2, timeout=HANGS)
    assert fit_of(fragile)


def test_the_only_worker_dies(fragile):
    worker = workers_of(fragile)[0]
    with pytest.raises(RuntimeError, match=f"Worker {worker} left the cluster"):
        run_on_workers(fragile, exchanges.dying, {worker: (0,)})
    assert eventually(lambda: not requests(fragile))


def test_a_worker_dies_that_does_not_exchange(fragile):
    """The others are not waiting for this worker, and nothing tells them that it died."""
    workers = workers_of(fragile)
    arguments = {workers[0]: (0.0,), workers[1]: (0.5,)}
    with pytest.raises(RuntimeError, match=f"Worker {workers[1]} left the cluster"):
        run_on_workers(fragile, exchanges.dying_alone, arguments)


def test_a_worker_that_left_before_the_fit(fragile):
    workers = workers_of(fragile)
    gone = "tcp://127.0.0.1:1"
    with pytest.raises(RuntimeError, match=f"Worker {gone} left the cluster"):
        run_on_workers(fragile, exchanges.rounds, {workers[0]: (1,), gone: (1,)})
    assert fit_of(fragile)


def test_a_worker_dies_while_its_task_waits_for_data(fragile):
    workers = workers_of(fragile)
    pids = fragile.run(os.getpid)
    slow = fragile.submit(exchanges.when, "never", workers=workers[1:], pure=False)
    arguments = {workers[0]: (1.0,), workers[1]: (slow,)}
    with ThreadPoolExecutor(1) as pool:
        fit = pool.submit(run_on_workers, fragile, exchanges.summed, arguments)
        assert eventually(lambda: len(fragile.processing()[workers[0]]) == 1)
        os.kill(pids[workers[1]], signal.SIGKILL)
        with pytest.raises(RuntimeError, match=f"Worker {workers[1]} left the cluster"):
            fit.result(timeout=HANGS)
    assert are_free(fragile, workers[:1])


def test_a_new_process_under_the_address_of_a_worker_that_died(fragile, monkeypatch):
    """Nannies with a fixed port do this. The new process knows nothing of the fit."""
    known = gang._directories

    def of_a_dead_process(client, workers):
        return known(client, workers) | {workers[1]: "elsewhere"}

    monkeypatch.setattr(gang, "_directories", of_a_dead_process)
    workers = workers_of(fragile)
    with pytest.raises(RuntimeError, match=f"Worker {workers[1]} left the cluster"):
        run_on_workers(fragile, exchanges.rounds, dict.fromkeys(workers, (1,)))
    assert are_free(fragile, workers)


def test_workers_are_known_at_any_moment(client, monkeypatch):
    """The client forgets the workers every two seconds, in `Client.scheduler_info`."""
    monkeypatch.setattr(type(client), "scheduler_info", lambda *_, **__: {"workers": {}})
    assert gang.running_workers(client) == workers_of(client)
    assert fit_of(client)
