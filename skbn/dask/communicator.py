"""Sums over the tasks of one fit on a Dask cluster, called as mpi4py's ``Allreduce``.

The task of rank 0 listens on a port of its own; the other tasks learn the port from Dask's
scheduler and connect. The numbers then go from thread to thread through blocking sockets. Dask's
own messages pass the event loops of both workers, and take 30 times as long for a few numbers,
while a training step waits for several sums. The sockets use the certificates of the cluster where
it has any (``tls://``).

The communicator itself unpickles nothing, but `skbn.network.processes` unpickles arrays of bytes
that came through it. So a connection counts only if its greeting has the secret of the fit, which
the tasks get as an argument: it is neither in a key nor in the metadata of the scheduler.

Rank 0 adds up in the order of ranks and sends the sum to all, so all have the same bits.
"""

from __future__ import annotations

import hmac
import secrets
import selectors
import socket
import ssl
import struct
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from distributed import Worker, get_client, get_worker
from distributed.comm import get_address_host
from numpy.typing import NDArray

__all__ = ["CommunicatorError", "DaskCommunicator", "Fit", "connect"]

# Seconds after which a thread that waits looks whether its task is still wanted.
POLL = 0.25
# Seconds for what a healthy network does at once.
PATIENCE = 30.0
# The size in bytes precedes the numbers. A negative size is the size of the reason why the sender
# gives up.
HEADER = struct.Struct("<q")
# Numbers of up to this many bytes are sent with their header in one call.
SMALL = 1 << 16
# Bytes that are received before they are added: they stay in the cache of the processor.
PIECE = 1 << 20


@dataclass(frozen=True)
class Fit:
    """What the tasks of a fit know it by.

    Attributes
    ----------
    name : str
        No other fit has this name. Everybody may know it.
    secret : str
        What only the tasks of this fit know. It is not in the repr, since messages about a task may
        have the repr of an argument.
    """

    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)


class CommunicatorError(RuntimeError):
    """A sum is not possible any more: another task failed or was lost, or the fit was canceled."""


class _ConnectionLost(CommunicatorError):
    """The other side of a connection has closed it."""


