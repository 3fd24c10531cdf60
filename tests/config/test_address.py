"""Addresses to listen on: every form, its normal spelling, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.config.address import InheritedSocket, TCPAddress, UnixAddress, parse_address
from portway.config.kinds import Refused

GOOD = [
    ("127.0.0.1:8000", TCPAddress("127.0.0.1", 8000), "127.0.0.1:8000"),
    ("0.0.0.0:0", TCPAddress("0.0.0.0", 0), "0.0.0.0:0"),
    (":65535", TCPAddress("0.0.0.0", 65535), "0.0.0.0:65535"),
    ("LocalHost:80", TCPAddress("localhost", 80), "localhost:80"),
    ("my_host.example.:80", TCPAddress("my_host.example.", 80), "my_host.example.:80"),
    ("xn--bcher-kva.example:80", TCPAddress("xn--bcher-kva.example", 80), "xn--bcher-kva.example:80"),
    ("[::1]:8000", TCPAddress("::1", 8000), "[::1]:8000"),
    ("[0:0:0:0:0:0:0:1]:80", TCPAddress("::1", 80), "[::1]:80"),
    ("[FE80::1%eth0]:80", TCPAddress("fe80::1%eth0", 80), "[fe80::1%eth0]:80"),
    ("[::ffff:1.2.3.4]:80", TCPAddress("::ffff:1.2.3.4", 80), "[::ffff:1.2.3.4]:80"),
    ("[::FFFF:102:304]:80", TCPAddress("::ffff:1.2.3.4", 80), "[::ffff:1.2.3.4]:80"),
    ("unix:/run/site.sock", UnixAddress("/run/site.sock"), "unix:/run/site.sock"),
    ("unix:///run/site.sock", UnixAddress("/run/site.sock"), "unix:/run/site.sock"),
    ("unix:site.sock", UnixAddress("site.sock"), "unix:site.sock"),
    ("unix:/run/a:80", UnixAddress("/run/a:80"), "unix:/run/a:80"),
    ("unix:/" + "x" * 106, UnixAddress("/" + "x" * 106), "unix:/" + "x" * 106),
    ("fd://3", InheritedSocket(3), "fd://3"),
]

BAD = [
    "",
    ":",
    "8000",
    "localhost",
    "localhost:",
    "localhost:http",
    "localhost:-1",
    "localhost:+80",
    "localhost:080",
    "localhost:65536",
    "localhost:99999999999999999999",
    "localhost:8 0",
    "localhost:8000 ",
    " localhost:8000",
    "localhost:٨٠",
    "http://localhost:8000",
    "tcp://localhost:8000",
    "localhost:8000/",
    "::1:8000",
    "[::1]",
    "[::1]8000",
    "[]:80",
    "[1.2.3.4]:80",
    "[::1:80",
    "::1]:80",
    "[[::1]]:80",
    "127.0.0.1.1:80",
    "256.0.0.1:80",
    "127.1:80",
    "127.0.0.01:80",
    "1:80",
    "a..b:80",
    "-a.b:80",
    "a-.b:80",
    "a" * 64 + ":80",
    ".".join(["a" * 60] * 5) + ":80",
    "a b:80",
    "a,b:80",
    "münchen.example:80",
    "user@host:80",
    "host\0:80",
    "*:80",
    "unix:",
    "unix://",
    "unix://run/site.sock",
    "unix:/run/",
    "unix:/a\0b",
    "unix:/" + "x" * 107,
    "unix:/" + "é" * 54,
    "fd:3",
    "fd:/3",
    "fd://",
    "fd://-1",
    "fd://0",
    "fd://2",
    "fd://3x",
    "fd://99999999999",
    "fd://³",
]


@pytest.mark.parametrize(("text", "address", "spelling"), GOOD)
def test_forms(text: str, address: object, spelling: str) -> None:
    parsed = parse_address(text)
    assert parsed == address
    assert str(parsed) == spelling
    assert parse_address(spelling) == parsed


@pytest.mark.parametrize("text", BAD)
def test_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"^must "):
        parse_address(text)


@given(st.text(max_size=60) | st.from_regex(r"\A(unix:|fd://|\[|)[\w:./%\[\]-]{0,40}(:[0-9]{0,6})?\Z"))
def test_whatever_comes_is_parsed_or_refused(text: str) -> None:
    try:
        parsed = parse_address(text)
    except Refused:
        return
    assert parse_address(str(parsed)) == parsed
