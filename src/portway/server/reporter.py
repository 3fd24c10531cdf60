"""What the engine has to say to the operator, put into the error log at a rate that a peer cannot abuse."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from portway.server.logs import ErrorLog, Level, describe_exception

if TYPE_CHECKING:
    import asyncio

REFUSALS_PER_WINDOW = 20
WINDOW_S = 10.0
MAX_NOTICES = 1000


class Reporter:
    """The `report` object that engines take. Any engine thread may call any method.

    Owned by one worker. The lock guards the counts only and is never held over a write; nothing
    here is called from a signal handler.

    Args:
        log: Where entries go.
        clock: Monotonic seconds.
    """

    def __init__(self, log: ErrorLog, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._noticed: set[str] = set()
        self._window_start = clock()
        self._refusals = 0

    def application_error(self, exc: BaseException, request: str) -> None:
        """Log what the application raised.

        Args:
            exc: The exception.
            request: The request it was answering: 'GET /path'.
        """
        self._log.entry("error", f"the application failed at {request}", describe_exception(exc))

    def notice(self, key: str, text: str) -> None:
        """Log something worth knowing, once for each key.

        Args:
            key: What makes it the same thing. Memory is bounded: past a thousand keys no more are logged.
            text: One line.
        """
        with self._lock:
            if key in self._noticed or len(self._noticed) >= MAX_NOTICES:
                return
            self._noticed.add(key)
        self._log.entry("warning", text)

    def handshake_failed(self, failure: BaseException, client: str) -> None:
        """Log that TLS with a client failed, unless it just went away.

        Args:
            failure: What `ssl` raised.
            client: The peer's address.
        """
        reason = getattr(failure, "reason", None)
        if reason and not reason.startswith("UNEXPECTED_EOF"):
            said = getattr(failure, "verify_message", "") or ""
            text = reason.replace("_", " ").lower() + (f" ({said})" if said else "")
            self._peer_failed("info", f"closed a connection from {client}: TLS handshake: {text}")

    def refused(self, status: int, why: str, client: str) -> None:
        """Log a request that the engine refused by itself.

        Args:
            status: What it was answered, 0 when nothing could be.
            why: One line.
            client: The peer's address.
        """
        peer = client or "an unnamed client"
        if status:
            self._peer_failed("warning", f"refused a request from {peer}: {status}, {why}")
        else:
            self._peer_failed("warning", f"closed a connection from {peer}: {why}")

    def upstream_failed(self, text: str) -> None:
        """Log that a server behind a proxy route could not be asked, or did not answer.

        Args:
            text: One line.
        """
        self._peer_failed("warning", text)

    def _peer_failed(self, level: Level, text: str) -> None:
        """Log what any peer can cause, as often as is allowed."""
        with self._lock:
            unlogged = self._next_window()
            self._refusals += 1
            wanted = self._refusals <= REFUSALS_PER_WINDOW
        if unlogged:
            self._log.entry("warning", f"{unlogged} more refused requests were not logged")
        if wanted:
            self._log.entry(level, text)

    def stack(self, subject: int | asyncio.Task[Any]) -> str:
        """Return where a thread (its ident) or a task is, in lines for the log."""
        from portway.server import stacks  # only an overdue request needs it

        return stacks.of_thread(subject) if isinstance(subject, int) else stacks.of_task(subject)

    def overdue(self, request: str, seconds: float, outcome: str, stack: str) -> None:
        """Log a request that is over its deadline.

        Args:
            request: 'GET /path'.
            seconds: How long it has taken.
            outcome: What its client gets, such as 'answered 504'.
            stack: Where it was.
        """
        self._log.entry("error", f"{request} took more than {seconds:.1f} s (--timeout): {outcome}", stack)

    def _next_window(self) -> int:
        """Start a new window if the old one is over; return how many refusals the old one left out."""
        now = self._clock()
        if now - self._window_start < WINDOW_S:
            return 0
        unlogged = max(0, self._refusals - REFUSALS_PER_WINDOW)
        self._window_start = now
        self._refusals = 0
        return unlogged
