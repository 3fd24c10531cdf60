"""What a parser makes of some bytes, in words that all parsers share."""

from __future__ import annotations

from dataclasses import dataclass, field

import h11
import httptools

from portway.engine.body import read_body
from portway.engine.errors import Refused
from portway.engine.head import HeadParser


@dataclass(frozen=True)
class Request:
    """The first request in some bytes.

    Attributes:
        method: As sent.
        target: As sent.
        minor: HTTP/1.minor.
        fields: Names in lower case, values without white space around them.
        body: Its framing removed.
        rest: What lies behind the request: where one parser sees the next begin.
    """

    method: bytes
    target: bytes
    minor: int
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    rest: bytes


@dataclass(frozen=True)
class Rejection:
    """The bytes are no request. Two are equal whatever their reasons."""

    why: str = field(compare=False)


@dataclass(frozen=True)
class Incomplete:
    """More bytes are needed."""


Seen = Request | Rejection | Incomplete


# The peers have other limits, or none; lengths are no subject here.
UNLIMITED = HeadParser(1 << 20, 1 << 20, 1 << 20, 1 << 16)


def by_portway(data: bytes, parser: HeadParser = UNLIMITED) -> Seen:
    """Parse with the engine."""
    while data.startswith(b"\r\n"):  # empty lines before a request are the connection's to skip
        data = data[2:]
    try:
        head = parser.parse(data)
        if head is None:
            return Incomplete()
        length = None if head["chunked"] else head["content_length"] or 0
        body, rest, complete = read_body([data[head["size"] :]], length)
    except Refused as refused:
        return Rejection(refused.why)
    if not complete and length != 0:
        return Incomplete()
    fields = _alike(head["fields"])
    return Request(head["method"], head["target"], head["minor"], fields, body, rest)


def by_h11(data: bytes) -> Seen:
    """Parse with h11, which is strict and written from the RFCs."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    if data:
        connection.receive_data(data)  # nothing at all would mean the end of the connection
    request, body = None, []
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return Incomplete()
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                break
    except h11.RemoteProtocolError as error:
        return Rejection(str(error))
    assert request is not None
    fields = _alike([(bytes(name), bytes(value)) for name, value in request.headers])
    minor = int(request.http_version[2:])
    rest = bytes(connection.trailing_data[0])
    return Request(bytes(request.method), bytes(request.target), minor, fields, b"".join(body), rest)


class _Callbacks:
    """What httptools calls."""

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.in_head = True
        self.body: list[bytes] = []
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_head:
            self.fields.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.in_head = False

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    def on_message_complete(self) -> None:
        self.complete = True


def by_httptools(data: bytes) -> Seen:
    """Parse with httptools, which is Node's llhttp, a byte at a time to see where a request ends."""
    seen = _Callbacks()
    parser = httptools.HttpRequestParser(seen)
    for at in range(len(data)):
        try:
            parser.feed_data(data[at : at + 1])
        except httptools.HttpParserUpgrade:
            seen.complete = True
        except httptools.HttpParserError as error:
            return Rejection(str(error))
        if seen.complete:
            minor = int(parser.get_http_version()[2:])
            fields, body = _alike(seen.fields), b"".join(seen.body)
            return Request(parser.get_method(), seen.target, minor, fields, body, data[at + 1 :])
    return Incomplete()


def _alike(fields: list[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    """Write fields as all parsers' are: names and codings, which have no case, in lower case."""
    return tuple(
        (name.lower(), value.lower() if name.lower() == b"transfer-encoding" else value)
        for name, value in fields
    )
