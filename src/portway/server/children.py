"""The arbiter's book: generations, and the processes that belong to them. Records only, and no policy."""

from __future__ import annotations

import errno
import math
import os
import socket

from msgspec import Struct, field

from portway.server.assignment import Shared
from portway.server.backoff import Backoff
from portway.server.heartbeat import Heartbeat
from portway.server.messages import Channel, Failed, Ready, Step

FORK_TIMEOUT_S = 10.0
"""Longest wait for a preloader to fork. It does nothing else, so one that does not answer is stuck."""


class Generation(Struct, eq=False):
    """The workers that one start or reload began, and the configuration they run with.

    Attributes:
        number: Counts from 1.
        shared: What its workers are handed.
        target: How many workers it is to have.
        preloader: The process that its workers are forked from; None without `--preload`, or when it died.
        warm: Another process that its workers can be forked from, in development; None does without.
        preloader_due: When another preloader may be started, in monotonic seconds.
        preloader_backoff: How long each next one waits.
    """

    number: int
    shared: Shared
    target: int
    preloader: Preloader | None = None
    warm: Warm | None = None
    preloader_due: float = 0.0
    preloader_backoff: Backoff = field(default_factory=Backoff)

    @property
    def preloads(self) -> bool:
        """Whether its workers are forked from a process that has imported the application."""
        return self.shared.settings.process.preload

    @property
    def stands_in(self) -> bool:
        """Whether it says why the application does not start, in development, and does not serve it."""
        return self.shared.development is not None and self.shared.development.stand_in

    @property
    def can_fork(self) -> bool:
        """Whether a worker can be started now."""
        return not self.preloads or (self.preloader is not None and self.preloader.loaded)


class Child(Struct, eq=False, kw_only=True):
    """One child of the arbiter.

    Attributes:
        pid: Its process id.
        generation: Whose it is.
        channel: The arbiter's end of the socket pair with it.
        born: When it was forked, in monotonic seconds.
        leaving: It has been told to stop, so its end needs no replacement.
        kill_at: When it is killed if it still lives.
        failure: Why it cannot start: what it said itself, or what the arbiter killed it for.
        aborted: It is stuck, and has been told to say where; its end follows.
        killed: It has been killed, and not reaped yet.
        slow: It has been reported as slow to start.
    """

    pid: int
    generation: Generation
    channel: Channel
    born: float
    leaving: bool = False
    kill_at: float = math.inf
    failure: Failed | None = None
    aborted: bool = False
    killed: bool = False
    slow: bool = False

    @property
    def started(self) -> bool:
        """Whether it has said that it does its work."""
        raise NotImplementedError

    @property
    def title(self) -> str:
        """What the log calls it."""
        raise NotImplementedError


class WorkerProcess(Child, eq=False, kw_only=True):
    """A worker.

    Attributes:
        slot: The index of its slot.
        beats: How long it has been silent.
        ready: What it said when it began to answer requests; None before.
        retiring: It goes on serving until another one is ready in its place.
        limits: When it is to be recycled; None before it is ready.
        stuck: A request that it cannot end, "" when there is none.
    """

    slot: int
    beats: Heartbeat
    ready: Ready | None = None
    retiring: bool = False
    limits: Limits | None = None
    stuck: str = ""

    @property
    def started(self) -> bool:
        return self.ready is not None

    @property
    def title(self) -> str:
        return f"worker {self.pid}"


class Watcher(Child, eq=False, kw_only=True):
    """The process that watches files for `--reload`."""

    @property
    def started(self) -> bool:
        return True

    @property
    def title(self) -> str:
        return f"watcher {self.pid}"


class Limits(Struct, frozen=True):
    """At what a worker is recycled; infinity where nothing is set.

    Attributes:
        requests: After so many.
        memory: With more bytes.
        age_at: At this time, in monotonic seconds.
    """

    requests: float = math.inf
    memory: float = math.inf
    age_at: float = math.inf


class Preloader(Child, eq=False, kw_only=True):
    """The process of a generation that has imported the application and forks its workers.

    Attributes:
        orders: The arbiter's end of the socket that forks are asked for on. Closing it ends the process.
        loaded: It has imported the application.
    """

    orders: socket.socket
    loaded: bool = False

    @property
    def started(self) -> bool:
        return self.loaded

    @property
    def title(self) -> str:
        return f"preloader {self.pid}"

    def fork(self, slot: int, generation: int, channel: Channel) -> int:
        """Have a worker forked, and return its process id.

        Args:
            slot: The index of its slot.
            generation: The number of its generation.
            channel: The worker's end of its socket pair; the caller closes its own copy.

        Raises:
            OSError: It cannot fork, does not answer, or names a process that is no child of this one.
        """
        socket.send_fds(self.orders, [b"%d %d" % (slot, generation)], [channel.fileno()])
        answer = self.orders.recv(64)
        try:
            number = int(answer) if answer else -errno.ECHILD
        except ValueError:
            number = -errno.EPROTO
        if number <= 0:
            raise OSError(-number, os.strerror(-number))
        # The application's code runs there: no process but a child may get the signals that are for a worker.
        os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return number


class Warm(Preloader, eq=False, kw_only=True):
    """A process of `portway dev` that workers of any generation are forked from.

    Attributes:
        steps: What it imports.
    """

    steps: tuple[Step, ...] = ()

    @property
    def title(self) -> str:
        return f"warm process {self.pid}"
