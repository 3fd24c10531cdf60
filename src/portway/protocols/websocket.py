"""One WebSocket (RFC 6455; compressed, RFC 7692) between the engine's bytes and an application's messages.

Framing, masking, compression and the rules of the closing handshake are those of the library websockets
(`ServerProtocol`, without I/O). What stands here: the messages of the ASGI WebSocket specification 2.5, the
bounds on what waits, pings, and the ends. Everything runs in the thread of the event loop: the engine calls
`received` for bytes as they come, before the loop's next turn.

The ends. Whoever ends it, the application hears of it once, as `websocket.disconnect` with the code; and the
connection is closed by the server, after the client's Close frame or `CLOSE_S` after its own.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from portway.engine.errors import ClientDisconnected

if TYPE_CHECKING:
    from portway.engine.stream import Stream
    from portway.protocols.limits import Limits

CLOSE_S: Final = 10.0
"""Seconds for the client's Close frame once the server's is sent (as in websockets and uvicorn)."""
MOST_WAITING: Final = 65536
"""Bytes of messages that wait for the application before nothing more is read."""
AT_ONCE: Final = 2048
"""Bytes that are parsed before it is asked again whether there is room; inflated, they may be 2 MiB."""
FRAMES_MOST: Final = 200
"""Frames of one connection that are parsed before others have their turn; each takes some microseconds."""
GOING_AWAY: Final = (1012, "service restart")
"""The code (IANA's registry) that tells clients to connect again."""
_DEFLATE: Final = ServerPerMessageDeflateFactory(
    server_max_window_bits=12, client_max_window_bits=12, compress_settings={"memLevel": 5}
)
"""4 KiB windows: about 24 KiB of memory for a connection instead of 300, for nearly the same sizes."""
_VERSION: Final = b"13"
_CONT, _TEXT, _BINARY, _CLOSE = Opcode.CONT, Opcode.TEXT, Opcode.BINARY, Opcode.CLOSE
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

Message = dict[str, Any]
ASGIApplication = Callable[[Any, Any, Any], Awaitable[None]]


class WebSocket:
    """One connection that asks for a WebSocket; the engine's sink for it.

    Args:
        scope: The `http` scope.
        stream: The engine's.
        send: The engine's, for a response that is none of a WebSocket.
        limits: What it may take.
    """

    def __init__(
        self,
        scope: dict[str, Any],
        stream: Stream,
        send: Callable[[Message], Awaitable[None]],
        limits: Limits,
    ) -> None:
        self._request = scope
        self._stream = stream
        self._respond = send
        self._limits = limits
        # open from the start: the head is the engine's to parse and to write
        self._protocol = ServerProtocol(
            state=State.OPEN,
            extensions=[_DEFLATE] if limits.deflate else None,
            max_size=limits.max_size or None,
        )
        self._loop = asyncio.get_running_loop()
        self._accepted = False
        self._denying = False  # with a response of the application's own
        self._told = False  # the application, or it has ended the connection itself
        self._gone = False  # nothing more can be sent
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._waiting = 0
        self._bytes = b""  # what came and is not parsed yet
        self._no_more = False  # nothing comes behind them
        self._reading = False
        self._held = False  # the engine reads nothing more
        self._clogged = False  # the client does not read what is sent
        self._turn: asyncio.Handle | None = None  # the next one, when others have had theirs
        self._partial: bytearray | None = None
        self._is_text = False
        self._over: asyncio.Future[None] | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._pinging: asyncio.TimerHandle | None = None
        self._next_ping = 0.0
        self._asked: float | None = None  # when a ping was sent that nothing has followed

    # -- the application's side ------------------------------------------------------------------------------

    async def run(self, app: ASGIApplication) -> None:
        """Answer the handshake, and live until both the application and the connection have ended."""
        refusal = self._handshake()
        if refusal is not None:
            await self._refuse(*refusal)
            return
        self._stream.attach(self)
        self._inbox.put_nowait({"type": "websocket.connect"})
        try:
            await app(self._scope(), self.receive, self.send)
        except Exception as error:
            logged = self._stream.is_open and self._stream.failed(error)
            with suppress(asyncio.CancelledError):  # the worker ends; the log has the failure
                await self._finish(1011)
            if not logged:
                raise
            self._stream.end()
            return
        if not self._accepted and not self._told and not self._denying:
            raise RuntimeError("the application returned before it accepted or refused the WebSocket")
        await self._finish(1000)

    async def receive(self) -> Message:
        """ASGI's: websocket.connect, websocket.receive for each message, websocket.disconnect at the end."""
        inbox = self._inbox
        message = await inbox.get() if inbox.empty() else inbox.get_nowait()
        kind = message["type"]
        if kind == "websocket.disconnect":
            inbox.put_nowait(message)  # whoever asks again hears the same
        elif kind == "websocket.receive":
            data = message.get("text")
            self._waiting -= len(message["bytes"] if data is None else data)
            # not now: an application that takes what is there, and never waits, would never let others go on
            if self._held and not self._must_wait():
                self._turn = self._loop.call_soon(self._next_turn)
        return message

    async def send(self, message: Message) -> None:
        """ASGI's.

        Raises:
            ClientDisconnected: The connection has ended, or ends (an OSError, as the specification asks).
            RuntimeError: The message does not belong here.
            BadResponse: HTTP does not allow what an acceptance or a refusal says.
        """
        kind = message["type"]
        if kind == "websocket.send" and self._accepted:
            if self._told or self._gone:
                self._check_open(kind)
            data = message.get("bytes")
            if data is None:
                self._protocol.send_text(message["text"].encode())
            else:
                self._protocol.send_binary(data)
            if self._flush():
                await self._stream.drained()
        elif kind == "websocket.close" and self._accepted:
            self._check_open(kind)
            self._close(message.get("code", 1000), message.get("reason") or "")
        elif self._told:
            self._check_open(kind)
        elif kind == "websocket.accept" and not self._accepted and not self._denying:
            self._accept(message)
        elif kind == "websocket.close" and not self._denying:
            self._tell(1006)
            await self._refuse(403, [], b"")
        elif kind == "websocket.http.response.start" and not self._accepted and not self._denying:
            self._denying = True
            await self._respond({**message, "type": "http.response.start"})
        elif kind == "websocket.http.response.body" and self._denying:
            if not message.get("more_body"):
                self._tell(1006)
            await self._respond({**message, "type": "http.response.body"})
        else:
            raise RuntimeError(f"{kind} was sent out of turn")

    def _check_open(self, kind: str) -> None:
        if self._gone:
            raise ClientDisconnected("the WebSocket has ended")
        if self._told:
            raise RuntimeError(f"{kind} was sent after the end of the WebSocket")

    # -- the handshake ---------------------------------------------------------------------------------------

    def _handshake(self) -> tuple[int, list[tuple[bytes, bytes]], bytes] | None:
        """Read the request; return the response that refuses it, or None."""
        headers = Headers()
        offered: list[str] = []
        for name, value in self._request["headers"]:
            if name in (b"upgrade", b"connection") or name.startswith(b"sec-websocket-"):
                headers[name.decode()] = value.decode("latin-1")
            if name == b"sec-websocket-protocol":
                offered += [word.strip() for word in value.decode("latin-1").split(",")]
        self._offered = offered
        if not all(_TOKEN.fullmatch(word) for word in offered):
            return 400, [], b"Sec-WebSocket-Protocol is no list of tokens.\n"
        if headers.get_all("sec-websocket-version") not in ([], [_VERSION.decode()]):
            return 400, [(b"sec-websocket-version", _VERSION)], b"Only version 13 of WebSocket is spoken.\n"
        self._response = self._protocol.accept(Request("/", headers))
        if self._response.status_code == 101:
            return None
        return int(self._response.status_code), [], bytes(self._response.body or b"")

    def _scope(self) -> dict[str, Any]:
        """The ASGI scope: that of the request, with the specification's own keys."""
        scope = {**self._request, "type": "websocket"}
        del scope["method"]
        scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
        scope["subprotocols"] = self._offered
        extensions = scope["extensions"]
        scope["extensions"] = {"websocket.http.response": {}}
        if "tls" in extensions:
            scope["extensions"]["tls"] = extensions["tls"]
        return scope

    def _accept(self, message: Message) -> None:
        headers = [(b"upgrade", b"websocket")]
        negotiated = self._response.headers
        headers += [
            (name.lower().encode(), negotiated[name].encode())
            for name in ("Sec-WebSocket-Accept", "Sec-WebSocket-Extensions")
            if name in negotiated
        ]
        subprotocol = message.get("subprotocol")
        if subprotocol:
            if subprotocol not in self._offered:
                raise RuntimeError(f"the client has not offered the subprotocol {subprotocol!r:.80}")
            headers.append((b"sec-websocket-protocol", subprotocol.encode("latin-1")))
        for name, value in message.get("headers", ()):
            if name.lower().startswith(b"sec-websocket-"):
                raise RuntimeError(f"{name.decode('latin-1'):.80} is not the application's to send")
            headers.append((name, value))
        self._stream.switch(headers)
        self._accepted = True
        if self._limits.ping_interval_s and self._stream.is_open:
            self._next_ping = self._loop.time() + self._limits.ping_interval_s
            self._pinging = self._loop.call_at(self._next_ping, self._look)

    async def _refuse(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        fields = [(b"content-length", str(len(body)).encode()), *headers]
        if body:
            fields.append((b"content-type", b"text/plain; charset=utf-8"))
        await self._respond({"type": "http.response.start", "status": status, "headers": fields})
        await self._respond({"type": "http.response.body", "body": body})

    # -- the engine's side -----------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Bytes came."""
        self._asked = None
        if self._bytes or self._held or self._reading or len(data) > AT_ONCE:
            self._bytes += data
            self._read()
            return
        self._reading = True  # as `_read` does, where nothing waits and little has come
        try:
            self._parse(data)
        finally:
            self._reading = False
        if self._must_wait():
            self._held = True
            self._stream.hold()

    def flushed(self) -> None:
        """The client has read what it was sent."""
        self._clogged = False
        self._read()

    def ended(self) -> None:
        """The client has ended the connection, without a Close frame."""
        self._no_more = True
        self._read()

    def lost(self) -> None:
        """The connection is gone."""
        self._tell(1006)
        self._ended()

    def server_ends(self) -> None:
        """The server drains."""
        if self._denying:
            return  # that response has an end of its own
        self._tell(*GOING_AWAY)
        if self._accepted and self._protocol.state is State.OPEN:
            self._close(*GOING_AWAY)

    def _read(self) -> None:
        """Parse what has come, a little at a time, until it has to wait or there is no more."""
        if self._reading:
            return
        self._reading = True
        try:
            frames = at = 0
            while at < len(self._bytes) and not self._must_wait():
                frames += self._parse(self._bytes[at : at + AT_ONCE])
                at += AT_ONCE
                if frames >= FRAMES_MOST and at < len(self._bytes) and self._turn is None:
                    self._turn = self._loop.call_soon(self._next_turn)
            self._bytes = self._bytes[at:] if self._stream.is_open else b""
            if self._no_more and not self._bytes:
                self._protocol.receive_eof()
                self._tell(1006)
                self._flush()
        finally:
            self._reading = False
        if bool(self._bytes) or self._must_wait():
            self._held = True
            self._stream.hold()
        elif self._held:
            self._held = False
            self._stream.go_on()

    def _must_wait(self) -> bool:
        return self._clogged or self._turn is not None or (not self._told and self._is_full())

    def _next_turn(self) -> None:
        self._turn = None
        self._read()

    def _parse(self, data: bytes) -> int:
        """Parse bytes; return how many frames they completed."""
        protocol = self._protocol
        protocol.receive_data(data)
        events = protocol.events_received()
        for event in events:
            self._take(event)  # type: ignore[arg-type]  # frames, once the protocol is open
        if protocol.parser_exc is not None and protocol.close_sent is not None:
            self._tell(protocol.close_sent.code, protocol.close_sent.reason)
        self._clogged = self._flush() or self._clogged
        return len(events)

    def _take(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is _CLOSE:
            close = self._protocol.close_rcvd
            assert close is not None
            self._tell(close.code, close.reason)
        elif self._told:
            return
        elif opcode is _TEXT or opcode is _BINARY:
            self._is_text = opcode is _TEXT
            if frame.fin:
                self._deliver(bytes(frame.data))
            else:
                self._partial = bytearray(frame.data)
        elif opcode is _CONT and self._partial is not None:  # else of one that came while nobody wanted any
            self._partial += frame.data  # one piece of memory, however small the fragments are
            if frame.fin:
                data, self._partial = self._partial, None
                self._deliver(data)

    def _deliver(self, data: bytes | bytearray) -> None:
        if not self._is_text:
            self._waiting += len(data)
            self._inbox.put_nowait({"type": "websocket.receive", "bytes": bytes(data)})
            return
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            self._tell(1007, "invalid UTF-8")
            if self._protocol.state is State.OPEN:
                self._protocol.fail(1007, f"{error.reason} at position {error.start}")
            return
        self._waiting += len(text)
        self._inbox.put_nowait({"type": "websocket.receive", "text": text})

    def _is_full(self) -> bool:
        return self._inbox.qsize() >= self._limits.max_queue or self._waiting >= MOST_WAITING

    # -- ends ------------------------------------------------------------------------------------------------

    def _tell(self, code: int, reason: str = "") -> None:
        """Let the application hear of the end, once; from now on nothing is read for it."""
        if self._told:
            return
        self._told = self._gone = True
        self._partial = None
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        if self._held:
            self._read()

    def _close(self, code: int, reason: str) -> None:
        """Send a Close frame; the client's is waited for."""
        self._protocol.send_close(code, reason)
        if not self._told:
            self._tell(code, reason)
            self._gone = False  # it has ended it itself: what it sends now is a mistake
        self._flush()
        if self._closing is None and self._stream.is_open:
            self._closing = self._loop.call_later(CLOSE_S, self._end)

    async def _finish(self, code: int) -> None:
        """The application has ended: so does the connection."""
        if not self._accepted or not self._stream.is_open:
            return
        if self._protocol.state is State.OPEN:
            self._close(code, "")
        if self._stream.is_open:
            self._over = self._loop.create_future()
            await self._over

    def _flush(self) -> bool:
        """Send what the protocol has to send; return whether to wait for the client."""
        full = False
        writes = self._protocol.data_to_send()
        over = bool(writes) and not writes[-1]
        if data := writes[0] if len(writes) == 1 else b"".join(writes):
            full = self._stream.write(data)
        if over:
            self._end()
        return full

    def _end(self) -> None:
        self._gone = True
        self._stream.end()
        self._ended()

    def _ended(self) -> None:
        for timer in (self._closing, self._pinging, self._turn):
            if timer is not None:
                timer.cancel()
        self._closing = self._pinging = self._turn = None
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    # -- pings -----------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Ask whether the client is there. One whose messages the application does not take cannot answer."""
        now, timeout_s = self._loop.time(), self._limits.ping_timeout_s
        if self._protocol.state is not State.OPEN:
            return
        if self._held:
            self._asked = None
        elif self._asked is not None and timeout_s and now >= self._asked + timeout_s:
            self._tell(1011, "keepalive ping timeout")
            self._protocol.fail(1011, "keepalive ping timeout")
            self._flush()
            return
        if now >= self._next_ping:
            self._next_ping = now + self._limits.ping_interval_s
            if not self._held:
                self._asked = now if self._asked is None else self._asked
                self._protocol.send_ping(os.urandom(4))
                self._flush()
        due = self._next_ping
        if self._asked is not None and timeout_s:
            due = min(due, self._asked + timeout_s)
        self._pinging = self._loop.call_at(due, self._look)
