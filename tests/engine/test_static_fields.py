"""What clients say about files, and what files say about themselves, without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.engine.codings import choose
from portway.engine.conditions import evaluate
from portway.engine.dates import read_date, show_date
from portway.engine.folder import Folder, MediaTypes, is_named_by_content
from portway.engine.ranges import read_ranges
from portway.site.media_types import TYPES

NOW = 1_800_000_000
CHANGED = 1_700_000_000
TAG = f'"{CHANGED * 10**9 + 7:x}-3e8"'.encode()


@given(st.integers(-60_000_000_000, 250_000_000_000))
def test_dates_are_read_as_they_are_written(seconds: int) -> None:
    assert read_date(show_date(seconds), NOW) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", 784111777),
        (b"Sun Nov  6 08:49:37 1994", 784111777),
        (b"Wed Nov 16 08:49:37 1994", 784975777),
        (b"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800),
        (b"Thu, 01 Jan 1970 00:00:00 GMT", 0),
        (b"Monday, 01-Jan-90 00:00:00 GMT", 631152000),  # more than 50 years ahead is the century before
        (b"Monday, 01-Jan-50 00:00:00 GMT", 2524608000),
    ],
)
def test_three_forms_of_a_date(text: bytes, seconds: int) -> None:
    assert read_date(text, NOW) == seconds


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"yesterday",
        b"Sun, 06 Nov 1994 08:49:37",
        b"Sun, 06 Nov 1994 08:49:37 CET",
        b"Sun, 06 nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 24:49:37 GMT",
        b"Sun, 00 Nov 1994 08:49:37 GMT",
        b"Sun, 6 Nov 1994 08:49:37 GMT",
        b"Xxx, 06 Nov 1994 08:49:37 GMT",
        b"Sun, 06-Nov-94 08:49:37 GMT",
        b"784111777",
    ],
)
def test_what_is_no_date(text: bytes) -> None:
    assert read_date(text, NOW) is None


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([], 200),
        ([(b"if-match", TAG)], 200),
        ([(b"if-match", b'"a", ' + TAG)], 200),
        ([(b"if-match", b'"a"'), (b"If-Match", TAG)], 200),
        ([(b"if-match", b"*")], 200),
        ([(b"if-match", b"nonsense")], 412),
        ([(b"if-none-match", b'"a,b", W/' + TAG)], 304),
        ([(b"if-none-match", b'"a"'), (b"if-none-match", TAG)], 304),
        ([(b"if-none-match", TAG[:-1])], 200),
        ([(b"if-none-match", b'*, "a"')], 200),
        ([(b"if-modified-since", show_date(CHANGED)), (b"if-modified-since", show_date(CHANGED))], 200),
        ([(b"if-modified-since", show_date(CHANGED + 1))], 304),
        ([(b"if-unmodified-since", show_date(CHANGED - 1)), (b"if-match", TAG)], 200),
        ([(b"if-unmodified-since", show_date(CHANGED - 1))], 412),
        ([(b"if-unmodified-since", b"never")], 200),
    ],
)
def test_conditions(fields: list[tuple[bytes, bytes]], status: int) -> None:
    assert evaluate(fields, CHANGED, 7, 1000, NOW)[0] == status


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ([], b"bytes=0-1"),
        ([(b"if-range", TAG)], b"bytes=0-1"),
        ([(b"if-range", b"W/" + TAG)], None),
        ([(b"if-range", TAG + b", " + TAG)], None),
        ([(b"if-range", show_date(CHANGED))], b"bytes=0-1"),
        ([(b"if-range", show_date(CHANGED + 1))], None),
        ([(b"if-range", b"")], None),
        ([(b"if-range", TAG), (b"if-range", TAG)], None),
        ([(b"range", b"bytes=0-1")], None),
    ],
)
def test_when_a_range_may_be_sent(fields: list[tuple[bytes, bytes]], wanted: bytes | None) -> None:
    assert evaluate([(b"range", b"bytes=0-1"), *fields], CHANGED, 7, 1000, NOW)[1] == wanted


def test_a_young_file_has_weak_validators() -> None:
    for now, weak in ((CHANGED - 5, True), (CHANGED, True), (CHANGED + 1, True), (CHANGED + 2, False)):
        assert evaluate([], CHANGED, 7, 1000, now)[2:] == (TAG, weak)
    fields = [(b"range", b"bytes=0-1"), (b"if-range", TAG)]
    assert evaluate(fields, CHANGED, 7, 1000, CHANGED)[1] is None
    assert evaluate([(b"if-match", TAG)], CHANGED, 7, 1000, CHANGED)[0] == 412
    assert evaluate([(b"if-none-match", TAG)], CHANGED, 7, 1000, CHANGED)[0] == 304


@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 120)), max_size=20), st.integers(0, 100))
def test_ranges_are_in_the_file_and_do_not_overlap(pairs: list[tuple[int, int]], length: int) -> None:
    value = "bytes=" + ",".join(f"{first}-{last}" for first, last in pairs)
    found = read_ranges(value.encode(), length)
    if found is None:
        assert pairs
        assert all(length <= first <= last for first, last in pairs)
        return
    positions = [at for first, last in found for at in range(first, last + 1)]
    assert len(positions) == len(set(positions))
    assert all(0 <= at < length for at in positions)


def test_every_coding_is_asked_for_once() -> None:
    assert choose([b"gzip", b"br;q=0.9, zstd;q=0.95"], ("br", "zstd", "gzip")) == ["gzip", "zstd", "br"]
    assert choose([b"br, br;q=0"], ("br",)) == []
    assert choose([b"*;q=0.5, identity;q=0.8, gzip"], ("br", "gzip")) == ["gzip"]
    assert choose([b"gzip;q=1.5, br;q=abc, zstd;q="], ("br", "zstd", "gzip")) == []
    assert choose([b",,gzip , ;q=1, deflate"], ("gzip",)) == ["gzip"]


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        (b"/static/app.8f3d2a1b.js", True),
        (b"/static/app-8f3d2a1b.css.map", True),
        (b"/static/css/base.55e7cbb9ba48.css", True),
        (b"/static/main_0a1b2c3d4e5f6071.min.js", True),
        (b"/static/app.js", False),
        (b"/static/report-20240131.pdf", False),
        (b"/static/photo.deadbeef.png", False),
        (b"/static/photo.8F3D2A1B.png", False),
        (b"/static/a.8f3d2a1.js", False),
        (b"/static/app.8f3d2a1b", False),
        (b"/static/app.8f3d2a1b/index.html", False),
        (b"/media/550e8400-e29b-41d4-a716-446655440a00.png", False),
        (b"/static/8f3d2a1b.js", False),
        (b"/static/jquery-3.7.1.min.js", False),
        (b"/static/facade-decade2.js", False),
    ],
)
def test_names_that_hold_a_hash(path: bytes, kept: bool) -> None:
    assert is_named_by_content(path) == kept


def test_media_types() -> None:
    assert all(name == name.lower() and len(name) < 16 for name in TYPES)
    assert all(kind.isascii() and "/" in kind for kind, _ in TYPES.values())
    with pytest.raises(ValueError, match="longer than 15 bytes"):
        MediaTypes({"x" * 16: ("text/plain", True)})


@pytest.mark.parametrize("name", ["", "a/b", "a\0b", "x" * 255])
def test_an_index_is_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="an index is the name of a file"):
        Folder("/nowhere", MediaTypes({}), index=[name])
