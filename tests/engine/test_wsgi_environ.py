"""The WSGI environ, key by key (PEP 3333), whatever way the request was written."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import WSGI_WAYS, serve, server_fixture
from tests.engine.wire import Wire
from tests.support.client import Address
from tests.support.processes import Portway

plain = server_fixture("app", ways=WSGI_WAYS)
mounted = server_fixture("app", "--root-path", "/mount", "--threads", "1", ways=WSGI_WAYS)
lenient = server_fixture("app", "--underscore-headers", "X_Kept", ways=WSGI_WAYS)


def facts(address: Address, data: bytes) -> dict[str, Any]:
    """Send a request to /facts and return the environ it led to."""
    with Wire(address) as wire:
        return facts_on(wire, data)


def facts_on(wire: Wire, data: bytes) -> dict[str, Any]:
    """Do the same on a connection that stays."""
    wire.send(data)
    environ: dict[str, Any] = json.loads(wire.final().body)
    return environ


def get(target: str = "/facts", *lines: str) -> bytes:
    """Return a GET request."""
    head = "\r\n".join([f"GET {target} HTTP/1.1", "Host: portway.test", *lines, "", ""])
    return head.encode("latin-1")


def test_every_key_of_a_plain_request(plain: Portway) -> None:
    host, port = plain.address
    with Wire(plain.address) as wire:
        client, client_port = wire.sock.getsockname()
        environ = facts_on(wire, get("/facts?a=b"))
    assert environ == {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/facts",
        "QUERY_STRING": "a=b",
        "RAW_URI": "/facts?a=b",
        "REQUEST_URI": "/facts?a=b",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "portway",
        "REMOTE_ADDR": client,
        "REMOTE_PORT": str(client_port),
        "HTTP_HOST": "portway.test",
        "wsgi.version": [1, 0],
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/facts/caf%C3%A9", "/facts/caf\xc3\xa9"),
        ("/facts/%e9%FF", "/facts/\xe9\xff"),
        ("/facts/a%2Fb%2f", "/facts/a/b/"),
        ("/facts/%00%0d%0a", "/facts/\0\r\n"),
        ("/facts/%zz%4%", "/facts/%zz%4%"),
        ("/facts/%2541", "/facts/%41"),
        ("/facts/a+b", "/facts/a+b"),
        ("/facts/../x/./y//z", "/facts/../x/./y//z"),
        ("/facts/%2e%2e/", "/facts/../"),
        ("/facts/;a=b", "/facts/;a=b"),
    ],
)
def test_path_info_is_the_decoded_bytes_as_latin_1(plain: Portway, target: str, path: str) -> None:
    """And nothing else is done to it: cleaning a path is for whoever knows what it means."""
    environ = facts(plain.address, get(f"{target}?%C3%A9"))
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == (path, "%C3%A9")
    assert environ["RAW_URI"] == f"{target}?%C3%A9"


def test_fields(plain: Portway) -> None:
    lines = ("X-One: 1", "x-one: 2", "COOKIE: a=1", "Cookie: b=2", "X-Empty:", "X-High: \xe9\x80")
    environ = facts(plain.address, get("/facts", *lines, "Content-Type: a/b"))
    assert environ["HTTP_X_ONE"] == "1,2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_X_EMPTY"] == ""
    assert environ["HTTP_X_HIGH"] == "\xe9\x80"
    assert environ["CONTENT_TYPE"] == "a/b"
    assert "HTTP_CONTENT_TYPE" not in environ


def test_fields_that_could_pass_for_others_are_dropped(plain: Portway) -> None:
    """X_Forwarded_For would become the key of X-Forwarded-For; Proxy would become the variable HTTP_PROXY."""
    lines = ("X_Forwarded_For: forged", "Content_Length: 7", "_: a", "Proxy: http://forged.test", "X-Kept: 1")
    environ = facts(plain.address, get("/facts", *lines))
    names = {name for name in environ if name.startswith("HTTP_") or name.startswith("CONTENT_")}
    assert names == {"HTTP_HOST", "HTTP_X_KEPT"}
    plain.wait_for("warning: dropped request field 'X_Forwarded_For'")
    assert plain.log.count("dropped request field 'X_Forwarded_For'") == 1


def test_an_underscore_that_is_let_through(lenient: Portway) -> None:
    environ = facts(lenient.address, get("/facts", "x_kept: 1", "X_Dropped: 1"))
    assert environ["HTTP_X_KEPT"] == "1"
    assert "HTTP_X_DROPPED" not in environ


@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_body_has_its_length_whatever_its_framing(plain: Portway, framing: str) -> None:
    body = "hello" if "Length" in framing else "5\r\nhello\r\n0\r\n\r\n"
    head = f"POST /facts HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"
    environ = facts(plain.address, (head + body).encode())
    assert (environ["REQUEST_METHOD"], environ["CONTENT_LENGTH"]) == ("POST", "5")
    assert "HTTP_CONTENT_LENGTH" not in environ
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_trailers_never_become_fields(plain: Portway) -> None:
    head = b"POST /facts HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n"
    environ = facts(plain.address, head + b"1\r\na\r\n0\r\nX-Late: 1\r\nX-Forwarded-For: forged\r\n\r\n")
    assert not {"HTTP_X_LATE", "HTTP_X_FORWARDED_FOR"} & set(environ)


def test_absolute_form_replaces_the_host(plain: Portway) -> None:
    """RFC 9112 section 3.2.2."""
    environ = facts(plain.address, get("http://other.test:81/facts?a"))
    assert environ["HTTP_HOST"] == "other.test:81"
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/facts", "a")
    assert environ["RAW_URI"] == "http://other.test:81/facts?a"


def test_http_1_0(plain: Portway) -> None:
    environ = facts(plain.address, b"GET /facts HTTP/1.0\r\n\r\n")
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert "HTTP_HOST" not in environ


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/mount/facts", "/facts"),
        ("/facts", "/facts"),
        ("/%6dount/facts", "/facts"),
        ("/mount/facts/mount/", "/facts/mount/"),
    ],
)
def test_root_path(mounted: Portway, target: str, path: str) -> None:
    """A front may or may not have cut the prefix off; SCRIPT_NAME and PATH_INFO are right in either case."""
    environ = facts(mounted.address, get(target))
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/mount", path)
    assert environ["RAW_URI"] == target
    assert environ["wsgi.multithread"] is False


def test_a_repeated_header_block_is_remembered_and_nothing_else(plain: Portway) -> None:
    """The same lines over and over, then others; the request line is never taken from the one before."""
    with Wire(plain.address) as wire:
        for number in range(5):
            environ = facts_on(wire, get(f"/facts?{number}", "X-Same: 1", "Cookie: a=b"))
            assert environ["QUERY_STRING"] == str(number)
            assert environ["HTTP_X_SAME"] == "1"
        for value in ("2", "1", "3", "33", "3"):
            environ = facts_on(wire, get("/facts", f"X-Same: {value}"))
            assert environ["HTTP_X_SAME"] == value
            assert "HTTP_COOKIE" not in environ
            assert environ["QUERY_STRING"] == ""
        post = b"POST /facts HTTP/1.1\r\nHost: portway.test\r\nX-Same: 3\r\n\r\n"
        assert facts_on(wire, post)["REQUEST_METHOD"] == "POST"
        older = post.replace(b"1.1", b"1.0").replace(b"X-Same: 3", b"Connection: keep-alive")
        assert facts_on(wire, older)["SERVER_PROTOCOL"] == "HTTP/1.0"
        assert facts_on(wire, get())["SERVER_PROTOCOL"] == "HTTP/1.1"


def test_what_one_client_sent_never_reaches_another(plain: Portway) -> None:
    """The memo of header blocks is shared between connections; equal blocks alone are equal."""
    with Wire(plain.address) as first, Wire(plain.address) as second:
        for number in range(3):
            own = facts_on(first, get("/facts", "Cookie: s=first!"))
            other = facts_on(second, get("/facts", "Cookie: s=second"))
            assert (own["HTTP_COOKIE"], other["HTTP_COOKIE"]) == ("s=first!", "s=second"), number
            assert own["REMOTE_PORT"] == str(first.sock.getsockname()[1])
            assert other["REMOTE_PORT"] == str(second.sock.getsockname()[1])


def test_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with serve("wsgi-epoll", "app", "--bind", f"unix:{path}", "--workers", "2") as server:
        server.ready()
        environ = facts(str(path), get())
    assert (environ["REMOTE_ADDR"], environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("", "localhost", "80")
    assert environ["wsgi.multiprocess"] is True


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
@pytest.mark.parametrize(("bind", "name"), [("0.0.0.0:0", "127.0.0.1"), ("[::1]:0", "::1")])
def test_server_name_of_other_listeners(bind: str, name: str) -> None:
    with serve("wsgi-epoll", "app", "--bind", bind) as server:
        _, port = server.ready().address
        with socket.create_connection((name, port)) as sock:
            sock.sendall(get("/facts", "Connection: close"))
            reply = b"".join(iter(lambda: sock.recv(65536), b""))
    environ = json.loads(reply.partition(b"\r\n\r\n")[2])
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == (name, str(port))
    assert environ["REMOTE_ADDR"] == name
