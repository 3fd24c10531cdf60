"""Raw exchanges with real servers: what is sent, what is answered, and whether the connection lives on."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.engine.conftest import WAYS, server_fixture
from tests.engine.wire import GET, Response, Wire
from tests.support.processes import Portway

HOST = b"Host: portway.test\r\n"
HELLO = GET % b"/hello"
KEPT = "kept"
CLOSED = "closed"

server = server_fixture("app", ways=(*WAYS, "wsgi-epoll-tls", "asgi-epoll-tls"))


@dataclass(frozen=True)
class Exchange:
    """Bytes, and what they lead to.

    Attributes:
        name: What it is about.
        data: What is sent.
        answers: Status and body of each response; a method in front where it is not GET.
        end: KEPT: the next request on the connection is answered. CLOSED: the server closes it.
    """

    name: str
    data: bytes
    answers: tuple[tuple[int, bytes] | tuple[str, int, bytes], ...] = ((200, b"hello"),)
    end: str = KEPT


def request(start: bytes, *lines: bytes, body: bytes = b"") -> bytes:
    """Return a request with a Host field."""
    return start + b"\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def post(path: bytes, body: bytes, *lines: bytes) -> bytes:
    """Return a POST request with a Content-Length."""
    return request(b"POST " + path + b" HTTP/1.1", b"Content-Length: %d" % len(body), *lines, body=body)


def chunked(path: bytes, *chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """Return a POST request with a chunked body."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end
    return request(b"POST " + path + b" HTTP/1.1", b"Transfer-Encoding: chunked", body=body)


