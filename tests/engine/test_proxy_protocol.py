"""The PROXY protocol, versions 1 and 2: whose connection it is, and who may say so."""

from __future__ import annotations

import json
import random
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portway.engine.proxied import read_header
from tests.engine.conftest import serve, server_fixture
from tests.engine.test_forwarded import STRANGER, Seen, ask, seen
from tests.engine.wire import Wire
from tests.support.processes import Portway

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n"
GET = b"GET /facts HTTP/1.1\r\nHost: portway.test\r\n%s\r\n"


def v2(
    command: int = 0x21, family: int = 0x11, block: bytes | None = None, tlvs: bytes = b"", extra: int = 0
) -> bytes:
    """Return a header of version 2.

    Args:
        command: Version and command.
        family: Family and protocol.
        block: The addresses; a client 192.0.2.1:4711 by default.
        tlvs: What follows them.
        extra: Added to the length that is announced.
    """
    if block is None:
        block = (
            socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 4711, 443)
        )
    block += tlvs
    return SIGNATURE + struct.pack("!BBH", command, family, len(block) + extra) + block


V6 = v2(
    family=0x21,
    block=socket.inet_pton(socket.AF_INET6, "2001:db8::1") * 2 + struct.pack("!HH", 4711, 443),
)
TLV = b"\x01\x00\x02h2" + b"\x20\x00\x05\x01\x00\x00\x00\x00" + b"\x04\x07\xd0" + b"\0" * 2000

WAYS = ("wsgi-epoll", "asgi-epoll", "wsgi-poll", "asgi-poll")
proxied = server_fixture("app", "--proxy-protocol", "auto", ways=WAYS)
hasty = server_fixture("app", "--proxy-protocol", "auto", "--header-timeout", "0.5", ways=WAYS)
"""Only for tests that wait for that deadline: whoever has to beat it fails on a machine that stands still."""


def first(server: Portway, header: bytes, *lines: bytes, source: str = "127.0.0.1") -> Seen:
    """Send a header and a request behind it, and return what the request led to."""
    with Wire(server.address, source=source) as wire:
        wire.send(header + GET % b"".join(line + b"\r\n" for line in lines))
        return seen(json.loads(wire.final().body))


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (V1, ("192.0.2.1", 4711)),
        (b"PROXY TCP6 2001:db8::1 ::1 4711 443\r\n", ("2001:db8::1", 4711)),
        (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", ("255.255.255.255", 65535)),
        (v2(), ("192.0.2.1", 4711)),
        (v2(tlvs=TLV), ("192.0.2.1", 4711)),
        (V6, ("2001:db8::1", 4711)),
    ],
)
def test_the_connection_is_the_clients(proxied: Portway, header: bytes, client: tuple[str, int]) -> None:
    got = first(proxied, header)
    assert (got.client, got.client_port) == client


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
        v2(command=0x20),
        v2(command=0x20, family=0, block=b""),
        v2(family=0x00, block=b""),
        v2(family=0x00, block=b"anything"),
        v2(family=0x31, block=b"/run/x".ljust(216, b"\0")),
    ],
)
def test_without_an_address_the_proxys_own_holds(proxied: Portway, header: bytes) -> None:
    assert first(proxied, header).client == "127.0.0.1"


def test_forwarded_fields_are_judged_by_the_client(proxied: Portway) -> None:
    """The proxy is trusted; what its client writes is not, and what it says for itself is."""
    forged = b"X-Forwarded-For: 203.0.113.9"
    for header in (V1, v2(), b"PROXY UNKNOWN\r\n", v2(family=0, block=b"")):
        got = first(proxied, header, forged)
        assert got.client in ("192.0.2.1", "127.0.0.1")
        assert got.fields == {}
    assert first(proxied, v2(command=0x20), forged).client == "203.0.113.9"
    inner = b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"
    assert first(proxied, inner, forged).client == "203.0.113.9"


def test_it_is_said_once_for_a_connection(proxied: Portway) -> None:
    with Wire(proxied.address) as wire:
        wire.send(V1)
        assert {ask(wire).client for _ in range(4)} == {"192.0.2.1"}
        wire.send(V1)
        assert wire.final().status == 400


@pytest.mark.parametrize("header", [V1, v2(tlvs=TLV[:20]), V6, b"PROXY UNKNOWN\r\n"])
def test_it_may_be_cut_anywhere(proxied: Portway, header: bytes) -> None:
    request = GET % b""
    whole = header + request
    cuts = {*range(1, len(header) + 2)} if len(header) < 60 else {1, 11, 12, 13, 15, 16, 17, 30, len(header)}
    for cut in sorted(cuts):
        with Wire(proxied.address) as wire:
            wire.send(whole[:cut], whole[cut:])
            assert wire.final().status == 200
    with Wire(proxied.address) as wire:
        wire.send(*(bytes([byte]) for byte in whole))
        assert wire.final().status == 200


