"""What the arbiter imports only when it is asked for, and before a fork, so that its workers share it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from portway.apps import parse_target
from portway.config import Settings
from portway.server.assignment import Shared
from portway.server.invocation import Invocation

if TYPE_CHECKING:
    from portway.server.developing.developer import Developer
    from portway.server.hooks import ArbiterHooks

_SIGNS = re.compile(
    rb"async\s+def|asgi|fastapi|starlette|quart|litestar|sanic|blacksheep|aiohttp|socketio|__import__|importlib",
    re.IGNORECASE,
)
_MOST_BYTES = 1 << 20


def import_what_is_asked_for(settings: Settings) -> None:
    """Import what workers need for some options only, while this process may still read it."""
    if settings.process.ready_check:
        from portway.server import readiness  # noqa: F401
    if settings.hooks.functions:
        from portway.server import worker_hooks  # noqa: F401


def developer_of(invocation: Invocation | None) -> Developer | None:
    """Return what `portway dev` adds to the arbiter; None in production."""
    if invocation is None or not invocation.developing:
        return None
    from portway.server.developing.developer import Developer

    return Developer(invocation.developing)


def hooks_of(shared: Shared) -> ArbiterHooks | None:
    """Return the operator's own functions that the arbiter calls; None without any.

    Raises:
        BadValue: One of them cannot be imported.
    """
    if not shared.settings.hooks.functions:
        return None
    from portway.server.hooks import ArbiterHooks

    return ArbiterHooks(shared)


def may_be_asgi(settings: Settings) -> bool:
    """Whether it is worth importing asyncio for all workers at once: a third of a start, and some MB.

    A guess from the text of the application's own module, which is not imported. A wrong one costs time or
    memory, nothing else: a worker imports what its application turns out to need.
    """
    app, process = settings.app, settings.process
    if app.interface != "auto":
        return app.interface in ("asgi", "asgi2")
    if process.user or process.group:  # who may not be able to read the server's files any more
        return True
    target = parse_target(app.app)
    path = Path(target.file or target.module.replace(".", "/") + ".py")
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES)
    except OSError:
        return True
    return _SIGNS.search(text) is not None
