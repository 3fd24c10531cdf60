"""Bytes as they may arrive: whole, one at a time, cut anywhere. What is made of them must not differ."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from portway.engine.body import read_body
from portway.engine.errors import Refused
from portway.engine.head import HeadParser

RANDOM_WAYS = 8
INCOMPLETE = "incomplete"


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut bytes at these places."""
    ends = [*cuts, len(data)]
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def ways(data: bytes, most: int = 2000) -> Iterator[list[bytes]]:
    """Yield the same bytes whole, one by one, and cut at random places (the same ones in every run).

    Args:
        data: The bytes.
        most: Longer ones are not fed one by one but in 7 at a time, for the sake of time.
    """
    yield [data]
    step = 1 if len(data) <= most else 7
    yield [data[at : at + step] for at in range(0, len(data), step)]
    chance = random.Random(data)
    for _ in range(RANDOM_WAYS if len(data) > 1 else 0):
        count = chance.randint(1, min(6, len(data) - 1))
        yield pieces(data, sorted(chance.sample(range(1, len(data)), count)))


@dataclass(frozen=True)
class Outcome:
    """What became of some bytes.

    Attributes:
        status: The refusal's, 0 when there was none.
        why: The refusal's reason.
        value: What was read: a head, a body with what lay behind it, or INCOMPLETE.
    """

    status: int = 0
    why: str = field(default="", compare=False)
    value: Any = None


def head_outcome(parts: list[bytes], parser: HeadParser | None = None) -> Outcome:
    """Feed a head as a server does: whenever something arrived, all that is there is parsed."""
    parser = parser or HeadParser()
    data = b""
    for part in parts:
        data += part
        try:
            head = parser.parse(data)
        except Refused as refused:
            return Outcome(refused.status, refused.why)
        if head is not None:
            return Outcome(value=head)
    return Outcome(value=INCOMPLETE)


def head_of(data: bytes, parser: HeadParser | None = None) -> Outcome:
    """Return what every way of feeding a head comes to."""
    outcomes = [head_outcome(parts, parser) for parts in ways(data)]
    assert all(outcome == outcomes[0] for outcome in outcomes), (data, outcomes)
    return outcomes[0]


def body_outcome(parts: list[bytes], length: int | None = None, limit: int = 0) -> Outcome:
    """Feed a body."""
    try:
        body, rest, complete = read_body(parts, length, limit)
    except Refused as refused:
        return Outcome(refused.status, refused.why)
    return Outcome(value=(body, rest) if complete else (INCOMPLETE, body))


def body_of(data: bytes, length: int | None = None, limit: int = 0) -> Outcome:
    """Return what every way of feeding a body comes to."""
    outcomes = [body_outcome(parts, length, limit) for parts in ways(data)]
    assert all(outcome == outcomes[0] for outcome in outcomes), (data, outcomes)
    return outcomes[0]
