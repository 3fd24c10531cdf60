"""The deadline of a request: its client is answered, its stack is logged, and nothing else ends."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from tests.engine.conftest import ASGI_WAYS, TLS_WAYS, WAYS, WSGI_WAYS, server_fixture
from tests.engine.test_asgi_messages import happened
from tests.engine.wire import GET, Wire
from tests.support.processes import DEADLINE_S, Portway

LIMIT = ("--timeout", "0.3")
LATER = "answered 504 when the event loop goes on"
POST = b"POST %s HTTP/1.1\r\nHost: portway.test\r\nContent-Length: %d\r\n\r\n"

single = server_fixture("deadline", *LIMIT, "--threads", "1", ways=(*WSGI_WAYS, "wsgi-epoll-tls"))
threaded = server_fixture("deadline", *LIMIT, "--threads", "4", ways=(*WSGI_WAYS, "wsgi-epoll-tls"))
tasks = server_fixture("deadline", *LIMIT, ways=(*ASGI_WAYS, "asgi-epoll-tls"))
limited = server_fixture("deadline", *LIMIT)
hasty = server_fixture("deadline", "--timeout", "0.02", "--threads", "4", ways=(*WAYS, *TLS_WAYS))


def overdue(server: Portway, path: str, outcome: str = "answered 504") -> str:
    """Ask for something that takes too long; return what the log says of it."""
    before = len(server.lines)
    with Wire(server.address) as wire:
        response = wire.get(path)
        assert (response.status, response.closes) == (504, True)
        wire.end()
    server.wait_for(rf"error: GET {path} took more than 0\.[3-9] s \(--timeout\): {outcome}$")
    return "\n".join(server.lines[before:])


def wait_until_noted(wire: Wire, what: str) -> None:
    """Ask again and again, never for long, whether something has happened."""
    until = time.monotonic() + DEADLINE_S
    while wire.get(f"/noted?{what}").body == b"0":
        assert time.monotonic() < until, f"{what} did not happen"


def still_serves(server: Portway) -> None:
    """Check that a new request is answered."""
    with Wire(server.address) as wire:
        assert wire.get("/hello").body == b"hello"


# -- WSGI


@pytest.mark.parametrize("path", ["/loop", "/sleep", "/lock", "/socket", "/sendall", "/library"])
def test_the_only_thread_is_got_out_of_anything_that_waits(single: Portway, path: str) -> None:
    log = overdue(single, path)
    assert f"in do_{path[1:]}" in log
    assert happened(single, f"interrupted-{path[1:]}") == 1
    assert "cannot be interrupted" not in log


@pytest.mark.parametrize("path", ["/loop", "/before-the-first-piece"])
def test_a_thread_is_got_out_of_python_code(threaded: Portway, path: str) -> None:
    log = overdue(threaded, path)
    assert "in spin" in log
    assert "portway/server" not in log
    if path == "/loop":
        assert happened(threaded, "interrupted-loop") == 1
    else:
        assert happened(threaded, "generator-closed") == 1


def test_every_thread_is_got_out_at_once(threaded: Portway) -> None:
    wires = [Wire(threaded.address) for _ in range(4)]
    for wire in wires:
        wire.send(GET % b"/loop")
    for wire in wires:
        with wire:
            assert wire.final().status == 504
    still_serves(threaded)


@pytest.mark.parametrize("path", ["/swallow", "/write-after-all"])
def test_what_wsgi_answers_too_late_reaches_nobody(threaded: Portway, path: str) -> None:
    overdue(threaded, path)
    assert happened(threaded, "swallowed" if path == "/swallow" else "the-request-is-over") == 1
    still_serves(threaded)


def test_a_pipelined_request_behind_one_that_is_overdue_is_not_answered(threaded: Portway) -> None:
    with Wire(threaded.address) as wire:
        wire.send(GET % b"/loop" + GET % b"/hello")
        assert wire.final().status == 504
        wire.end()


# -- ASGI


@pytest.mark.parametrize("path", ["/sleep", "/started", "/task"])
def test_a_task_is_cancelled(tasks: Portway, path: str) -> None:
    log = overdue(tasks, path)
    assert f"in do_{path[1:]}" in log
    assert "in nap" in log
    assert happened(tasks, f"cancelled-{path[1:]}") == 1


@pytest.mark.parametrize("path", ["/loop", "/block", "/lock", "/socket", "/sendall", "/library"])
def test_a_step_that_blocks_the_loop_is_interrupted(tasks: Portway, path: str) -> None:
    log = overdue(tasks, path, LATER)
    assert f"in do_{path[1:]}" in log
    assert "asyncio/base_events" not in log
    assert happened(tasks, f"interrupted-{path[1:]}") == 1


def test_what_asgi_answers_too_late_reaches_nobody(tasks: Portway) -> None:
    overdue(tasks, "/swallow")
    assert happened(tasks, "swallowed") == 1
    assert happened(tasks, "ClientDisconnected") == 1
    still_serves(tasks)


def test_a_task_that_ignores_its_interruption_is_cancelled_next(tasks: Portway) -> None:
    log = overdue(tasks, "/swallow-in-a-step", LATER)
    assert happened(tasks, "swallowed") == 1
    assert happened(tasks, "cancelled-swallow_in_a_step") == 1
    assert log.count("took more than") == 1


def test_what_goes_on_after_the_response_has_no_deadline(tasks: Portway) -> None:
    with Wire(tasks.address) as wire:
        assert wire.get("/background").body == b"hello"
        wait_until_noted(wire, "background-done")


# -- both


def test_a_stream_may_last(limited: Portway) -> None:
    with Wire(limited.address) as wire:
        assert wire.get("/stream").chunks == (5, 4)
        assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize("field", [b"", b"Expect: 100-continue\r\n"])
def test_a_slow_upload_has_no_deadline(limited: Portway, field: bytes) -> None:
    with Wire(limited.address) as wire:
        head = POST % (b"/echo", 10)
        wire.send(head[:-2] + field + b"\r\n")
        if field:
            assert wire.response().status == 100
        for digit in b"0123456789":
            wire.send(bytes([digit]))
            time.sleep(0.1)  # noqa: TID251 - the client is slow, and nothing is to happen meanwhile
        assert wire.final().body == b"0123456789"


def test_requests_that_end_about_when_their_time_does(hasty: Portway) -> None:
    """Each is answered whole or told 504; whatever meets the exception, it is never another one."""
    statuses: list[int] = []
    takes = itertools.cycle([b"0.015", b"0.019", b"0.02", b"0.021", b"0.025", b"0.03"])

    def ask(count: int) -> None:
        wire = Wire(hasty.address)
        for number in range(count):
            take = next(takes)
            wire.send(GET % (b"/hello" if number % 2 else b"/about?" + take))
            response = wire.final()
            statuses.append(response.status)
            if response.status == 504:
                wire.end()
                wire.sock.close()
                wire = Wire(hasty.address)
            else:
                assert response.body == b"hello"
                assert response.status == 200
        wire.sock.close()

    threads = [threading.Thread(target=ask, args=(60,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == 240
    assert set(statuses) <= {200, 504}
    assert "the application failed" not in hasty.log
    with Wire(hasty.address) as wire:
        for _ in range(50):
            assert wire.get("/hello").body == b"hello"
