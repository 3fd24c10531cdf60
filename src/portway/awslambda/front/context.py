"""The context object that a handler gets when it is served without Lambda."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from .door import Door

LONGEST_S = 900.0
"""What Lambda gives a function at most."""


class Identity:
    """Cognito's ids: none."""

    cognito_identity_id = None
    cognito_identity_pool_id = None


class Function:
    """What does not change between invocations.

    Args:
        door: Where the function's region and account come from.
        name: The function's name; AWS_LAMBDA_FUNCTION_NAME wins.
        timeout_s: The longest that a call may take; 0 for what Lambda allows at most.
    """

    def __init__(self, door: Door, name: str, timeout_s: float = 0.0) -> None:
        self.name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME") or name
        self.version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION") or "$LATEST"
        self.memory_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") or "128"
        self.arn = f"arn:aws:lambda:{door.region}:{door.account}:function:{self.name}"
        self.log_group = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME") or f"/aws/lambda/{self.name}"
        self.log_stream = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME") or f"portway/{os.getpid()}"
        self.timeout_s = timeout_s or LONGEST_S


class Context:
    """What one call is told, with the attributes that Lambda documents.

    Args:
        function: The function.
        request_id: The invocation's id.
    """

    client_context = None
    identity = Identity()

    def __init__(self, function: Function, request_id: str) -> None:
        self.aws_request_id = request_id
        self.function_name = function.name
        self.function_version = function.version
        self.invoked_function_arn = function.arn
        self.memory_limit_in_mb = function.memory_mb
        self.log_group_name = function.log_group
        self.log_stream_name = function.log_stream
        self._ends = time.monotonic() + function.timeout_s

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the time for this call is up, 0 at least."""
        return max(0, int((self._ends - time.monotonic()) * 1000))

    def log(self, message: Any) -> None:
        """Write to the function's log, which is the standard output stream."""
        sys.stdout.write(f"{message}\n")
