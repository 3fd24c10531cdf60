"""Requests that no server should accept, each with the status that Portway answers before it closes.

Every name begins with the rule that it breaks; docs/threat-model.md says what that has led to elsewhere.
Used against the parser alone (test_head_refused.py, test_body_refused.py) and against servers
(test_refusals.py). A head's entry is complete: whoever took it for two requests would see a second one in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: portway.test\r\n\r\n"


@dataclass(frozen=True)
class Attack:
    """Bytes that must be refused.

    Attributes:
        name: The rule that is broken, and how.
        data: What is sent.
        status: What is answered.
    """

    name: str
    data: bytes
    status: int = 400


def _get(*lines: bytes, start: bytes = b"GET / HTTP/1.1") -> bytes:
    return b"\r\n".join([start, b"Host: portway.test", *lines, b"", b""])


def _post(*lines: bytes, body: bytes = b"") -> bytes:
    return _get(*lines, start=b"POST / HTTP/1.1") + body


def _request_line() -> Iterator[Attack]:
    for name, line, status in [
        ("method missing", b" / HTTP/1.1", 400),
        ("method not a token", b"GE(T / HTTP/1.1", 400),
        ("method followed by a tab", b"GET\t/ HTTP/1.1", 400),
        ("method preceded by a space", b" GET / HTTP/1.1", 400),
        ("method with a NUL", b"G\0T / HTTP/1.1", 400),
        ("method with a high byte", b"G\xcbT / HTTP/1.1", 400),
        ("two spaces before the target", b"GET  / HTTP/1.1", 400),
        ("two spaces before the version", b"GET /  HTTP/1.1", 400),
        ("space inside the target", b"GET /a b HTTP/1.1", 400),
        ("space behind the version", b"GET / HTTP/1.1 ", 400),
        ("tab inside the target", b"GET /a\tb HTTP/1.1", 400),
        ("target with a control character", b"GET /\x01 HTTP/1.1", 400),
        ("target with a NUL", b"GET /\0 HTTP/1.1", 400),
        ("target with DEL", b"GET /\x7f HTTP/1.1", 400),
        ("target with a vertical tab", b"GET /\x0b HTTP/1.1", 400),
        ("target with a high byte", b"GET /caf\xc3\xa9 HTTP/1.1", 400),
        ("target with a fragment", b"GET /a#b HTTP/1.1", 400),
        ("target missing", b"GET HTTP/1.1", 400),
        ("target of no form", b"GET index.html HTTP/1.1", 400),
        ("target of authority-form", b"GET portway.test:80 HTTP/1.1", 400),
        ("target with another scheme", b"GET ftp://portway.test/ HTTP/1.1", 400),
        ("target with an empty authority", b"GET http:///a HTTP/1.1", 400),
        ("target with userinfo", b"GET http://user@portway.test/ HTTP/1.1", 400),
        ("target with a bad port", b"GET http://portway.test:70000/ HTTP/1.1", 400),
        ("asterisk for another method", b"GET * HTTP/1.1", 400),
        ("asterisk with more", b"OPTIONS *x HTTP/1.1", 400),
        ("CONNECT", b"CONNECT portway.test:443 HTTP/1.1", 501),
        ("CONNECT with a path", b"CONNECT / HTTP/1.1", 501),
        ("version missing", b"GET /", 400),
        ("version in lower case", b"GET / http/1.1", 400),
        ("version with one part", b"GET / HTTP/1", 400),
        ("version with two digits", b"GET / HTTP/1.10", 400),
        ("version without digits", b"GET / HTTP/x.y", 400),
        ("version with a comma", b"GET / HTTP/1,1", 400),
        ("version of another protocol", b"GET / ICAP/1.0", 400),
        ("version 0.9", b"GET / HTTP/0.9", 505),
        ("version 1.2", b"GET / HTTP/1.2", 505),
        ("version 2.0", b"GET / HTTP/2.0", 505),
        ("version 3.0", b"GET / HTTP/3.0", 505),
    ]:
        yield Attack(f"request line: {name}", _get(start=line), status)


def _line_ends() -> Iterator[Attack]:
    for name, data in [
        ("bare LF ends the request line", b"GET / HTTP/1.1\nHost: portway.test\r\n\r\n"),
        ("bare LF ends a field", b"GET / HTTP/1.1\r\nHost: portway.test\nX: 1\r\n\r\n"),
        ("bare LF ends the head", b"GET / HTTP/1.1\r\nHost: portway.test\r\n\n"),
        ("LF LF ends the head", b"GET / HTTP/1.1\r\nHost: portway.test\n\n"),
        ("bare CR ends the request line", b"GET / HTTP/1.1\rHost: portway.test\r\n\r\n"),
        ("bare CR in a value", _get(b"X: a\rb")),
        ("bare CR in front of a name", _get(b"\rX: a")),
        ("bare CR ends the head", b"GET / HTTP/1.1\r\nHost: portway.test\r\n\rX"),
        ("CR CR LF", b"GET / HTTP/1.1\r\nHost: portway.test\r\r\n\r\n"),
        ("folded line", _get(b"X: a", b" b")),
        ("folded line with a tab", _get(b"X: a", b"\tb")),
        ("folded value of Transfer-Encoding", _post(b"X: a", b" chunked", body=SMUGGLED)),
        ("folded first field", b"GET / HTTP/1.1\r\n Host: portway.test\r\n\r\n"),
    ]:
        yield Attack(f"line ends: {name}", data)


def _fields() -> Iterator[Attack]:
    for name, line in [
        ("space before the colon", b"X : a"),
        ("tab before the colon", b"X\t: a"),
        ("no colon", b"X"),
        ("empty name", b": a"),
        ("name with a space", b"X Y: a"),
        ("name with a control character", b"X\x01: a"),
        ("name with a NUL", b"X\0: a"),
        ("name with a high byte", b"X\xe9: a"),
        ("name with a separator", b"X(Y): a"),
        ("name in quotes", b'"X": a'),
        ("NUL in a value", b"X: a\0b"),
        ("vertical tab in a value", b"X: a\x0bb"),
        ("form feed in a value", b"X: a\x0cb"),
        ("file separator in a value", b"X: a\x1cb"),
        ("escape in a value", b"X: a\x1bb"),
        ("DEL in a value", b"X: a\x7fb"),
        ("space before the colon of Content-Length", b"Content-Length : 5"),
        ("two Content-Types", b"Content-Type: a/b\r\nContent-Type: c/d"),
    ]:
        yield Attack(f"fields: {name}", _get(line))


def _host() -> Iterator[Attack]:
    yield Attack("Host: missing", b"GET / HTTP/1.1\r\n\r\n")
    yield Attack("Host: missing beside an absolute target", b"GET http://portway.test/ HTTP/1.1\r\n\r\n")
    yield Attack("Host: twice", _get(b"Host: other.test"))
    yield Attack("Host: twice the same", _get(b"Host: portway.test"))
    yield Attack("Host: twice in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n")
    for name, value in [
        ("empty", b""),
        ("userinfo", b"user@portway.test"),
        ("userinfo with a password", b"user:secret@portway.test"),
        ("path", b"portway.test/admin"),
        ("query", b"portway.test?a"),
        ("fragment", b"portway.test#a"),
        ("backslash", b"portway.test\\a"),
        ("list", b"portway.test, other.test"),
        ("space inside", b"portway.test other.test"),
        ("port alone", b":80"),
        ("port not a number", b"portway.test:8x"),
        ("port negative", b"portway.test:-1"),
        ("port too large", b"portway.test:65536"),
        ("port too long", b"portway.test:000080"),
        ("two ports", b"portway.test:80:80"),
        ("high byte", b"portway\xad.test"),
        ("broken escape", b"portway%4.test"),
        ("escape cut off", b"portway.test%4"),
        ("quote", b'portway"test'),
        ("bracket left open", b"[::1"),
        ("bracket without colons", b"[portway]"),
        ("text behind a bracket", b"[::1]a"),
        ("zone in an address", b"[fe80::1%25eth0]"),
        ("bare IPv6 address", b"::1"),
    ]:
        yield Attack(f"Host: {name}", b"GET / HTTP/1.1\r\nHost: " + value + b"\r\n\r\n")


def _content_length() -> Iterator[Attack]:
    for name, value in [
        ("plus sign", b"+5"),
        ("minus sign", b"-5"),
        ("minus zero", b"-0"),
        ("hexadecimal", b"0x5"),
        ("underscore", b"1_0"),
        ("exponent", b"1e1"),
        ("decimal point", b"5.0"),
        ("quotes", b'"5"'),
        ("empty", b""),
        ("space inside", b"1 0"),
        ("list", b"5, 5"),
        ("list of two", b"5, 6"),
        ("letters behind", b"5a"),
        ("other digits", "\uff15".encode()),
        ("superscript", "²".encode("latin-1")),
        ("vertical tab", b"\x0b5"),
        ("19 digits", b"1000000000000000000"),
        ("past 64 bits", b"18446744073709551621"),
    ]:
        yield Attack(f"Content-Length: {name}", _post(b"Content-Length: " + value, body=b"hello" + SMUGGLED))
    yield Attack(
        "Content-Length: twice", _post(b"Content-Length: 5", b"Content-Length: 0", body=b"hello" + SMUGGLED)
    )
    yield Attack(
        "Content-Length: twice the same",
        _post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello" + SMUGGLED),
    )


def _transfer_encoding() -> Iterator[Attack]:
    chunked = b"0\r\n\r\n" + SMUGGLED
    for name, value in [
        ("unknown", b"gzip"),
        ("identity", b"identity"),
        ("empty", b""),
        ("chunked not last", b"chunked, gzip"),
        ("chunked behind another", b"gzip, chunked"),
        ("chunked twice", b"chunked, chunked"),
        ("chunked in quotes", b'"chunked"'),
        ("chunked with a parameter", b"chunked;q=1"),
        ("chunked and a comma", b"chunked,"),
        ("comma and chunked", b", chunked"),
        ("x-chunked", b"xchunked"),
        ("chunkedx", b"chunkedx"),
        ("chunked with a high byte", b"chunked\xa0"),
        ("chunked with NBSP before", b"\xa0chunked"),
    ]:
        yield Attack(f"Transfer-Encoding: {name}", _post(b"Transfer-Encoding: " + value, body=chunked), 501)
    for name, data in [
        ("vertical tab before chunked", _post(b"Transfer-Encoding: \x0bchunked", body=chunked)),
        ("twice", _post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=chunked)),
        (
            "twice, the other unknown",
            _post(b"Transfer-Encoding: chunked", b"transfer-encoding: x", body=chunked),
        ),
        ("beside Content-Length", _post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=chunked)),
        ("before Content-Length", _post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=chunked)),
        ("beside Content-Length 0", _post(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=chunked)),
        ("in HTTP/1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked),
        ("space before the colon", _post(b"Transfer-Encoding : chunked", body=chunked)),
    ]:
        yield Attack(f"Transfer-Encoding: {name}", data)
    yield Attack(
        "Transfer-Encoding: unknown beside Content-Length",
        _post(b"Content-Length: 5", b"Transfer-Encoding: gzip", body=chunked),
        501,
    )


def _expect() -> Iterator[Attack]:
    for name, value in [
        ("unknown", b"payment"),
        ("list", b"100-continue, x"),
        ("empty", b""),
        ("prefix", b"100-contin"),
    ]:
        yield Attack(f"Expect: {name}", _post(b"Content-Length: 1", b"Expect: " + value), 417)


HEADS: tuple[Attack, ...] = (
    *_request_line(),
    *_line_ends(),
    *_fields(),
    *_host(),
    *_content_length(),
    *_transfer_encoding(),
    *_expect(),
)
"""Refused for their head alone."""
