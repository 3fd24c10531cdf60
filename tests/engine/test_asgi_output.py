"""ASGI applications that lie or fail: only their own client notices, and no next response is touched."""

from __future__ import annotations

import ssl

import pytest

from tests.engine.conftest import ASGI_WAYS, server_fixture
from tests.engine.wire import GET, Wire
from tests.support.processes import Portway

liar = server_fixture("output", ways=(*ASGI_WAYS, "asgi-epoll-tls"))

FAILED = b"Internal Server Error\n"
OWN_FIELDS = {"content-type", "content-length", "date", "server", "connection"}


def assert_well(wire: Wire) -> None:
    """See that a connection serves the next request as if nothing had been."""
    response = wire.get("/hello")
    assert (response.status, response.body) == (200, b"hello")


def cut_off(server: Portway, path: str) -> bytes:
    """Ask for a response that ends before its time; return what arrived of it, head included."""
    with Wire(server.address) as wire:
        wire.send(GET % path.encode() * 2)
        data = wire.rest()
    assert data.count(b"HTTP/1.1 ") == 1
    with Wire(server.address) as wire:
        assert_well(wire)
    return data


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/too-long", b"hello"),
        ("/too-long-in-pieces", b"hello"),
        ("/too-long-and-big", b"x" * 20_000),
        ("/body-with-204", b""),
        ("/body-with-304", b""),
        ("/body-after-the-end", b"hello"),
        ("/start-after-the-end", b"hello"),
        ("/raises-after-the-end", b"hello"),
        ("/returns-something", b"hello"),
        ("/empty-pieces", b"ab"),
        ("/body-types", b"one two"),
        ("/defaults", b""),
        ("/no-headers", b"hello"),
        ("/headers-in-a-generator", b"hello"),
        ("/headers-as-lists", b"hello"),
    ],
)
def test_bodies(liar: Portway, path: str, body: bytes) -> None:
    with Wire(liar.address) as wire:
        wire.send(GET % path.encode() * 2)
        for _ in range(2):
            assert wire.final().body == body
        assert_well(wire)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/too-short", b"hello"), ("/too-short-in-pieces", b"hello"), ("/nothing-of-it", b"")],
)
def test_less_than_was_promised_costs_the_connection(liar: Portway, path: str, body: bytes) -> None:
    """The next response must not fill the gap."""
    data = cut_off(liar, path)
    assert b"content-length: 10\r\n" in data
    assert data.endswith(b"\r\n\r\n" + body)
    liar.wait_for(rf"warning: response to '{path}' promised 10 bytes and had {len(body)}$")


def test_hop_by_hop_fields_are_the_engines(liar: Portway) -> None:
    with Wire(liar.address) as wire:
        response = wire.get("/hop-by-hop")
        assert {name for name, _ in response.fields} == {"content-length", "date", "server"}
        assert_well(wire)


def ask(server: Portway, path: str) -> None:
    """Ask for something that is answered 500; see that the connection and its server are well."""
    with Wire(server.address) as wire:
        response = wire.get(path)
        assert (response.status, response.body) == (500, FAILED), response
        assert {name for name, _ in response.fields} <= OWN_FIELDS
        if not response.closes:
            assert_well(wire)
    with Wire(server.address) as wire:
        assert_well(wire)


def names(*values: bytes) -> list[str]:
    """Return values in hexadecimal, for the query, with what is no bytes at all."""
    return [value.hex() for value in (*values, b"None", b"int", b"str", b"tuple")]


@pytest.mark.parametrize(
    "status", names(b"0", b"-1", b"99", b"100", b"101", b"199", b"1000", b"99999999999999999999")
)
def test_status(liar: Portway, status: str) -> None:
    if bytes.fromhex(status) != b"int":
        ask(liar, f"/status?{status}")


