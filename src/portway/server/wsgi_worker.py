"""A worker that serves a WSGI application: the engine's threads, and what signals do to them."""

from __future__ import annotations

import signal
from types import FrameType
from typing import TYPE_CHECKING

from portway.apps import Application
from portway.engine.counters import DRAINING, READY
from portway.engine.wsgi import WSGIEngine
from portway.server import overdue
from portway.server.assignment import Assignment
from portway.server.connecting import connect, tell_mounts
from portway.server.messages import Ready
from portway.server.orphan import Lifeline
from portway.server.reporter import Reporter
from portway.server.signals import ignore
from portway.server.stack_teller import ASK, StackTeller

if TYPE_CHECKING:
    from portway.server.companion import Companion
    from portway.site.mounts import SiteApplication

_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGIO)


class WSGIWorker:
    """One worker process. `run` is the main thread's; signals are obeyed in the thread that meets them.

    A signal is seen twice: as a byte that the engine's leading thread reads, and, when the main thread
    is inside the application's Python code, by the interpreter's handler there. Both do the same, and
    doing it twice does no harm; so a worker with every thread busy still hears.

    Args:
        assignment: The worker's work.
        application: What was loaded, a WSGI callable in it.
    """

    def __init__(self, assignment: Assignment, application: Application) -> None:
        shared = assignment.shared
        self._assignment = assignment
        self._application = application
        self._label = application.label
        self._grace_s = shared.settings.timeouts.graceful
        self._lifeline = Lifeline(assignment.channel, shared.log, self._grace_s)
        self._teller = StackTeller(assignment.channel)
        self._slot = shared.slots[assignment.slot]
        self._engine = WSGIEngine(
            application.app,
            shared.settings,
            slot=self._slot,
            board=shared.slots.board,
            report=Reporter(shared.log),
            access=shared.access,
            multiprocess=shared.settings.process.workers.maximum != 1,
        )
        self._engine.tell_fields = application.wants_fields
        tell_mounts(self._engine, application)
        self._companion: Companion | None = None

    def run(self) -> int:
        """Serve until drained or stopped; return the exit code.

        Raises:
            StartupFailed: The application does not pass the ready check.
        """
        self._check_ready()
        self._connect()
        overdue.attach(self._engine, self._assignment)
        self._listen_to_signals()
        threads = self._assignment.shared.settings.process.threads
        self._slot.state = READY
        beside = " and an event loop" if self._companion else ""
        self._assignment.channel.send(
            Ready(self._label, f"of {threads} {'thread' if threads == 1 else 'threads'}{beside}")
        )
        self._engine.run()
        self._stop_listening()
        if self._companion is not None:
            self._companion.finish()
        return 0

    def _connect(self) -> None:
        """Give the engine its connections; where there are ASGI applications too, start the other one."""
        beside: SiteApplication | None = getattr(self._application, "beside", None)
        if beside is None:
            connect(self._engine, self._assignment)
            return
        from portway.server.companion import Companion

        site: SiteApplication = self._application  # type: ignore[assignment]
        assert site.wsgi is not None and site.asgi is not None
        connect(self._engine, self._assignment, elsewhere=site.asgi.places)
        self._companion = Companion(self._assignment, beside, self._engine, site.wsgi.places)
        self._companion.start()
        self._teller = StackTeller(self._assignment.channel, self._companion.loop)

    def _check_ready(self) -> None:
        settings = self._assignment.shared.settings
        if settings.process.ready_check:
            from portway.server.readiness import check_wsgi

            check_wsgi(self._application, settings.process.ready_check, settings.app.root_path)

    def _listen_to_signals(self) -> None:
        self._engine.on_wakeup = self._obey
        signal.set_wakeup_fd(self._engine.wakeup_fd, warn_on_full_buffer=False)
        for number in (*_STOPPING, ASK):
            signal.signal(number, self._interrupted)
        self._obey(signal.SIGIO)  # the arbiter may have died before the handler stood

    def _stop_listening(self) -> None:
        """Leave the engine's descriptors alone: their numbers may be reused while the interpreter ends."""
        signal.set_wakeup_fd(-1)
        for number in (*_STOPPING, ASK):
            signal.signal(number, ignore)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        self._obey(number)

    def _obey(self, number: int) -> None:
        match number:
            case signal.SIGTERM:
                self._drain()
            case signal.SIGINT | signal.SIGQUIT:
                self._slot.state = DRAINING
                self._engine.stop()
                if self._assignment.interrupted:
                    self._assignment.interrupted()
            case signal.SIGABRT if self._assignment.aborted:
                self._assignment.aborted()
            case signal.SIGIO if self._lifeline.is_cut():
                self._drain()
            case signal.SIGURG:
                self._teller.tell()
            case signal.SIGUSR1:
                self._engine.flush_access()
                if self._companion is not None:
                    self._companion.flush_access()
                self._assignment.shared.reopen_logs()

    def _drain(self) -> None:
        self._slot.state = DRAINING
        self._engine.drain(self._grace_s)
