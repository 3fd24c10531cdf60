"""A worker that serves an ASGI application: its event loop, its lifespan, and what signals do to them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from portway.apps import Application
from portway.apps.lifespan import Lifespan
from portway.engine.asgi import ASGIEngine
from portway.engine.counters import DRAINING, READY
from portway.errors import ShutdownFailed, StartupFailed
from portway.server import overdue
from portway.server.assignment import Assignment
from portway.server.connecting import connect, mounts_of, offer_upgrades, tell_mounts
from portway.server.logs import ErrorLog, describe_exception
from portway.server.messages import Ready
from portway.server.orphan import Lifeline
from portway.server.reporter import Reporter
from portway.server.stack_teller import ASK, StackTeller

if TYPE_CHECKING:
    from portway.config import Settings
    from portway.site.lifespans import Lifespans

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def loop_factory(name: str) -> LoopFactory | None:
    """Return what makes the event loop; None means asyncio's own choice.

    Raises:
        StartupFailed: uvloop was asked for and is not installed.
    """
    if name != "uvloop":
        return None
    try:
        import uvloop
    except ImportError as error:
        raise StartupFailed(
            "the event loop uvloop cannot be imported",
            "pip install 'portway[uvloop]', or use --loop asyncio.",
        ) from error
    return uvloop.new_event_loop


def lifespan_of(application: Application, settings: Settings) -> Lifespan | Lifespans:
    """Return what drives the lifespan of an application, or those of all applications of a site."""
    mode = settings.process.lifespan
    mounts = mounts_of(application)
    if mounts is None:
        return Lifespan(application.app, mode)
    from portway.site.lifespans import Lifespans

    return Lifespans(mounts, mode)


async def start(lifespan: Lifespan | Lifespans, log: ErrorLog) -> None:
    """Run the startup.

    Raises:
        StartupFailed: It failed.
    """
    await lifespan.startup()
    if lifespan.error is not None:
        log.entry("debug", "the application has no lifespan", describe_exception(lifespan.error))


async def end(lifespan: Lifespan | Lifespans, log: ErrorLog) -> None:
    """Run the shutdown; one that fails is logged."""
    try:
        await lifespan.shutdown()
    except ShutdownFailed as error:
        log.entry("error", str(error), error.details)


class ASGIWorker:
    """One worker process. Everything happens in the thread of its event loop.

    Args:
        assignment: The worker's work.
        application: What was loaded, an ASGI 3 callable in it.
    """

    def __init__(self, assignment: Assignment, application: Application) -> None:
        shared = assignment.shared
        self._assignment = assignment
        self._application = application
        self._settings = shared.settings
        self._log = shared.log
        self._grace_s = shared.settings.timeouts.graceful
        self._lifeline = Lifeline(assignment.channel, shared.log, self._grace_s)
        self._slot = shared.slots[assignment.slot]

    def run(self) -> int:
        """Serve until drained or stopped; return the exit code.

        Raises:
            StartupFailed: The application's lifespan refuses to start, or the event loop is not installed.
        """
        with asyncio.Runner(loop_factory=loop_factory(self._settings.process.loop)) as runner:
            runner.run(self._serve())
        return 0

    async def _serve(self) -> None:
        lifespan = lifespan_of(self._application, self._settings)
        await start(lifespan, self._log)
        state = lifespan.state if lifespan.supported else None
        try:
            await self._check_ready(state)
        except StartupFailed:
            await end(lifespan, self._log)
            raise
        self._start(state)
        await self._engine.wait_closed()
        await end(lifespan, self._log)

    async def _check_ready(self, state: MutableMapping[str, Any] | None) -> None:
        if self._settings.process.ready_check:
            from portway.server.readiness import check_asgi

            root_path = self._settings.app.root_path
            await check_asgi(self._application, self._settings.process.ready_check, root_path, state)

    def _start(self, state: MutableMapping[str, Any] | None) -> None:
        loop = asyncio.get_running_loop()
        shared = self._assignment.shared
        reporter = Reporter(shared.log)
        self._engine = ASGIEngine(
            self._application.app,
            shared.settings,
            loop=loop,
            slot=self._slot,
            board=shared.slots.board,
            report=reporter,
            access=shared.access,
            state=state,
        )
        tell_mounts(self._engine, self._application)
        offer_upgrades(self._engine, self._application, shared.settings, reporter.notice)
        connect(self._engine, self._assignment)
        overdue.attach(self._engine, self._assignment)
        self._listen_to_signals(loop)
        self._engine.start()
        self._slot.state = READY
        kind = type(loop).__module__.partition(".")[0]
        self._assignment.channel.send(Ready(self._application.label, f"on {kind}"))

    def _listen_to_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_signal_handler(signal.SIGTERM, self._drain)
        loop.add_signal_handler(signal.SIGINT, self._stop)
        loop.add_signal_handler(signal.SIGQUIT, self._stop)
        loop.add_signal_handler(signal.SIGUSR1, self._reopen_logs)
        # Not the loop's: the handler runs, too, while a callback holds the loop up.
        signal.signal(ASK, StackTeller(self._assignment.channel, loop).handle_signal)
        # The loop watches the lifeline itself now. In this order, the death of the arbiter cannot be missed.
        loop.add_reader(self._assignment.channel.fileno(), self._look_at_lifeline)
        self._assignment.channel.signal_on_input(False)

    def _look_at_lifeline(self) -> None:
        if self._lifeline.is_cut():
            asyncio.get_running_loop().remove_reader(self._assignment.channel.fileno())
            self._drain()

    def _reopen_logs(self) -> None:
        self._engine.flush_access()
        self._assignment.shared.reopen_logs()

    def _drain(self) -> None:
        self._slot.state = DRAINING
        self._engine.drain(self._grace_s)

    def _stop(self) -> None:
        self._slot.state = DRAINING
        self._engine.stop()
        if self._assignment.interrupted:
            self._assignment.interrupted()
