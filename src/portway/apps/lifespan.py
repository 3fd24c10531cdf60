"""The ASGI lifespan: the application's startup and shutdown, in a task of its own.

By the specification (asgi.readthedocs.io, Lifespan 2.0): the application is called once with a scope
of type "lifespan"; it receives `lifespan.startup`, answers `.complete` or `.failed`, and later the
same for `lifespan.shutdown`. An application that raises before it has answered does not support
lifespan and is served all the same, unless the mode is "on".
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from portway.apps.asgi2 import ASGIApp, Message
from portway.apps.importing import own_traceback, shown_line, summary
from portway.errors import ShutdownFailed, StartupFailed

Mode = Literal["auto", "on", "off"]

_CANCEL_GRACE_S = 1.0
"""How long a task that has been cancelled may take before it is left behind."""


class Lifespan:
    """Drives one application's lifespan. Belongs to the thread of one event loop.

    `startup` is awaited once, before the first request; `shutdown` once, after the last. `shutdown`
    without a startup that succeeded does nothing. Both tidy their task up when they raise or are cancelled.

    Attributes:
        state: The dict the application fills during startup; requests get copies of it.
        supported: Whether the application answered its startup. False before, and in mode "off".
        error: What an application raised instead of answering, in mode "auto"; for the log.
    """

    def __init__(self, app: ASGIApp, mode: Mode, state: dict[str, Any] | None = None) -> None:
        """Prepare; nothing runs yet.

        Args:
            app: The ASGI 3 application.
            mode: "auto" serves an application without lifespan, "on" refuses it, "off" never asks.
            state: The dict for the application to fill; a new one by default.
        """
        self.state: dict[str, Any] = {} if state is None else state
        self.supported = False
        self.error: BaseException | None = None
        self._app = app
        self._mode = mode
        self._task: asyncio.Task[None] | None = None
        self._received = 0
        self._stopping = asyncio.Event()
        self._started: asyncio.Future[str | None] | None = None
        self._stopped: asyncio.Future[str | None] | None = None
        self._exit: SystemExit | None = None

    async def startup(self, timeout_s: float | None = None) -> None:
        """Run the application's startup.

        Args:
            timeout_s: Seconds it may take; None waits for ever.

        Raises:
            StartupFailed: It said so, took too long, called `sys.exit()`, or (mode "on") has no lifespan.
        """
        if self._mode == "off":
            return
        loop = asyncio.get_running_loop()
        self._started, self._stopped = loop.create_future(), loop.create_future()
        self._task = loop.create_task(self._run(), name="portway lifespan")
        try:
            async with asyncio.timeout(timeout_s):
                await self._wait(self._started)
            self._check_started()
        except TimeoutError:
            await self._abandon()
            text = f"the application's startup did not finish in {timeout_s:g} seconds"
            hint = "something it waits for may not answer; --lifespan off starts without it."
            raise StartupFailed(text, hint) from None
        except BaseException:
            await self._abandon()
            raise

    async def shutdown(self, timeout_s: float | None = None) -> None:
        """Run the application's shutdown, and wait for its task to end.

        Args:
            timeout_s: Seconds it may take; None waits for ever.

        Raises:
            ShutdownFailed: It said so, raised, or took too long. Nothing of it is running any more.
        """
        if not self.supported or self._task is None or self._stopped is None:
            return
        self.supported = False
        self._stopping.set()
        try:
            async with asyncio.timeout(timeout_s):
                await self._wait(self._stopped)
                await asyncio.wait([self._task])
        except TimeoutError:
            text = f"the application's shutdown did not finish in {timeout_s:g} seconds"
            raise ShutdownFailed(text) from None
        else:
            self._check_stopped()
        finally:
            await self._abandon()

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except SystemExit as error:  # out of a task it would stop the loop, and nobody could say why
            self._exit = error

    async def _receive(self) -> Message:
        self._received += 1
        if self._received == 1:
            return {"type": "lifespan.startup"}
        await self._stopping.wait()
        if self._received > 2 and self._task is not None:
            # Nothing will ever come again: an application that loops on receive() ends here.
            self._task.cancel()
            await asyncio.Event().wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        phase, _, outcome = kind.removeprefix("lifespan.").partition(".")
        future = {"startup": self._started, "shutdown": self._stopped}.get(phase)
        if future is None or outcome not in ("complete", "failed") or not kind.startswith("lifespan."):
            raise RuntimeError(f"unexpected message {kind!r} in the lifespan")
        if future.done() or (phase == "shutdown" and not self._stopping.is_set()):
            raise RuntimeError(f"message {kind!r} sent out of turn")
        future.set_result(None if outcome == "complete" else str(message.get("message", "")))
        if phase == "startup":
            self.supported = outcome == "complete"

    async def _wait(self, answer: asyncio.Future[str | None]) -> None:
        """Wait for the answer or the end of the task, whichever is first."""
        assert self._task is not None
        awaited: list[asyncio.Future[Any]] = [answer, self._task]
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)

    def _check_started(self) -> None:
        assert self._started is not None and self._task is not None
        if self._exit is not None:
            raise StartupFailed(f"the application called sys.exit({self._exit.code!r}) in its startup")
        if self._started.done():
            message = self._started.result()
            if message is not None:
                raise StartupFailed(_said("startup", message), details=self._traceback())
            return
        self.error = None if self._task.cancelled() else self._task.exception()
        if self._mode == "on":
            reason = f"raised {summary(self.error)}" if self.error else "returned without answering"
            raise StartupFailed(
                f"the application does not support lifespan: it {reason}",
                "--lifespan auto serves it without.",
                details=self._traceback(),
            )

    def _check_stopped(self) -> None:
        assert self._stopped is not None and self._task is not None
        if self._stopped.done() and (message := self._stopped.result()) is not None:
            raise ShutdownFailed(_said("shutdown", message), details=self._traceback())
        error = None if self._task.cancelled() else self._task.exception()
        if error is not None:
            raise ShutdownFailed(
                f"the application's lifespan raised {summary(error)}", details=own_traceback(error)
            )

    def _traceback(self) -> str:
        """Return what the task raised, when it has ended with an exception."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return ""
        error = self._task.exception()
        return own_traceback(error) if error else ""

    async def _abandon(self) -> None:
        """Cancel the task and wait a moment for it; one that refuses is left to the loop's end."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=_CANCEL_GRACE_S)
        for ended in done:
            if not ended.cancelled():
                ended.exception()  # read, or asyncio logs it a second time


def _said(phase: str, message: str) -> str:
    return f"the application's {phase} failed" + (f": {shown_line(message)}" if message else "")
