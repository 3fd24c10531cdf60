"""Servers behind a proxy route that do exactly as they are told, wrong things among them."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.waiting import wait_until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Caller:
    """One connection to an upstream, as its script sees it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = b""

    def head(self) -> bytes:
        """Return the next request head; b"" when the other side has ended."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return b""
        head, mark, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head + mark

    def read(self, size: int) -> bytes:
        """Return that many bytes of what follows, fewer when the other side has ended."""
        while len(self._buffer) < size and self._more():
            pass
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def rest(self) -> bytes:
        """Wait for the end; return what came before it."""
        while self._more():
            pass
        data, self._buffer = self._buffer, b""
        return data

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.sock.sendall(data)

    def reset(self) -> None:
        """Break the connection off."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _more(self) -> bool:
        try:
            piece = self.sock.recv(65536)
        except OSError:
            return False
        self._buffer += piece
        return bool(piece)


Script = Callable[[Caller, int], None]


class Upstream:
    """A server on a port of its own, or on a Unix socket. A context manager.

    Args:
        script: Called for each connection, in a thread of its own, with the connection's number from 0.
        path: Of the Unix socket.

    Attributes:
        heads: The request heads that `answering` has read.
    """

    def __init__(self, script: Script, path: Path | None = None) -> None:
        self._script = script
        self.heads: list[bytes] = []
        self.connections = 0
        self.ended = 0
        self._open: list[socket.socket] = []
        if path is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen()
            self.url = f"http+unix://{str(path).replace('/', '%2F')}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    @property
    def address(self) -> str:
        """Host and port."""
        return self.url.removeprefix("http://")

    def wait_for_end(self, count: int = 1) -> None:
        """Wait until that many scripts have run to their end."""
        wait_until(lambda: self.ended >= count, f"end of {count} connections")

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True)
            self.connections += 1
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with sock, contextlib.suppress(OSError):
            self._script(Caller(sock), number)
        self.ended += 1


def answering(*responses: bytes, close: bool = False) -> tuple[Script, list[bytes]]:
    """Return a script that answers each request, the last response for ever, and the heads that it got.

    Args:
        responses: Sent as they are.
        close: Whether the connection is closed behind each.
    """
    heads: list[bytes] = []

    def script(caller: Caller, number: int) -> None:
        while head := caller.head():
            heads.append(head)
            caller.send(responses[min(len(heads), len(responses)) - 1])
            if close:
                return

    return script, heads