JUNK = [
    b"GET / HTTP/1.1\r\nHost: portway.test\r\n\r\n",
    b"PROXY TCP4 192.0.2.1\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 443 \r\n",
    b"PROXY TCP4  192.0.2.1 198.51.100.1 4711 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.1 04711 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.1 -1 443\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.1 4711 443\r\n",
    b"PROXY TCP4 ::1 ::1 4711 443\r\n",
    b"PROXY TCP6 192.0.2.1 198.51.100.1 4711 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.1\r4711 443\r\n",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY UDP4 192.0.2.1 198.51.100.1 4711 443\r\n",
    b"PROXY " + b"x" * 200 + b"\r\n",
    b"proxy TCP4 192.0.2.1 198.51.100.1 4711 443\r\n",
    b"\r\n\r\n\0\r\nQUIT\r",
    v2(command=0x11),
    v2(command=0x22),
    v2(family=0x12),
    v2(family=0x41),
    v2(block=b"short"),
    v2(family=0x21),
    v2(tlvs=b"\0" * 5000),
    v2(block=b"", extra=65535),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 60,
    b"\0" * 20,
]


@pytest.mark.parametrize("junk", JUNK)
def test_junk_ends_the_connection_without_an_answer(proxied: Portway, junk: bytes) -> None:
    with Wire(proxied.address) as wire:
        wire.send_some([junk, GET % b""])
        assert wire.rest() == b""
    proxied.wait_for(r"warning: closed a connection from 127\.0\.0\.1: .*PROXY header|more refused requests")
    assert first(proxied, V1).client == "192.0.2.1"


@pytest.mark.parametrize("start", [b"", b"P", V1[:20], v2()[:12], v2()[:20]])
def test_silence_has_a_deadline(hasty: Portway, start: bytes) -> None:
    with Wire(hasty.address) as wire:
        wire.send_some([start])
        assert wire.rest() == b""


def test_a_connection_that_brings_nothing_is_not_worth_a_line(proxied: Portway) -> None:
    before = len([line for line in proxied.lines if "inside the PROXY header" in line])
    with Wire(proxied.address) as wire:
        wire.shut()
        assert wire.rest() == b""
    assert len([line for line in proxied.lines if "inside the PROXY header" in line]) == before


def test_others_are_ordinary_clients_and_may_not_send_it(proxied: Portway) -> None:
    assert first(proxied, b"", source=STRANGER).client == STRANGER
    for header in (V1, v2(), b"PROXY UNKNOWN\r\n"):
        with Wire(proxied.address, source=STRANGER) as wire:
            wire.send_some([header + GET % b""])
            assert wire.final().status == 400
            wire.end()


@pytest.mark.parametrize(("version", "good", "bad"), [("v1", V1, v2()), ("v2", v2(), V1)])
def test_only_the_version_that_was_asked_for(version: str, good: bytes, bad: bytes) -> None:
    with serve("wsgi-epoll", "app", "--proxy-protocol", version) as server:
        server.ready()
        assert first(server, good).client == "192.0.2.1"
        with Wire(server.address) as wire:
            wire.send_some([bad, GET % b""])
            assert wire.rest() == b""


def test_a_unix_socket_of_a_proxy(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    options = ("--bind", f"unix:{path}", "--proxy-protocol", "v2", "--proxy-allow-ips", "unix")
    with serve("wsgi-epoll", "app", *options) as server:
        server.ready()
        with Wire(path) as wire:
            wire.send(v2() + GET % b"")
            assert seen(json.loads(wire.final().body)).client == "192.0.2.1"


def test_a_reload_keeps_the_client_of_a_connection() -> None:
    """A drained worker passes idle connections on; the next one must not wait for another header."""
    for way in ("wsgi-epoll", "asgi-epoll"):
        with serve(way, "app", "--proxy-protocol", "auto") as server:
            with Wire(server.ready().address) as named, Wire(server.address) as nameless:
                named.send(V1)
                nameless.send(b"PROXY UNKNOWN\r\n")
                for wire, client in ((named, "192.0.2.1"), (nameless, "127.0.0.1")):
                    assert ask(wire).client == client
                with Wire(server.address) as silent:
                    server.send(1)
                    server.ready(2)
                    silent.send(v2() + GET % b"")
                    assert seen(json.loads(silent.final().body)).client == "192.0.2.1"
                for wire, client in ((named, "192.0.2.1"), (nameless, "127.0.0.1")):
                    got = ask(wire, "X-Forwarded-For: 6.6.6.6")
                    assert (got.client, got.fields) == (client, {})


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=40),
        st.binary(max_size=30).map(lambda junk: SIGNATURE + junk),
        st.binary(max_size=30).map(lambda junk: b"PROXY " + junk),
        st.tuples(st.sampled_from([V1, V6, v2(tlvs=TLV[:30])]), st.integers(0, 70), st.integers(0, 255)).map(
            lambda made: made[0][: made[1]] + bytes([made[2]]) + made[0][made[1] + 1 :]
        ),
    )
)
def test_whatever_comes_is_a_header_or_is_none(data: bytes) -> None:
    try:
        outcome, used = read_header(data)
    except ValueError:
        return
    assert used <= len(data)
    if outcome == "more":
        return
    assert read_header(data[:used] + b"tail") == (outcome, used)
    assert read_header(data[: used - 1])[0] == "more"


def test_no_byte_behind_the_header_is_used() -> None:
    rng = random.Random(1)
    for header in (V1, v2(), V6, v2(tlvs=TLV), b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN x\r\n"):
        for _ in range(20):
            tail = rng.choice(
                [b"\r\n", b"PROXY", bytes(rng.randrange(256) for _ in range(rng.randrange(40)))]
            )
            assert read_header(header + tail)[1] == len(header)
