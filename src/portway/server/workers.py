"""The arbiter's children: forked, told to stop, killed when they do not, and reaped. No policy here."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

from portway.server import heartbeat
from portway.server.assignment import Assignment, BecomeWorker, Shared
from portway.server.heartbeat import Heartbeat
from portway.server.messages import Channel, Failed, Ready
from portway.server.signals import held

QUICK_STOP_S = 5.0
"""Seconds for a worker to clean up (ASGI lifespan, exit handlers) once its connections are closed."""

SLOW_START_S = 30.0


@dataclass(eq=False, slots=True)
class WorkerProcess:
    """One child of the arbiter.

    Attributes:
        pid: Its process id.
        slot: The index of its slot.
        generation: The number of its generation.
        channel: The arbiter's end of the socket pair with it.
        born: When it was forked, in monotonic seconds.
        beats: How long it has been silent.
        ready: What it said when it began to answer requests; None before.
        leaving: It has been told to stop, so its end needs no replacement.
        kill_at: When it is killed if it still lives.
        failure: What it said when it could not start.
        killed: It has been killed, and not reaped yet.
        slow: It has been reported as slow to start.
    """

    pid: int
    slot: int
    generation: int
    channel: Channel
    born: float
    beats: Heartbeat
    ready: Ready | None = None
    leaving: bool = False
    kill_at: float = math.inf
    failure: Failed | None = None
    killed: bool = False
    slow: bool = False


class Workers:
    """Every living worker, of whatever generation. Used by the arbiter's only thread.

    Args:
        shared: What each child is handed.
        clock: Monotonic seconds.
        close_in_child: Closes what only the arbiter may have; called first thing in each child.
    """

    def __init__(
        self, shared: Shared, clock: Callable[[], float], close_in_child: Callable[[], None]
    ) -> None:
        self._shared = shared
        self._clock = clock
        self._close_in_child = close_in_child
        self._by_pid: dict[int, WorkerProcess] = {}

    def __len__(self) -> int:
        return len(self._by_pid)

    def all(self) -> list[WorkerProcess]:
        """Return every living worker, oldest first."""
        return list(self._by_pid.values())

    def staying(self, generation: int) -> list[WorkerProcess]:
        """Return a generation's workers that have not been told to stop, oldest first."""
        return [w for w in self._by_pid.values() if w.generation == generation and not w.leaving]

    def spawn(self, slot: int, generation: int) -> WorkerProcess:
        """Fork a worker.

        Raises:
            BecomeWorker: In the child.
            OSError: The system has no process or descriptor left.
        """
        ours, theirs = Channel.pair()
        _flush_streams()  # or the child would write the same bytes again
        with held():  # a signal for the child waits until the arbiter's handlers are gone from it
            try:
                pid = os.fork()
            except OSError:
                ours.close()
                theirs.close()
                raise
            if pid == 0:
                self._leave_arbiter(ours)
                raise BecomeWorker(Assignment(self._shared, slot, generation, theirs))
        theirs.close()
        now = self._clock()
        worker = WorkerProcess(pid, slot, generation, ours, now, Heartbeat(now))
        self._by_pid[pid] = worker
        return worker

    def _leave_arbiter(self, ours: Channel) -> None:
        # A worker that kept an arbiter's end would hide the arbiter's death from the worker at the other.
        ours.close()
        for worker in self._by_pid.values():
            worker.channel.close()
        self._close_in_child()

    def stop(self, worker: WorkerProcess, quick: bool) -> None:
        """Tell a worker to stop; it is killed if it has not done so in time.

        Args:
            worker: The worker. It may have been told before; the earlier deadline stays.
            quick: Close its connections now, instead of answering what is in flight.
        """
        worker.leaving = True
        grace_s = 0.0 if quick else self._shared.settings.timeouts.graceful
        worker.kill_at = min(worker.kill_at, self._clock() + grace_s + QUICK_STOP_S)
        if worker.ready:
            self._shared.slots.drain(worker.slot)
        # A worker that is still loading would leave a core file of SIGQUIT.
        self.send(worker, signal.SIGQUIT if quick and worker.ready else signal.SIGTERM)

    def send(self, worker: WorkerProcess, number: int) -> None:
        """Send a signal to a worker that has not been reaped."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, number)

    def kill(self, worker: WorkerProcess) -> None:
        """End a worker at once."""
        worker.killed = True
        worker.kill_at = math.inf
        self.send(worker, signal.SIGKILL)

    def reap(self) -> list[tuple[WorkerProcess, int]]:
        """Return the workers that have ended, each with its exit code (negative: the signal that ended it).

        As process 1 of a container the arbiter also inherits orphans; they are reaped and forgotten.
        """
        ended = []
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                worker = self._by_pid.pop(pid, None)
                if worker is not None:
                    ended.append((worker, os.waitstatus_to_exitcode(status)))
        return ended

    def look_after(self) -> None:
        """Kill workers that do not stop in time or no longer beat; report those slow to start."""
        now = self._clock()
        for worker in self.all():
            if worker.killed:
                continue
            if now >= worker.kill_at:
                self._shared.log.entry("error", f"worker {worker.pid} did not stop in time: killed")
                self.kill(worker)
            elif worker.ready and not worker.leaving:
                self._check_beats(worker, now)
            elif not worker.slow and not worker.leaving and now - worker.born >= SLOW_START_S:
                worker.slow = True
                self._shared.log.entry(
                    "warning", f"worker {worker.pid} has been starting for {SLOW_START_S:.0f} s"
                )

    def _check_beats(self, worker: WorkerProcess, now: float) -> None:
        silent_s = worker.beats.silence(self._shared.slots[worker.slot].beat_ns, now)
        if silent_s >= heartbeat.LIMIT_S:
            self._shared.log.entry(
                "error", f"worker {worker.pid} has shown no sign of life for {silent_s:.0f} s: killed"
            )
            self.kill(worker)

    def next_deadline(self) -> float:
        """Return when `look_after` has something to kill, in monotonic seconds; infinity when nothing."""
        return min((worker.kill_at for worker in self._by_pid.values()), default=math.inf)


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed streams are None
            stream.flush()
