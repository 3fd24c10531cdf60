"""A WebSocket: any frames and any bytes, cut anywhere, with and without compression; the application echoes.

The library, given the same bytes at once, says what the messages, the pongs and the end are.
"""

from __future__ import annotations

import zlib
from typing import Any

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from fuzz.plan import Source
from fuzz.serving import serve_asgi
from portway.config import Settings
from portway.protocols.limits import limits_of
from portway.protocols.upgrades import Upgrades
from tests.engine.wire import Wire

ALLOWED = ()
OPENING = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n"
)
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12\r\n"
MOST = 200_000  # bytes that a client may send without reading: what the sockets hold


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Send everything back."""
    assert (await receive()) == {"type": "websocket.connect"}
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
    assert message["type"] == "websocket.disconnect"


ADDRESS, REPORT = serve_asgi(app, Upgrades(app, limits_of(Settings().websockets), lambda key, text: None))


def one(data: bytes) -> None:
    """Try one conversation: the first byte says how it is cut, and whether it may be compressed."""
    if len(data) < 3:
        return
    source = Source(data)
    manner, step = source.number(8), source.number(255) + 1
    deflate, early = bool(manner & 1), bool(manner & 2)
    sent = stream(source)
    expected = judge(sent, deflate)
    with Wire(ADDRESS) as wire:
        pieces = [sent] if manner & 4 else [sent[at : at + step] for at in range(0, len(sent), step)]
        opening = OPENING % (DEFLATE if deflate else b"")
        wire.send_some([opening + b"".join(pieces)] if early else [opening])
        head = wire._until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert (b"permessage-deflate" in head) == deflate
        if not early:
            wire.send_some(pieces)
        check(wire, expected, deflate)
    assert not REPORT.faults, REPORT.faults


def stream(source: Source) -> bytes:
    """Return what a client sends: frames, most of them whole, and whatever else."""
    sent = b""
    while len(sent) < MOST and not source.is_empty:
        first, kind = source.number(256), source.number(16)
        if kind == 0:
            sent += source.bytes(first % 16)
            continue
        size = (0, 1, 125, 126, 2000, 70_000)[source.number(6)] if kind == 1 else source.number(32)
        payload = (source.bytes(size) if kind < 12 else b"x" * size)[:size]
        frame = Frame(
            (Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.PING, Opcode.PONG, Opcode.CLOSE)[first % 6],
            payload,
            fin=first % 4 != 0,
            rsv1=first > 240,
        )
        try:
            sent += frame.serialize(mask=True) * (1 + (kind == 2) * 300)
        except Exception:  # a control frame that is none
            sent += bytes([first, 0x80 | min(size, 125), 0, 0, 0, 0]) + payload[:125]
    return sent


class Expected:
    """What comes back: messages and pongs, each in their order, and whether the server ends it."""

    def __init__(self) -> None:
        self.messages: list[tuple[Opcode, bytes]] = []
        self.pongs: list[bytes] = []
        self.over = False


def judge(sent: bytes, deflate: bool) -> Expected:
    """Ask the library."""
    protocol = ServerProtocol(state=State.OPEN, max_size=16 << 20)
    if deflate:
        protocol.extensions = [PerMessageDeflate(False, False, 12, 12, {"memLevel": 5})]
    protocol.receive_data(sent)
    expected = Expected()
    kind, whole = Opcode.TEXT, b""
    for frame in protocol.events_received():
        assert isinstance(frame, Frame)
        if frame.opcode is Opcode.PING:
            expected.pongs.append(bytes(frame.data))
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            continue
        if frame.opcode is not Opcode.CONT:
            kind, whole = frame.opcode, b""
        whole += frame.data
        if not frame.fin:
            continue
        if kind is Opcode.TEXT:
            try:
                whole.decode()
            except UnicodeDecodeError:
                expected.over = True
        if not expected.over:
            expected.messages.append((kind, whole))
    expected.over = expected.over or protocol.state is not State.OPEN
    return expected


def check(wire: Wire, expected: Expected, deflate: bool) -> None:
    """Read everything, and compare; the end of a conversation may come before all was echoed."""
    count = None if expected.over else len(expected.messages) + len(expected.pongs)
    heard = frames(wire, deflate, count)
    messages = [one for one in heard if one[0] in (Opcode.TEXT, Opcode.BINARY)]
    pongs = [data for opcode, data in heard if opcode is Opcode.PONG]
    if expected.over:
        assert [opcode for opcode, _ in heard if opcode is Opcode.CLOSE] == [Opcode.CLOSE], heard
        assert heard[-1][0] is Opcode.CLOSE
        expected.messages, expected.pongs = expected.messages[: len(messages)], expected.pongs[: len(pongs)]
    assert messages == expected.messages
    assert pongs == expected.pongs


def frames(wire: Wire, deflate: bool, count: int | None) -> list[tuple[Opcode, bytes]]:
    """Read as many messages and pongs, or, with None, all that come; a server's are whole and not masked."""
    inflate = zlib.decompressobj(-12)
    heard: list[tuple[Opcode, bytes]] = []
    while len(heard) != count:
        if not wire.received and not wire.more():
            assert count is None, (heard, count)
            break
        first, size = wire._exactly(2)
        if size > 125:
            size = int.from_bytes(wire._exactly(2 if size == 126 else 8), "big")
        data = wire._exactly(size)
        assert first & 0xB0 == 0x80
        if first & 0x40:
            assert deflate
            data = inflate.decompress(data + b"\0\0\xff\xff")
        heard.append((Opcode(first & 15), data))
    return heard
