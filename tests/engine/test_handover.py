"""Connections handed from one worker to another: what is lost on the way is counted by nobody."""

from __future__ import annotations

import socket
import threading

from portway.config import Settings
from portway.engine.counters import READY, Board
from portway.engine.wsgi import WSGIEngine

PASSPORT = bytes(12 + 28)


class Report:
    """Keeps the notices."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.came = threading.Event()

    def notice(self, key: str, text: str) -> None:
        """Keep one."""
        self.said.append(text)
        self.came.set()

    def application_error(self, error: BaseException, request: str) -> None:
        """Fail: there is no application here."""
        raise error

    def refused(self, status: int, why: str, peer: str) -> None:
        """Fail: there are no requests here."""
        raise AssertionError(why)

    def stack(self, subject: object) -> str:
        """Fail: nothing can be overdue here."""
        raise AssertionError(subject)

    def overdue(self, request: str, seconds: float, outcome: str, stack: str) -> None:
        """Fail as well."""
        raise AssertionError(request)

    def handshake_failed(self, failure: BaseException, client: str) -> None:
        """There is none."""


def test_a_message_without_a_descriptor() -> None:
    """The system drops the descriptor when the receiver has none left; the sender has counted it already."""
    board = Board(1)
    slot, report = board.slot(0), Report()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        engine = WSGIEngine(lambda *_: [], Settings(), slot=slot, board=board, report=report)
        engine.add_handover(ours, {})
        slot.state = READY
        thread = threading.Thread(target=engine.run)
        thread.start()
        try:
            slot.expect()
            theirs.send(PASSPORT)
            assert report.came.wait(15)
            assert "no file descriptor left" in report.said[0]
        finally:
            engine.stop()
            thread.join(15)
    assert slot.connections == 0
