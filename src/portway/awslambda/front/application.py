"""A Lambda handler as a WSGI application: the front door and the function in one process.

Each request becomes the event of the chosen door, the handler is called in the thread that serves the
request, and its answer goes through the door's own checks. The handler gets one event at a time in each
thread and many at once in the process: more than Lambda asks of it, and why `--threads 1` exists.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterable
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from .answers import BadAnswer, read_answer
from .building import build_event
from .calling import Deadline, TookTooLong, TooManyOverdue
from .context import Context, Function
from .door import INVOKE_LIMIT, Door
from .request import HTTPRequest, Stamp
from .response import Response, id_field, refusal
from .wsgi import BodyTooLarge, Environ, new_stamp, request_of, send

if TYPE_CHECKING:
    from ..events.request import Event
    from .gate import Gate, Report

Handler = Callable[[Any, Any], Any]

_SURELY_FITS = 6
"""Bytes of JSON that one byte of a body becomes at most."""


class HandlerApplication:
    """A WSGI application over a handler. Any thread may call it.

    Args:
        handler: `handler(event, context)`.
        door: The front door before it.
        name: The function's name, for the context object.
        timeout_s: Seconds after which a call is answered 504 in the handler's place; 0 waits for ever.
        gate: Routes and authorizers; None lets everything through.
    """

    def __init__(
        self, handler: Handler, door: Door, name: str, timeout_s: float = 0.0, gate: Gate | None = None
    ) -> None:
        self._handler = handler
        self._door = door
        self._gate = gate
        self._function = Function(door, name, timeout_s)
        self._deadline = Deadline(timeout_s) if timeout_s else None

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        stamp = new_stamp()
        head = environ["REQUEST_METHOD"] == "HEAD"
        try:
            request = request_of(environ, self._door)
        except BodyTooLarge:
            return send(refusal(self._door, "too-large", stamp.request_id), head, start_response)

        def report(text: str) -> None:
            environ["wsgi.errors"].write(f"[{stamp.request_id}] {text}\n")

        response = self.respond(request, stamp, report)
        return send(response, head, start_response)

    def respond(self, request: HTTPRequest, stamp: Stamp, report: Report) -> Response:
        """Return the response to one request.

        Args:
            request: The request.
            stamp: Its moment and ids.
            report: Takes what goes wrong, for the error log.
        """
        door = self._door
        if door.within(request.path) is None:
            return refusal(door, "no-stage", stamp.request_id)
        try:
            if self._deadline is None:
                return self._exchange(request, stamp, report)
            return self._deadline.call(lambda: self._exchange(request, stamp, report))
        except TookTooLong:
            report(
                f"{request.method} {request.path} took longer than {self._function.timeout_s:g} s and was "
                "answered without the handler, which goes on"
            )
            return refusal(door, "timeout", stamp.request_id)
        except TooManyOverdue:
            report("too many handlers have not come back in time and are still running")
            return refusal(door, "busy", stamp.request_id)

    def _exchange(self, request: HTTPRequest, stamp: Stamp, report: Report) -> Response:
        door = self._door
        context = Context(self._function, stamp.request_id)
        match = authorizer = None
        if self._gate is not None:
            admitted = self._gate.admit(request, stamp, context, report)
            if isinstance(admitted, Response):
                return admitted
            match, authorizer = admitted.match, admitted.authorizer
        event = build_event(door, request, stamp, match, authorizer)
        if len(request.body) * _SURELY_FITS > INVOKE_LIMIT and _size(event) > INVOKE_LIMIT:
            return refusal(door, "too-large", stamp.request_id)
        try:
            answer = self._handler(event, context)
        except BaseException:  # SystemExit and its like end an environment, not the server
            report(f"the handler raised\n{traceback.format_exc()}")
            return refusal(door, "failed", stamp.request_id)
        try:
            response = read_answer(door, answer, request)
        except BadAnswer as error:
            if isinstance(answer, CoroutineType):
                answer.close()
            report(f"the handler's answer is none: {error}")
            return refusal(door, "malformed", stamp.request_id)
        response.fields.append(id_field(door, stamp.request_id))
        return response


def _size(event: Event) -> int:
    return len(json.dumps(event, ensure_ascii=False).encode())
