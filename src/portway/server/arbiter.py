"""The arbiter: opens what is shared, keeps the workers, obeys signals. It never imports the application.

One thread, one selector. Signals, messages from workers and connections left behind by dead ones are
all descriptors; everything else is a deadline. Signals as gunicorn has them:

    TERM        stop gracefully; once more (or INT): quickly; once more: now
    INT, QUIT   stop quickly; once more: now
    HUP         reload: a new generation beside the old one, which drains when the new one is ready
    TTIN, TTOU  one worker more, one less
    USR1        open the log files again
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import time
from collections.abc import Callable
from enum import IntEnum
from types import TracebackType
from typing import Self

from portway.config import Settings
from portway.server.assignment import Shared
from portway.server.generations import Generations
from portway.server.messages import Failed, Ready
from portway.server.opening import Opened, open_shared
from portway.server.rescue import Rescue
from portway.server.signals import SignalPipe
from portway.server.workers import WorkerProcess, Workers

TICK_S = 5.0
"""How often heartbeats are looked at. A tick costs some microseconds."""


class Stopping(IntEnum):
    """How far a stop has gone; it only grows."""

    NO = 0
    GRACEFUL = 1
    QUICK = 2
    NOW = 3


_HOW = {Stopping.GRACEFUL: "gracefully", Stopping.QUICK: "quickly", Stopping.NOW: "now"}


class Arbiter:
    """The process that keeps the workers. A context manager: leaving it closes and removes what it opened.

    Made and used by the main thread of the process, which must have no other thread, since it forks.

    Args:
        settings: The configuration.
        clock: Monotonic seconds.

    Raises:
        PortwayError: On entry, when an address, the pid file, a log or the user cannot be had.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._pid = os.getpid()
        self._stopping = Stopping.NO
        self._announced = False

    def __enter__(self) -> Self:
        self._opened: Opened = open_shared(self._settings)
        self._shared: Shared = self._opened.shared
        self._signals = SignalPipe()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._signals.fileno(), selectors.EVENT_READ, self._on_signals)
        rescue = Rescue(self._shared.slots, self._selector)
        self._workers = Workers(self._shared, self._clock, self._close_in_child)
        self._generations = Generations(
            self._shared, self._workers, rescue, self._clock, self._spawned, self._settled
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if os.getpid() != self._pid:
            return  # a forked child on its way out
        for worker in self._workers.all():  # only after an unexpected error of the arbiter itself
            self._workers.kill(worker)
        self._signals.close()
        self._selector.close()
        self._opened.close()

    def _close_in_child(self) -> None:
        self._signals.close()
        self._selector.close()
        self._opened.forget()

    def run(self) -> None:
        """Serve until told to stop.

        Raises:
            StartupFailed: The first generation of workers could not start.
            BecomeWorker: In each forked child.
        """
        gc.freeze()  # a worker's collections would else write to, and so copy, every page it shares
        self._generations.begin()
        while True:
            if self._generations.failure and not self._stopping:
                self._stop(Stopping.QUICK)
            if self._stopping and not self._workers:
                break
            for key, _ in self._selector.select(self._patience()):
                # Handling one may have closed another of the same batch: a reaped worker's channel.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
            self._generations.fill_vacancies()
            self._workers.look_after()
        self._conclude()

    def _conclude(self) -> None:
        failure = self._generations.failure
        if failure is None:
            self._shared.log.entry("info", "stopped")
            return
        if self._shared.log.path is not None:  # the terminal gets it anyway, from whoever called
            self._shared.log.entry("error", str(failure), failure.details)
        raise failure

    def _patience(self) -> float:
        deadline = min(self._workers.next_deadline(), self._generations.vacancies.next_due())
        return min(TICK_S, max(0.0, deadline - self._clock()))

    def _spawned(self, worker: WorkerProcess) -> None:
        self._selector.register(worker.channel, selectors.EVENT_READ, lambda: self._hear(worker))

    def _hear(self, worker: WorkerProcess) -> None:
        """Take in what a worker says. Its end of file says nothing: the signal of its death follows."""
        for message in worker.channel.receive():
            match message:
                case Failed():
                    worker.failure = message
                case Ready() if not worker.leaving:
                    self._generations.is_ready(worker, message)
        if worker.channel.closed_by_peer:
            self._deafen(worker)

    def _deafen(self, worker: WorkerProcess) -> None:
        if worker.channel.fileno() in self._selector.get_map():
            self._selector.unregister(worker.channel)

    def _on_signals(self) -> None:
        for number in self._signals.received():
            match number:
                case signal.SIGCHLD:
                    self._reap()
                case signal.SIGTERM:
                    self._stop(Stopping.GRACEFUL)
                case signal.SIGINT | signal.SIGQUIT:
                    self._stop(Stopping.QUICK)
                case signal.SIGUSR1:
                    self._reopen_logs()
                case signal.SIGUSR2:  # without a handler it would end the server
                    self._shared.log.entry("warning", "SIGUSR2 is ignored: there is no binary upgrade yet")
                case signal.SIGHUP | signal.SIGTTIN | signal.SIGTTOU if not self._stopping:
                    self._change(number)

    def _change(self, number: int) -> None:
        match number:
            case signal.SIGHUP:
                self._generations.reload()
            case signal.SIGTTIN:
                self._generations.resize(+1)
            case signal.SIGTTOU:
                self._generations.resize(-1)

    def _reap(self) -> None:
        for worker, status in self._workers.reap():
            self._hear(worker)  # its last words may have arrived after the signal
            self._deafen(worker)
            worker.channel.close()
            self._generations.ended(worker, status)

    def _stop(self, level: Stopping) -> None:
        """Stop at least this quickly; each further request goes one level further."""
        if not self._stopping:
            self._generations.stop()
            self._opened.close_listeners()  # so that new clients are refused as soon as workers let go, too
        self._stopping = max(level, Stopping(min(self._stopping + 1, Stopping.NOW)))
        if not self._generations.failure:
            self._shared.log.entry("info", f"stopping {_HOW[self._stopping]}")
        for worker in self._workers.all():
            if self._stopping == Stopping.NOW:
                self._workers.kill(worker)
            else:
                self._workers.stop(worker, quick=self._stopping == Stopping.QUICK)

    def _reopen_logs(self) -> None:
        # First here: the arbiter may still create files in a directory where its workers may not.
        self._shared.reopen_logs()
        for worker in self._workers.all():
            if worker.ready:
                self._workers.send(worker, signal.SIGUSR1)

    def _settled(self, message: Ready) -> None:
        if not self._announced:
            self._announced = True
            for listener in self._shared.listeners:
                self._shared.log.entry("info", f"listening on {listener}")
        count = len(self._workers.staying(self._generations.serving))
        self._shared.log.entry(
            "info",
            f"serving {message.interface} application {self._settings.app.app} with "
            f"{count} {'worker' if count == 1 else 'workers'} {message.workings}, pid {self._pid}",
        )
