"""Engines inside the fuzzer's own process, each in a thread, and the client that checks what they send."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from portway.config import Settings
from portway.config.settings import Process
from portway.engine.asgi import ASGIEngine
from portway.engine.wsgi import WSGIEngine
from tests.engine.wire import Ended, Response, Wire

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

FUZZED = b"%s /fuzzed HTTP/1.1\r\nHost: a\r\n\r\n"
AFTER = b"GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OWN = {"date", "server", "content-length", "transfer-encoding", "connection", "content-type"}


class Report:
    """Keeps what the engine itself calls a fault. What the application raised is nobody's concern."""

    def __init__(self) -> None:
        self.faults: list[object] = []

    def application_error(self, exc: BaseException, request: str) -> None:
        """Hear of an exception."""
        if request == "engine":
            self.faults.append(exc)

    def notice(self, key: str, text: str) -> None:
        """Hear of something worth a line."""

    def refused(self, status: int, why: str, client: str) -> None:
        """Hear of a refusal: the requests here are all well-formed."""
        self.faults.append((status, why))


def serve_wsgi(app: WSGIApplication) -> tuple[Any, Report]:
    """Serve a WSGI application for as long as the process lives; return the address and the report."""
    sock, report = socket.create_server(("127.0.0.1", 0)), Report()
    engine = WSGIEngine(app, Settings(process=Process(threads=1)), report=report, multiprocess=False)
    engine.add_listener(sock)
    threading.Thread(target=engine.run, daemon=True).start()
    return sock.getsockname(), report


def serve_asgi(
    app: Callable[..., Awaitable[None]], upgraded: Callable[..., Awaitable[None]] | None = None
) -> tuple[Any, Report]:
    """Serve an ASGI application for as long as the process lives; return the address and the report.

    Args:
        app: The application.
        upgraded: What answers requests that ask for another protocol.
    """
    sock, report = socket.create_server(("127.0.0.1", 0)), Report()
    threading.Thread(target=lambda: asyncio.run(_run(app, upgraded, sock, report)), daemon=True).start()
    return sock.getsockname(), report


async def _run(
    app: Callable[..., Awaitable[None]],
    upgraded: Callable[..., Awaitable[None]] | None,
    sock: socket.socket,
    report: Report,
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: report.faults.append(context))
    engine = ASGIEngine(app, Settings(), loop=loop, report=report)
    engine.upgraded = upgraded
    engine.add_listener(sock)
    engine.start()
    await engine.wait_closed()


def exchange(
    address: Any, report: Report, method: str, given: list[tuple[object, object]]
) -> Response | None:
    """Ask for what is fuzzed and for something else behind it; check both answers.

    The first may be cut off, with nothing behind it. The second, where it comes, is what it should be.

    Args:
        address: The server's.
        report: The server's.
        method: GET or HEAD.
        given: The fields that the application gave, as text; no others may come out.

    Returns:
        The first answer, None when it was cut off.
    """
    with Wire(address) as wire:
        wire.send(FUZZED % method.encode() + AFTER)
        first = _first(wire, method, given)
        if first is not None:
            _second(wire, first)
    assert not report.faults, report.faults
    return first


def _first(wire: Wire, method: str, given: list[tuple[object, object]]) -> Response | None:
    try:
        response = wire.response(method)
        while response.status < 200:
            _check_fields(response, given)
            response = wire.response(method)
    except Ended:
        assert wire.received.count(b"HTTP/1.1 ") <= 1
        return None
    _check_fields(response, given)
    return response


def _check_fields(response: Response, given: list[tuple[object, object]]) -> None:
    texts = {(str(name).lower(), str(value).strip(" \t")) for name, value in given}
    for name, value in response.fields:
        assert name in OWN or (name, value.strip(" \t")) in texts, (name, value)


def _second(wire: Wire, first: Response) -> None:
    try:
        second = wire.response()
    except Ended:
        assert wire.received == b"", wire.received
        return
    assert not first.closes
    assert (second.status, second.body) == (200, b"after"), second
    wire.end()
