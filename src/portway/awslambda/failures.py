"""Answers of Portway's own: to an event that is no request, and for an application that failed."""

from __future__ import annotations

import os

from . import invocation
from .errors import BadEvent, BadReply, DeadlineExceeded
from .events.reply import Reply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .events.request import Request

_PLAIN = {"content-type": "text/plain; charset=utf-8"}


def plain(status: int, text: str) -> Reply:
    """Return a short answer of Portway's own."""
    return Reply(status, "", dict(_PLAIN), None, text.encode())


def malformed(name: str, error: Exception) -> Reply:
    """Return the answer to an event that is no proper one of its source, after logging why."""
    from .logs import error as log

    if isinstance(error, BadEvent):
        log(str(error), exc_info=False)
        return plain(error.status, "Content Too Large\n" if error.status == 413 else "Bad Request\n")
    problem = (
        f"{error.args[0]} is missing" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
    )
    log(f"malformed {name} event: {problem}")
    return plain(400, "Bad Request\n")


def failed(error: BaseException, late: bool) -> Reply:
    """Return the answer to a failure of the application, after logging it.

    Args:
        error: What came out of it.
        late: Whether it was interrupted because its time was up.
    """
    from .logs import error as log

    if invocation.forked:
        os._exit(70)
    if late or isinstance(error, DeadlineExceeded):
        log("the application was interrupted just before the invocation's deadline")
        return plain(504, "Gateway Timeout\n")
    if isinstance(error, BadReply):
        log(f"the application's answer cannot be sent: {error}", exc_info=error.__cause__ is not None)
        return plain(500, f"{error.public.rstrip()}\n")
    if isinstance(error, SystemExit):
        log(f"the application called sys.exit({error.code!r})")
    else:
        log("the application failed")
    return plain(500, "Internal Server Error\n")


def identify(request: Request, reply: Reply, context: Any) -> None:
    """Add the ids that tie an answer to its log lines, unless the application has set its own.

    The trace id is the front door's own: the root of the trace, which is the client's business, no more.
    """
    known = reply.known
    trace = request.known.get("x-amzn-trace-id")
    if reply.repeated is None:
        if context is not None:
            known.setdefault("x-request-id", context.aws_request_id)
        if trace is not None:
            known.setdefault("x-amzn-trace-id", trace)
        return
    if context is not None and "x-request-id" not in known:
        reply.add("x-request-id", context.aws_request_id)
    if trace is not None and "x-amzn-trace-id" not in known:
        reply.add("x-amzn-trace-id", trace)
