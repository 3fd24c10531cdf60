"""The invocation this process is in: its ids for logs and answers, and the time it has left.

One process handles one invocation at a time (multi-concurrency environments fork), so the current one
is a plain module attribute. The handler alone sets it.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

context: Any = None
"""Lambda's context object, or None between invocations."""

forked = False
"""Whether this process is a child that the application forked: it must not answer as well."""

ending = False
"""Whether SIGTERM has come: no further event is fetched."""


def _note_fork() -> None:
    global forked
    forked = True


os.register_at_fork(after_in_child=_note_fork)


def own_process() -> None:
    """Say that this process, forked by Portway itself, is one that answers."""
    global forked
    forked = False


def request_id() -> str:
    """Return Lambda's request id, or "" between invocations."""
    return getattr(context, "aws_request_id", None) or ""


def trace_id() -> str:
    """Return the X-Ray trace header of the current invocation ("Root=…;Parent=…;Sampled=…"), or ""."""
    return os.environ.get("_X_AMZN_TRACE_ID", "")


def remaining_s() -> float | None:
    """Return the seconds until Lambda ends the current invocation, or None outside of one."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return None if remaining is None else remaining() / 1000


def now_ms() -> int:
    """Return the wall clock in the milliseconds that Lambda's deadlines are given in."""
    return int(time.time() * 1000)
