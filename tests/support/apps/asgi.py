"""An ASGI application with one misbehaviour for each path, and a lifespan."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Do what the path says."""
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    query = scope["query_string"].decode()
    match scope["path"]:
        case "/slow":
            await asyncio.sleep(float(query))
        case "/until":  # /until?FILE: until somebody makes that file
            while not os.path.exists(query):  # noqa: ASYNC110, ASYNC240
                await asyncio.sleep(0.02)
        case "/block":
            time.sleep(float(query))  # noqa: ASYNC251, TID251
        case "/stubborn":
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.05)
        case "/stubborn-step":
            while True:
                with contextlib.suppress(BaseException):
                    time.sleep(0.05)  # noqa: ASYNC251, TID251
        case "/events" | "/events-with-trailers" | "/download":
            await until_told(scope, receive, send)
            return
        case "/unanswered":
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        case "/stream":
            await stream(send)
            return
        case "/die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "/raise":
            raise ValueError("raised on purpose")
    body = scope["state"]["greeting"] if scope["path"] == "/state" else str(os.getpid()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


async def lifespan(scope: Message, receive: Receive, send: Send) -> None:
    """Answer both questions, and tell standard error so."""
    await receive()
    scope["state"]["greeting"] = b"hello from the lifespan"
    await send({"type": "lifespan.startup.complete"})
    await receive()
    sys.stderr.write(f"lifespan of {os.getpid()} is over\n")
    sys.stderr.flush()
    await send({"type": "lifespan.shutdown.complete"})


async def until_told(scope: Message, receive: Receive, send: Send) -> None:
    """Stream as long as nobody says that it is over; then say goodbye, and leave the end to the server."""
    path = scope["path"]
    kind = b"text/plain" if path == "/download" else b"text/event-stream; charset=utf-8"
    start = {"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", kind)]}
    await send({**start, "trailers": path == "/events-with-trailers"})
    await send({"type": "http.response.body", "body": b"begin", "more_body": True})
    await receive()
    assert (await receive())["type"] == "http.disconnect"
    await send({"type": "http.response.body", "body": b" end", "more_body": True})


async def stream(send: Send) -> None:
    """Send for ever, a piece every tenth of a second."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": b"piece\n", "more_body": True})
        await asyncio.sleep(0.1)
