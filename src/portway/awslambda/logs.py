"""Log records of this room, and the JSON format for the application's own.

Imported when there is something to log: `logging` costs a cold start more than this whole room does.
"""

from __future__ import annotations

import json
import logging
import os
import time

from . import invocation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .events.reply import Reply
    from .events.request import Request

logger = logging.getLogger("portway.awslambda")
_noticed: set[str] = set()
_NOTICED_MOST = 256
# What logging itself puts on a record; anything else came from the caller's `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "aws_request_id", "tenant_id"}


def _extra() -> dict[str, str]:
    return {"requestId": invocation.request_id(), "traceId": invocation.trace_id()}


def error(text: str, *, exc_info: bool = True) -> None:
    """Log an error of the current invocation, with the current exception's traceback."""
    logger.error(text, exc_info=exc_info, extra=_extra())


def warning(text: str) -> None:
    """Log a warning of the current invocation."""
    logger.warning(text, extra=_extra())


def notice(key: str, text: str) -> None:
    """Log a warning once for each key in the life of this process."""
    if key not in _noticed and len(_noticed) < _NOTICED_MOST:
        _noticed.add(key)
        logger.warning(text, extra=_extra())


def access(request: Request, reply: Reply | None, seconds: float) -> None:
    """Write one request as a line of JSON to standard output."""
    line = {
        "timestamp": _timestamp(time.time()),
        "type": "access",
        "requestId": invocation.request_id(),
        "traceId": invocation.trace_id(),
        "source": request.source,
        "client": request.client,
        "method": request.method,
        "path": request.raw_path,
        "query": request.query,
        "status": reply.status if reply is not None else 0,
        "bytes": len(reply.body) if reply is not None else 0,
        "duration": round(seconds, 6),
    }
    os.write(1, (json.dumps(line) + "\n").encode())


def _timestamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


class JSONFormatter(logging.Formatter):
    """One JSON object per record, in the keys that Lambda's own runtimes use, trace id included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line: dict[str, Any] = {
            "timestamp": _timestamp(record.created),
            "level": record.levelname,
            "message": record.msg
            if isinstance(record.msg, dict) and not record.args
            else record.getMessage(),
            "logger": record.name,
            "requestId": invocation.request_id() or None,
            "traceId": invocation.trace_id() or None,
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["errorType"] = record.exc_info[0].__name__
            line["errorMessage"] = str(record.exc_info[1])
            line["stackTrace"] = self.formatException(record.exc_info).splitlines()
            line["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
        given = vars(record).items()
        line.update({key: value for key, value in given if key not in _OWN and not key.startswith("_")})
        return json.dumps({key: value for key, value in line.items() if value is not None}, default=str)


class TextFormatter(logging.Formatter):
    """Lambda's text format: level, time, request id and message, tab-separated."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("[%(levelname)s]\t%(utc)s\t%(aws_request_id)s\t%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text; a traceback follows on lines of its own."""
        record.utc = _timestamp(record.created)
        record.aws_request_id = invocation.request_id()
        return super().format(record)
