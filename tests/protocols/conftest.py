"""Servers with WebSockets, and clients: the library's, and one made of bytes."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from tests.engine.conftest import IMPORTING
from tests.support.certificates import certificate
from tests.support.client import Client, get
from tests.support.processes import Portway
from tests.support.websocket import websocket as open_websocket

_LOGGED: dict[Portway, int] = {}
APP = Path(__file__).parent / "apps" / "talking.py"
WAYS = ("epoll", "poll", "epoll-uvloop", "poll-uvloop", "epoll-tls", "poll-tls")
OPENING = (
    b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n"
)
ACCEPTED = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""What belongs to that key (RFC 6455, section 1.3)."""


def serve(way: str = "epoll", *args: str, app: Path = APP, **env: str) -> Portway:
    """Start a server."""
    poller, *further = way.split("-")
    args += ("--loop", "uvloop") if "uvloop" in further else ()
    args += ("--certfile", str(certificate("portway.test").pem)) if "tls" in further else ()
    return Portway(str(app), *args, env={"PORTWAY_POLLER": poller, **IMPORTING, **env})


@pytest.fixture(scope="session", params=WAYS)
def shared(request: pytest.FixtureRequest) -> Iterator[Portway]:
    with serve(request.param) as server:
        (worker,) = server.ready().workers()
        yield server
        assert server.workers() == [worker], server.log
        assert server.stop() == 0
        for fault in ("failed at engine", "never retrieved", "never awaited"):
            assert fault not in server.log, server.log


@pytest.fixture
def server(shared: Portway) -> Portway:
    """A server for each way to run, shared by all tests, that remembers nothing of the one before."""
    get(shared.address, "/forget")
    _LOGGED[shared] = len(shared.lines)
    return shared


def log_of(server: Portway) -> str:
    """What the server has logged since the test began."""
    return "\n".join(server.lines[_LOGGED[server] :])


def websocket(server: Portway, path: str = "/echo", **options: Any) -> ClientConnection:
    """Open a WebSocket."""
    return open_websocket(server, path, **options)


def told(server: Portway) -> Any:
    """What the application has to tell."""
    return json.loads(get(server.address, "/told").body)


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, mask: bytes | None = None) -> bytes:
    """Return one frame of a client (RFC 6455, section 5.2).

    Args:
        opcode: 0 to 15; more for reserved bits.
        data: The payload.
        fin: Whether it ends its message.
        mask: Four bytes; b"" for none at all.
    """
    mask = os.urandom(4) if mask is None else mask
    first, flag = opcode | (0x80 if fin else 0), 0x80 if mask else 0
    if len(data) < 126:
        head = struct.pack("!BB", first, flag | len(data))
    elif len(data) < 65536:
        head = struct.pack("!BBH", first, flag | 126, len(data))
    else:
        head = struct.pack("!BBQ", first, flag | 127, len(data))
    if mask:
        repeated = (mask * (len(data) // 4 + 1))[: len(data)]
        data = (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(data), "big")
    return head + mask + data


class Raw(Client):
    """A client that sends whatever bytes it is told to, once the connection is a WebSocket.

    Args:
        server: Where.
        path: Of the handshake.
        more: Further field lines of it.
        early: What follows it at once.
        before: Paths to get on the connection first.
    """

    def __init__(
        self,
        server: Portway,
        path: str = "/echo",
        more: bytes = b"",
        early: bytes = b"",
        before: Iterable[str] = (),
    ) -> None:
        super().__init__(server.address)
        for earlier in before:
            assert self.get(earlier).status == 200
        self.send(OPENING % (path.encode(), more) + early)
        self.head = self._until(b"\r\n\r\n")
        assert self.head.startswith(b"HTTP/1.1 101 "), self.head

    def frame(self) -> tuple[int, bytes]:
        """Return the next frame: its first byte, and its payload."""
        first, size = self._exactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", self._exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._exactly(8))
        return first, self._exactly(size)

    def closed(self) -> tuple[int, str]:
        """Return code and reason of a Close frame that is next, and the last thing to come."""
        first, data = self.frame()
        assert first == 0x88, (first, data)
        assert self.rest() == b""
        return (int.from_bytes(data[:2], "big"), data[2:].decode()) if data else (1005, "")
