"""What the ASGI fixture applications share: short ways to send, and what happened, for tests to wait for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MOST_S = 20.0

happened: Counter[str] = Counter()
changed = asyncio.Condition()
kept: dict[str, Any] = {}


async def note(what: str) -> None:
    """Write down that something happened."""
    async with changed:
        happened[what] += 1
        changed.notify_all()


async def wait_for(what: str) -> int:
    """Wait until something has happened; forget it, and return how often it has."""
    async with changed:
        await asyncio.wait_for(changed.wait_for(lambda: happened[what]), MOST_S)
        return happened.pop(what)


async def start(send: Send, status: int = 200, *fields: tuple[bytes, bytes], **more: Any) -> None:
    """Send http.response.start."""
    await send({"type": "http.response.start", "status": status, "headers": list(fields), **more})


async def body(send: Send, data: bytes = b"", more_body: bool = False) -> None:
    """Send http.response.body."""
    await send({"type": "http.response.body", "body": data, "more_body": more_body})


async def answer(send: Send, data: bytes) -> None:
    """Send a whole response."""
    await start(send)
    await body(send, data)


async def do_hello(scope: Message, receive: Receive, send: Send) -> None:
    """Answer as every fixture application does."""
    await start(send, 200, (b"content-length", b"5"))
    await body(send, b"hello")


async def do_happened(scope: Message, receive: Receive, send: Send) -> None:
    """Answer how often something has happened, after the first time at the earliest."""
    await answer(send, str(await wait_for(scope["query_string"].decode())).encode())


async def do_note(scope: Message, receive: Receive, send: Send) -> None:
    """Write down that something happened."""
    await note(scope["query_string"].decode())
    await answer(send, b"noted")


async def do_forget(scope: Message, receive: Receive, send: Send) -> None:
    """Forget everything."""
    happened.clear()
    kept.clear()
    await answer(send, b"")
