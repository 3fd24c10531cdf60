"""The deadline of a request: its client is answered, its stack is logged, and nothing else ends."""

from __future__ import annotations

import itertools
import re
import threading
import time

import pytest

from tests.engine.conftest import ASGI_WAYS, TLS_WAYS, WAYS, WSGI_WAYS, server_fixture
from tests.engine.wire import GET, Response, Wire
from tests.support.processes import DEADLINE_S, Portway
from tests.support.waiting import wait_until

LIMIT = ("--timeout", "0.3")
LATER = "answered 504 when the event loop goes on"
POST = b"POST %s HTTP/1.1\r\nHost: portway.test\r\nContent-Length: %d\r\n\r\n"

single = server_fixture("deadline", *LIMIT, "--threads", "1", ways=(*WSGI_WAYS, "wsgi-epoll-tls"))
threaded = server_fixture("deadline", *LIMIT, "--threads", "4", ways=(*WSGI_WAYS, "wsgi-epoll-tls"))
tasks = server_fixture("deadline", *LIMIT, ways=(*ASGI_WAYS, "asgi-epoll-tls"))
limited = server_fixture("deadline", *LIMIT)
hasty = server_fixture("deadline", "--timeout", "0.02", "--threads", "4", ways=(*WAYS, *TLS_WAYS))


def promptly(server: Portway, request: bytes) -> Response:
    """Return the answer to a request that takes no time.

    It is sent again where the machine stood still for so long that the request was over its deadline: then
    the server says so, with the request's own name.
    """
    method, target, _ = request.split(b" ", 2)
    said = f"error: {method.decode()} {target.partition(b'?')[0].decode()} took more than "
    for _ in range(20):
        before = server.log.count(said)
        with Wire(server.address) as wire:
            wire.send(request)
            response = wire.final()
        if response.status != 504:
            return response
        server.wait_for(said, count=before + 1)
    raise AssertionError(f"the server is never in time: {server.log}")


def noted(server: Portway, what: str) -> int:
    """Wait until something has happened in the application; return how often it has."""
    until = time.monotonic() + DEADLINE_S
    while not (count := int(promptly(server, GET % b"/noted?%s" % what.encode()).body)):
        assert time.monotonic() < until, f"{what} did not happen"
    return count


def still_serves(server: Portway) -> None:
    """Check that a new request is answered."""
    assert promptly(server, GET % b"/hello").body == b"hello"


def overdue(server: Portway, path: str, *stack: str, outcome: str = "answered 504") -> str:
    """Ask for something that takes too long.

    Args:
        server: Its application forgets what has happened before.
        path: What is asked for.
        stack: Where the log must say that the request was.
        outcome: What the log must say of its end.

    Returns:
        What the log says of it.
    """
    promptly(server, GET % b"/forget")
    before = len(server.lines)

    def log() -> str:
        return "\n".join(server.lines[before:])

    with Wire(server.address) as wire:
        response = wire.get(path)
        assert (response.status, response.closes) == (504, True)
        wire.end()
    said = rf"error: GET {path} took more than ([0-9.]+) s \(--timeout\): {outcome}$"
    wait_until(lambda: re.search(said, log(), re.MULTILINE), "entry")
    assert [float(seconds) >= 0.3 for seconds in re.findall(said, log(), re.MULTILINE)] == [True]
    # an entry comes line by line
    wait_until(lambda: all(place in log() for place in stack), f"{stack} in {log()}")
    return log()


# -- WSGI


@pytest.mark.parametrize("path", ["/loop", "/sleep", "/lock", "/socket", "/sendall", "/library"])
def test_the_only_thread_is_got_out_of_anything_that_waits(single: Portway, path: str) -> None:
    log = overdue(single, path, f"in do_{path[1:]}")
    assert noted(single, f"interrupted-{path[1:]}") == 1
    assert "cannot be interrupted" not in log


@pytest.mark.parametrize("path", ["/loop", "/before-the-first-piece"])
def test_a_thread_is_got_out_of_python_code(threaded: Portway, path: str) -> None:
    log = overdue(threaded, path, "in spin")
    assert "portway/server" not in log
    if path == "/loop":
        assert noted(threaded, "interrupted-loop") == 1
    else:
        assert noted(threaded, "generator-closed") == 1


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
    assert noted(threaded, "swallowed" if path == "/swallow" else "the-request-is-over") == 1
    still_serves(threaded)


def test_a_pipelined_request_behind_one_that_is_overdue_is_not_answered(threaded: Portway) -> None:
    with Wire(threaded.address) as wire:
        wire.send(GET % b"/loop" + GET % b"/hello")
        assert wire.final().status == 504
        wire.end()


# -- ASGI


@pytest.mark.parametrize("path", ["/sleep", "/started", "/task"])
def test_a_task_is_cancelled(tasks: Portway, path: str) -> None:
    overdue(tasks, path, f"in do_{path[1:]}", "in nap")
    assert noted(tasks, f"cancelled-{path[1:]}") == 1


@pytest.mark.parametrize("path", ["/loop", "/block", "/lock", "/socket", "/sendall", "/library"])
def test_a_step_that_blocks_the_loop_is_interrupted(tasks: Portway, path: str) -> None:
    log = overdue(tasks, path, f"in do_{path[1:]}", outcome=LATER)
    assert "asyncio/base_events" not in log
    assert noted(tasks, f"interrupted-{path[1:]}") == 1


def test_what_asgi_answers_too_late_reaches_nobody(tasks: Portway) -> None:
    overdue(tasks, "/swallow")
    assert noted(tasks, "swallowed") == 1
    assert noted(tasks, "ClientDisconnected") == 1
    still_serves(tasks)


def test_a_task_that_ignores_its_interruption_is_cancelled_next(tasks: Portway) -> None:
    overdue(tasks, "/swallow-in-a-step", outcome=LATER)
    assert noted(tasks, "swallowed") == 1
    assert noted(tasks, "cancelled-swallow_in_a_step") == 1
    assert tasks.log.count("GET /swallow-in-a-step took more than") == 1


def test_what_goes_on_after_the_response_has_no_deadline(tasks: Portway) -> None:
    promptly(tasks, GET % b"/forget")
    assert promptly(tasks, GET % b"/background").body == b"hello"
    assert noted(tasks, "background-done") == 1


# -- both


def test_a_stream_may_last(limited: Portway) -> None:
    assert promptly(limited, GET % b"/stream").chunks == (5, 4)
    still_serves(limited)


def upload(server: Portway, field: bytes) -> Response:
    """Send a body for longer than the deadline."""
    with Wire(server.address) as wire:
        head = POST % (b"/echo", 10)
        wire.send(head[:-2] + field + b"\r\n")
        if field:
            assert wire.response().status == 100
        for digit in b"0123456789":
            wire.send(bytes([digit]))
            time.sleep(0.1)  # noqa: TID251 - the client is slow, and nothing is to happen meanwhile
        return wire.final()


@pytest.mark.parametrize("field", [b"", b"Expect: 100-continue\r\n"])
def test_a_slow_upload_has_no_deadline(limited: Portway, field: bytes) -> None:
    """Not every time is it answered 504: once is possible, where the worker stood still after the body."""
    responses = (upload(limited, field) for _ in range(5))
    assert next(response.body for response in responses if response.status != 504) == b"0123456789"


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
    for _ in range(50):
        still_serves(hasty)