PERSISTENCE = (
    Exchange("keep-alive is the default in 1.1", HELLO),
    Exchange("Connection: keep-alive in 1.1", request(b"GET /hello HTTP/1.1", b"Connection: keep-alive")),
    Exchange("Connection: close", request(b"GET /hello HTTP/1.1", b"Connection: close"), end=CLOSED),
    Exchange("close among others", request(b"GET /hello HTTP/1.1", b"Connection: x, Close"), end=CLOSED),
    Exchange("close is the default in 1.0", b"GET /hello HTTP/1.0\r\n\r\n", end=CLOSED),
    Exchange("keep-alive in 1.0", b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
    Exchange(
        "close wins over keep-alive", request(b"GET / HTTP/1.1", b"Connection: keep-alive, close"), end=CLOSED
    ),
    Exchange("the application closes", GET % b"/close", ((200, b"closing"),), CLOSED),
    Exchange("an empty line before a request", b"\r\n" + HELLO),
    Exchange(
        "an upgrade that nobody serves", request(b"GET / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: h2c")
    ),
)
PIPELINING = (
    Exchange("two", HELLO * 2, ((200, b"hello"),) * 2),
    Exchange("more than one turn takes", HELLO * 100, ((200, b"hello"),) * 100),
    Exchange("behind a body", post(b"/echo", b"abc") + HELLO, ((200, b"abc"), (200, b"hello"))),
    Exchange(
        "behind a chunked body", chunked(b"/echo", b"a", b"bc") + HELLO, ((200, b"abc"), (200, b"hello"))
    ),
    Exchange("behind a body nobody reads", post(b"/hello", b"abc") + HELLO, ((200, b"hello"),) * 2),
    Exchange(
        "nothing behind a close", request(b"GET /hello HTTP/1.1", b"Connection: close") + HELLO, end=CLOSED
    ),
    Exchange(
        "nothing behind an error", HELLO + b"GET\r\n\r\n" + HELLO, ((200, b"hello"), (400, b"")), CLOSED
    ),
    Exchange(
        "different methods", GET % b"/a" + request(b"HEAD / HTTP/1.1"), ((200, b"hello"), ("HEAD", 200, b""))
    ),
)
METHODS = (
    Exchange("HEAD", request(b"HEAD /hello HTTP/1.1"), (("HEAD", 200, b""),)),
    Exchange("HEAD of a stream", request(b"HEAD /stream?200000 HTTP/1.1"), (("HEAD", 200, b""),)),
    Exchange("HEAD of a big answer", request(b"HEAD /big?200000 HTTP/1.1"), (("HEAD", 200, b""),)),
    Exchange("HEAD in 1.0", b"HEAD /hello HTTP/1.0\r\n\r\n", (("HEAD", 200, b""),), CLOSED),
    Exchange("OPTIONS with a path", request(b"OPTIONS /hello HTTP/1.1")),
    Exchange("OPTIONS with an asterisk", request(b"OPTIONS * HTTP/1.1")),
    Exchange("TRACE is the application's", request(b"TRACE /hello HTTP/1.1")),
    Exchange("a method nobody knows", request(b"FROBNICATE /hello HTTP/1.1")),
    Exchange(
        "GET with a body", request(b"GET /echo HTTP/1.1", b"Content-Length: 3", body=b"abc"), ((200, b"abc"),)
    ),
    Exchange("absolute-form", request(b"GET http://portway.test/echo HTTP/1.1"), ((200, b""),)),
)
STATUSES = (
    Exchange("204 has no body and no length", GET % b"/status/204", ((204, b""),)),
    Exchange("304 has no body", GET % b"/status/304", ((304, b""),)),
    Exchange("an empty 200", GET % b"/status/200", ((200, b""),)),
    Exchange("a status nobody knows", GET % b"/status/799", ((799, b""),)),
    Exchange("404 in 1.0", b"GET /status/404 HTTP/1.0\r\n\r\n", ((404, b""),), CLOSED),
)
BODIES = (
    Exchange("Content-Length", post(b"/echo", b"hello"), ((200, b"hello"),)),
    Exchange("Content-Length: 0", post(b"/echo", b""), ((200, b""),)),
    Exchange("no body at all", request(b"POST /echo HTTP/1.1"), ((200, b""),)),
    Exchange("a body that looks like a request", post(b"/echo", HELLO), ((200, HELLO),)),
    Exchange("chunked", chunked(b"/echo", b"he", b"llo"), ((200, b"hello"),)),
    Exchange("chunked and empty", chunked(b"/echo"), ((200, b""),)),
    Exchange(
        "trailers are read and dropped", chunked(b"/echo", b"a", end=b"0\r\nX: 1\r\n\r\n"), ((200, b"a"),)
    ),
    Exchange("many small chunks", chunked(b"/echo", *[b"ab"] * 5000), ((200, b"ab" * 5000),)),
    Exchange("a body of 300 KB", post(b"/echo", b"z" * 300_000), ((200, b"z" * 300_000),)),
    Exchange("unread and small", post(b"/hello", b"z" * 1000)),
    Exchange("unread, small and chunked", chunked(b"/hello", b"z" * 1000)),
    Exchange("in 1.0", b"POST /echo HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", ((200, b"abc"),), CLOSED),
)
FRAMING = (
    Exchange("pieces are chunked", GET % b"/pieces", ((200, b"one two three"),)),
    Exchange(
        "in 1.0 the end is the body's", b"GET /pieces HTTP/1.0\r\n\r\n", ((200, b"one two three"),), CLOSED
    ),
    Exchange(
        "also where 1.0 asked to keep",
        b"GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        ((200, b"one two three"),),
        CLOSED,
    ),
    Exchange("a big answer", GET % b"/big?3000000", ((200, b"x" * 3_000_000),)),
    Exchange("a big stream", GET % b"/stream?3000000", ((200, b"y" * 3_000_000),)),
    Exchange("the application fails", GET % b"/raise", ((500, b"Internal Server Error\n"),)),
)
EXCHANGES = (*PERSISTENCE, *PIPELINING, *METHODS, *STATUSES, *BODIES, *FRAMING)


def read_answers(wire: Wire, exchange: Exchange) -> list[Response]:
    """Read and check every response that is due."""
    responses = []
    for *method, status, body in exchange.answers:
        response = wire.final(str(*method) or "GET")
        assert response.status == status
        assert response.body == body or status >= 400, response
        responses.append(response)
    return responses


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_exchange(server: Portway, exchange: Exchange) -> None:
    with Wire(server.address) as wire:
        wire.send(exchange.data)
        last = read_answers(wire, exchange)[-1]
        assert last.closes == (exchange.end == CLOSED)
        if exchange.end == KEPT:
            assert wire.get("/hello").body == b"hello"
        else:
            wire.end()
    with Wire(server.address) as wire:
        assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_the_same_in_crumbs(server: Portway, exchange: Exchange) -> None:
    size = max(1, len(exchange.data) // 150)
    pieces = [exchange.data[at : at + size] for at in range(0, len(exchange.data), size)]
    with Wire(server.address) as wire:
        wire.send_some(pieces)
        last = read_answers(wire, exchange)[-1]
        assert last.closes == (exchange.end == CLOSED)
        assert exchange.end == CLOSED or wire.get("/hello").body == b"hello"
