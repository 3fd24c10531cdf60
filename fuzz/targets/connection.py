"""A whole connection: any bytes, cut anywhere, with both drivers. What the parser sees in them is served."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fuzz.serving import serve_asgi, serve_wsgi
from portway.engine.head import HeadParser
from tests.engine.differential.seen import Incomplete, Rejection, Request, by_portway
from tests.engine.wire import Response, Wire

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ALLOWED = ()


def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with a digest of what was asked."""
    start_response("200 OK", [])
    body = environ["wsgi.input"].read()
    return [digest(environ["REQUEST_METHOD"], environ["RAW_URI"].partition("?")[2], body)]


async def asgi_app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Do the same."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200})
    text = digest(scope["method"], scope["query_string"].decode(), body)
    await send({"type": "http.response.body", "body": text})


def digest(method: str, query: str, body: bytes) -> bytes:
    """Return what an application answers to a request."""
    return hashlib.sha256(f"{method} {query} ".encode() + body).hexdigest().encode()


PARSER = HeadParser()
SERVERS = [serve_wsgi(wsgi_app), serve_asgi(asgi_app)]


def one(data: bytes) -> None:
    """Send the bytes and the end of the connection; the first byte says how they are cut."""
    if len(data) < 2:
        return
    address, report = SERVERS[data[0] % 2]
    step, data = data[0] // 2 + 1, data[1:]
    with Wire(address) as wire:
        wire.send_some([data] if step > 64 else [data[at : at + step] for at in range(0, len(data), step)])
        try:
            wire.shut()
        except OSError:
            pass  # it has closed already
        check(wire, data)
    report.faults[:] = [fault for fault in report.faults if not isinstance(fault, tuple)]
    assert not report.faults, report.faults


def check(wire: Wire, data: bytes) -> None:
    """Compare the answers with what is asked, request by request."""
    while True:
        seen = by_portway(data, PARSER)
        if not isinstance(seen, Request):
            break
        response = answer(wire, seen.method.decode("latin-1"))
        assert response is not None, seen
        assert response.status == 200, (seen, response)
        expected = digest(seen.method.decode(), seen.target.partition(b"?")[2].decode(), seen.body)
        assert response.body == (b"" if seen.method == b"HEAD" else expected), (seen, response)
        if response.closes or (seen.minor == 0 and response.all("connection") != ["keep-alive"]):
            wire.end()
            return
        data = seen.rest
    while data.startswith(b"\r\n"):
        data = data[2:]
    response = answer(wire, "HEAD" if data.startswith(b"HEAD ") else "GET")
    if isinstance(seen, Incomplete) and not data:
        assert response is None, response
        return
    assert isinstance(seen, Rejection | Incomplete)
    assert response is None or (response.status >= 400 and response.closes), (seen, response)
    assert wire.rest() == b""


def answer(wire: Wire, method: str) -> Response | None:
    """Return the next final answer, None when the connection ends instead."""
    while wire.received or wire.more():
        response = wire.response("HEAD" if method == "HEAD" else "GET")
        if response.status >= 200:
            return response
    return None
