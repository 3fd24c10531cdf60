"""What an engine held is gone when it has ended: connections, exchanges, parked output, stashes, buffers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from portway.config import Settings
from portway.engine.asgi import ASGIEngine
from portway.engine.connection import alive
from portway.engine.tls import TLS
from portway.engine.wsgi import WSGIEngine
from tests.support.certificates import certificate
from tests.support.client import secured

NOTHING = {"connections": 0, "segments": 0, "stashes": 0, "exchanges": 0, "strands": 0, "tls": 0}
BIG = b"x" * 3_000_000

REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 40,
    b"GET /boom HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /big HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + BIG,
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + BIG[:2_000_000],
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    b"GET / HT",
    b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    b"",
]


def wsgi_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/boom":
        raise ValueError("boom")
    environ["wsgi.input"].read()
    start_response("200 OK", [])
    return iter([BIG, BIG]) if environ["PATH_INFO"] == "/big" else [b"ok"]


async def asgi_app(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    if scope["path"] == "/boom":
        raise ValueError("boom")
    while (message := await receive()).get("more_body"):
        assert message["type"] == "http.request"
    await send({"type": "http.response.start", "status": 200})
    if scope["path"] == "/big":
        for _ in range(2):
            await send({"type": "http.response.body", "body": BIG, "more_body": True})
    await send({"type": "http.response.body", "body": b"ok"})


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=100)


class Policy:
    """TLS of an engine that is on its own."""

    def __init__(self) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate("portway.test").pem)
        self.context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF

    def environ(self, layer: TLS) -> dict[str, Any]:
        return {"cipher": layer.layer.cipher()}

    extension = environ


def connected(address: tuple[str, int], tls: bool) -> socket.socket:
    sock = socket.create_connection(address, 10)
    return secured(sock) if tls else sock


def exercise(address: tuple[str, int], tls: bool) -> None:
    """Every request once read to its end, once left in the middle, once reset."""
    for data in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01") if tls else ():
        with socket.create_connection(address, 10) as client, contextlib.suppress(OSError):
            client.sendall(data)
    for data in REQUESTS:
        for manner in ("read", "leave", "reset"):
            with connected(address, tls) as client, contextlib.suppress(OSError):
                client.sendall(data)
                if manner == "read":
                    socket.socket.shutdown(client, socket.SHUT_WR)
                    while client.recv(1 << 20):
                        pass
                elif manner == "leave":
                    client.recv(10) if data.endswith(b"\r\n\r\n") and b"Expect" not in data else None
                else:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.mark.parametrize("tls", [False, True])
def test_a_wsgi_engine_leaves_nothing(tls: bool) -> None:
    def run() -> None:
        sock = listening()
        engine = WSGIEngine(wsgi_app, Settings())
        engine.add_listener(sock, tls=Policy() if tls else None)
        thread = threading.Thread(target=engine.run)
        thread.start()
        exercise(sock.getsockname(), tls)
        engine.drain(5)
        thread.join(10)
        assert not thread.is_alive()

    before = {thread.name for thread in threading.enumerate()}
    run()
    for thread in threading.enumerate():
        if thread.name not in before:
            thread.join(10)
    gc.collect()
    assert alive() == NOTHING


@pytest.mark.parametrize("tls", [False, True])
def test_an_asgi_engine_leaves_nothing(tls: bool) -> None:
    async def serve() -> None:
        sock = listening()
        engine = ASGIEngine(asgi_app, Settings(), loop=asyncio.get_running_loop())
        engine.add_listener(sock, tls=Policy() if tls else None)
        engine.start()
        await asyncio.to_thread(exercise, sock.getsockname(), tls)
        engine.drain(5)
        await engine.wait_closed()

    asyncio.run(serve())
    gc.collect()
    assert alive() == NOTHING


class ShortLoop(asyncio.SelectorEventLoop):
    """An event loop with which, once `short` is set, one task cannot be made."""

    short = False

    def get_debug(self) -> bool:
        """Fail, but not for a handle of the loop's own."""
        if self.short and sys._getframe(1).f_code.co_name != "__init__":
            self.short = False
            raise MemoryError
        return super().get_debug()


@pytest.mark.parametrize("pipelined", [False, True])
def test_a_request_whose_task_cannot_be_made_leaves_nothing(pipelined: bool) -> None:
    async def app(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ShortLoop)
        loop.short = True
        await send({"type": "http.response.body", "body": b"ok"})

    def ask(address: tuple[str, int]) -> None:
        request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        with connected(address, False) as client:
            client.sendall(request * 2 if pipelined else request)
            answer = b""
            while not answer.endswith(b"ok"):
                answer += client.recv(65536)
            if not pipelined:
                client.sendall(request)
            assert client.recv(65536) == b""

    async def serve() -> None:
        with listening() as sock:
            engine = ASGIEngine(app, Settings(), loop=asyncio.get_running_loop())
            engine.add_listener(sock)
            engine.start()
            await asyncio.to_thread(ask, sock.getsockname())
            engine.drain(600)
            await asyncio.wait_for(engine.wait_closed(), 10)

    with asyncio.Runner(loop_factory=ShortLoop) as runner:
        runner.run(serve())
    gc.collect()
    assert alive() == NOTHING
