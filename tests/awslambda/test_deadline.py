"""An application that does not come back in time: 504 and its stack in the log, and the next event works."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import time
from typing import Any

import pytest

from portway.awslambda import remaining_s
from tests.awslambda.applications import Context
from tests.awslambda.conftest import Handler
from tests.awslambda.front_doors import Wire, http_api

SHORT_S = 0.3


def test_a_wsgi_application_that_computes(made: Handler, caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        while environ["PATH_INFO"] == "/slow":
            sum(range(100))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    handler = made(app)
    answer = handler(http_api(Wire(path="/slow")), Context(SHORT_S))
    assert (answer["statusCode"], answer["body"]) == (504, "Gateway Timeout\n")
    assert "the invocation is about to time out" in caplog.text
    assert "while environ" in caplog.text or "sum(range(100))" in caplog.text
    assert handler(http_api(Wire()), Context())["body"] == "ok"


@pytest.mark.parametrize("how", ["select", "recv", "read"])
def test_a_wsgi_application_that_blocks(how: str, made: Handler, caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = socket.socketpair()
    read, write = os.pipe()

    def blocked() -> None:
        if how == "select":
            select.select([ours], [], [])
        elif how == "recv":
            ours.recv(1)
        else:
            os.read(read, 1)

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        blocked()
        raise AssertionError("not reached")

    assert made(app)(http_api(Wire()), Context(SHORT_S))["statusCode"] == 504
    assert "in blocked" in caplog.text
    for end in (ours, theirs):
        end.close()
    os.close(read)
    os.close(write)


def test_except_exception_does_not_swallow_the_deadline(made: Handler) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        while True:
            try:
                select.select([], [], [], 60)
            except Exception:
                continue

    assert made(app)(http_api(Wire()), Context(SHORT_S))["statusCode"] == 504


def test_an_asgi_application_that_waits(made: Handler, caplog: pytest.LogCaptureFixture) -> None:
    cleaned = []

    async def inner() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cleaned.append(True)

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await inner()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    handler = made(app, lifespan="off")
    assert handler(http_api(Wire(path="/slow")), Context(SHORT_S))["statusCode"] == 504
    assert cleaned == [True]
    assert "in inner" in caplog.text
    assert handler(http_api(Wire()), Context())["statusCode"] == 200


def test_an_asgi_application_that_computes(made: Handler, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        while scope["path"] == "/slow":
            sum(range(100))
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    handler = made(app, lifespan="off")
    assert handler(http_api(Wire(path="/slow")), Context(SHORT_S))["statusCode"] == 504
    assert "while scope" in caplog.text or "sum(range(100))" in caplog.text
    assert handler(http_api(Wire()), Context())["statusCode"] == 200


def test_an_asgi_application_that_refuses_to_be_cancelled(made: Handler) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        while True:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                continue

    handler = made(app, lifespan="off")
    assert handler(http_api(Wire()), Context(SHORT_S))["statusCode"] == 504


def test_quick_answers_never_meet_the_deadline(made: Handler) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    handler = made(app)
    until = time.monotonic() + 1.0  # the watch looks at several of these deadlines
    quick = 0
    while time.monotonic() < until or quick < 100:
        began = time.monotonic()
        status = handler(http_api(Wire()), Context(SHORT_S))["statusCode"]
        # Only a machine that stands still may make it late.
        late = status == 504 and time.monotonic() - began > SHORT_S / 2
        assert status == 200 or late
        quick += not late


def test_no_watch_without_a_margin(made: Handler) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        select.select([], [], [], SHORT_S * 2)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"late"]

    assert made(app, deadline_margin=0)(http_api(Wire()), Context(SHORT_S))["body"] == "late"


def test_the_time_left_is_known_to_the_application(made: Handler, interface: str) -> None:
    found: list[float | None] = []

    def plain(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        found.append(remaining_s())
        start_response("200 OK", [])
        return []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        found.append(remaining_s())
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    handler = made(plain) if interface == "wsgi" else made(app, lifespan="off")
    handler(http_api(Wire()), Context(seconds=7.0))
    handler(http_api(Wire()), None)
    assert found[0] is not None and 0 < found[0] <= 7 and found[1] is None
    assert remaining_s() is None
