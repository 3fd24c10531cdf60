"""A front door on a socket: API Gateway, a Function URL or a load balancer before the emulated function.

A WSGI application. It makes the event, has it handled in an environment of the pool, and makes the
response of the answer; or says what the service says when there is none. A streamed answer leaves piece
by piece where the door is set up to stream.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

from ..errors import BadReply
from ..events.reply import NO_BODY, field_name
from ..front import BadAnswer, Door, HTTPRequest, Refusal, Response, Stamp, build_event, read_answer, refusal
from ..front.door import INVOKE_LIMIT
from ..front.wsgi import BodyTooLarge, new_stamp, request_of, send
from ..runtime.stream import INTEGRATION
from .api import API
from .cors import CORS
from .invocation import Answer, Stream
from .pool import Pool, Throttled

TIMEOUTS_S = {"rest": 29.0, "http": 30.0}
"""How long a door waits for its function; the others wait for the function's own timeout."""

_PRELUDE_MOST = 1 << 20
_KNOWN = frozenset(HTTPStatus)
_MARK = b"\0" * 8


class FrontDoor:
    """A WSGI application.

    Args:
        door: Which front door, and how it is set up.
        pool: The function's environments.
        log: Takes the lines about what the door itself refused.
        streams: Whether it is set up to stream (invoke mode RESPONSE_STREAM, transfer mode STREAM).
        cors: Its CORS settings (HTTP API and Function URL).
        timeout_s: How long it waits for the function; None takes the service's own limit.
        api: A REST API's own resources and authorizers; None for one that passes everything on.
    """

    def __init__(
        self,
        door: Door,
        pool: Pool,
        log: Callable[[str], None],
        *,
        streams: bool = False,
        cors: CORS | None = None,
        timeout_s: float | None = None,
        api: API | None = None,
    ) -> None:
        self._door = door
        self._pool = pool
        self._log = log
        self._streams = streams and door.kind in ("url", "rest")
        self._cors = cors if cors is not None and door.kind in ("url", "http") else CORS()
        self._api = api
        self._timeout_s = TIMEOUTS_S.get(door.kind) if timeout_s is None else timeout_s
        if self._streams:
            self._timeout_s = timeout_s

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        origin = environ.get("HTTP_ORIGIN", "")
        asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "")
        preflight = self._cors.preflight(environ["REQUEST_METHOD"], origin, asked)
        if preflight is not None:
            status = 200 if self._door.kind == "url" else 204
            return send(Response(status, "", preflight, b""), False, start_response)
        stamp = new_stamp()
        try:
            request = request_of(environ, self._door)
        except BodyTooLarge:
            why = f"the body has more than {self._door.request_limit} bytes"
            return self._refuse(start_response, "too-large", why, stamp.request_id)
        inner = self._door.within(request.path)
        if inner is None:
            why = f"{request.path!r} is not below the stage {self._door.stage!r}"
            return self._refuse(start_response, "no-stage", why, stamp.request_id)
        match = authorizer = None
        if self._api is not None:
            admitted = self._api.gate().admit(request, stamp, None, self._log)
            if isinstance(admitted, Response):
                self._log(f"rest: {admitted.status} from the API itself for {request.method} {inner!r}")
                return send(admitted, request.method == "HEAD", start_response)
            match, authorizer = admitted.match, admitted.authorizer
        built = build_event(self._door, request, stamp, match, authorizer)
        event = json.dumps(built, ensure_ascii=False).encode("utf-8", "replace")
        if len(event) > INVOKE_LIMIT:
            why = f"the event has {len(event)} bytes, Lambda takes {INVOKE_LIMIT}"
            return self._refuse(start_response, "too-large", why, stamp.request_id)
        return self._invoked(start_response, request, stamp, event, origin)

    def _invoked(
        self, start_response: Any, request: HTTPRequest, stamp: Stamp, event: bytes, origin: str
    ) -> Iterable[bytes]:
        trace = request.value("x-amzn-trace-id") or stamp.trace_id
        try:
            answer = self._pool.submit(event, trace=trace).wait(self._timeout_s)
        except Throttled as error:
            return self._refuse(start_response, "busy", str(error), stamp.request_id)
        if answer is None:
            why = f"the function did not answer within {self._timeout_s:g} seconds"
            return self._refuse(start_response, "timeout", why, stamp.request_id)
        if answer.error:
            return self._refuse(start_response, "failed", answer.error, stamp.request_id)
        try:
            if self._streams:
                return self._stream(start_response, answer, request, origin)
            response = read_answer(self._door, json.loads(answer.whole()), request)
        except (BadAnswer, BadReply, ValueError) as error:
            if answer.stream is not None:
                answer.stream.abandon()
            return self._refuse(start_response, "malformed", str(error), stamp.request_id)
        fields = self._cors.applied(response.fields, origin)
        whole = Response(response.status, response.reason, fields, response.body)
        return send(whole, request.method == "HEAD", start_response)

    def _stream(
        self, start_response: Any, answer: Answer, request: HTTPRequest, origin: str
    ) -> Iterable[bytes]:
        """Begin a streamed answer, and return the rest of it."""
        if answer.stream is None:
            # What the function returned is passed on as it is, the JSON of a buffered answer as well.
            fields = [("Content-Type", "application/octet-stream")]
            return send(Response(200, "", fields, answer.body), request.method == "HEAD", start_response)
        pieces = iter(answer.stream)
        if answer.content_type != INTEGRATION:
            start_response("200 OK", [("Content-Type", answer.content_type)])
            return _Pieces(answer.stream, b"", pieces)
        head, rest = _prelude(pieces)
        status, fields = _status_and_fields(head)
        kept = self._cors.applied(fields, origin)
        if request.method == "HEAD" or status in NO_BODY:
            answer.stream.abandon()
            return send(Response(status, "", kept, b""), True, start_response)
        reason = HTTPStatus(status).phrase if status in _KNOWN else "Status"
        native = [(name, value.encode().decode("latin-1")) for name, value in kept]
        start_response(f"{status} {reason}", native)
        return _Pieces(answer.stream, rest, pieces)

    def _refuse(self, start_response: Any, why: Refusal, text: str, request_id: str) -> Iterable[bytes]:
        response = refusal(self._door, why, request_id)
        self._log(f"{self._door.kind}: {response.status} because {text}")
        return send(response, False, start_response)


