"""Waiting for a condition that nobody tells about, with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

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
