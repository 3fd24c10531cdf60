"""The ASGI driver (ASGI 3)."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from portway.config import Settings
from portway.engine.access import _Target
from portway.engine.base import _Report
from portway.engine.counters import Board, Slot
from portway.engine.static import StaticEngine

# scope, receive and send are of whatever type the application gives them.
_Application = Callable[[Any, Any, Any], Awaitable[object]]

class ASGIEngine(StaticEngine):
    """Serves one ASGI 3 application on one event loop.

    All of it belongs to the thread of the loop, but `drain`, `stop` and `wakeup_fd`.

    Args:
        app: The application, a single callable.
        settings: Read once, here.
        loop: The loop that runs, or will; asyncio's or uvloop's.
        slot: This worker's line of the board; None for private counters.
        board: For handing connections over; needs `add_handover`.
        report: Hears of errors and notices.
        access: Where the access log goes; None writes none.
        state: The lifespan's state, copied into every scope; None leaves the key out.
    """

    upgraded: _Application | None
    """Called instead of the application for a request with `Connection: upgrade`, before `start`.

    The extensions of its scope have `portway.upgrade`: a `stream.Stream`.
    """

    def __init__(
        self,
        app: _Application,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        slot: Slot | None = None,
        board: Board | None = None,
        report: _Report | None = None,
        access: _Target | None = None,
        state: MutableMapping[str, Any] | None = None,
    ) -> None: ...
    def start(self) -> None:
        """Begin to serve. Call it once, from the loop's thread."""

    async def wait_closed(self) -> None:
        """Return when the engine has drained or stopped. Any number may wait; cancelling one is harmless."""
