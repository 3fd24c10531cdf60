"""The ASGI `http` scope, key by key, whatever way the request was written."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import ASGI_WAYS, serve, server_fixture
from tests.engine.test_wsgi_environ import facts, facts_on, get
from tests.engine.wire import Wire
from tests.support.processes import Portway

plain = server_fixture("app", ways=ASGI_WAYS)
mounted = server_fixture("app", "--root-path", "/mount", ways=ASGI_WAYS)


def fields(scope: dict[str, Any]) -> list[str]:
    """Return the header fields without Host."""
    return [f"{name}: {value}" for name, value in scope["headers"] if name != "host"]


def test_every_key_of_a_plain_request(plain: Portway) -> None:
    with Wire(plain.address) as wire:
        client = list(wire.sock.getsockname())
        scope = facts_on(wire, get("/facts?a=b", "X-One: 1"))
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/facts",
        "raw_path": "/facts",
        "query_string": "a=b",
        "root_path": "",
        "headers": [["host", "portway.test"], ["x-one", "1"]],
        "client": client,
        "server": list(plain.address),
        "extensions": {
            "http.response.early_hint": {},
            "http.response.trailers": {},
            "http.response.pathsend": {},
            "http.response.zerocopysend": {},
        },
    }


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/facts/caf%C3%A9", "/facts/café"),
        ("/facts/%F0%9F%9A%A2", "/facts/\U0001f6a2"),
        ("/facts/%e9", "/facts/\ufffd"),
        ("/facts/a%2Fb", "/facts/a/b"),
        ("/facts/%00%0d%0a", "/facts/\0\r\n"),
        ("/facts/%zz%4%", "/facts/%zz%4%"),
        ("/facts/%2541", "/facts/%41"),
        ("/facts/../x/./y//z", "/facts/../x/./y//z"),
    ],
)
def test_path_is_decoded_once_and_raw_path_not_at_all(plain: Portway, target: str, path: str) -> None:
    scope = facts(plain.address, get(f"{target}?%C3%A9"))
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, target, "%C3%A9")


def test_fields_keep_their_order_and_repetitions(plain: Portway) -> None:
    lines = ("X-One: 1", "COOKIE: a=1", "x-one: 2", "Cookie: b=2", "X-Empty:", "X-High: \xe9\x80")
    expected = ["x-one: 1", "cookie: a=1", "x-one: 2", "cookie: b=2", "x-empty: ", "x-high: \xe9\x80"]
    assert fields(facts(plain.address, get("/facts", *lines))) == expected


def test_fields_that_could_pass_for_others_are_dropped(plain: Portway) -> None:
    """A WSGI adapter in the application would make HTTP_X_FORWARDED_FOR and HTTP_PROXY of them."""
    lines = ("X_Forwarded_For: forged", "Content_Length: 7", "Proxy: http://forged.test", "X-Kept: 1")
    assert fields(facts(plain.address, get("/facts", *lines))) == ["x-kept: 1"]
    plain.wait_for("warning: dropped request field 'X_Forwarded_For'")


def test_trailers_never_become_fields(plain: Portway) -> None:
    head = b"POST /facts HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    scope = facts(plain.address, head + b"1\r\na\r\n0\r\nX-Forwarded-For: forged\r\n\r\n")
    assert fields(scope) == ["transfer-encoding: chunked"]


def test_absolute_form_replaces_the_host(plain: Portway) -> None:
    """RFC 9112 section 3.2.2."""
    scope = facts(plain.address, get("http://other.test:81/facts?a"))
    assert scope["headers"] == [["host", "other.test:81"]]
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/facts", "/facts", "a")


def test_http_1_0(plain: Portway) -> None:
    scope = facts(plain.address, b"GET /facts HTTP/1.0\r\n\r\n")
    assert (scope["http_version"], scope["headers"]) == ("1.0", [])


@pytest.mark.parametrize("target", ["/mount/facts", "/facts", "/mountain/facts", "/%6dount/facts"])
def test_path_includes_root_path(mounted: Portway, target: str) -> None:
    """A front may or may not have cut the prefix off; the specification wants it in `path` in either case."""
    scope = facts(mounted.address, get(target))
    assert (scope["root_path"], scope["raw_path"]) == ("/mount", target)
    assert scope["path"] == ("/mount/mountain/facts" if "mountain" in target else "/mount/facts")


def test_a_repeated_header_block_is_remembered_and_nothing_else(plain: Portway) -> None:
    with Wire(plain.address) as wire:
        for number in range(5):
            scope = facts_on(wire, get(f"/facts?{number}", "X-Same: 1"))
            assert (scope["query_string"], fields(scope)) == (str(number), ["x-same: 1"])
        for value in ("2", "1", "3", "33", "3"):
            scope = facts_on(wire, get("/facts", f"X-Same: {value}"))
            assert (scope["query_string"], fields(scope)) == ("", [f"x-same: {value}"])


def test_what_one_client_sent_never_reaches_another(plain: Portway) -> None:
    with Wire(plain.address) as first, Wire(plain.address) as second:
        for _ in range(3):
            own = facts_on(first, get("/facts", "Cookie: s=first!"))
            other = facts_on(second, get("/facts", "Cookie: s=second"))
            assert (fields(own), fields(other)) == (["cookie: s=first!"], ["cookie: s=second"])
            assert own["client"] == list(first.sock.getsockname())
            assert other["client"] == list(second.sock.getsockname())


def test_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with serve("asgi-epoll", "app", "--bind", f"unix:{path}") as server:
        server.ready()
        scope = facts(str(path), get())
    assert (scope["client"], scope["server"]) == (None, [str(path), None])


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
@pytest.mark.parametrize(("bind", "name"), [("0.0.0.0:0", "127.0.0.1"), ("[::1]:0", "::1")])
def test_server_of_other_listeners(bind: str, name: str) -> None:
    with serve("asgi-epoll", "app", "--bind", bind) as server:
        _, port = server.ready().address
        with socket.create_connection((name, port)) as sock:
            sock.sendall(get("/facts", "Connection: close"))
            reply = b"".join(iter(lambda: sock.recv(65536), b""))
    scope = json.loads(reply.partition(b"\r\n\r\n")[2])
    assert (scope["server"], scope["client"][0]) == ([name, port], name)
