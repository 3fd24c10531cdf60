"""Clients that stop or crawl: who is cut, and with what answer. The deadlines of these servers are short."""

from __future__ import annotations

import contextlib
import itertools
import threading

import pytest

from tests.engine.conftest import DEADLINE_S, TLS_WAYS, WAYS, server_fixture
from tests.engine.wire import GET, Wire
from tests.support.pace import Pace, paced
from tests.support.processes import Portway, standing_still

HEAD = GET % b"/hello"
POST = b"POST %s HTTP/1.1\r\nHost: portway.test\r\nContent-Length: 10\r\n\r\n"
CRUMB_S = 0.1
STALLED = "reader stalled for write-timeout"

WRITE_S = 0.8

impatient = server_fixture("app", "--write-timeout", str(WRITE_S), ways=(*WAYS, *TLS_WAYS))


def crumbs(wire: Wire, data: bytes, pace: Pace | None = None) -> bytes:
    """Send a byte every tenth of a second until the server answers; return the beginning of its answer."""
    wire.sock.settimeout(CRUMB_S)
    for byte in itertools.chain(data, b"x" * 100):
        wire.send_some([bytes([byte])])
        if pace is not None:
            pace.step()
        with contextlib.suppress(TimeoutError):
            return wire.sock.recv(65536)
    raise AssertionError("the server let a slow client go on for ever")


@pytest.mark.parametrize("data", [b"G", b"GET / HTTP/1.1\r\n", HEAD[:-2], HEAD[:-1]])
def test_a_head_that_stops(hurried: Portway, data: bytes) -> None:
    for pace in paced(DEADLINE_S):
        with pace, Wire(hurried.address) as wire:
            wire.send(data)
            pace.over()
            response = wire.final()
            assert (response.status, response.closes) == (408, True)
            wire.end()


def test_a_head_in_crumbs(hurried: Portway) -> None:
    """Every byte comes in time, the head as a whole does not."""
    for pace in paced(DEADLINE_S):
        with pace, Wire(hurried.address) as wire:
            wire.send(HEAD[:1])
            pace.over()
            assert crumbs(wire, HEAD[1:]).startswith(b"HTTP/1.1 408 ")


def test_a_head_in_crumbs_on_a_connection_that_was_used(hurried: Portway) -> None:
    for pace in paced(DEADLINE_S):
        with pace, Wire(hurried.address) as wire:
            assert wire.get("/hello").status == wire.get("/hello").status == 200
            wire.send(HEAD[:1])
            pace.over()
            assert crumbs(wire, HEAD[1:]).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("data", [HEAD, POST % b"/echo" + b"0123456789"])
def test_what_came_in_time_is_answered_however_late_it_is_read(hurried: Portway, data: bytes) -> None:
    """The worker stands still until the deadline is long over: that is no fault of the client."""
    (worker,) = hurried.workers()
    for pace in paced(DEADLINE_S):
        with pace, Wire(hurried.address) as wire:
            wire.send(HEAD + data[:-5])
            assert wire.final().body == b"hello"
            with standing_still(worker):
                wire.send(data[-5:])
                pace.over()
                threading.Event().wait(DEADLINE_S * 2)
            assert wire.final().status == 200


@pytest.mark.parametrize("data", [b"", b"\r\n"])
def test_silence_is_closed_without_a_word(hurried: Portway, data: bytes) -> None:
    with Wire(hurried.address) as wire:
        wire.send_some([data])
        wire.end()


def test_an_idle_connection_is_closed_without_a_word(hurried: Portway) -> None:
    for pace in paced(DEADLINE_S):
        with pace, Wire(hurried.address) as wire:
            assert not wire.get("/hello").closes
            pace.over()
            wire.end()


@pytest.mark.parametrize("data", [b"", b"12345"])
def test_a_body_that_stops(hurried: Portway, data: bytes) -> None:
    for pace in paced(DEADLINE_S):
        with pace, Wire(hurried.address) as wire:
            wire.send(POST % b"/echo" + data)
            pace.over()
            response = wire.final()
            assert (response.status, response.closes) == (408, True)
            wire.end()


def test_a_body_in_crumbs_is_waited_for(hurried: Portway) -> None:
    """The deadline of a body is one of silence: a slow line may upload something."""
    for pace in paced(DEADLINE_S / 2):
        with pace, Wire(hurried.address) as wire:
            wire.send(POST % b"/echo")
            pace.step()
            assert crumbs(wire, b"0123456789", pace).endswith(b"\r\n\r\n0123456789")


def test_a_body_that_nobody_reads_and_that_stops(hurried: Portway) -> None:
    """ASGI answers first and then waits a little for the rest; WSGI wants the body before it calls."""
    for pace in paced(DEADLINE_S):
        with pace, Wire(hurried.address) as wire:
            wire.send(POST % b"/hello")
            pace.over()
            assert wire.final().status in (200, 408)
            wire.end()


@pytest.mark.parametrize("path", [b"/big?30000000", b"/stream?30000000"])
def test_a_reader_that_stops(impatient: Portway, path: bytes) -> None:
    before = impatient.log.count(STALLED)
    with Wire(impatient.address, receive_buffer=4096) as wire:
        wire.send(GET % path)
        impatient.wait_for(STALLED, count=before + 1)
        assert len(wire.rest()) < 30_000_000
    with Wire(impatient.address) as wire:
        assert wire.get("/hello").body == b"hello"


def test_a_reader_that_stops_and_talks(impatient: Portway) -> None:
    """What a client sends says nothing about its reading."""
    before = impatient.log.count(STALLED)
    with Wire(impatient.address, receive_buffer=4096) as wire:
        wire.send(GET % b"/big?30000000")
        for _ in range(50):
            with contextlib.suppress(AssertionError):
                impatient.wait_for(STALLED, count=before + 1, timeout_s=CRUMB_S)
                break
            wire.send_some([b"G"])
        else:
            pytest.fail("a client that reads nothing kept its response by sending crumbs")


def test_a_reader_that_crawls(impatient: Portway) -> None:
    """Slow is not stalled: each pause is shorter than the deadline, all together are much longer."""
    size = 6_000_000
    for pace in paced(WRITE_S / 2):
        with pace, Wire(impatient.address, receive_buffer=65536) as wire:
            wire.send(GET % b"/big?%d" % size)
            for turn in range(1, 13):
                # less than that TCP does not tell the server of; TLS gives it out in records of 16 KiB
                while len(wire.received) < turn * 65536:
                    assert wire.more()
                    pace.step()
                threading.Event().wait(0.15)
            assert wire.final().body == b"x" * size
