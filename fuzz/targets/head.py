"""The request head: any bytes, in one piece and in several."""

from __future__ import annotations

from portway.engine.errors import Refused
from portway.engine.head import HeadParser

ALLOWED = (Refused,)
STATUSES = {400, 414, 417, 431, 501, 505}
CONTROLS = {*range(32), 127} - {9}

# Small limits, so that a fuzzer reaches them.
PARSER = HeadParser(request_line=200, field=200, block=1000, count=12)


def one(data: bytes) -> None:
    """Parse a head; the first byte says where its bytes are cut."""
    if len(data) < 2:
        return
    step, data = data[0] % 64 + 1, data[1:]
    whole = outcome(data)
    end = 0
    while end < len(data):
        end = min(len(data), end + step)
        part = outcome(data[:end])
        if part is not None:
            assert part == whole, (part, whole)
            return
    assert whole is None, whole


def outcome(data: bytes) -> object:
    """Return the head, the status of its refusal, or None when it is not complete."""
    try:
        head = PARSER.parse(data)
    except ALLOWED as refused:
        assert refused.status in STATUSES
        assert refused.why.isascii()
        return refused.status
    if head is None:
        return None
    assert head["size"] <= len(data)
    assert data[: head["size"]].endswith(b"\r\n\r\n")
    assert PARSER.parse(data[: head["size"]]) == head
    assert (head["content_length"] or 0) >= 0
    assert not (head["chunked"] and head["content_length"] is not None)
    for name, value in head["fields"]:
        assert name.strip() == name != b"", name
        assert not CONTROLS & set(value), value
    return head
