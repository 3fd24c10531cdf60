"""The parser against h11 and httptools: every disagreement has one of the reasons that the tests know."""

from __future__ import annotations

from tests.engine.differential.reasons import explain
from tests.engine.differential.seen import by_h11, by_httptools, by_portway

ALLOWED = ()


def one(data: bytes) -> None:
    """Let all three parse the same bytes."""
    ours = by_portway(data)
    for peer in (by_h11, by_httptools):
        theirs = peer(data)
        assert ours == theirs or explain(data, ours, theirs), (peer.__name__, ours, theirs)
