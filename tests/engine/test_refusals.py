"""Hostile requests over real sockets: the right status, a closed connection, and nothing of them served."""

from __future__ import annotations

import random

import pytest

from tests.engine.feeding import pieces
from tests.engine.hostile import HEADS, SMUGGLED, Attack
from tests.engine.hostile_bodies import CHUNKED
from tests.engine.wire import GET, Wire
from tests.support.processes import Portway


def cut(data: bytes) -> list[bytes]:
    """Cut bytes at three places, the same ones in every run."""
    chance = random.Random(data)
    return pieces(data, sorted(chance.sample(range(1, len(data)), 3)))


def chunked(path: bytes, body: bytes) -> bytes:
    """Put a head in front of a chunked body."""
    return b"POST " + path + b" HTTP/1.1\r\nHost: portway.test\r\nTransfer-Encoding: chunked\r\n\r\n" + body


def assert_refused(server: Portway, status: int, *data: bytes) -> None:
    """Send something hostile; see that it gets one answer, the refusal, and the end of the connection."""
    with Wire(server.address) as wire:
        wire.send_some(data)
        response = wire.final()
        assert (response.status, response.closes) == (status, True), response
        assert response["content-type"] == "text/plain"
        assert response.body.decode() == f"{status} {response.reason}\n"
        wire.end()
    assert_nothing_smuggled(server)


def assert_nothing_smuggled(server: Portway) -> None:
    """See that the server is well, and that nobody got it to serve what an attack had hidden in it."""
    with Wire(server.address) as wire:
        assert wire.get("/calls?/smuggled").body == b"0"
        assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize("attack", HEADS, ids=lambda attack: attack.name)
def test_hostile_head(server: Portway, attack: Attack) -> None:
    assert_refused(server, attack.status, attack.data + SMUGGLED)
    assert_refused(server, attack.status, *cut(attack.data), SMUGGLED)


@pytest.mark.parametrize("attack", HEADS[::7], ids=lambda attack: attack.name)
def test_hostile_head_behind_a_good_request(server: Portway, attack: Attack) -> None:
    """A connection that has been trusted is trusted no more than a new one."""
    good = GET % b"/hello"
    with Wire(server.address) as wire:
        assert wire.get("/hello").status == wire.get("/hello").status == 200  # from here on there is a memo
        wire.send(good + attack.data + SMUGGLED)
        assert wire.final().body == b"hello"
        assert wire.final().status == attack.status
        wire.end()
    assert_nothing_smuggled(server)


@pytest.mark.parametrize("attack", CHUNKED, ids=lambda attack: attack.name)
def test_hostile_body(server: Portway, attack: Attack) -> None:
    assert_refused(server, attack.status, chunked(b"/echo", attack.data + SMUGGLED))
    assert_refused(server, attack.status, *cut(chunked(b"/echo", attack.data)), SMUGGLED)


@pytest.mark.parametrize("attack", CHUNKED, ids=lambda attack: attack.name)
def test_hostile_body_that_the_application_does_not_read(server: Portway, attack: Attack) -> None:
    """It may have answered before the fault is seen; nothing behind the fault is served."""
    with Wire(server.address) as wire:
        wire.send_some([chunked(b"/hello", attack.data + SMUGGLED)])
        response = wire.final()
        assert response.status == attack.status or response.body == b"hello"
        wire.end()
    assert_nothing_smuggled(server)


@pytest.mark.parametrize("status", [b"400", b"501"])
def test_head_is_refused_without_a_body(server: Portway, status: bytes) -> None:
    line = {b"400": b"Host: other.test", b"501": b"Transfer-Encoding: x"}[status]
    with Wire(server.address) as wire:
        wire.send(b"HEAD / HTTP/1.1\r\nHost: portway.test\r\n" + line + b"\r\n\r\n")
        assert wire.final("HEAD").status == int(status)
        wire.end()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /" + b"a" * 300, 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 300 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 300, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"X: " + b"a" * 200 + b"\r\n") * 4 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 10 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n", 413),
        (chunked(b"/echo", b"186a1\r\n"), 413),
        (chunked(b"/echo", b"186a0\r\n" + b"z" * 100_000 + b"\r\n1\r\nz"), 413),
    ],
)
def test_over_a_limit(tight: Portway, data: bytes, status: int) -> None:
    assert_refused(tight, status, data)


def test_the_largest_body_that_is_allowed(tight: Portway) -> None:
    body = b"z" * 100_000
    with Wire(tight.address) as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + body)
        assert wire.final().body == body
        wire.send(
            chunked(
                b"/echo", b"c350\r\n" + body[:50_000] + b"\r\nc350\r\n" + body[50_000:] + b"\r\n0\r\n\r\n"
            )
        )
        assert wire.final().body == body


def test_refusals_are_logged_without_the_peers_words(server: Portway) -> None:
    with Wire(server.address) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nSecret\x1b[31m\r\n\r\n")
        assert wire.final().status == 400
    server.wait_for(r"warning: (refused a request from 127\.0\.0\.1: 400, |\d+ more refused)")
    assert "\x1b" not in server.log
    assert "Secret" not in server.log
