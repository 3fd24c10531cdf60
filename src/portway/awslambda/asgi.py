"""ASGI 3 `http` from a request, and its answer back.

The application runs on the environment's one loop (`loop`). A buffered answer is complete when the
application returns; a streamed one leaves piece by piece, and what the application does after the last
piece (background tasks) still runs before the next event is fetched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from .errors import BadReply, shown
from .events.reply import checked_octets
from .output import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .events.reply import Reply
    from .events.request import Fields, Request
    from .lifespan import Lifespan
    from .loop import Loop
    from .output import Output

    Application = Callable[..., Awaitable[None]]

_KNOWN_MOST = 1024
_names: dict[str, bytes] = {}


def _learn(fields: Fields) -> None:
    """Put the names of these fields into the memo, which starts afresh when it is full."""
    if len(_names) >= _KNOWN_MOST:
        _names.clear()
    for name, _ in fields:
        _names[name] = name.lower().encode("utf-8", "replace")


def scope_of(request: Request, context: object, kind: str = "http") -> dict[str, Any]:
    """Return the connection scope of a request, without `state`."""
    known, names = request.known, _names
    root = request.root_path
    path = root + request.path
    if not path.isascii():
        path = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        headers = [(names[name], value.encode()) for name, value in request.fields]
    except KeyError:
        _learn(request.fields)
        headers = [(names[name], value.encode()) for name, value in request.fields]
    if "transfer-encoding" in known:  # the body is whole and has a length
        headers = [field for field in headers if field[0] != b"transfer-encoding"]
    if request.body and "content-length" not in known:
        # A REST event has none, and form parsers read nothing without it.
        headers.append((b"content-length", str(len(request.body)).encode()))
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": request.http_version,
        "method": request.method,
        "scheme": request.scheme,
        "path": path,
        "raw_path": request.raw_octets(),
        "query_string": request.query.encode(),
        "root_path": root,
        "headers": headers,
        "client": (request.client, 0) if request.client else None,
        "server": (request.host, request.port),
        "aws.event": request.event,
        "aws.context": context,
    }


class _Done(Coroutine[Any, Any, None]):
    """A coroutine that has nothing left to do, for any number of callers: what `send` returns.

    Saves making and running a coroutine for each message, a twentieth of a small request.
    """

    __slots__ = ()
    __await__ = ().__iter__  # type: ignore[assignment]  # an iterator that is at its end, made in C

    def send(self, value: object) -> None:
        raise StopIteration

    def throw(self, kind: Any, value: Any = None, trace: Any = None) -> None:
        raise kind if value is None else value

    def close(self) -> None:
        pass


_DONE = _Done()


class Exchange:
    """receive and send of one request. Belongs to the loop's thread.

    Attributes:
        status: The status the application has sent, or 0.
        complete: Whether it has sent all of its answer.
    """

    status = 0
    complete = False
    _ended: asyncio.Event | None = None
    _headers: Any = ()

    def __init__(self, request: Request, out: Output | None = None) -> None:
        self._body: bytes | None = request.body
        self._out = out
        self._parts: list[bytes] = []
        self._head = request.method == "HEAD"

    async def receive(self) -> dict[str, Any]:
        """Return the body, whole, and after the answer http.disconnect (a client that leaves is not told)."""
        body = self._body
        if body is not None:
            self._body = None
            return {"type": "http.request", "body": body, "more_body": False}
        if not self.complete:
            if self._ended is None:
                self._ended = asyncio.Event()
            await self._ended.wait()
        return {"type": "http.disconnect"}

    def send(self, message: dict[str, Any]) -> Awaitable[None]:
        """Take one message of the answer.

        Raises:
            RuntimeError: It must not come now.
        """
        kind = message["type"]
        if kind == "http.response.start" and not self.status:
            self.status = message["status"]
            if "headers" in message:
                headers = message["headers"]
                self._headers = headers if type(headers) is list else list(headers)
            return _DONE
        if kind != "http.response.body" or not self.status or self.complete:
            raise RuntimeError(f"{shown(kind)} was sent out of turn")
        more = message.get("more_body")
        data = message.get("body", b"")
        if self._out is None:
            self._parts.append(data)
        else:
            self._pass_on(self._out, data, bool(more))
        if not more:
            self.complete = True
            if self._ended is not None:
                self._ended.set()
        return _DONE

    def _pass_on(self, out: Output, data: bytes, more: bool) -> None:
        if not out.started:
            reply = checked_octets(self.status, self._headers, None, self._head)
            out.start(reply if more else whole(reply, len(data), self._head))
        if data and not self._head:
            out.write(data)

    def reply(self) -> Reply:
        """Return the whole answer.

        Raises:
            BadReply: There is none, or it cannot be sent.
        """
        if not self.complete:
            raise BadReply(
                "the application returned before it finished its answer"
                if self.status
                else "the application returned without an answer"
            )
        parts = self._parts
        try:
            body = parts[0] + b"" if len(parts) == 1 else b"".join(parts)
        except TypeError as error:
            raise BadReply(f"the body is not made of bytes: {error}") from None
        try:
            return checked_octets(self.status, self._headers, body, self._head)
        except TypeError:
            raise BadReply(f"status or headers are not those of ASGI: {shown(self._headers)}") from None


class ASGI:
    """An ASGI application behind the event sources. One thread at a time."""

    def __init__(self, app: Application, loop: Loop, lifespan: Lifespan | None) -> None:
        self._app = app
        self._run = loop.run
        self._lifespan = lifespan

    def prepared(self, request: Request, context: object) -> dict[str, Any]:
        """Return the connection scope of a request, with a copy of the lifespan's state."""
        scope = scope_of(request, context)
        lifespan = self._lifespan
        if lifespan is not None and lifespan.state is not None:
            scope["state"] = lifespan.state.copy()
        return scope

    def call(self, request: Request, scope: dict[str, Any]) -> Reply:
        """Run the application for one request and return its whole answer.

        Raises:
            BadReply: The answer cannot be sent.
            BaseException: Whatever the application raised before its answer was complete.
        """
        exchange = Exchange(request)
        try:
            self._run(self._app(scope, exchange.receive, exchange.send))  # type: ignore[arg-type]
        except Exception:
            _late(exchange)
        return exchange.reply()

    def stream(self, request: Request, scope: dict[str, Any], out: Output) -> None:
        """Run the application for one request and send its answer piece by piece as it makes it.

        Raises:
            BadReply: The answer cannot be sent.
            BaseException: Whatever the application raised before its answer was complete, or `out` did.
        """
        exchange = Exchange(request, out)
        try:
            self._run(self._app(scope, exchange.receive, exchange.send))  # type: ignore[arg-type]
        except Exception:
            _late(exchange)
        if not exchange.complete:
            exchange.reply()


def _late(exchange: Exchange) -> None:
    """Log the exception being handled when the answer was complete before it; raise it again when not."""
    if not exchange.complete:
        raise
    from .logs import error

    error("the application failed after its answer was complete")
