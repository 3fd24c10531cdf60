"""The request head: what RFC 9112 and RFC 9110 allow. See test_head_refused.py for what they do not."""

from __future__ import annotations

from typing import Any

import pytest

from portway.engine.errors import Refused
from portway.engine.head import HeadParser
from tests.engine.feeding import INCOMPLETE, head_of


def read(data: bytes) -> dict[str, Any]:
    """Read a head that must be accepted, in every way of feeding it."""
    outcome = head_of(data)
    assert outcome.status == 0, outcome.why
    assert isinstance(outcome.value, dict), outcome
    return outcome.value


def get(target: bytes = b"/", *fields: bytes) -> dict[str, Any]:
    """Read a GET request with these field lines behind its Host."""
    lines = [b"GET " + target + b" HTTP/1.1", b"Host: portway.test", *fields, b"", b""]
    return read(b"\r\n".join(lines))


def test_everything_of_a_request_is_found() -> None:
    data = b"POST /a/b?c=d&e HTTP/1.1\r\nHost: portway.test:8000\r\nContent-Length: 42\r\nX-One: 1\r\n\r\n"
    assert read(data + b"what follows is the body's") == {
        "method": b"POST",
        "target": b"/a/b?c=d&e",
        "path": b"/a/b",
        "query": b"c=d&e",
        "authority": b"",
        "minor": 1,
        "fields": [(b"Host", b"portway.test:8000"), (b"Content-Length", b"42"), (b"X-One", b"1")],
        "size": len(data),
        "content_length": 42,
        "chunked": False,
        "close": False,
        "keep_alive": False,
        "upgrade": False,
        "expect_continue": False,
    }


@pytest.mark.parametrize("end", range(1, 38))
def test_every_prefix_is_incomplete(end: int) -> None:
    data = b"GET / HTTP/1.1\r\nHost: portway.test\r\n\r\n"
    assert end < len(data)
    assert head_of(data[:end]).value == INCOMPLETE


