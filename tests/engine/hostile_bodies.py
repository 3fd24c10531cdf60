"""Chunked bodies that must be refused; see hostile.py for heads. Another request follows each of them."""

from __future__ import annotations

from collections.abc import Iterator

from tests.engine.hostile import Attack


def _sizes() -> Iterator[tuple[str, bytes]]:
    for name, size in [
        ("missing", b""),
        ("plus sign", b"+5"),
        ("minus sign", b"-5"),
        ("0x", b"0x5"),
        ("underscore", b"0_5"),
        ("space before", b" 5"),
        ("space behind", b"5 "),
        ("tab behind", b"5\t"),
        ("letter behind", b"5g"),
        ("quotes", b'"5"'),
        ("NUL", b"5\0"),
        ("vertical tab", b"\x0b5"),
        ("other digits", "\uff15".encode()),
        ("extension without a size", b";a=b"),
        ("16 digits", b"0000000000000005"),
        ("past 64 bits", b"10000000000000005"),
        ("only zeros, too many", b"0" * 20),
    ]:
        yield f"size: {name}", size + b"\r\nhello\r\n0\r\n\r\n"


def _ends() -> Iterator[tuple[str, bytes]]:
    yield "ends: bare LF behind a size", b"5\nhello\r\n0\r\n\r\n"
    yield "ends: bare CR behind a size", b"5\rhello\r\n0\r\n\r\n"
    yield "ends: CR CR LF behind a size", b"5\r\r\nhello\r\n0\r\n\r\n"
    yield "ends: chunk without its end", b"5\r\nhello0\r\n\r\n"
    yield "ends: two bytes of anything behind a chunk", b"5\r\nhelloXX0\r\n\r\n"
    yield "ends: CR and anything behind a chunk", b"5\r\nhello\rX0\r\n\r\n"
    yield "ends: anything and LF behind a chunk", b"5\r\nhelloX\n0\r\n\r\n"
    yield "ends: bare LF behind a chunk", b"5\r\nhello\n0\r\n\r\n"
    yield "ends: chunk longer than its size", b"4\r\nhello\r\n0\r\n\r\n"
    yield "ends: empty line before a size", b"\r\n5\r\nhello\r\n0\r\n\r\n"
    yield "ends: bare LF ends the body", b"5\r\nhello\r\n0\r\n\n"
    yield "ends: bare CR ends the body", b"5\r\nhello\r\n0\r\n\rX"
    yield "ends: bare LF behind the last size", b"5\r\nhello\r\n0\n\r\n"


def _extensions() -> Iterator[tuple[str, bytes]]:
    for name, byte in [
        ("bare LF", b"\n"),
        ("bare CR", b"\rx"),
        ("NUL", b"\0"),
        ("DEL", b"\x7f"),
        ("escape", b"\x1b"),
    ]:
        yield f"extension: {name}", b"5;a=" + byte + b"b\r\nhello\r\n0\r\n\r\n"
    yield "extension: bare LF in quotes", b'5;a="\n"\r\nhello\r\n0\r\n\r\n'


def _trailers() -> Iterator[tuple[str, bytes]]:
    for name, line in [
        ("no colon", b"X\r\n"),
        ("empty name", b": a\r\n"),
        ("space before the colon", b"X : a\r\n"),
        ("folded", b"X: a\r\n b\r\n"),
        ("folded first", b" X: a\r\n"),
        ("NUL in a name", b"X\0: a\r\n"),
        ("NUL in a value", b"X: a\0\r\n"),
        ("bare LF", b"X: a\nY: b\r\n"),
        ("bare CR", b"X: a\rY: b\r\n"),
        ("request instead of a trailer", b"GET /smuggled HTTP/1.1\r\n"),
    ]:
        yield f"trailer: {name}", b"5\r\nhello\r\n0\r\n" + line + b"\r\n"
    for field in (
        "Content-Length",
        "Transfer-Encoding",
        "transfer-encoding",
        "HOST",
        "Connection",
        "Keep-Alive",
        "Trailer",
        "TE",
        "Upgrade",
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
        "Content-Type",
        "Content-Encoding",
        "Content-Range",
        "Cache-Control",
        "Expect",
        "Max-Forwards",
        "Range",
    ):
        yield f"trailer: forbidden {field}", b"5\r\nhello\r\n0\r\n" + field.encode() + b": 1\r\n\r\n"


CHUNKED: tuple[Attack, ...] = (
    *(Attack(name, data) for name, data in [*_sizes(), *_ends(), *_extensions(), *_trailers()]),
    Attack("extension: over 16 KiB in one chunk", b"5;" + b"a" * 17_000 + b"\r\nhello\r\n0\r\n\r\n"),
    Attack("extension: over 16 KiB in many chunks", b"1;aaaaaaaa\r\nx\r\n" * 2_000 + b"0\r\n\r\n"),
    Attack("trailer: over 16 KiB in one line", b"0\r\nX: " + b"a" * 17_000 + b"\r\n\r\n", 431),
    Attack("trailer: over 16 KiB in many lines", b"0\r\n" + b"X: aaaa\r\n" * 2_000 + b"\r\n", 431),
)
"""Bodies behind a head with Transfer-Encoding: chunked."""
