"""A server for a test: `with running(app) as url:`. The pytest fixture is `portway.testing.fixtures`."""

from __future__ import annotations

from types import TracebackType
from typing import Any

__all__ = ["running"]


class running:
    """Serve an application in this process for the length of a block, and give its URL.

    On a port of the loopback interface that the system chooses. `with` serves in threads, so that the block
    may use any client; `async with` serves an ASGI application on the running loop. At the end of the block,
    requests under way are finished, and the application's lifespan shuts down. Errors of the application are
    on the standard error stream, which pytest shows with a test that fails.

    Args:
        app: See `portway.Server`.
        options: Of `portway.Server`: `certfile`, `threads`, `routes`, `config` and so on.

    Raises:
        PortwayError: See `portway.Server` and its `start`.
    """

    def __init__(self, app: Any = None, **options: Any) -> None:
        from portway.embedding.server import Server  # late: the fixtures beside this cost nothing until used

        self.server = Server(app, **{"bind": "127.0.0.1:0", "log_level": "warning", **options})

    def __enter__(self) -> str:
        self.server.start()
        return self.server.url

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.stop(idle_s=0)  # a client of the test's own that still idles expects nothing

    async def __aenter__(self) -> str:
        await self.server.__aenter__()
        return self.server.url

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.end(idle_s=0)
        await self.server.__aexit__(kind, error, trace)
