"""What a client says about a file: path, Range, Accept-Encoding, dates, tags. Any bytes."""

from __future__ import annotations

from portway.engine.codings import choose
from portway.engine.conditions import evaluate
from portway.engine.dates import read_date, show_date
from portway.engine.paths import match, normalise
from portway.engine.ranges import read_ranges
from portway.engine.table import Table
from portway.site import patterns

SIZE = 1000
NOW = 1_800_000_000
CHANGED = 1_700_000_000
NAMES = (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range")


def one(data: bytes) -> None:
    """Use the bytes in every way; the first one says how long a pattern is in them."""
    if not data:
        return
    cut, data = data[0] % 32, data[1:]
    paths(data[cut:], data[:cut])
    ranges(data)
    codings(data)
    conditions(data)


def paths(raw: bytes, pattern: bytes) -> None:
    """The normal form is one, has nothing that climbs, and is what Python's twin makes of the path."""
    target = b"/" + raw.partition(b"?")[0].replace(b"\0", b"")  # no request line has one
    path, problem = normalise(target)
    twin = patterns.normalise(target)
    assert (path, problem) == (twin.path, twin.problem)
    parts = path.split(b"/")
    assert parts[0] == b""
    assert b"" not in parts[1:-1]
    assert not {b".", b".."} & set(parts)
    if not problem:
        assert b"\0" not in path
        assert normalise(path.replace(b"%", b"%25").replace(b"?", b"%3F")) == (path, "")
    rule = b"/" + pattern
    found = match(rule, path)
    table = Table()
    table.add_app(rule, 0)
    assert (table.match(path) is not None) == (found is not None)
    if found is not None:
        assert 0 <= found[0] <= found[1] <= len(path)


def ranges(value: bytes) -> None:
    """Ranges are inside the file, few, and do not overlap; what is sent is never more than the file."""
    for text in (value, b"bytes=" + value):
        found = read_ranges(text, SIZE) or []
        assert len(found) <= 16
        assert all(0 <= first <= last < SIZE for first, last in found)
        assert sum(last - first + 1 for first, last in found) <= SIZE
        assert read_ranges(text, 0) in ([], None)


def codings(value: bytes) -> None:
    """Each coding at most once, and nothing for a client that says nothing of it."""
    found = choose([value], ("br", "zstd", "gzip"))
    assert len(set(found)) == len(found)
    if b"*" not in value:
        assert all(name.encode() in value.lower() for name in found)
    assert choose([], ("br",)) == []


def conditions(value: bytes) -> None:
    """A status that conditions may have; a date is read as it is written."""
    when = read_date(value, NOW)
    if when is not None:
        assert -(1 << 40) < when < 1 << 40
        if -62135596800 <= when < 253402300800 and len(value) == 29 and value[17 + 6 : 17 + 8] != b"60":
            again = read_date(show_date(when), NOW)
            assert again == when
    fields = [(NAMES[i % len(NAMES)], part) for i, part in enumerate(value.split(b"\n"))]
    status, wanted, tag, weak = evaluate(fields, CHANGED, 5, SIZE, NOW)
    assert status in (200, 304, 412)
    assert not weak
    assert tag.startswith(b'"')
    assert wanted is None or any(wanted == part for _, part in fields)
