"""The hooks of a worker: what is called when, and the requests that are wrapped.

Without hooks nothing of this is imported, and no request passes through it.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from types import FrameType
from typing import Any

from msgspec.structs import replace

from portway.apps import Application
from portway.config.hook_table import WORKER_EVENTS
from portway.server.assignment import Assignment
from portway.server.hooks import HookLog, Hooks, Worker, describe_server, load_hooks


class WorkerHooks:
    """One worker's hooks. Made right after the fork; used by whatever thread meets the event.

    Args:
        assignment: The worker's work.

    Raises:
        BadValue: A function cannot be imported.
    """

    def __init__(self, assignment: Assignment) -> None:
        shared = assignment.shared
        self._hooks: Hooks = load_hooks(shared.settings, WORKER_EVENTS, shared.log)
        self._descriptor = shared.log.fd
        addresses = [str(listener) for listener in shared.listeners]
        self._server = describe_server(shared.settings, addresses, shared.log, os.getppid())
        self._worker = Worker(os.getpid(), assignment.slot, assignment.generation, HookLog(shared.log))
        self._once = threading.Lock()
        self._over = False

    def forked(self) -> None:
        """Call post_fork; let SIGABRT call worker_abort, a stop before the worker is ready worker_exit."""
        if "worker_exit" in self._hooks:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, self._stopped_early)
        self._hooks.call("post_fork", self._server, self._worker)
        if "worker_abort" in self._hooks:
            signal.signal(signal.SIGABRT, lambda number, frame: self.aborted())

    def _stopped_early(self, number: int, frame: FrameType | None) -> None:
        """Obey a signal that meets a worker which does not serve yet: its end, as without the handler."""
        self.ended()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def aborted(self) -> None:
        """Call worker_abort, where there is one, write down the stacks, and end.

        The signal reaches Python's handler and the engine's wake-up, each on a thread of its own: the
        first of them does it.
        """
        if "worker_abort" in self._hooks and self._once.acquire(blocking=False):
            self._hooks.call("worker_abort", self._worker)
            faulthandler.dump_traceback(self._descriptor)
            os.abort()

    def loaded(self, application: Application) -> Application:
        """Call post_worker_init; return the application, wrapped where requests have hooks."""
        self._hooks.call("post_worker_init", self._worker)
        if "pre_request" not in self._hooks and "post_request" not in self._hooks:
            return application
        wrap = self._wsgi if application.interface == "wsgi" else self._asgi
        wrapped = replace(application, app=wrap(application.app))
        beside = getattr(application, "beside", None)
        if beside is None:
            return wrapped
        return replace(wrapped, beside=replace(beside, app=self._asgi(beside.app)))

    def interrupted(self) -> None:
        """Call worker_int."""
        self._hooks.call("worker_int", self._worker)

    def ended(self) -> None:
        """Call worker_exit, once."""
        if not self._over:
            self._over = True
            self._hooks.call("worker_exit", self._server, self._worker)

    def _wsgi(self, app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        hooks, worker = self._hooks, self._worker
        closes = "post_request" in hooks

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            hooks.call("pre_request", worker, environ)
            try:
                result = app(environ, start_response)
            except BaseException:
                hooks.call("post_request", worker, environ)
                raise
            if not closes:
                return result
            return _Closing(result, lambda: hooks.call("post_request", worker, environ))

        return application

    def _asgi(self, app: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        hooks, worker = self._hooks, self._worker

        async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await app(scope, receive, send)
                return
            hooks.call("pre_request", worker, scope)
            try:
                await app(scope, receive, send)
            finally:
                hooks.call("post_request", worker, scope)

        return application


class _Closing:
    """An iterable that says when it is over: servers call `close` once, whatever happened."""

    def __init__(self, result: Iterable[bytes], after: Callable[[], None]) -> None:
        self._result = result
        self._after = after

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._result)

    def close(self) -> None:
        try:
            if hasattr(self._result, "close"):
                self._result.close()
        finally:
            self._after()
