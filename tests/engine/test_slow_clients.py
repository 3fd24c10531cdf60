"""Slow clients hold nobody up, not even with one thread: they wait in the engine, not in the application."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engine.conftest import TLS_WAYS, WAYS, serve
from tests.engine.wire import GET, Wire
from tests.support.processes import Portway

MANY = 25
POST = b"POST %s HTTP/1.1\r\nHost: portway.test\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(scope="module", params=(*WAYS, *TLS_WAYS))
def single(request: pytest.FixtureRequest) -> Iterator[Portway]:
    """A server with one worker, and in it one thread."""
    with serve(request.param, "app", "--threads", "1", "--body-memory", "65536") as server:
        yield server.ready()
        assert "failed at engine" not in server.log, server.log


def spooled(server: Portway) -> int:
    """Return how many bytes the worker keeps in temporary files."""
    (worker,) = server.workers()
    folder = f"/proc/{worker}/fd"
    total = 0
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            where = os.readlink(f"{folder}/{name}")
            if where.endswith("(deleted)") and not where.startswith("/memfd:"):
                total += os.stat(f"{folder}/{name}").st_size
    return total


def open_many(stack: ExitStack, server: Portway, data: bytes) -> list[Wire]:
    """Open many connections and send the same on each."""
    wires = [stack.enter_context(Wire(server.address, receive_buffer=4096)) for _ in range(MANY)]
    for wire in wires:
        wire.send(data)
    return wires


def assert_serves(server: Portway) -> None:
    """See that somebody else is served, on a new connection and on a kept one."""
    with Wire(server.address) as wire:
        for _ in range(20):
            assert wire.get("/hello").body == b"hello"


def test_heads_that_are_not_complete(single: Portway) -> None:
    head = GET % b"/hello"
    with ExitStack() as stack:
        wires = open_many(stack, single, head[:20])
        assert_serves(single)
        for wire in wires:
            wire.send(head[20:])
        assert [wire.final().body for wire in wires] == [b"hello"] * MANY


def test_bodies_that_are_not_complete(single: Portway) -> None:
    with ExitStack() as stack:
        wires = open_many(stack, single, POST % (b"/echo", 10) + b"01234")
        assert_serves(single)
        for wire in wires:
            wire.send(b"56789")
        assert [wire.final().body for wire in wires] == [b"0123456789"] * MANY


def test_readers_that_read_nothing_yet(single: Portway) -> None:
    size = 8_000_000
    with ExitStack() as stack:
        wires = open_many(stack, single, GET % b"/big?%d" % size)
        assert_serves(single)
        for wire in wires[::5]:
            response = wire.final()
            assert response.body == b"x" * size
            assert wire.get("/hello").body == b"hello"


def test_readers_of_a_stream_that_read_nothing_yet(single: Portway) -> None:
    size = 8_000_000
    with ExitStack() as stack:
        wires = open_many(stack, single, GET % b"/stream?%d" % size)
        assert_serves(single)
        for wire in wires[::5]:
            assert wire.final().body == b"y" * size
            assert wire.get("/hello").body == b"hello"


def test_a_big_body_waits_in_a_file(single: Portway) -> None:
    body = os.urandom(1 << 20) * 3
    with Wire(single.address) as wire, Wire(single.address) as other:
        wire.send(POST % (b"/sum", len(body)) + body[:-1])
        assert other.get("/hello").body == b"hello"
        if "WSGI" in single.log:
            # the leader may not have received all of it yet: one more round trip at a time
            while spooled(single) < len(body) - 65536:
                assert other.get("/hello").body == b"hello"
        wire.send(body[-1:])
        assert wire.final().body == f"{len(body)} {zlib.crc32(body):08x}".encode()
        assert wire.get("/hello").body == b"hello"
    assert spooled(single) == 0


def test_a_big_response_waits_in_a_file(single: Portway) -> None:
    size = 30_000_000
    with Wire(single.address, receive_buffer=4096) as wire, Wire(single.address) as other:
        wire.send(GET % b"/stream?%d" % size)
        assert other.get("/hello").body == b"hello"
        if "WSGI" in single.log:
            while spooled(single) <= size * 0.7:  # the other may have been answered before the stream began
                assert other.get("/hello").body == b"hello"
            assert spooled(single) < size
        else:
            assert spooled(single) == 0  # ASGI makes the application wait instead
        assert wire.final().body == b"y" * size
        assert other.get("/hello").body == b"hello"
    assert spooled(single) == 0


def test_a_file_of_a_client_that_went_away_is_gone(single: Portway) -> None:
    with Wire(single.address) as other:
        for request in (GET % b"/stream?30000000", POST % (b"/sum", 1 << 20) + b"z" * (1 << 19)):
            with Wire(single.address, receive_buffer=4096) as wire:
                wire.send(request)
                assert other.get("/hello").body == b"hello"
        while spooled(single):
            assert other.get("/hello").body == b"hello"


def test_a_stream_goes_on_while_its_client_reads(single: Portway, tmp_path: Path) -> None:
    """What the socket had no room for is sent while the application goes on, not at its end (PEP 3333)."""
    mark = tmp_path / "arrived"
    with Wire(single.address, receive_buffer=4096) as wire:
        wire.send(GET % b"/ticks?%s" % str(mark).encode())
        got = 0
        while got < 3_000_000:
            wire.received = b""
            assert wire.more()
            got += len(wire.received)
        mark.touch()
        assert b"seen" in wire.rest_of_chunks()
