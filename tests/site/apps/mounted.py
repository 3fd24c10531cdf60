"""Applications to mount: each says what it was told, and a lifespan says when it began and ended."""

from __future__ import annotations

import asyncio
import fcntl
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def say(text: str) -> None:
    """Print a line that a test waits for."""
    sys.stderr.write(f"mounted: {text}\n")
    sys.stderr.flush()


def passes(gate: str) -> None:
    """Return when the test has opened a gate."""
    with open(gate) as file:
        fcntl.flock(file, fcntl.LOCK_SH)


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Say what the environ has; `?SECONDS` takes that long first, and `?/PATH` until that gate is open."""
    body = environ["wsgi.input"].read()
    if environ["QUERY_STRING"].startswith("/"):
        passes(environ["QUERY_STRING"])
    elif environ["QUERY_STRING"]:
        threading.Event().wait(float(environ["QUERY_STRING"]))
    told = {
        "interface": "wsgi",
        "root": environ["SCRIPT_NAME"],
        "path": environ["PATH_INFO"],
        "body": body.decode(),
        "private": [key for key in environ if key in ("portway.mount", "portway.peer")],
        "scheme": environ["wsgi.url_scheme"],
        "port": environ.get("REMOTE_PORT", ""),
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]


def other_wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Be another application."""
    start_response("200 OK", [])
    return [b"other"]


def busy(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Take longer than any deadline of a test."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return []


class ASGI:
    """An application with a lifespan."""

    def __init__(self, name: str, fails: bool = False) -> None:
        self.name = name
        self.fails = fails

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say what the scope has; `?SECONDS` takes that long first, and `?/PATH` until that gate is open."""
        if scope["type"] == "lifespan":
            await self.live(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self.talk(scope, receive, send)
            return
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        if scope["query_string"].startswith(b"/"):
            await asyncio.to_thread(passes, scope["query_string"].decode())
        elif scope["query_string"]:
            await asyncio.sleep(float(scope["query_string"]))
        told = {
            "interface": "asgi",
            "name": self.name,
            "root": scope["root_path"],
            "path": scope["path"],
            "body": body.decode(),
            "state": scope["state"]["of"],
            "private": [key for key in scope if key.startswith("portway.")],
            "extensions": [key for key in scope["extensions"] if key.startswith("portway.")],
            "scheme": scope["scheme"],
            "port": str(scope["client"][1]),
        }
        fields = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})

    async def talk(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say what the scope has, then send everything back. Refuse at /refuse and /refused."""
        await receive()
        path = scope["path"].removeprefix(scope["root_path"])
        if path.endswith(("/refuse", "/refused")):
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept"})
        told = {
            "name": self.name,
            "root": scope["root_path"],
            "path": scope["path"],
            "state": scope["state"]["of"],
            "private": [key for key in (*scope, *scope["extensions"]) if key.startswith("portway.")],
            "scheme": scope["scheme"],
            "thread": threading.current_thread().name,
        }
        await send({"type": "websocket.send", "text": json.dumps(told)})
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})

    async def live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say when it begins and ends."""
        await receive()
        if self.fails:
            await send({"type": "lifespan.startup.failed", "message": "no database"})
            return
        say(f"{self.name} starts")
        scope["state"]["of"] = self.name
        await send({"type": "lifespan.startup.complete"})
        await receive()
        say(f"{self.name} ends")
        await send({"type": "lifespan.shutdown.complete"})


class Blocking(ASGI):
    """One that waits for its gate in the event loop's own thread."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let nobody else have a turn until the gate is open."""
        if scope["type"] == "http":
            passes(scope["query_string"].decode())
        await super().__call__(scope, receive, send)


asgi = ASGI("first")
second = ASGI("second")
blocking = Blocking("blocking")
failing = ASGI("failing", fails=True)
