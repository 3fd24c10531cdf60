"""Signals as bytes on a pipe, for the arbiter's selector; and a clean slate for its workers.

A handler of the arbiter never does anything itself: the interpreter writes the signal's number to
a pipe, and the arbiter's loop reads it. So no signal interrupts a fork or a half-done change.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

HANDLED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGCHLD,
)


NOT_FOR_WORKERS = (
    signal.SIGHUP,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)
"""Signals for the arbiter that also reach workers when sent by program name or to the process group.
A handler that does nothing instead of SIG_IGN, which the application's subprocesses would inherit."""


def ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing: the byte in the wake-up descriptor is what counts."""


class SignalPipe:
    """The arbiter's signals. Made in the main thread; `close` gives every signal its default action."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for number in HANDLED:
            signal.signal(number, ignore)
        # Whoever started this process may have left them blocked, and the mask outlives exec.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)

    def fileno(self) -> int:
        """Return the descriptor that is readable when signals have arrived."""
        return self._reading

    def received(self) -> list[int]:
        """Return the signals that have arrived, in their order."""
        with contextlib.suppress(BlockingIOError):
            return list(os.read(self._reading, 4096))
        return []

    def close(self, in_child: bool = False) -> None:
        """Forget the signals. Idempotent.

        Args:
            in_child: Go on ignoring those that are meant for the arbiter alone.
        """
        if self._reading < 0:
            return
        signal.set_wakeup_fd(-1)
        leave_signals(NOT_FOR_WORKERS if in_child else ())
        os.close(self._reading)
        os.close(self._writing)
        self._reading = self._writing = -1


def leave_signals(ignored: tuple[int, ...] = NOT_FOR_WORKERS) -> None:
    """Give every handled signal its default action, but for those that are to do nothing."""
    for number in HANDLED:
        signal.signal(number, ignore if number in ignored else signal.SIG_DFL)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold back every handled signal inside the block; those that arrive are delivered after it."""
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def has_terminal() -> bool:
    """Tell whether this process has a controlling terminal, which sends SIGWINCH when its window changes."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def describe(status: int) -> str:
    """Return how a process ended, from its `os.waitstatus_to_exitcode`: "exit 3", "SIGKILL"."""
    if status >= 0:
        return f"exit {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
