"""Applications for a server inside the process that asks it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def wsgi_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Say who answers."""
    if environ["PATH_INFO"] == "/raise":
        raise ValueError("raised on purpose")
    start_response("200 OK", [("Content-Type", "text/plain")])
    scheme = environ["wsgi.url_scheme"]
    return [f"wsgi {scheme} {os.getpid()} {threading.current_thread().name}".encode()]


class Gate:
    """A WSGI application whose requests wait inside it until they are let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.entered.set()
        assert self.open.wait(30)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"through the gate"]


class Recorder:
    """An ASGI application that notes its lifespan, and the loop that each part of it runs in.

    Args:
        refuse: Whether its start-up fails.
    """

    def __init__(self, refuse: bool = False) -> None:
        self.events: list[str] = []
        self.loops: set[asyncio.AbstractEventLoop] = set()
        self.refuse = refuse

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.loops.add(asyncio.get_running_loop())
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        if scope["path"] == "/raise":
            raise ValueError("raised on purpose")
        if scope["path"] == "/wait":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.events.append("disconnected")
            return
        body = f"asgi {scope['scheme']} {scope['state']['word']}".encode()
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
        )
        await send({"type": "http.response.body", "body": body})

    async def _lifespan(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        if self.refuse:
            await send({"type": "lifespan.startup.failed", "message": "no database"})
            return
        scope["state"]["word"] = "state"
        self.events.append("startup")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.events.append("shutdown")
        await send({"type": "lifespan.shutdown.complete"})


def create_app() -> Callable[..., Any]:
    """Make an application."""
    return wsgi_app


recorder = Recorder()
refusing = Recorder(refuse=True)
