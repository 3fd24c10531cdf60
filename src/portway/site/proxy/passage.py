"""One request on its way to an upstream, and the response on its way back, both in pieces.

Rules. A request is sent again only where nothing of it can have been worked on: no connection could be
made, or a connection that had been kept ended without a byte and the request has an idempotent method and
no body (RFC 9110, section 9.2.2). A response that the upstream did not complete is cut, never made to look
whole. The client is watched from a moment on in which most upstreams have answered: when it leaves, the
upstream's connection is closed.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import aiohttp
from aiohttp.http_parser import RawResponseMessage
from aiohttp.streams import EMPTY_PAYLOAD

from portway.engine.errors import ResponseCut
from portway.site.proxy.connections import BadAnswer, Line, UpstreamErrors
from portway.site.proxy.fields import Request, response_fields
from portway.site.proxy.patrol import Patrol
from portway.site.proxy.tunnel import tunnel
from portway.site.proxy.upstreams import Upstream

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

WATCH_AFTER_S = 0.1
NEVER = math.inf
LATE = "it did not answer in time"
_KEPT_TRIES = 3


class Failed(Exception):
    """No response can be had.

    Attributes:
        status: What the client is told.
    """

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        super().__init__(why)


class ClientGone(Exception):
    """The client ended before its request did."""


class Asked(Protocol):
    """Whom a passage asks for connections."""

    patrol: Patrol

    async def connect(self) -> tuple[Line, Upstream]:
        """Return a connection to an upstream."""

    def report(self, upstream: Upstream, scope: Scope, why: str) -> None:
        """Log that a response broke off."""


class Passage:
    """One request; `run` is awaited once, in the request's own task.

    Args:
        proxy: Where connections come from.
        scope, receive, send: ASGI's.
        request: What the upstream gets.
        read_timeout_s: Seconds for the response to begin, and between two pieces of it.
    """

    def __init__(
        self,
        proxy: Asked,
        scope: Scope,
        request: Request,
        receive: Receive,
        send: Send,
        read_timeout_s: float,
    ) -> None:
        self._proxy = proxy
        self._scope = scope
        self._request = request
        self._receive = receive
        self._send = send
        self._started = False
        self._stream = False
        self._unbounded = False  # the body ends with the connection
        self._body: asyncio.Task[None] | None = None
        self._body_failure: Exception | None = None
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._timeout_s = read_timeout_s
        self._line: Line | None = None
        self._due = NEVER  # when the upstream must have sent something
        self._overdue = False
        self._watch_from = NEVER
        self._watch: asyncio.Task[None] | None = None
        self._left = False

    async def run(self) -> None:
        """Do it.

        Raises:
            Failed: There is no response.
            ResponseCut: It broke off.
        """
        self._proxy.patrol.add(self)
        try:
            first, more = await self._first_piece()
            if not more:
                self._watch_from = self._loop.time() + WATCH_AFTER_S
            line, upstream, message, payload = await self._ask(first, more)
            if message.code == 101:
                self._end_watch()
                await tunnel(self._scope, self._receive, self._send, line, message)
            else:
                await self._pass_back(line, upstream, message, payload)
        except ClientGone:
            self._client_left()
        except asyncio.CancelledError:
            if not self._left or self._task is None:
                raise
            self._task.uncancel()
            self._client_left()
        finally:
            self._proxy.patrol.remove(self)
            self._end_watch()
            if self._body is not None and not self._body.done():
                self._body.cancel()
            if self._line is not None:
                self._line.close()

    def look(self, now: float) -> None:
        """Watch the client, or give the upstream up, when it is time."""
        if now >= self._watch_from and self._watch is None:
            self._watch = asyncio.create_task(self._watch_client())
        if now >= self._due and self._line is not None:
            self._overdue = True
            self._line.abort()

    async def _ask(
        self, first: bytes, more: bool
    ) -> tuple[Line, Upstream, RawResponseMessage, aiohttp.StreamReader]:
        """Send the request; return the connection, the upstream, and the head and body of the response."""
        for tries in range(_KEPT_TRIES):
            line, upstream = await self._proxy.connect()
            self._line = line
            try:
                self._send_request(line, upstream, first, more)
                message, payload = await line.response()
                self._due = NEVER
                if message.code == 101 and self._request.upgrade is None:
                    raise BadAnswer("101 where nobody asked for another protocol")
                return line, upstream, message, payload
            except (BadAnswer, *UpstreamErrors) as error:
                line.close()
                if self._body_failure is not None:
                    raise self._body_failure from error
                if self._may_repeat(line, error) and tries < _KEPT_TRIES - 1:
                    continue
                status = 504 if self._overdue else 502
                why = LATE if self._overdue else reason(error)
                raise Failed(status, f"upstream {upstream.url}: {why}") from error
        raise AssertionError("unreachable")

    def _may_repeat(self, line: Line, error: BaseException) -> bool:
        """Whether the connection had been kept and most likely was closed before the request reached it."""
        lost = isinstance(error, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError))
        return lost and not line.fresh and self._request.repeatable and not self._overdue

    # -- the request's body ---------------------------------------------------------------------------------

    async def _first_piece(self) -> tuple[bytes, bool]:
        """Return the first piece of the body, and whether there is more, before an upstream is troubled."""
        if not self._request.has_body:
            return b"", False
        message = await self._receive()
        if message["type"] != "http.request":
            raise ClientGone
        return message["body"], message["more_body"]

    def _send_request(self, line: Line, upstream: Upstream, first: bytes, more: bool) -> None:
        request = self._request
        data = request.head(upstream.authority)
        if request.chunked:
            data += b"%x\r\n%b\r\n" % (len(first), first) if first else b""
            data += b"" if more else b"0\r\n\r\n"
        else:
            data += first
        line.send(data, head=self._scope["method"] == "HEAD")
        if more:
            self._body = asyncio.create_task(self._send_body(line))
        else:
            self._due = self._loop.time() + self._timeout_s

    async def _send_body(self, line: Line) -> None:
        """Send the rest of the body as it comes. What fails ends the connection, and so the wait for it."""
        try:
            more = True
            while more:
                message = await self._receive()
                if message["type"] != "http.request":
                    raise ClientGone
                more = message["more_body"]
                if message["body"]:
                    await line.send_more(message["body"], chunked=self._request.chunked)
            if self._request.chunked:
                line.end(b"0\r\n\r\n")
            if not self._started:
                self._due = self._loop.time() + self._timeout_s
            self._watch_from = self._loop.time() + WATCH_AFTER_S
        except ClientGone as gone:
            self._body_failure = gone
            line.abort()
        except TimeoutError:
            self._body_failure = Failed(504, "the upstream does not read the request")
            line.abort()
        except OSError:
            pass  # it has closed; it may have answered before

    # -- the response ---------------------------------------------------------------------------------------

    async def _pass_back(
        self, line: Line, upstream: Upstream, message: RawResponseMessage, payload: aiohttp.StreamReader
    ) -> None:
        fields = response_fields(message.raw_headers, bool(message.chunked))
        if fields is None:
            raise Failed(502, f"upstream {upstream.url}: a response field has a control character")
        names = dict(fields)
        self._stream = names.get(b"content-type", b"").startswith(b"text/event-stream")
        self._unbounded = not message.chunked and b"content-length" not in names
        self._unbounded &= payload is not EMPTY_PAYLOAD
        try:
            piece = payload.read_nowait()
            self._check_end(line, payload)
        except (BadAnswer, *UpstreamErrors) as error:
            why = f"the response broke off: {reason(error)}"
            raise Failed(502, f"upstream {upstream.url}: {why}") from error
        send = self._send
        try:
            await send({"type": "http.response.start", "status": message.code, "headers": fields})
            self._started = True
            while not payload.at_eof():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await self._read(line, upstream, payload)
            if self._body is None or self._body.done():
                line.release()
            await send({"type": "http.response.body", "body": piece})
        except OSError as error:
            raise ClientGone from error

    async def _read(self, line: Line, upstream: Upstream, payload: aiohttp.StreamReader) -> bytes:
        """Return the next piece of the response's body."""
        self._due = self._loop.time() + self._timeout_s
        try:
            piece = await payload.readany()
            self._check_end(line, payload)
            self._due = NEVER
            return piece
        except (BadAnswer, *UpstreamErrors) as error:
            why = LATE if self._overdue else reason(error)
        if isinstance(self._body_failure, ClientGone):
            raise self._body_failure
        self._proxy.report(upstream, self._scope, why)
        raise ResponseCut

    def _check_end(self, line: Line, payload: aiohttp.StreamReader) -> None:
        """Raise BadAnswer where a body that ends with its connection has not ended in order."""
        if self._unbounded and payload.at_eof():
            if self._overdue:
                raise BadAnswer(LATE)
            if line.was_reset:
                raise BadAnswer("the connection was reset")

    # -- the client -----------------------------------------------------------------------------------------

    async def _watch_client(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left = True
        if self._task is not None:
            self._task.cancel()

    def _end_watch(self) -> None:
        self._watch_from = NEVER
        if self._watch is not None:
            self._watch.cancel()

    def _client_left(self) -> None:
        """The client is gone, or the server ends: a stream of events ends well, anything else is cut."""
        if self._started and not self._stream:
            raise ResponseCut


def reason(error: BaseException) -> str:
    """Return an error in one line, for the log."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection before it answered"
    text = " ".join(str(getattr(error, "message", "") or str(error)).split())
    return text[:300] or type(error).__name__
