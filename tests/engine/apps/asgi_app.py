"""An ASGI application that behaves. It answers every path of wsgi_app.py in the same way."""

from __future__ import annotations

import asyncio
import json
import os
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Field = tuple[bytes, bytes]

PIECE = 65536
MOST_S = 20.0

calls: Counter[str] = Counter()
held: dict[str, asyncio.Event] = {}
changed = asyncio.Condition()


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Do what the path says."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    path, query = scope["path"], scope["query_string"].decode()
    calls[path] += 1
    match path.split("/")[1:]:
        case ["echo"]:
            await answer(send, await body_of(receive))
        case [*_, "facts"] | ["facts", *_]:
            await answer(send, json.dumps(scope, default=lambda value: value.decode("latin-1")).encode())
        case ["sum"]:
            await answer(send, await checksum(receive))
        case ["calls"]:
            await answer(send, str(calls[query]).encode())
        case ["status", code]:
            await start(send, int(code))
            await send({"type": "http.response.body"})
        case ["close"]:
            await answer(send, b"closing", (b"connection", b"close"))
        case ["pieces"]:
            await start(send)
            for piece in (b"one ", b"", b"two ", b"three"):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body"})
        case ["big"]:
            await answer(send, b"x" * int(query))
        case ["stream"]:
            await stream(send, int(query))
        case ["ticks"]:
            await ticks(send, query)
        case ["burst"]:
            await burst(send, query)
        case ["hold"]:
            await answer(send, await hold(query))
        case ["release"]:
            await answer(send, await release(query))
        case ["upstream"]:
            from tests.engine.apps.upstream import ask_one_that_breaks_off  # late: slow to import

            await answer(send, ask_one_that_breaks_off())
        case ["raise"]:
            raise ValueError("raised on purpose")
        case _:
            await answer(send, b"hello")


async def start(send: Send, status: int = 200, *fields: Field) -> None:
    """Send the head."""
    await send({"type": "http.response.start", "status": status, "headers": list(fields)})


async def answer(send: Send, body: bytes, *fields: Field) -> None:
    """Answer 200 with a body of known length."""
    await start(send, 200, (b"content-length", str(len(body)).encode()), *fields)
    await send({"type": "http.response.body", "body": body})


async def body_of(receive: Receive) -> bytes:
    """Return the request body, or what there was of it when the client went away."""
    parts = []
    while True:
        message = await receive()
        calls[message["type"]] += 1
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def checksum(receive: Receive) -> bytes:
    """Read a body piece by piece; return its size and CRC."""
    size = crc = 0
    while True:
        message = await receive()
        body = message.get("body", b"")
        size += len(body)
        crc = zlib.crc32(body, crc)
        if not message.get("more_body"):
            return f"{size} {crc:08x}".encode()


async def stream(send: Send, size: int) -> None:
    """Send that many bytes in pieces."""
    await start(send)
    for begin in range(0, size, PIECE):
        piece = b"y" * min(PIECE, size - begin)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


async def ticks(send: Send, path: str) -> None:
    """Send much at once, then a little now and then until the client, who has it all, makes that file."""
    await start(send)
    await send({"type": "http.response.body", "body": b"y" * 3_000_000, "more_body": True})
    until = time.monotonic() + MOST_S / 2
    while not is_there(path) and time.monotonic() < until:
        await asyncio.sleep(0.02)
        await send({"type": "http.response.body", "body": b".", "more_body": True})
    await send({"type": "http.response.body", "body": b"seen" if is_there(path) else b"late"})


def is_there(path: str) -> bool:
    """Whether the client has made its file."""
    return os.path.exists(path)


async def burst(send: Send, name: str) -> None:
    """Send many small pieces without a pause, wait until released, and go on with all sizes."""
    await start(send)
    for number in range(40):
        await send({"type": "http.response.body", "body": b"%02d" % number, "more_body": True})
    await send({"type": "http.response.body", "body": await hold(name), "more_body": True})
    for size in (1, 20_000, 2, 3, 200_000, 4):
        await send({"type": "http.response.body", "body": b"z" * size, "more_body": True})
    await send({"type": "http.response.body"})


async def hold(name: str) -> bytes:
    """Wait until somebody asks for /release with the same name."""
    async with changed:
        event = held.setdefault(name, asyncio.Event())
        changed.notify_all()
    return await within(event.wait(), b"held", b"forgotten")


async def release(name: str) -> bytes:
    """Wait until a request is held under that name, and let it go."""
    async with changed:
        found = await within(changed.wait_for(lambda: name in held), b"released", b"nobody")
        if name in held:
            held.pop(name).set()
    return found


async def within(waiting: Awaitable[object], done: bytes, late: bytes) -> bytes:
    """Wait for something, not for ever."""
    try:
        await asyncio.wait_for(waiting, MOST_S)
    except TimeoutError:
        return late
    return done