class _Pieces:
    """The body of a streamed answer; a client that leaves does not end the function."""

    def __init__(self, stream: Stream, first: bytes, rest: Iterator[bytes]) -> None:
        self._stream = stream
        self._first = first
        self._rest = rest

    def __iter__(self) -> Iterator[bytes]:
        if self._first:
            yield self._first
        yield from self._rest

    def close(self) -> None:
        self._stream.abandon()


def _prelude(pieces: Iterator[bytes]) -> tuple[dict[str, Any], bytes]:
    """Return the prelude of a streamed answer and the first of its body.

    Raises:
        BadAnswer: There is none.
    """
    read = b""
    for piece in pieces:
        read += piece
        head, mark, rest = read.partition(_MARK)
        if mark:
            try:
                found = json.loads(head)
            except ValueError as error:
                raise BadAnswer(f"the prelude is not JSON: {error}") from None
            if not isinstance(found, dict):
                raise BadAnswer("the prelude is not an object")
            return found, rest
        if len(read) > _PRELUDE_MOST:
            break
    raise BadAnswer("the streamed answer has no prelude")


def _status_and_fields(prelude: dict[str, Any]) -> tuple[int, list[tuple[str, str]]]:
    status = prelude.get("statusCode", 200)
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise BadAnswer(f"the statusCode is {status!r}")
    fields = list((prelude.get("headers") or {}).items())
    for name, values in (prelude.get("multiValueHeaders") or {}).items():
        fields += [(name, value) for value in values]
    fields += [("Set-Cookie", cookie) for cookie in prelude.get("cookies") or ()]
    kept = [(name, str(value)) for name, value in fields if field_name(name)]
    for name, value in kept:
        if "\r" in value or "\n" in value or "\0" in value:
            raise BadAnswer(f"the header {name!r} has a line break or NUL in its value")
    return status, kept
