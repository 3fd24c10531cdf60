"""ASGI lifespan, once per execution environment: start-up in the init phase, shutdown at SIGTERM."""

from __future__ import annotations

import asyncio

from .errors import AppFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from .loop import Loop


class Lifespan:
    """The lifespan task of one application. Belongs to the loop's thread.

    `startup` before the first request, `shutdown` after the last; after a shutdown `startup` may be
    called again (SnapStart).

    Attributes:
        state: What the application left for its requests, or None when it has no lifespan.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], loop: Loop, required: bool) -> None:
        self._app = app
        self._loop = loop
        self._required = required
        self._task: asyncio.Task[None] | None = None
        self._inbox: asyncio.Queue[str] = asyncio.Queue()
        self._answer: asyncio.Future[str] | None = None
        self._supported = False
        self.state: dict[str, Any] | None = None

    @property
    def running(self) -> bool:
        """Whether the application has a lifespan that has started and not ended."""
        return self._supported and self._task is not None and not self._task.done()

    def startup(self) -> None:
        """Start the application up, and return when it is ready.

        Raises:
            AppFailed: It said startup.failed, or has no lifespan although the option says "on".
        """
        self._loop.run(self._startup())

    def shutdown(self) -> None:
        """Shut the application down; a failure of its own is raised as AppFailed after it ended."""
        if self.running:
            self._loop.run(self._shutdown())

    async def _startup(self) -> None:
        state: dict[str, Any] = {}
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
        self._inbox = asyncio.Queue()
        await self._inbox.put("lifespan.startup")
        self._answer = asyncio.get_running_loop().create_future()
        self._task = asyncio.ensure_future(self._main(scope))
        await asyncio.wait((self._task, self._answer), return_when=asyncio.FIRST_COMPLETED)
        if self._answer.done():
            self._supported = True
            self._refused(self._answer.result(), "startup")
            self.state = state
            return
        failure = self._failure()  # seen, or asyncio reports it as never retrieved
        if self._required:
            raise AppFailed("the application has no lifespan, and PORTWAY_LIFESPAN is on") from failure

    async def _shutdown(self) -> None:
        task = self._task
        assert task is not None
        self._answer = asyncio.get_running_loop().create_future()
        await self._inbox.put("lifespan.shutdown")
        await asyncio.wait((task, self._answer), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait((task,), timeout=1)
            task.cancel()
        if self._answer.done():
            self._refused(self._answer.result(), "shutdown")

    def _refused(self, message: str, phase: str) -> None:
        if message:
            raise AppFailed(f"the application refused its {phase}: {message[1:] or 'it gave no reason'}")

    def _failure(self) -> BaseException | None:
        task = self._task
        return None if task is None or not task.done() or task.cancelled() else task.exception()

    async def _main(self, scope: dict[str, Any]) -> None:
        await self._app(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        return {"type": await self._inbox.get()}

    async def _send(self, message: dict[str, Any]) -> None:
        answer = self._answer
        if answer is None or answer.done():
            raise RuntimeError(f"{message['type']} was not asked for")
        # "" for success, else "!" and the application's reason.
        answer.set_result(
            "!" + str(message.get("message", "")) if message["type"].endswith(".failed") else ""
        )
