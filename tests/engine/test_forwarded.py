"""Forwarded and X-Forwarded-*: what is believed, of whom, and what an application gets to see."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portway.config.checks import FORWARDED
from portway.config.settings import Proxies
from portway.engine.forwarded import Trust
from portway.engine.peers import Peers
from tests.engine.conftest import serve, server_fixture
from tests.engine.wire import Wire
from tests.support.processes import Portway

# 127.0.0.1 is a proxy here, 127.0.0.2 is anybody.
STRANGER = "127.0.0.2"
ALL = ",".join(FORWARDED)

WAYS = ("wsgi-epoll", "asgi-epoll", "wsgi-poll", "asgi-poll")
usual = server_fixture("app", "--threads", "1", "--log-level", "debug", ways=WAYS)
every = server_fixture(
    *("app", "--forwarded-headers", ALL, "--forwarded-allow-ips", "127.0.0.1,10.0.0.0/8,2001:db8::/32"),
    ways=WAYS[:2],
)
standard = server_fixture("app", "--forwarded-headers", "forwarded", ways=WAYS[:2])


@dataclass
class Seen:
    """What an application was told, whatever it speaks."""

    client: str | None
    client_port: int | None
    scheme: str
    host: str
    server: str
    server_port: int | None
    root: str
    path: str
    fields: dict[str, str]


def seen(facts: dict[str, Any]) -> Seen:
    """Read a WSGI environ or an ASGI scope."""
    if "type" in facts:
        headers: dict[str, str] = {}
        for name, value in facts["headers"]:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        client, client_port = facts["client"] or (None, None)
        server, server_port = facts["server"]
        host, path = headers.pop("host"), facts["path"].removeprefix(facts["root_path"])
        return Seen(
            *(client, client_port, facts["scheme"], host, server, server_port),
            *(facts["root_path"], path, headers),
        )
    fields = {name[5:].replace("_", "-").lower(): facts[name] for name in facts if name.startswith("HTTP_")}
    return Seen(
        facts["REMOTE_ADDR"] or None,
        int(facts["REMOTE_PORT"]) if facts["REMOTE_PORT"] else None,
        facts["wsgi.url_scheme"],
        fields.pop("host"),
        facts["SERVER_NAME"],
        int(facts["SERVER_PORT"]),
        facts["SCRIPT_NAME"],
        facts["PATH_INFO"],
        fields,
    )


def ask(wire: Wire, *lines: str, target: str = "/facts") -> Seen:
    """Send a request with these field lines and return what it led to."""
    head = "\r\n".join([f"GET {target} HTTP/1.1", "Host: portway.test", *lines, "", ""])
    wire.send(head.encode("latin-1"))
    return seen(json.loads(wire.final().body))


def one(server: Portway, *lines: str, source: str = "127.0.0.1", target: str = "/facts") -> Seen:
    """Ask on a connection of its own."""
    with Wire(server.address, source=source) as wire:
        return ask(wire, *lines, target=target)


def test_a_trusted_peer_names_the_client_and_the_scheme(usual: Portway) -> None:
    got = one(usual, "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https")
    assert (got.client, got.client_port, got.scheme) == ("192.0.2.7", 0, "https")
    assert (got.host, got.server) == ("portway.test", "127.0.0.1")
    assert got.fields == {"x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "https"}


def test_anybody_else_is_not_believed_and_the_fields_are_dropped(usual: Portway) -> None:
    lines = [f"{name}: x" for name in (*FORWARDED, "Forwarded", "X-Forwarded-User", "x-forwarded")]
    got = one(usual, *lines, "X-Other: kept", source=STRANGER)
    assert (got.client, got.scheme) == (STRANGER, "http")
    assert got.fields == {"x-other": "kept"}
    usual.wait_for(r"warning: dropped request field 'x-forwarded-for' of 127\.0\.0\.2, which is not trusted")


def test_a_memo_of_one_peer_does_not_serve_another(usual: Portway) -> None:
    """The same header block, byte for byte, on connections that stay and on new ones."""
    lines = ("X-Forwarded-For: 192.0.2.8", "X-Forwarded-Proto: https", "X-Memo: yes")
    for _ in range(3):
        with Wire(usual.address) as proxy, Wire(usual.address, source=STRANGER) as stranger:
            for _ in range(4):
                got = ask(proxy, *lines)
                assert (got.client, got.scheme, len(got.fields)) == ("192.0.2.8", "https", 3)
                got = ask(stranger, *lines)
                assert (got.client, got.scheme, len(got.fields)) == (STRANGER, "http", 1)


def test_requests_of_one_connection_do_not_inherit_a_client(usual: Portway) -> None:
    with Wire(usual.address) as wire:
        for _ in range(3):
            assert ask(wire, "X-Forwarded-For: 192.0.2.1").client == "192.0.2.1"
            assert ask(wire, "X-Forwarded-For: 192.0.2.2").client == "192.0.2.2"
            assert ask(wire).client == "127.0.0.1"
            assert ask(wire, "X-Forwarded-For: unknown").client is None


def test_a_field_that_the_proxy_does_not_keep_up_is_dropped_from_it_too(usual: Portway) -> None:
    got = one(
        *(usual, "X-Forwarded-Host: evil.test", "X-Forwarded-Port: 1", "X-Forwarded-Prefix: /evil"),
        *("Forwarded: for=192.0.2.1;proto=https;host=evil.test", "X-Forwarded-User: me"),
    )
    assert (got.client, got.scheme, got.host, got.root) == ("127.0.0.1", "http", "portway.test", "")
    assert got.fields == {"x-forwarded-user": "me"}
    usual.wait_for(r"dropped request field 'X-Forwarded-Host': option forwarded-headers does not name it")


@pytest.mark.parametrize("name", ["X_Forwarded_For", "X-Forwarded_For", "x_forwarded_for"])
def test_an_underscore_does_not_make_a_field_pass_for_another(usual: Portway, name: str) -> None:
    for source in ("127.0.0.1", STRANGER):
        got = one(usual, f"{name}: 192.0.2.1", source=source)
        assert (got.client, got.fields) == (source, {})


@pytest.mark.parametrize("way", ["wsgi-epoll", "asgi-epoll"])
def test_not_even_when_that_name_is_let_through(way: str) -> None:
    with serve(way, "app", "--underscore-headers", "x_forwarded_for") as server:
        got = one(server, "X_Forwarded_For: 192.0.2.1", source=STRANGER)
        assert (got.client, got.fields) == (STRANGER, {})


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["6.6.6.6, 192.0.2.9"], "192.0.2.9"),
        (["6.6.6.6, 192.0.2.9, 10.1.2.3, 127.0.0.1"], "192.0.2.9"),
        (["6.6.6.6", "192.0.2.9, 10.1.2.3"], "192.0.2.9"),
        (["10.0.0.1"], "10.0.0.1"),
        ([" ,, 192.0.2.9 ,\t10.0.0.1,,"], "192.0.2.9"),
        (["192.0.2.9:4711"], "192.0.2.9"),
        (["2001:DB9::0:1"], "2001:db9::1"),
        (["6.6.6.6, [2001:db9::1]:443, [2001:db8::5]"], "2001:db9::1"),
        (["::ffff:192.0.2.9"], "192.0.2.9"),
        (["6.6.6.6, unknown, 10.0.0.1"], None),
        (["6.6.6.6, _hidden"], None),
        (["6.6.6.6, localhost"], None),
        (["6.6.6.6, 1.2.3.4.5"], None),
        (["6.6.6.6, 010.1.1.1"], None),
        (["6.6.6.6, 1.2.3.4:99999"], None),
        (["6.6.6.6, fe80::1%eth0"], None),
        (["6.6.6.6, <script>\xff"], None),
        ([", ".join(["6.6.6.6"] * 800) + ", 192.0.2.9"], "192.0.2.9"),
    ],
)
def test_the_list_is_walked_from_the_right(every: Portway, lines: list[str], client: str | None) -> None:
    assert one(every, *(f"X-Forwarded-For: {line}" for line in lines)).client == client


def test_host_port_and_prefix(every: Portway) -> None:
    got = one(
        *(every, "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: site.example"),
        *("X-Forwarded-Port: 8443", "X-Forwarded-Prefix: /shop/"),
    )
    assert (got.host, got.server, got.server_port) == ("site.example:8443", "site.example", 8443)
    assert (got.root, got.path) == ("/shop", "/facts")


@pytest.mark.parametrize(
    ("lines", "host", "server", "port"),
    [
        (["X-Forwarded-Host: a.example:81"], "a.example:81", "a.example", 81),
        (["X-Forwarded-Host: [2001:db8::1]:81"], "[2001:db8::1]:81", "2001:db8::1", 81),
        (["X-Forwarded-Host: a.example"], "a.example", "a.example", 80),
        (["X-Forwarded-Proto: https", "X-Forwarded-Host: a.example"], "a.example", "a.example", 443),
        (["X-Forwarded-Proto: https", "X-Forwarded-Port: 443"], "portway.test", "portway.test", 443),
        (["X-Forwarded-Port: 8080"], "portway.test:8080", "portway.test", 8080),
        (["X-Forwarded-Host: evil, a.example"], "a.example", "a.example", 80),
        (["X-Forwarded-Host: evil", "X-Forwarded-Host: a.example"], "a.example", "a.example", 80),
        (["X-Forwarded-Host: a b"], "portway.test", None, None),
        (["X-Forwarded-Host: user@evil"], "portway.test", None, None),
        (["X-Forwarded-Port: 0"], "portway.test", None, None),
        (["X-Forwarded-Port: 65536"], "portway.test", None, None),
        (["X-Forwarded-Port: -1"], "portway.test", None, None),
    ],
)
def test_the_server_as_the_client_calls_it(
    every: Portway, lines: list[str], host: str, server: str | None, port: int | None
) -> None:
    got = one(every, *lines)
    own_name, own_port = every.address
    assert (got.host, got.server, got.server_port) == (host, server or own_name, port or own_port)


@pytest.mark.parametrize("scheme", ["ftp", "https:", "", "HTTPS on", "javascript"])
def test_a_scheme_that_is_none_changes_nothing(every: Portway, scheme: str) -> None:
    assert one(every, f"X-Forwarded-Proto: {scheme}").scheme == "http"


@pytest.mark.parametrize(
    "prefix", ["evil", "//evil.test", "/a/../b", "/a b", "/a?b", "/a%2fb", "/\xe9", "/a//b"]
)
def test_a_prefix_that_is_no_plain_path_changes_nothing(every: Portway, prefix: str) -> None:
    assert one(every, f"X-Forwarded-Prefix: {prefix}").root == ""


def test_an_absolute_target_is_overruled_by_the_proxy(every: Portway) -> None:
    got = one(every, "X-Forwarded-Port: 81", target="http://inner.example/facts")
    assert got.host == "inner.example:81"
    got = one(every, "X-Forwarded-Host: outer.example", target="http://inner.example/facts")
    assert got.host == "outer.example"


@pytest.mark.parametrize(
    ("lines", "client", "scheme", "host"),
    [
        (["for=192.0.2.1;proto=https;host=a.example"], "192.0.2.1", "https", "a.example"),
        (['For="[2001:db8:cafe::17]:4711"'], "2001:db8:cafe::17", "http", "portway.test"),
        (["for=6.6.6.6;host=evil, for=192.0.2.1;host=a.example"], "192.0.2.1", "http", "a.example"),
        (["for=6.6.6.6;host=evil", "for=192.0.2.1"], "192.0.2.1", "http", "portway.test"),
        (["for=192.0.2.1;proto=https, for=127.0.0.1;proto=http"], "192.0.2.1", "https", "portway.test"),
        (['for="_gazonk";proto=https'], None, "https", "portway.test"),
        (["for=unknown"], None, "http", "portway.test"),
        (["by=10.0.0.1;proto=https"], None, "https", "portway.test"),
        (['for="192.0.2.1:_port"'], "192.0.2.1", "http", "portway.test"),
        (['for="192.0.2\\.1"'], "192.0.2.1", "http", "portway.test"),
        (['for=";,=";proto=https, for=192.0.2.1'], "192.0.2.1", "http", "portway.test"),
        ([" , ;for=192.0.2.1; ,"], "192.0.2.1", "http", "portway.test"),
        # Malformed: nobody can say where the element of the proxy begins.
        (['for=", for=192.0.2.1'], None, "http", "portway.test"),
        (["for=192.0.2.1:80"], None, "http", "portway.test"),
        (["for=192.0.2.1;for=192.0.2.2"], None, "http", "portway.test"),
        (["for = 192.0.2.1"], None, "http", "portway.test"),
        (["192.0.2.1"], None, "http", "portway.test"),
        (['for="', "for=192.0.2.1"], "192.0.2.1", "http", "portway.test"),
    ],
)
def test_the_standard_field(
    standard: Portway, lines: list[str], client: str | None, scheme: str, host: str
) -> None:
    got = one(standard, *(f"Forwarded: {line}" for line in lines), "X-Forwarded-For: 6.6.6.6")
    assert (got.client, got.scheme, got.host) == (client, scheme, host)
    assert list(got.fields) == ["forwarded"]


@pytest.mark.parametrize(
    ("hops", "value", "client"),
    [
        (1, "6.6.6.6, 192.0.2.1", "192.0.2.1"),
        (2, "6.6.6.6, 192.0.2.1, 198.51.100.1", "192.0.2.1"),
        (2, "192.0.2.1, junk", "192.0.2.1"),
        (2, "192.0.2.1", None),
        (2, "junk, 192.0.2.1", None),
    ],
)
def test_hops_are_counted_from_the_right(hops: int, value: str, client: str | None) -> None:
    trust = Trust(Proxies(forwarded_allow_ips=("*",), forwarded_hops=hops))
    claim = trust.resolve([(b"x-forwarded-for", value.encode()), (b"x-forwarded-proto", b"https")])
    assert claim is not None
    assert (claim["client"] and claim["client"][0], claim["hidden"]) == (client, client is None)
    assert claim["scheme"] == "https"


def test_everybody_is_a_trusted_peer_and_no_trusted_address() -> None:
    """With `*` alone the proxy next to us is believed, and not what somebody told it."""
    trust = Trust(Proxies(forwarded_allow_ips=("*",)))
    claim = trust.resolve([(b"x-forwarded-for", b"6.6.6.6, 192.0.2.1")])
    assert claim is not None and claim["client"] == ("192.0.2.1", 0)
    assert trust.trusts("unix") and trust.trusts("203.0.113.1")


@pytest.mark.parametrize("way", ["wsgi-epoll", "asgi-epoll"])
def test_a_unix_socket_is_trusted_when_that_is_said(way: str, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    lines = ("X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https")
    for option, client, scheme in (("unix", "192.0.2.1", "https"), ("127.0.0.1", None, "http")):
        with serve(way, "app", "--bind", f"unix:{path}", "--forwarded-allow-ips", option) as server:
            server.ready()
            with Wire(path) as wire:
                got = ask(wire, *lines)
            assert (got.client, got.scheme) == (client, scheme)
            assert len(got.fields) == (2 if client else 0)
            server.stop()


def test_the_access_log_names_the_client(tmp_path: Path) -> None:
    for way in ("wsgi-epoll", "asgi-epoll"):
        log = tmp_path / way
        with serve(way, "app", "--access-log", str(log)) as server:
            with Wire(server.ready().address) as wire:
                for client in ("192.0.2.1", "unknown", "2001:db8::1"):
                    ask(wire, f"X-Forwarded-For: 6.6.6.6, {client}")
                ask(wire)
                ask(wire, "X-Forwarded-For: 192.0.2.9")
                wire.send(b"broken\r\n\r\n")  # a request without a client of its own
                assert wire.final().status == 400
            one(server, "X-Forwarded-For: 192.0.2.1", source=STRANGER)
            assert server.stop() == 0
        clients = [line.split()[0] for line in log.read_text().splitlines()]
        assert clients == [
            "192.0.2.1",
            "unknown",
            "2001:db8::1",
            "127.0.0.1",
            "192.0.2.9",
            "127.0.0.1",
            STRANGER,
        ]


def test_peers_are_compared_by_value() -> None:
    peers = Peers(("10.0.0.0/9", "192.0.2.1", "2001:db8::/33", "::ffff:203.0.113.0/120"))
    for inside in ("10.127.255.255", "192.0.2.1", "::ffff:10.0.0.1", "2001:db8:7fff::", "203.0.113.9"):
        assert inside in peers
    for outside in ("10.128.0.0", "192.0.2.2", "2001:db8:8000::", "unix", "::a00:1"):
        assert outside not in peers
    assert "unix" in Peers(("unix",)) and "10.0.0.1" not in Peers(("unix",))
    assert "10.0.0.1" in Peers(("0.0.0.0/0",)) and "::1" not in Peers(("0.0.0.0/0",))
    for wrong in ("nonsense", "10.0.0.0/33", "1.2.3.4/-1"):
        with pytest.raises(ValueError):
            Peers((wrong,))


_LINES = st.lists(
    st.tuples(
        st.sampled_from([*(name.encode() for name in FORWARDED), b"FORWARDED", b"x-forwarded-user"]),
        st.one_of(
            st.binary(max_size=40),
            st.lists(
                st.sampled_from(
                    [
                        b"for=",
                        b"192.0.2.1",
                        b"[::1]",
                        b":80",
                        b",",
                        b";",
                        b'"',
                        b"\\",
                        b" ",
                        b"unknown",
                        b"_a",
                    ]
                ),
                max_size=12,
            ).map(b"".join),
        ),
    ),
    max_size=4,
)


@settings(max_examples=400, deadline=None)
@given(lines=_LINES, hops=st.integers(0, 3), family=st.sampled_from([FORWARDED, ("forwarded",), ()]))
def test_no_value_makes_it_fail(
    lines: Iterable[tuple[bytes, bytes]], hops: int, family: tuple[str, ...]
) -> None:
    trust = Trust(Proxies(forwarded_headers=family, forwarded_hops=hops))
    claim = trust.resolve(lines)
    if claim is None:
        return
    assert claim["scheme"] in (None, "http", "https")
    assert claim["client"] is None or not claim["hidden"]
    if claim["client"]:
        assert claim["client"][0] in Peers(("0.0.0.0/0", "::/0"))
    if claim["host"] is not None:
        assert b" " not in claim["host"] and b"\r" not in claim["host"]


@settings(max_examples=200, deadline=None)
@given(forged=st.binary(max_size=60).filter(lambda junk: not junk.strip(b" \t,").endswith(b"127.0.0.1")))
def test_nothing_to_the_left_matters(forged: bytes) -> None:
    trust = Trust(Proxies())
    claim = trust.resolve([(b"x-forwarded-for", forged + b", 192.0.2.1")])
    assert claim is not None and claim["client"] == ("192.0.2.1", 0)
