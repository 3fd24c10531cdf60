"""Request bodies: both framings, whatever pieces they arrive in (RFC 9112 sections 6 and 7)."""

from __future__ import annotations

import pytest

from tests.engine.feeding import INCOMPLETE, body_of, body_outcome
from tests.engine.hostile import SMUGGLED, Attack
from tests.engine.hostile_bodies import CHUNKED


@pytest.mark.parametrize("size", [0, 1, 5, 70_000])
def test_length(size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    assert body_of(body[:size], size).value == (body[:size], b"")


def test_what_lies_behind_a_length_is_left_alone() -> None:
    assert body_of(b"hello" + SMUGGLED, 5).value == (b"hello", SMUGGLED)
    assert body_of(SMUGGLED, 0).value == (b"", SMUGGLED)


def test_a_length_that_is_not_reached() -> None:
    assert body_of(b"hell", 5).value == (INCOMPLETE, b"hell")


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", b"hello"),
        (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"000000000000005\r\nhello\r\n000000000000000\r\n\r\n", b"hello"),
        (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
        (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"),
        (b"5;a\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5;a=b;c\r\nhello\r\n0;d=e\r\n\r\n", b"hello"),
        (b'5;a="b c\\"\t;"\r\nhello\r\n0\r\n\r\n', b"hello"),
        (b"5;\x80\xff\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\n0\r\nX: a\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\n0\r\nX: a\r\nX-Checksum:\t\x80 \r\n\r\n", b"hello"),
        (b"0\r\nContent-Length-Of-It: a\r\nHosts: a\r\nA-Very-Long-Name-Of-A-Trailer: b\r\n\r\n", b""),
    ],
)
def test_chunked(data: bytes, body: bytes) -> None:
    assert body_of(data).value == (body, b"")
    assert body_of(data + SMUGGLED).value == (body, SMUGGLED)


def test_every_prefix_of_a_chunked_body_is_incomplete() -> None:
    data = b"5;a\r\nhello\r\n1\r\n!\r\n0\r\nX: a\r\n\r\n"
    for end in range(len(data)):
        incomplete, body = body_outcome([data[:end]]).value
        assert incomplete == INCOMPLETE
        assert b"hello!".startswith(body)


@pytest.mark.parametrize("attack", CHUNKED, ids=lambda attack: attack.name)
def test_a_hostile_body_is_refused(attack: Attack) -> None:
    outcome = body_of(attack.data)
    assert outcome.status == attack.status, outcome
    assert outcome.why.isascii()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"5\r\nhello\r\n0\r\n\r\n", 0),
        (b"6\r\nhello!\r\n0\r\n\r\n", 413),
        (b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 0),
        (b"3\r\nhel\r\n3\r\nlo!\r\n0\r\n\r\n", 413),
        (b"fffffffffffffff\r\n", 413),
    ],
)
def test_limit_of_a_chunked_body(data: bytes, status: int) -> None:
    assert body_of(data, limit=5).status == status


def test_a_chunk_over_the_limit_is_refused_before_a_byte_of_it_arrives() -> None:
    assert body_outcome([b"7fffffff\r\n"], limit=100).status == 413


def test_largest_chunk_size_does_not_overflow() -> None:
    # 15 digits are 60 bits; two of them together still fit 64
    assert body_of(b"fffffffffffffff\r\nhello").value == (INCOMPLETE, b"hello")
    assert body_of(b"1\r\nx\r\nfffffffffffffff\r\nhello", limit=1 << 50).status == 413


def test_which_bytes_are_hexadecimal_digits() -> None:
    accepted = {byte for byte in range(256) if body_of(bytes([byte]) + b"\r\n").status == 0}
    assert accepted == set(b"0123456789abcdefABCDEF")
