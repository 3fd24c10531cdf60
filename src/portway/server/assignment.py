"""What a forked child is handed by the arbiter, and the way out of the arbiter's loop into the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from portway.config import Settings
from portway.server.listeners import Listener, Place
from portway.server.logs import AccessLog, ErrorLog
from portway.server.messages import Channel
from portway.server.privileges import Identity
from portway.server.slots import Slots

if TYPE_CHECKING:
    from portway.server.developing.bulletin import Development
    from portway.server.encryption import Encryption
    from portway.site.environment import Environment
    from portway.site.site import Site

QUICK_STOP_S = 5.0
"""Seconds for a worker to clean up (ASGI lifespan, exit handlers) once its connections are closed."""


class Shared(Struct, frozen=True):
    """What the arbiter opened before the first fork, the same in every process.

    Attributes:
        settings: The whole configuration.
        log: The error log.
        access: The access log, or None when it is off.
        identity: Whom workers run as, or None to stay as they are.
        listeners: Sockets that every worker accepts from.
        slots: Shared counters and hand-over queues.
        encryption: The certificates in use, or None without TLS.
        site: The routes, or None without any.
        environment: What the configuration adds to the applications' environment, or None.
        development: What `portway dev` adds; None in production.
        places: What there is to know of each listener that connections may come from, by its number: of those
            above, and of those that other generations have or had.
        knows: See `portway.server.listening`.
    """

    settings: Settings
    log: ErrorLog
    access: AccessLog | None
    identity: Identity | None
    listeners: list[Listener]
    slots: Slots
    encryption: Encryption | None = None
    site: Site | None = None
    environment: Environment | None = None
    development: Development | None = None
    places: Mapping[int, Place] = {}
    knows: int = 0

    def reopen_logs(self) -> None:
        """Open the log files again after a rotation; one that cannot be opened stays as it is."""
        for log in (self.log, self.access):
            problem = log.reopen() if log else None
            if problem:
                self.log.entry("error", problem)


class Assignment(Struct, frozen=True):
    """One worker's work.

    Attributes:
        shared: What all workers have in common.
        slot: The index of its slot; -1 for a preloader.
        generation: The number of its generation; counts from 1.
        channel: Its end of the socket pair with the arbiter.
        interrupted: Called when it is told to stop quickly; None: nobody is to know.
        aborted: Called at SIGABRT in whatever thread meets it; None: the default action has it.
    """

    shared: Shared
    slot: int
    generation: int
    channel: Channel
    interrupted: Callable[[], None] | None = None
    aborted: Callable[[], None] | None = None


class BecomeChild(BaseException):
    """Raised in a forked child, so that it leaves the arbiter's frames before it does anything else.

    Everything that only the arbiter may have is closed by then. Not an `Exception`: nothing on the
    way may take it for one.

    Args:
        life: What the child does, once outside; returns its exit code.
    """

    def __init__(self, life: Callable[[], int]) -> None:
        super().__init__(life)
        self.life = life
