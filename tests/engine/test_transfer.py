"""Two engines in one process: connections change between them, and nothing is left when both have ended."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from portway.config import Settings
from portway.engine.asgi import ASGIEngine
from portway.engine.connection import alive
from portway.engine.counters import Board
from portway.engine.table import Table
from portway.engine.wsgi import WSGIEngine
from tests.engine.test_leaks import NOTHING, Policy, asgi_app, connected, wsgi_app
from tests.support.waiting import wait_until

Address = tuple[str, int]
BIG = b"x" * 300_000


def other(path: bytes = b"/o/") -> bytes:
    """Return a request for the companion."""
    return b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path


OWN = other(b"/")
REQUESTS = [
    (OWN + other()) * 40,
    other() * 40 + b"GET / HT",
    other(b"/o/big") + OWN,
    OWN + other()[:20],
    b"POST /o/ HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + BIG,
    b"POST /o/ HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + BIG[:1000],
    b"POST /o/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + OWN,
    b"POST /o/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    other(b"/o/boom") + OWN,
]


def table(own: bytes) -> Table:
    """Return the routes of one engine: "/o/*" is the companion's."""
    made = Table()
    for pattern, who in ((b"/o/*", b"asgi"), (b"/*", b"wsgi")):
        (made.add_app if who == own else made.add_elsewhere)(pattern, 0)
    return made


@contextlib.contextmanager
def pair(tls: bool, board: Board | None = None) -> Iterator[Address]:
    """Run a WSGI engine with an ASGI engine beside it; drain both at the end."""
    sock = socket.create_server(("127.0.0.1", 0), backlog=100)
    slot = board.slot(0) if board is not None else None
    leader = WSGIEngine(wsgi_app, Settings(), slot=slot, board=board)
    leader.add_listener(sock, tls=Policy() if tls else None)
    leader.table = table(b"wsgi")
    paired = threading.Event()

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        companion = ASGIEngine(mounted(asgi_app), Settings(), loop=loop, slot=slot, board=board)
        companion.table = table(b"asgi")
        leader.pair(companion, {})
        companion.start()
        paired.set()
        await companion.wait_closed()

    threads = [threading.Thread(target=asyncio.run, args=(serve(),)), threading.Thread(target=leader.run)]
    threads[0].start()
    assert paired.wait(10)
    threads[1].start()
    try:
        yield sock.getsockname()
    finally:
        leader.drain(5)
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


def mounted(app: Callable[..., Any]) -> Callable[..., Any]:
    """Return an application without the prefix of its route."""

    async def inner(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await app({**scope, "path": scope["path"].removeprefix("/o")}, receive, send)

    return inner


def exercise(address: Address, tls: bool) -> None:
    """Every request once read to its end, once left in the middle, once reset."""
    for data in REQUESTS:
        for manner in ("read", "leave", "reset"):
            with connected(address, tls) as client, contextlib.suppress(OSError):
                client.sendall(data)
                if manner == "read":
                    socket.socket.shutdown(client, socket.SHUT_WR)
                    while client.recv(1 << 20):
                        pass
                elif manner == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.mark.parametrize("tls", [False, True])
def test_a_pair_of_engines_leaves_nothing(tls: bool) -> None:
    before = {thread.name for thread in threading.enumerate()}
    with pair(tls) as address:
        exercise(address, tls)
    for thread in threading.enumerate():
        if thread.name not in before:
            thread.join(10)
    gc.collect()
    assert alive() == NOTHING


def test_a_worker_with_two_engines_counts_each_thing_once() -> None:
    board = Board(1)
    with pair(False, board) as address, connected(address, False) as client:
        client.sendall((OWN + other()) * 10)
        received = b""
        while received.count(b"HTTP/1.1 200") < 20:
            received += client.recv(65536)
        slot = board.slot(0)
        wait_until(lambda: slot.requests >= 20, "count of the last one")
        assert (slot.accepted, slot.connections, slot.requests) == (1, 1, 20)
    assert (slot.in_flight, slot.connections) == (0, 0)


def test_a_connection_that_comes_over_while_both_stop_is_closed() -> None:
    with pair(False) as address:
        clients = [connected(address, False) for _ in range(50)]
        for client in clients:
            client.sendall((OWN + other()) * 5)
    for client in clients:
        with contextlib.suppress(OSError):
            while client.recv(65536):
                pass
        client.close()
    gc.collect()
    assert alive() == NOTHING
