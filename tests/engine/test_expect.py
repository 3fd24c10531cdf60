"""Expect: 100-continue (RFC 9110 section 10.1.1): the 100 comes when the application wants the body."""

from __future__ import annotations

import contextlib

import pytest

from tests.engine.conftest import DEADLINE_S, TLS_WAYS, WAYS, serve, server_fixture
from tests.engine.wire import Wire
from tests.support.pace import paced
from tests.support.processes import Portway

HEAD = b"POST %s HTTP/1.1\r\nHost: portway.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"

server = server_fixture("app", ways=(*WAYS, *TLS_WAYS))


def test_100_when_the_application_reads(server: Portway) -> None:
    with Wire(server.address) as wire:
        for _ in range(3):
            wire.send(HEAD % b"/echo")
            interim = wire.response()
            assert (interim.status, interim.fields) == (100, ())
            wire.send(b"hello")
            response = wire.final()
            assert (response.body, response.closes) == (b"hello", False)


def test_none_when_it_does_not(server: Portway) -> None:
    """Whether the client sends its body now nobody knows: the connection ends."""
    with Wire(server.address) as wire:
        wire.send(HEAD % b"/close")
        assert wire.final().body == b"closing"
        wire.end()
    with Wire(server.address) as wire:
        wire.send(HEAD % b"/hello")
        response = wire.final()
        assert (response.body, response.closes) == (b"hello", True)
        wire.send_some([b"hello", HEAD % b"/smuggled"])
        wire.end()


def test_a_client_that_does_not_wait(server: Portway) -> None:
    """RFC 9110 lets the server leave the 100 out once the body is there."""
    with Wire(server.address) as wire:
        wire.send(HEAD % b"/echo" + b"hello")
        response = wire.response()
        if response.status == 100:
            response = wire.final()
        assert response.body == b"hello"
        assert wire.get("/hello").body == b"hello"


def test_a_chunked_body(server: Portway) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Wire(server.address) as wire:
        wire.send(head)
        assert wire.response().status == 100
        wire.send(b"5\r\nhe", b"llo\r\n0", b"\r\n\r\n")
        assert wire.final().body == b"hello"


@pytest.mark.parametrize(
    "head",
    [
        b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        b"POST /hello HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_nothing_to_expect(server: Portway, head: bytes) -> None:
    with Wire(server.address) as wire:
        wire.send(head)
        assert wire.final().status == 200


def test_an_older_client_gets_no_interim_response(server: Portway) -> None:
    with Wire(server.address) as wire:
        wire.send(b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", b"hello")
        assert wire.final().body == b"hello"
        wire.end()


def test_too_large_a_body_is_never_asked_for(tight: Portway) -> None:
    with Wire(tight.address) as wire:
        wire.send((HEAD % b"/echo").replace(b"Length: 5", b"Length: 100001"))
        assert wire.final().status == 413
        wire.end()


def test_a_client_that_never_sends_it(hurried: Portway) -> None:
    for pace in paced(DEADLINE_S):
        with pace, Wire(hurried.address) as wire:
            wire.send(HEAD % b"/echo")
            assert wire.response().status == 100
            pace.over()
            # WSGI: the application's read fails with OSError; ASGI: http.disconnect
            with contextlib.suppress(AssertionError):
                assert wire.final().status in (408, 500)
            assert wire.rest() == b""
    for pace in paced(DEADLINE_S):
        with pace, Wire(hurried.address) as wire:
            assert wire.get("/hello").body == b"hello"


def test_a_client_that_goes_away(server: Portway) -> None:
    for _ in range(8):
        with Wire(server.address) as wire:
            wire.send(HEAD % b"/echo")
            assert wire.response().status == 100
    with Wire(server.address) as wire:
        assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize("threads", ["1", "2", "4"])
def test_those_who_wait_hold_nobody_up(threads: str) -> None:
    """However many clients have got their 100 and think it over, others are served."""
    with serve("wsgi-epoll", "app", "--threads", threads) as server, contextlib.ExitStack() as stack:
        server.ready()
        waiting = [stack.enter_context(Wire(server.address)) for _ in range(12)]
        for wire in waiting:
            wire.send(HEAD % b"/echo")
            assert wire.response().status == 100
        with Wire(server.address) as wire:
            for _ in range(20):
                assert wire.get("/hello").body == b"hello"
        for wire in waiting:
            wire.send(b"hello")
            assert wire.final().body == b"hello"


def test_one_who_dribbles_does_not_keep_its_thread() -> None:
    """The thread that waits for a body gives it body-timeout in all, however often a byte comes."""
    with serve("wsgi-epoll", "app", "--body-timeout", "1") as server, Wire(server.ready().address) as wire:
        wire.send(HEAD.replace(b": 5", b": 1000") % b"/echo")
        assert wire.response().status == 100
        wire.sock.settimeout(0.05)
        for _ in range(999):
            wire.send_some([b"x"])
            try:
                assert wire.more()
            except TimeoutError:
                continue
            break
        wire.sock.settimeout(15)
        # the application may turn the failed read into an answer of its own
        assert wire.final().status in (408, 500)
