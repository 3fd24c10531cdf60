"""The arbiter's side of the monitor: a small process that shows the server to operators.

Why a process of its own: whatever reaches the admin listener or the control socket (junk, a thousand
clients, a page that polls) is dealt with there, and can neither delay nor end the arbiter; and it answers
while every worker is busy. It reads the shared board by itself. Through a channel the arbiter tells it
what the board does not say, and it asks the arbiter to do what only the arbiter can.

It is forked only when `--admin` or `--control` is given, never imports the application, holds nothing that
must last, and is started again when it ends.
"""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import signal
import time
from collections.abc import Callable
from functools import partial

from portway.server.backoff import Backoff
from portway.server.children import WorkerProcess
from portway.server.generations import Generations
from portway.server.inspection import Inspection, MonitorAssignment
from portway.server.logs import LEVELS, ErrorLog
from portway.server.messages import Channel, Command, Done, Stacks, State, WorkerState
from portway.server.stack_teller import ASK
from portway.server.workers import Workers

RESTART_S = 1.0
"""Seconds after which it is tried again when the system has no room for another process."""
REFRESH_S = 4.0
"""Seconds after which the state is sent again, changed or not: a message may have been lost."""


def _live(assignment: MonitorAssignment) -> int:
    from portway.server.monitoring import run_monitor  # late: only the monitor needs it

    return run_monitor(assignment)


class Monitor:
    """Keeps the monitor process, tells it the state, obeys its commands. Used by the arbiter's only thread.

    Args:
        inspection: The listeners for the monitor; without any it is not started.
        selector: The arbiter's; the channel is registered there.
        workers: The children.
        generations: Asked to reload and to resize.
        stop: Stops the server; True: quickly.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        inspection: Inspection,
        selector: selectors.BaseSelector,
        workers: Workers,
        generations: Generations,
        stop: Callable[[bool], None],
        clock: Callable[[], float],
    ) -> None:
        self._inspection = inspection
        self._selector = selector
        self._workers = workers
        self._generations = generations
        self._stop = stop
        self._clock = clock
        self._started, self._since = time.time(), time.monotonic()
        self._channel: Channel | None = None
        self._pid = 0
        self._start_at = 0.0
        self._born = 0.0
        self._backoff = Backoff()
        self._sent: State | None = None
        self._send_at = 0.0

    @property
    def _log(self) -> ErrorLog:
        return self._generations.shared.log

    def look_after(self, stopping: bool) -> None:
        """Start the monitor if it does not run, and tell it what has changed.

        Raises:
            BecomeChild: In the child.
        """
        now = self._clock()
        if self._channel is None and self._inspection.wanted and now >= self._start_at and not stopping:
            self._start(now)
        if self._channel is not None:
            state = self._state(stopping)
            if state != self._sent or now >= self._send_at:
                self._channel.offer(state)
                self._sent, self._send_at = state, now + REFRESH_S

    def next_deadline(self) -> float:
        """Return when the monitor is to be started, in monotonic seconds; infinity when it runs."""
        return self._start_at if self._channel is None and self._inspection.wanted else math.inf

    def _start(self, now: float) -> None:
        self._start_at = now + RESTART_S
        ours, theirs = Channel.pair()
        assignment = MonitorAssignment(self._generations.shared, self._inspection, theirs, os.geteuid())
        try:
            self._pid = self._workers.fork(partial(_live, assignment), ours)
        except OSError as error:
            ours.close()
            theirs.close()
            self._log.entry("warning", f"cannot start the monitor: {error.strerror}")
            return
        theirs.close()
        self._channel = ours
        self._born = now
        self._sent = None
        self._selector.register(ours, selectors.EVENT_READ, self._hear)

    def _state(self, stopping: bool) -> State:
        generations, now = self._generations, self._clock()
        return State(
            pid=os.getpid(),
            started=self._started,
            since=self._since,
            serving=generations.serving.number if generations.serving else 0,
            coming=generations.coming.number if generations.coming else 0,
            rejected=generations.rejected,
            why=generations.refused,
            refusals=generations.refusals,
            lost=generations.lost,
            target=generations.target,
            stopping=stopping,
            log_level=self._log.level,
            workers=tuple(_worker_state(worker, now) for worker in self._workers.all()),
        )

    def _hear(self) -> None:
        channel = self._channel
        if channel is None:
            return
        for message in channel.receive():
            if isinstance(message, Command):
                channel.offer(self._obey(message))
        if channel.closed_by_peer:
            self._selector.unregister(channel)
            channel.close()
            self._channel = None
            now = self._clock()
            delay = self._backoff.delay_after(now - self._born)
            self._start_at = now + delay
            again = f"starting another in {delay:g} s" if delay else "starting another"
            self._log.entry("warning", f"the monitor, pid {self._pid}, ended; {again}")

    def _obey(self, command: Command) -> Done:
        match command.name:
            case "reload":
                before = self._generations.refusals
                return Done(command.number, value=self._generations.reload(), refusals=before)
            case "workers":
                return self._resize(command)
            case "stop":
                self._stop(command.argument == "quick")
                return Done(command.number)
            case "log-level" if command.argument in LEVELS:
                self._log.level = LEVELS[LEVELS.index(command.argument)]
                self._log.entry("info", f"log level is {command.argument} now")
                return Done(command.number)
            case "stacks":
                return self._ask_for_stacks(command)
            case _:
                return Done(command.number, f"there is no command {command.name} {command.argument}".rstrip())

    def _resize(self, command: Command) -> Done:
        wanted = int(command.argument) if command.argument.isdecimal() and len(command.argument) < 6 else 0
        if self._generations.scale(wanted):
            return Done(command.number, value=wanted)
        most = self._generations.shared.slots.count // 2
        return Done(command.number, f"from 1 to {most} are possible, not {wanted}")

    def _ask_for_stacks(self, command: Command) -> Done:
        for worker in self._workers.all():
            if str(worker.pid) == command.argument and worker.ready:
                self._workers.send(worker, ASK)
                return Done(command.number)
        return Done(command.number, "it is not ready")

    def pass_on(self, message: Stacks) -> None:
        """Hand a worker's answer to the monitor."""
        if self._channel is not None:
            self._channel.offer(message)

    def close_in_child(self) -> None:
        """Close the arbiter's end, in a forked child."""
        if self._channel is not None:
            self._channel.close()

    def close(self) -> None:
        """End the monitor, so that its addresses are free when this returns. It holds nothing to be saved."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
            with contextlib.suppress(OSError):
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)


def _worker_state(worker: WorkerProcess, now: float) -> WorkerState:
    # in steps: every look would find another age else
    age_s = int((now - worker.born) // REFRESH_S * REFRESH_S)
    return WorkerState(worker.pid, worker.generation.number, age_s, worker.ready is not None, worker.leaving)
