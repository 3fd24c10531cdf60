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


@pytest.mark.parametrize("byte", range(256))
def test_which_bytes_may_stand_in_a_value(byte: int) -> None:
    outcome = head_of(b"GET / HTTP/1.1\r\nHost: a\r\nX: a" + bytes([byte]) + b"b\r\n\r\n")
    assert bool(outcome.status) == ((byte < 32 and byte != 9) or byte == 127)


@pytest.mark.parametrize("byte", range(256))
def test_which_bytes_may_stand_in_a_name(byte: int) -> None:
    outcome = head_of(b"GET / HTTP/1.1\r\nHost: a\r\nX" + bytes([byte]) + b"Y: b\r\n\r\n")
    # the colon ends the name early and begins the value "Y: b"
    token = chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "!#$%&'*+-.^_`|~:")
    assert bool(outcome.status) != token


@pytest.mark.parametrize("byte", range(256))
def test_which_bytes_may_stand_in_a_target(byte: int) -> None:
    outcome = head_of(b"GET /a" + bytes([byte]) + b"b HTTP/1.1\r\nHost: a\r\n\r\n")
    assert bool(outcome.status) != (33 <= byte <= 126 and byte != ord("#"))


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
