"""One streamed answer on the Runtime API.

A POST in chunks: first the prelude, JSON with status and fields, and eight NUL bytes; then the body.
An error on the way goes into two trailers. The connection is closed afterwards, as the API demands.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from http.client import HTTPConnection, HTTPException

from ..errors import RuntimeAPIError
from .api import ERROR_TYPE, VERSION
from .report import error_report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ERROR_BODY = "Lambda-Runtime-Function-Error-Body"
INTEGRATION = "application/vnd.awslambda.http-integration-response"
_LARGEST_CHUNK = 1 << 20


class ResponseStream:
    """A streamed answer to one invocation. One thread at a time; `begin` first, `end` last and once."""

    def __init__(self, address: str, request_id: str) -> None:
        self._path = f"/{VERSION}/runtime/invocation/{request_id}/response"
        self._request_id = request_id
        self._connection = HTTPConnection(address)
        self.opened = False

    def begin(self, prelude: dict[str, Any]) -> None:
        """Send the prelude of an HTTP answer."""
        self.open(INTEGRATION)
        self.send(json.dumps(prelude).encode() + b"\0" * 8)

    def open(self, content_type: str) -> None:
        """Open the stream; for an answer that is no HTTP response, with its own media type."""
        connection = self._connection
        connection.putrequest("POST", self._path, skip_accept_encoding=True)
        connection.putheader("Content-Type", content_type)
        connection.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.putheader("Trailer", f"{ERROR_TYPE}, {ERROR_BODY}")
        connection.putheader("Connection", "close")
        connection.endheaders()
        self.opened = True

    def send(self, data: bytes) -> None:
        """Send one piece, and return when the kernel has taken it: a slow reader slows us down."""
        for start in range(0, len(data), _LARGEST_CHUNK):
            piece = data[start : start + _LARGEST_CHUNK]
            self._connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))

    def end(self, error: BaseException | None = None) -> None:
        """End the stream.

        Args:
            error: What went wrong after `begin`, or None.

        Raises:
            RuntimeAPIError: The API did not take the stream.
        """
        try:
            self._connection.send(b"0\r\n" + self._trailers(error) + b"\r\n")
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, HTTPException) as failure:
            raise RuntimeAPIError(
                "POST streamed response", 0, f"{type(failure).__name__}: {failure}"
            ) from None
        finally:
            self._connection.close()
        if response.status != 202:
            raise RuntimeAPIError("POST streamed response", response.status, body)

    def _trailers(self, error: BaseException | None) -> bytes:
        if error is None:
            return b""
        report = error_report(error, self._request_id)
        body = b2a_base64(json.dumps(report).encode(), newline=False)
        return b"%b: %b\r\n%b: %b\r\n" % (
            ERROR_TYPE.encode(),
            report["errorType"].encode(),
            ERROR_BODY.encode(),
            body,
        )
