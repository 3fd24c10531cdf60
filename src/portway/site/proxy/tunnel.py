"""A connection that changes its protocol (RFC 9110, section 7.8), WebSocket for example: bytes both ways.

Nothing is read in them. The engine's side is a `Stream` in the scope's extensions, see docs/architecture.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from aiohttp.http_parser import RawResponseMessage

from portway.protocols.upgrades import UPGRADE
from portway.site.proxy.connections import WINDOW, Line
from portway.site.proxy.fields import response_fields

IDLE_S: Final = 3600.0
"""How long nothing may come from either side."""


class _Early:
    """Takes what came behind the head of a 101, the way aiohttp hands it to a WebSocket's reader."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        pass


class _Carried(asyncio.StreamReaderProtocol):
    """Tells aiohttp of the end of a connection that it has handed over: its pool waits for that to close."""

    def __init__(self, reader: asyncio.StreamReader, former: asyncio.BaseProtocol) -> None:
        super().__init__(reader, loop=asyncio.get_running_loop())
        self._former = former

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._former.connection_lost(exc)


async def tunnel(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
    line: Line,
    message: RawResponseMessage,
) -> None:
    """Tell the client of the change, then carry bytes until both sides have ended, or one is gone.

    Args:
        scope: The request's.
        receive, send: Its client.
        line: The upstream's connection, whose response was 101.
        message: That response.
    """
    fields = response_fields(message.raw_headers, chunked=False) or []
    fields += [(b"upgrade", value) for name, value in message.raw_headers if name.lower() == b"upgrade"]
    reader, writer = _taken_over(line)
    scope["extensions"][UPGRADE].switch(fields)
    try:
        async with asyncio.timeout(IDLE_S) as idle, asyncio.TaskGroup() as both:
            up = both.create_task(_to_upstream(receive, writer, idle))
            await _to_client(send, reader, idle)
            up.cancel()
    except* OSError:  # TimeoutError is one
        writer.transport.abort()
    with suppress(OSError):
        await send({"type": "http.response.body", "body": b""})


def _taken_over(line: Line) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Take the connection out of aiohttp's hands, with what has come already."""
    loop = asyncio.get_running_loop()
    transport = line.protocol.transport
    if transport is None:
        raise ConnectionResetError("the upstream has closed the connection")
    early = _Early()
    line.protocol.set_parser(early, None)
    reader = asyncio.StreamReader(limit=WINDOW, loop=loop)
    protocol = _Carried(reader, line.protocol)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if early.data:
        reader.feed_data(early.data)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _to_upstream(
    receive: Callable[[], Awaitable[dict[str, Any]]], writer: asyncio.StreamWriter, idle: asyncio.Timeout
) -> None:
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ConnectionResetError("the client is gone, or the server ends")
        more = message["more_body"]
        idle.reschedule(asyncio.get_running_loop().time() + IDLE_S)
        writer.write(message["body"])
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    else:
        raise ConnectionResetError("the client has ended")


async def _to_client(
    send: Callable[[dict[str, Any]], Awaitable[None]], reader: asyncio.StreamReader, idle: asyncio.Timeout
) -> None:
    while piece := await reader.read(WINDOW):
        idle.reschedule(asyncio.get_running_loop().time() + IDLE_S)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
