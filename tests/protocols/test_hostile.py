"""Clients that mean harm, or whose bytes come at a bad moment: nobody else notices, and memory has bounds."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from portway.config import Settings
from portway.config.settings import Limits
from portway.engine.asgi import ASGIEngine
from portway.engine.connection import alive
from portway.protocols.limits import limits_of
from portway.protocols.upgrades import Upgrades
from tests.engine.test_leaks import NOTHING
from tests.protocols.conftest import OPENING, Raw, frame, log_of, serve, told, websocket
from tests.support.client import Client, get
from tests.support.processes import Portway
from tests.support.waiting import wait_until

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def test_messages_of_nothing(server: Portway) -> None:
    """More of them than may wait: that they are empty must not keep the rest from being read."""
    with Raw(server) as client:
        client.send(frame(TEXT) * 5000 + frame(BINARY, b"x"))
        assert [client.frame() for _ in range(5000)] == [(0x81, b"")] * 5000
        assert client.frame() == (0x82, b"x")


def test_messages_for_an_application_that_accepts_before_it_receives(server: Portway) -> None:
    with Raw(server, "/accept-first", early=frame(TEXT, b"early")) as client:
        assert client.frame() == (0x81, b"websocket.connect")
        assert client.frame() == (0x81, b"early")
    assert "failed" not in log_of(server)


@pytest.mark.parametrize("flood_of", ["fragments", "messages"])
def test_who_waits_for_a_turn_has_it(server: Portway, flood_of: str) -> None:
    """Fragments of nothing without end, which fill no queue; and messages that are taken without a wait."""
    over = threading.Event()
    with Raw(server, "/take") as client:

        def flood() -> None:
            crumbs = (frame(0, fin=False) if flood_of == "fragments" else frame(BINARY, b"x" * 100)) * 10_000
            if flood_of == "fragments":
                client.send(frame(BINARY, fin=False))
            with contextlib.suppress(OSError):
                while not over.is_set():
                    client.send(crumbs)

        sender = threading.Thread(target=flood)
        sender.start()
        try:
            for _ in range(20):
                assert get(server.address, "/told").status == 200
        finally:
            over.set()
            sender.join(60)


def fill(client: Raw, data: bytes, most: int) -> int:
    """Send the same bytes again and again until nobody takes them any more; return how many times."""
    client.sock.settimeout(1)
    for times in range(most):
        try:
            client.sock.sendall(data)
        except TimeoutError:
            return times
    raise AssertionError(f"{most} times {len(data)} bytes were taken")


@pytest.fixture(params=["epoll", "poll", "epoll-tls"])
def way(request: pytest.FixtureRequest) -> str:
    """Some of the ways to run."""
    assert isinstance(request.param, str)
    return request.param


@pytest.mark.parametrize("poller", ["epoll", "poll"])
def test_pings_of_a_client_that_reads_no_pongs(poller: str) -> None:
    """They are not read either, from some point on; and once it reads, everything goes on."""
    with serve(poller) as server:
        server.ready()
        with Raw(server) as client:
            pings = frame(PING, b"p" * 125, mask=bytes(4)) * 500
            taken = threading.Event()

            def send() -> None:
                for _ in range(1000):
                    client.sock.sendall(pings)
                client.sock.sendall(frame(TEXT, b"x"))
                taken.set()

            sender = threading.Thread(target=send)
            sender.start()
            assert not taken.wait(3), "64 MB fit into the buffers of nobody"
            expected, pongs = 1000 * 500, (b"\x8a\x7d" + b"p" * 125) * 500
            while expected:
                assert client._exactly(len(pongs)) == pongs
                expected -= 500
            assert client.frame() == (0x81, b"x")
            sender.join(20)


def test_a_client_that_never_reads_its_pongs_is_cut(way: str) -> None:
    with serve(way, "--write-timeout", "1") as server:
        server.ready()
        with Raw(server) as client:
            with contextlib.suppress(OSError):
                fill(client, frame(PING, b"p" * 125) * 500, 1000)
            server.wait_for("reader stalled for write-timeout")


def test_a_client_that_never_reads_is_cut_whatever_is_sent_meanwhile(way: str) -> None:
    """Its time runs from when it stopped, not from the last thing that was sent."""
    with serve(way, "--write-timeout", "1", "--ws-ping-interval", "0") as server:
        server.ready()
        with Raw(server, "/broadcast"):
            server.wait_for("reader stalled for write-timeout")
            wait_until(lambda: told(server)["seen"] == ["cut"], "what it has to tell")


def test_a_reload_meets_clients_that_neither_read_nor_are_read(way: str) -> None:
    """Each has messages that wait for the application, and pongs that wait for the client."""
    options = ("--graceful-timeout", "3", "--ws-max-queue", "1")
    with serve(way, *options) as server, contextlib.ExitStack() as clients:
        (old,) = server.ready().workers()
        several = [clients.enter_context(Raw(server, "/deaf")) for _ in range(3)]
        for client in several:
            fill(client, frame(PING, b"p" * 125) * 500 + frame(TEXT, b"x"), 1000)
        with websocket(server) as last:
            server.send(signal.SIGHUP)
            with pytest.raises(ConnectionClosed):
                last.recv(20)
            assert last.close_code == 1012
        server.ready(2)
        wait_until(lambda: old not in server.workers(), "the end of the old worker")
        assert "SIG" not in server.log


# -- what an engine holds ----------------------------------------------------------------------------------


async def app(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]
) -> None:
    """Do what the path says."""
    path = scope["path"]
    if path == "/fail":
        raise ValueError("before")
    if path == "/refuse":
        await send({"type": "websocket.close"})
        return
    if path == "/deny":
        await send({"type": "websocket.http.response.start", "status": 401})
        await send({"type": "websocket.http.response.body", "body": b"no"})
        return
    await send({"type": "websocket.accept"})
    if path == "/close":
        await send({"type": "websocket.close"})
    while path != "/leave":
        message = await receive()
        if message["type"] == "websocket.disconnect":
            break
        if path == "/fail-later":
            raise ValueError("after")
        if message["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})


SENT = [
    b"",
    frame(TEXT, b"x"),
    frame(TEXT, b"x") * 1000,
    frame(TEXT, b"\xff"),
    frame(3),
    frame(PING) * 1000,
    frame(TEXT, b"x", fin=False),
    frame(BINARY, bytes(1 << 20)),
    frame(CLOSE, b"\x03\xe8") + b"behind it",
    b"\x81\xff",
]


def exercise(address: tuple[str, int]) -> None:
    """Open WebSockets, send things in several orders, and end the connections in several ways."""
    for path in (b"echo", b"close", b"leave", b"fail", b"fail-later", b"refuse", b"deny"):
        for data in SENT:
            for manner in ("read", "leave", "reset", "early"):
                with socket.create_connection(address, 10) as client, contextlib.suppress(OSError):
                    opening = OPENING % (b"/" + path, b"Sec-WebSocket-Extensions: permessage-deflate\r\n")
                    client.sendall(opening + (data if manner == "early" else b""))
                    if manner != "early":
                        client.recv(1)
                        client.sendall(data)
                    if manner == "read":
                        client.shutdown(socket.SHUT_WR)
                        while client.recv(1 << 20):
                            pass
                    elif manner == "reset":
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


async def engine_for(sock: socket.socket, **options: Any) -> ASGIEngine:
    settings = Settings(**options)
    engine = ASGIEngine(app, settings, loop=asyncio.get_running_loop())
    engine.upgraded = Upgrades(app, limits_of(settings.websockets), lambda key, text: None)
    engine.add_listener(sock)
    engine.start()
    return engine


def test_ended_connections_leave_nothing() -> None:
    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=100) as sock:
            engine = await engine_for(sock)
            await asyncio.to_thread(exercise, sock.getsockname())
            engine.drain(5)
            await engine.wait_closed()

    asyncio.run(run())
    gc.collect()
    assert alive() == NOTHING


def test_an_offer_that_nobody_hears_of_leaves_nothing_to_the_collector() -> None:
    """Refused before the application is called; what the request was to be told is no cycle."""

    def ask(address: tuple[str, int]) -> None:
        with socket.create_connection(address, 10) as client:
            client.sendall(OPENING % (b"/echo", b""))
            client.recv(65536)
            for _ in range(50):
                with Client(address) as second:
                    second.send(OPENING % (b"/echo", b""))
                    assert second.answer().status == 503

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=100) as sock:
            engine = await engine_for(sock, limits=Limits(concurrency=1))
            await asyncio.to_thread(ask, sock.getsockname())
            engine.drain(5)
            await engine.wait_closed()

    gc.collect()
    gc.disable()
    try:
        asyncio.run(run())
        assert alive()["exchanges"] <= 1
    finally:
        gc.enable()
