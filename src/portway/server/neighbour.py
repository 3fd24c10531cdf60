"""The other server of an upgrade, and the kept connections that go over to it.

Two arbiters on the same sockets, an older one and the one it has started, are strangers but for one
pair of sockets. Each says on it when it has workers that take connections, and on what it listens; if
that is the same as here, the workers of the one that stops send their idle connections to the other,
through the same sockets, and clients do not notice. Both arbiters hold both ends, so nothing that was
sent is lost when one of them dies: the other one serves it itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from portway.server.listeners import Listener
from portway.server.rescue import Rescue
from portway.server.slots import NOTICE, Slots

FORMAT = "2"
"""Changes with what an engine sends beside a descriptor: arbiters of different formats exchange none."""


class Neighbour:
    """What this arbiter knows of the other one. Used by the arbiter's only thread.

    Args:
        slots: This one's slots, with the pair.
        rescue: Passes on what arrives.
        listeners: This one's listening sockets.
    """

    def __init__(self, slots: Slots, rescue: Rescue, listeners: Sequence[Listener]) -> None:
        self._slots = slots
        self._rescue = rescue
        self._terms = _terms_of(listeners)
        self._met = False
        self._said = ""
        self._heard = b""

    def listens(self, listeners: Sequence[Listener]) -> None:
        """Take note of what this server listens on from now on."""
        self._terms = _terms_of(listeners)
        self._compare()

    def meet(self) -> None:
        """Take note that another server is beside this one from now on."""
        self._met = True
        self._said, self._heard = "", b""
        self._rescue.unwatch(self._slots.beside)
        self._rescue.listen(self._slots.own_end, self._hear)

    def lose(self) -> None:
        """Take note that it is gone. What was sent to it, and not received, is served here. Idempotent."""
        if self._met:
            self._met = False
            self._slots.board.neighbour = False
            self._rescue.watch(self._slots.beside)

    def look_after(self, able: bool) -> None:
        """Tell the other one what has changed.

        Args:
            able: Whether this server takes connections.
        """
        say = self._terms if able else "-"
        if self._met and say != self._said:
            with contextlib.suppress(OSError):  # no room: the next time
                self._slots.own_end.send(NOTICE + say.encode())
                self._said = say

    def _hear(self, notice: bytes) -> None:
        self._heard = notice
        self._compare()

    def _compare(self) -> None:
        if self._met:
            self._slots.board.neighbour = self._heard == NOTICE + self._terms.encode()


def _terms_of(listeners: Sequence[Listener]) -> str:
    """A connection comes with the number of its listener, which must mean the same to both."""
    return " ".join([FORMAT, *sorted(f"{one.number}={one.role.value}={one.place.name}" for one in listeners)])
