"""An engine at work inside a program: in threads, or on an event loop. See `portway.embedding.server`.

A run is one start and one end. It owns its threads; the listeners, the logs and the certificates are lent to
it, and it says when it needs them no more.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Container
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from portway.apps import Application
from portway.config import Settings
from portway.errors import StartupFailed, UsageError
from portway.server.connecting import listen, offer_upgrades, route, tell_mounts
from portway.server.listeners import Listener
from portway.server.logs import AccessLog, ErrorLog, describe_exception
from portway.server.reporter import Reporter

if TYPE_CHECKING:
    from portway.engine.asgi import ASGIEngine
    from portway.engine.wsgi import WSGIEngine
    from portway.server.encryption import Encryption
    from portway.site.mounts import SiteApplication
    from portway.site.site import Site

CLEAN_UP_S = 5.0
"""Seconds that an application's shutdown has, once no request is left."""


class Lent(Struct, frozen=True):
    """What a run works with.

    Attributes:
        application: What is served.
        settings: The configuration.
        site: The routes, or None without any.
        listeners: Where connections come from.
        log: The error log.
        access: The access log, or None.
        encryption: The certificates, or None without TLS.
        give_back: Called once, when the run has ended.
    """

    application: Application
    settings: Settings
    site: Site | None
    listeners: list[Listener]
    log: ErrorLog
    access: AccessLog | None
    encryption: Encryption | None
    give_back: Callable[[], None]


class Run(Protocol):
    """One engine between its start and its end."""

    def drain(self, grace_s: float, idle_s: float) -> None:
        """Begin to end. Any thread, also from a signal handler; returns at once.

        Args:
            grace_s: Seconds for what is under way; 0 cuts it.
            idle_s: Seconds for a request that may be on its way.
        """

    def wait(self, timeout_s: float | None) -> bool:
        """Wait for the end; returns whether it has come."""

    def abandon(self) -> None:
        """In a forked child: let go of what the parent serves."""


class _Engine(Protocol):
    def drain(self, seconds: float, idle_seconds: float = ...) -> None: ...
    def stop(self) -> None: ...


def _drain(engine: _Engine, grace_s: float, idle_s: float) -> None:
    if grace_s > 0:
        engine.drain(grace_s, idle_s)
    else:
        engine.stop()


def site_application(application: Application) -> SiteApplication | None:
    """Return an application as the several that it is, or None."""
    if not hasattr(application, "beside"):
        return None
    from portway.site.mounts import SiteApplication

    return application if isinstance(application, SiteApplication) else None


def _wait(over: threading.Event, timeout_s: float | None) -> bool:
    """Wait for an event; returns whether it has come.

    In the main thread a signal that comes just before a wait begins does not end it: Python runs handlers
    between two steps of its own. So a wait without end is one of many, each of a second.
    """
    if timeout_s is not None:
        return over.wait(timeout_s)
    while not over.wait(1.0):
        pass
    return True


