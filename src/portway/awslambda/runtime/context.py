"""The context object of Python functions, with the attributes that Lambda documents."""

from __future__ import annotations

import json
import os

from .. import invocation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .api import Invocation


class _Fields:
    """An object made of a JSON object's members; a missing one is None."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


class Context:
    """What a function is told about its invocation.

    Attributes:
        aws_request_id: Lambda's request id.
        invoked_function_arn: The ARN it was called by, alias or version included.
        client_context: What a mobile SDK sent along, or None.
        identity: Cognito's ids, None each when there are none.
        tenant_id: The tenant of a function with tenant isolation, or None.
        trace_id: The X-Ray trace header, or "".
    """

    def __init__(self, given: Invocation) -> None:
        """Read the invocation's headers.

        Raises:
            ValueError: One of the two JSON headers is not JSON.
        """
        headers = given.headers
        self.aws_request_id = given.request_id
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        self.trace_id = headers.get("lambda-runtime-trace-id", "")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        client = json.loads(headers.get("lambda-runtime-client-context") or "null")
        self.client_context = None if client is None else _client_context(client)
        identity = json.loads(headers.get("lambda-runtime-cognito-identity") or "null") or {}
        self.identity = _Fields(
            {
                "cognito_identity_id": identity.get("cognitoIdentityId"),
                "cognito_identity_pool_id": identity.get("cognitoIdentityPoolId"),
            }
        )
        self._deadline_ms = given.deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation, 0 at least."""
        return max(0, self._deadline_ms - invocation.now_ms())

    def log(self, message: object) -> None:
        """Write to the function's log."""
        os.write(1, f"{message}\n".encode())


def _client_context(value: dict[str, Any]) -> _Fields:
    client = value.get("client")
    return _Fields({**value, "client": None if client is None else _Fields(client)})
