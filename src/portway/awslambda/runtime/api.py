"""The calls of the Runtime API (version 2018-06-01), over one connection that is kept.

A reset or a 5xx is tried again: an event that was fetched but not answered is lost to its client, and a
process that gives up costs a cold start. Only a 4xx is final. Extension and snapshot calls stand in
`shutdown` and below.
"""

from __future__ import annotations

import json
import time
from http.client import HTTPConnection, HTTPException

from ..errors import RuntimeAPIError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPResponse
    from typing import Any

VERSION = "2018-06-01"
ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
_JSON = "application/json"
_ATTEMPTS = 6
_FIRST_PAUSE_S = 0.05
_TIMEOUT_S = 30.0


class Invocation:
    """One event as the Runtime API delivered it.

    Attributes:
        request_id: Lambda's request id; names the invocation in the answer's path.
        body: The event's bytes, JSON as a rule.
        content_type: Their media type.
        deadline_ms: When Lambda ends the invocation, in milliseconds of the wall clock.
        headers: Everything else, by name in lower case.
    """

    __slots__ = ("body", "content_type", "deadline_ms", "headers", "request_id")

    def __init__(self, headers: Mapping[str, str], body: bytes) -> None:
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body
        self.content_type = self.headers.get("content-type", _JSON)
        self.request_id = self.headers["lambda-runtime-aws-request-id"]
        self.deadline_ms = int(self.headers.get("lambda-runtime-deadline-ms", "0"))


class RuntimeAPI:
    """A client of one Runtime API. One thread at a time."""

    def __init__(self, address: str, pause_s: float = _FIRST_PAUSE_S, timeout_s: float = _TIMEOUT_S) -> None:
        """Make a client; nothing is connected yet.

        Args:
            address: "host:port", from AWS_LAMBDA_RUNTIME_API.
            pause_s: Pause before the first retry, in seconds; it doubles each time.
            timeout_s: How long what is posted may take. Waiting for an event has no limit.
        """
        self.address = address
        self._pause = pause_s
        self._timeout = timeout_s
        self._connection: HTTPConnection | None = None

    def next(self) -> Invocation:
        """Wait for the next event, however long that takes.

        Raises:
            RuntimeAPIError: None can be had.
        """
        response, body = self._call("GET", "invocation/next", None, {}, 200)
        try:
            return Invocation(dict(response.getheaders()), body)
        except (KeyError, ValueError) as error:
            raise RuntimeAPIError(
                "GET invocation/next", response.status, f"no usable {error} header"
            ) from None

    def respond(self, request_id: str, answer: bytes, content_type: str = _JSON) -> None:
        """Post the answer to an invocation.

        Raises:
            RuntimeAPIError: It was not taken; with status 413 because it is too large.
        """
        self._call("POST", f"invocation/{request_id}/response", answer, {"Content-Type": content_type}, 202)

    def fail(self, request_id: str, error: dict[str, Any], cause: dict[str, Any] | None = None) -> None:
        """Post that an invocation failed.

        Args:
            request_id: The invocation.
            error: errorType, errorMessage, stackTrace.
            cause: X-Ray's form of the same, or None.

        Raises:
            RuntimeAPIError: It was not taken.
        """
        headers = {
            "Content-Type": "application/vnd.aws.lambda.error+json",
            ERROR_TYPE: str(error["errorType"]),
        }
        if cause is not None:
            headers["Lambda-Runtime-Function-XRay-Error-Cause"] = json.dumps(cause)
        self._call("POST", f"invocation/{request_id}/error", json.dumps(error).encode(), headers, 202)

    def init_failed(self, error: dict[str, Any]) -> None:
        """Post that the function could not be initialised."""
        headers = {
            "Content-Type": "application/vnd.aws.lambda.error+json",
            ERROR_TYPE: str(error["errorType"]),
        }
        self._call("POST", "init/error", json.dumps(error).encode(), headers, 202)

    def restore_next(self) -> None:
        """Say that a snapshot may be taken, and wait to wake up in a copy of it."""
        self._call("GET", "restore/next", None, {}, 200)
        self.close()  # the connection of before the snapshot is not one of this copy

    def restore_failed(self, error: dict[str, Any]) -> None:
        """Post that this copy of the snapshot cannot be used."""
        self._call(
            "POST", "restore/error", json.dumps(error).encode(), {ERROR_TYPE: str(error["errorType"])}, 202
        )

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _call(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], expected: int
    ) -> tuple[HTTPResponse, bytes]:
        operation = f"{method} {path}"
        pause = self._pause
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                response, answer = self._once(method, path, body, headers)
                failure = RuntimeAPIError(operation, response.status, answer)
                if response.status == expected:
                    return response, answer
                if response.status < 500:
                    raise failure
            except TimeoutError:
                # Not again: it may have been taken, and the next event should not wait six times as long.
                self.close()
                raise RuntimeAPIError(operation, 0, f"no answer within {self._timeout:g} seconds") from None
            except (OSError, HTTPException) as error:
                failure = RuntimeAPIError(operation, 0, f"{type(error).__name__}: {error}")
            self.close()
            if attempt < _ATTEMPTS:
                time.sleep(pause)
                pause *= 2
        raise failure

    def _once(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[HTTPResponse, bytes]:
        connection = self._connection
        if connection is None or connection.sock is None:
            connection = self._connection = HTTPConnection(self.address)
            connection.connect()
        connection.sock.settimeout(self._timeout if method == "POST" else None)
        connection.request(method, f"/{VERSION}/runtime/{path}", body, headers)
        response = connection.getresponse()
        return response, response.read()
