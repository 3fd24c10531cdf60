"""An ASGI application that takes too long: waiting, blocking the loop, ignoring its cancellation."""

from __future__ import annotations

import asyncio
import ctypes
import socket
import threading
import time

from portway.engine.errors import RequestTimeout
from tests.engine.apps.asgi_base import (
    Message,
    Receive,
    Send,
    answer,
    body,
    do_forget,
    do_happened,
    do_hello,
    happened,
    note,
    start,
)

__all__ = ("app", "do_forget", "do_happened", "do_hello")

EVER_S = 1000.0
LONGER_S = 1.0
"""More than the tests' deadline, for what is allowed to last."""


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Do what the path says; note how it ends."""
    assert scope["type"] == "http"
    name = scope["path"].strip("/").replace("-", "_")
    try:
        await globals()[f"do_{name}"](scope, receive, send)
    except asyncio.CancelledError:
        await note(f"cancelled-{name}")
        raise
    except RequestTimeout:
        await note(f"interrupted-{name}")
        raise


def spin(seconds: float) -> None:
    """Be busy."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


async def nap(seconds: float) -> None:
    """Wait, one frame further in."""
    await asyncio.sleep(seconds)


async def do_sleep(scope: Message, receive: Receive, send: Send) -> None:
    await nap(EVER_S)


async def do_started(scope: Message, receive: Receive, send: Send) -> None:
    await start(send)
    await nap(EVER_S)


async def do_task(scope: Message, receive: Receive, send: Send) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(nap(EVER_S))


async def do_loop(scope: Message, receive: Receive, send: Send) -> None:
    spin(EVER_S)


async def do_block(scope: Message, receive: Receive, send: Send) -> None:
    await asyncio.sleep(0)
    time.sleep(EVER_S)  # noqa: ASYNC251, TID251


async def do_lock(scope: Message, receive: Receive, send: Send) -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


async def do_socket(scope: Message, receive: Receive, send: Send) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.recv(1)


async def do_sendall(scope: Message, receive: Receive, send: Send) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(bytes(1 << 24))


async def do_library(scope: Message, receive: Receive, send: Send) -> None:
    """Wait in a library that takes a signal for an error."""
    ctypes.CDLL(None).poll(None, 0, -1)
    raise ConnectionError("interrupted system call")


async def do_swallow(scope: Message, receive: Receive, send: Send) -> None:
    """Go on after a cancellation, and answer too late."""
    try:
        await nap(EVER_S)
    except asyncio.CancelledError:
        await note("swallowed")
    try:
        await answer(send, b"too late")
    except OSError as error:
        await note(type(error).__name__)


async def do_swallow_in_a_step(scope: Message, receive: Receive, send: Send) -> None:
    """Go on after an interruption, and wait."""
    try:
        spin(EVER_S)
    except BaseException:
        await note("swallowed")
    await nap(EVER_S)


async def do_about(scope: Message, receive: Receive, send: Send) -> None:
    """Be busy for about so many seconds, and answer."""
    spin(float(scope["query_string"]))
    await answer(send, b"hello")


async def do_stream(scope: Message, receive: Receive, send: Send) -> None:
    await start(send)
    await body(send, b"first", True)
    await asyncio.sleep(LONGER_S)
    await body(send, b"last")


async def do_echo(scope: Message, receive: Receive, send: Send) -> None:
    data = b""
    while True:
        message = await receive()
        data += message.get("body", b"")
        if not message.get("more_body"):
            break
    await answer(send, data)


async def do_background(scope: Message, receive: Receive, send: Send) -> None:
    """Go on after the response, as background tasks do."""
    await answer(send, b"hello")
    await asyncio.sleep(LONGER_S)
    await note("background-done")


async def do_noted(scope: Message, receive: Receive, send: Send) -> None:
    """Answer how often something has happened until now."""
    await answer(send, b"%d" % happened[scope["query_string"].decode()])
