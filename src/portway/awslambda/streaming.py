"""An event answered piece by piece: a prelude with status and fields, then the body as it is made.

What fails before the prelude has left becomes an ordinary answer; what fails after it ends the stream
with Lambda's error trailers, because the client has a status already.
"""

from __future__ import annotations

import os

from . import invocation
from .errors import BadEvent, BadReply
from .failures import failed, identify, malformed
from .output import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from .deadline import Watchdog
    from .events.reply import Reply
    from .events.request import Event, Request
    from .events.source import Source
    from .options import Options

    class Stream(Protocol):
        """The Runtime API's end of one streamed answer."""

        def begin(self, prelude: dict[str, Any]) -> None:
            """Send the prelude."""

        def send(self, data: bytes) -> None:
            """Send one piece of the body."""

        def end(self, error: BaseException | None = None) -> None:
            """End the stream, with error trailers when there is an error."""


class _Answer:
    """The drivers' view of a stream: adds the ids, keeps the length the application declared."""

    def __init__(self, stream: Stream, source: Source, request: Request, context: Any, ids: bool) -> None:
        self._stream = stream
        self._source = source
        self._request = request
        self._context = context
        self._ids = ids
        self._left: int | None = None
        self.started = False

    def start(self, reply: Reply) -> None:
        if self._ids:
            identify(self._request, reply, self._context)
        declared = reply.known.get("content-length")
        if declared is not None and self._request.method != "HEAD" and reply.status != 304:
            if not (declared.isascii() and declared.isdigit()):
                raise BadReply(f"the content-length {declared!r} is not a number")
            self._left = int(declared)
        self._stream.begin(self._source.prelude(self._request, reply))
        self.started = True

    def write(self, data: bytes) -> None:
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise BadReply(f"the body is {-self._left} bytes longer than its content-length says")
        self._stream.send(data)

    def check_length(self) -> None:
        """Raise BadReply when less was sent than declared."""
        if self._left:
            raise BadReply(f"the body is {self._left} bytes shorter than its content-length says")


def answer(
    driver: Any,
    watchdog: Watchdog | None,
    options: Options,
    source: Source,
    event: Event,
    context: Any,
    opened: Any,
) -> None:
    """Run the application for one event and stream its answer, whatever it does."""
    try:
        request = source.request(event, options.root_path)
        prepared = driver.prepared(request, context)
    except (BadEvent, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        request = source.refused(event)
        stream = opened(source, request)
        _plainly(_Answer(stream, source, request, context, options.id_headers), malformed(source.name, error))
        stream.end()
        return
    stream = opened(source, request)
    out = _Answer(stream, source, request, context, options.id_headers)
    failure = _run(driver, watchdog, request, prepared, context, out)
    if failure is None:
        stream.end()
        return
    reply = failed(*failure)
    if out.started:
        stream.end(failure[0])
    else:
        _plainly(out, reply)
        stream.end()


def _run(
    driver: Any, watchdog: Watchdog | None, request: Request, prepared: Any, context: Any, out: _Answer
) -> tuple[BaseException, bool] | None:
    """Run the application; return what it raised and whether its time was up, or None."""
    late = False
    try:
        if watchdog is not None:
            watchdog.arm(context.get_remaining_time_in_millis())
        try:
            driver.stream(request, prepared, out)
            out.check_length()
        finally:
            if watchdog is not None:
                late = watchdog.disarm()
            if invocation.forked:
                os._exit(70)
    except BaseException as error:
        return error, late
    return None


def _plainly(out: _Answer, reply: Reply) -> None:
    out.start(whole(reply, len(reply.body), False))
    out.write(reply.body)
