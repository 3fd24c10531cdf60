"""A worker whose arbiter died: it stops by itself, since nobody is left to tell it to, or to kill it."""

from __future__ import annotations

import signal

from portway.server.assignment import QUICK_STOP_S
from portway.server.logs import ErrorLog
from portway.server.messages import Channel


class Lifeline:
    """Watches the worker's end of the socket pair with the arbiter.

    Args:
        channel: That end.
        log: Where the end of the arbiter is noted.
        grace_s: Seconds that the worker is going to drain for.
    """

    def __init__(self, channel: Channel, log: ErrorLog, grace_s: float) -> None:
        self._channel = channel
        self._log = log
        self._grace_s = grace_s
        self._cut = False

    def is_cut(self) -> bool:
        """Look whether the arbiter is gone. The first time it is, a timer starts that ends this process.

        Returns:
            True when it is gone: drain now.
        """
        if not self._cut:
            self._channel.receive()
            if self._channel.closed_by_peer:
                self._cut = True
                # Its default action ends the process whatever its threads are stuck in.
                signal.setitimer(signal.ITIMER_REAL, self._grace_s + QUICK_STOP_S)
                self._log.entry("error", "the arbiter is gone: this worker finishes what it has and ends")
        return self._cut
