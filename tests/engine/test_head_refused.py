"""Heads that are refused, whatever pieces they arrive in, and what of them is enough to refuse."""

from __future__ import annotations

import pytest

from portway.engine.errors import Refused
from portway.engine.head import HeadParser
from tests.engine.feeding import INCOMPLETE, head_of, head_outcome
from tests.engine.hostile import HEADS, Attack


@pytest.mark.parametrize("attack", HEADS, ids=lambda attack: attack.name)
def test_a_hostile_head_is_refused(attack: Attack) -> None:
    outcome = head_of(attack.data)
    assert outcome.status == attack.status, outcome
    assert outcome.why


@pytest.mark.parametrize("attack", HEADS, ids=lambda attack: attack.name)
def test_the_reason_repeats_nothing_that_the_peer_sent(attack: Attack) -> None:
    with pytest.raises(Refused) as refused:
        HeadParser().parse(attack.data)
    assert refused.value.why.isascii()
    assert "\r" not in refused.value.why
    assert "portway.test" not in refused.value.why
    assert str(refused.value) == f"{attack.status}: {refused.value.why}"


def allowed(template: bytes) -> set[int]:
    """Return the bytes that may stand in place of the question mark."""
    heads = {byte: template.replace(b"?", bytes([byte])) for byte in range(256)}
    return {byte for byte, head in heads.items() if head_of(head).status == 0}


def test_which_bytes_may_stand_in_a_value() -> None:
    controls = {*range(32), 127} - {ord("\t")}
    assert allowed(b"GET / HTTP/1.1\r\nHost: a\r\nX: a?b\r\n\r\n") == set(range(256)) - controls


def test_which_bytes_may_stand_in_a_name() -> None:
    token = {byte for byte in range(128) if chr(byte).isalnum()} | set(b"!#$%&'*+-.^_`|~")
    # a colon ends the name early, and begins the value "Y: b"
    assert allowed(b"GET / HTTP/1.1\r\nHost: a\r\nX?Y: b\r\n\r\n") == token | {ord(":")}


def test_which_bytes_may_stand_in_a_target() -> None:
    assert allowed(b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n") == set(range(33, 127)) - {ord("#")}


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\nHost : a\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
        b"GET / HTTP/1.1\r\nX: \0",
        b"GET / HTTP/1.1\r\n(",
        b"GET / HTTP/3.0\r\n",
    ],
)
def test_a_broken_line_is_refused_before_its_head_is_complete(start: bytes) -> None:
    assert head_outcome([start]).status in (400, 505)


def test_a_request_without_its_end_is_not_a_request() -> None:
    # RFC 9112 section 8: nothing that is cut off may be acted on.
    assert head_of(b"GET / HTTP/1.1\r\nHost: a\r\n").value == INCOMPLETE
    assert head_of(b"GET / HTTP/1.1\r\nHost: a\r\n\r").value == INCOMPLETE
