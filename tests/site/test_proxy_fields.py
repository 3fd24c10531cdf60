"""Which fields travel through a proxy route, and what is said of the client."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.site.proxy.fields import MOST_HOPS, Request, read_request, response_fields
from portway.site.proxy.memo import Memo
from portway.site.proxy.upstreams import REST_S, Upstreams

NAME = b"portway-0a1b2c3d"
Pairs = list[tuple[bytes, bytes]]


def scope(*fields: tuple[bytes, bytes], **others: Any) -> dict[str, Any]:
    return {
        "method": "GET",
        "raw_path": b"/up/x",
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
        "client": ("192.0.2.1", 5000),
        "headers": [(b"host", b"example.com"), *fields],
        **others,
    }


def read(*fields: tuple[bytes, bytes], keep_host: bool = False, strip: str = "", **others: Any) -> Request:
    return read_request(scope(*fields, **others), NAME, keep_host=keep_host, strip=strip)


def sent(request: Request) -> dict[bytes, bytes]:
    """Return the fields of the head that the upstream gets; none comes twice."""
    lines = request.head(b"upstream:1").removesuffix(b"\r\n\r\n").split(b"\r\n")[1:]
    pairs = [tuple(line.split(b": ", 1)) for line in lines]
    assert len(dict(pairs)) == len(pairs)  # type: ignore[arg-type]
    return dict(pairs)  # type: ignore[arg-type]


def test_target_and_values_travel_byte_for_byte() -> None:
    fields = ((b"x-odd", b"caf\xe9 \xff"), (b"cookie", b'a="b"; c'))
    request = read(*fields, raw_path=b"/up/%2F//%2ea/a%20b", query_string=b"x=%41&y=%")
    assert request.head(b"u").startswith(b"GET /up/%2F//%2ea/a%20b?x=%41&y=% HTTP/1.1\r\nhost: u\r\n")
    assert sent(request)[b"x-odd"] == b"caf\xe9 \xff"
    assert sent(request)[b"cookie"] == b'a="b"; c'


@pytest.mark.parametrize(
    "name",
    [
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"proxy-authorization"),
        *(b"upgrade", b"expect", b"http2-settings"),
    ],
)
def test_what_is_meant_for_one_connection_stays_behind(name: bytes) -> None:
    assert name not in sent(read((name, b"x")))


def test_what_connection_lists_stays_behind_but_for_what_is_not_the_clients() -> None:
    listed = b"X-One, x-two, close, Host, Content-Length, X-Forwarded-For, Via, Forwarded"
    fields = [(b"connection", listed), (b"x-one", b"1"), (b"x-two", b"2"), (b"x-three", b"3")]
    got = sent(read(*fields, (b"content-length", b"4")))
    assert b"x-one" not in got and b"x-two" not in got
    assert got[b"x-three"] == b"3"
    assert got[b"content-length"] == b"4"
    assert got[b"x-forwarded-for"] == b"192.0.2.1"
    assert got[b"host"] == b"upstream:1"


def test_the_upstream_gets_its_own_host_or_the_clients() -> None:
    assert sent(read())[b"host"] == b"upstream:1"
    assert sent(read(keep_host=True))[b"host"] == b"example.com"
    assert sent(read(keep_host=True, headers=[]))[b"host"] == b"upstream:1"


def test_a_client_that_nobody_speaks_for_is_named_by_its_address() -> None:
    got = sent(read(headers=[(b"host", b"example.com:8443")], scheme="https"))
    assert got[b"x-forwarded-for"] == b"192.0.2.1"
    assert got[b"x-forwarded-proto"] == b"https"
    assert got[b"x-forwarded-host"] == b"example.com:8443"
    assert got[b"x-forwarded-port"] == b"8443"
    assert got[b"forwarded"] == b'for=192.0.2.1;proto=https;host="example.com:8443"'


@pytest.mark.parametrize(
    ("host", "scheme", "port"),
    [(b"a", "http", b"80"), (b"a", "https", b"443"), (b"[::1]", "http", b"80"), (b"[::1]:81", "http", b"81")],
)
def test_a_host_without_a_port_has_that_of_its_scheme(host: bytes, scheme: str, port: bytes) -> None:
    assert sent(read(headers=[(b"host", host)], scheme=scheme))[b"x-forwarded-port"] == port


def test_an_ipv6_client_is_quoted_where_rfc_7239_asks_for_it() -> None:
    got = sent(read(client=("2001:db8::1", 1)))
    assert got[b"x-forwarded-for"] == b"2001:db8::1"
    assert got[b"forwarded"].startswith(b'for="[2001:db8::1]";')


def test_what_a_trusted_proxy_says_is_added_to() -> None:
    said = [(b"x-forwarded-for", b"203.0.113.9, 203.0.113.8"), (b"forwarded", b"for=203.0.113.9")]
    others: dict[str, Any] = {
        "client": ("203.0.113.8", 0),
        "portway.peer": ("10.0.0.1", 7),
        "scheme": "https",
    }
    got = sent(read(*said, (b"x-forwarded-port", b"8443"), **others))
    assert got[b"x-forwarded-for"] == b"203.0.113.9, 203.0.113.8, 10.0.0.1"
    assert got[b"forwarded"] == b"for=203.0.113.9, for=10.0.0.1;proto=https;host=example.com"
    assert (got[b"x-forwarded-proto"], got[b"x-forwarded-port"]) == (b"https", b"8443")


@pytest.mark.parametrize(
    ("family", "other"), [(b"forwarded", b"x-forwarded-for"), (b"x-forwarded-for", b"forwarded")]
)
def test_what_a_trusted_proxy_says_in_one_way_is_said_in_both(family: bytes, other: bytes) -> None:
    value = b"for=203.0.113.8" if family == b"forwarded" else b"203.0.113.8"
    others: dict[str, Any] = {"client": ("203.0.113.8", 0), "portway.peer": ("10.0.0.1", 7)}
    got = sent(read((family, value), **others))
    assert b"203.0.113.8" in got[other] and got[other].count(b"10.0.0.1") == 1


def test_a_client_cannot_give_itself_an_address() -> None:
    assert sent(read((b"x-real-ip", b"10.0.0.1")))[b"x-real-ip"] == b"192.0.2.1"
    told = scope((b"x-real-ip", b"198.51.100.7"), client=("198.51.100.7", 0))
    told["portway.peer"] = ("10.0.0.2", 1)
    behind = read_request(told, NAME, keep_host=False, strip="")
    assert sent(behind)[b"x-real-ip"] == b"198.51.100.7"
    assert b"x-real-ip" not in sent(read((b"x-real-ip", b"10.0.0.1"), client=None))
    assert b"x-real-ip" not in sent(read())


def test_a_client_behind_a_unix_socket_is_not_named_twice() -> None:
    others: dict[str, Any] = {"client": ("203.0.113.8", 0), "portway.peer": None}
    got = sent(read((b"x-forwarded-for", b"203.0.113.8"), **others))
    assert got[b"x-forwarded-for"] == b"203.0.113.8"
    assert b"x-forwarded-for" not in sent(read(client=None))


def test_a_hidden_client_stays_hidden() -> None:
    others: dict[str, Any] = {"client": None, "portway.peer": ("10.0.0.1", 7)}
    got = sent(read(**others))
    assert got[b"x-forwarded-for"] == b"unknown, 10.0.0.1"


def test_each_server_adds_itself_to_via() -> None:
    assert sent(read())[b"via"] == b"1.1 " + NAME
    got = sent(read((b"via", b"1.0 fred"), (b"via", b"1.1 p.example.net (x)"), http_version="1.0"))
    assert got[b"via"] == b"1.0 fred, 1.1 p.example.net (x), 1.0 " + NAME


@pytest.mark.parametrize(
    ("via", "loops"),
    [
        (b"1.1 " + NAME, True),
        (b"1.0 fred, 1.1 " + NAME + b" (comment), 1.1 other", True),
        (b"1.1 portway-ffffffff", False),
        (b"1.1 " + NAME + b"0", False),
        (b", ".join([b"1.1 x"] * MOST_HOPS), True),
        (b", ".join([b"1.1 x"] * (MOST_HOPS - 1)), False),
    ],
)
def test_a_request_that_has_been_here_loops(via: bytes, loops: bool) -> None:
    assert read((b"via", via)).loops is loops


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        (b"/api/x", b"/x"),
        (b"/api/", b"/"),
        (b"/api//x", b"//x"),
        (b"/%61pi/x%20y", b"/x%20y"),
        (b"/z/../api/%3F", b"/%3F"),
        (b"/api/../api/x", b"/x"),
        (b"/api/a%2F..%2F..%2fapi/x", b"/x"),
    ],
)
def test_a_prefix_is_taken_off_in_any_spelling(raw: bytes, target: bytes) -> None:
    request = read(strip="/api", raw_path=raw)
    assert request.start.startswith(b"GET " + target + b" HTTP/1.1\r\n")
    assert sent(request)[b"x-forwarded-prefix"] == b"/api"


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        (b"/admin/../up/x", b"/up/x"),
        (b"/admin/%2e%2E/up/x", b"/up/x"),
        (b"/admin/..%2fup/x%20%25", b"/up/x%20%25"),
        (b"/up/.", b"/up/"),
        (b"/up//a%2Fb", b"/up//a%2Fb"),
        (b"/up/.a/b./...", b"/up/.a/b./..."),
        (b"/up/%252e%252e/x", b"/up/%252e%252e/x"),
    ],
)
def test_an_upstream_gets_the_path_that_chose_it(raw: bytes, target: bytes) -> None:
    assert read(raw_path=raw, query_string=b"y=/../").start.startswith(
        b"GET " + target + b"?y=/../ HTTP/1.1\r\n"
    )


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket, h2c", b"TLS/1.3, HTTP/1.1", b""])
def test_no_protocol_carries_requests_past_the_rules(protocol: bytes) -> None:
    request = read(
        (b"connection", b"Upgrade, HTTP2-Settings"), (b"upgrade", protocol), (b"http2-settings", b"AAMA")
    )
    assert request.upgrade is None
    assert not {b"upgrade", b"connection", b"http2-settings"} & sent(request).keys()


def test_a_prefix_is_added_to_that_of_a_trusted_proxy() -> None:
    got = sent(read((b"x-forwarded-prefix", b"/base"), strip="/api", raw_path=b"/api/x"))
    assert got[b"x-forwarded-prefix"] == b"/base/api"


@pytest.mark.parametrize(
    ("fields", "method", "chunked", "has_body", "repeatable"),
    [
        ([], "GET", False, False, True),
        ([], "POST", False, False, False),
        ([(b"content-length", b"0")], "PUT", False, False, True),
        ([(b"content-length", b"5")], "PUT", False, True, False),
        ([(b"transfer-encoding", b"chunked")], "GET", True, True, False),
    ],
)
def test_a_body_has_the_framing_that_is_known(
    fields: Pairs, method: str, chunked: bool, has_body: bool, repeatable: bool
) -> None:
    request = read(*fields, method=method)
    assert (request.chunked, request.has_body, request.repeatable) == (chunked, has_body, repeatable)
    got = sent(request)
    assert not (b"content-length" in got and b"transfer-encoding" in got)
    assert (b"transfer-encoding" in got) is chunked


def test_only_a_get_without_a_body_can_change_the_protocol() -> None:
    asks = [(b"connection", b"keep-alive, Upgrade"), (b"upgrade", b"websocket")]
    request = read(*asks)
    assert request.upgrade == b"websocket"
    got = sent(request)
    assert (got[b"connection"], got[b"upgrade"]) == (b"Upgrade", b"websocket")
    assert read(*asks, http_version="1.0").upgrade is None
    assert read(*asks, method="POST").upgrade is None
    assert read((b"upgrade", b"websocket")).upgrade is None
    refused = read(*asks, (b"content-length", b"5"))
    assert refused.upgrade is None and b"upgrade" not in sent(refused)


def test_a_response_loses_what_is_meant_for_one_connection() -> None:
    fields = [
        (b"Connection", b"close, X-Private"),
        (b"X-Private", b"1"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Content-Length", b"7"),
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"b=2"),
    ]
    cookies = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    assert response_fields(fields, chunked=True) == cookies
    assert response_fields(fields, chunked=False) == [(b"content-length", b"7"), *cookies]


@pytest.mark.parametrize("value", [b"a\rb", b"a\nb", b"a\0b", b"\x7f", b"a\r\n b"])
def test_a_response_with_a_control_character_cannot_be_passed_on(value: bytes) -> None:
    assert response_fields([(b"x", value)], chunked=False) is None


FIELDS = st.sampled_from(
    [
        *((b"x-a", b"1"), (b"x-a", b"2"), (b"content-length", b"0"), (b"content-length", b"5")),
        *((b"via", b"1.1 " + NAME), (b"connection", b"upgrade, x-a"), (b"upgrade", b"websocket")),
        *((b"x-forwarded-for", b"203.0.113.9"), (b"transfer-encoding", b"chunked"), (b"host", b"a:81")),
    ]
)
ADDRESSES = st.sampled_from([None, ("192.0.2.1", 1), ("192.0.2.1", 2), ("192.0.2.2", 1)])
SCOPES = st.builds(
    lambda fields, method, path, version, scheme, client, peers: {
        **scope(method=method, raw_path=path, http_version=version, scheme=scheme, client=client),
        "headers": fields,
        **({"portway.peer": peers[0]} if peers else {}),
    },
    st.lists(FIELDS, max_size=4),
    st.sampled_from(["GET", "POST", "HEAD"]),
    st.sampled_from([b"/up/x", b"/up/y", b"//up/z"]),
    st.sampled_from(["1.0", "1.1"]),
    st.sampled_from(["http", "https"]),
    ADDRESSES,
    st.lists(ADDRESSES, max_size=1),
)


@given(st.lists(SCOPES, min_size=1, max_size=80), st.booleans())
def test_what_is_remembered_is_what_would_be_made(scopes: list[dict[str, Any]], keep_host: bool) -> None:
    memo = Memo(NAME, keep_host=keep_host, strip="/up")
    for each in [*scopes, *scopes]:
        assert memo.read(each) == read_request(each, NAME, keep_host=keep_host, strip="/up")


# -- upstreams ---------------------------------------------------------------------------------------------


def test_upstreams_are_asked_in_turn_and_those_that_rest_last() -> None:
    upstreams = Upstreams(["http://a", "http://b", "http://c"])

    def order(now: float) -> str:
        return "".join(upstream.url[-1] for upstream in upstreams.order(now))

    assert [order(0) for _ in range(4)] == ["abc", "bca", "cab", "abc"]
    upstreams.failed(next(iter(upstreams)), 100.0)
    assert order(101.0)[-1] == "a"
    assert sorted(order(101.0)) == ["a", "b", "c"]
    assert {order(100.0 + REST_S)[0] for _ in range(3)} == {"a", "b", "c"}
