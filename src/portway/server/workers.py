"""The arbiter's children: forked, told to stop, killed when they do not, and reaped. No policy here."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

from portway.server import heartbeat
from portway.server.assignment import QUICK_STOP_S, Assignment, BecomeChild
from portway.server.children import (
    FORK_TIMEOUT_S,
    Child,
    Generation,
    Preloader,
    Warm,
    Watcher,
    WorkerProcess,
)
from portway.server.heartbeat import Heartbeat
from portway.server.listeners import Listener
from portway.server.logs import Level
from portway.server.messages import Channel, Failed, Step
from portway.server.signals import held

SLOW_START_S = 30.0

LATE_S = 5.0
"""Seconds that a worker's watchdog may be late in any case: the machine may be busy, too."""

ABORT_S = 1.0
"""Seconds that a stuck child has to say where it is stuck."""

Work = Callable[[Assignment], int]
"""What a forked child does with its assignment, outside the arbiter's frames; returns its exit code."""

WarmUp = Callable[[Assignment, socket.socket, tuple[Step, ...], Work], int]
"""What a warm process does, in development; see `portway.server.developing.warm`."""


class Workers:
    """Every living child, of whatever generation. Used by the arbiter's only thread.

    Args:
        clock: Monotonic seconds.
        close_in_child: Closes what only the arbiter may have, with all listeners but these; called first
            thing in each child.
        work: What a worker does.
        preload: What a preloader does, with its end of the socket for orders.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        close_in_child: Callable[[Sequence[Listener]], None],
        work: Work,
        preload: Callable[[Assignment, socket.socket], int],
    ) -> None:
        self._clock = clock
        self._close_in_child = close_in_child
        self._work = work
        self._preload = preload
        self._by_pid: dict[int, Child] = {}

    def __len__(self) -> int:
        return len(self._by_pid)

    def children(self) -> list[Child]:
        """Return every living child, oldest first."""
        return list(self._by_pid.values())

    def all(self) -> list[WorkerProcess]:
        """Return every living worker, oldest first."""
        return [child for child in self._by_pid.values() if isinstance(child, WorkerProcess)]

    def of(self, generation: Generation | None) -> list[WorkerProcess]:
        """Return a generation's workers that have not been told to stop, oldest first."""
        return [worker for worker in self.all() if worker.generation is generation and not worker.leaving]

    def staying(self, generation: Generation | None) -> list[WorkerProcess]:
        """Return those of them that are to stay, oldest first: without the ones about to be replaced."""
        return [worker for worker in self.of(generation) if not worker.retiring]

    def spawn(self, slot: int, generation: Generation) -> WorkerProcess:
        """Fork a worker, out of the generation's preloader where there is one.

        Raises:
            BecomeChild: In the child.
            OSError: The system has no process or descriptor left, or the preloader does not answer.
        """
        ours, theirs = Channel.pair()
        try:
            if generation.preloader is not None:
                pid = generation.preloader.fork(slot, generation.number, theirs)
            else:
                pid = self._fork_warm(slot, generation, theirs)
                if not pid:
                    assignment = Assignment(generation.shared, slot, generation.number, theirs)
                    life = partial(self._work, assignment)
                    pid = self.fork(life, ours, keeps=generation.shared.listeners)
        except OSError:
            ours.close()
            theirs.close()
            raise
        theirs.close()
        now = self._clock()
        worker = WorkerProcess(
            pid=pid, generation=generation, channel=ours, born=now, slot=slot, beats=Heartbeat(now)
        )
        self._by_pid[pid] = worker
        return worker

    def _fork_warm(self, slot: int, generation: Generation, theirs: Channel) -> int:
        """Fork a worker out of the warm process, where there is one that can; return its id, or 0."""
        warm = generation.warm
        if warm is None or not warm.loaded or warm.leaving:
            return 0
        try:
            return warm.fork(slot, generation.number, theirs)
        except OSError as error:  # what it has imported has changed, or it is stuck
            _say(warm, "debug", f"is of no use any more: {error.strerror or error}")
            self.stop(warm, quick=True)
            return 0

    def spawn_warm(self, generation: Generation, steps: tuple[Step, ...], warm_up: WarmUp) -> Warm:
        """Fork a process that imports ahead.

        Args:
            generation: Whose settings and log it has.
            steps: What it imports.
            warm_up: What it does.

        Raises:
            BecomeChild: In the child.
            OSError: The system has no process or descriptor left.
        """

        def life(assignment: Assignment, orders: socket.socket) -> int:
            return warm_up(assignment, orders, steps, self._work)

        pid, ours, orders = self._fork_source(generation, life)
        now = self._clock()
        warm = Warm(pid=pid, generation=generation, channel=ours, born=now, orders=orders, steps=steps)
        self._by_pid[pid] = warm
        return warm

    def spawn_preloader(self, generation: Generation) -> Preloader:
        """Fork the process that a generation's workers are to come from.

        Raises:
            BecomeChild: In the child.
            OSError: The system has no process or descriptor left.
        """
        pid, ours, orders = self._fork_source(generation, self._preload)
        preloader = Preloader(pid=pid, generation=generation, channel=ours, born=self._clock(), orders=orders)
        self._by_pid[pid] = preloader
        generation.preloader = preloader
        return preloader

    def _fork_source(
        self, generation: Generation, life: Callable[[Assignment, socket.socket], int]
    ) -> tuple[int, Channel, socket.socket]:
        """Fork a process that forks others; return its id, and the ends of what it is talked to through."""
        ours, theirs = Channel.pair()
        orders, takes_orders = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        orders.settimeout(FORK_TIMEOUT_S)
        assignment = Assignment(generation.shared, -1, generation.number, theirs)
        try:
            become = partial(life, assignment, takes_orders)
            pid = self.fork(become, ours, orders, keeps=generation.shared.listeners)
        except OSError:
            for end in (ours, theirs, orders, takes_orders):
                end.close()
            raise
        theirs.close()
        takes_orders.close()
        return pid, ours, orders

    def spawn_watcher(self, generation: Generation, watch: Callable[[Channel], int]) -> Watcher:
        """Fork a process that watches files.

        Args:
            generation: Whose log and deadlines it has.
            watch: What it does, with its end of the socket pair.

        Raises:
            BecomeChild: In the child.
            OSError: The system has no process or descriptor left.
        """
        ours, theirs = Channel.pair()
        try:
            pid = self.fork(partial(watch, theirs), ours)
        except OSError:
            ours.close()
            theirs.close()
            raise
        theirs.close()
        watcher = Watcher(pid=pid, generation=generation, channel=ours, born=self._clock())
        self._by_pid[pid] = watcher
        return watcher

    def fork(
        self, life: Callable[[], int], *ours: Channel | socket.socket, keeps: Sequence[Listener] = ()
    ) -> int:
        """Fork a process that is none of the children here; return its id.

        Args:
            life: What it does, outside the arbiter's frames.
            ours: The arbiter's ends of what it talks through, closed in it.
            keeps: The listeners that it needs.

        Raises:
            BecomeChild: In it.
            OSError: The system has no process left.
        """
        _flush_streams()  # or the child would write the same bytes again
        with held():  # a signal for the child waits until the arbiter's handlers are gone from it
            pid = os.fork()
            if pid == 0:
                for end in ours:
                    end.close()
                self._leave_arbiter(keeps)
                raise BecomeChild(life)
        return pid

    def _leave_arbiter(self, keeps: Sequence[Listener]) -> None:
        # A worker that kept an arbiter's end would hide the arbiter's death from the worker at the other.
        for child in self._by_pid.values():
            child.channel.close()
            if isinstance(child, Preloader):
                child.orders.close()
        self._close_in_child(keeps)

    def stop(self, child: Child, quick: bool) -> None:
        """Tell a child to stop; it is killed if it has not done so in time.

        Args:
            child: The child. It may have been told before; the earlier deadline stays.
            quick: Have a worker close its connections now, instead of answering what is in flight.
        """
        child.leaving = True
        grace_s = 0.0 if quick else child.generation.shared.settings.timeouts.graceful
        child.kill_at = min(child.kill_at, self._clock() + grace_s + QUICK_STOP_S)
        if isinstance(child, WorkerProcess) and child.ready:
            child.generation.shared.slots.drain(child.slot)
        if isinstance(child, Preloader):
            child.orders.close()
        # A child that is still loading would leave a core file of SIGQUIT; only a worker has a use for it.
        serves = isinstance(child, WorkerProcess) and child.started
        self.send(child, signal.SIGQUIT if quick and serves else signal.SIGTERM)

    def send(self, child: Child, number: int) -> None:
        """Send a signal to a child that has not been reaped."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, number)

    def kill(self, child: Child) -> None:
        """End a child at once."""
        child.killed = True
        child.kill_at = math.inf
        self.send(child, signal.SIGKILL)

    def abort(self, child: Child) -> None:
        """End a child that is stuck. At SIGABRT it writes the stacks of its threads to the error log."""
        child.aborted = True
        child.kill_at = min(child.kill_at, self._clock() + ABORT_S)
        self.send(child, signal.SIGABRT)

    def reap(self) -> list[tuple[int, Child | None, int]]:
        """Return the processes that have ended: process id, child, exit code (negative: the signal).

        Those that are no child of ours are orphans (the arbiter may be process 1 of a container, and with
        `--preload` it inherits what workers leave behind), or were started by somebody who asks by the id.
        """
        ended = []
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                ended.append((pid, self._by_pid.pop(pid, None), os.waitstatus_to_exitcode(status)))
        return ended

    def look_after(self) -> bool:
        """Kill what does not start or stop in time or no longer beats; report what is slow to start.

        Returns:
            Whether a worker has been found stuck, which is to be replaced.
        """
        now = self._clock()
        found = False
        for child in self.children():
            if child.killed:
                continue
            if now >= child.kill_at:
                if not child.aborted:
                    _say(child, "error", "did not stop in time: killed")
                if isinstance(child, WorkerProcess) and child.stuck and not child.aborted:
                    child.kill_at = math.inf  # its stack first: nobody could tell it before
                    self.abort(child)
                else:
                    self.kill(child)
            elif child.leaving or child.aborted:
                continue
            elif not child.started:
                self._check_start(child, now - child.born)
            elif isinstance(child, WorkerProcess):
                found |= self._check_beats(child, now)
        return found

    def _check_start(self, child: Child, age_s: float) -> None:
        longest_s = child.generation.shared.settings.timeouts.startup
        if age_s >= longest_s:
            child.failure = Failed(
                f"{child.title} was not ready within {longest_s:g} s (--startup-timeout)",
                "its application may wait for something; a longer --startup-timeout gives it more time.",
            )
            self.abort(child)
        elif age_s >= SLOW_START_S and not child.slow:
            child.slow = True
            _say(child, "warning", f"has been starting for {SLOW_START_S:.0f} s")

    def _check_beats(self, worker: WorkerProcess, now: float) -> bool:
        beat_ns = worker.generation.shared.slots[worker.slot].beat_ns
        silent_s = worker.beats.silence(beat_ns, now)
        if silent_s >= heartbeat.LIMIT_S:
            _say(worker, "error", f"has shown no sign of life for {silent_s:.0f} s: killed")
            self.abort(worker)
            return False
        return not worker.stuck and self._is_held_up(worker)

    def _is_held_up(self, worker: WorkerProcess) -> bool:
        """Notice a worker in which nothing runs: C code keeps the interpreter's lock, past a deadline.

        Its watchdog looks no later than any deadline. So when it is late by as much again, no request of the
        worker has been able to go on for at least that long.
        """
        timeout_s = worker.generation.shared.settings.timeouts.request
        looks_ms = worker.generation.shared.slots[worker.slot].looks_ms
        late_s = time.monotonic() - looks_ms / 1000
        if not timeout_s or not looks_ms or late_s < max(timeout_s, LATE_S):
            return False
        worker.stuck = "a call that keeps the interpreter's lock"
        return True

    def next_deadline(self) -> float:
        """Return when `look_after` has something to kill, in monotonic seconds; infinity when nothing."""
        return min((_deadline(child) for child in self._by_pid.values()), default=math.inf)


def _deadline(child: Child) -> float:
    if child.killed or child.aborted or child.leaving or child.started:
        return child.kill_at
    return min(child.kill_at, child.born + child.generation.shared.settings.timeouts.startup)


def _say(child: Child, level: Level, text: str) -> None:
    child.generation.shared.log.entry(level, f"{child.title} {text}")


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed streams are None
            stream.flush()
