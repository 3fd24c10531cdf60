"""A client made of bytes: what is sent goes out as it is, what comes back is taken apart strictly.

Anything that RFC 9112 does not allow in a response is an AssertionError here, whatever a test looks at.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.support.client import Address, SecureAddress, secured

TIMEOUT_S = 30.0
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([2-9]\d\d|1\d\d) ([\t\x20-\x7e\x80-\xff]*)")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\t\x20-\x7e\x80-\xff]*)")
GET = b"GET %s HTTP/1.1\r\nHost: portway.test\r\n\r\n"


class Ended(AssertionError):
    """The connection ended before a response did."""


@dataclass(frozen=True, slots=True)
class Response:
    """One response, interim ones included.

    Attributes:
        status: The status code.
        reason: The reason phrase.
        fields: Names in lower case with their values, in order.
        body: Its framing removed.
        chunks: The size of each chunk; none when it is not chunked.
        trailers: As `fields`.
        bounded: Whether the end of the body is known otherwise than by the connection's.
    """

    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]
    body: bytes = b""
    chunks: tuple[int, ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()
    bounded: bool = True

    def all(self, name: str) -> list[str]:
        """Return every value of a field."""
        return [value for field, value in self.fields if field == name]

    def __getitem__(self, name: str) -> str:
        """Return the value of a field that stands there exactly once."""
        (value,) = self.all(name)
        return value

    @property
    def closes(self) -> bool:
        """Whether it announces the end of the connection."""
        return self.all("connection") == ["close"]


class Wire:
    """One connection. A context manager.

    Args:
        address: Where to connect.
        receive_buffer: Bytes of the kernel's receive buffer, for a client that reads little.
        source: The address to come from, "127.0.0.2" for another client on this machine.
    """

    def __init__(
        self, address: Address, receive_buffer: int | None = None, source: str | None = None
    ) -> None:
        self.sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(TIMEOUT_S)
        if source is not None:
            self.sock.bind((source, 0))
        self.sock.connect(address)
        if not isinstance(address, str):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if isinstance(address, SecureAddress):
            self.sock = secured(self.sock)
        self.received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sock.close()

    def send(self, *pieces: bytes) -> None:
        """Send bytes as they are, each piece by itself."""
        for piece in pieces:
            self.sock.sendall(piece)

    def send_some(self, pieces: Iterable[bytes]) -> None:
        """Send until the server has had enough: it may close while a body is on its way."""
        try:
            self.send(*pieces)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            return

    def get(self, path: str) -> Response:
        """Send a plain GET request and return its response."""
        self.send(GET % path.encode())
        return self.response()

    def shut(self) -> None:
        """Say that nothing more will be sent, and go on reading."""
        socket.socket.shutdown(self.sock, socket.SHUT_WR)  # of TCP: TLS goes on in the other direction

    def response(self, method: str = "GET") -> Response:
        """Read one response, a final one or an interim one.

        Args:
            method: What it answers: HEAD has no body.
        """
        start, *lines = self._until(b"\r\n\r\n").split(b"\r\n")
        match = STATUS_LINE.fullmatch(start)
        assert match, start
        response = Response(int(match[1]), match[2].decode("latin-1"), _fields(lines))
        return self._with_body(response, method)

    def final(self, method: str = "GET") -> Response:
        """Read a final response; interim ones before it are an error."""
        response = self.response(method)
        assert response.status >= 200, response
        return response

    def end(self) -> None:
        """Wait for the end of the connection; nothing may come before it."""
        rest = self.rest()
        assert rest == b"", rest

    def rest_of_chunks(self) -> bytes:
        """Return everything, framing included, until the end of a chunked body."""
        while not self.received.endswith(b"\r\n0\r\n\r\n"):
            if not self.more():
                raise Ended(f"the connection ended after {self.received[-300:]!r}")
        rest, self.received = self.received, b""
        return rest

    def rest(self) -> bytes:
        """Return everything until the end of the connection, a reset included."""
        while self.more():
            pass
        rest, self.received = self.received, b""
        return rest

    def _with_body(self, response: Response, method: str) -> Response:
        status, lengths = response.status, response.all("content-length")
        codings = response.all("transfer-encoding")
        assert len(lengths) + len(codings) <= 1, response
        assert not (codings and codings != ["chunked"]), response
        if method == "HEAD" or status < 200 or status in (204, 304):
            assert not codings or method == "HEAD", response
            assert not lengths or status not in (100, 103, 204), response
            return response
        if lengths:
            assert re.fullmatch(r"\d+", lengths[0]), response
            return _replaced(response, body=self._exactly(int(lengths[0])))
        if codings:
            return self._chunked(response)
        assert response.closes, response
        return _replaced(response, body=self.rest(), bounded=False)

    def _chunked(self, response: Response) -> Response:
        chunks = []
        while True:
            line = self._until(b"\r\n")
            assert re.fullmatch(rb"[0-9a-fA-F]{1,16}", line), line
            size = int(line, 16)
            if not size:
                break
            chunks.append(self._exactly(size))
            assert self._exactly(2) == b"\r\n"
        lines = []
        while line := self._until(b"\r\n"):
            lines.append(line)
        sizes = tuple(map(len, chunks))
        return _replaced(response, body=b"".join(chunks), chunks=sizes, trailers=_fields(lines))

    def _until(self, mark: bytes) -> bytes:
        while mark not in self.received:
            if not self.more():
                raise Ended(f"the connection ended after {self.received[-300:]!r}")
        data, _, self.received = self.received.partition(mark)
        return data

    def _exactly(self, size: int) -> bytes:
        parts, missing = [self.received[:size]], size - len(self.received)
        self.received = self.received[size:]
        while missing > 0:
            piece = self._receive(min(missing, 1 << 20))
            if not piece:
                raise Ended(f"the connection ended {missing} bytes before the body did")
            parts.append(piece)
            missing -= len(piece)
        return b"".join(parts)

    def more(self) -> bool:
        """Receive whatever comes next into `received`; return False at the end of the connection."""
        piece = self._receive(65536)
        self.received += piece
        return bool(piece)

    def _receive(self, most: int) -> bytes:
        try:
            return self.sock.recv(most)
        except ConnectionResetError:
            return b""


def _fields(lines: list[bytes]) -> tuple[tuple[str, str], ...]:
    fields = []
    for line in lines:
        match = FIELD.fullmatch(line)
        assert match, line
        fields.append((match[1].decode().lower(), match[2].decode("latin-1")))
    return tuple(fields)


def _replaced(
    response: Response,
    body: bytes,
    chunks: tuple[int, ...] = (),
    trailers: tuple[tuple[str, str], ...] = (),
    bounded: bool = True,
) -> Response:
    return Response(response.status, response.reason, response.fields, body, chunks, trailers, bounded)
