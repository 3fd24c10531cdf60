"""Request bodies: any bytes, with either framing, in one piece and in several."""

from __future__ import annotations

from portway.engine.body import read_body
from portway.engine.errors import Refused

ALLOWED = (Refused,)
STATUSES = {400, 413, 431}
LIMIT = 1000


def one(data: bytes) -> None:
    """Read a body; the first two bytes say how it is framed and where it is cut."""
    if len(data) < 3:
        return
    length = None if data[0] % 4 else data[0] * 4
    step, data = data[1] % 64 + 1, data[2:]
    whole = outcome([data], length)
    parts = outcome([data[at : at + step] for at in range(0, len(data), step)], length)
    assert whole == parts, (whole, parts)


def outcome(pieces: list[bytes], length: int | None) -> object:
    """Return what read_body does, or the status of the refusal."""
    try:
        body, rest, complete = read_body(pieces, length, LIMIT)
    except ALLOWED as refused:
        assert refused.status in STATUSES
        assert refused.why.isascii()
        return refused.status
    data = b"".join(pieces)
    assert data.endswith(rest)
    assert complete or not rest
    if length is None:
        assert len(body) <= LIMIT
        assert not complete or len(body) + len(rest) + 5 <= len(data)
    else:
        assert body == data[:length]
        assert complete == (len(data) >= length)
    return body, rest, complete
