"""WSGI applications that lie or fail: only their own client notices, and no next response is touched."""

from __future__ import annotations

import ssl

import pytest

from tests.engine.conftest import WSGI_WAYS, server_fixture
from tests.engine.wire import GET, Response, Wire
from tests.support.processes import Portway

liar = server_fixture("output", ways=(*WSGI_WAYS, "wsgi-epoll-tls"))

FAILED = b"Internal Server Error\n"


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
    ],
)
def test_more_than_was_promised_is_not_sent(liar: Portway, path: str, body: bytes) -> None:
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
    assert b"Content-Length: 10\r\n" in data
    assert data.endswith(b"\r\n\r\n" + body)
    liar.wait_for(rf"warning: response to '{path}' promised 10 bytes and had {len(body)}$")


def test_hop_by_hop_fields_are_the_engines(liar: Portway) -> None:
    with Wire(liar.address) as wire:
        response = wire.get("/hop-by-hop")
        assert (response.body, response["content-length"]) == (b"hello", "5")
        for name in ("transfer-encoding", "connection", "keep-alive", "upgrade", "proxy-connection"):
            assert response.all(name) == []
        assert_well(wire)


def ask(server: Portway, path: str) -> Response:
    """Ask for something that is answered 500; see that the connection and its server are well."""
    with Wire(server.address) as wire:
        response = wire.get(path)
        assert (response.status, response.body) == (500, FAILED), response
        assert {name for name, _ in response.fields} <= {
            *("content-type", "content-length", "date", "server", "connection")
        }
        if not response.closes:
            assert_well(wire)
    with Wire(server.address) as wire:
        assert_well(wire)
    return response


def escaped(text: str) -> str:
    """Write any text so that a query holds it."""
    return text.encode("utf-8", "surrogatepass").hex()


@pytest.mark.parametrize(
    "status",
    [
        *("", "OK", "20", "2OO OK", "200OK", "0200 OK", "-200 OK", "+200 OK", " 200 OK", "200\tOK"),
        *("100 Continue", "101 Switching Protocols", "199 Odd", "000 Nothing", "099 Less", "1000 More"),
        *("200 OK\r\nX-Injected: 1", "200 OK\n", "200 OK\r", "200 O\0K", "200 \x7f", "200 €"),
        *("None", "int", "bytes", "tuple"),
    ],
)
def test_status(liar: Portway, status: str) -> None:
    ask(liar, f"/status?{escaped(status)}")


@pytest.mark.parametrize("status", ["200 OK", "200", "200 ", "404 Größe", "999 a b"])
def test_status_that_is_allowed(liar: Portway, status: str) -> None:
    with Wire(liar.address) as wire:
        response = wire.get(f"/status?{escaped(status)}")
        assert (response.status, response.reason) == (int(status[:3]), status[4:])


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            " ",
            "X ",
            " X",
            "X Y",
            "X:",
            "X\r\nY",
            "X\n",
            "X\r",
            "X\0",
            "X\x7f",
            "Xé",
            "X€",
            'X"',
            "X(",
            "X/",
        ),
        *("None", "int", "bytes", "tuple"),
    ],
)
def test_field_name(liar: Portway, name: str) -> None:
    ask(liar, f"/field-name?{escaped(name)}")


@pytest.mark.parametrize(
    "value",
    [
        *(
            "a\r\nX-Injected: 1",
            "a\n b",
            "a\r b",
            "\r\n\r\n<html>",
            "a\nb",
            "a\rb",
            "a\0b",
            "\x01",
            "\x1b[31m",
            "\x7f",
        ),
        *("€", "\ud800", "None", "int", "bytes", "tuple"),
    ],
)
def test_field_value(liar: Portway, value: str) -> None:
    ask(liar, f"/field-value?{escaped(value)}")


@pytest.mark.parametrize("value", ["", "a", "a\tb", "é", "\x80\xff", "a:b,c;d"])
def test_field_value_that_is_allowed(liar: Portway, value: str) -> None:
    with Wire(liar.address) as wire:
        response = wire.get(f"/field-value?{escaped(value)}")
        assert response["x"] == value
        assert [name for name, _ in response.fields][:3] == ["x-before", "x", "x-after"]


@pytest.mark.parametrize(
    "value",
    ["", "-1", "+5", "5.0", "0x5", "5, 5", "5 5", "five", "5\r\nX: 1", "99999999999999999999", "int", "None"],
)
def test_content_length(liar: Portway, value: str) -> None:
    ask(liar, f"/content-length?{escaped(value)}")


@pytest.mark.parametrize(
    "path",
    [
        *("/headers-none", "/headers-not-pairs", "/headers-of-strings"),
        *("/never-started", "/returns-none", "/returns-text", "/returns-bytes"),
        *("/raises", "/raises-after-start", "/raises-strangely", "/exits", "/no-such-function"),
    ],
)
def test_failures_before_anything_was_sent(liar: Portway, path: str) -> None:
    before = sum(line.endswith(f"failed at GET {path}") for line in liar.lines)
    ask(liar, path)
    liar.wait_for(f"error: the application failed at GET {path}$", count=before + 1)


@pytest.mark.parametrize("path", ["/yields-text", "/yields-none", "/raises-in-the-middle"])
def test_failures_in_the_middle_cut_the_connection(liar: Portway, path: str) -> None:
    """No last chunk, no rest of the length: the client must not take it for the whole."""
    data = cut_off(liar, path)
    assert b"first" in data
    assert not data.endswith(b"0\r\n\r\n")
    with Wire(liar.address) as wire:
        assert wire.get(f"/happened?closed{path.replace('/', '-')}").body == b"1"


def test_a_failure_in_the_middle_of_a_length(liar: Portway) -> None:
    assert cut_off(liar, "/raises-in-the-middle-of-a-length").endswith(b"\r\n\r\nfirst")


def test_a_failure_when_all_was_sent(liar: Portway) -> None:
    with Wire(liar.address) as wire:
        assert wire.get("/raises-at-close").body == b"hello"
    liar.wait_for("error: the application failed at GET /raises-at-close")


def test_the_log_holds_the_traceback_and_no_line_of_the_applications_making(liar: Portway) -> None:
    ask(liar, "/raises")
    liar.wait_for(r"^    ValueError: raised on purpose")
    assert "\nwith a line of its own" not in liar.log


def test_a_file_with_a_read_of_its_own_is_read(liar: Portway) -> None:
    with Wire(liar.address) as wire:
        assert wire.get("/loud-file").body == b"QUIET"
        assert_well(wire)


def test_a_body_that_only_the_connection_ends_is_reset(liar: Portway) -> None:
    """An HTTP/1.0 client must not take what a failed application left for all of it."""
    with Wire(liar.address, receive_buffer=4096) as wire:
        wire.send(b"GET /much-then-raise HTTP/1.0\r\n\r\n")
        liar.wait_for("failed at GET /much-then-raise")
        if isinstance(wire.sock, ssl.SSLSocket):
            wire.sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # with TLS it is the close_notify that must not come
        with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
            while wire.sock.recv(65536):
                pass
