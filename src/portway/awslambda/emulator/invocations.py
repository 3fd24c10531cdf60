"""The runtime interface emulator's HTTP call, for whoever tests a container image with it.

    POST /2015-03-31/functions/function/invocations      the event → the function's answer

Statuses are those of AWS's emulator: 200 for an answer and for a function's own error, 502 when the
environment ended with it, 200 and a sentence when the time was up. One invocation at a time, or as many
as the environment takes; others wait.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
from collections.abc import Iterable
from typing import Any

from ..events.source import BUFFERED_LIMIT
from .invocation import BrokenStream, Invocation
from .pool import Pool, Throttled

PATH = "/2015-03-31/functions/function/invocations"
_EVENT_LIMIT = BUFFERED_LIMIT


class Invocations:
    """A WSGI application over one function.

    Args:
        pool: The function's environments.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._turn = threading.Semaphore(max(1, pool.function.concurrency))
        self._last: Invocation | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one call."""
        if environ["PATH_INFO"] != PATH:
            return _answer(start_response, "404 Not Found", b"404 page not found\n")
        try:
            context = base64.b64decode(environ.get("HTTP_X_AMZ_CLIENT_CONTEXT", ""), validate=True).decode()
        except (binascii.Error, ValueError):
            return _answer(start_response, "400 Bad Request", b"X-Amz-Client-Context is not base64\n")
        event = environ["wsgi.input"].read(_EVENT_LIMIT + 1)
        if len(event) > _EVENT_LIMIT:
            text = f"Request must be smaller than {_EVENT_LIMIT} bytes for the InvokeFunction operation"
            return _answer(start_response, "413 Request Entity Too Large", _error("RequestTooLarge", text))
        return self._invoked(event, context, start_response)

    def _invoked(self, event: bytes, context: str, start_response: Any) -> Iterable[bytes]:
        with self._turn:
            if self._last is not None and not self._pool.function.concurrency:
                self._last.finished.wait()  # what a function does after its answer comes first
            try:
                invocation = self._last = self._pool.submit(event, client_context=context)
            except Throttled as error:  # workers that go on although their time is up
                return _answer(
                    start_response, "429 Too Many Requests", _error("TooManyRequestsException", str(error))
                )
            answer = invocation.wait()
            assert answer is not None
            try:
                body = answer.whole()
            except BrokenStream as error:
                return _answer(start_response, "502 Bad Gateway", _error(str(error), "the stream broke off"))
        if answer.error == "Sandbox.Timedout":
            text = f"Task timed out after {self._pool.function.timeout_s:.2f} seconds"
            return _answer(start_response, "200 OK", text.encode())
        return _answer(start_response, "502 Bad Gateway" if answer.fatal else "200 OK", body)


def _error(kind: str, text: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": text}, separators=(",", ":")).encode()


def _answer(start_response: Any, status: str, body: bytes) -> Iterable[bytes]:
    fields = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(status, fields)
    return [body]
