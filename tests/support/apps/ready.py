"""An application whose health is what the file says that HEALTH_FILE names.

The file is read at import and holds a status, or how to fail: "raise", "hang" (at the request), "import"
(hangs while it is imported), "lifespan" (hangs in its start-up), "host" (says what was asked for).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HEALTH = Path(os.environ["HEALTH_FILE"]).read_text().strip()

if HEALTH == "import":
    while True:
        signal.pause()


def health() -> int:
    """Return the status, or fail."""
    match HEALTH:
        case "raise":
            raise RuntimeError("unhealthy on purpose")
        case "hang":
            while True:
                signal.pause()
        case _:
            return int(HEALTH) if HEALTH.isdigit() else 200


def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Answer."""
    status = health() if environ["PATH_INFO"] == "/health" else 200
    if HEALTH == "host":
        url = f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}{environ['PATH_INFO']}"
        sys.stderr.write(f"asked for {url}\n")
        sys.stderr.flush()
    start_response(f"{status} Said", [("Content-Length", "0")] if status != 204 else [])
    return []


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answer."""
    if scope["type"] == "lifespan":
        await receive()
        if HEALTH == "lifespan":
            await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    status = health() if scope["path"] == "/health" else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})
