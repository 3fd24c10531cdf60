"""What both engines are made of: their state and how they end."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from portway.config import Settings
from portway.engine.access import _Target
from portway.engine.counters import Board, Slot
from portway.engine.table import Table

class _Report(Protocol):
    """Hears what an engine has to say to the operator. Called in engine threads; must not block for long."""

    def application_error(self, exc: BaseException, request: str, /) -> None:
        """Hear what the application raised while it answered `request`, such as 'GET /path'."""

    def notice(self, key: str, text: str, /) -> None:
        """Hear of something that is worth one line for each `key`."""

    def refused(self, status: int, why: str, client: str, /) -> None:
        """Hear of a request that the engine answered itself; status 0 means that it closed without a word."""

    def stack(self, subject: int | asyncio.Task[Any], /) -> str:
        """Return where a thread (its ident) or a task is, in lines for the log."""

    def overdue(self, request: str, seconds: float, outcome: str, stack: str, /) -> None:
        """Hear of a request that is over its deadline, and where it was.

        Args:
            request: Such as 'GET /path'.
            seconds: How long it has taken.
            outcome: What its client gets: 'answered 504', or why nothing yet.
            stack: What `stack` said.
        """

    def handshake_failed(self, failure: BaseException, client: str, /) -> None:
        """Hear that TLS with a client failed, and what `ssl` raised."""

class Base:
    """State, deadlines and words for the log. Not used itself: see `WSGIEngine` and `ASGIEngine`.

    Args:
        settings: Read once, here.
        slot: This worker's line of the board; None for private counters.
        board: For handing connections over, see `Acceptor.add_handover`.
        report: Hears of errors and notices; None drops them.
        access: Where the access log goes; None writes none.
        events: Most connections that one batch of events serves.
    """

    on_wakeup: Callable[[int], object] | None
    """Called in an engine thread with each byte that is written to `wakeup_fd`, zero excepted."""

    table: Table | None
    """Set it before the engine starts: who answers which path. None: the application, always."""

    tell_mount: bool
    """Whether environs and scopes have `portway.mount`: the place of the request's route, or -1."""

    tell_peer: bool
    """Whether scopes have `portway.peer`: (host, port) of the other end, whatever proxies say."""

    tell_fields: bool
    """Whether environs have `portway.fields`: the field lines as they were sent, pairs of latin-1 text."""

    nudge: int
    """Set it before the engine starts: a signal that has a handler of Python's, or 0. It ends the system call
    in which the main thread may wait when it is interrupted at the end of a request's deadline."""

    on_stuck: Callable[[str, float], object] | None
    """Set it before the engine starts: called in a thread of the engine's own with a request ('GET /path')
    that goes on although it was interrupted, and how many seconds it has taken."""

    def __init__(
        self,
        settings: Settings,
        slot: Slot | None = None,
        board: Board | None = None,
        report: _Report | None = None,
        access: _Target | None = None,
        events: int = 512,
    ) -> None: ...
    @property
    def wakeup_fd(self) -> int:
        """A non-blocking descriptor to write to; `signal.set_wakeup_fd` takes it. A zero only wakes."""

    def drain(self, seconds: float, idle_seconds: float = 1.5) -> None:
        """Stop accepting, answer what is under way, close what idles; cut the rest after `seconds`.

        A connection that was active a moment ago may have a request on its way: it has `idle_seconds`.
        Returns at once; the engine ends by itself when it is done. Any thread may call it, also from a signal
        handler. Calling it again does nothing.
        """

    def flush_access(self) -> None:
        """Write what the access log still holds, before its file is changed."""

    def abandon(self) -> None:
        """Close this process's descriptors of all connections: for a forked child of one that serves."""

    def stop(self) -> None:
        """Close everything now; the engine ends soon after. Any thread, also from a signal handler."""
