"""What a fixture application does, read from a fuzzer's bytes: mostly sensible, and sometimes anything."""

from __future__ import annotations

from dataclasses import dataclass, field

NAMES = (
    "Content-Length",
    "Content-Type",
    "Connection",
    "Transfer-Encoding",
    "Date",
    "Server",
    "X",
    "Trailer",
)
VALUES = ("5", "0", "close", "keep-alive", "chunked", "text/plain", "a\r\nX-Injected: 1", "-1")
BIG = 20_000


class Source:
    """Bytes, taken one after the other; zeros when they run out.

    Args:
        data: The fuzzer's.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        """Whether only zeros are left."""
        return self._at >= len(self._data)

    def number(self, below: int) -> int:
        """Return a number from zero on."""
        return self.bytes(1)[0] % below

    def bytes(self, size: int) -> bytes:
        """Return that many bytes."""
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken + bytes(size - len(taken))

    def text(self) -> str:
        """Return a short text of any characters, most of them latin-1."""
        raw = self.bytes(self.number(16))
        return raw.decode("latin-1") if self.number(8) else raw.decode("utf-16", "replace")


@dataclass
class Plan:
    """One response as an application gives it.

    Attributes:
        status: What it calls the status.
        fields: Pairs of whatever it calls fields.
        pieces: What it gives as its body, one by one.
        manner: How it goes about it; its meaning is the target's.
        hints: Fields sent early.
    """

    status: object
    fields: list[tuple[object, object]]
    pieces: list[object]
    manner: int
    hints: list[tuple[object, object]] = field(default_factory=list)


def planned(data: bytes, *, binary: bool) -> Plan:
    """Read a plan.

    Args:
        data: The fuzzer's bytes.
        binary: Whether names and values are bytes, as in ASGI, or text, as in WSGI.
    """
    source = Source(data)
    manner = source.number(16)
    fields = [_field(source, binary) for _ in range(source.number(5))]
    pieces = [_piece(source) for _ in range(source.number(5))]
    hints = [_field(source, binary) for _ in range(source.number(4) // 2)]
    return Plan(_status(source, binary), fields, pieces, manner, hints)


def _status(source: Source, binary: bool) -> object:
    kind = source.number(4)
    if binary:
        number = int.from_bytes(source.bytes(2), "little")
        return (200, (200, 204, 304, 404, 500)[number % 5], number, None)[kind]
    return (
        "200 OK",
        ("204 No", "304 Not", "404", "999 \xff", "100 Go")[source.number(5)],
        source.text(),
        None,
    )[kind]


def _field(source: Source, binary: bool) -> tuple[object, object]:
    name = NAMES[source.number(8)] if source.number(3) else source.text()
    value = VALUES[source.number(8)] if source.number(2) else source.text()
    if source.number(32) == 31:
        return (None, 5)
    if binary:
        return name.encode("utf-8", "replace"), value.encode("utf-8", "replace")
    return name, value


def _piece(source: Source) -> object:
    match source.number(8):
        case 0:
            return b""
        case 1:
            return b"x" * BIG
        case 2 if source.number(4) == 3:
            return "text"
        case 3 if source.number(4) == 3:
            return None
    return source.bytes(source.number(12))
