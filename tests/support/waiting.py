"""Waiting: for a condition that nobody tells about, and until the test says so."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.processes import DEADLINE_S

_NEVER = threading.Event()


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = DEADLINE_S) -> None:
    """Return when a condition holds; it is asked again and again.

    Args:
        condition: Asked until what it returns is true.
        what: What is waited for, for the message.
        timeout_s: Longest wait.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"no {what}"
        _NEVER.wait(0.02)


class Gate:
    """A file before which other processes wait until the test opens it.

    They wait in `flock` for a shared lock on it; all pass once it is open, however late they come.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def open(self) -> None:
        """Let everybody pass."""
        fcntl.flock(self._file, fcntl.LOCK_UN)  # closing is not enough while a child has a copy
        self._file.close()
