"""Access records hold what was sent, whatever bytes that is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.conftest import serve
from tests.engine.wire import Wire
from tests.support.processes import Portway
from tests.support.waiting import wait_until

WAYS = ("wsgi-epoll", "wsgi-poll", "asgi-epoll", "asgi-poll")
FORMS = {
    "json": "time,client,method,target,path,query,protocol,status,bytes,duration_s,"
    "user_agent,referer,header:x-a,user",
    "text": '"'.join(
        [*(f"%({{{name}}}i)s" for name in ("User-Agent", "Referer", "X-A", "x-a")), "%(r)s", "%(m)s"]
    ),
}
# Everything that a field value may hold (RFC 9110 section 5.5), obsolete bytes included; and a target.
VALUES = st.lists(
    st.one_of(
        st.sampled_from([b'"', b"\\", b"\t", b" ", b"\\n", b'","status":200,"x":"', b"\x80", b"\xff", b"~"]),
        st.binary(min_size=1, max_size=20).map(
            lambda text: bytes(c for c in text if 32 <= c != 127 or c == 9)
        ),
        st.integers(1, 300).map(lambda size: b"plain text" * (size // 10) + b"x" * (size % 10)),
    ),
    max_size=8,
).map(b"".join)
TARGETS = st.text(st.sampled_from('az09%?&=/"\\~[]|^{}`<>:@'), max_size=60).map(
    lambda text: b"/-/" + text.encode()
)
NAMES = {"user_agent": "User-Agent", "referer": "REFERER", "x-a": "x-A", "": "x-ab", "other": "x"}


@dataclass
class Logged:
    """A server and what it wrote about the requests so far."""

    server: Portway
    path: Path
    read: int = 0

    def lines(self, count: int) -> list[bytes]:
        """Wait for the next lines; there must not be more."""
        wait_until(lambda: self.path.read_bytes()[self.read :].count(b"\n") >= count, f"{count} more lines")
        new = self.path.read_bytes()[self.read :]
        self.read += len(new)
        lines = new.split(b"\n")
        assert lines.pop() == b""
        assert len(lines) == count
        return lines


def _logged(way: str, form: str, folder: Path) -> Iterator[Logged]:
    path = folder / "access.log"
    with serve(way, "app", "--access-log", str(path), "--access-log-format", FORMS[form]) as server:
        yield Logged(server.ready(), path)
        assert server.stop() == 0
        assert "failed at engine" not in server.log, server.log


@pytest.fixture(scope="module", params=WAYS)
def in_json(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    yield from _logged(request.param, "json", tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="module", params=WAYS[:1])
def in_text(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    yield from _logged(request.param, "text", tmp_path_factory.mktemp("log"))


Sent = tuple[bytes, list[tuple[str, bytes]]]
REQUESTS = st.lists(
    st.tuples(TARGETS, st.lists(st.tuples(st.sampled_from(list(NAMES.values())), VALUES), max_size=6)),
    min_size=1,
    max_size=12,
)


def send(address: Any, requests: list[Sent]) -> list[int]:
    """Send all requests at once and return the statuses of the answers."""
    heads = []
    for target, fields in requests:
        lines = [b"GET %s HTTP/1.1" % target, b"Host: a"]
        lines += [b"%s:%s" % (name.encode(), value) for name, value in fields]
        heads.append(b"\r\n".join(lines) + b"\r\n\r\n")
    with Wire(address) as wire:
        wire.send(b"".join(heads))
        return [wire.response().status for _ in heads]


def first(fields: list[tuple[str, bytes]], wanted: str) -> bytes:
    """Return the value of the first field of that name, without what surrounds it."""
    return next((value.strip(b" \t") for name, value in fields if name == wanted), b"")


@settings(max_examples=15, deadline=None)
@given(requests=REQUESTS)
def test_a_record_in_json_parses_back_to_what_was_sent(in_json: Logged, requests: list[Sent]) -> None:
    statuses = send(in_json.server.address, requests)
    for line, status, (target, fields) in zip(in_json.lines(len(requests)), statuses, requests, strict=True):
        assert all(32 <= c < 127 for c in line)
        record = json.loads(line)
        assert list(record) == [name.removeprefix("header:") for name in FORMS["json"].split(",")]
        path, _, query = target.decode().partition("?")
        told: dict[str, object] = {"target": target.decode(), "path": path, "query": query}
        told |= {"method": "GET", "protocol": "HTTP/1.1", "status": status, "client": "127.0.0.1", "user": ""}
        told |= {key: first(fields, NAMES[key]).decode("latin-1") for key in ("user_agent", "referer", "x-a")}
        assert {key: record[key] for key in told} == told


@settings(max_examples=15, deadline=None)
@given(requests=REQUESTS)
def test_a_record_in_text_is_one_line_of_its_fields(in_text: Logged, requests: list[Sent]) -> None:
    send(in_text.server.address, requests)
    for line, (target, fields) in zip(in_text.lines(len(requests)), requests, strict=True):
        values = [first(fields, NAMES[key]) for key in ("user_agent", "referer", "x-a", "x-a")]
        expected = [*values, b"GET %s HTTP/1.1" % target, b"GET"]
        assert line.split(b'"') == [escaped(value) or b"-" for value in expected]


def escaped(text: bytes) -> bytes:
    """Return what a text log has for it: everything but printable ASCII, quotes and backslashes, as \\xHH."""
    return b"".join(b"%c" % c if 32 <= c < 127 and c not in b'"\\' else b"\\x%02x" % c for c in text)


@pytest.mark.parametrize(
    "agent", [b"plain", b"", b'"\\\x80', b"\xff" * 300], ids=["plain", "none", "escapes", "long"]
)
def test_a_header_block_that_comes_again_makes_the_same_fields(in_json: Logged, agent: bytes) -> None:
    fields = [(NAMES["user_agent"], agent), (NAMES["x-a"], b"1")]
    other = [(NAMES["user_agent"], bytes(reversed(agent))), (NAMES["x-a"], b"2")]
    requests: list[Sent] = [(b"/-/%d" % n, other if n % 5 == 4 else fields) for n in range(20)]
    for _ in range(2):  # a connection of its own for each
        send(in_json.server.address, requests)
        for line, (target, sent) in zip(in_json.lines(len(requests)), requests, strict=True):
            record = json.loads(line)
            assert record["target"] == target.decode()
            assert record["user_agent"] == first(sent, NAMES["user_agent"]).decode("latin-1")
            assert record["x-a"] == first(sent, NAMES["x-a"]).decode("latin-1")
            assert record["referer"] == record["user"] == ""


def test_fields_that_are_all_escapes_find_room(in_json: Logged) -> None:
    value = b"\xff" * 8000
    requests: list[Sent] = [(b"/", [(NAMES["user_agent"], value), (NAMES["referer"], value)])] * 10
    assert set(send(in_json.server.address, requests)) == {200}
    for line in in_json.lines(len(requests)):
        record = json.loads(line)
        assert record["user_agent"] == record["referer"] == "\xff" * 8000
