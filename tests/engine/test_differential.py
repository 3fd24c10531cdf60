"""The parser against h11 and httptools: whatever they see differently has a reason with a name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings

from tests.engine.differential.reasons import STRICTER, explain
from tests.engine.differential.requests import GOOD, requests
from tests.engine.differential.seen import (
    Incomplete,
    Rejection,
    Request,
    Seen,
    by_h11,
    by_httptools,
    by_portway,
)
from tests.engine.hostile import HEADS, Attack
from tests.engine.hostile_bodies import CHUNKED

Parser = Callable[[bytes], Seen]
PEERS: dict[str, Parser] = {"h11": by_h11, "httptools": by_httptools}
CHUNKED_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

each_peer = pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)


def compare(data: bytes, peer: Parser) -> None:
    """Let both parse; fail unless they agree, or a reason tells why not."""
    ours, theirs = by_portway(data), peer(data)
    if ours != theirs:
        assert explain(data, ours, theirs), f"unexplained: {data!r}\nportway: {ours}\npeer: {theirs}"


@each_peer
@given(data=requests)
@settings(
    max_examples=1500,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_generated_and_mutated_requests(peer: Parser, data: bytes) -> None:
    compare(data, peer)


@each_peer
@pytest.mark.parametrize("data", GOOD)
def test_good_requests_are_seen_alike(peer: Parser, data: bytes) -> None:
    assert isinstance(by_portway(data), Request)
    assert by_portway(data) == peer(data)


@each_peer
@pytest.mark.parametrize("attack", HEADS, ids=lambda attack: attack.name)
def test_hostile_heads(peer: Parser, attack: Attack) -> None:
    compare(attack.data, peer)


@each_peer
@pytest.mark.parametrize("attack", CHUNKED, ids=lambda attack: attack.name)
def test_hostile_bodies(peer: Parser, attack: Attack) -> None:
    compare(CHUNKED_HEAD + attack.data, peer)


def test_a_disagreement_without_a_reason_is_noticed() -> None:
    """The explanations must not explain everything."""
    good = by_portway(GOOD[2])
    assert isinstance(good, Request)
    other = Request(good.method, good.target, good.minor, good.fields, b"hell", b"o")
    assert explain(GOOD[2], good, other) is None
    assert explain(GOOD[2], Incomplete(), good) is None
    assert explain(GOOD[2], by_portway(HEADS[0].data), good) is None


def test_every_reason_to_be_stricter_is_one_that_the_parser_gives() -> None:
    requests = [attack.data for attack in HEADS] + [CHUNKED_HEAD + attack.data for attack in CHUNKED]
    outcomes = [by_portway(data) for data in requests]
    assert set(STRICTER) <= {outcome.why for outcome in outcomes if isinstance(outcome, Rejection)}
