"""The event loop beside the threads of a WSGI worker: for a site with applications of both kinds, or proxies.

A second engine in a thread of its own. It accepts nothing: the worker's own engine gives it the
connections whose requests it is to answer, and says when all is over.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from portway.engine.asgi import ASGIEngine
from portway.errors import StartupFailed, shown
from portway.server import overdue
from portway.server.asgi_worker import end, lifespan_of, loop_factory, start
from portway.server.assignment import Assignment
from portway.server.connecting import offer_upgrades, tell_mounts
from portway.server.logs import describe_exception
from portway.server.reporter import Reporter
from portway.site.tables import make_table

if TYPE_CHECKING:
    from portway.engine.wsgi import WSGIEngine
    from portway.site.mounts import SiteApplication


class Companion:
    """The loop, its thread and its engine. `start` and `finish` are the main thread's.

    Args:
        assignment: The worker's work.
        application: The ASGI applications of the site.
        engine: The worker's own engine, connected and not started.
        elsewhere: The places of the routes that that one answers.

    Attributes:
        loop: The event loop, once started.
    """

    def __init__(
        self,
        assignment: Assignment,
        application: SiteApplication,
        engine: WSGIEngine,
        elsewhere: frozenset[int],
    ) -> None:
        self._assignment = assignment
        self._settings = assignment.shared.settings
        self._log = assignment.shared.log
        self._application = application
        self._leader = engine
        self._elsewhere = elsewhere
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._live, name="portway-loop", daemon=True)

    def start(self) -> None:
        """Start everything, lifespans included.

        Raises:
            StartupFailed: As for an ASGI worker.
        """
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure

    def finish(self) -> None:
        """Wait for the lifespans to end; the other engine has stopped this one."""
        self._thread.join()

    def flush_access(self) -> None:
        """Write what the access log still holds."""
        self._engine.flush_access()

    def _live(self) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory(self._settings.process.loop)) as runner:
                runner.run(self._serve())
        except BaseException as error:  # the applications' code may raise anything
            if not self._started.is_set():
                self._failure = error
                self._started.set()
                return
            text = f"the event loop beside {shown(self._settings.app.app)} broke down"
            self._log.entry("error", text, describe_exception(error))
            self._leader.stop()

    async def _serve(self) -> None:
        lifespan = lifespan_of(self._application, self._settings)
        await start(lifespan, self._log)
        try:
            await self._check_ready()
        except StartupFailed:
            await end(lifespan, self._log)
            raise
        self.loop = asyncio.get_running_loop()
        self._engine = self._make_engine(self.loop)
        self._engine.start()
        self._started.set()
        await self._engine.wait_closed()
        await end(lifespan, self._log)

    async def _check_ready(self) -> None:
        path = self._settings.process.ready_check
        if path:
            from portway.server.readiness import check_asgi

            await check_asgi(self._application, path, self._settings.app.root_path, None)

    def _make_engine(self, loop: asyncio.AbstractEventLoop) -> ASGIEngine:
        shared = self._assignment.shared
        reporter = Reporter(shared.log)
        engine = ASGIEngine(
            self._application.app,
            shared.settings,
            loop=loop,
            slot=shared.slots[self._assignment.slot],
            board=shared.slots.board,
            report=reporter,
            access=shared.access,
        )
        engine.table = make_table(self._application.site, self._elsewhere)
        tell_mounts(engine, self._application)
        offer_upgrades(engine, self._application, shared.settings, reporter.notice)
        overdue.attach(engine, self._assignment)
        self._leader.pair(engine, shared.slots.others(self._assignment.slot))
        return engine