def test_a_parser_forgets_what_it_parsed() -> None:
    parser = HeadParser()
    with pytest.raises(Refused):
        parser.parse(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert parser.parse(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    head = parser.parse(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert head
    assert (head["chunked"], head["content_length"], head["fields"]) == (False, None, [(b"Host", b"a")])


# RFC 9110 section 9.1: the method is a token, case-sensitive; unknown ones are the application's to refuse.
@pytest.mark.parametrize(
    "method",
    [
        b"GET",
        b"HEAD",
        b"POST",
        b"PUT",
        b"DELETE",
        b"OPTIONS",
        b"TRACE",
        b"PATCH",
        b"get",
        b"M-SEARCH",
        b"A!#$%&'*+-.^_`|~9",
    ],
)
def test_any_token_is_a_method(method: bytes) -> None:
    assert read(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")["method"] == method


# RFC 9112 section 3.2: origin-form, absolute-form, asterisk-form.
@pytest.mark.parametrize(
    ("target", "path", "query", "authority"),
    [
        (b"/", b"/", b"", b""),
        (b"/a", b"/a", b"", b""),
        (b"/a?", b"/a", b"", b""),
        (b"/a?b", b"/a", b"b", b""),
        (b"/a?b?c=/d", b"/a", b"b?c=/d", b""),
        (b"//two//slashes", b"//two//slashes", b"", b""),
        (b"/%2e%2e/%zz%", b"/%2e%2e/%zz%", b"", b""),
        (b"/http://other.test/", b"/http://other.test/", b"", b""),
        (b'/[]{}|\\^`"<>', b'/[]{}|\\^`"<>', b"", b""),
        (b"http://other.test/a?b", b"/a", b"b", b"other.test"),
        (b"http://other.test:81", b"", b"", b"other.test:81"),
        (b"http://other.test?b", b"", b"b", b"other.test"),
        (b"HTTP://other.test/", b"/", b"", b"other.test"),
        (b"https://other.test/", b"/", b"", b"other.test"),
        (b"http://[::1]:81/a", b"/a", b"", b"[::1]:81"),
    ],
)
def test_forms_of_a_target(target: bytes, path: bytes, query: bytes, authority: bytes) -> None:
    head = get(target)
    assert head["target"] == target
    assert (head["path"], head["query"], head["authority"]) == (path, query, authority)


def test_asterisk_form() -> None:
    head = read(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (head["path"], head["query"]) == (b"*", b"")


# RFC 9112 section 5.1: white space around a value is no part of it; RFC 9110 section 5.5: obs-text is.
@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"X:", b""),
        (b"X: ", b""),
        (b"X:a", b"a"),
        (b"X: \t a \t", b"a"),
        (b"X: a b\tc", b"a b\tc"),
        (b"X: a:b", b"a:b"),
        (b"X: \x80\xff", b"\x80\xff"),
        (b"X: \xc3\xa9", b"\xc3\xa9"),
        (b"X: \x85\xa0", b"\x85\xa0"),
        (b"X: !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    ],
)
def test_field_values(line: bytes, value: bytes) -> None:
    assert get(b"/", line)["fields"][1] == (b"X", value)


def test_field_names_keep_their_case_and_order() -> None:
    head = get(b"/", b"accept: a", b"ACCEPT: b", b"!#$%&'*+-.^_`|~09aZ: c")
    assert [name for name, _ in head["fields"][1:]] == [b"accept", b"ACCEPT", b"!#$%&'*+-.^_`|~09aZ"]


# RFC 9112 section 9.3 and RFC 9110 section 7.6.1.
@pytest.mark.parametrize(
    ("value", "options"),
    [
        (b"close", {"close"}),
        (b"CLOSE", {"close"}),
        (b"keep-alive", {"keep_alive"}),
        (b"Keep-Alive , Upgrade", {"keep_alive", "upgrade"}),
        (b",, close ,\t,", {"close"}),
        (b"x-close", set()),
        (b"closed", set()),
        (b"close;q=1", set()),
        (b"", set()),
    ],
)
def test_connection_options(value: bytes, options: set[str]) -> None:
    head = get(b"/", b"Connection: " + value)
    assert {name for name in ("close", "keep_alive", "upgrade") if head[name]} == options


def test_connection_options_of_several_lines_add_up() -> None:
    head = get(b"/", b"Connection: upgrade", b"Connection: close")
    assert head["close"]
    assert head["upgrade"]


@pytest.mark.parametrize(
    ("value", "length"),
    [(b"0", 0), (b"00", 0), (b"007", 7), (b" 12\t", 12), (b"999999999999999999", 999_999_999_999_999_999)],
)
def test_content_length(value: bytes, length: int) -> None:
    assert get(b"/", b"Content-Length:" + value)["content_length"] == length


@pytest.mark.parametrize(
    "line", [b"Transfer-Encoding: chunked", b"transfer-encoding:CHUNKED", b"TRANSFER-ENCODING:\tChunked "]
)
def test_transfer_encoding(line: bytes) -> None:
    assert get(b"/", line)["chunked"]


def test_expect() -> None:
    assert get(b"/", b"Expect: 100-Continue", b"Content-Length: 1")["expect_continue"]


# RFC 9110 section 10.1.1: an HTTP/1.0 client does not know 1xx, its expectation is ignored.
def test_expect_of_an_older_client_is_ignored() -> None:
    assert not read(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")[
        "expect_continue"
    ]


def test_http_1_0_needs_no_host() -> None:
    head = read(b"GET / HTTP/1.0\r\n\r\n")
    assert (head["minor"], head["fields"]) == (0, [])


# RFC 9110 section 4.2 and 7.2, RFC 3986 section 3.2.2 and 3.2.3.
@pytest.mark.parametrize(
    "host",
    [
        b"a",
        b"a.b-c.test",
        b"a:80",
        b"a:",
        b"127.0.0.1:8000",
        b"[::1]",
        b"[::1]:8000",
        b"[2001:db8::192.0.2.1]:65535",
        b"xn--bcher-kva.test",
        b"under_score.test",
        b"percent%41.test",
        b"sub!$&'()*+,;=delims",
        b"A" * 255,
    ],
)
def test_host(host: bytes) -> None:
    assert read(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")["fields"] == [(b"Host", host)]
