"""The status document itself; what it shows of a running server is tested where it is asked for."""

from __future__ import annotations

import time

from portway.cli.tables import summary
from portway.engine.counters import Board
from portway.server.messages import State
from portway.server.status import status


def test_a_clock_that_was_set_back_does_not_make_a_server_younger() -> None:
    document = status(Board(1), State(1, started=time.time() + 1e6, since=time.monotonic() - 7), time.time())
    assert document["up_s"] >= 7
    assert "up -" not in summary(document)[0]
