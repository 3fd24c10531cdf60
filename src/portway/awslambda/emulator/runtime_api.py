"""The Runtime API of one environment as Lambda serves it (2018-06-01), on a socket of its own.

A thread for each connection: a runtime keeps one open in `next`, an extension another one. The server
knows the protocol; what happened is its `Host`'s business (`environment`).
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from uuid import uuid4

from ..events.source import BUFFERED_LIMIT
from ..runtime.api import ERROR_TYPE, VERSION
from .function import ACCOUNT, Function
from .invocation import Invocation, Stream

STREAM_LIMIT = 200 * 1024 * 1024
"""Bytes of a streamed answer at most."""

_PREFIX = f"/{VERSION}/runtime/"
_EXTENSION = "/2020-01-01/extension/"
_IDENTIFIER = "Lambda-Extension-Identifier"
_MODE = "Lambda-Runtime-Function-Response-Mode"
_LARGEST_HEADER_BODY = 1 << 20


class Refused(Exception):
    """A call that Lambda refuses.

    Args:
        status: The HTTP status.
        kind: The `errorType`.
        message: The `errorMessage`.
    """

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"errorMessage": message, "errorType": kind}


class Host(Protocol):
    """The environment behind a Runtime API. Called in the threads of its connections."""

    function: Function

    def next(self, connected: Callable[[], bool]) -> Invocation | None:
        """Return the next invocation, whenever it comes; None when the runtime or its connection is gone.

        Args:
            connected: Tells whether whoever asked is still there.
        """

    def respond(self, request_id: str, body: bytes, content_type: str) -> None:
        """Take an invocation's answer."""

    def respond_too_large(self, request_id: str) -> None:
        """Hear that an invocation's answer was over the limit."""

    def stream(self, request_id: str, content_type: str) -> Stream:
        """Take the beginning of a streamed answer; return where its pieces go."""

    def fail(self, request_id: str, body: bytes, kind: str) -> None:
        """Take an invocation's error."""

    def init_failed(self, body: bytes, kind: str) -> None:
        """Take the error of an initialisation, or of a restore."""

    def restore(self) -> None:
        """Hear that the function is ready for its snapshot, and is restored from it with the answer."""

    def register(self, name: str, events: object) -> str:
        """Register an extension; return its identifier."""

    def extension_next(self, identifier: str) -> dict[str, object] | None:
        """Return an extension's next event, whenever it comes; None when the environment has ended."""

    def extension_failed(self, identifier: str, kind: str) -> None:
        """Hear that an extension cannot go on."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: RuntimeAPIServer

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        host = self.server.host
        if self.path == f"{_PREFIX}invocation/next":
            self._guarded(self._next)
        elif self.path == f"{_PREFIX}restore/next":
            host.restore()
            self._answer(200, b"")
        elif self.path == f"{_EXTENSION}event/next":
            self._guarded(self._extension_next)
        else:
            self._answer(404, b"404 page not found\n", **{"Content-Type": "text/plain"})

    def do_POST(self) -> None:
        self._guarded(self._post)

    def do_PUT(self) -> None:
        self._guarded(self._put)

    def _put(self) -> None:
        """Answer a subscription to logs or telemetry as AWS's emulator does."""
        self._body()
        kind = {"/2020-08-15/logs": "Logs", "/2022-07-01/telemetry": "Telemetry"}.get(self.path)
        if kind is None:
            raise Refused(404, "NotFound", f"no such call: {self.path}")
        error = {"errorType": f"{kind}.NotSupported", "errorMessage": f"{kind} API is not supported"}
        self._answer(202, json.dumps(error).encode())

    def _connected(self) -> bool:
        """Tell whether the other side has not closed the connection."""
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def _extension_next(self) -> None:
        event = self.server.host.extension_next(self.headers.get(_IDENTIFIER, ""))
        if event is None:
            self.close_connection = True
            return
        fields = {"Lambda-Extension-Event-Identifier": str(uuid4())}
        self._answer(200, json.dumps(event).encode(), **fields)

    def _next(self) -> None:
        invocation = self.server.host.next(self._connected)
        if invocation is None:
            self.close_connection = True
            return
        self._answer(200, invocation.event, **headers_of(self.server.host.function, invocation))

    def _post(self) -> None:
        host = self.server.host
        call = self.path.removeprefix(_PREFIX)
        kind = self.headers.get(ERROR_TYPE, "")
        match call.split("/"):
            case ["invocation", request_id, "response"]:
                self._response(request_id)
            case ["invocation", request_id, "error"]:
                host.fail(request_id, self._body(), kind)
            case ["init", "error"] | ["restore", "error"]:
                host.init_failed(self._body(), kind)
            case ["", "2020-01-01", "extension", "register"]:
                self._register()
                return
            case ["", "2020-01-01", "extension", "init" | "exit", "error"]:
                self._body()
                kind = self.headers.get("Lambda-Extension-Function-Error-Type", "")
                if not kind:
                    text = "Lambda-Extension-Function-Error-Type not found"
                    raise Refused(403, "Extension.MissingHeader", text)
                host.extension_failed(self.headers.get(_IDENTIFIER, ""), kind)
            case _:
                self._body()
                raise Refused(404, "NotFound", f"no such call: {self.path}")
        self._answer(202, b'{"status":"OK"}\n')

    def _response(self, request_id: str) -> None:
        content_type = self.headers.get("Content-Type", "application/octet-stream")
        if self.headers.get(_MODE, "").lower() == "streaming":
            self._stream(self.server.host.stream(request_id, content_type))
            return
        body = self._body()
        if len(body) > BUFFERED_LIMIT:
            self.server.host.respond_too_large(request_id)
            text = f"Exceeded maximum allowed payload size ({BUFFERED_LIMIT} bytes)."
            raise Refused(413, "RequestEntityTooLarge", text)
        self.server.host.respond(request_id, body, content_type)

    def _stream(self, stream: Stream) -> None:
        """Pass a streamed answer on, piece by piece; a connection that breaks off is an error of its own."""
        size = 0
        try:
            for piece in self._pieces():
                size += len(piece)
                if size > STREAM_LIMIT:
                    stream.end("Function.ResponseSizeTooLarge")
                    raise Refused(413, "RequestEntityTooLarge", "the streamed answer is over 200 MB")
                stream.put(piece)
        except (OSError, ValueError):
            stream.end("Runtime.TruncatedResponse")
            raise
        stream.end(self._trailers.get(ERROR_TYPE.lower(), ""))

    def _body(self) -> bytes:
        """Return the whole body, or as much as tells that it is too large."""
        kept: list[bytes] = []
        size = 0
        for piece in self._pieces():
            size += len(piece)
            if size - len(piece) <= BUFFERED_LIMIT:
                kept.append(piece)
        return b"".join(kept)

    def _pieces(self) -> Iterator[bytes]:
        self._trailers: dict[str, str] = {}
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            yield from self._chunks()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            piece = self.rfile.read(min(left, 1 << 16))
            if not piece:
                raise ValueError("the body is cut")
            left -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(32).partition(b";")[0], 16):
            while size:
                piece = self.rfile.read1(min(size, 1 << 16))
                if not piece:
                    raise ValueError("the body is cut")
                size -= len(piece)
                yield piece
            if self.rfile.readline(4) != b"\r\n":
                raise ValueError("a chunk does not end")
        while (line := self.rfile.readline(_LARGEST_HEADER_BODY)) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            self._trailers[name.strip().lower()] = value.strip()

    def _register(self) -> None:
        body = self._body()
        function = self.server.host.function
        try:
            events = json.loads(body)["events"]
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(403, "InvalidRequestFormat", str(error)) from None
        identifier = self.server.host.register(self.headers.get("Lambda-Extension-Name", ""), events)
        about = {
            "functionName": function.name,
            "functionVersion": "$LATEST",
            "handler": function.handler,
        }
        if "accountId" in self.headers.get("Lambda-Extension-Accept-Feature", ""):
            about["accountId"] = ACCOUNT
        self._answer(200, json.dumps(about).encode(), **{_IDENTIFIER: identifier})

    def _guarded(self, call: Any) -> None:
        try:
            call()
        except Refused as refusal:
            self._answer(refusal.status, json.dumps(refusal.body).encode())
        except (OSError, ValueError):
            self.close_connection = True

    def _answer(self, status: int, body: bytes, **fields: str) -> None:
        try:
            lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Length: {len(body)}"]
            for name, value in {"Content-Type": "application/json", **fields}.items():
                lines.append(f"{name}: {value}")
            head = "\r\n".join(lines) + "\r\n\r\n"
            self.wfile.write(head.encode("latin-1", "replace") + body)  # two writes would cost a delayed ACK
        except OSError:
            self.close_connection = True


def headers_of(function: Function, invocation: Invocation) -> Mapping[str, str]:
    """Return the header fields that an event is delivered with."""
    fields = {
        "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
        "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
        "Lambda-Runtime-Invoked-Function-Arn": function.arn,
        "Lambda-Runtime-Trace-Id": invocation.trace,
    }
    if invocation.client_context:
        fields["Lambda-Runtime-Client-Context"] = invocation.client_context
    return fields


class RuntimeAPIServer(ThreadingHTTPServer):
    """Serves one environment's Runtime API on a port of the loopback that the kernel picks.

    Args:
        host: What happens behind it.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: Host) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.host = host
        self.address = f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet: runtimes are killed in the middle of a call."""
