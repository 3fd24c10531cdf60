"""Clients that say they are done (a half-closed connection), and clients that are gone."""

from __future__ import annotations

import socket
import struct

import pytest

from tests.engine.conftest import TLS_WAYS, WAYS, serve, server_fixture
from tests.engine.wire import GET, Wire
from tests.support.processes import Portway

HELLO = GET % b"/hello"
RESET = struct.pack("ii", 1, 0)

server = server_fixture("app", ways=(*WAYS, *TLS_WAYS))


@pytest.mark.parametrize("count", [1, 3, 40])
def test_everything_sent_before_is_answered(server: Portway, count: int) -> None:
    with Wire(server.address) as wire:
        wire.send(HELLO * count)
        wire.shut()
        for _ in range(count):
            assert wire.final().body == b"hello"
        wire.end()


def test_a_big_answer_arrives_whole(server: Portway) -> None:
    with Wire(server.address) as wire:
        wire.send(GET % b"/big?5000000")
        wire.shut()
        assert wire.final().body == b"x" * 5_000_000
        wire.end()


def test_a_body_that_was_complete(server: Portway) -> None:
    with Wire(server.address) as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        wire.shut()
        assert wire.final().body == b"hello"
        wire.end()


def test_an_application_that_takes_its_time(server: Portway) -> None:
    with Wire(server.address) as wire, Wire(server.address) as other:
        wire.send(GET % b"/hold?half-closed")
        wire.shut()
        assert other.get("/release?half-closed").body == b"released"
        assert wire.final().body == b"held"
        wire.end()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HT",
        HELLO[:-1],
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ],
)
def test_what_is_cut_off_is_refused(server: Portway, data: bytes) -> None:
    """A body that ends early is not a short body (RFC 9112 section 8)."""
    with Wire(server.address) as wire:
        wire.send(HELLO + data)
        wire.shut()
        assert wire.final().body == b"hello"
        assert wire.final().status == 400
        wire.end()


def test_nothing_sent_at_all(server: Portway) -> None:
    with Wire(server.address) as wire:
        wire.shut()
        wire.end()


@pytest.mark.parametrize(
    "data",
    [b"", b"GET", HELLO, HELLO * 50, GET % b"/big?9000000", GET % b"/stream?9000000", GET % b"/pieces"],
)
def test_a_reset_harms_nobody(server: Portway, data: bytes) -> None:
    for _ in range(5):
        with Wire(server.address) as wire:
            wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            wire.send(data)
    with Wire(server.address) as wire:
        assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize("way", (*WAYS, *TLS_WAYS))
def test_a_half_closed_client_costs_no_processor_time(way: str) -> None:
    """waitress once span for ever on one; here nothing runs while the application waits."""
    with serve(way) as server, Wire(server.address) as wire, Wire(server.address) as other:
        (worker,) = server.ready().workers()
        wire.send(GET % b"/hold?idle")
        wire.shut()
        assert other.get("/hello").status == 200
        before = processor_s(worker)
        with pytest.raises(AssertionError):
            server.wait_for("this line never comes", timeout_s=1.0)
        assert processor_s(worker) - before < 0.2
        assert other.get("/release?idle").body == b"released"
        assert wire.final().body == b"held"


def processor_s(pid: int) -> float:
    """Return the processor time that a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        user, system = stat.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / 100


def test_half_a_head_behind_a_request(server: Portway) -> None:
    """The end came while the application had the request before it: it is not waited for again."""
    with Wire(server.address) as wire, Wire(server.address) as other:
        wire.send(GET % b"/hold?half-a-head" + HELLO[:-3])
        wire.shut()
        assert other.get("/release?half-a-head").body == b"released"
        assert wire.final().body == b"held"
        assert wire.final().status == 400
        wire.end()


def test_a_client_that_is_gone_breaks_no_other(server: Portway) -> None:
    """What a thread was told of the one is not taken for the other's."""
    for _ in range(20):
        with Wire(server.address) as wire, Wire(server.address) as gone:
            wire.send(HELLO[:-3])
            gone.send(GET % b"/big?5000000")
            assert gone.more()
            gone.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            gone.sock.close()
            wire.shut()
            assert wire.final().status == 400
            wire.end()


def test_half_a_body_behind_a_request(server: Portway) -> None:
    """The same inside a body: nothing waits for body-timeout."""
    with Wire(server.address) as wire, Wire(server.address) as other:
        half = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc"
        wire.send(GET % b"/hold?half-a-body" + half)
        wire.shut()
        assert other.get("/release?half-a-body").body == b"released"
        assert wire.final().body == b"held"
        assert wire.final().status == 400
        wire.end()
