"""One process of an environment, at the head of a process group of its own.

A group, not a session: should the emulator be killed, the kernel wakes the group's stopped processes and
hangs up on them (POSIX, orphaned process groups).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_SETTLE_S = 0.1
_NOT_YET = ("R", "T")
"""Stopped, or about to go on; it may also just be busy, and then it is by now."""
_STDERR = 2  # the function's whole output is its log


class Process:
    """A process and what it forks.

    `signal` and `reap` are called under one lock: a process that is not yet reaped has its id still.

    Attributes:
        pid: The process id.
        status: Its exit status once it is reaped, as `subprocess` has it; None before.
    """

    def __init__(self, command: Sequence[str], directory: Path, environ: Mapping[str, str]) -> None:
        """Start it.

        Raises:
            OSError: It cannot be executed.
        """
        self._popen = subprocess.Popen(
            command,
            cwd=directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=_STDERR,
            process_group=0,
        )
        self.pid = self._popen.pid
        self.status: int | None = None

    def signal(self, number: signal.Signals) -> None:
        """Send the whole group a signal; nothing once it has been reaped."""
        if self.status is None:
            with suppress(OSError):
                os.killpg(self.pid, number)

    def settle(self) -> None:
        """Return when the main thread has gone on after a stop.

        The kernel prefers it for a signal to the process, but not before it has dealt with the one that let
        it go on; and in another thread, no signal wakes Python code that waits in the main one.
        """
        until = time.monotonic() + _SETTLE_S
        while self._state() in _NOT_YET and time.monotonic() < until:
            time.sleep(0.001)

    def _state(self) -> str:
        """The main thread's state (Linux, proc(5)); "" where that cannot be had."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return ""

    def wait(self) -> None:
        """Return when it has ended. It is not reaped yet."""
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

    def reap(self) -> None:
        """End what it has left behind in its group, and set `status`."""
        self.signal(signal.SIGKILL)
        self.status = self._popen.wait()


def ending(status: int) -> str:
    """Return how a process ended, in Lambda's words."""
    if status == 0:
        return "without providing a reason"
    if status < 0:
        return f"with error: signal: {str(signal.strsignal(-status) or -status).lower()}"
    return f"with error: exit status {status}"
