"""Connections queued for a worker that is gone, or sent by another server, passed on to living workers.

A worker can look at the board, find another one ready, and send it a connection in the very moment
it dies. The arbiter listens at the queue of every slot that nobody works in, and during an upgrade at
what the other server's workers send.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable
from functools import partial

from portway.server.slots import MAX_MESSAGE, NOTICE, Slots

RETRY_S = 0.02
"""How soon queues are looked at again that found every worker's own queue full."""

AT_ONCE = 64

Heard = Callable[[bytes], None]
"""Takes what another arbiter says."""


class Rescue:
    """The queues that the arbiter listens at. Used by the arbiter's only thread.

    Args:
        slots: The slots.
        selector: The arbiter's.
        clock: Monotonic seconds.
    """

    def __init__(
        self, slots: Slots, selector: selectors.BaseSelector, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._slots = slots
        self._selector = selector
        self._clock = clock
        self._watched: dict[socket.socket, Heard | None] = {}
        self._parked: dict[socket.socket, Heard | None] = {}
        self._retry_at = 0.0

    def watch(self, slot: int) -> None:
        """Pass on what arrives for a slot, from now on. Idempotent."""
        self.listen(self._slots.queue(slot))

    def unwatch(self, slot: int) -> None:
        """Leave a slot's queue to its worker. Idempotent."""
        self._leave(self._slots.queue(slot))

    def listen(self, queue: socket.socket, heard: Heard | None = None) -> None:
        """Pass on what arrives at a socket, from now on. Idempotent.

        Args:
            queue: The socket.
            heard: Takes notices that come between connections; without it they are dropped.
        """
        self._parked.pop(queue, None)
        if queue not in self._watched:
            self._watched[queue] = heard
            self._selector.register(queue, selectors.EVENT_READ, partial(self._arrived, queue))

    def somebody_is_ready(self) -> None:
        """Try again the queues that nobody could take over."""
        for queue, heard in tuple(self._parked.items()):
            self.listen(queue, heard)

    def look_after(self) -> None:
        """Try again, where workers had no room: they will have made some."""
        if self._parked and self._clock() >= self._retry_at and self._slots.any_ready():
            self.somebody_is_ready()

    def next_due(self) -> float:
        """Return when `look_after` has something to do, in monotonic seconds; infinity when nothing."""
        return self._retry_at if self._parked and self._slots.any_ready() else float("inf")

    def _leave(self, queue: socket.socket) -> None:
        self._parked.pop(queue, None)
        if queue in self._watched:
            del self._watched[queue]
            self._selector.unregister(queue)

    def _arrived(self, queue: socket.socket) -> None:
        heard = self._watched.get(queue)
        with contextlib.suppress(BlockingIOError):  # nothing is left
            for _ in range(AT_ONCE):
                if queue.recv(len(NOTICE), socket.MSG_PEEK) == NOTICE:
                    notice = queue.recv(MAX_MESSAGE)
                    if heard is not None:
                        heard(notice)
                elif not self._slots.pass_on(queue):
                    self._leave(queue)  # or the selector would report it for ever
                    self._parked[queue] = heard
                    self._retry_at = self._clock() + RETRY_S
                    return
