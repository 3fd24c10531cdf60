"""An ASGI application whose call is no coroutine function: it does something, and returns an awaitable."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable

from tests.engine.apps.asgi_base import Message, Receive, Send, answer

number: contextvars.ContextVar[str] = contextvars.ContextVar("number", default="none")


class Application:
    """Answers with the number of the request before, as far as its context knows of one, and its own."""

    def __call__(self, scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        """Do the first half."""
        if scope["type"] == "lifespan":
            raise NotImplementedError
        before = number.get()
        number.set(scope["query_string"].decode())
        if scope["path"] == "/raise":
            raise ValueError("raised before there was a coroutine")
        return self.respond(before, asyncio.current_task(), send)

    async def respond(self, before: str, task: asyncio.Task[None] | None, send: Send) -> None:
        """Do the second half."""
        assert task is not None
        assert task is asyncio.current_task()
        await answer(send, f"{before} {number.get()}".encode())


app = Application()
