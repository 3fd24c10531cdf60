"""The one event loop of an execution environment.

It outlives every invocation, so that connection pools and background tasks live as long as the
environment does. A coroutine's first step runs at once instead of through the loop's queue, and an
application that answers without ever waiting costs no turn of the loop (7 µs of a 9 µs request). The
task is a real one all the same: `current_task()`, context variables and cancellation are asyncio's own.
"""

from __future__ import annotations

import asyncio
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any, TypeVar

    T = TypeVar("T")

_set_running = asyncio._set_running_loop
_Task = asyncio.Task


class Loop:
    """Runs coroutines to their end on the kept loop. One thread only.

    Attributes:
        loop: The asyncio loop itself.
        task: The task that `run` is in, or None. Another thread may read it.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.task: asyncio.Task[Any] | None = None
        # What run_forever sets for the time it runs; a first step taken outside it needs the same.
        sys.set_asyncgen_hooks(*self.loop.run_until_complete(_asyncgen_hooks()))
        # Known inside and out; any other kind runs its tasks from the first step on.
        self._at_once = isinstance(self.loop, asyncio.BaseEventLoop)
        self._note = self._note_step
        self._step: Any = None
        # The selector's own dict: the length of `get_map()` costs a call. A kind of loop that hides what it
        # waits for has something to do, always.
        selector = getattr(self.loop, "_selector", None)
        self._descriptors: Any = getattr(selector, "_fd_to_key", ("unknown",) * 2)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what the coroutine returns.

        Raises:
            BaseException: Whatever it raised. Raised into the loop by a signal handler, it leaves the
                task behind, cancelled.
        """
        loop: Any = self.loop
        _set_running(loop)
        try:
            if self._at_once:
                # The task asks for its first step when it is made. An eager one (Python 3.12) would take it
                # unasked, but only inside `run_forever`.
                loop.call_soon = self._note
                try:
                    task = _Task(coroutine, loop=loop)
                finally:
                    del loop.call_soon
                step, context = self._step
                self._step = None
                try:
                    context.run(step)
                except BaseException:  # SystemExit and KeyboardInterrupt are kept and let out as well
                    _seen(task)
                    raise
            else:
                task = loop.create_task(coroutine)
        finally:
            _set_running(None)
        if task.done() and not (loop._ready or loop._scheduled or len(self._descriptors) > 1):
            return task.result()
        return self._finished(task)

    def _finished(self, task: asyncio.Task[T]) -> T:
        """Let the loop run until the task is done; return or raise what it did."""
        self.task = task
        try:
            if not task.done():
                return self.loop.run_until_complete(task)
            self.turn()
            return task.result()
        except BaseException:
            if not task.done():
                self._abandon(task)
            _seen(task)
            raise
        finally:
            self.task = None

    def _note_step(self, step: Any, *, context: Any = None) -> None:
        self._step = step, context

    def turn(self) -> None:
        """Let the loop do what is due: callbacks, timers and descriptors that are ready."""
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    def close(self) -> None:
        """Cancel what is left and close the loop."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.turn()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        sys.set_asyncgen_hooks(None, None)
        asyncio.set_event_loop(None)

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        """Cancel a task that an exception from outside left behind, and give it a few turns to clean up."""
        task.cancel()
        for _ in range(10):
            if task.done():
                break
            self.turn()


def _seen(task: asyncio.Task[Any]) -> None:
    """Tell a task that its exception has been seen, or the loop reports it as never retrieved."""
    if task.done() and not task.cancelled():
        task.exception()


async def _asyncgen_hooks() -> Any:
    return sys.get_asyncgen_hooks()
