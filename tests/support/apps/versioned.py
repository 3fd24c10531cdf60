"""A WSGI or ASGI application as it changes from one deployment to the next.

At import it reads the file that the variable VERSION_FILE names: a version to answer with, or how to
fail ("raise", "exit", "die"). `asgi` fails at its lifespan start-up instead when the file says "lifespan".
With "half", the first process that imports it answers, and another one fails once somebody writes to the pipe
"second" beside the file. A request for /held is answered once somebody writes to the pipe "held".
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

FILE = Path(os.environ["VERSION_FILE"])
VERSION = FILE.read_text().strip()

match VERSION:
    case "raise":
        raise RuntimeError("broken on purpose")
    case "exit":
        sys.exit(1)
    case "die":
        os.kill(os.getpid(), signal.SIGKILL)
    case "half":
        try:
            FILE.with_name("first").touch(exist_ok=False)
        except FileExistsError:
            FILE.with_name("second").read_text()
            raise RuntimeError("broken on purpose") from None


def hold() -> None:
    """Wait until somebody writes to the pipe."""
    FILE.with_name("held").read_text()


def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Answer with the version."""
    if environ["PATH_INFO"] == "/held":
        hold()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(VERSION)))])
    return [VERSION.encode()]


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answer with the version."""
    if scope["type"] == "lifespan":
        await receive()
        if VERSION == "lifespan":
            await send({"type": "lifespan.startup.failed", "message": "no database"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/held":
        await asyncio.to_thread(hold)
    headers = [(b"content-length", str(len(VERSION)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": VERSION.encode()})
