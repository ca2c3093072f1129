"""Sums over tasks: over sockets in threads, and between the workers of a Dask cluster."""

import gc
import shutil
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

pytest.importorskip("distributed")

import exchanges
from distributed import Client, Event
from distributed.security import Security
from local_cluster import eventually, local_cluster, workers_of

from skbn.dask import communicator as module
from skbn.dask.communicator import HEADER, CommunicatorError, DaskCommunicator, Fit
from skbn.dask.gang import run_on_workers

WORKERS = ["tcp://a:1", "tcp://b:2", "tcp://c:3"]


def wanted():
    """A task that nobody has canceled."""


def both_ends():
    """Both ends of a connection between sockets of the kind that workers have."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        return near, server.accept()[0]


@pytest.fixture
def connected():
    """A function that gives communicators of threads. All are closed after the test."""
    made = []

    def of(size, check=wanted):
        peers = [{} for _ in range(size)]
        for rank in range(1, size):
            peers[0][rank], peers[rank][0] = both_ends()
        for connections in peers:
            for connection in connections.values():
                connection.settimeout(0.05)
        made.extend(
            DaskCommunicator(rank, WORKERS[:size], connections, check)
            for rank, connections in enumerate(peers)
        )
        return made[-size:]

    yield of
    for communicator in made:
        communicator.close()


def run(communicators, function):
    """Results of a function of communicator and rank, or the exceptions, by rank."""

    def caught(communicator):
        try:
            return function(communicator, communicator.rank)
        except Exception as error:
            communicator.abort(f"rank {communicator.rank} failed: {error}")
            return error

    with ThreadPoolExecutor(len(communicators)) as pool:
        try:
            return list(pool.map(caught, communicators, timeout=30))
        except TimeoutError:
            # Threads that hang end with this.
            for communicator in communicators:
                communicator.close()
            raise


def allreduced(communicator, numbers):
    total = np.empty_like(numbers)
    communicator.Allreduce(numbers, total)
    return total


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint8])
@pytest.mark.parametrize("shape", [(1,), (), (0,), (3, 5), (70_001,)])
def test_sums(connected, size, dtype, shape):
    rng = np.random.default_rng(0)
    numbers = [np.asarray(rng.integers(0, 50, shape), dtype=dtype) for _ in range(size)]
    kept = [array.copy() for array in numbers]
    results = run(
        connected(size), lambda communicator, rank: allreduced(communicator, numbers[rank])
    )
    for result in results:
        np.testing.assert_array_equal(result, np.sum(numbers, axis=0, dtype=dtype))
        assert (result.shape, result.dtype) == (shape, dtype)
    np.testing.assert_array_equal(numbers, kept)


def test_adds_in_the_order_of_ranks(connected):
    numbers = [np.array([1e16]), np.array([1.0]), np.array([-1e16])]
    results = run(connected(3), lambda communicator, rank: allreduced(communicator, numbers[rank]))
    # In any order that adds the 1 last, the sum is 1.
    assert [result.tobytes() for result in results] == [np.array([0.0]).tobytes()] * 3


def test_many_rounds_stay_apart(connected):
    def last(communicator, rank):
        for i in range(200):
            np.testing.assert_array_equal(
                allreduced(communicator, np.full(1 + i % 7, float(rank + i))), 2 * i + 1
            )
        return i

    assert run(connected(2), last) == [199, 199]


@pytest.mark.parametrize("late", [0, 1])
def test_a_late_task_is_waited_for(connected, late):
    """The buffers of the sockets are full long before a late task comes."""
    numbers = np.random.default_rng(1).normal(size=1_000_000)

    def summed(communicator, rank):
        if rank == late:
            time.sleep(0.3)
        return allreduced(communicator, numbers)

    for result in run(connected(2), summed):
        np.testing.assert_array_equal(result, numbers + numbers)


@pytest.mark.parametrize("culprit", [0, 1, 2])
def test_an_error_reaches_all(connected, culprit):
    def failing(communicator, rank):
        allreduced(communicator, np.ones(3))
        if rank == culprit:
            raise ValueError("bad rows")
        allreduced(communicator, np.ones(3))

    communicators = connected(3)
    errors = run(communicators, failing)
    for rank, error in enumerate(errors):
        if rank == culprit:
            assert isinstance(error, ValueError)
        else:
            assert isinstance(error, CommunicatorError)
            assert str(error) == f"rank {culprit} failed: bad rows"
            with pytest.raises(CommunicatorError, match="bad rows"):
                allreduced(communicators[rank], np.ones(3))


def test_a_reason_that_came_before_the_numbers(connected):
    first, second = connected(2)
    first.abort("rank 0 failed")
    with pytest.raises(CommunicatorError, match="rank 0 failed"):
        allreduced(second, np.ones(5_000_000))


@pytest.mark.parametrize("lost", [0, 1])
def test_a_closed_connection_names_the_worker(connected, lost):
    communicators = connected(2)
    communicators[lost].close()
    for _ in range(2):
        with pytest.raises(CommunicatorError, match=f"worker {WORKERS[lost]} is lost"):
            allreduced(communicators[1 - lost], np.ones(3))
    with pytest.raises(CommunicatorError, match="closed"):
        allreduced(communicators[lost], np.ones(3))


def test_a_lost_worker_is_named_to_all(connected):
    communicators = connected(3)
    communicators[1].close()
    errors = run([communicators[0], communicators[2]], lambda c, rank: allreduced(c, np.ones(3)))
    assert all(f"worker {WORKERS[1]} is lost" in str(error) for error in errors)


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("size", [1, 1_000_000])
def test_a_canceled_task_stops_waiting(connected, rank, size):
    """The other task never comes: the numbers are not read, or never sent."""
    is_canceled = threading.Event()

    def check():
        if is_canceled.is_set():
            raise CommunicatorError("The fit was canceled.")

    communicator = connected(2, check)[rank]
    timer = threading.Timer(0.2, is_canceled.set)
    timer.start()
    for _ in range(2):
        with pytest.raises(CommunicatorError, match="canceled"):
            allreduced(communicator, np.ones(size))
    timer.join()


def test_a_canceled_task_stops_without_waiting(connected):
    def check():
        raise CommunicatorError("The fit was canceled.")

    with pytest.raises(CommunicatorError, match="canceled"):
        allreduced(connected(1, check)[0], np.ones(1))


def test_sizes_that_differ_are_an_error(connected):
    errors = run(connected(2), lambda c, rank: allreduced(c, np.ones(3 + rank)))
    for error in errors:
        assert isinstance(error, CommunicatorError)
        assert f"worker {WORKERS[1]} sent 32 bytes where worker {WORKERS[0]} expected 24" in str(
            error
        )


def test_a_reason_is_not_read_as_numbers(connected):
    """A task that gives up in the midst of its numbers does not send the reason after them."""
    received, calls = bytearray(), []

    def check():
        calls.append("check")
        if len(calls) > 1:
            # The buffers are full. Without their bytes there is room for the reason.
            with suppress(TimeoutError):
                while True:
                    received.extend(receiver.recv(1_000_000))
            raise CommunicatorError("The fit was canceled.")

    communicators = connected(2, check)
    receiver = communicators[0]._peers[1]
    with pytest.raises(CommunicatorError, match="canceled"):
        allreduced(communicators[1], np.ones(5_000_000))
    while more := receiver.recv(1_000_000):
        received.extend(more)
    assert b"canceled" not in received


@pytest.mark.parametrize(
    ("sendbuf", "recvbuf", "message"),
    [
        (np.ones(3), np.ones(4), "same shape and dtype"),
        (np.ones(3), np.ones(3, dtype=int), "same shape and dtype"),
        (np.ones((2, 2)).T[:1], np.ones((1, 2)), "contiguous"),
        (np.ones(2), np.ones(4)[::2], "contiguous"),
    ],
)
def test_refuses_other_arrays(connected, sendbuf, recvbuf, message):
    with pytest.raises(ValueError, match=message):
        connected(1)[0].Allreduce(sendbuf, recvbuf)


SECRET = Fit().secret
GREETING = SECRET.encode()


class Door:
    """The port of rank 0, where a thread lets the other ranks in."""

    def __init__(self, size, context=None, check=wanted):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.peers, self._made = {}, []
        self._pool = ThreadPoolExecutor(1)
        self.admission = self._pool.submit(
            module._admit, self.peers, self.server, context, SECRET, size, check
        )

    def come(self, greeting=b""):
        near = socket.create_connection(self.server.getsockname(), timeout=10)
        self._made.append(near)
        near.sendall(greeting)
        return near

    def close(self):
        for near in self._made:
            near.close()
        self._pool.shutdown()
        self.server.close()
        for peer in self.peers.values():
            peer.close()


@pytest.fixture
def door():
    """A function that opens a door, which is closed after the test."""
    made = []

    def of(*args, **kwargs):
        made.append(Door(*args, **kwargs))
        return made[-1]

    yield of
    for one in made:
        one.close()


def is_closed(near):
    """Whether the other side closes the connection without a word."""
    with suppress(ConnectionResetError):
        return near.recv(1) == b""
    return True


def test_strangers_do_not_keep_ranks_out(door):
    opened = door(3)
    silent = [opened.come() for _ in range(5)]
    slow = opened.come(GREETING[:3])
    second = opened.come(GREETING + HEADER.pack(2))
    first = opened.come(GREETING[:40])
    for part in (GREETING[40:], HEADER.pack(1)[:5], HEADER.pack(1)[5:]):
        time.sleep(0.05)
        first.sendall(part)
    opened.admission.result(timeout=10)
    assert sorted(opened.peers) == [1, 2]
    for rank, near in ((1, first), (2, second)):
        assert opened.peers[rank].getpeername() == near.getsockname()
        assert opened.peers[rank].gettimeout() == module.POLL
    assert all(map(is_closed, [*silent, slow]))


@pytest.mark.parametrize(
    "greeting",
    [
        Fit().secret.encode() + HEADER.pack(1),
        GREETING + HEADER.pack(0),
        GREETING + HEADER.pack(3),
        GREETING + HEADER.pack(-1),
        b"GET / HTTP/1.1\r\n" * 10,
    ],
    ids=["another secret", "rank 0", "rank 3", "rank -1", "another protocol"],
)
def test_refuses_a_wrong_greeting(door, greeting):
    opened = door(3)
    assert is_closed(opened.come(greeting))
    for rank in (1, 2):
        opened.come(GREETING + HEADER.pack(rank))
    opened.admission.result(timeout=10)
    assert sorted(opened.peers) == [1, 2]


def test_a_greeting_must_end_in_time(door, monkeypatch):
    """Each connection has one deadline, which bytes that trickle in do not put off."""
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    opened = door(2)
    assert is_closed(opened.come())
    trickle = opened.come()

    def is_refused():
        try:
            trickle.sendall(GREETING[:1])
        except OSError:
            return True
        return False

    # All 64 bytes would take 3 seconds and more.
    start = time.monotonic()
    assert eventually(is_refused, 10)
    assert time.monotonic() - start < 3.0
    opened.come(GREETING + HEADER.pack(1))
    opened.admission.result(timeout=10)


def test_a_canceled_task_lets_nobody_in(door):
    is_canceled = threading.Event()

    def check():
        if is_canceled.is_set():
            raise CommunicatorError("The fit was canceled.")

    opened = door(2, check=check)
    silent = opened.come()
    is_canceled.set()
    with pytest.raises(CommunicatorError, match="canceled"):
        opened.admission.result(timeout=10)
    assert is_closed(silent)


def test_strangers_at_an_encrypted_port(door, security):
    context = security.get_listen_args("worker")["ssl_context"]
    opened = door(2, context)
    silent, plain = opened.come(), opened.come(GREETING + HEADER.pack(1))
    peer = security.get_connection_args("worker")["ssl_context"].wrap_socket(opened.come())
    peer.sendall(GREETING + HEADER.pack(1))
    opened.admission.result(timeout=10)
    assert isinstance(opened.peers[1], ssl.SSLSocket)
    opened.peers[1].sendall(b"numbers")
    assert peer.recv(7) == b"numbers"
    peer.close()
    assert is_closed(silent)
    # TLS may say why it refuses before it closes the connection.
    with suppress(ConnectionResetError):
        while plain.recv(100):
            pass


def test_the_secret_is_no_name():
    fit = Fit()
    assert len(fit.secret) == 64
    assert fit.secret not in fit.name
    assert fit.secret not in repr(fit)
    assert fit.secret != Fit().secret


def test_a_stranger_does_not_delay_a_fit(client, monkeypatch):
    """What Dask shows is the way to the port, but not the secret."""
    made = []

    def known():
        made.append(Fit())
        return made[-1]

    monkeypatch.setattr("skbn.dask.gang.Fit", known)
    workers = workers_of(client)
    ready = Event("stranger", client=client)
    ready.clear()
    slow = client.submit(exchanges.when, "stranger", workers=workers[2:], pure=False)
    arguments = {workers[0]: (1.0,), workers[1]: (1.0,), workers[2]: (slow,)}
    place = ["skbn", "communicator", workers[0]]
    with ThreadPoolExecutor(1) as pool:
        fit = pool.submit(run_on_workers, client, exchanges.summed, arguments)
        assert eventually(
            lambda: (
                made and (client.get_metadata(place, default=None) or {}).get("fit") == made[0].name
            )
        )
        metadata = client.get_metadata(["skbn"])
        host = workers[0].removeprefix("tcp://").rsplit(":", 1)[0]
        address = host, metadata["communicator"][workers[0]]["port"]
        with (
            socket.create_connection(address, timeout=10),
            socket.create_connection(address, timeout=10) as impostor,
        ):
            impostor.sendall(made[0].name.encode() + HEADER.pack(2) + bytes(64))
            assert is_closed(impostor)
            shown = f"{metadata} {client.processing()}"
            assert made[0].name in shown
            assert made[0].secret not in shown
            start = time.monotonic()
            ready.set()
            assert fit.result(timeout=module.PATIENCE) == 3.0
            assert time.monotonic() - start < module.PATIENCE / 2


@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_workers_of_a_cluster_get_the_same_bits(client, n_workers):
    rng = np.random.default_rng(2)
    numbers = [rng.normal(size=1000) * 10.0 ** rng.integers(-8, 8, 1000) for _ in range(n_workers)]
    expected = numbers[0].copy()
    for part in numbers[1:]:
        expected += part
    arguments = zip(workers_of(client), [(part,) for part in numbers], strict=False)
    results = run_on_workers(client, exchanges.together, dict(arguments))
    assert results == [expected.tobytes()] * n_workers


def test_nothing_is_left_on_the_workers(client):
    """Fits one after the other leave no socket open. Dask's own sockets never block."""

    def blocking_sockets():
        sockets = [thing for thing in gc.get_objects() if isinstance(thing, socket.socket)]
        return [str(one) for one in sockets if one.fileno() != -1 and one.gettimeout() != 0]

    workers = workers_of(client)
    before = client.run(blocking_sockets)
    for _ in range(3):
        run_on_workers(client, exchanges.rounds, dict.fromkeys(workers, (5,)))
        with pytest.raises(ValueError, match="does not like"):
            run_on_workers(client, exchanges.failing, dict.fromkeys(workers, (1,)))

    def are_closed():
        now = client.run(blocking_sockets)
        return all(set(now[worker]) <= set(before[worker]) for worker in workers)

    assert eventually(are_closed)


@pytest.fixture(scope="module")
def security(tmp_path_factory):
    """Certificates of a cluster, signed by themselves."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificates")
    folder = tmp_path_factory.mktemp("certificates")
    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        + ["-subj", "/CN=skbn", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    sides = ("client", "scheduler", "worker")
    return Security(
        tls_ca_file=certificate,
        require_encryption=True,
        **{f"tls_{side}_cert": certificate for side in sides},
        **{f"tls_{side}_key": key for side in sides},
    )


def test_encrypted(security):
    with (
        local_cluster(2, security=security, protocol="tls://") as cluster,
        Client(cluster, security=security) as client,
    ):
        workers = workers_of(client)
        assert all(worker.startswith("tls://") for worker in workers)
        numbers = np.random.default_rng(3).normal(size=300_000)
        results = run_on_workers(client, exchanges.together, dict.fromkeys(workers, (numbers,)))
        assert results == [(numbers + numbers).tobytes()] * 2
        assert run_on_workers(client, exchanges.rounds, dict.fromkeys(workers, (20, 0.02))) == 60.0
