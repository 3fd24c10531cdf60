"""What the service manager is told: systemd's notification protocol (sd_notify(3)).

The arbiter says in every turn what state it is in, and only a change is sent, so no path through it can
forget to say. Nothing here may fail the server: a message that is not taken is dropped.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, MutableMapping

NEVER = float("inf")


class Notifier:
    """The arbiter's line to systemd; does nothing when there is none.

    Used by the arbiter's only thread. The variables are taken out of the environment: programs that the
    application starts are not the service.

    Args:
        environ: The process's environment; it changes.
        pid: This process.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        environ: MutableMapping[str, str],
        pid: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._pid = pid
        self._state = ""
        self._status = ""
        where = environ.pop("NOTIFY_SOCKET", "")
        self._interval_s = _watchdog_interval(environ, pid)
        self._next_beat = clock() if where and self._interval_s != NEVER else NEVER
        self._sock = _socket(where) if where else None

    def tell(self, state: str, status: str) -> None:
        """Send a state and a line for `systemctl status`, if one of them has changed.

        Args:
            state: starting, ready, reloading or stopping.
            status: One line.
        """
        if self._sock is None or (state, status) == (self._state, self._status):
            return
        fields = []
        if state != self._state:
            match state:
                case "ready":
                    fields += ["READY=1", f"MAINPID={self._pid}"]
                case "reloading":
                    # Type=notify-reload wants to know which request to reload this belongs to.
                    fields += ["RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}"]
                case "stopping":
                    fields.append("STOPPING=1")
        self._state, self._status = state, status
        self._send(*fields, f"STATUS={status}")

    def beat(self, sound: bool) -> None:
        """Keep the watchdog quiet, when it is time to.

        Args:
            sound: Whether the server does its work. If not, nothing is sent, and systemd restarts it.
        """
        now = self._clock()
        if now < self._next_beat:
            return
        self._next_beat = now + self._interval_s
        if sound:
            self._send("WATCHDOG=1")

    def next_due(self) -> float:
        """Return the time of the next beat, for the arbiter's sleep."""
        return self._next_beat

    def close(self) -> None:
        """Close the socket; in a forked child as well. Idempotent."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        self._next_beat = NEVER

    def _send(self, *fields: str) -> None:
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.send("\n".join(fields).encode())


def _watchdog_interval(environ: MutableMapping[str, str], pid: int) -> float:
    """Half of the time that systemd waits (sd_watchdog_enabled(3))."""
    usec, for_whom = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", str(pid))
    if for_whom != str(pid) or not usec.isascii() or not usec.isdigit() or int(usec) == 0:
        return NEVER
    return int(usec) / 2_000_000


def _socket(where: str) -> socket.socket | None:
    """Connect to the manager's socket: a path, or @NAME for an abstract one."""
    if not where.startswith(("/", "@")):
        return None
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect(os.fsencode("\0" + where[1:] if where.startswith("@") else where))
    except OSError:
        sock.close()
        return None
    return sock
