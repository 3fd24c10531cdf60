"""When a worker that is alive, but whose engine no longer runs, is given up. No clock inside."""

from __future__ import annotations

LIMIT_S = 60.0
"""Seconds without a beat after which a worker is killed. The engine beats about once a second, from
native code, whatever the application does: a busy worker keeps beating."""

LONGEST_LOOK_S = 10.0
"""Most seconds that one look can add. When the arbiter was stopped as well (a suspended machine, a
frozen container), its workers must not pay for the time that nobody ran."""


class Heartbeat:
    """How long one worker has been silent, counted only while the arbiter was looking.

    Args:
        now: The arbiter's monotonic time, in seconds.
    """

    def __init__(self, now: float) -> None:
        self._beat_ns = 0
        self._looked = now
        self._silent_s = 0.0

    def silence(self, beat_ns: int, now: float) -> float:
        """Return the seconds of silence so far.

        Args:
            beat_ns: What stands in the worker's slot; only whether it changed matters.
            now: The arbiter's monotonic time, in seconds.
        """
        elapsed = min(max(0.0, now - self._looked), LONGEST_LOOK_S)
        self._looked = now
        if beat_ns != self._beat_ns:
            self._beat_ns = beat_ns
            self._silent_s = 0.0
        else:
            self._silent_s += elapsed
        return self._silent_s
