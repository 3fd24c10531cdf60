"""An ASGI application for the specification's fine print: one clause on each path; a lifespan with state."""

from __future__ import annotations

from collections import Counter

from tests.engine.apps import asgi_base, asgi_receiving, asgi_sending, asgi_tasks
from tests.engine.apps.asgi_base import Message, Receive, Send

CLAUSES = {**vars(asgi_base), **vars(asgi_receiving), **vars(asgi_sending), **vars(asgi_tasks)}


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Do what the path says."""
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    name = scope["path"].strip("/").replace("-", "_")
    await CLAUSES[f"do_{name}"](scope, receive, send)


async def lifespan(scope: Message, receive: Receive, send: Send) -> None:
    """Leave something in the state that requests share, and something that each may change for itself."""
    await receive()
    scope["state"].update(shared=Counter(), number=1)
    asgi_tasks.request_number.set("the lifespan's")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
