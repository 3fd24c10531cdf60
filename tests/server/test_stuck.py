"""A request that cannot be ended: its worker is replaced, and everybody else is served meanwhile."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.client import Client, get
from tests.support.load import Load
from tests.support.processes import Portway, wait_for_end
from tests.support.waiting import wait_until

SOON = ("--timeout", "0.4", "--graceful-timeout", "5")


def held_up(server: Portway) -> list[str]:
    """Return the failures of a `Load` whose requests the machine has held up beyond that, as the log says."""
    return ["status 504"] * server.log.count("error: GET /pid took more than")


@pytest.mark.parametrize(
    ("kind", "path"), [("wsgi.py", "/stubborn"), ("asgi.py", "/stubborn"), ("wsgi.py", "/wait")]
)
def test_a_stuck_worker_is_replaced_and_nobody_else_notices(kind: str, path: str) -> None:
    with Portway(kind, *SOON) as server:
        (worker,) = server.ready().workers()
        with Load(server.address, keep_alive=3, fresh=1) as load:
            load.wait_for(50)
            # two, because one may be on the main thread, which is got out of C code as well
            with Client(server.address) as one, Client(server.address) as other:
                one.request(path)
                other.request(path)
                assert (one.answer().status, other.answer().status) == (504, 504)
            server.wait_for(rf"error: GET {path} cannot be interrupted: it goes on after")
            server.wait_for(rf"info: worker {worker} is replaced: it cannot end GET {path}")
            wait_for_end(worker)
            load.wait_for(50)
        wait_until(lambda: load.failures == held_up(server), f"explanation of {load.failures}")
        assert worker not in server.workers()
        assert server.stop() == 0


def test_a_loop_that_is_blocked_for_good_is_replaced() -> None:
    with Portway("asgi.py", *SOON, "--graceful-timeout", "0.1") as server:
        (worker,) = server.ready().workers()
        with Client(server.address) as client:
            client.request("/stubborn-step")
            late = "answered 504 when the event loop goes on"
            server.wait_for(rf"error: GET /stubborn-step took more than .* s \(--timeout\): {late}$")
            server.wait_for(rf"worker {worker} is replaced")
            wait_for_end(worker)
            assert client.rest() == b""
        wait_until(lambda: get(server.address).status == 200, "answer in time")
        assert server.stop() == 0


@pytest.mark.parametrize("kind", ["wsgi.py", "asgi.py"])
def test_a_busy_worker_is_left_alone_without_a_timeout(kind: str) -> None:
    with Portway(kind, "--timeout", "0") as server:
        workers = server.ready().workers()
        with Client(server.address) as client:
            client.request("/slow?1.5")
            assert client.answer().status == 200
        assert server.workers() == workers


def test_a_stop_does_not_wait_for_a_request_that_is_stuck() -> None:
    with Portway("wsgi.py", *SOON, "--graceful-timeout", "60") as server:
        server.ready()
        with Client(server.address) as one, Client(server.address) as other:
            one.request("/wait")
            other.request("/wait")
            assert (one.answer().status, other.answer().status) == (504, 504)
        os.kill(server.pid, signal.SIGTERM)
        assert server.exit_code() == 0


KEEPS_THE_LOCK = """
import re

def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/keep":
        re.match("(a+)+$", "a" * 200 + "b")
    start_response("200 OK", [])
    return [b"here"]

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        if scope["path"] == "/keep":
            re.match("(a+)+$", "a" * 200 + "b")
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"here"})
"""


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_a_worker_whose_lock_is_kept_for_good_is_replaced(kind: str, tmp_path: Path) -> None:
    """Nothing in it can say so; the arbiter sees that its watchdog does not come to look."""
    (tmp_path / "keeps.py").write_text(KEEPS_THE_LOCK)
    with Portway(f"keeps:{kind}", "--timeout", "0.5", "--graceful-timeout", "0", cwd=tmp_path) as server:
        (worker,) = server.ready().workers()
        with Client(server.address) as client:
            client.request("/keep")
            server.wait_for(
                f"worker {worker} is replaced: it cannot end a call that keeps the interpreter's lock"
            )
            server.wait_for('File ".*keeps.py", line ')
            wait_for_end(worker)
        assert get(server.address).body == b"here"
        assert server.stop() == 0
