"""Threads of this room's own, which leave signals to the main thread.

A signal to a process may be delivered to any of its threads, and one that another thread has taken does
not interrupt the main thread, which sits in the request for the next event: SIGTERM would be noticed
with that event, which never comes.
"""

from __future__ import annotations

import signal
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def start(target: Callable[[], None], name: str) -> threading.Thread:
    """Start a daemon thread that takes no signals.

    Args:
        target: What it does.
        name: Its name.
    """
    thread = threading.Thread(target=target, name=name, daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        thread.start()  # it inherits the mask
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return thread