class _Thread:
    """A thread whose end can be waited for. An interrupted `join` would take it for ended (Python 3.11)."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._work = work
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self._thread.start()

    def _live(self) -> None:
        try:
            self._work()
        finally:
            self._over.set()

    def wait(self, timeout_s: float | None) -> bool:
        """Wait for the end; returns whether it has come."""
        if not _wait(self._over, timeout_s):
            return False
        if threading.current_thread() is not self._thread:
            self._thread.join()
        return True

    @property
    def is_current(self) -> bool:
        """Whether it is this one."""
        return threading.current_thread() is self._thread


class ThreadedRun:
    """WSGI applications on threads of its own. Serves once it is made.

    Where a site has ASGI applications, too, or proxies, an event loop in one more thread has those.

    Raises:
        StartupFailed: See `LoopedRun.open`.
    """

    def __init__(self, lent: Lent) -> None:
        from portway.engine.wsgi import WSGIEngine

        self._lent = lent
        self._beside: OwnLoopRun | None = None
        site = site_application(lent.application)
        self._engine = WSGIEngine(
            lent.application.app,
            lent.settings,
            report=Reporter(lent.log),
            access=lent.access,
            multiprocess=False,
        )
        self._engine.tell_fields = lent.application.wants_fields
        tell_mounts(self._engine, lent.application)
        route(self._engine, lent.site, site.asgi.places if site and site.asgi else ())
        listen(self._engine, lent.listeners, lent.settings, lent.encryption)
        if site and site.wsgi and site.beside:
            self._beside = OwnLoopRun(replace(lent, application=site.beside), self._engine, site.wsgi.places)
        self._thread = _Thread("portway-0", self._live)

    def _live(self) -> None:
        try:
            self._engine.run()
            if self._beside is not None:
                self._beside.wait(None)
        finally:
            self._lent.give_back()

    def drain(self, grace_s: float, idle_s: float) -> None:
        _drain(self._engine, grace_s, idle_s)

    def wait(self, timeout_s: float | None) -> bool:
        return self._thread.wait(timeout_s)

    def abandon(self) -> None:
        self._engine.abandon()
        if self._beside is not None:
            self._beside.abandon()


class LoopedRun:
    """ASGI applications on the event loop that `open` is awaited in. Its end is a task of that loop.

    Args:
        lent: What it works with.
        leader: The engine that gives it its connections, where it is not to accept any itself.
        elsewhere: The places of the routes that that one answers.

    Attributes:
        ending: Done when all has ended.
    """

    def __init__(self, lent: Lent, leader: WSGIEngine | None = None, elsewhere: Container[int] = ()) -> None:
        from portway.server.asgi_worker import lifespan_of

        self._lent = lent
        self._elsewhere = elsewhere
        self._leader = leader
        self._lifespan = lifespan_of(lent.application, lent.settings)
        self._over = threading.Event()

    async def open(self) -> None:
        """Serve. When this raises, nothing of the applications runs any more.

        Raises:
            StartupFailed: A lifespan refuses to start, or exceeds `startup_timeout`.
        """
        self._loop = asyncio.get_running_loop()
        await self._start()
        try:
            self._engine = self._make_engine()
            self._engine.start()
        except BaseException:
            await self._end()
            raise
        self.ending = self._loop.create_task(self._close(), name="portway")

    async def _start(self) -> None:
        from portway.server.asgi_worker import start

        longest_s = self._lent.settings.timeouts.startup
        try:
            async with asyncio.timeout(longest_s):
                await start(self._lifespan, self._lent.log)
        except TimeoutError:
            raise StartupFailed(
                f"the application's startup did not finish in {longest_s:g} seconds",
                "something it waits for may not answer; startup_timeout gives it more time.",
            ) from None

    def _make_engine(self) -> ASGIEngine:
        from portway.engine.asgi import ASGIEngine

        lent, lifespan = self._lent, self._lifespan
        reporter = Reporter(lent.log)
        engine = ASGIEngine(
            lent.application.app,
            lent.settings,
            loop=self._loop,
            report=reporter,
            access=lent.access,
            state=lifespan.state if lifespan.supported else None,
        )
        tell_mounts(engine, lent.application)
        offer_upgrades(engine, lent.application, lent.settings, reporter.notice)
        if self._leader is None:
            route(engine, lent.site)
            listen(engine, lent.listeners, lent.settings, lent.encryption)
        else:
            route(engine, lent.site, self._elsewhere)
            self._leader.pair(engine, {})
        return engine

    async def _close(self) -> None:
        try:
            await self._engine.wait_closed()
        except asyncio.CancelledError:  # the loop ends before the server was ended
            self._engine.stop()
            await self._engine.wait_closed()
        finally:
            await self._end()
            if self._leader is None:
                self._lent.give_back()
            self._over.set()

    async def _end(self) -> None:
        from portway.server.asgi_worker import end

        try:
            async with asyncio.timeout(CLEAN_UP_S):
                await end(self._lifespan, self._lent.log)
        except TimeoutError:
            text = f"the application's shutdown did not finish in {CLEAN_UP_S:g} seconds"
            self._lent.log.entry("error", text)

    def drain(self, grace_s: float, idle_s: float) -> None:
        _drain(self._engine, grace_s, idle_s)

    def wait(self, timeout_s: float | None) -> bool:
        if not self._over.is_set() and timeout_s != 0 and asyncio._get_running_loop() is self._loop:
            raise UsageError("waiting here would block the event loop that serves", "end() does not wait.")
        return _wait(self._over, timeout_s)

    def abandon(self) -> None:
        self._engine.abandon()


class OwnLoopRun:
    """ASGI applications on an event loop of its own, in a thread of its own. Serves once it is made.

    Args:
        lent: What it works with.
        leader: See `LoopedRun`; it is stopped when the loop breaks down.
        elsewhere: See `LoopedRun`.

    Raises:
        StartupFailed: See `LoopedRun.open`; or the event loop is not installed.
    """

    def __init__(self, lent: Lent, leader: WSGIEngine | None = None, elsewhere: Container[int] = ()) -> None:
        self._lent = lent
        self._leader = leader
        self._inner = LoopedRun(lent, leader, elsewhere)
        self._opened: Future[None] = Future()
        self._main: asyncio.Task[None] | None = None
        self._thread = _Thread("portway-loop", self._live)
        try:
            self._opened.result()
        except BaseException:
            self._give_up()
            raise

    def _live(self) -> None:
        from portway.server.asgi_worker import loop_factory

        try:
            factory = loop_factory(self._lent.settings.process.loop)
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(self._serve())
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(error)
                return
            text = describe_exception(error)
            self._lent.log.entry("error", "the event loop of a server broke down", text)
        finally:
            if self._leader is None:
                self._lent.give_back()
            else:
                self._leader.stop()

    async def _serve(self) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        await self._inner.open()
        self._opened.set_result(None)
        await self._inner.ending

    def _give_up(self) -> None:
        """The start failed, or whoever waited for it was interrupted."""
        if not self._opened.done() and self._main is not None:
            self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.wait(CLEAN_UP_S)

    def drain(self, grace_s: float, idle_s: float) -> None:
        self._inner.drain(grace_s, idle_s)

    def wait(self, timeout_s: float | None) -> bool:
        if timeout_s != 0 and self._thread.is_current:
            raise UsageError("waiting here would block the event loop that serves", "end() does not wait.")
        return self._thread.wait(timeout_s)

    def abandon(self) -> None:
        self._inner.abandon()
