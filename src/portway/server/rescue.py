"""Connections queued for a worker that is gone, passed on to living ones.

A worker can look at the board, find another one ready, and send it a connection in the very moment
it dies. The arbiter listens at the queue of every slot that nobody works in.
"""

from __future__ import annotations

import selectors
from functools import partial

from portway.server.slots import Slots


class Rescue:
    """The queues that the arbiter listens at. Used by the arbiter's only thread."""

    def __init__(self, slots: Slots, selector: selectors.BaseSelector) -> None:
        self._slots = slots
        self._selector = selector
        self._watched: set[int] = set()
        self._parked: set[int] = set()

    def watch(self, slot: int) -> None:
        """Pass on what arrives for a slot, from now on. Idempotent."""
        self._parked.discard(slot)
        if slot not in self._watched:
            self._watched.add(slot)
            self._selector.register(
                self._slots.queue(slot), selectors.EVENT_READ, partial(self._arrived, slot)
            )

    def unwatch(self, slot: int) -> None:
        """Leave a slot's queue to its worker. Idempotent."""
        self._parked.discard(slot)
        if slot in self._watched:
            self._watched.remove(slot)
            self._selector.unregister(self._slots.queue(slot))

    def somebody_is_ready(self) -> None:
        """Try again the queues that nobody could take over."""
        for slot in tuple(self._parked):
            self.watch(slot)

    def _arrived(self, slot: int) -> None:
        if not self._slots.pass_on(slot):
            self.unwatch(slot)  # or the selector would report it for ever
            self._parked.add(slot)
