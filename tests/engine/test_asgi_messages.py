"""ASGI `receive` and `send`: streaming both ways with backpressure, disconnects in time, extensions."""

from __future__ import annotations

import os

import pytest

from tests.engine.conftest import ASGI_WAYS, server_fixture
from tests.engine.wire import GET, Wire
from tests.support.processes import Portway

served = server_fixture("conformance", ways=(*ASGI_WAYS, "asgi-epoll-tls"))

POST = b"POST %s HTTP/1.1\r\nHost: portway.test\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST %s HTTP/1.1\r\nHost: portway.test\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def asgi(served: Portway) -> Portway:
    """A server whose application remembers nothing of earlier tests."""
    with Wire(served.address) as wire:
        assert wire.get("/forget").status == 200
    return served


def happened(server: Portway, what: str) -> int:
    """Wait until something happened in the application; return how often it has."""
    with Wire(server.address) as wire:
        response = wire.get(f"/happened?{what}")
        assert response.status == 200, f"{what} did not happen"
        return int(response.body)


# -- receive


def test_pieces_reach_the_application_as_they_come(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        wire.send(CHUNKED % b"/echo")
        for piece in (b"one", b"two", b"three"):
            wire.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            while piece not in wire.received:
                wire.received += wire.sock.recv(65536)
        wire.send(b"0\r\n\r\n")
        assert wire.final().body == b"onetwothree"
        assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize("size", [0, 1, 65536, 3_000_000])
def test_bodies_of_any_size(asgi: Portway, size: int) -> None:
    data = os.urandom(size)
    with Wire(asgi.address) as wire:
        wire.send(POST % (b"/echo", size) + data)
        assert wire.final().body == data


def test_the_end_of_a_body_is_given_once(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        assert wire.get("/receive-after-the-body").body == b"hello"
        assert wire.get("/hello").body == b"hello"
    assert happened(asgi, "told-after-the-response") == 1


def test_disconnect_while_the_application_waits(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        wire.send(GET % b"/wait-for-the-end")
        assert happened(asgi, "waiting") == 1
    assert happened(asgi, "end-http.disconnect") == 1


def test_send_after_a_disconnect_raises_oserror(asgi: Portway) -> None:
    """ASGI 2.4 and later: a subclass of OSError, which the log does not call an application's failure."""
    with Wire(asgi.address) as wire:
        wire.send(GET % b"/stream-until-the-end")
        wire.sock.recv(1)
    assert happened(asgi, "stream-ClientDisconnected") == 1
    assert "failed at GET /stream-until-the-end" not in asgi.log


def test_disconnect_in_the_middle_of_a_body(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        wire.send(POST % (b"/upload-until-the-end", 10) + b"hello")
        assert happened(asgi, "upload-http.request") == 1
    assert happened(asgi, "upload-http.disconnect") == 1


def test_a_disconnect_does_not_cancel_the_application(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        wire.send(GET % b"/wait-for-note")
        assert happened(asgi, "begun") == 1
    with Wire(asgi.address) as wire:
        assert wire.get("/note?go-on").body == b"noted"
    assert happened(asgi, "went-on") == 1


def test_two_may_wait_for_the_same_body(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        wire.send(POST % (b"/two-wait", 5))
        assert happened(asgi, "one-cancelled") == 1
        wire.send(b"hello")
        assert wire.final().body == b"hello"


def test_a_wait_that_is_given_up_loses_nothing(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        wire.send(POST % (b"/timeout", 5))
        assert happened(asgi, "timed-out") == 1
        wire.send(b"hello")
        assert wire.final().body == b"hello"


def test_a_body_that_the_application_does_not_want_yet_is_not_read(asgi: Portway) -> None:
    """Backpressure: the sender stands still, with some tens of kilobytes on the way and no more in memory."""
    size = 20_000_000
    with Wire(asgi.address) as wire:
        wire.sock.settimeout(1.0)
        wire.send(POST % (b"/slow-reader", size))
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < size:
                sent += wire.sock.send(b"z" * 65536)
        assert sent < size - 1_000_000
        with Wire(asgi.address) as other:
            assert other.get("/note?read").body == b"noted"
        wire.sock.settimeout(15.0)
        wire.send(b"z" * (size - sent))
        total, largest = map(int, wire.final().body.split())
        assert total == size
        assert largest <= 4 * 65536


# -- send


def test_send_waits_for_the_client(asgi: Portway) -> None:
    with Wire(asgi.address, receive_buffer=65536) as wire, Wire(asgi.address) as other:
        wire.send(GET % b"/backpressure")
        before = -1
        while (now := int(other.get("/sent").body)) != before:  # until it stands still
            before = now
        assert before < 320 * 65536
        assert wire.final().body == b"z" * 320 * 65536
        assert int(other.get("/sent").body) == 320 * 65536


def test_early_hints(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        wire.send(GET % b"/early-hint" * 2)
        for _ in range(2):
            interim = wire.response()
            assert interim.status == 103
            assert interim.fields == (("link", "</a.css>; rel=preload"), ("link", "</a.js>; rel=preload"))
            assert wire.final().body == b"hello"
        wire.send(b"GET /early-hint HTTP/1.0\r\n\r\n")
        assert wire.final().body == b"hello"


def test_trailers(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        wire.send(GET % b"/trailers" * 2)
        for _ in range(2):
            response = wire.final()
            assert response.body == b"one two"
            assert response.trailers == (("x-sum", "6"), ("x-more", "1"))


@pytest.mark.parametrize("start", [b"GET /trailers-with-a-length HTTP/1.1", b"HEAD /trailers HTTP/1.1"])
def test_trailers_where_there_is_no_place_for_them(asgi: Portway, start: bytes) -> None:
    with Wire(asgi.address) as wire:
        wire.send(start + b"\r\nHost: a\r\n\r\n")
        assert wire.final(start.split()[0].decode()).trailers == ()
        assert wire.get("/hello").body == b"hello"


def test_trailers_and_an_older_client(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        wire.send(b"GET /trailers HTTP/1.0\r\n\r\n")
        assert wire.final().body == b"one two"


@pytest.mark.parametrize(
    ("path", "body"),
    [("/pathsend", b"0123456789" * 300_000), ("/zerocopysend", b"bytes 23489" + b"0123456789")],
)
def test_files(asgi: Portway, path: str, body: bytes) -> None:
    with Wire(asgi.address) as wire:
        wire.send(GET % path.encode() * 2)
        assert wire.final().body == body
        assert wire.final().body == body
        wire.send(b"HEAD " + path.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.final("HEAD").body == b""
        assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize(
    "path",
    [
        *("/pathsend-of-nothing", "/pathsend-of-a-directory", "/head-is-not-sent-early"),
        *("/zerocopysend-of-nonsense?count=-5", "/zerocopysend-of-nonsense?offset=-1"),
        *("/zerocopysend-of-nonsense?file=9999", "/zerocopysend-of-nonsense?file="),
    ],
)
def test_files_that_cannot_be_sent(asgi: Portway, path: str) -> None:
    with Wire(asgi.address) as wire:
        response = wire.get(path)
        assert (response.status, response.all("x-never")) == (500, [])
        assert wire.get("/hello").body == b"hello"


def test_nothing_can_be_sent_when_the_response_is_over(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        assert wire.get("/keep-send").body == b"hello"
        with Wire(asgi.address) as other:
            outcomes = other.get("/use-kept-send").body.decode().split()
        assert wire.get("/hello").body == b"hello"
    assert outcomes == ["RuntimeError"] * 4