class DaskCommunicator:
    """Adds up arrays over the tasks of a fit.

    Parameters
    ----------
    rank : int
        Number of this task, from 0.
    workers : list of str
        Addresses of the workers, by rank.
    peers : dict of int to socket.socket
        Connections by rank: rank 0 has one to each other rank, the others have one to rank 0. Each
        has a timeout, after which `check` is called.
    check : callable
        Function without arguments. It raises CommunicatorError if this task is not wanted any more.

    Attributes
    ----------
    rank : int
        Number of this task, from 0.
    size : int
        Number of tasks.
    """

    def __init__(
        self,
        rank: int,
        workers: list[str],
        peers: dict[int, socket.socket],
        check: Callable[[], None],
    ) -> None:
        self.rank = rank
        self.size = len(workers)
        self._workers = workers
        self._peers = peers
        self._check = check
        self._reason: str | None = None

    def Allreduce(self, sendbuf: NDArray[Any], recvbuf: NDArray[Any]) -> None:
        """Add up the arrays of all tasks. All tasks get the same bits.

        Parameters
        ----------
        sendbuf : ndarray
            The numbers of this task, C-contiguous.
        recvbuf : ndarray
            Array of the same shape and dtype, C-contiguous. It becomes the sum.

        Raises
        ------
        CommunicatorError
            If another task failed or was lost, or if the fit was canceled. After this each call
            raises.
        ValueError
            If an array is not C-contiguous, or if the arrays differ in shape or dtype.
        """
        if sendbuf.shape != recvbuf.shape or sendbuf.dtype != recvbuf.dtype:
            raise ValueError(
                f"sendbuf and recvbuf must have the same shape and dtype, got {sendbuf.shape} of "
                f"{sendbuf.dtype} and {recvbuf.shape} of {recvbuf.dtype}."
            )
        if not (sendbuf.flags.c_contiguous and recvbuf.flags.c_contiguous):
            raise ValueError("sendbuf and recvbuf must be C-contiguous.")
        if self._reason is not None:
            raise CommunicatorError(self._reason)
        try:
            self._check()
            if self.rank == 0:
                self._add_up(sendbuf, recvbuf)
            else:
                self._send(0, _bytes_of(sendbuf))
                self._expect(0, recvbuf.nbytes)
                self._move(0, self._peers[0].recv_into, _bytes_of(recvbuf))
        except CommunicatorError as error:
            self.abort(str(error))
            raise

    def _add_up(self, sendbuf: NDArray[Any], recvbuf: NDArray[Any]) -> None:
        recvbuf[...] = sendbuf
        total = recvbuf.reshape(-1)
        for rank in range(1, self.size):
            self._expect(rank, total.nbytes)
            # Piece by piece: a piece is added while the next one arrives.
            piece = np.empty(max(1, min(total.size, PIECE // total.itemsize)), total.dtype)
            for start in range(0, total.size, piece.size):
                own = total[start : start + piece.size]
                self._move(rank, self._peers[rank].recv_into, _bytes_of(piece[: own.size]))
                np.add(own, piece[: own.size], out=own)
        for rank in range(1, self.size):
            self._send(rank, _bytes_of(total))

    def abort(self, reason: str) -> None:
        """Tell the other tasks why this task gives up, and close the connections.

        Parameters
        ----------
        reason : str
            Message of the CommunicatorError that the other tasks raise.
        """
        self._reason = reason
        message = reason.encode()
        for peer in self._peers.values():
            # A peer that is gone or does not read sees that the connection is closed.
            with suppress(OSError):
                peer.sendall(HEADER.pack(-len(message)) + message)
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._reason is None:
            self._reason = "The communicator is closed."
        for peer in self._peers.values():
            peer.close()
        self._peers.clear()

    def _send(self, rank: int, numbers: memoryview) -> None:
        header = HEADER.pack(len(numbers))
        calls: list[Any] = [header + numbers] if len(numbers) <= SMALL else [header, numbers]
        try:
            for part in calls:
                self._move(rank, self._peers[rank].send, memoryview(part))
        except _ConnectionLost:
            # The other task may have sent the reason before it closed the connection.
            self._expect(rank, 0)
            raise
        except CommunicatorError:
            # A reason in the midst of numbers would be read as numbers.
            self._peers.pop(rank).close()
            raise

    def _expect(self, rank: int, size: int) -> None:
        """Read the header of so many bytes, or the reason why the other task gives up."""
        header = bytearray(HEADER.size)
        self._move(rank, self._peers[rank].recv_into, memoryview(header))
        (announced,) = HEADER.unpack(header)
        if announced < 0:
            reason = bytearray(-announced)
            self._move(rank, self._peers[rank].recv_into, memoryview(reason))
            raise CommunicatorError(reason.decode())
        if announced != size:
            raise CommunicatorError(
                f"The tasks are out of step: worker {self._workers[rank]} sent {announced} bytes "
                f"where worker {self._workers[self.rank]} expected {size}."
            )

    def _move(self, rank: int, move: Callable[[memoryview], int], view: memoryview) -> None:
        """Send or receive all bytes of a view."""
        try:
            while len(view):
                try:
                    moved = move(view)
                except TimeoutError:
                    self._check()
                    continue
                if moved == 0:
                    raise ConnectionResetError
                view = view[moved:]
        except OSError as error:
            raise _ConnectionLost(
                f"The connection to worker {self._workers[rank]} is lost: the worker died, or its "
                f"task has ended."
            ) from error


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def connect(fit: Fit, rank: int, workers: list[str]) -> DaskCommunicator:
    """Connect the tasks of a fit. To be called by the task of each rank, in its thread.

    Parameters
    ----------
    fit : Fit
        The same for all tasks of the fit.
    rank : int
        Number of this task, from 0.
    workers : list of str
        Addresses of the workers, by rank.

    Returns
    -------
    communicator : DaskCommunicator
        The communicator of this task. It must be closed.

    Raises
    ------
    CommunicatorError
        If the fit was canceled, or if the port of rank 0 cannot be reached.
    """
    worker = get_worker()
    check = _check_of(worker)
    peers: dict[int, socket.socket] = {}
    try:
        if rank == 0 and len(workers) > 1:
            _accept_all(peers, fit, worker, workers, check)
        elif rank > 0:
            peers[0] = _reach(fit, rank, worker, workers, check)
    except BaseException:
        for peer in peers.values():
            peer.close()
        raise
    return DaskCommunicator(rank, workers, peers, check)


def _check_of(worker: Worker) -> Callable[[], None]:
    """A function that raises CommunicatorError if the task of this thread is not wanted any more.

    Dask does not interrupt a thread. A task whose future was canceled, or whose client is gone,
    only leaves the state "executing" of the worker's state machine, which has no public method for
    this.
    """
    key = worker.get_current_task()

    def check() -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state not in ("executing", "long-running"):
            raise CommunicatorError(f"The fit was canceled (noticed on worker {worker.address}).")
        if worker.status.name in ("closing", "closed", "failed"):
            raise CommunicatorError(f"Worker {worker.address} is closing.")

    return check


def _place_of(workers: list[str]) -> list[str]:
    """Where the scheduler keeps the port of the rank 0 that runs on a worker.

    The next fit of this worker writes to the same place, so nothing piles up.
    """
    return ["skbn", "communicator", workers[0]]


def _accept_all(
    peers: dict[int, socket.socket],
    fit: Fit,
    worker: Worker,
    workers: list[str],
    check: Callable[[], None],
) -> None:
    """Listen, announce the port, and fill `peers` with a connection to each other rank."""
    host = get_address_host(worker.listen_address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    context = worker.security.get_listen_args("worker")["ssl_context"]
    with socket.create_server((host, 0), family=family, backlog=len(workers)) as server:
        port = server.getsockname()[1]
        get_client().set_metadata(_place_of(workers), {"fit": fit.name, "port": port})
        _admit(peers, server, context, fit.secret, len(workers), check)


def _admit(
    peers: dict[int, socket.socket],
    server: socket.socket,
    context: ssl.SSLContext | None,
    secret: str,
    size: int,
    check: Callable[[], None],
) -> None:
    """Fill `peers` with a connection to each other rank. No connection waits for another one."""
    server.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        try:
            while len(peers) < size - 1:
                for key, _ in selector.select(POLL):
                    if key.data is None:
                        _let_in(selector, server, context, secret, size)
                    else:
                        _hear(selector, key.data, peers)
                for newcomer in _newcomers(selector):
                    if time.monotonic() > newcomer.deadline:
                        selector.unregister(newcomer.peer)
                        newcomer.peer.close()
                check()
        finally:
            for newcomer in _newcomers(selector):
                newcomer.peer.close()


def _newcomers(selector: selectors.BaseSelector) -> list[_Newcomer]:
    return [key.data for key in selector.get_map().values() if key.data is not None]


def _let_in(
    selector: selectors.BaseSelector,
    server: socket.socket,
    context: ssl.SSLContext | None,
    secret: str,
    size: int,
) -> None:
    """Accept a connection, whose greeting is then waited for."""
    try:
        peer, _ = server.accept()
    except (BlockingIOError, ConnectionAbortedError):
        # The other side has gone already.
        return
    try:
        peer.setblocking(False)
        newcomer = _Newcomer(_ready(peer, context, server_side=True), secret, size)
    except OSError:
        peer.close()
        return
    selector.register(newcomer.peer, newcomer.events, newcomer)


def _hear(
    selector: selectors.BaseSelector, newcomer: _Newcomer, peers: dict[int, socket.socket]
) -> None:
    """Go on with a greeting, and put the connection among `peers` after the right one."""
    peer = newcomer.peer
    try:
        rank = newcomer.read()
    except OSError:
        # Not a task of this fit, or one that died.
        selector.unregister(peer)
        peer.close()
        return
    if rank is None:
        selector.modify(peer, newcomer.events, newcomer)
        return
    selector.unregister(peer)
    peer.settimeout(POLL)
    if rank in peers:
        peers[rank].close()
    peers[rank] = peer


class _Newcomer:
    """A connection that may come from a task of the fit, or from anybody.

    Parameters
    ----------
    peer : socket.socket
        The connection, which does not block.
    secret : str
        The secret of the fit.
    size : int
        Number of tasks.

    Attributes
    ----------
    peer : socket.socket
    events : int
        What must be waited for before the next call of `read`, as a selector is told it.
    deadline : float
        Time at which the greeting must be complete.
    """

    def __init__(self, peer: socket.socket, secret: str, size: int) -> None:
        self.peer = peer
        self.events = selectors.EVENT_READ
        self.deadline = time.monotonic() + PATIENCE
        self._secret = secret.encode()
        self._size = size
        self._greeting = b""
        self._is_shaken = not isinstance(peer, ssl.SSLSocket)

    def read(self) -> int | None:
        """Read what has come of the greeting: secret and rank.

        Returns
        -------
        rank : int or None
            None: the greeting is not complete.

        Raises
        ------
        OSError
            If the connection is lost, or if the greeting is not of a task of this fit.
        """
        length = len(self._secret) + HEADER.size
        try:
            if not self._is_shaken:
                self.peer.do_handshake()
                self._is_shaken = True
            # TLS may have received more than a selector knows of, so all is read.
            while len(self._greeting) < length:
                more = self.peer.recv(length - len(self._greeting))
                if not more:
                    raise ConnectionResetError
                self._greeting += more
        except (BlockingIOError, ssl.SSLWantReadError):
            self.events = selectors.EVENT_READ
            return None
        except ssl.SSLWantWriteError:
            self.events = selectors.EVENT_WRITE
            return None
        if not hmac.compare_digest(self._greeting[: len(self._secret)], self._secret):
            raise ConnectionRefusedError
        (rank,) = HEADER.unpack(self._greeting[len(self._secret) :])
        if not 1 <= rank < self._size:
            raise ConnectionRefusedError
        return rank


def _reach(
    fit: Fit, rank: int, worker: Worker, workers: list[str], check: Callable[[], None]
) -> socket.socket:
    """Wait for the port of rank 0, and connect to it."""
    client = get_client()
    pause = 0.005
    while True:
        check()
        place = client.get_metadata(_place_of(workers), default=None)
        if place is not None and place["fit"] == fit.name:
            break
        time.sleep(pause)
        pause = min(2 * pause, POLL)
    host = get_address_host(workers[0])
    context = worker.security.get_connection_args("worker")["ssl_context"]
    try:
        peer = socket.create_connection((host, place["port"]), timeout=PATIENCE)
        try:
            peer = _ready(peer, context, server_side=False)
            peer.sendall(fit.secret.encode() + HEADER.pack(rank))
        except BaseException:
            peer.close()
            raise
    except OSError as error:
        raise CommunicatorError(
            f"Worker {workers[rank]} cannot connect to port {place['port']} of worker "
            f"{workers[0]}. The workers must reach each other on all ports."
        ) from error
    peer.settimeout(POLL)
    return peer


def _ready(peer: socket.socket, context: ssl.SSLContext | None, server_side: bool) -> socket.socket:
    # Small messages leave at once.
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is None:
        return peer
    # A socket that does not block shakes hands later.
    return context.wrap_socket(
        peer, server_side=server_side, do_handshake_on_connect=peer.gettimeout() != 0.0
    )