@pytest.mark.parametrize(
    "name",
    names(
        b"", b" ", b"x ", b" x", b"x y", b"x:", b"x\r\ny", b"x\n", b"x\0", b"x\x7f", b"x\xe9", b'x"', b"x("
    ),
)
def test_field_name(liar: Portway, name: str) -> None:
    ask(liar, f"/field-name?{name}")


@pytest.mark.parametrize(
    "value",
    names(b"a\r\nx-injected: 1", b"a\r\n b", b"\r\n\r\n<html>", b"a\nb", b"a\rb", b"a\0b", b"\x01", b"\x7f"),
)
def test_field_value(liar: Portway, value: str) -> None:
    ask(liar, f"/field-value?{value}")


@pytest.mark.parametrize("value", [b"", b"a", b"a\tb", b"\x80\xff", b"a:b,c;d"])
def test_field_value_that_is_allowed(liar: Portway, value: bytes) -> None:
    with Wire(liar.address) as wire:
        assert wire.get(f"/field-value?{value.hex()}")["x"] == value.decode("latin-1")


@pytest.mark.parametrize("value", names(b"", b"-1", b"+5", b"5.0", b"0x5", b"5, 5", b"5 5", b"5\r\nx: 1"))
def test_content_length(liar: Portway, value: str) -> None:
    ask(liar, f"/content-length?{value}")


@pytest.mark.parametrize("link", names(b"</a>\r\nx-injected: 1", b"a\0b"))
def test_early_hint(liar: Portway, link: str) -> None:
    ask(liar, f"/early-hint?{link}")


@pytest.mark.parametrize(
    "name", names(b"", b"x\r\ny", b"content-length", b"transfer-encoding", b"Host", b"trailer")
)
def test_trailer(liar: Portway, name: str) -> None:
    """The body is out by then: only the end of the connection can tell the client."""
    data = cut_off(liar, f"/trailer?{name}")
    assert not data.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/headers-none",
            "/headers-not-pairs",
            "/no-message",
            "/start-alone",
            "/body-first",
            "/start-twice",
        ),
        *("/unknown-message", "/message-without-a-type", "/no-dict", "/status-missing", "/text-body"),
        *("/trailers-unannounced", "/raises", "/exits"),
    ],
)
def test_failures_before_anything_was_sent(liar: Portway, path: str) -> None:
    before = sum(line.endswith(f"failed at GET {path}") for line in liar.lines)
    ask(liar, path)
    liar.wait_for(f"error: the application failed at GET {path}$", count=before + 1)


@pytest.mark.parametrize(
    "path", ["/unfinished", "/raises-in-the-middle", "/raises-in-the-middle-of-a-length"]
)
def test_failures_in_the_middle_cut_the_connection(liar: Portway, path: str) -> None:
    """No last chunk, no rest of the length: the client must not take it for the whole."""
    data = cut_off(liar, path)
    assert b"first" in data
    assert not data.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("unread", [b"", b"Content-Length: 10\r\n\r\nhello"])
def test_what_waits_for_the_client_when_it_fails_ends_with_a_reset(liar: Portway, unread: bytes) -> None:
    """HTTP/1.0: the end of the connection is that of the body, so it must not look like one."""
    path = "/raises-when-the-client-must-read"
    before = sum(line.endswith(f"failed at POST {path}") for line in liar.lines)
    with Wire(liar.address, receive_buffer=4096) as wire:
        wire.send(b"POST %s HTTP/1.0\r\n" % path.encode() + (unread or b"\r\n"))
        liar.wait_for(f"error: the application failed at POST {path}$", count=before + 1)
        if isinstance(wire.sock, ssl.SSLSocket):
            wire.sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]
        with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
            while wire.sock.recv(65536):
                pass


def test_the_log_holds_the_traceback_and_no_line_of_the_applications_making(liar: Portway) -> None:
    ask(liar, "/raises")
    liar.wait_for(r"^    ValueError: raised on purpose")
    assert "\nwith a line of its own" not in liar.log
