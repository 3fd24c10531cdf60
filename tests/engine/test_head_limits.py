"""How long a head may be: the last byte that is allowed, the first that is not, and 414 told from 431."""

from __future__ import annotations

import pytest

from portway.engine.head import HeadParser
from tests.engine.feeding import INCOMPLETE, Outcome, head_of, head_outcome

LINE = 200
FIELD = 100
BLOCK = 400
COUNT = 8
PARSER = HeadParser(request_line=LINE, field=FIELD, block=BLOCK, count=COUNT)
HOST = b"Host: a\r\n"


def status_of(data: bytes) -> int:
    """Return the refusal of a head, 0 when it is accepted."""
    outcome = head_of(data, PARSER)
    assert outcome.value != INCOMPLETE
    return outcome.status


def request_line(size: int) -> bytes:
    """Return a request line of that many bytes, without its end."""
    return b"GET /" + b"a" * (size - len("GET / HTTP/1.1")) + b" HTTP/1.1"


def field_line(size: int) -> bytes:
    """Return a field line of that many bytes, with its end besides."""
    return b"X: " + b"a" * (size - 3) + b"\r\n"


@pytest.mark.parametrize(("size", "status"), [(LINE, 0), (LINE + 1, 414), (LINE + 2, 414), (5000, 414)])
def test_request_line(size: int, status: int) -> None:
    assert status_of(request_line(size) + b"\r\n" + HOST + b"\r\n") == status


@pytest.mark.parametrize(("size", "status"), [(FIELD, 0), (FIELD + 1, 431), (FIELD + 2, 431), (5000, 431)])
def test_field_line(size: int, status: int) -> None:
    assert status_of(b"GET / HTTP/1.1\r\n" + HOST + field_line(size) + b"\r\n") == status


def test_white_space_counts_as_part_of_a_field_line() -> None:
    head = b"GET / HTTP/1.1\r\n" + HOST
    assert status_of(head + b"X:" + b" " * (FIELD - 2) + b"\r\n\r\n") == 0
    assert status_of(head + b"X:" + b" " * (FIELD - 1) + b"\r\n\r\n") == 431


@pytest.mark.parametrize(("size", "status"), [(BLOCK, 0), (BLOCK + 1, 431)])
def test_all_field_lines_together(size: int, status: int) -> None:
    left = size - len(HOST) - 3 * (FIELD + 2) - 2
    block = HOST + 3 * field_line(FIELD) + field_line(left)
    assert len(block) == size
    assert status_of(b"GET / HTTP/1.1\r\n" + block + b"\r\n") == status


@pytest.mark.parametrize(("count", "status"), [(COUNT, 0), (COUNT + 1, 431)])
def test_number_of_field_lines(count: int, status: int) -> None:
    assert status_of(b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * (count - 1) + b"\r\n") == status


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"G" * (LINE + 2), 414),
        (b"GET /" + b"a" * LINE, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * FIELD, 431),
        (b"GET / HTTP/1.1\r\n" + b"X" * (FIELD + 2), 431),
        (b"GET / HTTP/1.1\r\n" + field_line(FIELD - 2) * 4 + b"X", 431),
    ],
)
def test_too_much_is_refused_before_its_end_arrives(start: bytes, status: int) -> None:
    assert head_outcome([start], PARSER).status == status


@pytest.mark.parametrize(
    "data",
    [
        request_line(LINE + 100) + b"\n",
        b"(" * (LINE + 100) + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * FIELD * 2 + b"\0\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X" * FIELD * 2 + b" : a\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + field_line(FIELD) * 4 + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + field_line(FIELD) * 3 + b"X: " + b"a" * 90 + b"\0\r\n\r\n",
    ],
)
def test_what_lies_behind_a_limit_is_not_looked_at(data: bytes) -> None:
    """Too long and broken: the answer is about the length, in whatever pieces it came."""
    assert head_of(data, PARSER).status in (414, 431)


def test_no_limit_is_passed_by_a_long_head_in_many_lines() -> None:
    parser = HeadParser(count=10_000, block=16 << 20)
    block = b"".join(b"X-%d: %d\r\n" % (i, i) for i in range(9_999))
    outcome = head_outcome([b"GET / HTTP/1.1\r\n" + HOST + block + b"\r\n"], parser)
    assert len(outcome.value["fields"]) == 10_000


def test_defaults_are_the_documented_ones() -> None:
    def outcome(line: int = 100, field: int = 100, count: int = 2) -> Outcome:
        fields = field_line(field) * (count - 1)
        return head_outcome([request_line(line) + b"\r\n" + HOST + fields + b"\r\n"])

    assert [outcome(line=size).status for size in (8190, 8191)] == [0, 414]
    assert [outcome(field=size).status for size in (8190, 8191)] == [0, 431]
    assert [outcome(count=count).status for count in (100, 101)] == [0, 431]
    assert [outcome(field=8000, count=count).status for count in (9, 10)] == [0, 431]
