"""An exception in the forms that Lambda and X-Ray take."""

from __future__ import annotations

import os
import traceback

from ..errors import AppFailed, DeadlineExceeded, LambdaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CAUSE_MOST = 1 << 20
"""Bytes of X-Ray's form; it travels in a header, and Lambda refuses a larger one."""


def error_report(error: BaseException, request_id: str = "") -> dict[str, Any]:
    """Return an exception as Lambda's error object.

    A type of this room's own begins with "Portway.", so that it is told from the application's.
    """
    name = type(error).__name__
    if isinstance(error, (LambdaError, DeadlineExceeded)) and not isinstance(error, AppFailed):
        name = f"Portway.{name}"
    stack = [line for line in traceback.format_tb(error.__traceback__) if "/portway/awslambda/" not in line]
    text = str(error)
    hint = getattr(error, "hint", None)
    return {
        "errorType": name,
        "errorMessage": f"{text} ({hint})" if hint else text,
        "requestId": request_id,
        "stackTrace": stack,
    }


def xray_cause(error: BaseException) -> dict[str, Any] | None:
    """Return an exception as X-Ray's cause object, or None when it would be too large."""
    frames = traceback.extract_tb(error.__traceback__)
    stack = [{"label": frame.name, "path": frame.filename, "line": frame.lineno} for frame in frames]
    if len(stack) > 200:
        return None
    message = str(error)[: _CAUSE_MOST // 8]
    return {
        "working_directory": os.getcwd(),
        "exceptions": [{"message": message, "type": type(error).__name__, "stack": stack}],
        "paths": sorted({frame.filename for frame in frames}),
    }
