"""A raw-socket HTTP/1.1 client: small enough to be trusted, strict about what it gets."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

Address = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""


class SecureAddress(tuple[str, int]):
    """An address that speaks TLS; a client must be told, or it would speak plain HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One response.

    Attributes:
        status: The status code.
        headers: Field lines; names in lower case, a repeated one keeps its last value.
        body: The body, its framing removed.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the server said that it closes the connection."""
        return self.headers.get("connection", "").lower() == "close"


class ConnectionLost(Exception):
    """The connection ended before the answer did.

    Attributes:
        received: How much of the answer had arrived.
    """

    def __init__(self, received: bytes) -> None:
        self.received = received
        super().__init__(f"connection lost after {received[-200:]!r}")


class Client:
    """One connection. A context manager.

    Args:
        address: Where to connect.
        timeout_s: Longest silence.
    """

    def __init__(self, address: Address, timeout_s: float = 40.0) -> None:
        self.sock = _connect(address, timeout_s)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ConnectionLost(b"") from error

    def request(
        self,
        path: str = "/",
        fields: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        body: bytes = b"",
    ) -> None:
        """Send a request with Host, further fields, and a Content-Length when there is a body."""
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in {"Host": "portway.test", **(fields or {})}.items()]
        lines += [f"Content-Length: {len(body)}"] if body else []
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def get(self, path: str = "/", fields: Mapping[str, str] | None = None) -> Answer:
        """Send a GET request and return its answer."""
        self.request(path, fields)
        return self.answer()

    def answer(self) -> Answer:
        """Read one answer.

        Raises:
            ConnectionLost: It was cut.
        """
        head = self._until(b"\r\n\r\n")
        start, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(_field(line) for line in lines if line)
        status = int(start.split(" ")[1])
        return Answer(status, headers, self._body(headers))

    def interim(self) -> int:
        """Read an interim response, which has no body; return its status."""
        return int(self._until(b"\r\n\r\n").split(b" ")[1])

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            return b"".join(self._chunks())
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        return self.rest()

    def _chunks(self) -> list[bytes]:
        chunks = []
        while size := int(self._until(b"\r\n"), 16):
            chunks.append(self._exactly(size + 2)[:-2])
        self._until(b"\r\n")
        return chunks

    def rest_of_chunks(self) -> bytes:
        """Read until the end of a chunked body; return what came, framing included."""
        while not self._buffer.endswith(b"\r\n0\r\n\r\n"):
            if not self._more():
                raise ConnectionLost(self._buffer)
        data, self._buffer = self._buffer, b""
        return data

    def rest(self) -> bytes:
        """Read until the server closes; return what came."""
        while self._more():
            pass
        data, self._buffer = self._buffer, b""
        return data

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            if not self._more():
                raise ConnectionLost(self._buffer)
        head, _, self._buffer = self._buffer.partition(mark)
        return head

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not self._more():
                raise ConnectionLost(self._buffer)
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _more(self) -> bool:
        try:
            piece = self.sock.recv(65536)
        except ConnectionResetError as error:
            raise ConnectionLost(self._buffer) from error
        self._buffer += piece
        return bool(piece)


def secured(sock: socket.socket) -> socket.socket:
    """Return the socket under TLS, trusting anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(sock)


def _connect(address: Address, timeout_s: float) -> socket.socket:
    if not isinstance(address, str):
        sock = socket.create_connection(address, timeout_s)
        return secured(sock) if isinstance(address, SecureAddress) else sock
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(timeout_s)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()


def get(address: Address, path: str = "/", fields: Mapping[str, str] | None = None) -> Answer:
    """Send one GET request on a connection of its own."""
    with Client(address) as client:
        return client.get(path, fields)
